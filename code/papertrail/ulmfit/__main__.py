"""ULMFiT from the command line: `python -m papertrail.ulmfit pretrain|finetune|classify|export --help`.

    python -m papertrail.ulmfit pretrain --corpus bbc --corpus wikipedia --out runs/general
    python -m papertrail.ulmfit finetune --from runs/general --corpus imdb --out runs/imdb
    python -m papertrail.ulmfit classify --from runs/imdb --corpus imdb --labels 200 --seed 0
    torchrun --nproc_per_node 2 -m papertrail.ulmfit pretrain ...   (any number of processes and machines)

A run that was killed goes on when the same command is given again.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from papertrail.ulmfit.corpora import CorpusError, Document, load_corpus, split_by_hash
from tqdm import tqdm

from papertrail.ulmfit.language_model import LMSettings
from papertrail.ulmfit.runs import (
    ModelSizes,
    RunError,
    Stage,
    as_ids,
    carried_over,
    export_encoder,
    load_model,
    run_stage,
)
from papertrail.ulmfit.text import Vocabulary, tokenize

TEST, VALIDATION = 5000, 1000  # reviews of the target corpus that no stage learns from


def bar(what: str) -> Callable[[int, int, float], None]:
    """A progress bar in a terminal, a line for each tenth of the work elsewhere."""
    shown: list[tqdm] = []

    def on_step(step: int, steps: int, loss: float) -> None:
        if not shown:
            shown.append(tqdm(total=steps, desc=what, unit=" updates", disable=not sys.stderr.isatty()))
        shown[0].update(step - shown[0].n)
        shown[0].set_postfix_str(f"loss {loss:.3f}")
        if step == steps:
            shown[0].close()

    return on_step


def general_text(names: Sequence[str]) -> tuple[list[Document], list[Document]]:
    """What stage 1 learns from, and one document in twenty that it does not."""
    documents = [document for name in names for document in load_corpus(name).documents]
    split = split_by_hash(documents, test=0, validation=max(1, len(documents) // 20))
    return split.train, split.validation


def pretrain(args: argparse.Namespace) -> None:
    train, validation = general_text(args.corpus)
    vocabulary = Vocabulary.build((tokenize(d.text) for d in train), args.vocab_size)
    sizes = ModelSizes(args.embedding, args.hidden, args.layers)
    torch.manual_seed(args.seed)
    stage = Stage(
        sizes.build(len(vocabulary)),
        vocabulary,
        sizes,
        as_ids((d.text for d in train), vocabulary),
        {"general": as_ids((d.text for d in validation), vocabulary)},
        {"stage": "pretrain", "corpora": args.corpus},
    )
    finish(stage, args, 1.0)


def finetune(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    split = split_by_hash(load_corpus(args.corpus).documents, test=args.test, validation=args.validation)
    vocabulary = Vocabulary.build((tokenize(d.text) for d in split.train), args.vocab_size)
    held_out = {"target": as_ids((d.text for d in split.validation), vocabulary)}
    if args.start is None:
        sizes, general = ModelSizes(args.embedding, args.hidden, args.layers), None
        model = sizes.build(len(vocabulary))
    else:
        old, words, record = load_model(args.start)
        sizes, general = ModelSizes.of(record["sizes"]), record.get("corpora")
        model = carried_over(old, words, vocabulary, sizes)
    if isinstance(general, list):  # forgetting is measured on the general text, in the new vocabulary
        held_out["general"] = as_ids((d.text for d in general_text(general)[1]), vocabulary)
    about = {
        "stage": "finetune",
        "corpus": args.corpus,
        "held_out": [args.test, args.validation],
        "from": general,
    }
    text = as_ids((d.text for d in split.train), vocabulary)
    finish(Stage(model, vocabulary, sizes, text, held_out, about), args, args.factor)


def finish(stage: Stage, args: argparse.Namespace, factor: float) -> None:
    settings = LMSettings(
        passes=args.passes,
        lr=args.lr,
        batch_size=args.batch_size,
        bptt=args.bptt,
        factor=factor,
        seed=args.seed,
    )
    record = run_stage(stage, settings, args.out, device=args.device, on_step=bar(stage.about["stage"]))
    for name, value in record["perplexity"].items():
        print(
            f"perplexity on held-out {name} text: {record['perplexity_before'][name]} before, {value} after"
        )


def export(args: argparse.Namespace) -> None:
    about = export_encoder(args.start, args.out)
    print(f"{args.out}: {about['bytes']:,} bytes, SHA-256 {about['sha256']}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m papertrail.ulmfit", description="ULMFiT, stage by stage.")
    commands = top.add_subparsers(required=True, metavar="pretrain|finetune|classify|export")

    def command(name: str, does: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=does, description=does)
        one.set_defaults(run=run)
        return one

    def language_model(one: argparse.ArgumentParser, passes: int) -> None:
        one.add_argument("--out", type=Path, required=True, help="folder of the run")
        one.add_argument("--passes", type=int, default=passes, help=f"times through the text ({passes})")
        one.add_argument("--lr", type=float, default=LMSettings.lr, help=f"highest rate ({LMSettings.lr})")
        one.add_argument("--batch-size", type=int, default=LMSettings.batch_size, help="streams read at once")
        one.add_argument("--bptt", type=int, default=LMSettings.bptt, help="words a gradient goes back")
        one.add_argument("--vocab-size", type=int, default=8000, help="words the model knows (8000)")
        one.add_argument("--embedding", type=int, default=ModelSizes.embedding_dim, help="features of a word")
        one.add_argument("--hidden", type=int, default=ModelSizes.hidden_dim, help="features of a layer")
        one.add_argument("--layers", type=int, default=ModelSizes.num_layers, help="LSTM layers")
        one.add_argument("--seed", type=int, default=0)
        one.add_argument("--device", default="cpu", help="cpu, cuda, ...")

    one = command("pretrain", "Stage 1: a language model of general text.", pretrain)
    one.add_argument(
        "--corpus", action="append", required=True, help="bbc, wikipedia, own, file:PATH or hub:ID; repeat"
    )
    language_model(one, 3)
    one = command("finetune", "Stage 2: go on with the text of the task.", finetune)
    one.add_argument("--from", dest="start", type=Path, help="folder of a pretrain run; none for new weights")
    one.add_argument("--corpus", required=True, help="imdb, own, file:PATH or hub:ID")
    one.add_argument(
        "--factor", type=float, default=2.6, help="between the rates of neighboring layers (2.6)"
    )
    one.add_argument("--test", type=int, default=TEST, help=f"documents for the last test ({TEST})")
    one.add_argument(
        "--validation", type=int, default=VALIDATION, help=f"documents for validation ({VALIDATION})"
    )
    language_model(one, 3)
    one = command("export", "An encoder in half precision with its words.", export)
    one.add_argument("--from", dest="start", type=Path, required=True, help="folder of a finished run")
    one.add_argument("--out", type=Path, required=True, help="file to write; its record goes beside it")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    try:
        args.run(args)
    except (CorpusError, RunError, ValueError) as error:
        print(f"papertrail.ulmfit: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
