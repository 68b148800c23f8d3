"""The theme's icon fonts without the icons that no page shows.

A font keeps its glyph numbers and its metrics; outlines and entries of the character map go. So an icon that stays
looks as it did, and no table has to be renumbered. Formats: OpenType 1.9 (`cmap`, `glyf`, `loca`) and WOFF 1.0.
"""

import struct
import zlib
from collections.abc import Set

HEADER, RECORD = struct.Struct(">4sHHHH"), struct.Struct(">4sLLL")
WOFF_HEADER, WOFF_RECORD = struct.Struct(">4sLLHHLHHLLLLL"), struct.Struct(">4sLLLL")
KEPT = (b"OS/2", b"cmap", b"glyf", b"head", b"hhea", b"hmtx", b"loca", b"maxp", b"name", b"post")
MORE_PARTS, WORDS, ONE_SCALE, TWO_SCALES, FOUR_SCALES = (
    0x20,
    0x1,
    0x8,
    0x40,
    0x80,
)  # flags of a composed glyph


def tables_of(font: bytes) -> dict[bytes, bytes]:
    """The tables of a TrueType font, by their four-letter tags.

    Raises:
        ValueError: it is no TrueType font, or it lacks a table that browsers need.
    """
    if font[:4] != b"\0\1\0\0":
        raise ValueError(f"font: got a file that begins with {font[:4]!r}; allowed is TrueType")
    count = HEADER.unpack_from(font)[1]
    records = [RECORD.unpack_from(font, HEADER.size + i * RECORD.size) for i in range(count)]
    found = {tag: font[start : start + length] for tag, _, start, length in records}
    if missing := set(KEPT) - set(found):
        raise ValueError(f"font: lacks the tables {sorted(missing)}")
    return {tag: found[tag] for tag in KEPT}


def characters(cmap: bytes) -> dict[int, int]:
    """Code point -> glyph number, from the character map's segments (format 4) or groups (format 12).

    Raises:
        ValueError: the map has neither format.
    """
    glyphs: dict[int, int] = {}
    known = False
    for i in range(struct.unpack_from(">H", cmap, 2)[0]):
        start = struct.unpack_from(">HHL", cmap, 4 + 8 * i)[2]
        kind = struct.unpack_from(">H", cmap, start)[0]
        if kind == 12:
            groups = struct.unpack_from(">L", cmap, start + 12)[0]
            for first, last, glyph in struct.iter_unpack(">LLL", cmap[start + 16 : start + 16 + 12 * groups]):
                glyphs |= {code: glyph + code - first for code in range(first, last + 1)}
        elif kind == 4:
            glyphs |= _segments(cmap, start)
        known |= kind in (4, 12)
    if not known:
        raise ValueError("font: its character map has neither format 4 nor format 12")
    return glyphs


def _segments(cmap: bytes, start: int) -> dict[int, int]:
    size = struct.unpack_from(">H", cmap, start + 6)[0]  # twice the number of segments
    ends, starts, shifts, offsets = (
        struct.unpack_from(f">{size // 2}H", cmap, start + at) for at in (14, 16 + size, 16 + 2 * size, 16 + 3 * size)
    )  # fmt: skip
    glyphs = {}
    for i, (first, last, shift, offset) in enumerate(zip(starts, ends, shifts, offsets, strict=True)):
        for code in range(first, min(last, 0xFFFE) + 1):
            glyph = code
            if offset:
                at = start + 16 + 3 * size + 2 * i + offset + 2 * (code - first)
                glyph = struct.unpack_from(">H", cmap, at)[0]
            if glyph or not offset:
                glyphs[code] = (glyph + shift) & 0xFFFF
    return glyphs


def _parts(outline: bytes) -> list[int]:
    """The glyphs that a composed outline is made of; none for a simple one."""
    if len(outline) < 10 or struct.unpack_from(">h", outline)[0] >= 0:
        return []
    parts, at, flags = [], 10, MORE_PARTS
    while flags & MORE_PARTS:
        flags, glyph = struct.unpack_from(">HH", outline, at)
        parts.append(glyph)
        at += 8 if flags & WORDS else 6
        at += 2 if flags & ONE_SCALE else 4 if flags & TWO_SCALES else 8 if flags & FOUR_SCALES else 0
    return parts


def character_map(glyphs: dict[int, int]) -> bytes:
    """A character map (format 4, one segment a character) of code points below 0xFFFF and their glyph numbers."""
    codes = [*sorted(glyphs), 0xFFFF]
    shifts = [*((glyphs[code] - code) & 0xFFFF for code in codes[:-1]), 1]
    count = len(codes)
    power = 1 << (count.bit_length() - 1)
    sizes = (2 * count, 2 * power, power.bit_length() - 1, 2 * (count - power))
    table = struct.pack(f">HH4H{count}HH{count}H{count}H{count}H", 16 + 8 * count, 0, *sizes, *codes, 0, *codes,
                        *shifts, *[0] * count)  # fmt: skip
    return struct.pack(">HHHHLH", 0, 1, 3, 1, 12, 4) + table


def keep_icons(font: bytes, codes: Set[int]) -> tuple[bytes, set[int]]:
    """A TrueType font as WOFF in which only some characters still have outlines, and those of `codes` it knows.

    Raises:
        ValueError: the font is no TrueType font or has tables in an unknown format.
    """
    tables = tables_of(font)
    of = characters(tables[b"cmap"])
    count = struct.unpack_from(">H", tables[b"maxp"], 4)[0]
    long = struct.unpack_from(">h", tables[b"head"], 50)[0]
    form, size, unit = ("L", 4, 1) if long else ("H", 2, 2)
    counted = struct.unpack(f">{count + 1}{form}", tables[b"loca"][: (count + 1) * size])
    places = [unit * place for place in counted]
    outlines = [tables[b"glyf"][a:b] for a, b in zip(places, places[1:], strict=False)]
    known = codes & of.keys()
    tables[b"cmap"] = character_map({code: of[code] for code in known})
    wanted, new = {0}, {of[code] for code in known}
    while new := new - wanted:
        wanted |= new
        new = {part for glyph in new for part in _parts(outlines[glyph])}
    kept = [outline if i in wanted else b"" for i, outline in enumerate(outlines)]
    ends = [0]
    for outline in kept:
        ends.append(ends[-1] + len(outline))
    tables[b"glyf"] = b"".join(kept)
    tables[b"loca"] = struct.pack(f">{count + 1}L", *ends)
    tables[b"head"] = tables[b"head"][:50] + struct.pack(">h", 1) + tables[b"head"][52:]  # long places
    tables[b"post"] = b"\0\3\0\0" + tables[b"post"][4:32]  # version 3: glyphs have no names
    return as_woff(tables), set(known)


def as_woff(tables: dict[bytes, bytes]) -> bytes:
    """TrueType tables as one WOFF file, each compressed where that makes it smaller."""
    place = WOFF_HEADER.size + len(tables) * WOFF_RECORD.size
    records, bodies, whole = [], [], HEADER.size + len(tables) * RECORD.size
    for tag, data in sorted(tables.items()):
        body = min(zlib.compress(data, 9), data, key=len)
        padded = data + b"\0" * (-len(data) % 4)
        checksum = sum(struct.unpack(f">{len(padded) // 4}L", padded)) & 0xFFFFFFFF
        records.append(WOFF_RECORD.pack(tag, place, len(body), len(data), checksum))
        bodies.append(body + b"\0" * (-len(body) % 4))
        place, whole = place + len(bodies[-1]), whole + len(padded)
    header = WOFF_HEADER.pack(b"wOFF", 0x10000, place, len(tables), 0, whole, 1, 0, 0, 0, 0, 0, 0)
    return b"".join([header, *records, *bodies])
