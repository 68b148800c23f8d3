"""Style sheets without the rules that no page can use.

A selector goes when it names a class that neither a page nor a script of the site names. Everything else stays:
elements, ids, attributes and states are never judged, nor what stands in `:not()`, `:is()` and the like.
"""

import re
from collections.abc import Iterator, Set

CLASS = re.compile(r"\.((?:[\w-]|\\.)+)")
ATTRIBUTE = re.compile(r"\[[^\]]*\]")  # what stands in brackets may look like a class and is none
STRING = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'"
COMMENT = re.compile(rf"({STRING})|/\*.*?\*/", re.DOTALL)
MARK = re.compile(rf"{STRING}|[{{}};]", re.DOTALL)
NESTED = re.compile(r":[\w-]+\([^()]*\)")
WITH_RULES = ("@media", "@supports", "@layer", "@container")


def classes_of(page: str) -> set[str]:
    """The classes that a page's elements carry."""
    return {
        name
        for _, names in re.findall(r"""\sclass=(["'])(.*?)\1""", page, re.DOTALL)
        for name in names.split()
    }


def words_of(script: str) -> set[str]:
    """Every word of a script: the classes that it may give to elements are among them."""
    return set(re.findall(r"[A-Za-z_][\w-]*", script))


def rules(sheet: str) -> Iterator[tuple[str, str | None]]:
    """A sheet's rules as (selector or at-rule, body); the body is None for statements such as `@import`.

    Raises:
        ValueError: a brace is missing.
    """
    start, opened, depth = 0, 0, 0
    for mark in MARK.finditer(sheet):
        sign = mark.group()
        if sign == "{":
            depth += 1
            opened = mark.start() if depth == 1 else opened
        elif sign == "}":
            depth -= 1
            if depth < 0:
                break
            if depth == 0:
                yield sheet[start:opened].strip(), sheet[opened + 1 : mark.start()]
                start = mark.end()
        elif sign == ";" and depth == 0:
            yield sheet[start : mark.end()].strip(), None
            start = mark.end()
    if depth or sheet[start:].strip():
        raise ValueError(f"style sheet: a brace is missing near {sheet[start : start + 60].strip()!r}")


def selectors(group: str) -> list[str]:
    """The selectors of a rule, parted at its commas but for those inside brackets."""
    parts, depth = [""], 0
    for sign in group:
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def may_match(selector: str, known: Set[str]) -> bool:
    """Whether every class that the selector asks for is known."""
    while (plain := NESTED.sub("", selector)) != selector:
        selector = plain
    plain = ATTRIBUTE.sub("", selector)
    return all(name.replace("\\", "") in known for name in CLASS.findall(plain))


def trim(sheet: str, known: Set[str]) -> str:
    """The sheet with the rules that may match an element when its pages know only these classes.

    Raises:
        ValueError: a brace is missing.
    """
    kept = []
    for head, body in rules(COMMENT.sub(lambda found: found[1] or "", sheet)):
        if body is None:
            kept.append(head)
        elif head.startswith(WITH_RULES):
            if inside := trim(body, known):
                kept.append(f"{head}{{{inside}}}")
        elif head.startswith("@"):
            kept.append(f"{head}{{{body}}}")
        elif matching := [selector for selector in selectors(head) if may_match(selector, known)]:
            kept.append(f"{','.join(matching)}{{{body}}}")
    return "".join(kept)
