"""The command line reports, compares, draws and saves; and what goes wrong is said in one line a person can act on."""

import os
import stat
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image

from papertrail import figures
from papertrail.architecture_diagram import __main__ as command
from papertrail.architecture_diagram import compare, diagrams, inspect_model
from papertrail.architecture_diagram.measurements import PRE_LN, PUBLISHED
from papertrail.experiments import seeded

MODELS = '''
import torch
from torch import nn
from papertrail.architecture_diagram.transformer import Encoder, Transformer

_SIZES = (2, 8, 2, 16)

def published():
    return Encoder(*_SIZES, "none", "dan", dropout=0.1)

def pre():
    return Encoder(*_SIZES, "n", "da", dropout=0.1)

class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = pre()
        self.mode = None

    def forward(self, *, x, keep):
        assert keep.dtype == torch.bool and keep.all()
        return self.inner(x)

class Pair(nn.Module):
    """Two stacks: Post-LN, then Pre-LN with cross-attention."""
    def __init__(self):
        super().__init__()
        self.model = nn.Transformer(8, 2, 1, 2, 16, batch_first=True)
        for layer in self.model.decoder.layers:
            layer.norm_first = True

    def forward(self, source, target):
        return self.model(source, target)

def words():
    return Transformer(2, d_model=8, num_heads=2, d_ff=16, num_layers=2)

class Holder:
    build = staticmethod(published)

class Touchy(nn.Module):
    def forward(self, x):
        raise ValueError("too short")

def broken():
    raise OSError("no weights here")

def needs(size):
    return pre()

def five():
    return 5

def flat():
    return nn.Linear(8, 8)

made = published()
number = 5
'''
X = ("--input", "float32:1x3x8")
PAIR = ("--input", "float32:1x3x8", "--input", "float32:1x4x8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a module of models in it; what `main` imports and inserts is undone."""
    (tmp_path / "some_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("some_models", "apart", "exits"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


@pytest.fixture
def main(folder, monkeypatch, capsys):
    """Runs `main` on arguments; gives the exit code, what was printed and what was said in error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["papertrail.architecture_diagram", *map(str, arguments)])
        code = command.main()
        return code, *capsys.readouterr()

    return run


def subprocess_run(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "papertrail.architecture_diagram", *arguments],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_from_a_shell_the_report_is_printed_and_the_figure_written(folder):
    run = subprocess_run(folder, "some_models:published", *X, "--output", "block.svg")
    assert (run.returncode, run.stderr) == (0, "")
    lines = run.stdout.splitlines()
    assert lines[:5] == [
        "placement   post", "norm        layernorm", "parallel    False", "final_norm  False", "num_blocks  2",
    ]  # fmt: skip
    assert "  - every block, feed-forward: norm(x + f(x)) is post" in lines and lines[-1] == "wrote block.svg"
    assert ElementTree.parse(folder / "block.svg").getroot().get("aria-label").startswith("Post-LN")


def test_from_a_shell_a_model_that_is_not_as_declared_gives_1_and_a_mistake_gives_2(folder):
    run = subprocess_run(folder, "some_models.py:published", *X, "--declared", "pre")
    assert run.returncode == 1 and "not as declared:" in run.stdout and run.stderr == ""
    run = subprocess_run(folder, "some_models:nothing", *X)
    assert run.returncode == 2 and run.stdout == ""
    assert (
        run.stderr.startswith("error: target: some_models has no 'nothing'; it has ")
        and run.stderr.count("\n") == 1
    )


def test_from_a_shell_help_and_missing_arguments_are_argparses(folder):
    assert "MODULE:CALLABLE" in subprocess_run(folder, "--help").stdout
    run = subprocess_run(folder)
    assert run.returncode == 2 and "required: MODULE:CALLABLE" in run.stderr


@pytest.mark.parametrize(
    "target",
    ["some_models:published", "some_models.py:published", "some_models:made", "some_models:Holder.build"],
)
def test_a_target_is_a_function_a_model_or_an_attribute_of_a_module_or_a_file(main, target):
    code, out, err = main(target, *X)
    assert (code, err) == (0, "") and out.startswith("placement   post\n")


def test_a_file_elsewhere_is_loaded_with_its_neighbors(main, folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "neighbor.py").write_text(MODELS)
    (folder / "sub" / "apart.py").write_text("from neighbor import pre as build\n")
    code, out, _ = main("sub/apart.py:build", *X)
    assert code == 0 and out.startswith("placement   pre\n")
    del sys.modules["neighbor"]


def test_inputs_are_given_in_order_or_by_name(main):
    code, out, err = main("some_models:Named", "--input", "x=float32:1x3x8", "--input", "keep=bool:1x3")
    assert (code, err) == (0, "") and out.startswith("placement   pre\n")
    code, out, _ = main("some_models:words", "--input", "int64:2x5", "--input", "target=int64:2x4")
    assert code == 0 and "num_blocks  4" in out
    code, out, _ = main("some_models:Pair", *PAIR)
    assert (
        code == 0
        and out.startswith("placement   hybrid\n")
        and "stack 2: every block, cross-attention" in out
    )


@pytest.mark.parametrize("kind", command.TYPES)
def test_values_have_the_type_and_shape_asked_for_and_are_the_same_each_time(kind):
    (keyword, first), (_, second) = command.read_input(f"a_1={kind}:2x3"), command.read_input(f"{kind}:2x3")
    assert keyword == "a_1" and str(first.dtype) == f"torch.{kind}" and first.shape == (2, 3)
    assert first.equal(second)
    if "int" in kind:
        many = command.read_input(f"{kind}:100")[1]
        assert set(many.tolist()) == {0, 1}  # every vocabulary has these


def test_dropouts_show_in_train_mode_only(main):
    assert "drop(" not in main("some_models:published", *X)[1]
    assert "norm(x + drop(f(x))) is post" in main("some_models:published", *X, "--train")[1]


@pytest.mark.parametrize(
    ("declared", "code", "lines"),
    [
        ("post", 0, ["declared:", "  - the model is as declared"]),
        ("none/dan", 0, ["declared:", "  - the model is as declared"]),
        (
            "pre", 1,
            [
                "not as declared:",
                "  - self-attention: norm declared at the branch's entrance, traced on the main path after the sum.",
                "  - feed-forward: norm declared at the branch's entrance, traced on the main path after the sum.",
            ],
        ),
    ],
)  # fmt: skip
def test_the_verdict_on_what_is_declared_ends_the_report_and_decides_the_exit_code(
    main, declared, code, lines
):
    found, out, err = main("some_models:published", *X, "--declared", declared)
    assert (found, err) == (code, "") and out.splitlines()[-len(lines) :] == lines
    assert out.startswith("placement   post\n")


def test_a_declared_dropout_is_asked_for_in_train_mode(main):
    assert main("some_models:published", *X, "--declared", "none/an")[0] == 0
    code, out, _ = main("some_models:published", *X, "--declared", "none/an", "--train")
    assert code == 1 and "dropout declared nowhere, traced at the branch's end" in out


def test_of_a_model_of_two_stacks_the_first_that_differs_decides_unless_one_is_chosen(main, folder):
    code, out, _ = main("some_models:Pair", *PAIR, "--declared", "post", "--output", "all.svg")
    assert code == 1 and "  - Stack 2: cross-attention: norm declared" in out and "Stack 1:" not in out
    assert "cross-attention" in (folder / "all.svg").read_text()
    assert main("some_models:Pair", *PAIR, "--declared", "post", "--stack", "1")[0] == 0
    assert main("some_models:Pair", *PAIR, "--declared", "post", "--stack", "2")[0] == 1
    assert main("some_models:Pair", *PAIR, "--declared", "pre", "--stack", "2")[0] == 0


def test_the_stack_asked_for_is_drawn(main, folder):
    for stack, name in ((), "first"), (("--stack", 1), "one"), (("--stack", 2), "two"):
        assert main("some_models:Pair", *PAIR, *stack, "--output", f"{name}.svg")[0] == 0
    assert (folder / "first.svg").read_text() == (folder / "one.svg").read_text()
    first, second = ((folder / f"{name}.svg").read_text() for name in ("one", "two"))
    assert "stack 1 of 2" in first and "cross-attention" not in first
    assert "stack 2 of 2" in second and "cross-attention" in second


def test_the_figure_is_that_of_the_report_and_with_a_declaration_that_of_the_comparison(main, folder):
    with seeded(0):
        namespace = {}
        exec(MODELS, namespace)
        report = inspect_model(namespace["published"]().eval(), command.read_input(X[1])[1])
    main("some_models:published", *X, "--output", "block.svg")
    assert (folder / "block.svg").read_text() == figures.to_svg_file(*diagrams.draw_block(report))
    main("some_models:published", *X, "--declared", "n/da", "--output", "block.svg")
    comparison = diagrams.draw_comparison(compare(PRE_LN, report))
    assert (folder / "block.svg").read_text() == figures.to_svg_file(*comparison)
    assert comparison[1] != diagrams.draw_comparison(compare(PUBLISHED, report))[1]


def test_svg_and_png_carry_a_size_and_the_words(main, folder):
    for name in ("block.svg", "block.png"):
        code, out, err = main("some_models:pre", *X, "--output", name)
        assert (code, err) == (0, "") and out.endswith(f"wrote {name}\n")
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o644
    root = ElementTree.parse(folder / "block.svg").getroot()
    assert root.get("width") == "520" and "var(" not in (folder / "block.svg").read_text()
    with Image.open(folder / "block.png") as image:
        assert image.format == "PNG" and image.width == round(200 * figures.WIDTH)
        assert image.info["Description"] == root.get("aria-label")
    assert root.get("aria-label").startswith("Pre-LN: a norm at the entrance of every branch: 2 blocks")
    assert files(folder) == ["block.png", "block.svg", "some_models.py"]


def test_without_an_output_no_file_is_written(main, folder):
    code, out, _ = main("some_models:pre", *X)
    assert code == 0 and "wrote" not in out and files(folder) == ["some_models.py"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["some_models", *X], "target: got 'some_models'; allowed is MODULE:CALLABLE, such as my_model:build"),
        ([":pre", *X], "target: got ':pre'; allowed is MODULE:CALLABLE"),
        (["some_models:", *X], "target: got 'some_models:'; allowed is MODULE:CALLABLE"),
        (["no_such_module:a", *X], "target: importing no_such_module failed with ModuleNotFoundError: No module named"),
        (["none.py:a", *X], "target: there is no file none.py"),
        (["exits.py:a", *X], "target: importing exits.py failed with SystemExit: 3"),
        (["apart.py:a", *X], "target: importing apart.py failed with ZeroDivisionError: division by zero"),
        (["some_models:pree", *X], "target: some_models has no 'pree'; it has Encoder, Holder, Named, Pair, Touchy, "),
        (["some_models:Holder.nix", *X], "target: some_models has no 'nix'; it has build"),
        (["some_models:number", *X], "target: some_models:number is a int; allowed is a module or what returns one"),
        (["some_models:five", *X], "target: some_models:five() returned a int; allowed is a torch.nn.Module"),
        (["some_models:broken", *X], "target: calling some_models:broken() failed with OSError: no weights here. "),
        (["some_models:needs", *X], "missing 1 required positional argument: 'size'. It is called without arguments; "
                                    "write a function of your own that passes them"),
        (["some_models:flat", *X], "model: no residual block found in "),
        (["some_models:Touchy", *X], "the model, called with float32:1x3x8, failed with ValueError: too short"),
        (["some_models:pre"], "the model, called with no --input, failed with TypeError: "),
        (["some_models:pre", "--input", "float32:1x3x9"], "the model, called with float32:1x3x9, failed with "),
        (["some_models:pre", "--input", "float32"], "--input: got 'float32'; allowed is TYPE:SIZExSIZE..., such as "
                                                    "int64:2x16, or NAME=TYPE:SIZE... for a keyword argument"),
        (["some_models:pre", "--input", "float32:2x"], "--input: got 'float32:2x'; allowed is"),
        (["some_models:pre", "--input", "float32:-2"], "--input: got 'float32:-2'; allowed is"),
        (["some_models:pre", "--input", "2x=float32:2"], "--input: got '2x=float32:2'; allowed is"),
        (["some_models:pre", "--input", "float:2"], "--input: got the type 'float' in 'float:2'; allowed are float32, "
                                                    "float64, float16, bfloat16, int64, int32, bool"),
        (["some_models:pre", "--input", "float32:2x0"], "--input: got a size of 0 in 'float32:2x0'; allowed are sizes "
                                                        "from 1 up"),
        (["some_models:pre", "--input", "bool:99999999999x99999999999"], "--input: got 'bool:99999999999x99999999999'; "
                                                                       "allowed are sizes that fit in memory"),
        (["some_models:pre", "--input", "int32:" + "9" * 30], "allowed are sizes that fit in memory"),
        (["some_models:pre", "--input", "x=float32:1", "--input", "x=float32:2"], "--input: got 'x' twice; allowed is "
                                                                                "one input for each name"),
        (["some_models:pre", *X, "--stack", "2"], "--stack: got 2; this model's stacks are 1 to 1"),
        (["some_models:Pair", *PAIR, "--stack", "0"], "--stack: got 0; this model's stacks are 1 to 2"),
        (["some_models:pre", *X, "--declared", "Pre"], "--declared: got 'Pre'; allowed are post, pre, res-post, "
                                                       "sandwich, none, or a rule such as n/da"),
        (["some_models:pre", *X, "--declared", ""], "--declared: got ''; allowed are post, pre"),
        (["some_models:pre", *X, "--declared", "n/xa"], '--declared: postprocess: got "xa" with the letter "x"'),
        (["some_models:pre", *X, "--declared", "n/d"], "--declared: got 'n/d', which adds nothing; allowed is a rule "
                                                       "with the letter a"),
        (["some_models:pre", *X, "--output", "b.pdf"], "--output: got 'b.pdf'; allowed are names that end in .svg or "
                                                       ".png"),
        (["some_models:pre", *X, "--output", "no/b.svg"], "--output: there is no folder no"),
        (["some_models:pre", *X, "--output", "folder.svg"], "--output: folder.svg is a folder; allowed is a file"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)  # fmt: skip
def test_a_mistake_is_said_in_one_line_with_exit_code_2_and_leaves_nothing_behind(
    main, folder, arguments, message
):
    (folder / "folder.svg").mkdir()
    (folder / "exits.py").write_text("raise SystemExit(3)")
    (folder / "apart.py").write_text("1 / 0")
    before = files(folder)
    code, _, err = main(*arguments)
    assert code == 2 and err.startswith("error: ") and message in err and err.count("\n") == 1
    assert files(folder) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["--output", "b.pdf"],
        ["--output", "no/b.svg"],
        ["--declared", "Pre"],
        ["--declared", "n/d"],
        ["--input", "2"],
    ],
)
def test_what_can_be_refused_at_once_is_refused_before_the_model_is_built(main, monkeypatch, arguments):
    monkeypatch.setattr(command, "load_model", lambda target: pytest.fail("was built"))
    code, out, err = main("some_models:pre", *X, *arguments)
    assert code == 2 and out == "" and err


@pytest.mark.parametrize("name", ["block.svg", "block.png"])
@pytest.mark.parametrize("old", [None, "what stood there"])
def test_when_saving_fails_nothing_is_half_written_and_what_stood_there_stays(
    main, folder, monkeypatch, name, old
):
    if old:
        (folder / name).write_text(old)
    before = files(folder)

    def full(path, *args, **kwargs):
        with open(path, "wb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda self, path, **kwargs: full(path))
    monkeypatch.setattr(Path, "write_text", full)
    monkeypatch.setattr(figures, "to_svg", lambda *args, **kwargs: "<svg />")
    code, out, err = main("some_models:pre", *X, "--output", name)
    assert code == 2 and err == f"error: --output: {name} cannot be written: No space left on device\n"
    assert "wrote" not in out and files(folder) == before
    assert old is None or (folder / name).read_text() == old


def test_an_error_that_is_not_the_disks_is_shown_whole_and_leaves_nothing_either(main, folder, monkeypatch):
    def fail(*args):
        raise RuntimeError("a bug")

    monkeypatch.setattr(figures, "to_svg_file", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main("some_models:pre", *X, "--output", "block.svg")
    assert files(folder) == ["some_models.py"]


def test_a_folder_that_cannot_be_written_to_is_named(main, monkeypatch):
    def refuse(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(command.tempfile, "mkstemp", refuse)
    code, _, err = main("some_models:pre", *X, "--output", "block.svg")
    assert code == 2 and err == "error: --output: block.svg cannot be written: Permission denied\n"


def test_a_file_is_replaced_in_one_step_by_a_whole_one_from_the_same_folder(main, folder, monkeypatch):
    target = folder / "block.svg"
    target.write_text("what stood there")
    real, seen = os.replace, []

    def replace(source, destination):
        source = Path(source)
        seen.append((source.parent.resolve(), Path(destination).name, source.read_text(), target.read_text()))
        real(source, destination)

    monkeypatch.setattr(os, "replace", replace)
    assert main("some_models:pre", *X, "--output", "block.svg")[0] == 0
    ((parent, name, new, old),) = seen
    assert (parent, name, old) == (folder.resolve(), "block.svg", "what stood there")
    assert new == target.read_text() and new.endswith("</svg>\n")
    assert files(folder) == ["block.svg", "some_models.py"]
