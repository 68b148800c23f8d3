"""Training runs in processes of their own: two that share a batch, and one that is killed while it writes.

    python language_model_processes.py FOLDER

PyTorch is imported once (seconds), then forked. The two find each other as under torchrun, by a store that a third
process keeps.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from torch import distributed

from papertrail.ulmfit.__main__ import main as command_line
from papertrail.ulmfit.awd_lstm import NO_DROPOUT, Dropouts
from papertrail.ulmfit.language_model import LMSettings
from papertrail.ulmfit.runs import ModelSizes, Stage, processes, run_stage
from papertrail.ulmfit.text import SPECIALS, Vocabulary

SETTINGS = LMSettings(passes=3, lr=0.01, batch_size=4, bptt=10, factor=2.6)
OPTIONS = {"embedding": 8, "hidden": 12, "layers": 2, "batch-size": 4, "bptt": 10, "vocab-size": 40, "passes": 2,
           "checkpoint-every": 3, "lr": 0.01}  # fmt: skip
PRETRAIN = [word for name, value in OPTIONS.items() for word in (f"--{name}", str(value))]


def pretrain(folder: Path, out: str) -> list[str]:
    """Stage 1 on the folder's text, as the command line takes it."""
    return ["pretrain", "--corpus", f"file:{folder / 'general.txt'}", "--out", str(folder / out), *PRETRAIN]


def small_stage(dropouts: Dropouts = NO_DROPOUT) -> Stage:
    """The same model, words and text, wherever it is called.

    The text's rare words stand in its second half: the first of two processes never meets the rare clusters.
    """
    draws = torch.Generator().manual_seed(0)
    frequent, anything = (torch.randint(2, top, (100,), generator=draws) for top in (10, 30))
    text = torch.cat([frequent, anything])
    sizes = ModelSizes(6, 8, 2, (10, 20), dropouts)
    torch.manual_seed(1)
    vocabulary = Vocabulary([*SPECIALS, *(f"w{i}" for i in range(24))])
    return Stage(sizes.build(30), vocabulary, sizes, text, {"own": text[60:]}, {"stage": "pretrain"})


class Stopped(Exception):
    """What the test throws into a run."""


def stop(step: int, steps: int, loss: float) -> None:
    raise Stopped


def one_of_two(folder: Path) -> None:
    """Runs alone and cut, in this process of two."""
    with processes("cpu") as (rank, world, _):
        assert world == 2
        run_stage(small_stage(), SETTINGS, folder / "two without dropout", every=50)
        run_stage(small_stage(Dropouts()), SETTINGS, folder / "two", every=50)
        try:
            run_stage(small_stage(Dropouts()), SETTINGS, folder / "two cut", every=7, on_step=stop)
        except Stopped:
            distributed.barrier()  # the first process writes for both
            assert (folder / "two cut" / "checkpoint.pt").exists()
        torch.manual_seed(99 + rank)  # what happens elsewhere in between does not matter
        run_stage(small_stage(Dropouts()), SETTINGS, folder / "two cut", every=50)


def killed(folder: Path) -> None:
    """Stage 1, whose process dies with its third checkpoint half written."""
    save, calls = torch.save, []

    def save_twice(value: object, path: Path) -> None:
        calls.append(path)
        save(value, path)
        if len(calls) == 3:
            path.write_bytes(path.read_bytes()[:1000])
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save = save_twice
    command_line(pretrain(folder, "killed"))


def fork(work: Callable[[Path], None], folder: Path, **environment: str) -> int:
    """Do some work in a copy of this process; its number."""
    if child := os.fork():
        return child
    os.environ.update(environment)
    status = 1
    try:
        work(folder)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def main(folder: Path) -> int:
    torch.optim.Adam([torch.zeros(1)])  # imports what it needs, once for all
    store = distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "WORLD_SIZE": "2",
              "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}  # fmt: skip
    children = [
        fork(killed, folder),
        *(fork(one_of_two, folder, RANK=rank, LOCAL_RANK=rank, **shared) for rank in "01"),
    ]
    found = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    expected = [-signal.SIGKILL, 0, 0]
    print(f"exit codes: {found}, expected {expected}", file=sys.stderr)
    return int(found != expected)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
