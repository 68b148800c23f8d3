"""Trimming of style sheets: what may match stays as it was, what cannot goes, and a broken sheet is no sheet."""

import pytest

from papertrail.site_styles import classes_of, rules, selectors, trim, words_of

KNOWN = {"a", "b:c", "on"}


@pytest.mark.parametrize(
    ("sheet", "left"),
    [
        (".a{x:1}.z{x:2}", ".a{x:1}"),
        (".a,.z,p{x:1}", ".a,p{x:1}"),
        (".a .z{x:1}p.a>b{x:2}", "p.a>b{x:2}"),
        (".a:not(.z){x:1}.a:is(.y,:not(.z)){x:2}", ".a:not(.z){x:1}.a:is(.y,:not(.z)){x:2}"),
        (".z:not(.a){x:1}", ""),
        (r".b\:c{x:1}.b\:d{x:2}", r".b\:c{x:1}"),
        ('a[href$=".pdf"],.z[x=".a"]{x:1}', 'a[href$=".pdf"]{x:1}'),
        ("#z,[data-z],*,::before{x:1}", "#z,[data-z],*,::before{x:1}"),
        ("@media print{.z{x:1}.a{x:2}}", "@media print{.a{x:2}}"),
        ("@media print{.z{x:1}}", ""),
        ("@font-face{src:url(z.woff)}", "@font-face{src:url(z.woff)}"),
        ("@keyframes z{0%{x:.5}to{x:1}}", "@keyframes z{0%{x:.5}to{x:1}}"),
        ('@charset "utf-8";.a{x:1}', '@charset "utf-8";.a{x:1}'),
        ('.a::after{content:"}.z{"}.z{x:1}', '.a::after{content:"}.z{"}'),
        ('/* .a{ */.a{content:"/*"}/* } */', '.a{content:"/*"}'),
        (".a{x:url(data:image/svg+xml;base64,AA==)}", ".a{x:url(data:image/svg+xml;base64,AA==)}"),
        ("", ""),
    ],
)
def test_only_selectors_of_unknown_classes_go(sheet, left):
    assert trim(sheet, KNOWN) == left


@pytest.mark.parametrize("sheet", [".a{x:1", ".a{x:1}}", ".a", ".a{x:1}.b{y:2"])
def test_a_sheet_that_lacks_a_brace_is_refused(sheet):
    with pytest.raises(ValueError, match="a brace is missing near"):
        trim(sheet, KNOWN)


def test_rules_and_selectors_are_parted_at_the_outside_alone():
    assert list(rules("@import 'a;b';p{x:1}")) == [("@import 'a;b';", None), ("p", "x:1")]
    assert selectors(":is(a,b) c,[x='1']") == [":is(a,b) c", "[x='1']"]


def test_classes_are_those_of_elements_and_words_those_of_scripts():
    assert classes_of('<p class="a b-c"\nid="d"><b class=\'e\'>class="f</b>') == {"a", "b-c", "e"}
    assert words_of("x.classList.add('is-on', `n${y}`)") >= {"is-on", "classList"}
