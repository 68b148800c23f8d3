"""The first Fast Weight Programmers: a slow net that writes the weights of a fast net (Schmidhuber 1992).

J. Schmidhuber, "Learning to control fast-weight memories: An alternative to dynamic recurrent networks", Neural
Computation 4(1), 1992, pp. 131-139. Section 2 has all equations used here.

The slow net S sees x(t) and asks for a change of every weight of the fast net F (the paper's box w, here
`request`). F answers z(t), which is x(t) itself in most of the paper. Both nets are linear and have no hidden
units, as in its experiments.

Shapes: N nets run side by side, each with its own weights (or one shared by all, N = 1 in `weight`). F has D
inputs and M outputs, hence fast weights (N, M, D). S has X inputs and U outputs. Everything is in the dtype of
the weights.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from papertrail.experiments import at_least_one, progress

INTERFACES = ("units", "from-to")
ORDERS = ("read-write", "write-read")


def slow_units(interface: str, inputs: int, outputs: int) -> int:
    """How many output units S needs to program an F of `inputs` and `outputs`: D M, or D + M with FROM/TO.

    Raises:
        ValueError: the interface is unknown or a size is below 1.
    """
    at_least_one(inputs=inputs, outputs=outputs)
    if interface not in INTERFACES:
        raise ValueError(f"interface: got {interface!r}; allowed are {', '.join(map(repr, INTERFACES))}")
    return inputs * outputs if interface == "units" else inputs + outputs


def squash(fast: Tensor, request: Tensor, temperature: float | None) -> Tensor:
    """sigma(w(t-1), box w(t)), which gives w(t) (eq. 7); without a temperature it is the plain sum.

    1 / (1 + exp(-T (w + box w - 1/2))): the fast weights stay within (0, 1).

    Shapes: fast and request (N, M, D) -> (N, M, D).
    """
    total = fast + request
    return total if temperature is None else torch.sigmoid(temperature * (total - 0.5))


def squash_slope(fast: Tensor, temperature: float | None) -> Tensor:
    """d sigma / dw = d sigma / d box w, from the fast weights that `squash` gave: T w (1 - w), or 1.

    Shapes: fast (N, M, D) -> (N, M, D).
    """
    return torch.ones_like(fast) if temperature is None else temperature * fast * (1 - fast)


def read(fast: Tensor, z: Tensor) -> Tensor:
    """F's output for its input z: y = w z.

    Shapes: fast (N, M, D), z (N, D) -> (N, M).
    """
    return (fast @ z.unsqueeze(-1)).squeeze(-1)


class Programmer:
    """The slow net S and its interface to F.

    Args:
        interface: "units", one output unit of S for each fast weight (eq. 4), or "from-to", one for each input
            (FROM) and one for each output (TO) of F, whose outer product is the request (eq. 5).
        weight: the weights of S. With "units" output unit m D + d asks for the change of fast weight (m, d);
            with "from-to" the D units of the FROM pattern come first, then the M of the TO pattern.
        inputs: D, the inputs of F.
        outputs: M, the outputs of F.
        squash: the temperature T of eq. 7, or None for no squashing: the request is then simply added.

    Shapes: weight (N, U, X), U as `slow_units` says.

    Raises:
        ValueError: the interface is unknown, a size is below 1, weight has another shape, or the temperature is
            not positive.
    """

    def __init__(
        self, interface: str, weight: Tensor, *, inputs: int, outputs: int, squash: float | None = 10.0
    ) -> None:
        units = slow_units(interface, inputs, outputs)
        if weight.dim() != 3 or weight.shape[1] != units:
            raise ValueError(f"weight: got shape {tuple(weight.shape)}; allowed is (N, {units}, X)")
        if squash is not None and not squash > 0:
            raise ValueError(f"squash: got {squash}; allowed are a positive temperature, or None for none")
        self.interface, self.weight, self.squash = interface, weight, squash
        self.inputs, self.outputs = inputs, outputs

    def patterns(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The FROM and TO patterns for S's input: the paper's "key" and "entry", today's key and value.

        Shapes: (N, T, X) -> (N, T, D), (N, T, M).

        Raises:
            ValueError: this programmer has the other interface.
        """
        if self.interface != "from-to":
            raise ValueError(f"interface: got {self.interface!r}; only 'from-to' has FROM and TO patterns")
        return tuple((x @ self.weight.mT).split([self.inputs, self.outputs], dim=-1))

    def request(self, x: Tensor) -> Tensor:
        """box w(t), the change of the fast weights that S asks for (eqs. 4 and 5).

        Shapes: (N, X) -> (N, M, D).
        """
        units = read(self.weight, x)  # (N, U)
        if self.interface == "units":
            return units.unflatten(-1, (self.outputs, self.inputs))
        from_, to = units.split([self.inputs, self.outputs], dim=-1)
        return to.unsqueeze(-1) * from_.unsqueeze(-2)

    def request_slope(self, x: Tensor) -> Tensor:
        """d box w / d weight of S: the last factor of eq. 3; with FROM/TO by the product rule (eq. 6).

        Shapes: (N, X) -> (N, M, D, U, X).
        """
        eye = partial(torch.eye, dtype=self.weight.dtype)
        if self.interface == "units":  # each fast weight has its own unit
            by_unit = eye(self.outputs * self.inputs).unflatten(0, (self.outputs, self.inputs))  # (M, D, M D)
        else:
            from_, to = read(self.weight, x).split([self.inputs, self.outputs], dim=-1)
            by_from = to[:, :, None, None] * eye(self.inputs)  # (N, M, D, D)
            by_to = from_[:, None, :, None] * eye(self.outputs).unsqueeze(1)  # (N, M, D, M)
            by_unit = torch.cat([by_from, by_to], dim=-1)
        return by_unit.unsqueeze(-1) * x[:, None, None, None, :]


@dataclass(frozen=True)
class State:
    """What a programmer that learns carries from step to step.

    influence[n, a, b, i, j] is the paper's p_ij^ab: how fast weight (a, b) depends on weight (i, j) of S, through
    all requests so far. It is what makes the rule local in time, at a cost of O(|w| |W|) a step.

    Shapes: fast (N, M, D), influence (N, M, D, U, X).
    """

    fast: Tensor
    influence: Tensor


def start_at_request(net: Programmer, x: Tensor) -> State:
    """The paper's start: w(0) = box w(0), asked for at an extra step 0 without an answer (section 2).

    Shapes: x (N, X), S's input at step 0.
    """
    return State(net.request(x), net.request_slope(x))


def start_at_zero(net: Programmer) -> State:
    """All fast weights zero, whatever S is."""
    count, units, slow_inputs = net.weight.shape
    shape = (count, net.outputs, net.inputs)
    return State(net.weight.new_zeros(shape), net.weight.new_zeros(*shape, units, slow_inputs))


def advance(net: Programmer, state: State, x: Tensor) -> State:
    """Write: the fast weights change as S asks (eq. 1), and so does how they depend on S (eq. 3).

    Shapes: x (N, X), S's input at this step.
    """
    fast = squash(state.fast, net.request(x), net.squash)
    slope = squash_slope(fast, net.squash)[..., None, None]
    return State(fast, slope * (state.influence + net.request_slope(x)))


def gradient(state: State, error: Tensor, z: Tensor) -> Tensor:
    """dE(t) / d weights of S for E = |error|^2 / 2 at a step that read `state` with z (eq. 2).

    delta_ab = dE / dw_ab is back-propagation in F, here error_a z_b.

    Shapes: error (N, M), z (N, D) -> (N, U, X).
    """
    delta = error.unsqueeze(-1) * z.unsqueeze(-2)  # (N, M, D)
    flat = delta.flatten(1).unsqueeze(1) @ state.influence.flatten(3).flatten(1, 2)  # (N, 1, U X)
    return flat.view(len(flat), *state.influence.shape[3:])


@dataclass(frozen=True)
class Learned:
    """A programmer after on-line learning, the state it is in, and its errors y - d at every step, (N, T, M)."""

    net: Programmer
    state: State
    errors: Tensor


def learn(
    net: Programmer, state: State, x: Tensor, targets: Tensor, *, lr: float, z: Tensor | None = None
) -> Learned:
    """Learn on-line: read, compare, change S at once, then write (section 2.1). `net` itself is left as it is.

    Args:
        z: F's input, where it is not x.

    Shapes: x (N, T, X), targets (N, T, M), z (N, T, D).

    Raises:
        ValueError: lr is not positive, or a shape does not fit.
    """
    if not lr > 0:
        raise ValueError(f"lr: got {lr}; allowed are positive numbers")
    z = _fast_inputs(net, x, z)
    if targets.shape != (*x.shape[:2], net.outputs):
        raise ValueError(
            f"targets: got shape {tuple(targets.shape)}; allowed is {(*x.shape[:2], net.outputs)}"
        )
    net = Programmer(net.interface, net.weight, inputs=net.inputs, outputs=net.outputs, squash=net.squash)
    errors = []
    for x_t, z_t, target in progress(
        list(zip(x.unbind(1), z.unbind(1), targets.unbind(1), strict=True)), net.interface
    ):
        error = read(state.fast, z_t) - target  # reads w(t-1): the write of this step comes too late
        net.weight = net.weight - lr * gradient(state, error, z_t)
        state = advance(net, state, x_t)
        errors.append(error)
    return Learned(net, state, torch.stack(errors, 1))


@dataclass(frozen=True)
class Passage:
    """A sequence that went through F while S programmed it.

    Shapes: outputs (N, T, M); fast (N, T + 1, M, D), from w(0) to w(T).
    """

    outputs: Tensor
    fast: Tensor


def run(
    net: Programmer,
    x: Tensor,
    z: Tensor | None = None,
    *,
    start: Tensor | None = None,
    order: str = "read-write",
) -> Passage:
    """Send a sequence through both nets without learning; differentiable.

    Args:
        z: F's input, where it is not x.
        start: the fast weights w(0); zero where there are none. The paper's own are `net.request(x_0)`.
        order: "read-write" as in the paper, y(t) = w(t-1) z(t); or "write-read" as in linear attention,
            y(t) = w(t) z(t).

    Without squashing, from zero, and with FROM/TO, this is unnormalized causal linear attention with the FROM
    pattern as key, the TO pattern as value and z as query; read-write masks the diagonal too.

    Shapes: x (N, T, X), z (N, T, D), start (N, M, D).

    Raises:
        ValueError: the order is unknown, or a shape does not fit.
    """
    if order not in ORDERS:
        raise ValueError(f"order: got {order!r}; allowed are {', '.join(map(repr, ORDERS))}")
    z = _fast_inputs(net, x, z)
    shape = (len(x), net.outputs, net.inputs)
    fast = net.weight.new_zeros(shape) if start is None else start
    if fast.shape != shape:
        raise ValueError(f"start: got shape {tuple(fast.shape)}; allowed is {shape}")
    outputs, history = [], [fast]
    for x_t, z_t in zip(x.unbind(1), z.unbind(1), strict=True):
        before, fast = fast, squash(fast, net.request(x_t), net.squash)
        outputs.append(read(before if order == "read-write" else fast, z_t))
        history.append(fast)
    return Passage(torch.stack(outputs, 1), torch.stack(history, 1))


def _fast_inputs(net: Programmer, x: Tensor, z: Tensor | None) -> Tensor:
    """What F is fed: z, or x where there is no z. Refuses sequences that do not fit the nets."""
    count, _, slow_inputs = net.weight.shape
    if x.dim() != 3 or x.shape[2] != slow_inputs or (count > 1 and len(x) != count):
        allowed = f"({'N' if count == 1 else count}, T, {slow_inputs})"
        raise ValueError(f"x: got shape {tuple(x.shape)}; allowed is {allowed}")
    z = x if z is None else z
    if z.shape != (*x.shape[:2], net.inputs):
        raise ValueError(f"z: got shape {tuple(z.shape)}; allowed is {(*x.shape[:2], net.inputs)}")
    return z
