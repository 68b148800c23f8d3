"""What norms cost on a CPU, from the record of benchmarks/rmsnorm.py, beside what the RMSNorm paper measured."""

from dataclasses import dataclass
from typing import Any

from papertrail.experiments import load_record
from papertrail.gopher.published import rmsnorm_results

MODELS = {  # the paper's models -> how task and framework of its rows begin
    "Transformer, TensorFlow (table 4)": ("Transformer", "TensorFlow"),
    "RNNSearch, PyTorch (table 3)": ("RNNSearch", "PyTorch"),
    "Attentive Reader, Theano (table 6)": ("Attentive Reader", "Theano"),
    "CNN, Theano (table 10)": ("CIFAR-10", "Lasagne"),
    "RNNSearch, TensorFlow (table 2)": ("RNNSearch", "TensorFlow"),
    "RNNSearch, Theano (table 3)": ("RNNSearch", "Theano"),
    "Order embeddings, Theano (table 8)": ("Order-Embedding", "Theano"),
}


def _times(task: str, framework: str) -> tuple[float, ...]:
    """Seconds (for 1,000 or 100 steps; per epoch for the CNN) with LayerNorm, RMSNorm, pRMSNorm."""
    rows = [
        row for row in rmsnorm_results() if row.task.startswith(task) and row.framework.startswith(framework)
    ]
    by_norm = {row.norm: row.time for row in rows if row.time is not None}
    return tuple(by_norm[norm] for norm in ("LayerNorm", "RMSNorm", "pRMSNorm"))


PAPER_TIMES = {model: _times(*rows) for model, rows in MODELS.items()}
STATED = (7, 64)  # percent saved, abstract
OURS, TORCH, LAYER = "our RMSNorm", "nn.RMSNorm", "nn.LayerNorm"
WRITTEN = ("RMSNorm as written", "LayerNorm as written")


def saved(model: str) -> tuple[float, float]:
    """Percent of LayerNorm's time that RMSNorm and pRMSNorm save in one of the paper's models.

    Raises:
        KeyError: the paper has no such model.
    """
    layer, rms, partial = PAPER_TIMES[model]
    return 100 * (1 - rms / layer), 100 * (1 - partial / layer)


@dataclass(frozen=True)
class NormSpeed:
    """Milliseconds of CPU, quartiles, by shape (rows, dim).

    Attributes:
        times: by way, then "forward" or "both".
        fresh, reused: of copying the input into a new tensor, and into one that was there before.
        gemm: the yardstick, GFLOP/s.
    """

    times: dict[tuple[int, int], dict[str, dict[str, list[float]]]]
    fresh: dict[tuple[int, int], list[float]]
    reused: dict[tuple[int, int], list[float]]
    gemm: list[float]

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """What was measured."""
        return list(self.times)

    def both(self, way: str, shape: tuple[int, int]) -> float:
        """Median of forward and backward together.

        Raises:
            ValueError: it was not measured.
        """
        try:
            return self.times[shape][way]["both"][1]
        except KeyError:
            raise ValueError(f"way, shape: {way!r} at {shape} was not measured") from None

    def ratio(self, one: str, other: str, shape: tuple[int, int]) -> float:
        """How many times as long the first takes as the second."""
        return self.both(one, shape) / self.both(other, shape)

    def faults(self, shape: tuple[int, int]) -> float:
        """What a fresh tensor costs beyond the copying."""
        return self.fresh[shape][1] - self.reused[shape][1]


def read_speed(record: dict[str, Any]) -> NormSpeed:
    """The record's JSON as a `NormSpeed`."""
    rows = {(row["rows"], row["dim"]): row for row in record["shapes"]}

    def part(name: str) -> dict[tuple[int, int], Any]:
        return {shape: row[name] for shape, row in rows.items()}

    return NormSpeed(part("ways"), part("fresh"), part("reused"), record["gemm"])


def load_speed() -> NormSpeed:
    """The recorded benchmark.

    Raises:
        FileNotFoundError: it was never recorded.
    """
    return read_speed(load_record("gopher", "norm_speed"))
