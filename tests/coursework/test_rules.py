"""The rule "write it yourself" finds what an answer uses, however it is written, and accuses nobody else."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papertrail.coursework.rules import RUN_TEXT, forbidden_uses

FORBIDDEN = ("torch.nn.functional.layer_norm", "torch.nn.LayerNorm")

# What counts: the solution cell, and the student's other cells.
COUNTED = {
    "alias": ("import torch as t\ndef layer_norm(x): return t.nn.functional.layer_norm(x)", []),
    "nn": ("from torch import nn\ndef ln(x): return nn.LayerNorm(3)(x)", []),
    "F": ("def ln(x): return F.layer_norm(x)", ["F = torch.nn.functional"]),
    "from": ("def ln(x): return g(x)", ["from torch.nn.functional import layer_norm as g"]),
    "star": ("from torch.nn.functional import *\ndef ln(x): return layer_norm(x)", []),
    "star2": ("def ln(x): return layer_norm(x)", ["from torch.nn.functional import *"]),
    "getattr": ("def ln(x): return getattr(F,'layer_norm')(x)", []),
    "getattr2": ("n='layer_norm'\ndef ln(x): return getattr(F,n)(x)", []),
    "dict": ("def ln(x): return vars(F)['layer_norm'](x)", []),
    "attrgetter": (
        "import operator\ndef ln(x): return operator.attrgetter('nn.functional.layer_norm')(torch)(x)",
        [],
    ),
    "helper": ("def ln(x): return helper(x)", ["def helper(x): return F.layer_norm(x)"]),
    "helper2": ("def ln(x): return helper(x)", ["h2 = F.layer_norm", "def helper(x): return h2(x)"]),
    "redef": ("def ln(x): return x", ["ln = F.layer_norm"]),
    "redef import": ("def ln(x): return x", ["from torch.nn.functional import layer_norm as ln"]),
    "redef global": ("def ln(x): return x", ["def go():\n  global ln\n  ln = F.layer_norm\ngo()"]),
    "redef globals": ("def ln(x): return x", ["globals()['ln'] = F.layer_norm"]),
    "redef if": ("def ln(x): return x", ["if True:\n  def ln(x): return F.layer_norm(x)"]),
    "monkey": ("class A:\n  def forward(self,x): return x", ["A.forward = F.layer_norm"]),
    "setattr": ("class A:\n  def forward(self,x): return x", ["setattr(A,'forward', F.layer_norm)"]),
    "classattr": ("class A:\n  norm = F.layer_norm", []),
    "self": ("class A:\n  def __init__(self): self.norm = nn.LayerNorm(3)", []),
    "walrus": ("(ln := F.layer_norm)", []),
    "walrus2": ("def ln(x): return (f := F.layer_norm)(x)", []),
    "lambda": ("ln = lambda x: x\ndef helper(): pass", ["ln = F.layer_norm"]),
    "import only": ("from torch.nn.functional import layer_norm", []),
    "local import": (
        "def layer_norm(x):\n  from torch.nn.functional import layer_norm\n  return layer_norm(x)",
        [],
    ),
    "def then import": ("def layer_norm(x): return x\nfrom torch.nn.functional import layer_norm", []),
    "eval": ("def ln(x): return eval('F.lay'+'er_norm')(x)", []),
    "eval alias": ("e = eval\ndef ln(x): return e('1')", []),
    "builtins": ("import builtins\ndef ln(x): return builtins.eval('1')", []),
    "magic": ("%%time\ndef ln(x): return F.layer_norm(x)", []),
    "magic2": ("%matplotlib inline\ndef ln(x): return F.layer_norm(x)", []),
    "time": ("def ln(x): return x", ["%time ln = F.layer_norm"]),
    "modulo": ("y = (7\n % 3)\ndef ln(x): return F.layer_norm(x)", []),
    "modulo+magic": ("%time 1\ny = (7\n % 3)\ndef ln(x): return F.layer_norm(x)", []),
    "indent": ("  def ln(x): return F.layer_norm(x)", []),
    "prompt": (">>> def ln(x):\n...     return F.layer_norm(x)", []),
    "if magic": ("if True:\n  %time 1\ndef ln(x): return F.layer_norm(x)", []),
    "await": ("await f()\ndef ln(x): return F.layer_norm(x)", []),
    "await other": ("def ln(x): return x", ["ln = (await f()) or F.layer_norm"]),
    "broken": ("%%time -x\n!\n)def ln(x): return F.layer_norm(x)", []),
    "method": ("def ln(x): return x.layer_norm(3)", []),
    "torch method of own name": (
        "class A:\n  def layer_norm(self): pass\ndef ln(x): return x.layer_norm(3)",
        [],
    ),
    "async": ("async def ln(x): return F.layer_norm(x)", []),
    "default": ("def ln(x, f=F.layer_norm): return f(x)", []),
    "decor": ("@F.layer_norm\ndef ln(x): pass", []),
    "helpers dict": ("def ln(x): return h['n'](x)", ["h = {}", "h['n'] = F.layer_norm"]),
    "a command in a block": ("def ln(x): return x", ["if True:\n  !ls\nln = F.layer_norm"]),
    "a magic in a block": ("def ln(x): return x", ["if True:\n  %pip install x\nln = F.layer_norm"]),
    "indent elsewhere": ("def ln(x): return x", ["  ln = F.layer_norm"]),
    "prompt elsewhere": ("def ln(x): return x", [">>> ln = F.layer_norm"]),
    "number elsewhere": ("def ln(x): return x", ["In [3]: ln = F.layer_norm"]),
    "a value replaced": ("ln = partial(f, 1)", ["ln = F.layer_norm"]),
    "crlf": ("def ln(x): return x\r\n%time ln = F.layer_norm\r\n", []),
}

# What does not.
INNOCENT = {
    "compare": (
        "def layer_norm(x):\n  out = x - x.mean()\n  return out",
        [
            "import torch.nn.functional as F\nx = torch.randn(3)\nout = F.layer_norm(x)\nprint(out - layer_norm(x))"
        ],
    ),
    "compare with scratch": (
        "def layer_norm(x):\n  return x\nout = layer_norm(x)\nprint(out)",
        ["x = 3\nout = F.layer_norm(x)"],
    ),
    "compare fn": ("def my(x): return x", ["def check():\n  assert F.layer_norm(x) == my(x)\ncheck()"]),
    "own": ("def layer_norm(x): return x\ndef block(x): return layer_norm(x)", []),
    "own elsewhere": ("def block(x): return layer_norm(x)", ["def layer_norm(x): return x"]),
    "own after import": ("from torch.nn.functional import layer_norm\ndef layer_norm(x): return x", []),
    "star own": (
        "from torch.nn.functional import *\ndef layer_norm(x): return x\ndef b(x): return layer_norm(x)",
        [],
    ),
    "star own helper": (
        "def b(x): return layer_norm(x)",
        ["from torch.nn.functional import *", "def layer_norm(x): return x"],
    ),
    "star param": ("from torch.nn.functional import *\ndef b(x, layer_norm): return layer_norm(x)", []),
    "model.eval": ("model.eval()\nimport re\nre.compile('a')", []),
    "comment": (
        "# F.layer_norm does it\ndef ln(x):\n  '''layer_norm'''\n  return x # torch.nn.LayerNorm",
        [],
    ),
    "docstring": ("def ln(x):\n  '''Like torch.nn.functional.layer_norm but ours.'''\n  return x", []),
    "docstring+getattr": (
        "def ln(x):\n  '''Like torch.nn.functional.layer_norm but ours.'''\n  return getattr(x, 'shape')",
        [],
    ),
    "kw": ("def ln(x): return f(x, layer_norm=True)", []),
    "kwdef": ("def ln(x, layer_norm=True): return x if layer_norm else 0", []),
    "string": ("kind = 'layer_norm'\nd = {'layer_norm': 3}\nprint(d['layer_norm'])", []),
    "self own": (
        "class A:\n  def __init__(self): self.layer_norm = Mine()\n  def forward(self, x): return self.layer_norm(x)",
        [],
    ),
    "own method": (
        "class A:\n  def layer_norm(self, x): return x\na = A()\ny = a.layer_norm(3)\nz = A.layer_norm(a, 3)",
        [],
    ),
    "syntax": ("def layer_norm(x:\n  return x", []),
    "help": ("def ln(x): return x\nF.layer_norm?", []),
    "help2": ("def ln(x): return x", ["?F.layer_norm", "F.layer_norm??"]),
    "null": ("x = 1\x00", []),
    "gelu": ("def ln(x): return gelu(x)", ["from torch.nn.functional import layer_norm, gelu"]),
    "timeit": ("def ln(x): return x", ["%timeit F.layer_norm(x)"]),
    "other exercise": (
        "def ln(x): return x",
        ["class Block:\n  def __init__(self): self.n = nn.LayerNorm(3)"],
    ),
    "empty": ("", ["x = F.layer_norm"]),
    "shell": ("!pip install layer_norm\ndef ln(x): return x", []),
    "no scope": ("nonlocal x", ["def f(x):\n  global x"]),
    "a library's name assigned": ("def mine(x): return x\nF.layer_norm = mine", []),
    "own compile": ("def compile(x): return x\ndef ln(x): return compile(x)", []),
    "x param vs other eval": ("def ln(x): return x", ["print(eval('1+1'))"]),
}


@pytest.mark.parametrize("case", COUNTED)
def test_a_use_is_found(case):
    found = forbidden_uses(*COUNTED[case], FORBIDDEN)
    assert found and len(set(found)) == len(found)
    assert all(any(word in one for word in ("layer_norm", "LayerNorm", "eval")) for one in found)


@pytest.mark.parametrize("case", INNOCENT)
def test_nobody_is_accused_without_a_use(case):
    assert forbidden_uses(*INNOCENT[case], FORBIDDEN) == []


@pytest.mark.parametrize("case", COUNTED)
def test_without_a_rule_everything_is_allowed(case):
    assert forbidden_uses(*COUNTED[case], ()) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def ln(x): return F.layer_norm(x)", ["F.layer_norm"]),
        ("def ln(x): return f(x).layer_norm()", ["….layer_norm"]),
        ("from torch.nn import LayerNorm as L", ["LayerNorm"]),
        ("g = getattr(F, 'layer_norm')", ['"layer_norm"']), ("eval('1')\neval('2')", ["eval(...)"]),
        ("import builtins as b\nbuiltins.exec('')", ["builtins.exec"]),
        ("from torch.nn.functional import *\ny = layer_norm(3)", ["layer_norm"]),
        ("x = F.layer_norm\ny = F.layer_norm", ["F.layer_norm"]),
    ],
)  # fmt: skip
def test_a_use_is_named_as_it_is_written_and_once(code, found):
    assert forbidden_uses(code, [], FORBIDDEN) == found


def test_a_module_can_be_forbidden_whole():
    for code in (
        "import einops",
        "import einops.layers as e",
        "from einops import rearrange",
        "from einops.layers import x",
    ):
        assert forbidden_uses(code, [], ("einops",)), code
    assert forbidden_uses("import einopsy", [], ("einops",)) == []


def test_an_import_beside_a_forbidden_one_is_no_use():
    others = ["from torch.nn.functional import layer_norm, gelu"]
    assert forbidden_uses("def f(x): return gelu(x)", others, FORBIDDEN) == []
    assert forbidden_uses("def f(x): return layer_norm(gelu(x))", others, FORBIDDEN) == ["layer_norm"]


def test_what_may_replace_an_answer_counts_because_the_order_of_cells_is_not_known():
    others = ["from torch.nn.functional import layer_norm"]
    assert forbidden_uses("def layer_norm(x): return x", others, FORBIDDEN) == ["layer_norm"]


LONG = {
    "functions": "\n".join(f"def f{at}(x):\n    return x + {at}" for at in range(400)),
    "commands": "!a\n" * 4_000,
    "magics": "%time x\n" * 1_500,
    "statements": "a=b\n" * 3_000,
    "a chain": "\n".join(f"a{at + 1}=a{at}" for at in reversed(range(1_500))),
    "attributes": "a." * 30_000 + "b",
    "calls": "f" + "()" * 40_000,
    "parentheses": "(" * 50_000 + ")" * 50_000,
    "brackets": "x = " + "[" * 99 + "]" * 99,
    "minuses": "x = " + "-" * 50_000 + "1",
    "open texts": "x = 'a\n" * 10_000,
    "prompts": ">>> " * 20_000,
    "null bytes": "\0" * 1000,
    "half a pair": "x = '\ud800'",
    "assignments": "a=" * 6_000 + "1",
    "question marks": "?\n" * 3_000,
    "spaces": " " * 90_000 + "x",
    "spaces that differ": "!a\n" + " " * 90_000 + "x x\n" + " " * 90_000 + "%",
    "names": "a, " * 6_000 + "= %time x",
}


@pytest.mark.parametrize("case", LONG)
def test_a_hostile_cell_costs_little_time_and_hides_nothing_in_another(case):
    began = time.process_time()
    assert forbidden_uses(LONG[case], [LONG[case]], FORBIDDEN) == []
    helper = "def ln(x): return F.layer_norm(x)"
    assert forbidden_uses(helper, [LONG[case]], FORBIDDEN) == ["F.layer_norm"]
    assert forbidden_uses("def go(x): return ln(x)", [LONG[case], helper], FORBIDDEN) == ["F.layer_norm"]
    assert time.process_time() - began < 4


@pytest.mark.parametrize("length", [100, 1_000, 3_000, 30_000])
@pytest.mark.parametrize("chain", ["+1", ".a", "()", "[0]", " if 1 else 0", " or 1"])
def test_a_cell_that_is_too_deep_to_read_hides_nothing(length, chain):
    code = f"def ln(x):\n    y = x{chain * length}\n    return F.layer_norm(x)"
    assert [name.rpartition(".")[2] for name in forbidden_uses(code, [], FORBIDDEN)] == ["layer_norm"]


PIECES = st.sampled_from(
    ["def f(x):", "\n", "    ", "return ", "F.layer_norm", "(x)", "%time ", "%%time\n", "!ls", "?", "import ",
     "global f",
     "from torch import *", "await ", "lambda: ", "x", " = ", ":=", "'", '"""', "\\", "\0", "\ud800", "(", "]",
     "class A:",
     "self.", "yield ", "*", "nonlocal f", "match x:", ">>> ", "In [1]: ", "try:", "except E as e:", "del x", "@",
     "f'{x}'", "#", ";", "\r", "\x0c", "\t"],
)  # fmt: skip
CELL = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=20)


@given(CELL, st.lists(CELL, max_size=3))
def test_no_source_makes_it_raise(solution, others):
    found = forbidden_uses(solution, others, FORBIDDEN)
    assert all(isinstance(one, str) for one in found)
    if not any(
        word in source for source in (solution, *others) for word in ("layer_norm", "LayerNorm", *RUN_TEXT)
    ):
        assert found == []


@given(st.lists(st.sampled_from([code for code, _ in COUNTED.values()]), max_size=3))
def test_uses_in_cells_that_an_answer_does_not_take_from_are_nobodys_business(others):
    assert forbidden_uses("def another_name(y):\n    return y - 1", others, FORBIDDEN) == []
