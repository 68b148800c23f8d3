"""Where the norm goes: the placements of the literature, each built from chapter 1's `Sublayer`.

For a sub-layer f with input x, and norm for layer normalization:

    post           norm(x + f(x))                Vaswani et al. 2017, section 3.1
    pre            x + f(norm(x))                Xiong et al. 2020, Table 1; the stack ends in a norm
    sandwich       x + norm(f(norm(x)))          Ding et al. 2021 (CogView); Gemma 2; the stack ends in a norm
    res-post       x + norm(f(x))                Liu et al. 2022 (Swin v2); OLMo 2; the stack ends in a norm
    deepnorm       norm(alpha x + f(x))          Wang et al. 2022, section 4; smaller initial weights, `beta`
    admin          norm(omega * x + f(x))        Liu et al. 2020; omega a trained vector, set from a first pass
    b2t            post, but a layer's last sub-layer computes norm(x_in + x_mid + f(x_mid)), where x_in is
                   what entered the layer and x_mid what entered the sub-layer; Takase et al. 2023
    dual-residual  x <- norm(x + f(x)) and d <- d + f(x), the same f(x); the stack ends in x + norm(d)
                   Xie et al. 2023 (ResiDual), as in the released code

Letters in shapes: B batch, T length, S length of the memory, D d_model.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from papertrail.architecture_diagram.sublayer import Sublayer
from papertrail.architecture_diagram.transformer import FeedForward, MultiHeadAttention
from papertrail.experiments import at_least_one

RULES = {  # chapter 1's two strings, and whether the stack ends in a norm
    "post": ("none", "an", False),
    "pre": ("n", "a", True),
    "sandwich": ("n", "na", True),
    "res-post": ("none", "na", True),
    "deepnorm": ("none", "an", False),
    "admin": ("none", "an", False),
    "b2t": ("none", "an", False),
    "dual-residual": ("none", "an", True),
}
PLACEMENTS = tuple(RULES)
STARTS = ("xavier", "linear", "small")


def one_of(argument: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a word that is not in a list, by name.

    Raises:
        ValueError: `value` is not one of `allowed`.
    """
    if value not in allowed:
        raise ValueError(f"{argument}: got {value!r}; allowed are {', '.join(map(repr, allowed))}")


class Scale(nn.Module):
    """Multiply by a number that stays (DeepNorm's alpha), or by a trained vector of that number (Admin's omega).

    Shapes: (..., d_model) -> (..., d_model).
    """

    def __init__(self, factor: float, d_model: int | None = None) -> None:
        super().__init__()
        self.factor = factor if d_model is None else nn.Parameter(torch.full((d_model,), factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class BottomToTop(nn.Module):
    """A layer's last branch plus what entered the layer: B2T's extra path (Takase et al. 2023).

    Inside `Sublayer(..., "none", "an")` the result is norm(x_mid + (f(x_mid) + x_in)).

    Shapes: x_mid (B, T, D), x_in the same -> (B, T, D).
    """

    def __init__(self, f: nn.Module) -> None:
        super().__init__()
        self.f = f

    def forward(self, x_mid: Tensor, x_in: Tensor) -> Tensor:
        return self.f(x_mid) + x_in


class Block(nn.Module):
    """One layer: self-attention, with `cross` also attention to a memory, then feed-forward.

    Args:
        d_model, num_heads, d_ff: width, heads, and width inside the feed-forward.
        placement: one of `PLACEMENTS`; the module's docstring has the formulas.
        cross: also attend to a memory (a decoder of an encoder-decoder).
        alpha: DeepNorm's factor on the skip; if left out, the one for a stack of one layer.
        dual_scale: what branches are multiplied by on their way into the second stream of "dual-residual", and
            the input with them; the final norm takes it out again.

    Shapes: x (B, T, D), dual the same, memory (B, S, D), mask broadcastable to (B, H, T, T),
        memory_mask to (B, H, T, S), True = may attend -> (B, T, D); for "dual-residual" a pair of these, x and dual.

    Raises:
        ValueError: a size is below 1; num_heads does not divide d_model; the placement is unknown; alpha or
            dual_scale is not positive, or goes with another placement; a memory is missing, or given and not
            used; dual is given to a placement that has no second stream.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        placement: str = "pre",
        *,
        cross: bool = False,
        alpha: float | None = None,
        dual_scale: float = 1.0,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        at_least_one(d_model=d_model, num_heads=num_heads, d_ff=d_ff)
        one_of("placement", placement, PLACEMENTS)
        for argument, value, idle, owner in (
            ("alpha", alpha, None, "deepnorm"), ("dual_scale", dual_scale, 1.0, "dual-residual")
        ):  # fmt: skip
            if value != idle and placement != owner:
                raise ValueError(
                    f"{argument}: got {value}, but only placement={owner!r} has one, not {placement!r}"
                )
            if value is not None and value <= 0:
                raise ValueError(f"{argument}: got {value}; allowed are positive numbers")
        self.placement, self.dual_scale = placement, dual_scale
        self.alpha = None
        if placement == "deepnorm":
            self.alpha = deepnorm(1)[0] if alpha is None else alpha

        def around(f: nn.Module) -> Sublayer:
            before, after, _ = RULES[placement]
            skip = Scale(self.alpha) if self.alpha else Scale(1.0, d_model) if placement == "admin" else None
            return Sublayer(f, before, after, d_model=d_model, eps=eps, skip=skip)

        last = FeedForward(d_model, d_ff)
        self.self_attention = around(MultiHeadAttention(d_model, num_heads))
        self.cross_attention = around(MultiHeadAttention(d_model, num_heads)) if cross else None
        self.feed_forward = around(BottomToTop(last) if placement == "b2t" else last)

    @property
    def last_linear(self) -> nn.Linear:
        """W2, the second matrix of the feed-forward: the weight whose gradient the chapter measures."""
        f: Any = self.feed_forward.f
        return f.f.contract if self.placement == "b2t" else f.contract

    def forward(
        self,
        x: Tensor,
        dual: Tensor | None = None,
        *,
        memory: Tensor | None = None,
        mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        if (memory is None) is (self.cross_attention is not None):
            has = "attends to a memory" if memory is None else "was made with cross=False"
            raise ValueError(f"memory: {'missing' if memory is None else 'given'}, but this Block {has}")
        if (dual is None) is (self.placement == "dual-residual"):
            raise ValueError(
                f"dual: {'missing' if dual is None else 'given'}, with placement={self.placement!r}"
            )
        x_in = x
        x, dual = self._step(self.self_attention, x, dual, mask=mask)
        if self.cross_attention is not None:
            x, dual = self._step(self.cross_attention, x, dual, memory=memory, mask=memory_mask)
        x, dual = self._step(self.feed_forward, x, dual, *([x_in] if self.placement == "b2t" else []))
        return x if dual is None else (x, dual)

    def _step(
        self, sublayer: Sublayer, x: Tensor, dual: Tensor | None, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor | None]:
        if dual is None:
            return sublayer(x, *args, **kwargs), None
        value = sublayer.branch(x, *args, **kwargs)
        return sublayer.join(value, x), dual + self.dual_scale * value


class Stack(nn.Module):
    """`depth` blocks, and what the placement wants at the end: a final norm, two streams made one, or nothing.

    Args:
        depth: number of blocks.
        d_model, num_heads, d_ff, placement, cross, dual_scale: as in `Block`.
        start: initial weights, see `initialize`.
        alpha, beta: DeepNorm's constants; if left out, those of a model of this one stack.
        shrink: multiply every matrix by depth ** -0.5 at the start, as B2T's released code does besides its path.

    Shapes: x (B, T, D), memory (B, S, D), masks as in `Block` -> (B, T, D).

    Raises:
        ValueError: as `Block`; depth below 1; start unknown; beta goes with another placement.
    """

    def __init__(
        self,
        depth: int,
        d_model: int,
        num_heads: int,
        d_ff: int,
        placement: str = "pre",
        *,
        cross: bool = False,
        start: str = "xavier",
        alpha: float | None = None,
        beta: float | None = None,
        shrink: bool = False,
        dual_scale: float = 1.0,
    ) -> None:
        super().__init__()
        at_least_one(depth=depth)
        if beta is not None and placement != "deepnorm":
            raise ValueError(f"beta: got {beta}, but only placement='deepnorm' has one, not {placement!r}")
        if placement == "deepnorm":
            alpha = deepnorm(depth)[0] if alpha is None else alpha
            beta = deepnorm(depth)[1] if beta is None else beta
        sizes: dict[str, Any] = {"cross": cross, "alpha": alpha, "dual_scale": dual_scale}
        self.placement, self.dual_scale = placement, dual_scale
        self.blocks = nn.ModuleList(Block(d_model, num_heads, d_ff, placement, **sizes) for _ in range(depth))
        final_eps = 1e-7 if placement == "dual-residual" else 1e-6  # the released ResiDual has 1e-7 here
        self.final = nn.LayerNorm(d_model, eps=final_eps) if RULES[placement][2] else nn.Identity()
        initialize(self, start, beta=1.0 if beta is None else beta, factor=depth**-0.5 if shrink else 1.0)

    def last_weights(self) -> list[Tensor]:
        """The blocks' W2, each (D, d_ff): the weights whose gradients the chapter measures."""
        return [block.last_linear.weight for block in self.blocks if isinstance(block, Block)]

    def streams(self, x: Tensor, **inputs: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Both streams before they meet; the second is None where there is one stream only.

        Shapes: x (B, T, D); inputs as in `Block`: memory (B, S, D) and masks -> (B, T, D) and (B, T, D) or None.
        """
        if self.placement != "dual-residual":
            for block in self.blocks:
                x = block(x, **inputs)
            return x, None
        dual = x * self.dual_scale  # the released code starts it at the embedding, not at zero
        for block in self.blocks:
            x, dual = block(x, dual, **inputs)
        return x, dual

    def forward(self, x: Tensor, **inputs: Tensor | None) -> Tensor:
        x, dual = self.streams(x, **inputs)
        return self.final(x) if dual is None else x + self.final(dual)


def initialize(module: nn.Module, start: str, *, beta: float = 1.0, factor: float = 1.0) -> None:
    """Draw the matrix and bias of every nn.Linear in a module anew.

    Args:
        start: "xavier", entries N(0, 2 / (n_in + n_out)), biases 0 (Xiong et al. 2020, section 3.3);
            "linear", what torch's nn.Linear starts with, entries and biases uniform within 1 / sqrt(n_in);
            "small", as xavier but attention's matrices from N(0, 2 / (d + 4 d)) (Nguyen & Salazar 2019).
        beta: DeepNorm's gain on values, attention outputs and feed-forwards, queries and keys left out.
        factor: what every matrix is multiplied by at the end.

    Raises:
        ValueError: start is none of the three.
    """
    one_of("start", start, STARTS)
    for name, linear in module.named_modules():
        if not isinstance(linear, nn.Linear):
            continue
        attention = name.endswith(("query", "key", "value", "output"))
        if start == "linear":
            linear.reset_parameters()
        elif start == "small" and attention:
            nn.init.normal_(linear.weight, std=(2 / (5 * linear.in_features)) ** 0.5)
        else:
            nn.init.xavier_normal_(linear.weight)
        if linear.bias is not None and start != "linear":
            nn.init.zeros_(linear.bias)
        with torch.no_grad():
            linear.weight *= factor if name.endswith(("query", "key")) else factor * beta


def deepnorm(layers: int) -> tuple[float, float]:
    """DeepNorm's alpha and beta for a model of one stack: (2N)^(1/4), (8N)^(-1/4) (Wang et al. 2022, Figure 2).

    Raises:
        ValueError: layers is below 1.
    """
    at_least_one(layers=layers)
    return (2 * layers) ** 0.25, (8 * layers) ** -0.25


def deepnorm_pair(
    encoder_layers: int, decoder_layers: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """DeepNorm's (alpha, beta) for the encoder and for the decoder of a model of both (Wang et al. 2022, Figure 2).

    Encoder 0.81 (N^4 M)^(1/16) and 0.87 (N^4 M)^(-1/16); decoder (3M)^(1/4) and (12M)^(-1/4), for N encoder
    and M decoder layers.

    Raises:
        ValueError: a number is below 1.
    """
    at_least_one(encoder_layers=encoder_layers, decoder_layers=decoder_layers)
    power = (encoder_layers**4 * decoder_layers) ** (1 / 16)
    return (0.81 * power, 0.87 / power), ((3 * decoder_layers) ** 0.25, (12 * decoder_layers) ** -0.25)


@torch.no_grad()
def profile(stack: Stack, x: Tensor, **inputs: Tensor | None) -> list[float]:
    """Set Admin's omegas from one pass over real inputs, and return them in order (Liu et al. 2020).

    omega_1 = 1, and the square of the next is Var[omega_i x] + Var[f_i(x)], where x enters sub-layer i: so the
    sum counts the input as one branch, as in the authors' code.

    Shapes: x (B, T, D); inputs as in `Block`: memory (B, S, D) and masks.

    Raises:
        ValueError: the stack's placement is not "admin".
    """
    if stack.placement != "admin":
        raise ValueError(f"stack: its placement is {stack.placement!r}; allowed is 'admin'")
    omegas: list[float] = [1.0]
    handles: list[RemovableHandle] = []
    skip_variance: dict[Sublayer, float] = {}

    def set_omega(sublayer: Any, args: tuple) -> None:
        sublayer.skip.factor.fill_(omegas[-1])
        skip_variance[sublayer] = (omegas[-1] * args[0]).var(unbiased=False).item()

    def add_branch(sublayer: Sublayer) -> None:
        def hook(f: nn.Module, args: tuple, value: Tensor) -> None:
            omegas.append((skip_variance[sublayer] + value.var(unbiased=False).item()) ** 0.5)

        f: Any = sublayer.f
        handles.append(f.register_forward_hook(hook))

    for sublayer in (module for module in stack.modules() if isinstance(module, Sublayer)):
        handles.append(sublayer.register_forward_pre_hook(set_omega))
        add_branch(sublayer)
    try:
        stack(x, **inputs)
    finally:
        for handle in handles:
            handle.remove()
    return omegas[:-1]
