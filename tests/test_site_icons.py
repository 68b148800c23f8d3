"""Icon fonts with fewer icons: fontTools, which has no part in making them, reads the same shapes out of them."""

import io
from importlib.util import find_spec
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont

from papertrail.site_icons import characters, keep_icons, tables_of

THEME = Path(find_spec("pydata_sphinx_theme").submodule_search_locations[0]) / "theme" / "pydata_sphinx_theme"
WEBFONTS = THEME / "static" / "vendor" / "fontawesome" / "webfonts"
BARS, SUN, GITHUB = 0xF0C9, 0xF185, 0xF09B


def shape(font, code):
    glyphs = font.getGlyphSet()
    pen = DecomposingRecordingPen(glyphs)
    glyphs[font.getBestCmap()[code]].draw(pen)
    return pen.value, font["hmtx"][font.getBestCmap()[code]]


@pytest.mark.parametrize(
    ("name", "known"), [("fa-solid-900", {BARS, SUN}), ("fa-regular-400", {SUN}), ("fa-brands-400", {GITHUB})]
)
def test_kept_icons_have_their_shape_and_width_and_others_none(name, known):
    whole = (WEBFONTS / f"{name}.ttf").read_bytes()
    small, has = keep_icons(whole, {BARS, SUN, GITHUB, 0xE999})
    assert has == known and len(small) < len(whole) / 15
    font, original = TTFont(io.BytesIO(small)), TTFont(io.BytesIO(whole))
    assert set(font.getBestCmap()) == known
    for code in known:
        assert shape(font, code) == shape(original, code) and shape(font, code)[0]
    assert len(font.getGlyphOrder()) == len(original.getGlyphOrder())
    kept = [name for name in font.getGlyphOrder() if font["glyf"][name].numberOfContours]
    assert len(kept) <= len(known) + 1  # and the sign for what is missing


def composed(codes):
    """A font in which "c" is made of the shape of "b", of which nothing else speaks."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    pen.lineTo((0, 500))
    pen.lineTo((400, 100))
    pen.closePath()
    triangle = pen.glyph()
    names = [".notdef", "a", "b", "c"]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap(codes)
    pen = TTGlyphPen(dict.fromkeys(names, triangle))
    pen.addComponent("b", (1, 0, 0, 1, 30, 700))
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "a": triangle, "b": triangle, "c": pen.glyph()})
    builder.setupHorizontalMetrics(dict.fromkeys(names, (600, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Composed", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    buffer = io.BytesIO()
    builder.save(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("codes", [{0x41: "a", 0x43: "c"}, {0x41: "a", 0x1F600: "c"}])
def test_an_icon_keeps_the_parts_that_it_is_made_of(codes):
    whole = composed(codes)
    assert characters(tables_of(whole)[b"cmap"]) == {code: "_abc".index(name) for code, name in codes.items()}
    if 0x43 in codes:
        small, has = keep_icons(whole, {0x43})
        font, original = TTFont(io.BytesIO(small)), TTFont(io.BytesIO(whole))
        assert has == {0x43} and shape(font, 0x43) == shape(original, 0x43) and shape(font, 0x43)[0]
        assert not font["glyf"]["glyph00001"].numberOfContours


def test_what_is_no_truetype_font_is_refused():
    with pytest.raises(ValueError, match="got a file that begins with b'wOF2'; allowed is TrueType"):
        keep_icons(b"wOF2" + bytes(100), {BARS})
    with pytest.raises(ValueError, match="lacks the tables"):
        keep_icons(b"\0\1\0\0" + bytes(100), {BARS})
