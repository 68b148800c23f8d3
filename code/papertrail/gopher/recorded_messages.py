"""The table of messages for 2 and 4 processes, with the time of a step on the machine that recorded it.

    python -m papertrail.gopher.recorded_messages    count, time, and record

Counts depend on nothing but the net and PyTorch's rules; times depend on everything.
"""

import os
import resource
from dataclasses import asdict

from papertrail.experiments import load_record, results_file, rounded, save_record
from papertrail.gopher.messages import Messages, measure_messages, table_of_messages

CHAPTER, NAME = "gopher", "messages"
PROCESSES, TIMED = (2, 4), 50


def load_messages() -> dict[int, Messages]:
    """The recorded tables by number of processes.

    Raises:
        FileNotFoundError: they were never recorded.
    """
    runs = [Messages.of(run) for run in load_record(CHAPTER, NAME)["runs"]]
    return {run.processes: run for run in runs}


def main() -> int:
    """Count and time for each number of processes, and record both tables."""
    results_file(CHAPTER, NAME)  # before the run: without book/ there is nowhere to record it
    runs = []
    for processes in PROCESSES:
        messages = measure_messages(processes, timed=TIMED, timeout=600)
        runs.append(rounded(asdict(messages)))
        for row in table_of_messages(messages)[1]:
            print(processes, *row, sep="  ", flush=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    data = {
        "cores": os.cpu_count(),
        "timed_steps": TIMED,
        "cpu_seconds_of_the_processes": round(used.ru_utime + used.ru_stime, 1),
        "runs": runs,
    }
    save_record(CHAPTER, NAME, "python -m papertrail.gopher.recorded_messages", data)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
