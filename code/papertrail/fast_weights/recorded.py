"""What takes too long for a notebook: trained memories over sizes, feature maps and rules, five seeds each.

Everything was fixed before the first run: sizes, maps, steps, rate, seeds, and that the last step counts.

    python -m papertrail.fast_weights.recorded    run the grid and record it
"""

from dataclasses import asdict

from papertrail.experiments import load_record, progress, results_file, save_record
from papertrail.fast_weights.retrieval import TrainedRecall, measure_trained_recall

CHAPTER, NAME = "fast_weights", "retrieval"
SYMBOLS = (4, 8, 12, 16, 24, 32)
MAPS = ("elu+1", "dpfp-1", "dpfp-2")
EDIT_SYMBOLS, EDIT_LENGTH, EDIT_STEPS = 8, 16, 800


def load_capacity() -> list[TrainedRecall]:
    """Setting 1, every key written once: the recorded runs.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return [TrainedRecall(**run) for run in load_record(CHAPTER, NAME)["capacity"]]


def load_editing() -> list[TrainedRecall]:
    """Setting 2, keys drawn with replacement: the recorded runs.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    return [TrainedRecall(**run) for run in load_record(CHAPTER, NAME)["editing"]]


def _row(run: TrainedRecall) -> dict:
    row = asdict(run)
    return row | {key: [round(value, 5) for value in row[key]] for key in ("loss", "accuracy")}


def main() -> int:
    """Run both settings and record them in one file."""
    results_file(CHAPTER, NAME)  # before the run: without book/ there is nowhere to record it
    ways = [("sum", feature_map) for feature_map in MAPS] + [("softmax", None)]
    capacity = [
        _row(measure_trained_recall(rule, feature_map, symbols=symbols))
        for rule, feature_map in progress(ways, "capacity")
        for symbols in SYMBOLS
    ]
    ways = [(rule, feature_map) for rule in ("sum", "delta") for feature_map in MAPS] + [("softmax", None)]
    editing = [
        _row(
            measure_trained_recall(
                rule, feature_map, symbols=EDIT_SYMBOLS, length=EDIT_LENGTH, steps=EDIT_STEPS
            )
        )
        for rule, feature_map in progress(ways, "editing")
    ]
    for run in capacity + editing:
        print(run["rule"], run["feature_map"], run["symbols"], run["length"], run["loss"], flush=True)
    command = "python -m papertrail.fast_weights.recorded"
    save_record(CHAPTER, NAME, command, {"capacity": capacity, "editing": editing})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
