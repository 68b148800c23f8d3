"""What a page loads: MathJax and the theme come along, and what no page of the site uses is left out.

Half of a page's weight would be the theme's: an icon script, three icon fonts, the rules of a whole framework, the
search index on every page. Each step here looks for what it takes away, and stops the build where it is not there: a
new version of the theme cannot make the site heavy again without anyone noticing.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from shutil import copy, copytree
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from papertrail.site_icons import keep_icons
from papertrail.site_styles import classes_of, trim, words_of

MATHJAX_PARTS = (
    "startup",
    "core",
    "input/tex",
    "output/chtml",
    "output/chtml/fonts/tex",
    "a11y/assistive-mml",
)
MATHJAX_FONTS = Path("output", "chtml", "fonts", "woff-v2")
# Style sheets worth trimming, of the theme, of the folds and of the notebooks.
SHEETS = ("styles/pydata-sphinx-theme.css", "sphinx-design.min.css", "mystnb.*.css")
THEME_SHEET = SHEETS[0]
# A class that a script puts together out of parts, so that its name stands nowhere.
COMPOSED = {"bs-tooltip-auto"}
# Scripts that a page needs only if its text has one of these classes.
ONLY_FOR = {
    "clipboard.min.js": {"highlight"},
    "copybutton.js": {"highlight"},
    "design-tabs.js": {"sd-tab-set"},
    "togglebutton.js": {"toggle", "dropdown"},
}
ICON_FONT = re.compile(
    r'src:url\((\.\./vendor/fontawesome/webfonts/fa-[\w-]+)\.woff2\) format\("woff2"\),'
    r'url\(\1\.ttf\) format\("truetype"\)'
)
# An icon is named by its code, or is written as itself.
ICON_CODE = re.compile(r"\\([ef][0-9a-f]{3})\b|([\ue000-\uf8ff])")
TRIMMED = "/* Rules for classes that no page has are left out, see site_weight.py. */\n"


def write_if_new(path: Path, text: str) -> None:
    """Write a file unless it holds that text. A file's date decides which pages Sphinx writes anew."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def package_folder(name: str) -> Path:
    """Where an installed package lies, without importing it.

    Raises:
        ModuleNotFoundError: there is no such package.
    """
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {name} is not installed; run make book")
    return Path(spec.submodule_search_locations[0])


def bring_mathjax(static: Path) -> None:
    """Copy the parts of MathJax that pages need out of its wheel. Each build copies anew, so that neither an
    interrupted build nor another version leaves anything behind. Its menu (108 KB compressed) is not among them.
    """
    wheel = package_folder("mathjax") / "static" / "mathjax" / "es5"
    copytree(wheel / MATHJAX_FONTS, static / "mathjax" / MATHJAX_FONTS, dirs_exist_ok=True)
    for part in MATHJAX_PARTS:
        target = static / "mathjax" / f"{part}.js"
        target.parent.mkdir(parents=True, exist_ok=True)
        copy(wheel / f"{part}.js", target)


def edit_template(
    templates: Path, source: str, target: str, pattern: str, replacement: str, what: str
) -> None:
    """Write one of the theme's templates, changed in one place, where Sphinx looks first.

    Raises:
        RuntimeError: the theme's template does not have that place exactly once.
    """
    theme = package_folder("pydata_sphinx_theme") / "theme" / "pydata_sphinx_theme"
    text, found = re.subn(pattern, replacement, (theme / source).read_text(encoding="utf-8"))
    if found != 1:
        raise RuntimeError(
            f"the theme's {source} has changed: {what} was found {found} times instead of once"
        )
    write_if_new(templates / target, text)


def drop_icon_script(templates: Path) -> None:
    """The template of scripts and style sheets without its icon script of 543 KB compressed: fonts draw the icons."""
    name = "static/webpack-macros.html"
    edit_template(
        templates, name, name, r"\s*<script defer [^\n]*fontawesome\.js[^\n]*</script>", "", "its icon script"
    )


def drop_search_scripts(templates: Path) -> None:
    """The page layout without the search index (52 KB with its scripts), which only search as you type would use."""
    edit_template(
        templates, "layout.html", "pydata_sphinx_theme/layout.html",
        r"\{% if pagename == 'search' %\}(?=\s*\{# Search tools are already loaded)",
        "{% if pagename == 'search' or not theme_search_as_you_type | tobool %}", "the place of its search scripts",
    )  # fmt: skip


def keep_pages_offline(app: Sphinx, config: Config) -> None:
    """Bring MathJax along from its wheel, and leave out the theme's scripts that no page needs.

    Raises:
        RuntimeError: a template of the theme has changed, and what goes was not found in it.
    """
    generated = Path(app.outdir).parent / "generated"
    bring_mathjax(generated / "static")
    drop_icon_script(generated / "templates")
    drop_search_scripts(generated / "templates")
    config.templates_path = [str(generated / "templates"), *config.templates_path]
    config.html_static_path = [*config.html_static_path, str(generated / "static")]
    config.mathjax_path = "mathjax/startup.js"
    # Its menu is not loaded: it makes every formula a keyboard stop and offers parts that are not shipped.
    config.mathjax3_config = {"loader": {"load": ["input/tex", "output/chtml", "a11y/assistive-mml"]}}


def load_what_the_page_needs(app: Sphinx, page: str, template: str, context: dict, doctree: Any) -> None:
    """Take back scripts that a page has no use for, and ask early for the parts of MathJax where it has formulas.

    Sphinx also gives MathJax to a page whose children alone have formulas.

    Raises:
        RuntimeError: a script of ONLY_FOR is not among the page's scripts: its extension calls it something else.
    """
    scripts = {str(getattr(script, "filename", None)): script for script in context["script_files"]}
    names = {name: full for name in ONLY_FOR for full in scripts if full.split("/")[-1].split("?")[0] == name}
    if lost := set(ONLY_FOR) - set(names):
        raise RuntimeError(
            f"{page} has no script called {', '.join(sorted(lost))}: look at ONLY_FOR in site_weight.py"
        )
    classes = classes_of(context.get("body", ""))
    unused = {scripts[full] for name, full in names.items() if not ONLY_FOR[name] & classes}
    if app.env.get_domain("math").data["has_equations"].get(page):
        links = (context["pathto"](f"_static/mathjax/{part}.js", 1) for part in MATHJAX_PARTS[1:])
        context["metatags"] += "".join(f'<link rel="preload" as="script" href="{link}"/>\n' for link in links)
    else:
        unused |= {script for full, script in scripts.items() if "mathjax" in full}
    context["script_files"] = [script for script in context["script_files"] if script not in unused]


def known_to_pages(site: Path) -> set[str]:
    """Every class that an element of the site may have: from its pages, and from the scripts that these load."""
    pages = [path.read_text(encoding="utf-8") for path in site.rglob("*.html") if "_static" not in path.parts]
    sources = {
        source for page in pages for source in re.findall(r'<script[^>]*\ssrc="[^"]*?_static/([^"?]+)', page)
    }
    known = set(COMPOSED)
    for page in pages:
        known |= classes_of(page)
    for source in sources:
        if not source.startswith("mathjax/"):  # it brings its own style sheet
            known |= words_of((site / "_static" / source).read_text(encoding="utf-8"))
    return known


def as_shipped(sheet: Path, store: Path) -> str:
    """A sheet as its maker ships it: Sphinx copies it anew in some builds, the rest go by what an earlier one kept."""
    text = sheet.read_text(encoding="utf-8")
    if text.startswith(TRIMMED):
        return (store / sheet.name).read_text(encoding="utf-8")
    write_if_new(store / sheet.name, text)
    return text


def trim_style_sheets(static: Path, store: Path, known: set[str]) -> None:
    """Leave the rules that pages can use in the big sheets, and only the shown icons in the icon fonts.

    Raises:
        RuntimeError: a sheet is not there, has nothing to leave out, or names the icon fonts in another way.
    """
    for name in SHEETS:
        found = sorted(static.glob(name))
        if len(found) != 1:
            raise RuntimeError(f"{len(found)} style sheets are called {name} instead of one: look at SHEETS")
        shipped = as_shipped(found[0], store)
        text = trim(shipped, known)
        if len(text) > 0.9 * len(shipped):
            raise RuntimeError(
                f"{name}: next to nothing of it can be left out; the sheet or its pages have changed"
            )
        if name == THEME_SHEET:
            text, fonts = ICON_FONT.subn(r'src:url(\1.woff) format("woff")', text)
            if fonts != 3:
                raise RuntimeError(f"{name}: {fonts} icon fonts were found instead of 3; look at ICON_FONT")
        found[0].write_text(TRIMMED + text, encoding="utf-8")
    trim_icon_fonts(static)


def trim_icon_fonts(static: Path) -> None:
    """Write the icon fonts anew with the icons that the style sheets name.

    Raises:
        RuntimeError: no font has an icon that a sheet names.
    """
    sheets = [path.read_text(encoding="utf-8") for path in static.rglob("*.css")]
    icons = (found for sheet in sheets for found in ICON_CODE.findall(sheet))
    codes = {int(code, 16) if code else ord(character) for code, character in icons}
    known = set()
    for path in (static / "vendor" / "fontawesome" / "webfonts").glob("*.ttf"):
        font, has = keep_icons(path.read_bytes(), codes)
        path.with_suffix(".woff").write_bytes(font)
        known |= has
    if codes - known:
        raise RuntimeError(
            f"no icon font has the characters {', '.join(f'{c:x}' for c in sorted(codes - known))}"
        )


def lighten(app: Sphinx, error: Exception | None) -> None:
    """After a build: trim what the pages, as they are now, do not use."""
    if error is None and app.builder.format == "html":
        site = Path(app.outdir)
        trim_style_sheets(site / "_static", site.parent / "generated" / "sheets", known_to_pages(site))
