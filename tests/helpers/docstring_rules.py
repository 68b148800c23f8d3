"""What docstrings of the package must say, as rules that read the source and import nothing.

`CONTRIBUTING.md` states the rules. `faults` gives one line for each breach: of what, and what is missing.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

ARRAYS = re.compile(r"\b(?:Tensor|ndarray)\b")
CALLABLE = re.compile(r"Callable\[(?:\[.*?\]|\.\.\.), .*?\]")  # what a function is given is not given to us
AXIS = r"(?:\.\.\.|[\w*]+(?: ?(?:[-+*/]|//) ?\w+| \w+){0,2}'?)"
SHAPE = rf"(?:(?<![\w\]])\((?:{AXIS}(?:, ?{AXIS})+,?|{AXIS},|[A-Z]\w?|\.\.\.)?\)|\bscalars?\b|\bany shape\b)"
SAME = r"\bthe same\b"
CLAUSE = r"(?:(?!->)[^;.]|\.(?=\w)|(?<=\beq)\.|(?<=\beqs)\.|(?<=\bal)\.)"  # a letter before the clause ends
RESULT = re.compile(rf"->[^;]*?(?:{SHAPE}|{SAME})|\breturns?\b[^.;]*{SHAPE}", re.IGNORECASE | re.DOTALL)
PAPER = re.compile(
    r"\b[A-Z][\w'-]+(?:,? (?:&|and) [A-Z][\w'-]+| et al\.?)?,? (?:19|20)\d\d\b|arXiv \d{4}\.\d+"
)
LOCATOR = re.compile(
    r"\b(?:eqs?\.|sections?|tables?|figures?|theorems?|lemmas?|algorithms?|appendix|abstract|pp?\.|commit)"
    r"(?: ?[\dA-Z`]|\b)|\b[1-9]\.\d\b",
    re.IGNORECASE,
)
OURS = re.compile(r"\b(?:ours|our own|derived here)\b", re.IGNORECASE)
RAISES = re.compile(r"^Raises:\n((?:[ \t]+.*\n?|\n)*)", re.MULTILINE)

Function = ast.FunctionDef | ast.AsyncFunctionDef
MADE_AND_CALLED = (
    "__init__",
    "__post_init__",
    "__call__",
    "forward",
)  # by the class's name: its docstring speaks


@dataclass
class Place:
    """A documented thing, and the docstrings of its module and its class."""

    name: str
    node: ast.Module | ast.ClassDef | Function
    around: list[str] = field(default_factory=list)

    @property
    def doc(self) -> str:
        return ast.get_docstring(self.node) or ""

    @property
    def said(self) -> str:
        """All that stands for this place: its docstring, and its class's where that speaks for it."""
        return f"{self.doc}\n{self.around[-1]}" if self.spoken_for else self.doc

    @property
    def spoken_for(self) -> bool:
        return self.name.rpartition(".")[2] in MADE_AND_CALLED


def public_places(tree: ast.Module) -> Iterator[Place]:
    """The module, its public functions and classes, and what is public in these."""
    module = Place("module", tree)
    yield module
    for node in tree.body:
        if isinstance(node, Function) and _is_public(node.name) and not _is_overload(node):
            yield Place(node.name, node, [module.doc])
        elif isinstance(node, ast.ClassDef) and _is_public(node.name):
            owner = Place(node.name, node, [module.doc])
            yield owner
            for part in node.body:
                if isinstance(part, Function) and (_is_public(part.name) or part.name in MADE_AND_CALLED):
                    yield Place(f"{node.name}.{part.name}", part, [module.doc, owner.doc])


def faults(source: str, *, idea: bool) -> list[str]:
    """Every breach of the rules in a module's source; `idea` says that what it holds comes from papers."""
    found = []
    for place in public_places(ast.parse(source)):
        if not place.said.strip():
            found.append(f"{place.name}: no docstring")
            continue
        found += [f"{place.name}: {text}" for text in (*_shapes(place, source), *_errors(place))]
        if idea and not isinstance(place.node, ast.Module) and not _has_source(place):
            found.append(f"{place.name}: no source: paper and place in it, or that it is ours")
    return found


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def _is_overload(node: Function) -> bool:
    return any(ast.unparse(one).endswith("overload") for one in node.decorator_list)


def _is_array(annotation: ast.expr | None) -> bool:
    return annotation is not None and bool(ARRAYS.search(CALLABLE.sub("", ast.unparse(annotation))))


def _has_shape(name: str, text: str) -> bool:
    """Whether a shape follows the name in the same clause."""
    return bool(re.search(rf"(?<![\w.]){name}\b{CLAUSE}{{0,90}}?(?:{SHAPE}|{SAME})", text, re.DOTALL))


def _shapes(place: Place, source: str) -> Iterator[str]:
    """Tensors without a shape: fields of a class, or parameters and the result of a function."""
    if isinstance(place.node, ast.ClassDef):
        lines = source.splitlines()
        for part in place.node.body:
            if isinstance(part, ast.AnnAssign) and _is_array(part.annotation):
                name, comment = ast.unparse(part.target), lines[part.lineno - 1].partition("#")[2]
                if not (re.search(SHAPE, comment) or _has_shape(name, place.doc)):
                    yield f"no shape for {name}"
    elif isinstance(place.node, Function):
        given = [one.arg for one in _parameters(place.node.args) if _is_array(one.annotation)]
        before, arrow, _ = place.said.partition("->")
        in_order = arrow and len(re.findall(SHAPE, before)) >= len(given)  # "(..., d), (..., d) -> (...)"
        everything = "\n".join([place.said, *place.around])
        for name in given:
            if not (in_order or _has_shape(name, everything)):
                yield f"no shape for {name}"
        counted = len(re.findall(SHAPE, place.said)) > len(given)
        if _is_array(place.node.returns) and not (counted or RESULT.search(place.said)):
            yield "no shape for what it returns"


def _parameters(of: ast.arguments) -> list[ast.arg]:
    return [one for one in (*of.posonlyargs, *of.args, of.vararg, *of.kwonlyargs, of.kwarg) if one]


def _errors(place: Place) -> Iterator[str]:
    """Exceptions that the body raises itself and that no `Raises:` section names."""
    if isinstance(place.node, Function):
        heads = " ".join(
            head
            for section in RAISES.findall(place.said)
            for head in re.findall(r"^\s+([\w., ]+):", section, re.MULTILINE)
        )
        for name in sorted(set(_raised(place.node.body))):
            if name not in re.findall(r"\w+", heads):
                yield f"raises {name}, which no 'Raises:' section names"


def _raised(statements: list[ast.stmt], caught: frozenset[str] = frozenset()) -> Iterator[str]:
    """The classes that statements raise; not those of inner functions, nor what is caught right around them."""
    for node in statements:
        if isinstance(node, Function | ast.ClassDef):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            name = ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc).split(".")[-1]
            if name[:1].isupper() and name not in caught:  # a lower-case name is a variable: raised once more
                yield name
        kinds = " ".join(ast.unparse(one.type) for one in getattr(node, "handlers", []) if one.type)
        yield from _raised(getattr(node, "body", []), caught | frozenset(re.findall(r"\w+", kinds)))
        for branch in ("orelse", "finalbody"):
            yield from _raised(getattr(node, branch, []), caught)
        for part in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
            yield from _raised(part.body, caught)


def _has_source(place: Place) -> bool:
    text = "\n".join([place.doc, *place.around])
    return bool((PAPER.search(text) and LOCATOR.search(text)) or OURS.search(text))
