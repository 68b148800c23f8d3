"""Parameters, operations and memory of Gopher's models, counted from their shapes.

The architecture is that of Rae et al. 2021, section 3.1: a decoder with RMSNorm and Transformer-XL's relative
positions (Dai et al. 2019, section 3.3), the embedding shared with the output. The operations are those of Hoffmann
et al. 2022, appendix F. Names: d is `d_model`, k is `key_size` times `n_heads`, f is `ffw_size`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from papertrail.experiments import at_least_one
from papertrail.gopher import published as paper
from papertrail.gopher.published import ModelShape

BYTES_PER_PARAMETER = 2 + 4 + 4  # a bfloat16 parameter and Adam's two moments in float32
REMATERIALIZATION = 4 / 3  # the forward pass, a third of the work, is done once more


@dataclass(frozen=True)
class ParameterCount:
    """Where the parameters of one model are."""

    attention: int  # q, k, v and output: 4 d k a layer
    relative_positions: int  # the projection of the relative positions: d k a layer, the 13th d^2
    feed_forward: int  # 2 d f a layer
    embedding: int
    output: int  # 0 where it is the embedding
    norms: int  # two gains a layer, and a last one
    biases: int  # of the six matrices above, and Transformer-XL's u and v

    @property
    def total(self) -> int:
        """All parts together."""
        return sum(asdict(self).values())


def parameter_breakdown(
    n_layers: int, d_model: int, n_heads: int, key_size: int, ffw_size: int, vocab_size: int,
    *, relative_positions: bool = True, tied: bool = True,
) -> ParameterCount:  # fmt: skip
    """Parameters of a decoder of Gopher's kind, part by part (Rae et al. 2021, section 3.1 and table 1).

    With `n_heads * key_size = d_model` and `ffw_size = 4 * d_model` the matrices are 13 d^2 a layer: 4 for attention,
    8 for the feed-forward net, and one that projects the relative positions. That the published counts need this
    one is certain; which vectors the models have is not (they are below a thousandth).

    Args:
        relative_positions: with Transformer-XL's projection and its two vectors u and v.
        tied: the output shares the embedding's matrix.

    Raises:
        ValueError: a size is not an integer of at least 1.
    """
    at_least_one(
        n_layers=n_layers,
        d_model=d_model,
        n_heads=n_heads,
        key_size=key_size,
        ffw_size=ffw_size,
        vocab_size=vocab_size,
    )
    heads = n_heads * key_size
    biases = 3 * heads + d_model + ffw_size + d_model + (2 * heads if relative_positions else 0)
    return ParameterCount(
        attention=n_layers * 4 * d_model * heads,
        relative_positions=n_layers * d_model * heads if relative_positions else 0,
        feed_forward=n_layers * 2 * d_model * ffw_size,
        embedding=vocab_size * d_model,
        output=0 if tied else vocab_size * d_model,
        norms=n_layers * 2 * d_model + d_model,
        biases=n_layers * biases,
    )


def count_parameters(
    n_layers: int, d_model: int, n_heads: int, key_size: int, ffw_size: int, vocab_size: int,
    *, relative_positions: bool = True, tied: bool = True,
) -> int:  # fmt: skip
    """The total of `parameter_breakdown`; same arguments, same errors."""
    return parameter_breakdown(
        n_layers, d_model, n_heads, key_size, ffw_size, vocab_size,
        relative_positions=relative_positions, tied=tied,
    ).total  # fmt: skip


def forward_flops(
    n_layers: int, d_model: int, n_heads: int, key_size: int, ffw_size: int, vocab_size: int,
    *, context: int = paper.CONTEXT, embeddings: bool = False,
) -> int:  # fmt: skip
    """Operations of one forward pass over one sequence of `context` tokens (Hoffmann et al. 2022, appendix F).

    A product of (m, n) and (n, p) is 2 m n p operations. As there, the projection of relative positions is not
    counted.

    Args:
        embeddings: count embedding and logits too, as the appendix's text says. Its table A4 comes out without them.

    Raises:
        ValueError: a size is not an integer of at least 1.
    """
    at_least_one(
        n_layers=n_layers, d_model=d_model, n_heads=n_heads, key_size=key_size, ffw_size=ffw_size,
        vocab_size=vocab_size, context=context,
    )  # fmt: skip
    heads = n_heads * key_size
    layer = (
        2 * 3 * context * d_model * heads  # q, k and v
        + 2 * context * context * heads  # queries times keys
        + 3 * n_heads * context * context  # softmax
        + 2 * context * context * heads  # weights times values
        + 2 * context * heads * d_model  # output projection
        + 2 * context * (d_model * ffw_size + d_model * ffw_size)
    )
    ends = 2 * (2 * context * vocab_size * d_model) if embeddings else 0
    return n_layers * layer + ends


def training_flops(
    n_layers: int, d_model: int, n_heads: int, key_size: int, ffw_size: int, vocab_size: int,
    *, tokens: int = paper.TRAINING_TOKENS, context: int = paper.CONTEXT, embeddings: bool = False,
    rematerialized: bool = False,
) -> float:  # fmt: skip
    """Operations of a whole training run: three forward passes for each token (Hoffmann et al. 2022, appendix F).

    The backward pass is two of them.

    Args:
        rematerialized: the forward pass is done once more in the backward pass, to save memory: 4/3 of the work.

    Raises:
        ValueError: a size or the number of tokens is not an integer of at least 1.
    """
    at_least_one(tokens=tokens)
    forward = forward_flops(
        n_layers, d_model, n_heads, key_size, ffw_size, vocab_size, context=context, embeddings=embeddings
    )
    return 3 * forward * tokens / context * (REMATERIALIZATION if rematerialized else 1)


def six_nd(parameters: float, tokens: float = paper.TRAINING_TOKENS) -> float:
    """The rule of thumb for the operations of a training run: 6 for each parameter and token."""
    return 6 * parameters * tokens


def sizes(shape: ModelShape) -> tuple[int, int, int, int, int, int]:
    """A published shape as the arguments of `count_parameters` and `training_flops`."""
    return (
        shape.n_layers, shape.d_model, shape.n_heads, shape.key_size, shape.ffw_size, paper.VOCABULARY,
    )  # fmt: skip


@dataclass(frozen=True)
class CountedModel:
    """A published model, its parameters counted four ways, and its operations."""

    shape: ModelShape
    parts: ParameterCount
    without_relative: int
    untied: int
    six_nd: float
    flops: float  # appendix F without embedding and logits
    flops_with_embeddings: float
    flops_rematerialized: float

    @property
    def error(self) -> float:
        """Counted minus published parameters."""
        return self.parts.total - self.shape.published

    def rounds_to_published(self, count: int) -> bool:
        """Whether a count, rounded to the published digits, is the published number."""
        return abs(count - self.shape.published) <= self.shape.unit / 2

    @property
    def matrices(self) -> int:
        """Without norms and biases: 13 L d^2 and the embedding, the N that table A4 of Hoffmann et al. needs."""
        return self.parts.total - self.parts.norms - self.parts.biases

    @property
    def tokens_per_parameter(self) -> float:
        """Tokens read in training for each parameter counted."""
        return paper.TRAINING_TOKENS / self.parts.total


def measure_models(shapes: Sequence[ModelShape]) -> list[CountedModel]:
    """Count published models; operations are those of Gopher's 300 billion tokens."""
    return [
        CountedModel(
            shape,
            parameter_breakdown(*sizes(shape)),
            without_relative=count_parameters(*sizes(shape), relative_positions=False),
            untied=count_parameters(*sizes(shape), tied=False),
            six_nd=six_nd(count_parameters(*sizes(shape))),
            flops=training_flops(*sizes(shape)),
            flops_with_embeddings=training_flops(*sizes(shape), embeddings=True),
            flops_rematerialized=training_flops(*sizes(shape), rematerialized=True),
        )
        for shape in shapes
    ]


@dataclass(frozen=True)
class FlopRatio:
    """One row of Hoffmann's table A4: operations over 6ND, printed and recomputed without and with embeddings."""

    millions: int
    printed: float
    without: float
    with_embeddings: float


def measure_flop_ratios() -> list[FlopRatio]:
    """Recompute the six ratios of Hoffmann et al. 2022, table A4, with N = 13 L d^2 + V d."""
    found = []
    for model in measure_models(paper.chinchilla_shapes()):
        millions = round(model.shape.published / 1e6)
        if millions in paper.FLOP_RATIOS:
            rule = six_nd(model.matrices)
            ratios = (model.flops / rule, model.flops_with_embeddings / rule)
            found.append(FlopRatio(millions, paper.FLOP_RATIOS[millions], *ratios))
    return found


@dataclass(frozen=True)
class ActivationMemory:
    """Bytes that the backward pass needs from one sequence; the model's layers together."""

    linear: int  # inputs of norms, of matrix products and of the nonlinearity
    attention_weights: int
    rematerialized: int  # only each layer's input is kept

    @property
    def total(self) -> int:
        """Both parts together, in bytes."""
        return self.linear + self.attention_weights


def activation_memory(
    n_layers: int, d_model: int, n_heads: int, key_size: int, ffw_size: int, *,
    context: int = paper.CONTEXT, bytes_per_number: int = 2,
) -> ActivationMemory:  # fmt: skip
    """What one sequence leaves in memory for the backward pass: an estimate from the shapes, not a published number.

    A pre-norm layer keeps, for each token: the inputs and outputs of its two norms (4 d), q, k, v and the heads'
    output (4 k), the feed-forward net before and after its nonlinearity (2 f), and a row of attention weights for
    each head (`n_heads * context`). Relative positions, dropout, embedding and logits are left out.

    Raises:
        ValueError: a size is not an integer of at least 1.
    """
    at_least_one(
        n_layers=n_layers, d_model=d_model, n_heads=n_heads, key_size=key_size, ffw_size=ffw_size, context=context,
        bytes_per_number=bytes_per_number,
    )  # fmt: skip
    numbers = n_layers * context * bytes_per_number
    linear = 4 * d_model + 4 * n_heads * key_size + 2 * ffw_size
    return ActivationMemory(numbers * linear, numbers * n_heads * context, numbers * d_model)


@dataclass(frozen=True)
class Hardware:
    """What Gopher's run asked of its machines; arithmetic on published numbers."""

    state_tib: float  # parameters and Adam's state
    cores_for_state: int  # how many cores of 16 GiB hold it
    activations_gib: float  # of one sequence
    rematerialized_gib: float
    tflops_per_chip: float  # recomputation counted
    share_of_peak: float
    model_utilization: float  # Chowdhery's way: recomputation not counted
    steps: float
    tokens: float
    energy_mwh: float


def measure_hardware() -> Hardware:
    """Memory, utilization and energy of Gopher 280B, from its shape and the published run.

    Utilization as in Chowdhery et al. 2022, appendix B: 6 N + 12 L k S operations for each token, over the peak.
    """
    shape = paper.gopher_models()[-1]
    parameters = count_parameters(*sizes(shape))
    state = parameters * BYTES_PER_PARAMETER
    kept = activation_memory(*sizes(shape)[:5])
    seconds = paper.HOURS * 3600
    per_chip = paper.GOPHER_FLOPS / (paper.CHIPS * seconds)
    heads = shape.n_heads * shape.key_size
    per_token = 6 * parameters + 12 * shape.n_layers * heads * paper.CONTEXT
    step_tokens = paper.SEQUENCES_PER_STEP * paper.CONTEXT
    steps = paper.STEPS_PER_SECOND * seconds
    return Hardware(
        state_tib=state / 2**40,
        cores_for_state=-(-state // (paper.CORE_GIB * 2**30)),
        activations_gib=kept.total / 2**30,
        rematerialized_gib=kept.rematerialized / 2**30,
        tflops_per_chip=per_chip / 1e12,
        share_of_peak=per_chip / paper.PEAK_FLOPS,
        model_utilization=per_token * step_tokens * paper.STEPS_PER_SECOND / (paper.CHIPS * paper.PEAK_FLOPS),
        steps=steps,
        tokens=steps * step_tokens,
        energy_mwh=paper.CHIPS * paper.HOURS * paper.WATTS_PER_CHIP / 1e6,
    )
