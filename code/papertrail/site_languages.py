"""The course in another language: what a page in Chinese and its English source have beyond other pages.

Both editions lead to one another, by a link below the title and in the page's head. A page in Chinese says so to
browsers and screen readers, and the theme's own words on it are Chinese. What stays English there is marked.
"""

import gettext
import html
import re
from functools import cache, reduce
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_id

from papertrail.site_search import CHINESE
from papertrail.translated_blocks import MARK, is_chinese

CODE = "zh-CN"
# Where the theme's own words are translated: package, folder in it, its name for Chinese.
CATALOGS = (("sphinx_book_theme", "theme/sphinx_book_theme/static/locales", "booktheme", "zh_CN"),
            ("pydata_sphinx_theme", "locale", "sphinx", "zh"), ("sphinx", "locale", "sphinx", "zh_CN"))  # fmt: skip
OWN_WORDS = {
    "Previous": "上一页",
    "Next": "下一页",
    "Skip to main content": "跳到正文",
    "Back to top": "回到顶部",
    "Color mode": "颜色模式",
    "System Settings": "跟随系统",
    "Download this page": "下载本页",
    "Print to PDF": "打印成 PDF",
    "© Copyright %(copyright)s.": "© %(copyright)s。",
}
FOOTER = "<p>图由这门课自己的代码画成。本页不从其他网站加载任何东西。</p>"
# What the theme's templates say without asking for a translation, and the name that the menu's folds have here.
UNTRANSLATED = {
    'title="Toggle primary sidebar"': 'title="打开或收起全站目录"',
    'title="Toggle secondary sidebar"': 'title="打开或收起本页目录"',
    'aria-label="Main"': 'aria-label="全站目录"',
    'aria-label="Page"': 'aria-label="本页目录"',
    'aria-label="Pages below this one"': 'aria-label="下级页面"',
}
MARK_LINE = re.compile(rf"^[ ]*{MARK.pattern}\n", re.MULTILINE)
# A sentence that ends a line, and one that goes on in the next: between them the page would show a space. The line that
# opens a directive ends with its title, and a number with a full stop begins an item of a list.
SENTENCE_END = re.compile(
    r"^(?!:::|```)(.*[。！？][）”]?)\n(?!\d+\. )(?=[\u4e00-\u9fff（“《A-Z0-9{]|`(?!``))", re.MULTILINE
)
CHINESE_LINK = re.compile(rf'(<a class="reference internal" href="[^"]*")(>[^<]*{CHINESE})')
CAPTION = re.compile(rf'(<span class="caption-text")(>[^<]*{CHINESE})')
ENGLISH_TITLE = re.compile(
    r'(<a class="reference internal" href="[^"]*"|<span class="caption-text")(>[^<\u4e00-\u9fff]*<)'
)


def editions(env: BuildEnvironment) -> dict[str, str]:
    """Each page that is translated, and each translation -> its other edition, by what the translations say."""
    found: dict[str, str] = {}
    for name in env.found_docs:
        if is_chinese(name):
            source = str(env.metadata[name].get("translates", "")).rpartition(".")[0]
            found |= {name: source, source: name}
    return found


def drop_marks(app: Sphinx, docname: str, source: list[str]) -> None:
    """Take the fingerprints out of a translation before it is read, so that they can stand in the middle of a list, and
    the ends of lines between sentences, which Chinese has no space for.
    """
    if is_chinese(docname):
        source[0] = SENTENCE_END.sub(r"\1", MARK_LINE.sub("", source[0]))


def lead_to_the_other_edition(app: Sphinx, page: nodes.document, docname: str) -> None:
    """Put a link to the other edition below a page's title."""
    other = editions(app.env).get(docname)
    title = next(page.findall(nodes.title), None)
    if other is None or title is None:
        return
    address = html.escape(app.builder.get_relative_uri(docname, other))
    code, word = ("en", "English") if is_chinese(docname) else (CODE, "中文")
    link = f'<p class="pt-edition"><a href="{address}" lang="{code}" hreflang="{code}" rel="alternate">{word}</a></p>'
    title.parent.insert(title.parent.index(title) + 1, nodes.raw("", link, format="html"))


@cache
def theme_words() -> dict[str, str]:
    """The words of the theme and of Sphinx in Chinese, by their English."""
    found: dict[str, str] = {}
    for package, folder, domain, language in CATALOGS:
        spec = find_spec(package)
        for base in (spec.submodule_search_locations or []) if spec else []:
            path = Path(base) / folder / language / "LC_MESSAGES" / f"{domain}.mo"
            if path.exists():
                with path.open("rb") as file:
                    catalog = gettext.GNUTranslations(file)
                found |= {k: v for k, v in vars(catalog)["_catalog"].items() if isinstance(k, str) and v}
    return found | OWN_WORDS


def speak(words: str) -> str:
    """A word of the theme in Chinese, or as it is."""
    return theme_words().get(words, words)


def mark_titles(contents: str) -> str:
    """The menu of contents with its Chinese titles and caption marked as such."""
    contents = CHINESE_LINK.sub(rf'\1 lang="{CODE}"\2', contents)
    return CAPTION.sub(rf'\1 lang="{CODE}"\2', contents)


def mark_english_titles(contents: str) -> str:
    """The menu of contents, on a page in Chinese, with its English titles and captions marked as such."""
    return ENGLISH_TITLE.sub(r'\1 lang="en"\2', contents)


def tell_the_language(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Tell browsers what a page is written in, and where its other edition is."""
    if other := editions(app.env).get(page):
        for name in (page, other):
            code = CODE if is_chinese(name) else "en"
            address = html.escape(app.builder.get_relative_uri(page, name))
            address = address or f"{page.rpartition('/')[2]}.html"
            context["metatags"] += f'<link rel="alternate" hreflang="{code}" href="{address}"/>\n'
    make_menu = context["generate_toctree_html"]
    marks = [mark_titles]
    if is_chinese(page):
        speak_chinese(context)
        marks.append(mark_english_titles)
    context["generate_toctree_html"] = lambda *args, **given: reduce(
        lambda menu, mark: mark(menu), marks, str(make_menu(*args, **given))
    )


def speak_chinese(context: dict[str, Any]) -> None:
    """Have the theme's own words on a page in Chinese: buttons, search, footer."""
    context["language"] = CODE
    context["_"] = context["gettext"] = context["translate"] = speak
    context["theme_search_bar_text"] = "搜索……"
    context["theme_extra_footer"] = FOOTER
    context["author"] = f'<span lang="en">{context["author"]}</span>'
    context["copyright"] = context["copyright"].replace(". Text ", "。文字 ").replace(", code ", "，代码 ")
    for button in context["header_buttons"]:
        button["tooltip"] = speak(button.get("tooltip", ""))


def say_the_rest_in_chinese(app: Sphinx, exception: Exception | None) -> None:
    """Put Chinese names in the place of those that stand in the theme's templates as they are."""
    if exception or app.builder.name != "html":
        return
    for name in filter(is_chinese, app.env.found_docs):
        path = Path(app.outdir) / f"{name}.html"
        before = path.read_text(encoding="utf-8")
        after = reduce(lambda text, words: text.replace(*words), UNTRANSLATED.items(), before)
        if after != before:  # a page that this build did not write stays as it was
            path.write_text(after, encoding="utf-8")


class TermsDirective(SphinxDirective):
    """A glossary in Chinese: entries of a Chinese name, an English one and an explanation, as the English page has them
    in the other order. Sphinx's own glossary would register each name a second time.
    """

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The entries as a list of definitions; an entry has the anchor of its English one."""
        entries = [entry.split("\n", 2) for entry in "\n".join(self.content).split("\n\n") if entry.strip()]
        if wrong := [entry[0] for entry in entries if len(entry) < 3 or not re.search(CHINESE, entry[0])]:
            raise self.error(f"{wrong[0]!r}: an entry is a Chinese name, an English name and an explanation")
        items = [self.entry(*(part.strip() for part in entry)) for entry in entries]
        return [nodes.definition_list("", *items, classes=["simple", "glossary"])]

    def entry(self, name: str, english: str, text: str) -> nodes.definition_list_item:
        """One entry."""
        anchor = make_id(self.env, self.state.document, "term", english)
        first = nodes.term("", name, ids=[anchor])
        second = nodes.term("", english, classes=["language-en"])
        return nodes.definition_list_item(
            "", first, second, nodes.definition("", *self.parse_text_to_nodes(text))
        )


def register(app: Sphinx) -> None:
    """Let pages have a Chinese edition."""
    app.add_directive("terms", TermsDirective)
    app.connect("source-read", drop_marks)
    app.connect("doctree-resolved", lead_to_the_other_edition, priority=900)  # after links to terms
    app.connect("html-page-context", tell_the_language, priority=800)  # after the theme's own functions
    app.connect("build-finished", say_the_rest_in_chinese)
