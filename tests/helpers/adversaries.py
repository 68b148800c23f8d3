"""Models written to mislead a reader of norms. Each says what is true of it; no name in them is to be trusted."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from papertrail.architecture_diagram import Report, inspect_model
from papertrail.architecture_diagram.transformer import FeedForward, MultiHeadAttention
from papertrail.experiments import seeded

D, HEADS, INNER, DEPTH = 16, 2, 32, 3


def attention() -> MultiHeadAttention:
    return MultiHeadAttention(D, HEADS)


def mlp() -> FeedForward:
    return FeedForward(D, INNER)


class Stack(nn.Module):
    """Blocks in a row, and perhaps a norm."""

    def __init__(
        self, make: Callable[[], nn.Module], final: nn.Module | None = None, depth: int = DEPTH
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList(make() for _ in range(depth))
        self.last = final

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x if self.last is None else self.last(x)


class Two(nn.Module):
    """An attention, a feed-forward, and two norms; subclasses say where they go."""

    norm: Callable[[], nn.Module] = staticmethod(lambda: nn.LayerNorm(D))

    def __init__(self) -> None:
        super().__init__()
        self.f, self.g = attention(), mlp()
        self.n, self.m = self.norm(), self.norm()


class InlineLayerNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(1 + torch.rand(D)), nn.Parameter(torch.rand(D))

    def forward(self, x: Tensor) -> Tensor:
        centered = x - x.mean(-1, keepdim=True)
        return centered / (centered.pow(2).mean(-1, keepdim=True) + 1e-6) ** 0.5 * self.weight + self.bias


class Annotated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.ones(D)), nn.Parameter(torch.zeros(D))

    def forward(self, x: Tensor) -> Tensor:
        return self.a * (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6) + self.b


class VarMean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=-1, keepdim=True, correction=0)
        return (x - mean) * torch.rsqrt(variance + 1e-6)


class DotProduct(nn.Module):
    """RMSNorm whose mean square is an inner product."""

    def forward(self, x: Tensor) -> Tensor:
        square = torch.einsum("btd,btd->bt", x, x)[..., None]
        return x * math.sqrt(D) / torch.sqrt(square + 1e-6)


class LengthNorm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=-1) * D**0.5


class ByFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return F.rms_norm(x, (D,))

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class HandWrittenGradient(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return ByFunction.apply(x)


@torch.library.custom_op("papertrail_tests::fused_norm", mutates_args=())
def fused_norm(x: Tensor) -> Tensor:
    return F.layer_norm(x, (x.shape[-1],))


class Fused(nn.Module):
    """A norm inside an operation that torch knows nothing about."""

    def forward(self, x: Tensor) -> Tensor:
        return fused_norm(x)


class ChannelsFirst(nn.Module):
    """LayerNorm of channels, with the channels in front of the positions."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.transpose(1, 2)
        y = (y - y.mean(1, keepdim=True)) / (y.var(1, keepdim=True, correction=0) + 1e-6).sqrt()
        return y.transpose(1, 2)


class OneGroup(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x.reshape(-1, D), 1).reshape(x.shape)


class Pre(Two):
    def forward(self, x):
        x = x + self.f(self.n(x))
        return x + self.g(self.m(x))


class Post(Two):
    def forward(self, x):
        x = self.n(x + self.f(x))
        return self.m(x + self.g(x))


def pre_with(norm: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return type("PreWith", (Pre,), {"norm": staticmethod(norm)})


class InPlace(Two):
    def forward(self, x):
        x += self.f(self.n(x))
        x.add_(self.g(self.m(x)))
        return x


class InPlaceOnTheBranch(Two):
    def forward(self, x):
        y = self.f(self.n(x))
        y += x
        z = self.g(self.m(y))
        z += y
        return z


class IntoABuffer(Two):
    def forward(self, x):
        out = torch.empty_like(x)
        torch.add(x, self.f(x), out=out)
        y = self.n(out)
        out.copy_(y + self.g(y))
        return self.m(out)


class FusedResidual(Two):
    """The sum is the bias of a matrix product."""

    def forward(self, x):
        x = x + self.f(self.n(x))
        hidden = torch.relu(self.g.expand(self.m(x))).flatten(0, 1)
        return torch.addmm(x.flatten(0, 1), hidden, self.g.contract.weight.t()).view_as(x)


class StackedSum(Two):
    def forward(self, x):
        x = torch.stack([x, self.f(self.n(x))]).sum(0)
        return torch.stack((self.g(self.m(x)), x), dim=-1).sum(dim=-1)


class Subtracted(Two):
    def forward(self, x):
        x = x - (-self.f(self.n(x)))
        return torch.sub(x, self.g(self.m(x)), alpha=-1)


class Interpolated(Two):
    """x + 0.5 (f - x): both sides scaled."""

    def forward(self, x):
        x = self.n(torch.lerp(x, self.f(x), 0.5))
        return self.m(torch.lerp(x, self.g(x), 0.5))


class KeywordOnly(Pre):
    def forward(self, *, hidden, unused=None):
        return super().forward(hidden)


class CallsByKeyword(Stack):
    def forward(self, x):
        for part in self.parts:
            x = part(hidden=x)
        return x


class ReturnsTuple(Pre):
    def forward(self, x):
        return (None, super().forward(x[1] if isinstance(x, tuple) else x))


class ReturnsDict(Post):
    def forward(self, x):
        return {"weights": None, "state": super().forward(x["state"] if isinstance(x, dict) else x)}


class Functional(nn.Module):
    """No blocks and no layers: parameters in a list and one loop."""

    def __init__(self, post: bool) -> None:
        super().__init__()
        self.post = post
        shapes = [(D, 3 * D), (D, D), (D, INNER), (INNER, D)]
        self.p = nn.ParameterList(
            nn.Parameter(torch.randn(s) / s[0] ** 0.5) for _ in range(DEPTH) for s in shapes
        )

    def forward(self, x):
        for i in range(0, len(self.p), 4):
            a, b, c, d = self.p[i : i + 4]

            def attend(y, a=a, b=b):
                return F.scaled_dot_product_attention(*(y @ a).chunk(3, -1)) @ b

            def think(y, c=c, d=d):
                return F.gelu(y @ c, approximate="tanh") @ d

            for f in (attend, think):
                x = F.layer_norm(x + f(x), (D,)) if self.post else x + f(F.layer_norm(x, (D,)))
        return x if self.post else F.layer_norm(x, (D,))


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.only = Pre()

    def forward(self, x):
        for _ in range(DEPTH):
            x = self.only(x)
        return x


class Liar(nn.Module):
    """Everything is called what it is not."""

    class LayerNorm(nn.Linear):
        pass

    class Dropout(nn.Module):
        def forward(self, x):
            return F.layer_norm(x, (D,))

    def __init__(self) -> None:
        super().__init__()
        self.pre_layernorm = self.Dropout()
        self.input_layernorm = attention()
        self.post_attention_layernorm = mlp()
        self.final_layer_norm = nn.Identity()
        self.norm1 = self.LayerNorm(D, D)
        self.norm_first = True

    def forward(self, x):
        x = self.pre_layernorm(self.final_layer_norm(x) + self.norm1(self.input_layernorm(x)))
        return self.pre_layernorm(x + self.post_attention_layernorm(x))


class DeadNorm(Two):
    """Computes norms and throws them away."""

    def forward(self, x):
        y = self.n(x)
        x = x + self.f(x) + 0 * self.n(x).detach().sum() * 0
        z = self.m(x)
        del y, z
        return x + self.g(x)


class DeepNorm(Two):
    def forward(self, x):
        x = self.n(2.2 * x + self.f(x))
        return self.m(x * 2.2 + self.g(x))


class LayerScale(Pre):
    def __init__(self) -> None:
        super().__init__()
        self.s, self.t = nn.Parameter(torch.full((D,), 0.1)), nn.Parameter(torch.full((D,), 0.1))

    def forward(self, x):
        x = x + self.s * self.f(self.n(x))
        return x + self.t * self.g(self.m(x))


class ReZero(Two):
    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        x = x + self.alpha * self.f(x)
        return x + self.alpha * self.g(x)


class Adapters(Pre):
    """A small residual network of its own at the end of each branch."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = FeedForward(D, 4), FeedForward(D, 4)

    def forward(self, x):
        y = self.f(self.n(x))
        x = x + (y + self.a(y))
        z = self.g(self.m(x))
        return (z + self.b(z)) + x


class LowRank(Post):
    """A low-rank update beside a matrix (LoRA)."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(D, 2, bias=False), nn.Linear(2, D, bias=False)

    def forward(self, x):
        y = self.f(x)
        x = self.n(x + y + self.up(self.down(y)))
        return self.m(x + self.g(x))


class SubLayerNorm(Pre):
    """Pre-LN with one more norm inside each branch."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.LayerNorm(INNER)

    def forward(self, x):
        x = x + self.f(self.n(x))
        return x + self.g.contract(self.inner(torch.relu(self.g.expand(self.m(x)))))


class SkipNormedTwice(Two):
    """norm(x) + f(norm(x)), the norm called twice."""

    def forward(self, x):
        x = self.n(x) + self.f(self.n(x))
        return self.m(x) + self.g(self.m(x))


class Halves(Two):
    """The attention reads a norm for its queries and the bare stream for its keys and values."""

    def forward(self, x):
        x = x + self.f(self.n(x), x)
        return x + self.g(self.m(x))


class MixedRules(Two):
    """Attention Pre-LN, feed-forward Post-LN."""

    def forward(self, x):
        x = x + self.f(self.n(x))
        return self.m(x + self.g(x))


class BottomToTop(Two):
    """B2T (Takase et al. 2022): the block's input skips both sub-layers as well."""

    def forward(self, x):
        h = self.n(x + self.f(x))
        return self.m(x + h + self.g(h))


class ResiDualBlock(nn.Module):
    """Xie et al. 2023: a Post-LN stream, and beside it a running sum of the branches."""

    def __init__(self) -> None:
        super().__init__()
        self.f, self.g, self.n, self.m = attention(), mlp(), nn.LayerNorm(D), nn.LayerNorm(D)

    def forward(self, pair):
        x, d = pair
        for f, norm in ((self.f, self.n), (self.g, self.m)):
            branch = f(x)
            d = d + branch
            x = norm(x + branch)
        return x, d


class ResiDual(Stack):
    def forward(self, x):
        pair = x, x
        for part in self.parts:
            pair = part(pair)
        return pair[0] + F.layer_norm(pair[1], (D,))


class Deferred(nn.Module):
    """Hands the sum to the next block, as fused kernels want it: (branch, residual)."""

    def __init__(self) -> None:
        super().__init__()
        self.f, self.g, self.n, self.m = attention(), mlp(), nn.RMSNorm(D), nn.RMSNorm(D)

    def forward(self, branch, residual):
        residual = branch if residual is None else branch + residual
        h = self.f(self.n(residual))
        residual = h + residual
        return self.g(self.m(residual)), residual


class DeferredStack(Stack):
    def forward(self, x):
        residual = None
        for part in self.parts:
            x, residual = part(x, residual)
        return self.last(x + residual)


class Parallel(Two):
    def forward(self, x):
        return self.f(self.n(x)) + self.g(self.m(x)) + x


class ParallelOneNorm(Two):
    def forward(self, x):
        y = self.n(x)
        out = self.g(y)
        out += self.f(y)
        return x + out


class ParallelPost(Two):
    def forward(self, x):
        return self.n(x + self.f(x) + self.g(x))


class StochasticDepth(Pre):
    def forward(self, x):
        keep = torch.bernoulli(torch.full((x.shape[0], 1, 1), 0.9))
        x = x + keep / 0.9 * self.f(self.n(x))
        return x + self.g(self.m(x)) * keep


class LongSkip(Stack):
    """A skip over all blocks."""

    def forward(self, x):
        return x + super().forward(x)


class Checkpointed(Stack):
    def forward(self, x):
        for part in self.parts:
            x = checkpoint(part, x, use_reentrant=False)
        return x


class Padded(Post):
    """Masks its padding in place after every block, and clamps as T5 does in half precision."""

    def forward(self, x):
        mask = torch.ones(*x.shape[:2], 1)
        mask[:, -1] = 0
        x = super().forward(x).clamp(-1e4, 1e4)
        x *= mask
        return x


class NormInTheLoop(Stack):
    """The norm after each block is called by the stack."""

    def __init__(self, make, norm):
        super().__init__(make)
        self.norms = nn.ModuleList(norm() for _ in self.parts)

    def forward(self, x):
        for part, norm in zip(self.parts, self.norms, strict=True):
            x = norm(part(x))
        return x


class OneSum(nn.Module):
    def __init__(self, norm: str) -> None:
        super().__init__()
        self.f, self.n, self.kind = attention(), nn.LayerNorm(D), norm

    def forward(self, x):
        return (
            x + self.f(self.n(x))
            if self.kind == "pre"
            else self.n(x + self.f(x))
            if self.kind == "post"
            else x + self.f(x)
        )


class Macaron(nn.Module):
    """Half a feed-forward, attention, half a feed-forward; all Pre-LN."""

    def __init__(self) -> None:
        super().__init__()
        self.f, self.g, self.h = mlp(), attention(), mlp()
        self.n = nn.ModuleList(nn.LayerNorm(D) for _ in range(3))

    def forward(self, x):
        x = x + 0.5 * self.f(self.n[0](x))
        x = x + self.g(self.n[1](x))
        return x + 0.5 * self.h(self.n[2](x))


class TimeAdded(Stack):
    """Adds something to the stream between blocks, as diffusion models do."""

    def __init__(self, make, final=None):
        super().__init__(make, final)
        self.t = nn.Linear(1, D)

    def forward(self, x):
        for i, part in enumerate(self.parts):
            x = part(x + self.t(x.new_full((1,), float(i))))
        return x


class AdaptiveNorm(Two):
    """A norm without parameters, whose gain, bias and gate come from elsewhere (DiT)."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Linear(D, 6 * D)

    def forward(self, pair):
        x, condition = pair
        s, b, gate, t, c, hold = self.c(condition).chunk(6, -1)
        x = x + gate * self.f(F.layer_norm(x, (D,)) * (1 + s) + b)
        return torch.addcmul(x, hold, self.g(F.layer_norm(x, (D,)) * (1 + t) + c)), condition


class Conditioned(Stack):
    """The first position is no part of the stream: it conditions the others."""

    def forward(self, x):
        pair = x[:, 1:], x[:, :1]
        for part in self.parts:
            pair = part(pair)
        return pair[0]


class Latents(nn.Module):
    """The stream starts from a parameter, and looks at the input."""

    def __init__(self) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(1, 4, D))
        self.look, self.n = nn.ModuleList(attention() for _ in range(DEPTH)), nn.LayerNorm(D)
        self.g, self.m = nn.ModuleList(mlp() for _ in range(DEPTH)), nn.LayerNorm(D)

    def forward(self, x):
        z = self.latents.expand(len(x), -1, -1)
        for look, g in zip(self.look, self.g, strict=True):
            z = z + look(self.n(z), x)
            z = z + g(self.m(z))
        return z


class Softmaxed(Two):
    """A softmax over features is no norm, though it divides by a sum."""

    def forward(self, x):
        x = x + self.f(x.exp() / x.exp().sum(-1, keepdim=True))
        return x + self.g(x.softmax(-1))


class Highway(nn.Module):
    """g f(x) + (1 - g) x, the gate computed from x (Srivastava et al. 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.f, self.t = mlp(), nn.Linear(D, D)

    def forward(self, x):
        gate = torch.sigmoid(self.t(x))
        return gate * self.f(x) + (1 - gate) * x


class Batch(Two):
    """Batch norm is none of the norms asked for."""

    norm = staticmethod(lambda: nn.BatchNorm1d(D))

    def forward(self, x):
        x = x + self.f(self.n(x.transpose(1, 2)).transpose(1, 2))
        return x + self.g(self.m(x.transpose(1, 2)).transpose(1, 2))


class FoldedGain(nn.Module):
    """RMSNorm whose gain is multiplied into the reciprocal root first."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(1 + torch.rand(D))

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.weight * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class MeanTakenOffLast(nn.Module):
    """LayerNorm as x / s - mean / s."""

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=-1, keepdim=True, correction=0)
        scale = torch.rsqrt(variance + 1e-6)
        return x * scale - mean * scale


class LargeEps(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-2)


class VectorByVector(nn.Module):
    """Written for one vector, and mapped over the others."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.vmap(torch.vmap(lambda y: y * torch.rsqrt(y.pow(2).mean() + 1e-6)))(x)


@torch.library.custom_op("papertrail_tests::norm_into", mutates_args={"out"})
def norm_into(out: Tensor, x: Tensor) -> None:
    out.copy_(F.rms_norm(x, (x.shape[-1],)))


class IntoItsArgument(nn.Module):
    """A fused norm that returns nothing and writes into its first argument."""

    def forward(self, x: Tensor) -> Tensor:
        out = torch.empty_like(x)
        norm_into(out, x)
        return out


class TimeFirst(Post):
    """Positions on the first axis, the batch on the second."""

    def forward(self, x):
        x = self.n(x + self.f(x.transpose(0, 1)).transpose(0, 1))
        return self.m(x + self.g(x))


class TimeFirstStack(Stack):
    def forward(self, x):
        return super().forward(x.transpose(0, 1))


class Joint(nn.Module):
    """Two streams, one attention over both (SD3's blocks)."""

    def __init__(self) -> None:
        super().__init__()
        self.f, self.g, self.h = attention(), mlp(), mlp()
        self.n = nn.ModuleList(nn.LayerNorm(D) for _ in range(4))

    def forward(self, pair):
        x, c = pair
        both = self.f(torch.cat([self.n[0](x), self.n[1](c)], 1))
        x, c = x + both[:, : x.shape[1]], c + both[:, x.shape[1] :]
        return x + self.g(self.n[2](x)), c + self.h(self.n[3](c))


class TwoStreams(Stack):
    def forward(self, x):
        pair = x[:, :2], x[:, 2:]
        for part in self.parts:
            pair = part(pair)
        return pair


class FirstMixedIn(Stack):
    """Every block reads nine tenths of the stream and one tenth of its beginning."""

    def forward(self, x):
        first = x
        for part in self.parts:
            x = part(0.9 * x + 0.1 * first)
        return x


class ParallelScaled(Two):
    """The branches' sum is scaled before it is added, as in ViT-22B's code."""

    def forward(self, x):
        y = self.n(x)
        return x + 0.5 * (self.f(y) + self.g(y))


class ParallelNormed(Two):
    def forward(self, x):
        return x + self.n(self.f(x) + self.g(x))


class KeptWhereMasked(Two):
    """Some positions keep their value; the norm follows for all."""

    def forward(self, x):
        mask = torch.arange(x.shape[1])[:, None] > 0
        x = self.n(torch.where(mask, x + self.f(x), x))
        return self.m(torch.where(mask, x + self.g(x), x))


@dataclass
class InAnObject:
    state: Tensor


class FromAnObject(Stack):
    """The input comes in an object that nothing can look into."""

    def forward(self, x):
        return super().forward(x.state)


class Wrapped(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(InAnObject(torch.tensor(x.tolist())))


@dataclass(frozen=True)
class Case:
    """A model and what is true of it: placement, norm, parallel, final norm, number of blocks."""

    name: str
    make: Callable[[], nn.Module]
    placement: str
    norm: str = "layernorm"
    parallel: bool = False
    final_norm: bool = False
    num_blocks: int = DEPTH


def of(block: Callable[[], nn.Module], final: Callable[[], nn.Module] | None = None, stack=Stack):
    return lambda: stack(block, final() if final else None)


def last() -> nn.Module:
    return nn.LayerNorm(D)


CASES = [
    *(
        Case(norm.__name__, of(pre_with(norm), norm), "pre", kind, final_norm=True)
        for norm, kind in (
            (InlineLayerNorm, "layernorm"),
            (Annotated, "layernorm"),
            (VarMean, "layernorm"),
            (Fused, "layernorm"),
            (ChannelsFirst, "layernorm"),
            (OneGroup, "layernorm"),
            (DotProduct, "rmsnorm"),
            (LengthNorm, "rmsnorm"),
            (HandWrittenGradient, "rmsnorm"),
            (MeanTakenOffLast, "layernorm"),
            (FoldedGain, "rmsnorm"),
            (LargeEps, "rmsnorm"),
            (VectorByVector, "rmsnorm"),
            (IntoItsArgument, "rmsnorm"),
        )
    ),
    Case("in place", of(InPlace, last), "pre", final_norm=True),
    Case("in place on the branch", of(InPlaceOnTheBranch), "pre"),
    Case("into a buffer", of(IntoABuffer), "post"),
    Case("fused residual", of(FusedResidual), "pre"),
    Case("stacked sum", of(StackedSum), "pre"),
    Case("subtracted", of(Subtracted), "pre"),
    Case("interpolated", of(Interpolated), "post"),
    Case("keyword only", of(KeywordOnly, stack=CallsByKeyword), "pre"),
    Case("returns a tuple", of(ReturnsTuple), "pre"),
    Case("returns a dict", of(ReturnsDict), "post"),
    Case("functional, post", lambda: Functional(True), "post"),
    Case("functional, pre", lambda: Functional(False), "pre", final_norm=True),
    Case("shared", Shared, "pre"),
    Case("liar", of(Liar), "post"),
    Case("dead norm", of(DeadNorm), "none", "none"),
    Case("DeepNorm", of(DeepNorm), "post"),
    Case("LayerScale", of(LayerScale, last), "pre", final_norm=True),
    Case("ReZero", of(ReZero), "none", "none"),
    Case("adapters", of(Adapters), "pre"),
    Case("low rank", of(LowRank), "post"),
    Case("norm inside the branch", of(SubLayerNorm), "pre"),
    Case("skip normed too", of(SkipNormedTwice), "hybrid"),
    Case("half the entrances", of(Halves), "hybrid"),
    Case("mixed rules", of(MixedRules), "hybrid"),
    Case("B2T", of(BottomToTop), "hybrid"),
    Case("ResiDual", of(ResiDualBlock, stack=ResiDual), "hybrid"),
    Case(
        "deferred sum", of(Deferred, lambda: nn.RMSNorm(D), DeferredStack), "pre", "rmsnorm", final_norm=True
    ),
    Case("parallel", of(Parallel), "pre", parallel=True),
    Case("parallel, one norm", of(ParallelOneNorm, last), "pre", parallel=True, final_norm=True),
    Case("parallel, post", of(ParallelPost), "post", parallel=True),
    Case("stochastic depth", of(StochasticDepth), "pre"),
    Case("long skip", of(Pre, stack=LongSkip), "pre"),
    Case("checkpointed", of(Post, stack=Checkpointed), "post"),
    Case("padded", of(Padded), "post"),
    Case("norm in the loop", lambda: NormInTheLoop(lambda: OneSum("none"), last), "post"),
    Case("one sum, pre", of(lambda: OneSum("pre")), "pre"),
    Case("one sum, post", of(lambda: OneSum("post")), "post"),
    Case("one block, post", lambda: Stack(Post, depth=1), "post", num_blocks=1),
    Case("one block, pre", lambda: Stack(Pre, last(), depth=1), "pre", final_norm=True, num_blocks=1),
    Case("the block itself, post", Post, "post", num_blocks=1),
    Case("the block itself, pre", Pre, "pre", num_blocks=1),
    Case("macaron", of(Macaron, last), "pre", final_norm=True),
    Case("time added", of(Pre, stack=TimeAdded), "pre"),
    Case("adaptive norm", of(AdaptiveNorm, stack=Conditioned), "pre"),
    Case("latents", Latents, "pre"),
    Case("time first", of(TimeFirst, stack=TimeFirstStack), "post"),
    Case("two joint streams", of(Joint, stack=TwoStreams), "pre", num_blocks=2 * DEPTH),
    Case("beginning mixed in", of(Pre, stack=FirstMixedIn), "hybrid"),
    Case("parallel, scaled", of(ParallelScaled), "pre", parallel=True),
    Case("parallel, normed", of(ParallelNormed), "res-post", parallel=True),
    Case("kept where masked", of(KeptWhereMasked), "post"),
    Case("input in an object", lambda: Wrapped(FromAnObject(Post)), "post"),
    Case("highway", of(Highway), "hybrid", "none"),
    Case("softmaxed", of(Softmaxed), "none", "none"),
    Case("batch norm", of(Batch), "none", "none"),
]

BY_NAME = {case.name: case for case in CASES}


@cache
def report(name: str) -> Report:
    """What the inspector finds in one of the cases, in eval mode."""
    with seeded(0):
        return inspect_model(BY_NAME[name].make().eval(), torch.randn(2, 5, D))
