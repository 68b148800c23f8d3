"""Do an English text and its translation name the same numbers, code and references (ours)?

English and Chinese write numbers differently: "280 billion" is 2800 亿, "four months" 四个月, "16 October" 10 月 16 日.
So numbers are compared by their values, as a set for each block.
"""

import re
from collections.abc import Iterator

UNITS = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "百万": 1e6, "千": 1e3, "万": 1e4, "亿": 1e8}
NUMBER = re.compile(r"(\d+(?:,\d{3})+|\d+)(\.\d+)?(?:\s*(thousand|million|billion|百万|千|万|亿))?")
WORDS = {
    3: ("three", "third", "thirds"), 4: ("four", "fourth"), 5: ("five", "fifth", "fifths"), 6: ("six", "sixth"),
    7: ("seven",), 8: ("eight",), 9: ("nine",), 10: ("ten",), 11: ("eleven",), 12: ("twelve",),
    13: ("thirteen", "thirteenth"), 16: ("sixteen", "sixteenth"), 60: ("sixty",), 100: ("hundred",),
}  # fmt: skip
CHINESE_WORDS = {3: "三", 4: "四", 5: "五", 6: "六", 7: "七", 8: "八", 9: "九", 10: "十", 11: "十一", 12: "十二",
                 13: "十三", 16: "十六", 60: "六十", 100: "百"}  # fmt: skip
MONTHS = {"January": 1, "February": 2, "March": 3, "April": 4, "May": 5, "June": 6, "July": 7, "August": 8,
          "September": 9, "October": 10, "November": 11, "December": 12}  # fmt: skip
WORD_OF = {word: value for value, words in WORDS.items() for word in words}
# Parts of a page whose own form is compared, or that are no prose.
VERBATIM = re.compile(r"\{[\w:-]+\}`[^`]+`|`[^`]+`|\$[^$]+\$|\{\w+\}")
TARGET = re.compile(r"\]\([^)]*\)|^:ids:.*$|^\([\w-]+\)=$", re.MULTILINE)
FENCE = re.compile(r"^(?:`{3,}|:{3,})(?:\{[\w-]+\})?", re.MULTILINE)
ROLE_ELSEWHERE = re.compile(r"\{(?:doc|term)\}")  # a translation leads to its own pages


def verbatim(text: str) -> set[str]:
    """What a translation has to keep letter by letter: code, formulas, citations, claims, and numbers filled in."""
    return {
        " ".join(part.split())
        for part in VERBATIM.findall(FENCE.sub("", text))
        if not ROLE_ELSEWHERE.match(part)
    }


def prose(text: str) -> str:
    """A text without what is compared letter by letter, and without where its links lead."""
    return TARGET.sub("]", VERBATIM.sub(" ", FENCE.sub("", text)))


def values(text: str) -> Iterator[float]:
    """The numbers that a text writes with digits."""
    for whole, fraction, unit in NUMBER.findall(prose(text)):
        yield round(float(whole.replace(",", "") + fraction) * UNITS.get(unit, 1), 9)


def word_values(text: str) -> set[int]:
    """The numbers from three up that an English text writes as words, and its months."""
    words = re.findall(r"[A-Za-z]+", prose(text))
    return {WORD_OF[word.lower()] for word in words if word.lower() in WORD_OF} | {
        MONTHS[word] for word in words if word in MONTHS
    }


def missing_from(english: str, chinese: str) -> list[str]:
    """What one text has and the other has not: numbers, code, formulas, citations, claims.

    A number that only the translation writes with digits is one that the English text has as a word or a month.
    """
    kept, there = verbatim(english), verbatim(chinese)
    lost = [f"{part} is missing" for part in sorted(kept - there)]
    lost += [f"{part} is not in English" for part in sorted(there - kept) if not part.startswith("{.")]
    digits, other, words = set(values(english)), set(values(chinese)), word_values(english)
    plain = prose(chinese)
    lost += [f"number {value:g} is missing" for value in sorted(digits - other) if not told(value, plain)]
    lost += [f"number {value:g} is not in English" for value in sorted(other - digits - words)]
    lost += [f"number {value} is missing" for value in sorted(words - other) if not told(value, plain)]
    return lost


def told(value: float, chinese: str) -> bool:
    """Does a Chinese text name the value by a word?"""
    return int(value) == value and int(value) in CHINESE_WORDS and CHINESE_WORDS[int(value)] in chinese
