"""ULMFiT from the command line: `python -m papertrail.ulmfit pretrain|finetune|classify|export --help`.

    python -m papertrail.ulmfit pretrain --corpus bbc --corpus wikipedia --out runs/general
    python -m papertrail.ulmfit finetune --from runs/general --corpus imdb --out runs/imdb
    python -m papertrail.ulmfit classify --from runs/imdb --corpus imdb --labels 200 --out runs/imdb-200.json
    torchrun --nproc_per_node 2 -m papertrail.ulmfit pretrain ...   (any number of processes and machines)

A run that was killed goes on when the same command is given again.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import torch
from tqdm import tqdm

from papertrail.experiments import seeded
from papertrail.ulmfit.awd_lstm import Dropouts
from papertrail.ulmfit.classifier import TextClassifier
from papertrail.ulmfit.classifier_runs import bag_of_words_error, labelled, load_start, run_classifier
from papertrail.ulmfit.corpora import (
    CorpusError,
    Document,
    Split,
    labelled_subset,
    load_corpus,
    split_by_hash,
)
from papertrail.ulmfit.fine_tuning import METHODS, ULMFIT, ClassifierTraining, Method
from papertrail.ulmfit.language_model import LMSettings
from papertrail.ulmfit.runs import (
    ModelSizes,
    RunError,
    Stage,
    as_ids,
    carried_over,
    export_encoder,
    load_model,
    origin,
    read_record,
    run_stage,
    usable,
    write_json,
)
from papertrail.ulmfit.text import Vocabulary, tokenize

TEST, VALIDATION = 5000, 1000  # reviews of the target corpus that no stage learns from
ONE_RATE = {"one rate": Method(0.003, schedule="slanted-triangular")}  # what suits new weights
HEAD_DROPOUTS = (0.4, 0.1)  # the scripts'; --dropout changes the first
FIRST = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started, this one talks


def bar(what: str) -> Callable[[int, int, float], None]:
    """A progress bar in a terminal, a line for each tenth of the work elsewhere."""
    shown: list[tqdm] = []
    in_terminal, tenth = sys.stderr.isatty(), -1

    def on_step(step: int, steps: int, loss: float) -> None:
        nonlocal tenth
        if not FIRST:
            return
        if not in_terminal:
            if 10 * step // steps > tenth:
                tenth = 10 * step // steps
                print(f"{what}: {step} of {steps} updates, loss {loss:.3f}", file=sys.stderr, flush=True)
            return
        if not shown:
            shown.append(tqdm(total=steps, initial=step, desc=what, unit=" updates"))
        shown[0].update(step - shown[0].n)
        shown[0].set_postfix_str(f"loss {loss:.3f}")
        if step == steps:
            shown[0].close()

    return on_step


def say(line: str) -> None:
    """Print a line, once where several processes run."""
    if FIRST:
        print(line)


def recorded(corpus: str) -> str:
    """A corpus as records name it: a file by its name alone, since folders differ between machines."""
    return f"file:{Path(corpus[5:]).name}" if corpus.startswith("file:") else corpus


def general_text(names: Sequence[str]) -> tuple[Split, str]:
    """One document in twenty apart, which stage 1 does not learn from; and sixteen digits that name the text."""
    documents = [document for name in names for document in load_corpus(name).documents]
    digest = sha256("\n".join(document.text for document in documents).encode()).hexdigest()[:16]
    return split_by_hash(documents, test=0, validation=max(1, len(documents) // 20)), digest


def words_of(documents: Sequence[Document], size: int) -> Vocabulary:
    """The vocabulary of documents, at most `size` words."""
    return Vocabulary.build((tokenize(document.text) for document in documents), size)


def pretrain(args: argparse.Namespace) -> None:
    """Stage 1: a language model of general text."""
    split, digest = general_text(args.corpus)
    vocabulary = words_of(split.train, args.vocab_size)
    sizes = ModelSizes(args.embedding, args.hidden, args.layers)
    torch.manual_seed(args.seed)
    stage = Stage(
        sizes.build(len(vocabulary)),
        vocabulary,
        sizes,
        as_ids((d.text for d in split.train), vocabulary),
        {"general": as_ids((d.text for d in split.validation), vocabulary)},
        {"stage": "pretrain", "corpora": [recorded(name) for name in args.corpus], "general_text": digest},
    )
    finish(stage, args, 1.0)


def general_held_out(args: argparse.Namespace, vocabulary: Vocabulary) -> dict[str, torch.Tensor]:
    """What forgetting is measured on: the general text that stage 1 held out, in the new words, if it is here.

    Shapes: returns (N,) for each text, word by word.

    Raises:
        CorpusError, RunError: a text that --general names is not here, or is not the one of stage 1.
    """
    record = read_record(args.start / "run.json")
    names = args.general or record.get("corpora", [])
    try:
        if not names:
            raise RunError(f"{args.start}: is no pretrain run, and names no general text")
        split, digest = general_text(names)
        if record.get("general_text", digest) != digest:
            raise RunError(f"{', '.join(names)}: is not the text that {args.start} learned from")
    except (CorpusError, RunError) as error:
        if args.general:
            raise
        say(f"forgetting is not measured ({error}); --general tells where the general text is")
        return {}
    return {"general": as_ids((d.text for d in split.validation), vocabulary)}


def finetune(args: argparse.Namespace) -> None:
    """Stage 2: the language model goes on with the target corpus, or begins with it."""
    split = split_by_hash(load_corpus(args.corpus).documents, test=args.test, validation=args.validation)
    vocabulary = words_of(split.train, args.vocab_size)
    held_out = {"target": as_ids((d.text for d in split.validation), vocabulary)}
    torch.manual_seed(args.seed)
    if args.start is None:
        sizes = ModelSizes(args.embedding, args.hidden, args.layers)
        model = sizes.build(len(vocabulary))
    else:
        old, words, record = load_model(args.start)
        sizes = ModelSizes.of(record["sizes"])
        model = carried_over(old, words, vocabulary, sizes)
        held_out |= general_held_out(args, vocabulary)
    about = {
        "stage": "finetune",
        "corpus": recorded(args.corpus),
        "held_out": [args.test, args.validation],
        "from": None if args.start is None else origin(args.start),
    }
    text = as_ids((d.text for d in split.train), vocabulary)
    finish(Stage(model, vocabulary, sizes, text, held_out, about), args, args.factor)


def finish(stage: Stage, args: argparse.Namespace, factor: float) -> None:
    """Run a stage of language modelling, and say the perplexities before and after."""
    settings = LMSettings(
        passes=args.passes,
        lr=args.lr,
        batch_size=args.batch_size,
        bptt=args.bptt,
        factor=factor,
        seed=args.seed,
    )
    record = run_stage(
        stage,
        settings,
        args.out,
        device=args.device,
        every=args.checkpoint_every,
        on_step=bar(stage.about["stage"]),
    )
    for name, value in record["perplexity"].items():
        say(f"perplexity on held-out {name} text: {record['perplexity_before'][name]} before, {value} after")


def new_classifier(
    args: argparse.Namespace, split: Split, num_classes: int
) -> tuple[TextClassifier, Vocabulary]:
    """The classifier of an encoder, or of new weights, before stage 3."""
    dropouts = Dropouts().times(args.dropout)
    with seeded(args.seed):
        if args.start is None:
            vocabulary = words_of(split.train, args.vocab_size)
            sizes = ModelSizes(args.embedding, args.hidden, args.layers, dropouts=dropouts)
            encoder = sizes.build(len(vocabulary)).encoder
        else:
            encoder, vocabulary = load_start(args.start, dropouts)
        head = (HEAD_DROPOUTS[0] * args.dropout, HEAD_DROPOUTS[1])
        return TextClassifier(encoder, num_classes, head_dropouts=head).to(args.device), vocabulary


def classify(args: argparse.Namespace) -> None:
    """Stage 3: a classifier from an encoder, judged on documents it has not seen.

    Raises:
        RunError: it was started under torchrun, or what it needs is not there.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise RunError("classify: runs in one process; start it without torchrun")
    corpus = load_corpus(args.corpus)
    if len(corpus.classes) < 2:
        raise RunError(f"--corpus: got {args.corpus}, which has no classes; allowed are corpora with labels")
    split = split_by_hash(corpus.documents, test=args.test, validation=args.validation)
    part = "test" if args.final else "validation"
    judges = split.test if args.final else split.validation
    if not judges:
        raise RunError(f"--{part}: got 0; allowed are integers from 1 up for the part that judges")
    drawn = labelled_subset(split.train, args.labels, args.seed)
    classifier, vocabulary = new_classifier(args, split, len(corpus.classes))
    encoder = classifier.documents.encoder
    method = args.method or (next(iter(ONE_RATE)) if args.start is None else ULMFIT)
    as_given = ("labels", "epochs", "batch_size", "max_words", "dropout", "seed")
    made = {
        "stage": "classify",
        "corpus": recorded(args.corpus),
        "from": None if args.start is None else origin(args.start),
        "encoder": [encoder.vocab_size, encoder.embedding_dim, len(encoder.layers)],
        "vocabulary": vocabulary.digest,
        "method": method,
        **{name: getattr(args, name) for name in as_given},
        "split": {"test": len(split.test), "validation": len(split.validation), "train": len(split.train)},
        "drawn": sha256("\n".join(d.text for d in drawn).encode()).hexdigest()[:16],
        "judged_on": part,
    }
    train, judged = (labelled(documents, vocabulary, args.max_words) for documents in (drawn, judges))
    training = ClassifierTraining(
        classifier,
        train.documents,
        train.labels,
        ONE_RATE.get(method, method),
        epochs=args.epochs,
        batch_size=args.batch_size,
        seed=args.seed,
    )
    on_step = bar("classify")
    record = run_classifier(training, judged, made, args.out, every=args.checkpoint_every, on_step=on_step)
    found = {method: record}
    if args.bag_of_words:
        if "bag_of_words" not in record:  # it sees the same words of the same documents
            bag = bag_of_words_error(train, judged, len(vocabulary), len(corpus.classes))
            record["bag_of_words"] = bag
            if args.out is not None:
                write_json(record, args.out)
        found["bag of words"] = record["bag_of_words"]
    for name, values in found.items():
        error, spread = 100 * values["error"], 100 * values["standard_error"]
        print(f"{name}: error {error:.1f}% +- {spread:.1f} on {len(judges):,} {part} documents")


def export(args: argparse.Namespace) -> None:
    """Write the encoder of a finished run into one file."""
    about = export_encoder(args.start, args.out)
    print(f"{args.out}: {about['bytes']:,} bytes, SHA-256 {about['sha256']}")


def model_options(one: argparse.ArgumentParser) -> None:
    """Options that say how large a new model is."""
    one.add_argument("--vocab-size", type=int, default=8000, help="words a new model knows (8000)")
    one.add_argument("--embedding", type=int, default=ModelSizes.embedding_dim, help="features of a word")
    one.add_argument("--hidden", type=int, default=ModelSizes.hidden_dim, help="features of a layer")
    one.add_argument("--layers", type=int, default=ModelSizes.num_layers, help="LSTM layers")


def run_options(one: argparse.ArgumentParser, batch_size: int, every: int) -> None:
    """Options of every run: batch, seed, device, checkpoints."""
    one.add_argument("--batch-size", type=int, default=batch_size, help=f"read side by side ({batch_size})")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ... (cpu)")
    one.add_argument("--checkpoint-every", type=int, default=every, metavar="UPDATES", help=f"({every})")


def split_options(one: argparse.ArgumentParser) -> None:
    """Options that say how many documents are kept back."""
    one.add_argument("--test", type=int, default=TEST, help=f"documents for the last test ({TEST})")
    one.add_argument(
        "--validation", type=int, default=VALIDATION, help=f"documents for validation ({VALIDATION})"
    )


def language_model_options(one: argparse.ArgumentParser) -> None:
    """Options of both stages of language modelling."""
    one.add_argument("--out", type=Path, required=True, help="folder of the run; all machines must see it")
    one.add_argument("--passes", type=int, default=LMSettings.passes, help="times through the text (3)")
    one.add_argument("--lr", type=float, default=LMSettings.lr, help=f"highest rate ({LMSettings.lr})")
    one.add_argument("--bptt", type=int, default=LMSettings.bptt, help="words a gradient goes back (70)")
    model_options(one)
    run_options(one, LMSettings.batch_size, 200)


def classify_options(one: argparse.ArgumentParser) -> None:
    """Options of stage 3."""
    one.add_argument(
        "--from",
        dest="start",
        type=lambda given: None if given == "none" else Path(given),
        required=True,
        help="folder of a finished run, a file that export wrote (.pt), or none for new weights",
    )
    one.add_argument("--corpus", required=True, help="imdb, bbc, own, file:PATH (a table) or hub:ID")
    one.add_argument(
        "--labels", type=int, required=True, help="documents to learn from, of all classes alike"
    )
    one.add_argument(
        "--method",
        choices=(*METHODS, *ONE_RATE),
        metavar="METHOD",
        help=f"{', '.join((*METHODS, *ONE_RATE))} (the last for new weights, otherwise {ULMFIT})",
    )
    one.add_argument("--epochs", type=int, default=15, help="times through the labelled documents (15)")
    one.add_argument("--max-words", type=int, default=200, help="of a document, its last ones (200)")
    one.add_argument(
        "--dropout", type=float, default=0.5, help="times the paper's, which are for a large model (0.5)"
    )
    one.add_argument("--bag-of-words", action="store_true", help="judge words without order beside it")
    one.add_argument("--final", action="store_true", help="judge on the test part, once, at the very end")
    one.add_argument("--out", type=Path, help="record of the run (.json); without it nothing is kept")
    split_options(one)
    model_options(one)
    run_options(one, 32, 20)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m papertrail.ulmfit", description="ULMFiT, stage by stage.")
    commands = top.add_subparsers(required=True, metavar="pretrain|finetune|classify|export")

    def command(name: str, does: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=does, description=does)
        one.set_defaults(run=run)
        return one

    several = "Under torchrun, any number of processes share the batch."
    one = command("pretrain", f"Stage 1: a language model of general text. {several}", pretrain)
    one.add_argument(
        "--corpus",
        action="append",
        required=True,
        help="bbc, wikipedia, own-general, file:PATH, hub:ID; repeat",
    )
    language_model_options(one)
    one = command("finetune", f"Stage 2: go on with the text of the task. {several}", finetune)
    one.add_argument(
        "--from", dest="start", type=Path, help="folder of a pretrain run; left out: new weights"
    )
    one.add_argument("--corpus", required=True, help="imdb, own, file:PATH or hub:ID")
    one.add_argument(
        "--general", action="append", help="where the general text is, if not where it was; repeat"
    )
    one.add_argument(
        "--factor", type=float, default=2.6, help="between the rates of neighboring layers (2.6)"
    )
    split_options(one)
    language_model_options(one)
    one = command("classify", "Stage 3: a classifier, in one process, not under torchrun.", classify)
    classify_options(one)
    one = command("export", "An encoder in half precision with its words.", export)
    one.add_argument("--from", dest="start", type=Path, required=True, help="folder of a finished run")
    one.add_argument("--out", type=Path, required=True, help="file to write (.pt); its record goes beside it")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 0, 2 where it cannot do what was asked, or 130 where it was stopped."""
    args = parser().parse_args(arguments)
    try:
        usable(getattr(args, "device", "cpu"))
        args.run(args)
    except (CorpusError, RunError, ValueError, OSError) as error:
        print(f"papertrail.ulmfit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        goes_on = (
            "the same command goes on from the last checkpoint"
            if args.out
            else "without --out nothing is kept"
        )
        print(f"papertrail.ulmfit: interrupted; {goes_on}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
