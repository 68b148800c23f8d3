"""Active content: refused in the student's own Markdown and raw cells, and in nothing else."""

import base64
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_assignment import answered, cell_of, only, own, reasons

NAN = float("nan")

HTML = [
    "<script>alert(1)</script>", "<SCRIPT SRC=//x>", "<script/x>", "<iframe src=x></iframe>", "<style>*{}</style>",
    "<object data=x>", "<embed src=x>", "<svg onload=alert(1)>", "<svg><style><img src=x onerror=y>", "<math><x>",
    "<img src=x onerror=alert(1)>", "<b onClick='x'>a</b>", "<details open ontoggle=x>", "<p\nonmouseover\n=\nx>",
    "<meta http-equiv=refresh content=0>", "<base href=//x>", "<link rel=stylesheet href=x>", "<form action=x>",
    '<a href="javascript:x">a</a>', "<a href=' \x01jAva\tscript:x'>a</a>", "<a href='&#106;avascript:x'>a</a>",
    "<a href='data:text/html,x'>a</a>", "<title>x</title>", "<textarea></textarea>",
    "<!--><script>x</script>-->", "<!-- --!><script>x</script>-->", "<![CDATA[<script>x</script>]]>",
    "<?x <script>x</script>?>", "<noscript><p title='</noscript><img src=x>'>",
]  # fmt: skip
# What the renderer of Markdown takes for text, and a page for an element.
ONLY_RAW = [
    "text <script\n>x", "<img/onerror=alert(1)/src=x>", '<img src="x"onerror="y">', "<img src=x onerror=alert(1) ",
    "<img title='a' src=x onerror=alert(1) alt=\"b", "<x:script>y</x:script>", "<div>\n\n    <script>x</script>",
    "`<script>x</script>`",
]  # fmt: skip
ONLY_MARKDOWN = [
    "[a](javascript:alert)", "[a]( JavaScript:alert )", "[a](javascript&colon;x)", "[a](java&#115;cript:x)",
    "[a]: javascript:x\n\n[a]", "<javascript:x>", "![i](vbscript:x)", "```\nx\n```\n<script>x</script>",
    "`a` <script>x</script> `b`", "$a$ <script>x</script> $b$", "\\`<script>x</script>\\`",
    "\\begin{a}" * 300 + "<script>x</script>",
]  # fmt: skip
HARMLESS = [
    "<details><summary>More</summary>text</details>", "a<br>b<br/>", '<img alt="a>b" src="x.png" width=3>',
    "![p](data:image/png;base64,AAAA)", '<img src="data:image/png;base64,AAAA">', "a<b and c>d", "if x < y: on = 3",
    "`<script>alert(1)</script>`", "```html\n<script>x</script>\n```", "    <script>x</script>", "$a<b$ and $$x<y$$",
    "`<object object at 0x7f>`", "the javascript: scheme", "[a](https://x.org/?q=javascript:x)", "<https://x.org>",
    "<b only>bold</b> <span style='color:red'>x</span> <table><tr><td>1</td></tr></table>", "<!-- a note -->",
    "a &lt;script&gt; b", "\\<script\\>", "<bos> tokens <eos>", "List<int>", "once = 1, online = <mask>", "<3 😀",
    "[link](attachment:x.png)", "<a href='#part'>up</a>", "<sub>i</sub><kbd>K</kbd>", "x <-y> z", "<", "&", "<a", "",
]  # fmt: skip


@pytest.mark.parametrize("text", HTML + ONLY_MARKDOWN)
def test_active_content_is_refused_in_markdown(text):
    notebook = answered()
    cell_of(notebook, "why")["source"] = text
    assert "'why' holds active content" in only(notebook)


@pytest.mark.parametrize("text", HTML + ONLY_RAW)
def test_active_content_is_refused_in_raw_cells(text):
    notebook = answered()
    notebook["cells"].append(own(text, "raw"))
    assert "Cell 9 holds active content" in only(notebook)


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_markdown_passes(text):
    notebook = answered()
    cell_of(notebook, "why")["source"] = text
    assert reasons(notebook) == []


def test_raw_cells_and_attachments_are_judged_as_html_and_pictures_only():
    svg = base64.b64encode(b"<svg xmlns='x'><title>t</title><style>a{}</style><path d='M0'/></svg>").decode()
    armed = base64.b64encode(b"<svg onload='x'/>").decode()
    for cell, refused in (
        (own("a<b, <br>", "raw"), False),
        (own("![p](attachment:p.png)", attachments={"p.png": {"image/png": "AAAA"}}), False),
        (own("![p](attachment:p.svg)", attachments={"p.svg": {"image/svg+xml": svg}}), False),
        (own("p", attachments={"p.svg": {"image/svg+xml": ["<svg>", "<script>"]}}), True),
        (own("p", attachments={"p.svg": {"image/svg+xml": armed}}), True),
        (
            own(
                "p", attachments={"p.svg": {"image/svg+xml": "<svg><style><path onload='x'/></style></svg>"}}
            ),
            True,
        ),
        (own("p", attachments={"p.svg": {"image/svg+xml": "%"}}), True),
        (own("p", attachments={"p.html": {"text/html": "<b>"}}), True),
    ):
        notebook = answered()
        notebook["cells"].append(cell)
        assert [("Cell 9 holds" in reason) for reason in reasons(notebook)] == [True] * refused, cell


def test_code_and_outputs_are_not_judged_as_html():
    notebook = answered()
    html = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"text/html": "<script>x</script>", "x/y": NAN},
    }
    notebook["cells"].append(
        own("print('<script>')\na<b", "code") | {"outputs": [html], "execution_count": "odd"}
    )
    assert reasons(notebook) == []


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet="<>ab\"'=/!-&;:`$[]()\\ \n?oncript", max_size=60))
def test_no_text_in_a_cell_raises(text):
    notebook = answered()
    notebook["cells"] += [own(text), own(text, "raw"), own(text, "code")]
    assert all("active content" in reason for reason in reasons(notebook))


LONG = ["<", "<a ", '<a b="', "[", "**a ", "`", "\\begin{a}", "<!--", "[a](", "> ", "$"]


@pytest.mark.parametrize("piece", LONG)
def test_a_long_hostile_text_is_judged_in_a_moment(piece):
    notebook = answered()
    text = "<b>\n\n" + (piece * 80_000)[:80_000]
    notebook["cells"] += [own(text), own(text, "raw")]
    start = time.process_time()
    reasons(notebook)
    assert time.process_time() - start < 3
