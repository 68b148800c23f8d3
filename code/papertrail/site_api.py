"""The reference of the package: every public name with its signature and docstring, read from the source."""

import html
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from papertrail.docstrings import Docstring, Documented, Module, read_module, read_package

PACKAGE = Path(__file__).parent
API = "book/api"  # one page for each package, and one for the modules that all share
SHARED = ("claims", "figures", "durations", "benchmarking")


def text_html(text: str) -> str:
    """Plain text as HTML, with `code` marked as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))


def paragraph_html(text: str) -> str:
    """A paragraph; one that is indented is code."""
    if text.startswith("    "):
        lines = "\n".join(line[4:] for line in text.splitlines())
        return f'<pre tabindex="0">{html.escape(lines)}</pre>'
    return f"<p>{text_html(text)}</p>"


def docstring_html(docstring: Docstring) -> str:
    parts = [paragraph_html(text) for text in docstring.paragraphs]
    for section, entries in docstring.sections.items():
        rows = "".join(
            f"<li>{f'<code>{html.escape(name)}</code>: ' if name else ''}{text_html(text)}</li>"
            for name, text in entries
        )
        parts.append(f'<p class="pt-api-section">{section}</p><ul>{rows}</ul>')
    return "".join(parts)


def member_html(module: str, member: Documented) -> str:
    """A name with its permanent link, its signature and its docstring."""
    anchor = f"{module}.{member.name}"
    inner = " pt-api-inner" if "." in member.name else ""
    kind = "" if member.kind in ("function", "method") else f'<span class="pt-api-kind">{member.kind}</span> '
    return (
        f'<dt id="{anchor}" class="pt-api-name{inner}">{kind}<a href="#{anchor}"><code>{html.escape(member.signature)}'
        f'</code></a></dt><dd class="{inner.strip()}">{docstring_html(member.docstring)}</dd>'
    )


def module_section(module: Module, path: str) -> nodes.section:
    """A section with the module's name, what it is about, and its names."""
    section = nodes.section(ids=[nodes.make_id(module.name)], names=[module.name])
    section += nodes.title(text=module.name)
    members = "".join(member_html(module.name, member) for member in module.members)
    text = f'<p><code>{path}</code></p>{docstring_html(module.docstring)}<dl class="pt-api">{members}</dl>'
    section += nodes.raw("", text, format="html")
    return section


class ApiDirective(SphinxDirective):
    """`{api} package` or `{api} shared`: a section for each module."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        folder = PACKAGE if name == "shared" else PACKAGE / name
        if not folder.is_dir():
            packages = sorted(
                path.name for path in PACKAGE.iterdir() if path.is_dir() and list(path.glob("*.py"))
            )
            raise self.error(f"api: got {name!r}; allowed are shared, {', '.join(packages)}")
        for path in sorted(folder.glob("*.py")):
            self.env.note_dependency(str(path))
        prefix = "papertrail" if name == "shared" else f"papertrail.{name}"
        modules = (
            [read_module(folder / f"{one}.py", one) for one in SHARED]
            if name == "shared"
            else read_package(folder)
        )
        return [
            module_section(module, f"{prefix}.{module.name}".replace(f"{name}.{name}", name))
            for module in modules
        ]


def check_address(check: str) -> str:
    """Where the reference has a ledger's check, "papertrail.gopher.checks:f" -> "book/api/gopher#checks.f"."""
    module, _, function = check.partition(":")
    _, package, name = module.split(".")
    return f"{API}/{package}#{name}.{function}"


def register(app: Sphinx) -> None:
    app.add_directive("api", ApiDirective)
