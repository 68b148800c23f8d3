"""Wikipedia's markup read as prose."""

import pytest

from papertrail.ulmfit.markup import plain_text


@pytest.mark.parametrize(
    "markup, text",
    [
        ("'''Salt''' is ''old''.", "Salt is old."),
        (
            "a [[mineral]], a [[mineral|hard stone]] and [[mineral|stone]]s",
            "a mineral, a hard stone and stones",
        ),
        ("kept {{cite|a={{b|{{c}}}}|d}}text {{x}}here", "kept text here"),
        ("one{|class=x\n| cell {{t}}\n{| inner |}\n|}two", "onetwo"),
        (
            'fact<ref>Book, p. 7</ref> and<ref name=a/b /> more<ref name="x">{{cite}}\n</ref>.',
            "fact and more.",
        ),
        ("<!-- not\nthis -->this x<sup>2</sup><br />y <math>a^2</math>", "this x 2 y"),
        (
            "see [http://example.org/a?b the page] or [http://example.org] [//example.org/ x]",
            "see the page or x",
        ),
        (
            "[[File:a.jpg|thumb|A [[cat]] on a [[mat|rug]]]]Cats sleep.[[Category:Cats]][[de:Katze]]",
            "Cats sleep.",
        ),
        ("A [[Star Trek: First Contact|film]] and [[:Category:Films]]", "A film and :Category:Films"),
        ("== Use ==\n* bread\n*# salt\n:;tea\n\n\n----", "bread\nsalt\ntea\n----"),
        (
            "Prose.\n== See also ==\n* link\n=== Notes ===\nmore\n== Taste ==\nSalty.\n==References==\nBook",
            "Prose.\nSalty.",
        ),
        ("Greek ({{lang|x}}, ) name (; or ) kept (a)", "Greek name kept (a)"),
        ("&amp;nbsp; &quot;x&quot; __NOTOC__ &lt;", '&nbsp; "x" <'),
        ("open {{ template and [[ link", "open template and link"),
        ("close }} template ]] link", "close template link"),
        ("| stray cell\n! head\nProse", "Prose"),
        ("", ""),
    ],
)
def test_prose_is_kept_and_markup_goes(markup, text):
    assert plain_text(markup) == text
