"""Docstrings as data: a summary, paragraphs, and sections such as Args and Raises with their entries.

Read from the source with `ast`, so that nothing has to be imported: the site is built without torch.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises")
SECTION = re.compile(rf"({'|'.join(SECTIONS)}):$")
ENTRY = re.compile(r"(\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*): +(.*)")


@dataclass
class Docstring:
    """The parts of one docstring: paragraphs of plain text, and sections as (name, text) pairs; a name may be ""."""

    paragraphs: list[str] = field(default_factory=list)
    sections: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Documented:
    """A public function, class or method: its qualified name, its signature as it would be written, its docstring."""

    name: str
    signature: str
    docstring: Docstring
    kind: str  # "function", "class", "method" or "property"


@dataclass(frozen=True)
class Module:
    """A module's name, its docstring and what it offers, in the order of the file."""

    name: str
    docstring: Docstring
    members: tuple[Documented, ...]


def _entries(lines: list[str]) -> list[tuple[str, str]]:
    """A section's entries; a line that is indented further goes on with the entry above it."""
    found: list[tuple[str, str]] = []
    for line in lines:
        match = None if line.startswith("  ") else ENTRY.fullmatch(line)
        if match:
            found.append((match[1], match[2]))
        elif found:
            name, text = found[-1]
            found[-1] = (name, f"{text} {line.strip()}".strip())
        elif line.strip():
            found.append(("", line.strip()))
    return found


def parse_docstring(text: str | None) -> Docstring:
    """A docstring's paragraphs and sections. Lines of one paragraph are joined, unless they are indented (code)."""
    found, section, block = Docstring(), "", []

    def close() -> None:
        if not block:
            return
        if section:
            dedented = inspect.cleandoc("\n" + "\n".join(block)).splitlines()
            found.sections.setdefault(section, []).extend(_entries(dedented))
        elif all(line.startswith("    ") for line in block):
            found.paragraphs.append("\n".join(block))
        else:
            found.paragraphs.append(" ".join(line.strip() for line in block))
        block.clear()

    for line in inspect.cleandoc(text or "").splitlines():
        if match := SECTION.fullmatch(line):
            close()
            section = match[1]
        elif not line.strip():
            close()
        else:
            if section and not line.startswith(" "):
                close()
                section = ""
            block.append(line)
    close()
    return found


def signature_of(node: ast.FunctionDef | ast.AsyncFunctionDef, *, method: bool = False) -> str:
    """A function's signature as it stands in the source, without self."""
    arguments = ast.unparse(node.args)
    if method:
        arguments = re.sub(r"^(?:self|cls)(?:, |$)", "", arguments)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({arguments}){returns}"


def _fields(node: ast.ClassDef) -> str:
    """A class as it is called: a dataclass by its fields, another by __init__."""
    decorated = any("dataclass" in ast.unparse(one) for one in node.decorator_list)
    if decorated or any(ast.unparse(base) == "NamedTuple" for base in node.bases):
        rows = [
            one for one in node.body if isinstance(one, ast.AnnAssign) and "ClassVar" not in ast.unparse(one)
        ]
        return f"{node.name}({', '.join(ast.unparse(one).replace(' = ', '=') for one in rows)})"
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and one.name == "__init__":
            return node.name + signature_of(one, method=True).removeprefix("__init__").partition(" -> ")[0]
    return node.name


def _methods(node: ast.ClassDef) -> Iterator[Documented]:
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
            is_property = any("property" in ast.unparse(mark) for mark in one.decorator_list)
            returns = f": {ast.unparse(one.returns)}" if one.returns else ""
            signature = f"{one.name}{returns}" if is_property else signature_of(one, method=True)
            kind = "property" if is_property else "method"
            yield Documented(
                f"{node.name}.{one.name}", signature, parse_docstring(ast.get_docstring(one)), kind
            )


def read_module(path: Path, name: str) -> Module:
    """What a module offers: public functions and classes, each class followed by its public methods."""
    tree, found = ast.parse(path.read_text(encoding="utf-8")), []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            docstring = parse_docstring(ast.get_docstring(node))
            if isinstance(node, ast.ClassDef):
                found += [Documented(node.name, _fields(node), docstring, "class"), *_methods(node)]
            else:
                found.append(Documented(node.name, signature_of(node), docstring, "function"))
    return Module(name, parse_docstring(ast.get_docstring(tree)), tuple(found))


def read_package(folder: Path) -> list[Module]:
    """The modules of a package that offer something, by name."""
    paths = sorted(path for path in folder.glob("*.py") if path.stem != "__main__")
    modules = [read_module(path, path.stem if path.stem != "__init__" else folder.name) for path in paths]
    return [module for module in modules if module.members]
