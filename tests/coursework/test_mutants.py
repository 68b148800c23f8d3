"""Mutants are small, each another one, all of them Python; and what no answer can show is left alone."""

import ast
import textwrap
import warnings

import pytest

from papertrail.coursework.mutants import BINARY, COMPARED, mutants

WHOLE = '''
import torch
from functools import lru_cache

WIDTH = 1e-05


class Norm:
    """A docstring with 3 numbers."""

    eps: float = 0.5
    kinds: Literal[3, "pre"]

    @lru_cache(maxsize=7)
    def forward(self, x: Tensor[4], dim: int = -1, *, keepdim: bool = True) -> Tuple[5]:
        """Another one."""
        mean = torch.mean(x, dim=dim, keepdim=keepdim)
        if not 0 < x.shape[-1] <= 8 or x is None and mean == 1:
            raise ValueError("no more than 9", 6) from Cause(6)
        assert x.ndim > 1, "said with 9"
        x -= mean
        for at in range(2, 10):
            x = x + at if at % 2 else x @ x.T ** 2
        label = f"text 7 {x.ndim + 1:.3f} more"
        return torch.sqrt(x.square().sum(dim, keepdim=True)).clamp(min=self.eps), label


async def late(x):
    match x:
        case 1 + 2j:
            return await x
        case "a":
            pass
'''


def changes(code: str) -> set[str]:
    return {f"{one.before} -> {one.after}" for one in mutants(textwrap.dedent(code))}


@pytest.fixture(scope="module")
def every():
    return mutants(WHOLE)


def test_every_mutant_is_python_and_none_is_another_or_the_original(every):
    trees = [ast.dump(ast.parse(one.code)) for one in every]
    assert len(every) > 80
    assert len({one.code for one in every}) == len(every)
    assert ast.dump(ast.parse(WHOLE)) not in trees
    assert ast.unparse(ast.parse(WHOLE)) not in {one.code for one in every}


def test_the_same_code_gives_the_same_mutants_in_the_order_of_lines(every):
    assert mutants(WHOLE) == every
    lines = [one.line for one in every]
    assert lines == sorted(lines) and min(lines) > 0


def test_each_mutant_has_one_change_and_none_is_left_from_the_mutant_before(every):
    """The changed lines of a mutant are those of one statement."""
    original = ast.unparse(ast.parse(WHOLE)).split("\n")
    for one in every:
        changed = one.code.split("\n")
        start = next((at for at, (a, b) in enumerate(zip(original, changed, strict=False)) if a != b), 0)
        tails = zip(reversed(original), reversed(changed), strict=False)
        end = next((at for at, (a, b) in enumerate(tails) if a != b), 0)
        gone = "\n".join(original[start : len(original) - end])
        assert one.before.split("\n")[0].strip("()") in gone.replace('"', "'"), (str(one), gone)
        assert len(original) - end - start <= max(1, one.before.count("\n") + 1), str(one)


ALONE = (
    "A docstring with 3 numbers.", "Another one.", "eps: float", "Literal[3, 'pre']", "maxsize=7", "Tensor[4]",
    "Tuple[5]",
    "ValueError('no more than 9', 6) from Cause(6)", "said with 9", "text 7 ", ":.3f}",
)  # fmt: skip


def test_what_no_answer_can_show_is_left_alone_unless_its_whole_statement_is_left_out(every):
    for one in every:
        for text in ALONE:
            assert text in one.code or (text in one.before and one.after == "pass"), (text, str(one))


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("a + b", {"a + b -> a - b", "a + b -> a * b"}),
        ("a - b", {"a - b -> a + b", "a - b -> b - a"}),
        ("a / b", {"a / b -> a * b", "a / b -> b / a"}),
        ("a @ b", {"a @ b -> b @ a", "a @ b -> a * b"}),
        ("x += 1", {"x += 1 -> x -= 1", "x += 1 -> x *= 1", "x += 1 -> pass"}),
        ("a < b", {"a < b -> a <= b", "a < b -> a > b"}),
        ("0 < a <= b", {"0 < a <= b -> 0 <= a <= b", "0 < a <= b -> 0 < a < b"}),
        ("a is None", {"a is None -> a is not None"}),
        ("a in b", {"a in b -> a not in b"}),
        ("a and b", {"a and b -> a or b"}),
        ("not a", {"not a -> a"}),
        ("-a", {"-a -> a"}),
        ("f(3)", {"3 -> 4", "3 -> 2", "3 -> -3", "f(3) -> 3"}),
        ("f(0.25)", {"0.25 -> 0.5", "0.25 -> 0.125", "0.25 -> -0.25"}),
        ("f(2.0)", {"2.0 -> 3.0", "2.0 -> 1.0", "2.0 -> -2.0"}),
        ("f(True)", {"True -> False"}),
        ("f(x, dim=-1)", {"1 -> 0", "1 -> 2", "f(x, dim=-1) -> f(x)"}),
        ("f(x, dim=0)", {"0 -> 1", "0 -> -1"}),
        ("f(x, keepdim=True)", {"True -> False", "f(x, keepdim=True) -> f(x)", "f(x, keepdim=True) -> x"}),
        ("f(a, b, c)", {"f(a, b, c) -> f(b, a, c)"}),
        ("torch.exp(x)", {"torch.exp(x) -> x"}),
        ("def f(x):\n    return x.exp()", {"x.exp() -> x", "return x.exp() -> pass"}),
        ("(a + b).exp()", {"(a + b).exp() -> a + b"}),
        ("x = f\ny = x.exp()", {"x.exp() -> x", "x = f -> pass"}),
        ("f('pre')", {"'pre' -> 're'"}),
        ("a if b else c", {"a if b else c -> c if b else a"}),
        ("x[1:]", {"x[1:] -> x", "1 -> 2"}),
        ("def f(a, eps=0.5):\n    return a", {"0.5 -> 1.0", "return a -> pass"}),
        ("for x in y:\n    break", {"break -> pass"}),
    ],
)  # fmt: skip
def test_what_is_changed(code, wanted):
    assert wanted <= changes(code)


@pytest.mark.parametrize(
    "code", ["f(1e999)", f"f({10**400})", "f(1e308)", "f(0)", "f('')", "f(2j)", "f(...)", "f(None, b'a')"]
)
def test_odd_constants_are_taken(code):
    for one in mutants(code):
        ast.parse(one.code)


@pytest.mark.parametrize(
    "code",
    [
        "", "pass", "import torch", "x: int", "'''text'''", "def f():\n    '''text 1'''\n    ...",
        "class A:\n    pass", "torch", "async def f():\n    pass", "f(x, x)",
    ],
)  # fmt: skip
def test_where_nothing_can_be_mistaken_there_is_at_most_what_a_statement_left_out_gives(code):
    assert "x - x -> x - x" not in changes(code)
    assert {one for one in changes(code) if not one.startswith("x - x -> x ")} <= {
        "x: int -> pass",
        "torch -> pass",
        "f(x, x) -> pass",
        "x - x -> pass",
    }


def test_a_module_is_never_left_where_its_function_was_called():
    assert "torch.exp(x) -> torch" not in changes("torch.exp(x)")


def test_zero_has_no_opposite():
    assert {"0.0 -> 1.0", "0.0 -> -1.0"} == {one for one in changes("f(0.0)") if one.startswith("0.0")}


def test_every_operator_has_others_and_none_is_its_own():
    for table, kind in ((BINARY, ast.operator), (COMPARED, ast.cmpop)):
        for operator, others in table.items():
            assert issubclass(operator, kind) and others and operator not in others


def test_a_pattern_that_would_be_no_python_is_no_mutant(every):
    assert not any("case 1 * 2j" in one.code for one in every)
    assert any("case 1 - 2j" in one.code for one in every)


def test_making_mutants_warns_of_nothing_and_mends_nothing():
    with warnings.catch_warnings(action="error"):
        assert "x = 1(2)" in {one.code for one in mutants("x = f(1)(2)")}
    with pytest.raises(SyntaxError):
        mutants("def f(:")


def test_a_mutant_says_what_it_changes():
    assert "line 2: a + 1 -> a - 1" in map(str, mutants("\nx = a + 1"))
