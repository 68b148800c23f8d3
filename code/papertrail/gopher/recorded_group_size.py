"""The group-size experiment with all its seeds, which takes too long for a notebook.

python -m papertrail.gopher.recorded_group_size    run it and record it (20 seconds of one core)
"""

from papertrail.experiments import load_record, results_file, save_record
from papertrail.gopher.group_size import EPOCHS, GROUPS, GroupSizes, measure_group_sizes

CHAPTER, NAME, SEEDS = "gopher", "group_size", 5


def load_group_sizes() -> GroupSizes:
    """The recorded runs.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    record = load_record(CHAPTER, NAME)
    by_group = ({int(g): errors for g, errors in record[part].items()} for part in ("evaluated", "batched"))
    return GroupSizes(*by_group, record["others"], record["seeds"])


def main() -> int:
    """Run and record."""
    results_file(CHAPTER, NAME)  # before the run: without book/ there is nowhere to record it
    found = measure_group_sizes(GROUPS, seeds=SEEDS, epochs=EPOCHS)

    def short(errors: dict) -> dict:
        return {key: [round(value, 5) for value in values] for key, values in errors.items()}

    data = {
        "evaluated": short(found.evaluated), "batched": short(found.batched), "others": short(found.others),
        "seeds": SEEDS, "epochs": EPOCHS,
    }  # fmt: skip
    print(save_record(CHAPTER, NAME, "python -m papertrail.gopher.recorded_group_size", data))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
