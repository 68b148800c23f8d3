"""The rule "write it yourself": does a student's answer use a library function that does the whole job?

A deterrent, read from the source without running it. It follows imports and the names that cells take from one another.
It misses names put together at run time, code hidden in data, files or modules, what other cells do by `exec` or by a
method of a list of functions, and a star import that replaces an answer after its cell. Such tricks are for a person.
"""

import ast
import re
import symtable
from dataclasses import dataclass
from typing import Any

RUN_TEXT = {"eval", "exec", "compile", "__import__"}
BY_NAME = {  # ways to reach something by a text that names it; only beside one of these does a text count
    "getattr", "getattr_static", "attrgetter", "methodcaller", "__getattribute__", "__getattr__", "__dict__", "vars",
    "globals", "locals", "import_module", "getmembers",
}  # fmt: skip
EVERYWHERE = {"globals", "setattr"}  # a statement that assigns through one of these may change any name
PROMPT = re.compile(r"^(?:>>>(?: |$)|\.\.\.(?: |$)|In \[\d+\]: ?|\s*+\.{3,}: ?)", re.MULTILINE)
MAGIC = re.compile(r"^(?P<indent>\s*+)(?P<target>[\w, ]++=\s*+)?(?:%{1,2}\w*|!+)(?P<rest>.*)$")
SCOPES = (  # what binds names otherwise than by assignment, or keeps them to itself
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp,
    ast.GeneratorExp, ast.Import, ast.ImportFrom, ast.Global, ast.Match, ast.ExceptHandler,
)  # fmt: skip


@dataclass(frozen=True)
class Statement:
    """A top-level statement: the names that it binds for all cells, and those that it takes from them."""

    tree: ast.stmt
    binds: frozenset[str]
    uses: frozenset[str]


def _without_magic(line: str) -> str:
    """A line as plain Python: `%time f(x)` runs `f(x)`; a command of the system and a question for help run nothing."""
    indent = line[: len(line) - len(line.lstrip())]
    if line.strip().startswith("?") or line.rstrip().endswith("?"):
        return f"{indent}pass"
    if not (magic := MAGIC.match(line)):
        return line
    target, rest = magic["target"] or "", magic["rest"].strip()
    try:
        if rest and "!" not in line[: len(line) - len(magic["rest"])]:
            ast.parse(f"{target}{rest}")
            return f"{indent}{target}{rest}"
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    return f"{indent}{target}None" if target else f"{indent}pass"


def _tree(source: str) -> list[ast.stmt] | None:
    """The top-level statements of a cell, without what IPython adds to Python; None where they cannot be read."""
    if PROMPT.match(source):
        source = PROMPT.sub("", source)
    try:
        return ast.parse(source).body
    except (ValueError, RecursionError, MemoryError):
        return None
    except SyntaxError:
        pass
    lines = source.splitlines()
    first = next((line for line in lines if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip())]
    try:
        return ast.parse("\n".join(_without_magic(line.removeprefix(indent)) for line in lines)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _last(name: str) -> str:
    """The last part of a dotted name."""
    return name.rpartition(".")[2]


def _root(node: ast.AST) -> str | None:
    """The plain name at the start of `name.a[0].b(...)`, or None."""
    at: Any = node
    while at is not None and not isinstance(at, ast.Name):
        at = getattr(at, "func", getattr(at, "value", None))
    return None if at is None else at.id


def _changed(nodes: list[ast.AST]) -> set[str]:
    """The names whose attributes or entries a statement assigns."""
    names: set[str | None] = set()
    for node in nodes:
        if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store):
            names.add(_root(node))
        elif isinstance(node, ast.Call) and node.args and getattr(node.func, "id", "") == "setattr":
            names |= {"setattr", _root(node.args[0])}
    return {name for name in names if name is not None}


def _statement(tree: ast.stmt) -> Statement:
    """A statement with its names. Names inside a function that are its own are neither bound nor taken."""
    nodes = list(ast.walk(tree))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    binds = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    uses = names - binds
    if any(isinstance(node, SCOPES) for node in nodes):
        try:
            binds, uses = _scoped(symtable.symtable(ast.unparse(tree), "cell", "exec"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            binds, uses = names | {getattr(tree, "name", "")}, names
    return Statement(tree, frozenset(binds | _changed(nodes) & (uses | {"setattr"})), frozenset(uses - binds))


def _scoped(table: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """The names that a symbol table and those inside it bind at the top level, and those that they take from there."""
    binds, uses = set(), set()
    tables = [table]
    while tables:
        inner = tables.pop()
        for symbol in inner.get_symbols():
            if inner is table or symbol.is_global():
                binds |= {symbol.get_name()} if symbol.is_assigned() or symbol.is_imported() else set()
                uses |= {symbol.get_name()} if symbol.is_referenced() else set()
        tables += inner.get_children()
    return binds, uses


def _part_of_the_answer(solution: list[Statement], others: list[Statement]) -> list[Statement]:
    """The statements of other cells that an answer rests on: they bind what it takes, or a function that it defines.

    A student who compares their own function with the library's in another cell has done nothing wrong, even where
    both cells use the same names for what is in between.
    """
    makers = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    own = frozenset().union(*(one.binds for one in solution))
    defined: set[str] = set()
    wanted = set(EVERYWHERE)
    for one in solution:
        wanted |= one.uses - own
        if isinstance(one.tree, makers) or isinstance(getattr(one.tree, "value", None), ast.Lambda):
            defined |= one.binds
            wanted |= one.uses
    by_name: dict[str, list[int]] = {}
    for at, one in enumerate(others):
        for name in one.binds:
            by_name.setdefault(name, []).append(at)
    taken, waiting = set(), list(wanted | (defined or own))
    while waiting:
        for at in by_name.pop(waiting.pop(), ()):
            taken.add(at)
            waiting += others[at].uses
    return [others[at] for at in sorted(taken)]


def _own_attributes(answer: list[Statement]) -> tuple[set[str], set[str]]:
    """The names of a student's own objects (self, their classes, what these make), and of attributes they define."""
    classes: set[str] = set()
    attributes: set[str] = set()
    nodes = [node for one in answer for node in ast.walk(one.tree)]
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            classes.add(node.name)
            attributes = attributes.union(*(_statement(part).binds for part in node.body))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            attributes.add(node.attr)
    objects = {"self", "cls"} | classes
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _root(node.value) in classes:
            objects |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return objects, attributes


def _dotted(node: ast.Attribute) -> str:
    """An attribute as it is written, `….name` where it is taken from something else than a plain name."""
    parts, inner = [node.attr], node.value
    while isinstance(inner, ast.Attribute):
        parts.append(inner.attr)
        inner = inner.value
    return ".".join([inner.id, *reversed(parts)]) if isinstance(inner, ast.Name) else f"….{node.attr}"


def _imported(
    node: ast.Import | ast.ImportFrom, forbidden: tuple[str, ...], wanted: frozenset[str] | None
) -> set[str]:
    """The forbidden things that an import brings, as written; only those under a name in `wanted`, if given."""
    found = set()
    for name in node.names:
        whole = f"{node.module}.{name.name}" if isinstance(node, ast.ImportFrom) else name.name
        bound = name.asname or (name.name if isinstance(node, ast.ImportFrom) else name.name.split(".")[0])
        asked = wanted is None or bound in wanted
        if asked and any(f"{whole}.".startswith(f"{one}.") for one in forbidden):
            found.add(name.name)
    return found


def _imports(solution: list[Statement], others: list[Statement], forbidden: tuple[str, ...]) -> set[str]:
    """The forbidden things that an answer imports, but for names that the solution's cell then defines anew."""
    wanted: dict[ast.stmt, frozenset[str]] = {}
    later: frozenset[str] = frozenset()
    for one in reversed(solution):
        if isinstance(one.tree, (ast.Import, ast.ImportFrom)):
            wanted[one.tree] = one.binds - later
        else:
            later |= one.binds
    names = frozenset().union(*(one.uses | one.binds for one in solution), *(one.uses for one in others))
    wanted |= {one.tree: names for one in others}
    found = set()
    for one in [*solution, *others]:
        for node in ast.walk(one.tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                found |= _imported(node, forbidden, wanted.get(node))
    return found


def _starred(every: list[Statement], forbidden: tuple[str, ...]) -> set[str]:
    """The last parts of forbidden names that a star import, in any cell, may have made plain names."""
    packages = {(node.module or "").split(".")[0] for one in every for node in ast.walk(one.tree)
                if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"}  # fmt: skip
    return {_last(name) for name in forbidden if name.split(".")[0] in packages}


def forbidden_uses(solution: str, others: list[str], forbidden: tuple[str, ...]) -> list[str]:
    """The forbidden names that an answer uses, as written there, without repetition. It never raises.

    Args:
        solution: the source of the exercise's solution cell.
        others: the student's other code cells. What the answer takes from them is part of it, and nothing else.
        forbidden: dotted names. A method or attribute whose last part is the last part of one counts too, whatever it
            is taken from, unless it is one that the student's own class defines; a plain name only where an import
            makes it that name.
    """
    if not forbidden:
        return []
    last = {_last(name) for name in forbidden}
    if (tree := _tree(solution)) is None:  # it does not run, or it is meant to look so
        words = "|".join(map(re.escape, sorted(last)))
        return sorted(set(re.findall(rf"(?:\.\s*|\bimport\s+)({words})\b", solution)))
    cell = [_statement(one) for one in tree]
    elsewhere = [_statement(one) for source in others for one in _tree(source) or []]
    rest = _part_of_the_answer(cell, elsewhere)
    answer = [*cell, *rest]
    nodes = [node for one in answer for node in ast.walk(one.tree)]
    bound = frozenset().union(*(one.binds for one in answer))
    plain = (_starred([*cell, *elsewhere], forbidden) | RUN_TEXT) - bound
    by_name = any((getattr(node, "id", None) or getattr(node, "attr", None)) in BY_NAME for node in nodes)
    objects, attributes = _own_attributes(answer)
    found = dict.fromkeys(sorted(_imports(cell, rest, forbidden)))
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            own = isinstance(node.value, ast.Name) and node.value.id in objects and node.attr in attributes
            in_builtins = node.attr in RUN_TEXT and _root(node.value) in ("builtins", "__builtins__")
            if (node.attr in last and not own) or in_builtins:
                found[_dotted(node)] = None
        elif by_name and isinstance(node, ast.Constant) and _last(str(node.value)) in last:
            found[f'"{str(node.value)}"'] = None
    for one in answer:
        for name in sorted(one.uses & plain):
            found[f"{name}(...)" if name in RUN_TEXT else name] = None
    return list(found)
