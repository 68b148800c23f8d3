"""Models of 2017 to 2025, built small with random weights, and where each is said to put its norms.

Hugging Face classes come from `transformers`, which only this module and its tests need; nothing is downloaded.
What has no class there is written out here after its paper.

    python -m papertrail.architecture_diagram.zoo    inspect them all and record the result
"""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from papertrail.architecture_diagram.inspector import inspect_model
from papertrail.architecture_diagram.sublayer import Sublayer
from papertrail.architecture_diagram.transformer import FeedForward, MultiHeadAttention, Transformer
from papertrail.experiments import load_record, progress, results_file, save_record

VOCAB, WIDTH, LAYERS, HEADS, INNER, LENGTH = 64, 32, 2, 2, 64, 6

# One model names its sizes in one of these ways.
BERT_SIZES = {
    "vocab_size": VOCAB, "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "intermediate_size": INNER,
}  # fmt: skip
LLAMA_SIZES = BERT_SIZES | {"num_key_value_heads": HEADS, "head_dim": WIDTH // HEADS}
CHAMELEON_SIZES = BERT_SIZES | {
    "num_key_value_heads": HEADS,
    "vocabulary_map": {"<image>": 4},
    "vq_config": {
        "base_channels": 32, "embed_dim": 8, "latent_channels": 8, "num_embeddings": 8, "channel_multiplier": [1],
        "num_res_blocks": 1,
    },
}  # fmt: skip
GPT_SIZES = {"vocab_size": VOCAB, "n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS}
BART_SIZES = {
    "vocab_size": VOCAB, "d_model": WIDTH, "encoder_layers": LAYERS, "decoder_layers": LAYERS,
    "encoder_attention_heads": HEADS, "decoder_attention_heads": HEADS, "encoder_ffn_dim": INNER,
    "decoder_ffn_dim": INNER,
}  # fmt: skip
OPT_SIZES = {
    "vocab_size": VOCAB, "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "ffn_dim": INNER, "max_position_embeddings": 64, "word_embed_proj_dim": WIDTH,
}  # fmt: skip
IMAGE_SIZES = {
    "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER,
    "image_size": 32, "patch_size": 8,
}  # fmt: skip
SWIN_SIZES = {
    "image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4,
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One model: how to build and call it, and what the literature or its code says about its norms.

    Attributes:
        name, year: what it is called, and when it appeared.
        build: gives the model and the keyword arguments to call it with.
        placement, norm, parallel, final_norm: what is expected of the inspector.
    """

    name: str
    year: int
    build: Callable[[], tuple[nn.Module, dict[str, Tensor]]]
    placement: str
    norm: str = "layernorm"
    parallel: bool = False
    final_norm: bool = True

    @property
    def expected(self) -> dict[str, Any]:
        """What the inspector should find, by field of its report."""
        return {name: getattr(self, name) for name in ("placement", "norm", "parallel", "final_norm")}


def tokens(seed: int = 0) -> Tensor:
    """Token ids, shape (1, LENGTH); drawn apart from the caller's random state."""
    return torch.randint(3, VOCAB, (1, LENGTH), generator=torch.Generator().manual_seed(seed))


def hugging_face(
    family: str, sizes: dict[str, Any], model: str = "", inputs: str = "text", **options: Any
) -> Callable[[], tuple[nn.Module, dict[str, Tensor]]]:
    """How to build `<family>Model` from a `<family>Config` of the given sizes, and what to feed it."""

    def build() -> tuple[nn.Module, dict[str, Tensor]]:
        import transformers

        logging.getLogger("transformers").setLevel(logging.ERROR)
        config = getattr(transformers, f"{family}Config")(**(sizes | options))
        for name in ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"):
            value = getattr(config, name, None)
            if isinstance(value, int) and value >= VOCAB:
                setattr(config, name, 1)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            built = getattr(transformers, model or f"{family}Model")(config).eval()
        return built, example_inputs(inputs)

    return build


def example_inputs(kind: str) -> dict[str, Tensor]:
    """Small inputs: "text", "text pair" (encoder-decoder), "image", "sound", "spectrogram" or "vectors".

    Shapes: those of the models: token ids (B, T), an image (B, 3, H, W), sound (B, T), vectors (B, T, D).
    """
    generator = torch.Generator().manual_seed(1)
    if kind == "image":
        return {"pixel_values": torch.randn(1, 3, 32, 32, generator=generator)}
    if kind == "sound":
        return {"input_values": torch.randn(1, 400, generator=generator)}
    if kind == "spectrogram":
        return {"input_features": torch.randn(1, 8, 16, generator=generator), "decoder_input_ids": tokens(1)}
    if kind == "vectors":
        return {"inputs": torch.randn(1, LENGTH, WIDTH, generator=generator)}
    if kind == "text pair":
        return {"input_ids": tokens(), "decoder_input_ids": tokens(1)}
    return {"input_ids": tokens()}


def _written_out(make: Callable[[], nn.Module]) -> Callable[[], tuple[nn.Module, dict[str, Tensor]]]:
    def build() -> tuple[nn.Module, dict[str, Tensor]]:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            return make().eval(), {"x": torch.randn(2, LENGTH, WIDTH)}

    return build


class PaLMBlock(nn.Module):
    """y = x + MLP(LayerNorm(x)) + Attention(LayerNorm(x)), no biases (Chowdhery et al. 2022, section 2).

    The layout is the paper's; sizes, attention and MLP are ours.

    Shapes: x (B, T, D) -> (B, T, D).
    """

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH, bias=False) for _ in range(2))
        self.attention = MultiHeadAttention(WIDTH, HEADS)
        maps = nn.Linear(WIDTH, INNER, bias=False), nn.Linear(INNER, WIDTH, bias=False)
        self.mlp = nn.Sequential(maps[0], nn.SiLU(), maps[1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(self.norms[0](x)) + self.attention(self.norms[1](x))


def _blocks(make: Callable[[], nn.Module], final_norm: bool = True) -> nn.Sequential:
    return nn.Sequential(
        *(make() for _ in range(LAYERS)), nn.LayerNorm(WIDTH) if final_norm else nn.Identity()
    )


class NamedInput(nn.Module):
    """Call a stack with its input by name, as the zoo calls every model.

    Shapes: x (B, T, D) -> what the stack makes of it, (B, T, D).
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def _two_sublayers(preprocess: str, postprocess: str) -> nn.Module:
    return nn.Sequential(
        Sublayer(MultiHeadAttention(WIDTH, HEADS), preprocess, postprocess, d_model=WIDTH),
        Sublayer(FeedForward(WIDTH, INNER), preprocess, postprocess, d_model=WIDTH),
    )


def _original(preprocess: str, postprocess: str) -> Callable[[], tuple[nn.Module, dict[str, Tensor]]]:
    def build() -> tuple[nn.Module, dict[str, Tensor]]:
        sizes = {"d_model": WIDTH, "num_heads": HEADS, "d_ff": INNER, "num_layers": LAYERS}
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            model = Transformer(VOCAB, **sizes, preprocess=preprocess, postprocess=postprocess)
        return model.eval(), {"source": tokens(), "target": tokens(1)}

    return build


# Our own code, after a paper or another code base: what is found there is our reading of it. That a norm follows
# PaLM's last block is our assumption, since its section 2 does not say.
WRITTEN_OUT = ("Transformer, as published", "tensor2tensor base, v2 on", "CogView", "PaLM")
REPEATED = "GPT-3 (as GPT-2)"  # GPT-2's class with GPT-2's settings, as GPT-3's paper says of itself

ZOO = (
    Entry("Transformer, as published", 2017, _original("none", "dan"), "post", final_norm=False),
    Entry("tensor2tensor base, v2 on", 2017, _original("n", "da"), "pre"),
    Entry("GPT-1", 2018, hugging_face("OpenAIGPT", GPT_SIZES), "post", final_norm=False),
    Entry("BERT", 2018, hugging_face("Bert", BERT_SIZES), "post", final_norm=False),
    Entry("GPT-2", 2019, hugging_face("GPT2", GPT_SIZES), "pre"),
    Entry("CTRL", 2019, hugging_face("CTRL", GPT_SIZES, dff=INNER), "pre"),
    Entry("T5", 2019, hugging_face("T5", {
        "vocab_size": VOCAB, "d_model": WIDTH, "d_kv": WIDTH // HEADS, "d_ff": INNER, "num_layers": LAYERS,
        "num_heads": HEADS}, model="T5EncoderModel"), "pre", "rmsnorm"),
    Entry("BART", 2019, hugging_face("Bart", BART_SIZES, inputs="text pair"), "post", final_norm=False),
    Entry("mBART", 2020, hugging_face("MBart", BART_SIZES, inputs="text pair"), "pre"),
    Entry("RoBERTa-PreLayerNorm", 2019, hugging_face("RobertaPreLayerNorm", BERT_SIZES), "pre"),
    Entry("GPT-3 (as GPT-2)", 2020, hugging_face("GPT2", GPT_SIZES), "pre"),
    Entry("ViT", 2020, hugging_face("ViT", IMAGE_SIZES, inputs="image"), "pre"),
    Entry("Swin", 2021, hugging_face("Swin", SWIN_SIZES, inputs="image"), "pre"),
    Entry("CogView", 2021, _written_out(lambda: NamedInput(_blocks(lambda: _two_sublayers("n", "na")))), "sandwich"),
    Entry("GPT-J", 2021, hugging_face("GPTJ", GPT_SIZES, rotary_dim=8), "pre", parallel=True),
    Entry("XGLM", 2021, hugging_face("XGLM", {
        "vocab_size": VOCAB, "d_model": WIDTH, "ffn_dim": INNER, "num_layers": LAYERS, "attention_heads": HEADS}),
        "pre"),
    Entry("Swin v2", 2022, hugging_face("Swinv2", SWIN_SIZES, inputs="image"), "res-post"),
    Entry("GPT-NeoX", 2022, hugging_face("GPTNeoX", BERT_SIZES), "pre", parallel=True),
    Entry("GPT-NeoX, not parallel", 2022, hugging_face("GPTNeoX", BERT_SIZES, use_parallel_residual=False), "pre"),
    Entry("PaLM", 2022, _written_out(lambda: NamedInput(_blocks(PaLMBlock))), "pre", parallel=True),
    Entry("OPT-125M", 2022, hugging_face("OPT", OPT_SIZES), "pre"),
    Entry("OPT-350M", 2022, hugging_face("OPT", OPT_SIZES, do_layer_norm_before=False, word_embed_proj_dim=16), "post",
          final_norm=False),
    Entry("BLOOM", 2022, hugging_face("Bloom", {
        "vocab_size": VOCAB, "hidden_size": WIDTH, "n_layer": LAYERS, "n_head": HEADS}), "pre"),
    Entry("BLOOM, residual after norm", 2022, hugging_face("Bloom", {
        "vocab_size": VOCAB, "hidden_size": WIDTH, "n_layer": LAYERS, "n_head": HEADS,
        "apply_residual_connection_post_layernorm": True}), "hybrid"),
    Entry("LLaMA", 2023, hugging_face("Llama", LLAMA_SIZES), "pre", "rmsnorm"),
    Entry("Falcon-7B", 2023, hugging_face("Falcon", {
        "vocab_size": VOCAB, "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}), "pre",
        parallel=True),
    Entry("Phi", 2023, hugging_face("Phi", BERT_SIZES), "pre", parallel=True),
    Entry("Gemma", 2024, hugging_face("Gemma", LLAMA_SIZES), "pre", "rmsnorm"),
    Entry("OLMo", 2024, hugging_face("Olmo", BERT_SIZES), "pre"),
    Entry("Command R", 2024, hugging_face("Cohere", BERT_SIZES), "pre", parallel=True),
    Entry("Chameleon-7B", 2024, hugging_face("Chameleon", CHAMELEON_SIZES), "pre", "rmsnorm"),
    Entry("Chameleon-34B", 2024, hugging_face("Chameleon", CHAMELEON_SIZES, swin_norm=True), "res-post", "rmsnorm"),
    Entry("Gemma 2", 2024, hugging_face("Gemma2", LLAMA_SIZES), "sandwich", "rmsnorm"),
    Entry("OLMo 2", 2024, hugging_face("Olmo2", BERT_SIZES), "res-post", "rmsnorm"),
    Entry("Gemma 3", 2025, hugging_face("Gemma3Text", LLAMA_SIZES), "sandwich", "rmsnorm"),
    Entry("GLM-4 0414", 2025, hugging_face("Glm4", LLAMA_SIZES, pad_token_id=0), "sandwich", "rmsnorm"),
    Entry("Qwen3", 2025, hugging_face("Qwen3", LLAMA_SIZES), "pre", "rmsnorm"),
    Entry("OLMo 3", 2025, hugging_face("Olmo3", BERT_SIZES), "res-post", "rmsnorm"),
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What the inspector found in one model of the zoo.

    Attributes:
        written_out: the model is our own code after a paper or another code base, so that it shows our reading.
        norms: for each norm of the first block: its name inside the block, the sub-layer, the place.
    """

    name: str
    year: int
    placement: str
    norm: str
    parallel: bool | str
    final_norm: bool | str
    num_blocks: int
    probe: str
    written_out: bool
    norms: tuple[tuple[str, str, str], ...]


def measure_zoo(entries: Iterable[Entry] = ZOO) -> list[Found]:
    """Build and inspect every model; needs `transformers` for the Hugging Face ones, and no network."""
    found = []
    for entry in entries:
        model, inputs = entry.build()
        report = inspect_model(model, **inputs)
        norms = tuple(
            (_attribute(name), kind, place)
            for stack in report.stacks for kind, place, name in stack.norm_names if place != "final"
        )  # fmt: skip
        found.append(Found(
            entry.name, entry.year, report.placement, report.norm, report.parallel, report.final_norm,
            report.num_blocks, shared_probe([stack.probe for stack in report.stacks]), entry.name in WRITTEN_OUT,
            tuple(dict.fromkeys(norms)),
        ))  # fmt: skip
    return found


def shared_probe(words: Sequence[str]) -> str:
    """The second witness's word on all stacks: a contradiction is never outvoted."""
    for word in ("contradicts", "no prediction"):
        if word in words:
            return word
    return "agrees"


def _attribute(name: str) -> str:
    """What a norm is called by whoever reads the block: `encoder.layer.0.output.LayerNorm` is `output.LayerNorm`."""
    return re.split(r"\.\d+\.", f".{name}")[-1].strip(".")


@dataclass(frozen=True)
class Misreading:
    """A norm that stands elsewhere than its name stands in most other models."""

    model: str
    norm: str
    expected: tuple[str, str]  # sub-layer and place
    found: tuple[str, str]


@dataclass(frozen=True)
class NameReading:
    """What reading names comes to: the models for which a guess was made at all, and the norms guessed wrong."""

    guessed: tuple[str, ...]
    wrong: tuple[Misreading, ...]


def read_by_names(zoo: Sequence[Found], least: int = 2) -> NameReading:
    """Guess the place of each norm from its name, by the majority of the other models that use it.

    A reader of names can hardly do better: this one knows every other model of the zoo. A name that fewer than
    `least` others use, or on which they are split evenly, is passed over. A class that is listed twice with the
    same settings votes once.
    """
    guessed, wrong = [], []
    for model in zoo:
        for name in dict.fromkeys(norm for norm, _, _ in model.norms):
            places = [(kind, place) for norm, kind, place in model.norms if norm == name]
            votes = Counter(
                (kind, place) for other in zoo if other.name not in (model.name, REPEATED)
                for norm, kind, place in other.norms if norm == name
            )  # fmt: skip
            top = [guess for guess, count in votes.items() if count == max(votes.values())]
            if votes.total() < least or len(top) != 1:
                continue
            guessed.append(model.name)
            if top[0] not in places:
                wrong.append(Misreading(model.name, name, top[0], places[0]))
    return NameReading(tuple(dict.fromkeys(guessed)), tuple(wrong))


def load_zoo() -> list[Found]:
    """The recorded run, for those who do not have `transformers`.

    Raises:
        FileNotFoundError: it was never recorded.
    """
    rows = load_record("architecture_diagram", "zoo")["models"]
    return [Found(**row | {"norms": tuple(map(tuple, row["norms"]))}) for row in rows]


def main() -> int:
    """Inspect the whole zoo, compare with what is expected, and record it."""
    results_file("architecture_diagram", "zoo")  # before the run: without book/ there is nowhere to record it
    found = measure_zoo(progress(ZOO, "models"))
    differing = [
        f"{entry.name}: expected {entry.expected}, found {row}" for entry, row in zip(ZOO, found, strict=True)
        if entry.expected != {key: getattr(row, key) for key in entry.expected}
    ]  # fmt: skip
    print("\n".join(differing) or f"{len(found)} models, all as expected")
    save_record(
        "architecture_diagram",
        "zoo",
        "python -m papertrail.architecture_diagram.zoo",
        {"models": [asdict(row) for row in found]},
        seeds=(0,),
        packages=("torch", "transformers"),
    )
    return 1 if differing else 0


if __name__ == "__main__":
    raise SystemExit(main())
