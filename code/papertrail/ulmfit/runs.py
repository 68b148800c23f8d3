"""Training runs in a folder: killed at any moment, they go on from the last checkpoint to the same result.

A folder holds `vocabulary.txt`, `run.json` (settings, text, and what came out), while it runs `checkpoint.pt`, and
in the end `model.pt`. Every file is replaced whole or not at all.
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, distributed, nn

from papertrail.experiments import processes
from papertrail.ulmfit.awd_lstm import AWDLSTM, Dropouts
from papertrail.ulmfit.language_model import LanguageModel, LMSettings, LMTraining, perplexity
from papertrail.ulmfit.text import Vocabulary, match_embeddings, tokenize


class RunError(Exception):
    """A run's folder does not hold what was asked of it."""


@dataclass(frozen=True)
class ModelSizes:
    """Sizes of the encoder, its dropouts, and where the softmax's clusters begin (where the words reach that far)."""

    embedding_dim: int = 128
    hidden_dim: int = 192
    num_layers: int = 3
    cutoffs: tuple[int, ...] = (1000, 3000)
    dropouts: Dropouts = Dropouts(0.125, 0.01, 0.1, 0.075, 0.05)  # half of what the scripts take in stage 2
    embedding_std: float = (
        0.3  # three LSTM layers over the published start (0.06) learn nothing for a long while
    )

    def build(self, vocab_size: int) -> LanguageModel:
        """A language model with new weights, for a vocabulary of this size."""
        encoder = AWDLSTM(
            vocab_size,
            self.embedding_dim,
            self.hidden_dim,
            self.num_layers,
            self.dropouts,
            Vocabulary.pad_id,
            self.embedding_std,
        )
        return LanguageModel(encoder, tuple(c for c in self.cutoffs if c < vocab_size) or None)

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "ModelSizes":
        """From what `dataclasses.asdict` made, by way of JSON."""
        return cls(
            **{**stored, "cutoffs": tuple(stored["cutoffs"]), "dropouts": Dropouts(**stored["dropouts"])}
        )


def as_ids(texts: Iterable[str], vocabulary: Vocabulary) -> Tensor:
    """One text out of many, each begun by xxbos: (N,) numbers of words."""
    return torch.tensor([i for text in texts for i in vocabulary.ids(tokenize(text, bos=True))])


def save_atomically(value: Any, path: Path) -> None:
    """torch.save to a temporary file, then rename."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    torch.save(value, temporary)
    os.replace(temporary, path)


def write_json(value: Any, path: Path) -> None:
    """JSON to a temporary file, then rename."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def read_record(path: Path, *needed: str) -> dict[str, Any]:
    """A run's record, which must say what is needed.

    Raises:
        RunError: the file is not a record, or does not.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path}: is no record of a run ({error})") from error
    if not isinstance(record, dict) or (missing := [name for name in needed if name not in record]):
        says = f"says nothing of {', '.join(missing)}" if isinstance(record, dict) else "holds no names"
        raise RunError(f"{path}: is no record of a run (it {says})")
    return record


def read_tensors(path: Path, device: str = "cpu") -> Any:
    """What `save_atomically` wrote.

    Raises:
        RunError: the file is damaged, or something else.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, UnpicklingError) as error:
        raise RunError(f"{path}: is damaged, or not written by a run") from error


def refuse_other(made: dict[str, Any], earlier: dict[str, Any], where: Path) -> None:
    """Make sure that a stored run is the one that is asked for.

    Raises:
        RunError: it was made in another way. What an older record says nothing of is not compared.
    """
    now, then = _flat(made), _flat(earlier)
    changed = [
        f"{key} ({then[key]!r}, now {now[key]!r})" for key in now if then.get(key, now[key]) != now[key]
    ]
    if changed:
        raise RunError(f"{where}: holds a run with other {', '.join(changed)}; give --out another name")


def _flat(record: dict[str, Any], before: str = "") -> dict[str, Any]:
    """{"settings": {"lr": 1}} -> {"settings.lr": 1}"""
    found: dict[str, Any] = {}
    for key, value in record.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
    return found


def as_stored(made: dict[str, Any]) -> dict[str, Any]:
    """What JSON gives back for it: tuples become lists."""
    return json.loads(json.dumps(made))


def load_model(
    folder: Path, dropouts: Dropouts | None = None
) -> tuple[LanguageModel, Vocabulary, dict[str, Any]]:
    """A finished run's language model, its vocabulary and its record.

    Args:
        dropouts: other shares than the model was trained with.

    Raises:
        RunError: the folder holds no finished run, or its model and vocabulary do not belong together.
    """
    for name in ("run.json", "vocabulary.txt", "model.pt"):
        if not (folder / name).is_file():
            raise RunError(
                f"{folder}: has no {name}; expected is the folder of a finished pretrain or finetune run"
            )
    record = read_record(folder / "run.json", "vocabulary", "sizes", "stage")
    vocabulary = Vocabulary.load(folder / "vocabulary.txt")
    if vocabulary.digest != record["vocabulary"]:
        raise RunError(
            f"{folder}: the vocabulary is {vocabulary.digest}, the run was made with {record['vocabulary']}"
        )
    sizes = ModelSizes.of(record["sizes"])
    model = replace(sizes, dropouts=dropouts or sizes.dropouts).build(len(vocabulary))
    try:
        model.load_state_dict(read_tensors(folder / "model.pt"))
    except RuntimeError as error:
        raise RunError(f"{folder}: model.pt does not have the sizes and words of run.json") from error
    return model, vocabulary, record


def origin(start: Path) -> dict[str, Any]:
    """What a record says of the model that a run starts from: a run's folder, or an exported encoder.

    Raises:
        RunError: its record is damaged.
    """
    exported = start.suffix == ".pt"
    record = read_record(start.with_suffix(".json") if exported else start / "run.json", "stage")
    weights = (start if exported else start / "model.pt").read_bytes()
    about = {key: record[key] for key in ("stage", "corpora", "corpus") if key in record}
    return about | {"weights": sha256(weights).hexdigest()[:16]}


def carried_over(
    model: LanguageModel,
    old: Vocabulary,
    new: Vocabulary,
    sizes: ModelSizes,
    dropouts: Dropouts | None = None,
) -> LanguageModel:
    """The same model for another vocabulary: known words keep their rows and biases, new ones get the mean.

    Where the other vocabulary is too small for as many clusters, their entries in the softmax begin anew.
    """
    moved = replace(sizes, dropouts=dropouts or sizes.dropouts).build(len(new))
    weights = model.state_dict()
    weights["encoder.weight"] = match_embeddings(weights["encoder.weight"], old, new)
    weights["softmax.weight"] = weights["encoder.weight"]
    weights["softmax.bias"] = match_embeddings(weights["softmax.bias"].unsqueeze(1), old, new).squeeze(1)
    begun = moved.state_dict()
    same = {name for name in begun if name in weights and weights[name].shape == begun[name].shape}
    moved.load_state_dict(begun | {name: weights[name] for name in same})
    with torch.no_grad():
        moved.encoder.weight[moved.encoder.pad_id] = 0
    return moved


def usable(device: str) -> str:
    """The name of a device, once something could be put there.

    Raises:
        RunError: this machine, or this build of PyTorch, has no such device.
    """
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).split("\n")[0].rstrip(".")
        raise RunError(f"--device: got {device!r}, which is not here ({reason}); cpu always is") from error
    return device


@dataclass(frozen=True)
class Stage:
    """One stage of language modelling: the model, its words, the text to learn and the texts to be judged on."""

    model: LanguageModel
    vocabulary: Vocabulary
    sizes: ModelSizes
    text: Tensor  # (N,)
    held_out: dict[str, Tensor]  # name of a text -> its words, (N,)
    about: dict[str, Any]  # what the record says of the stage: its name, its corpora

    def made(self, settings: LMSettings, world: int) -> dict[str, Any]:
        """All that decides how the run comes out; two runs that agree in it are the same run."""
        return as_stored(
            {
                **self.about,
                "settings": asdict(settings),
                "sizes": asdict(self.sizes),
                "vocabulary": self.vocabulary.digest,
                "words": len(self.text),
                "text": sha256(self.text.numpy().tobytes()).hexdigest()[:16],
                "processes": world,
            }
        )


def run_stage(
    stage: Stage,
    settings: LMSettings,
    folder: Path,
    *,
    device: str = "cpu",
    every: int = 200,
    on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> dict[str, Any]:
    """Train a stage's model, or go on where the folder's checkpoint stands; returns the record.

    Args:
        every: updates between checkpoints.
        on_step: told after each piece of work: updates made, updates in all, latest loss (nats a word).

    Raises:
        RunError: the folder belongs to a run with other settings, text, words or sizes.
    """
    with processes(device) as (rank, world, device):
        made = stage.made(settings, world)
        path, checkpoint = folder / "run.json", folder / "checkpoint.pt"
        if path.exists():
            earlier = read_record(path)
            refuse_other(made, earlier, folder)
            if (folder / "model.pt").exists():
                return earlier
        elif rank == 0:
            folder.mkdir(parents=True, exist_ok=True)
            stage.vocabulary.save(folder / "vocabulary.txt")
            write_json(made, path)
        training = LMTraining(stage.model.to(device), stage.text.to(device), settings, rank, world)
        before = _judged(stage, device)
        if checkpoint.exists():
            first, *others = read_tensors(checkpoint, device)
            training.load_state_dict(first | ([{}, *others][rank]))
        while training.step < training.steps:
            losses = training.run(every)
            whole = _of_all(training.state_dict(), world)
            if rank == 0:
                save_atomically(whole, checkpoint)
            on_step(training.step, training.steps, losses[-1])
        record = {
            **made,
            "perplexity_before": before,
            "perplexity": _judged(stage, device),
            "curve": _curve(training),
        }
        if rank == 0:
            write_json(record, path)
            # after the record: a folder with a model is a finished run
            save_atomically(stage.model.to("cpu").state_dict(), folder / "model.pt")
            checkpoint.unlink(missing_ok=True)
        return record


def _of_all(mine: dict[str, Any], world: int) -> list[dict[str, Any]]:
    """A whole checkpoint: all of this process's, then what every other one has of its own.

    Weights, optimizer and losses are the same everywhere; states of the text and random numbers are not.
    """
    if world == 1:
        return [mine]
    state = tuple((hidden.cpu(), cell.cpu()) for hidden, cell in mine["state"])
    everyone: list[Any] = [None] * world
    distributed.all_gather_object(everyone, {"state": state, "random": mine["random"]})
    return [mine, *everyone[1:]]


def _judged(stage: Stage, device: str) -> dict[str, float]:
    """Perplexities on the held-out texts; a short one is read in fewer than 32 streams."""
    return {
        name: round(perplexity(stage.model, ids.to(device), max(1, min(32, len(ids) // 2))), 2)
        for name, ids in stage.held_out.items()
    }


def _curve(training: LMTraining, points: int = 50) -> list[list[float]]:
    """The losses in about 50 means: [updates so far, nats a word]."""
    size = max(1, len(training.losses) // points)
    chunks = [training.losses[i : i + size] for i in range(0, len(training.losses), size)]
    return [[i * size + len(chunk), round(sum(chunk) / len(chunk), 4)] for i, chunk in enumerate(chunks)]


def export_encoder(folder: Path, path: Path) -> dict[str, Any]:
    """Write a run's encoder in half precision with its words: small enough to be part of the course.

    Returns what its record says: file, size and SHA-256, beside the run's own record.
    """
    model, vocabulary, record = load_model(folder)
    weights = {name: value.half() for name, value in model.encoder.state_dict().items()}
    save_atomically({"weights": weights, "words": "\n".join(vocabulary.words)}, path)
    content = path.read_bytes()
    about = {"file": path.name, "bytes": len(content), "sha256": sha256(content).hexdigest(), **record}
    write_json(about, path.with_suffix(".json"))
    return about


def load_encoder(path: Path, dropouts: Dropouts | None = None) -> tuple[AWDLSTM, Vocabulary]:
    """The encoder that `export_encoder` wrote, in float32, with the paper's dropouts or other ones.

    Raises:
        RunError: the file is not there, or is not the one its record describes.
    """
    about_path = path.with_suffix(".json")
    if not path.is_file() or not about_path.is_file():
        raise RunError(
            f"{path}: not found, or without {about_path.name}; `python -m papertrail.ulmfit export` makes both"
        )
    about = read_record(about_path, "bytes", "sha256", "sizes", "stage")
    content = path.read_bytes()
    if (len(content), sha256(content).hexdigest()) != (about["bytes"], about["sha256"]):
        raise RunError(
            f"{path}: {len(content)} bytes with another SHA-256 than {about_path.name} says ({about['bytes']})"
        )
    stored = read_tensors(path)
    vocabulary = Vocabulary(stored["words"].split("\n"))
    sizes = replace(ModelSizes.of(about["sizes"]), dropouts=dropouts or Dropouts())
    encoder = sizes.build(len(vocabulary)).encoder
    encoder.load_state_dict({name: value.float() for name, value in stored["weights"].items()})
    return encoder, vocabulary


def number_of_parameters(module: nn.Module) -> int:
    """Weights in a module, shared ones counted once."""
    return sum(p.numel() for p in module.parameters())
