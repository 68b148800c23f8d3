"""What the course says about speed, time and memory, and which script measures it: one row a claim.

The rows read the records of benchmarks/ (book/results/), and so does the page book/benchmarks.md. No torch is needed:
pages are built from stored numbers. Every row compares two things and gives the second, divided by the first.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from papertrail.claims import book_folder

Record = dict[str, Any]
Quartiles = tuple[float, float, float]
Found = tuple[str, Quartiles, Quartiles]  # at which size; the first and the second thing's numbers


@dataclass(frozen=True)
class Script:
    """What makes one record.

    Attributes:
        record: chapter and name of the record in book/results.
        command: what makes it. `make bench` runs the short form of those in benchmarks/.
        page: where the claims stand, as a path from book/.
    """

    record: tuple[str, str]
    command: str
    page: str

    @property
    def file(self) -> str | None:
        """Its file's name in benchmarks/, or None."""
        name = self.command.split()[1]
        return name.removeprefix("benchmarks/") if name.startswith("benchmarks/") else None


@dataclass(frozen=True)
class SpeedClaim:
    """Two things, how to find them in a record, and what had been aimed at before the code was written.

    Attributes:
        script: a key of `SCRIPTS`.
        find: from the record's JSON, the size and both quartiles; None where the record does not hold them.
        target: ("at least" or "at most", number) for the second divided by the first; None where none was set.
    """

    script: str
    first: str
    second: str
    find: Callable[[Record], Found | None]
    unit: str
    target: tuple[str, float] | None = None


@dataclass(frozen=True)
class Row:
    """A claim with its numbers."""

    claim: SpeedClaim
    at: str
    first: Quartiles
    second: Quartiles

    @property
    def ratio(self) -> Quartiles:
        """The second median divided by the first; the range takes the quartiles that are farthest apart."""
        low, middle, high = self.first
        return self.second[0] / high, self.second[1] / middle, self.second[2] / low

    @property
    def reached(self) -> bool | None:
        """Whether the medians' ratio reaches the target; None where none was set."""
        if self.claim.target is None:
            return None
        kind, number = self.claim.target
        return self.ratio[1] >= number if kind == "at least" else self.ratio[1] <= number


def scaled(values: Iterable[float], factor: float) -> Quartiles:
    """Quartiles in another unit."""
    low, middle, high = (value * factor for value in values)
    return low, middle, high


def _costs(record: Record, way: str, field: str = "both") -> dict[int, Any]:
    return {
        row["length"]: row[field] for row in record["costs"] if row["way"] == way and row[field] is not None
    }


def attention(first: str, second: str, length: int) -> Callable[[Record], Found | None]:
    """Two ways at one length, in ms; at the largest length of both where that one was not measured."""

    def find(record: Record) -> Found | None:
        one, other = _costs(record, first), _costs(record, second)
        common = sorted(one.keys() & other.keys())
        if not common:
            return None
        at = length if length in common else common[-1]
        return f"{at:,} positions", scaled(one[at], 1e3), scaled(other[at], 1e3)

    return find


def growth(way: str, short: int, long: int) -> Callable[[Record], Found | None]:
    """One way at two lengths, in ms."""

    def find(record: Record) -> Found | None:
        found = _costs(record, way)
        if not {short, long} <= found.keys():
            return None
        return f"{short:,} and {long:,} positions", scaled(found[short], 1e3), scaled(found[long], 1e3)

    return find


def memory(first: str | None, second: str, length: int) -> Callable[[Record], Found | None]:
    """Peak memory beyond the inputs, in MiB. Without a first way: of the output and the three gradients alone."""

    def find(record: Record) -> Found | None:
        one, other = _costs(record, first or second, "extra_mib"), _costs(record, second, "extra_mib")
        if length not in one or length not in other:
            return None
        floor = 4 * record["heads"] * record["dim"] * length * 4 / 2**20
        weighed = one[length] if first else floor
        return f"{length:,} positions", (weighed,) * 3, (other[length],) * 3

    return find


def decoding(length: int) -> Callable[[Record], Found | None]:
    """One more position with a fixed state and with a cache, in microseconds; medians only."""

    def find(record: Record) -> Found | None:
        rows = {row["length"]: row for row in record["decoding"]}
        if not rows:
            return None
        at = length if length in rows else max(rows)
        return f"after {at:,} positions", (rows[at]["fixed"] * 1e6,) * 3, (rows[at]["cached"] * 1e6,) * 3

    return find


def norms(first: str, second: str, shape: tuple[int, int]) -> Callable[[Record], Found | None]:
    """Two norms, forward and backward, or two ways to copy, in ms."""

    def find(record: Record) -> Found | None:
        for row in record["shapes"]:
            if (row["rows"], row["dim"]) == shape:
                both = {name: times["both"] for name, times in row["ways"].items()}
                both |= {"fresh": row["fresh"], "reused": row["reused"]}
                return f"[{shape[0]}, {shape[1]}]", tuple(both[first]), tuple(both[second])
        return None

    return find


def steps(first: str, second: str, size: list[int]) -> Callable[[Record], Found | None]:
    """Two training steps of the language model, in microseconds a word."""

    def find(record: Record) -> Found | None:
        rates = {row["way"]: row["words_per_second"] for row in record["speeds"] if list(row["size"]) == size}
        if first not in rates or second not in rates:
            return None
        one, other = (tuple(1e6 / rate for rate in reversed(rates[way])) for way in (first, second))
        return f"{size[2]} layers of {size[1]}, {size[3]:,} words", one, other

    return find


def learned(first: str, second: str) -> Callable[[Record], Found | None]:
    """Perplexity after the same words: smallest, middle and largest over the seeds."""

    def find(record: Record) -> Found | None:
        if "perplexities" not in record:
            return None
        one, other = (sorted(record["perplexities"][way]) for way in (first, second))
        if len(one) != 3:
            raise ValueError(f"perplexities: got {len(one)} seeds; the row shows 3")
        return f"{record['learned']['words']:,} words, 3 seeds", tuple(one), tuple(other)

    return find


def message_steps(first: str, second: str) -> Callable[[Record], Found | None]:
    """A training step in two processes, by the clock, in ms; medians only."""

    def find(record: Record) -> Found | None:
        (run,) = (run for run in record["runs"] if run["processes"] == 2)
        times = {row["norm"]: row["milliseconds"] for row in run["steps"] if row["broadcast_buffers"]}
        return "2 processes, 8 norms of 256", (times[first],) * 3, (times[second],) * 3

    return find


def message_sizes(first: int, second: int) -> Callable[[Record], Found | None]:
    """All-reduces of two sizes, by the clock, in microseconds."""

    def find(record: Record) -> Found | None:
        one, other = (tuple(record["microseconds"][str(size)]) for size in (first, second))
        return f"{record['processes']} processes", one, other

    return find


def seeds(depth: int, number: int) -> Callable[[Record], Found | None]:
    """Training some seeds at once and in turn, in seconds."""

    def find(record: Record) -> Found | None:
        for row in record["cases"]:
            if (row["depth"], row["seeds"]) == (depth, number):
                return (
                    f"{number} seeds, {depth} layers",
                    tuple(row["ways"]["at once"]),
                    tuple(row["ways"]["in turn"]),
                )
        return None

    return find


def threads(first: str, second: str) -> Callable[[Record], Found | None]:
    """A training step on busy cores, in ms by the clock: CPU time would count waiting threads twice."""

    def find(record: Record) -> Found | None:
        one, other = (tuple(record["settings"][name]["clock"]) for name in (first, second))
        return f"{record['cores']} busy cores", one, other

    return find


SCRIPTS = {
    "linear_attention": Script(
        ("fast_weights", "cost"),
        "python benchmarks/linear_attention.py --peers FOLDER --record",
        "fast_weights.ipynb",
    ),
    "slicing": Script(
        ("fast_weights", "slicing"), "python benchmarks/slicing.py --record", "fast_weights.ipynb"
    ),
    "awd_lstm": Script(("ulmfit", "speed"), "python benchmarks/awd_lstm.py --record", "ulmfit.ipynb"),
    "rmsnorm": Script(("gopher", "norm_speed"), "python benchmarks/rmsnorm.py --record", "gopher.ipynb"),
    "message_sizes": Script(
        ("gopher", "message_sizes"), "python benchmarks/message_sizes.py --record", "gopher.ipynb"
    ),
    "recorded_messages": Script(
        ("gopher", "messages"), "python -m papertrail.experiments run gopher.messages", "gopher.ipynb"
    ),
    "batched_seeds": Script(
        ("layer_norm_placement", "batched_seeds"),
        "python benchmarks/batched_seeds.py --record",
        "layer_norm_placement.ipynb",
    ),
    "threads": Script(("project", "threads"), "python benchmarks/threads.py --record", "how_to_use.md"),
}

_OURS, _MAPPED, _SOFTMAX = "ours, no feature map", "ours, elu + 1", "torch's fused softmax"
_RECORDED_SIZE = [128, 192, 3, 8000]
_ADAPTIVE, _FULL = "adaptive softmax, tied", "one softmax, tied"
CLAIMS = (
    SpeedClaim(
        "linear_attention", _MAPPED, _SOFTMAX, attention("linear", "fused softmax", 4096), "ms", ("at least", 8),
    ),
    SpeedClaim(
        "linear_attention", _OURS, _SOFTMAX, attention("linear, map excluded", "fused softmax", 4096), "ms",
        ("at least", 10),
    ),
    SpeedClaim("linear_attention", _MAPPED, _SOFTMAX, attention("linear", "fused softmax", 1024), "ms"),
    SpeedClaim(
        "linear_attention", _OURS, "fast-transformers 0.4.0, as shipped",
        attention("linear, map excluded", "fast-transformers, as shipped", 4096), "ms", ("at least", 2),
    ),
    SpeedClaim(
        "linear_attention", _OURS, "fast-transformers 0.4.0, built for this machine",
        attention("linear, map excluded", "fast-transformers, native", 4096), "ms",
    ),
    SpeedClaim(
        "linear_attention", _OURS, "fla-core 0.6.0, naive chunks",
        attention("linear, map excluded", "fla naive chunk", 4096), "ms", ("at least", 2),
    ),
    SpeedClaim(
        "linear_attention", _OURS, "performer-pytorch 1.1.4, without CUDA",
        attention("linear, map excluded", "performer-pytorch", 4096), "ms",
    ),
    SpeedClaim(
        "linear_attention", _OURS, "the formula as cumulative sums",
        attention("linear, map excluded", "cumulative sum", 1024), "ms",
    ),
    SpeedClaim(
        "linear_attention", "our delta rule", "fla-core 0.6.0, naive chunks",
        attention("delta", "fla naive chunk, delta", 4096), "ms", ("at least", 4),
    ),
    SpeedClaim(
        "linear_attention", "our delta rule", "the same, step by step", attention("delta", "delta, step by step", 1024),
        "ms", ("at least", 17),
    ),
    SpeedClaim(
        "linear_attention", "ours, elu + 1", "the same, 16 times as long", growth("linear", 1024, 16384), "ms",
        ("at most", 16**1.15),
    ),
    SpeedClaim(
        "linear_attention", "our delta rule", "the same, 16 times as long", growth("delta", 1024, 16384), "ms",
        ("at most", 16**1.1),
    ),
    SpeedClaim(
        "linear_attention", "output and three gradients alone", "ours, no feature map",
        memory(None, "linear, map excluded", 4096), "MiB", ("at most", 1.35),
    ),
    SpeedClaim("linear_attention", _SOFTMAX, _MAPPED, memory("fused softmax", "linear", 4096), "MiB"),
    SpeedClaim(
        "linear_attention", "one position more, fixed state", "one position more, keys and values kept",
        decoding(16384), "µs",
    ),
    SpeedClaim(
        "slicing", "`unbind` before the loop", "a slice in each step",
        attention("unbind before it", "slices in the loop", 4096), "ms",
    ),
    SpeedClaim(
        "slicing", "`unbind`", "the same, 4 times as long", growth("unbind before it", 1024, 4096), "ms",
    ),
    SpeedClaim(
        "slicing", "slices", "the same, 4 times as long", growth("slices in the loop", 1024, 4096), "ms",
    ),
    SpeedClaim(
        "awd_lstm", "our adaptive softmax, tied", "one softmax, tied", steps(_ADAPTIVE, _FULL, _RECORDED_SIZE),
        "µs a word", ("at least", 2),
    ),
    SpeedClaim(
        "awd_lstm", "one softmax, tied", "our adaptive softmax, tied", learned(_FULL, _ADAPTIVE), "perplexity",
    ),
    SpeedClaim(
        "awd_lstm", "torch's adaptive softmax", "ours, tied",
        steps("torch's adaptive softmax", _ADAPTIVE, _RECORDED_SIZE), "µs a word",
    ),
    SpeedClaim(
        "awd_lstm", "the LSTM alone", "with our adaptive softmax", steps("LSTM alone", _ADAPTIVE, _RECORDED_SIZE),
        "µs a word",
    ),
    SpeedClaim(
        "awd_lstm", "the LSTM alone", "its loop over time in Python",
        steps("LSTM alone", "LSTM alone, Python loop", _RECORDED_SIZE), "µs a word",
    ),
    SpeedClaim(
        "rmsnorm", "our RMSNorm", "nn.RMSNorm", norms("our RMSNorm", "nn.RMSNorm", (8192, 1024)), "ms", ("at least", 4),
    ),
    SpeedClaim("rmsnorm", "nn.LayerNorm", "nn.RMSNorm", norms("nn.LayerNorm", "nn.RMSNorm", (8192, 1024)), "ms"),
    SpeedClaim("rmsnorm", "nn.LayerNorm", "our RMSNorm", norms("nn.LayerNorm", "our RMSNorm", (8192, 1024)), "ms"),
    SpeedClaim("rmsnorm", "nn.LayerNorm", "our RMSNorm", norms("nn.LayerNorm", "our RMSNorm", (512, 512)), "ms"),
    SpeedClaim(
        "rmsnorm", "RMSNorm as written", "LayerNorm as written",
        norms("RMSNorm as written", "LayerNorm as written", (8192, 1024)), "ms",
    ),
    SpeedClaim(
        "rmsnorm", "a copy into old memory", "a copy into fresh memory", norms("reused", "fresh", (8192, 1024)), "ms",
    ),
    SpeedClaim("message_sizes", "an all-reduce of 4 bytes", "of 2,048 bytes", message_sizes(4, 2048), "µs"),
    SpeedClaim("message_sizes", "an all-reduce of 4 bytes", "of 4 MiB", message_sizes(4, 4_194_304), "µs"),
    SpeedClaim(
        "recorded_messages", "BatchNorm", "synchronized BatchNorm", message_steps("BatchNorm", "SyncBatchNorm"), "ms",
    ),
    SpeedClaim("batched_seeds", "all seeds at once", "one after the other", seeds(6, 5), "s", ("at least", 1.5)),
    SpeedClaim("threads", "one thread", "two threads, passive", threads("one thread", "two threads, passive"), "ms"),
    SpeedClaim("threads", "one thread", "two threads, spinning", threads("one thread", "two threads, spinning"), "ms"),
)  # fmt: skip


def record_file(name: str) -> Path:
    """Where a script's record lies.

    Raises:
        ValueError: no such script.
    """
    if name not in SCRIPTS:
        raise ValueError(f"name: got {name!r}; allowed are {', '.join(SCRIPTS)}")
    chapter, record = SCRIPTS[name].record
    return book_folder() / "results" / chapter / f"{record}.json"


def read_record(name: str) -> Record:
    """A script's record, header and table in one dict; an experiment's rows are its "runs".

    Raises:
        FileNotFoundError: it was never recorded.
    """
    record = json.loads(record_file(name).read_text(encoding="utf-8"))
    table = record.pop("table")
    return record | (table if isinstance(table, dict) else {"runs": [row["result"] for row in table]})


def rows_of(name: str, record: Record) -> list[Row]:
    """A script's claims with the numbers of a record; those that it does not hold are left out."""
    found = ((claim, claim.find(record)) for claim in CLAIMS if claim.script == name)
    return [Row(claim, *numbers) for claim, numbers in found if numbers is not None]
