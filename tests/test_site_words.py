"""Short words of code are marked so that a line does not part them; long ones, listings and text are left alone."""

import pytest

from papertrail.site_words import keep_short_words_whole

WHOLE = '<span class="pt-whole">{}</span>'
LONG = "papertrail.architecture_diagram.checks"


@pytest.mark.parametrize(
    ("written", "marked"),
    [
        ('<span class="pre">--no-network</span>', '<span class="pre pt-whole">--no-network</span>'),
        ("<code>-&gt; --to</code>", f"<code>{WHOLE.format('-&gt;')} {WHOLE.format('--to')}</code>"),
        (f'<span class="pre">{LONG}</span>', f'<span class="pre">{LONG}</span>'),
        (f"<code>{LONG}</code>", f"<code>{LONG}</code>"),
        ("<pre><code>a --b</code></pre>", "<pre><code>a --b</code></pre>"),
        ("<p>well-known</p>", "<p>well-known</p>"),
    ],
)  # fmt: skip
def test_one_piece_of_code(written, marked):
    assert keep_short_words_whole(written) == marked
