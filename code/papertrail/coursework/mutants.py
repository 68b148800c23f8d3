"""Small changes to a reference solution, one at a time: what a careful grader must notice.

Operators are replaced, numbers moved, axes turned, flags flipped, arguments swapped, calls dropped, statements left
out. Annotations, decorators, docstrings, the text of f-strings and what an error says stay as they are. Each mutant is
the whole source of the cell with one change.
"""

import ast
import copy
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BINARY = {
    ast.Add: (ast.Sub, ast.Mult), ast.Sub: (ast.Add, ast.Mult), ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult, ast.Sub), ast.Pow: (ast.Mult, ast.Add), ast.MatMult: (ast.Mult,),
    ast.FloorDiv: (ast.Div, ast.Mult), ast.Mod: (ast.FloorDiv, ast.Mult),
}  # fmt: skip
COMPARED = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
LEFT_ALONE = {"annotation", "returns", "decorator_list", "exc", "cause", "ctx", "op", "ops"}


@dataclass(frozen=True)
class Mutant:
    """One changed solution: which line, what was there, what is there now, and the whole source."""

    line: int
    before: str
    after: str
    code: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.before} -> {self.after}"


def _numbers(value: float) -> list[float]:
    """Other numbers near a number: one more, one less, its opposite; for a fraction, half and double."""
    if isinstance(value, bool):
        return [not value]
    whole = isinstance(value, int) or value.is_integer()
    near = [value + 1, value - 1, -value] if whole else [value * 2, value / 2, -value]
    return list(dict.fromkeys(other for other in near if other != value))


def _other_operators(node: ast.AST) -> Iterator[ast.AST]:
    """An operation or comparison with another operator, or with its sides swapped."""
    if isinstance(node, ast.BinOp):
        for operator in BINARY.get(type(node.op), ()):
            yield ast.BinOp(node.left, operator(), node.right)
        if isinstance(node.op, (ast.Sub, ast.Div, ast.Pow, ast.MatMult, ast.FloorDiv)):
            yield ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.AugAssign):
        for operator in BINARY.get(type(node.op), ()):
            yield ast.AugAssign(node.target, operator(), node.value)
    elif isinstance(node, ast.Compare):
        for at, op in enumerate(node.ops):
            for comparison in COMPARED.get(type(op), ()):
                changed = [*node.ops[:at], comparison(), *node.ops[at + 1 :]]
                yield ast.Compare(node.left, changed, node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)


def _other_calls(node: ast.Call, own: set[str]) -> Iterator[ast.AST]:
    """A call with swapped arguments, without one of its keywords, or dropped, so that what it is called on is left."""
    plain = [part for part in node.args if not isinstance(part, ast.Starred)]
    if len(plain) == len(node.args) >= 2:
        yield ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords)
    if len(plain) == 1:
        yield plain[0]
    if isinstance(node.func, ast.Attribute):
        on = node.func.value
        if (
            not isinstance(on, ast.Name) or on.id in own
        ):  # `x` of `x.exp()`, but not `torch` of `torch.exp(x)`
            yield on
    for at in range(len(node.keywords)):
        yield ast.Call(node.func, node.args, node.keywords[:at] + node.keywords[at + 1 :])


def _others(node: ast.AST, own: set[str]) -> Iterator[ast.AST]:
    """What a node could be mistaken for. `own` are the names that the code itself assigns or takes as arguments."""
    yield from _other_operators(node)
    if isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        for value in _numbers(node.value):
            yield ast.Constant(value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield ast.Constant(node.value[1:])
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.Call):
        yield from _other_calls(node, own)
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        yield node.value


def _kept(statement: ast.stmt) -> bool:
    """Statements that are never left out: definitions, imports, docstrings."""
    documents = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Pass)
    return documents or isinstance(statement, definitions)


def _places(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Every node that may change, with its place: parent, field, position in a list (or None)."""
    waiting = deque([tree])
    while waiting:
        parent = waiting.popleft()
        for name, value in ast.iter_fields(parent):
            if name in LEFT_ALONE or (isinstance(parent, ast.Assert) and name == "msg"):
                continue
            for at, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                text = isinstance(node, ast.Constant) and isinstance(parent, (ast.Expr, ast.JoinedStr))
                if isinstance(node, ast.AST) and not text:
                    waiting.append(node)
                    yield parent, name, at, node


def _own_names(tree: ast.AST) -> set[str]:
    """The names that a piece of code assigns or takes as arguments."""
    stored = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return stored | {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}


def _put(parent: ast.AST, name: str, at: int | None, node: ast.AST) -> None:
    """Put a node in a place."""
    if at is None:
        setattr(parent, name, node)
    else:
        getattr(parent, name)[at] = node


def _parses(code: str) -> bool:
    """Is this Python? Not every change of a pattern to match is."""
    try:
        ast.parse(code)
    except (SyntaxError, ValueError):
        return False
    return True


def _line(node: Any) -> int:
    """The line of a node that may change; all of them stand on one."""
    return node.lineno


def mutants(code: str) -> list[Mutant]:
    """Every mutant of `code`, in the order of its lines, none twice."""
    tree = ast.parse(code)
    original, own = ast.unparse(tree), _own_names(tree)
    found: dict[str, Mutant] = {}
    for parent, name, at, node in list(_places(tree)):
        others = list(_others(node, own))
        if isinstance(node, ast.stmt) and not _kept(node):
            others.append(ast.Pass())
        for other in others:
            _put(parent, name, at, ast.fix_missing_locations(ast.copy_location(copy.copy(other), node)))
            try:
                changed = ast.unparse(tree)
            finally:
                _put(parent, name, at, node)
            if changed != original and changed not in found and _parses(changed):
                found[changed] = Mutant(_line(node), ast.unparse(node), ast.unparse(other), changed)
    return sorted(found.values(), key=lambda mutant: mutant.line)
