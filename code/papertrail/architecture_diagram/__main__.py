"""Where does a model put its norms? From the command line:

    python -m papertrail.architecture_diagram MODULE:CALLABLE --input int64:2x16 --output block.svg

MODULE is imported from the current folder or from what is installed; MODULE.py works as well. CALLABLE is a
module class or function that needs no arguments and returns a torch.nn.Module, or the module itself.
"""

import argparse
import importlib
import importlib.util
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from papertrail.architecture_diagram import compare, inspect_model
from papertrail.architecture_diagram.comparison import RULES
from papertrail.architecture_diagram.sublayer import Rule

TYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "bool")
FORM = "TYPE:SIZExSIZE..., such as int64:2x16, or NAME=TYPE:SIZE... for a keyword argument"


class Trouble(Exception):
    """A mistake of the caller's, said in one sentence."""


def read_input(text: str) -> tuple[str | None, Tensor]:
    """One `--input`: its keyword (or None) and random values. Integers are 0 and 1, which every vocabulary has.

    Shapes: any shape, as the text says.

    Raises:
        Trouble: the text is not of the form, the type is not allowed, or the values do not fit in memory.
    """
    match = re.fullmatch(r"(?:([A-Za-z_]\w*)=)?(\w+):(\d+(?:x\d+)*)", text)
    if not match:
        raise Trouble(f"--input: got {text!r}; allowed is {FORM}")
    keyword, kind, sizes = match.groups()
    if kind not in TYPES:
        raise Trouble(f"--input: got the type {kind!r} in {text!r}; allowed are {', '.join(TYPES)}")
    shape = [int(size) for size in sizes.split("x")]
    if 0 in shape:
        raise Trouble(f"--input: got a size of 0 in {text!r}; allowed are sizes from 1 up")
    generator = torch.Generator().manual_seed(0)
    dtype = getattr(torch, kind)
    try:
        if kind == "bool":
            return keyword, torch.ones(shape, dtype=dtype)
        if kind.startswith("int"):
            return keyword, torch.randint(0, 2, shape, generator=generator).to(dtype)
        return keyword, torch.randn(shape, generator=generator).to(dtype)
    except (RuntimeError, TypeError) as error:  # what torch raises for sizes too large for it
        raise Trouble(f"--input: got {text!r}; allowed are sizes that fit in memory") from error


def read_inputs(texts: list[str]) -> tuple[list[Tensor], dict[str, Tensor]]:
    """All of `--input`: in order, and by keyword.

    Shapes: any shape, as each text says.

    Raises:
        Trouble: as `read_input`, or a keyword is given twice.
    """
    positional, named = [], {}
    for text in texts:
        keyword, value = read_input(text)
        if keyword in named:
            raise Trouble(f"--input: got {keyword!r} twice; allowed is one input for each name")
        if keyword is None:
            positional.append(value)
        else:
            named[keyword] = value
    return positional, named


def load_model(target: str) -> nn.Module:
    """The model that MODULE:CALLABLE names.

    Raises:
        Trouble: it cannot be imported, found, built, or is no model.
    """
    module_name, colon, attribute = target.partition(":")
    if not (module_name and colon and attribute):
        raise Trouble(f"target: got {target!r}; allowed is MODULE:CALLABLE, such as my_model:build")
    try:
        module = _import(module_name)
    except FileNotFoundError as error:
        raise Trouble(f"target: there is no file {error}") from error
    except (Exception, SystemExit) as error:
        raise Trouble(
            f"target: importing {module_name} failed with {type(error).__name__}: {error}"
        ) from error
    thing: Any = module
    for name in attribute.split("."):
        if not hasattr(thing, name):
            public = [n for n in dir(thing) if not n.startswith("_")]
            raise Trouble(
                f"target: {module_name} has no {name!r}; it has {', '.join(public[:12]) or 'nothing'}"
            )
        thing = getattr(thing, name)
    if not isinstance(thing, nn.Module):
        if not callable(thing):
            raise Trouble(
                f"target: {target} is a {type(thing).__name__}; allowed is a module or what returns one"
            )
        try:
            thing = thing()
        except Exception as error:
            raise Trouble(
                f"target: calling {target}() failed with {type(error).__name__}: {error}. It is called without "
                "arguments; write a function of your own that passes them"
            ) from error
    if not isinstance(thing, nn.Module):
        raise Trouble(f"target: {target}() returned a {type(thing).__name__}; allowed is a torch.nn.Module")
    return thing


def _import(name: str) -> Any:
    if not name.endswith(".py"):
        sys.path.insert(0, os.getcwd())
        return importlib.import_module(name)
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(name)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{name}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.resolve().parent))
    spec.loader.exec_module(module)
    return module


def read_rule(text: str) -> Rule | str:
    """A placement, or a rule of two strings such as n/da.

    Raises:
        Trouble: the word is no placement, the rule is not in the language, or adds nothing.
    """
    if text in RULES:
        return text
    if "/" not in text:
        raise Trouble(f"--declared: got {text!r}; allowed are {', '.join(RULES)}, or a rule such as n/da")
    try:
        rule = Rule(*text.split("/", 1))
    except ValueError as error:
        raise Trouble(f"--declared: {error}") from error
    if "a" not in rule.postprocess:
        raise Trouble(f"--declared: got {text!r}, which adds nothing; allowed is a rule with the letter a")
    return rule


def check_output(path: Path) -> None:
    """Refuse what no figure can be written to, before a model is run for it.

    Raises:
        Trouble: the ending is neither .svg nor .png, the folder does not exist, or a folder stands there.
    """
    if path.suffix not in (".svg", ".png"):
        raise Trouble(f"--output: got {path.name!r}; allowed are names that end in .svg or .png")
    if not path.parent.is_dir():
        raise Trouble(f"--output: there is no folder {path.parent}")
    if path.is_dir():
        raise Trouble(f"--output: {path} is a folder; allowed is a file")


def save(figure: Any, alt: str, path: Path) -> None:
    """Write the figure beside its place first, so that a failure leaves nothing half written.

    Raises:
        Trouble: the file cannot be written.
    """
    from papertrail.figures import to_svg_file

    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=path.suffix)
    except OSError as error:
        raise Trouble(f"--output: {path} cannot be written: {error.strerror}") from error
    os.close(handle)
    try:
        if path.suffix == ".svg":
            Path(temporary).write_text(to_svg_file(figure, alt), encoding="utf-8")
        else:
            figure.savefig(temporary, dpi=200, metadata={"Description": alt})
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise Trouble(f"--output: {path} cannot be written: {error.strerror}") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def arguments() -> argparse.ArgumentParser:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m papertrail.architecture_diagram",
        description="Run a model once and report where it puts its norms.",
    )
    parser.add_argument(
        "target", metavar="MODULE:CALLABLE", help="a model, or what returns one without arguments"
    )
    parser.add_argument("--input", action="append", default=[], metavar="[NAME=]TYPE:SHAPE",
                        help="one of the model's inputs, in order; random values of " + ", ".join(TYPES))  # fmt: skip
    parser.add_argument("--output", metavar="FILE", type=Path, help="draw the block into a .svg or .png file")
    parser.add_argument("--stack", type=int, help="which stack to compare and draw, from 1 (default: all are "
                        "compared; the first that differs is drawn, or the first)")  # fmt: skip
    parser.add_argument("--declared", metavar="RULE", help="compare with a placement (pre) or a rule (n/da)")
    parser.add_argument(
        "--train", action="store_true", help="in train mode, where dropouts show (default: eval)"
    )
    return parser


def run(options: argparse.Namespace) -> int:
    """Inspect, print, draw. Returns 0, or 1 if the model is not as declared.

    Raises:
        Trouble: an option is not allowed, or the model cannot be loaded, run or read.
    """
    declared = None if options.declared is None else read_rule(options.declared)
    if options.output:
        check_output(options.output)
    positional, named = read_inputs(options.input)
    model = load_model(options.target).train(options.train)
    try:
        report = inspect_model(model, *positional, **named)
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith("model: "):  # the inspector's own
            raise Trouble(str(error)) from error
        given = ", ".join(options.input) or "no --input"
        raise Trouble(
            f"the model, called with {given}, failed with {type(error).__name__}: {error}"
        ) from error
    print(report)
    if options.stack is not None and not 1 <= options.stack <= len(report.stacks):
        raise Trouble(f"--stack: got {options.stack}; this model's stacks are 1 to {len(report.stacks)}")
    chosen = report if options.stack is None else report.stacks[options.stack - 1]
    comparison = None if declared is None else compare(declared, chosen)
    if comparison:
        print("declared:" if comparison.agrees else "not as declared:")
        print("\n".join(f"  - {line}" for line in comparison.differences or ("the model is as declared",)))
    if options.output:
        from papertrail.architecture_diagram.diagrams import draw_block, draw_comparison

        drawing = draw_comparison(comparison) if comparison else draw_block(report, (options.stack or 1) - 1)
        save(*drawing, options.output)
        print(f"wrote {options.output}")
    return 0 if comparison is None or comparison.agrees else 1


def main() -> int:
    """The command line; returns 0, 1 where the model is not as declared, or 2 where it could not be inspected."""
    try:
        return run(arguments().parse_args())
    except Trouble as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
