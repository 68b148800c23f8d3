"""What norms cost on a CPU, from the record of benchmarks/rmsnorm.py, beside what the RMSNorm paper measured."""

from dataclasses import dataclass
from typing import Any

from papertrail.experiments import load_record

# Zhang & Sennrich 2019: seconds (for 1,000 or 100 steps; per epoch for the CNN) with LayerNorm, RMSNorm, pRMSNorm
PAPER_TIMES = {
    "Transformer, TensorFlow (table 4)": (248, 231, 225),
    "RNNSearch, PyTorch (table 3)": (857, 763, 754),
    "Attentive Reader, Theano (table 6)": (392, 333, 330),
    "CNN, Theano (table 10)": (39, 31, 30),
    "RNNSearch, TensorFlow (table 2)": (665, 501, 493),
    "RNNSearch, Theano (table 3)": (988, 652, 658),
    "Order embeddings, Theano (table 8)": (12.02, 7.12, 4.34),
}
STATED = (7, 64)  # percent saved, abstract
OURS, TORCH, LAYER = "our RMSNorm", "nn.RMSNorm", "nn.LayerNorm"
ORDINARY = "ours, ordinary pages"
WRITTEN = ("RMSNorm as written", "LayerNorm as written")
PAGES = ("default", "huge")


def saved(model: str) -> tuple[float, float]:
    """Percent of LayerNorm's time that RMSNorm and pRMSNorm save in one of the paper's models.

    Raises:
        KeyError: the paper has no such model.
    """
    layer, rms, partial = PAPER_TIMES[model]
    return 100 * (1 - rms / layer), 100 * (1 - partial / layer)


@dataclass(frozen=True)
class NormSpeed:
    """Milliseconds of CPU: quartiles by pages ("default" or "huge"), shape (rows, dim), way and part."""

    times: dict[str, dict[tuple[int, int], dict[str, dict[str, list[float]]]]]
    gemm: dict[str, list[float]]  # GFLOP/s, quartiles

    def both(self, way: str, shape: tuple[int, int], pages: str = "default") -> float:
        """Median of forward and backward together.

        Raises:
            ValueError: it was not measured.
        """
        try:
            return self.times[pages][shape][way]["both"][1]
        except KeyError:
            raise ValueError(f"way, shape, pages: {way!r} at {shape}, {pages!r} was not measured") from None

    def ratio(self, one: str, other: str, shape: tuple[int, int], pages: str = "default") -> float:
        """How many times as long the first takes as the second."""
        return self.both(one, shape, pages) / self.both(other, shape, pages)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """What was measured."""
        return list(self.times["default"])


def read_speed(record: dict[str, Any]) -> NormSpeed:
    """The record's JSON as a `NormSpeed`."""
    times = {
        pages: {(row["rows"], row["dim"]): row["ways"] for row in record[pages]["shapes"]} for pages in PAGES
    }
    return NormSpeed(times, {pages: record[pages]["gemm"] for pages in PAGES})


def load_speed() -> NormSpeed:
    """The recorded benchmark.

    Raises:
        FileNotFoundError: it was never recorded.
    """
    return read_speed(load_record("gopher", "norm_speed"))
