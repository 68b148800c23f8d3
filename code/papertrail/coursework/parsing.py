"""Read a file that may or may not be a notebook, without trusting or running anything in it.

What comes out is a notebook of format 4.5 that has only what grading needs: cell types, sources, attachments and
nbgrader's marks. Outputs, execution counts, other metadata and ids are left out. They are not judged, since nothing
looks at them: what an editor adds there is no reason to refuse a student's work.
"""

import json
import math
from collections.abc import Iterator

import nbformat

MAX_BYTES = 5_000_000  # of a submitted notebook
MAX_CELLS = 500
MAX_DEPTH = 60  # levels of nesting; an honest notebook has about ten
MAX_DIGITS = 20  # of a whole number; no honest notebook counts further

AGAIN = "Download the notebook again and copy your answers into it."
SAVE = "Open it in Jupyter, save it, and hand in the saved file."
# Jupyter does not open such a file. It comes from a text editor or a command line, and the way back is the same.
RECODE = "Open it in a text editor, save it with the encoding UTF-8, and see that Jupyter opens it. Hand in that file."


class Unreadable(ValueError):
    """A file is not a notebook that can be graded. The message says why, and what the student can do."""


def decoded(content: bytes) -> str:
    """The text of a file. A byte order mark of UTF-8, which some Windows editors write, is tolerated and dropped.

    Raises:
        Unreadable: the file is empty, too large, of another kind, or not in UTF-8.
    """
    if len(content) > MAX_BYTES:
        raise Unreadable(
            f"The file has {len(content) / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:.0f} MB are taken. "
            "Clear all outputs in Jupyter, save, and hand in again."
        )
    if not content.strip(b"\0 \t\r\n"):
        raise Unreadable("The file is empty. Save the notebook and hand in again.")
    for start, kind in (
        (b"PK\x03\x04", "a zip archive"),
        (b"%PDF", "a PDF"),
        (b"\x1f\x8b", "a compressed file"),
    ):
        if content.startswith(start):
            raise Unreadable(f"The file is {kind}, not a notebook. Hand in the .ipynb file itself.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable(f"The file is in UTF-16; a notebook is in UTF-8. {RECODE}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(
            f"The file is not in UTF-8 (byte {error.start + 1} is no character). {RECODE}"
        ) from None


def _whole(digits: str) -> int | float:
    """A whole number of JSON. One with very many digits becomes infinite: Python refuses to convert thousands."""
    return int(digits) if len(digits) <= MAX_DIGITS else math.inf


def parsed(text: str) -> dict:
    """The object that a JSON text holds.

    Raises:
        Unreadable: the text is no JSON, or holds something else than an object.
    """
    start = text[:2000].lstrip()
    if start.startswith("<"):
        raise Unreadable(
            "The file is a web page, not a notebook. Download the notebook itself, as .ipynb, and hand it in."
        )
    if not start.startswith(("{", "[")):
        raise Unreadable(
            "The file is no notebook: its content is not JSON. Hand in the .ipynb file that Jupyter saves."
        )
    try:
        data = json.loads(text, parse_int=_whole)
    except json.JSONDecodeError as error:
        # Where text ends too early, the parser stops at the end, or at the start of a string that never closes.
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
            raise Unreadable(
                f"The file breaks off in line {error.lineno}: a part is missing. Hand it in again."
            ) from None
        merge = " It holds the marks of a merge conflict of git." if "\n<<<<<<< " in text else ""
        raise Unreadable(
            f"The file is damaged: line {error.lineno} is not valid JSON.{merge} {AGAIN}"
        ) from None
    except RecursionError:
        raise Unreadable(f"The file is nested too deeply for a notebook. {AGAIN}") from None
    if not isinstance(data, dict):
        raise Unreadable("The file is JSON but no notebook. Hand in the .ipynb file that Jupyter saves.")
    return data


def _check_format(data: dict) -> None:
    """Is this a notebook of format 4?"""
    major = data.get("nbformat")
    if not isinstance(major, int) or isinstance(major, bool):
        raise Unreadable(
            "The file is JSON but no notebook: it states no format. Hand in the .ipynb file that Jupyter saves."
        )
    if major < 4:
        raise Unreadable(f"The notebook is in the old format {major}; format 4 is taken. {SAVE}")
    if major > 4:
        raise Unreadable(
            f"The notebook is in format {major}, newer than format 4 which is taken. Save it with the course's Jupyter."
        )
    cells = data.get("cells")
    if not isinstance(cells, list) or not cells:
        raise Unreadable(f"The notebook has no cells. {AGAIN}")
    if len(cells) > MAX_CELLS:
        raise Unreadable(
            f"The notebook has {len(cells)} cells; at most {MAX_CELLS} are taken. Delete the ones that you do not need."
        )


def parts(value: object) -> Iterator[tuple[object, int]]:
    """Everything inside nested lists and objects, keys too, with its depth. Does not recurse."""
    waiting = [(value, 0)]
    while waiting:
        part, depth = waiting.pop()
        yield part, depth
        if depth > MAX_DEPTH:
            continue
        if isinstance(part, dict):
            waiting += [(inner, depth + 1) for pair in part.items() for inner in pair]
        elif isinstance(part, list):
            waiting += [(inner, depth + 1) for inner in part]


def _check_values(cell: dict, place: str) -> None:
    """Can everything in a reduced cell be kept, compared and written again?"""
    for part, depth in parts(cell):
        if depth > MAX_DEPTH:
            raise Unreadable(f"{place} is nested too deeply for a notebook. {AGAIN}")
        if isinstance(part, float) and not math.isfinite(part):
            raise Unreadable(
                f"{place} holds a number that is not finite (NaN, infinite or too large) in its metadata. {AGAIN}"
            )
        if isinstance(part, str):
            try:
                part.encode()
            except UnicodeEncodeError:
                raise Unreadable(
                    f"{place} holds half of a character (a lone surrogate). Delete it and type it again."
                ) from None


def _reduced(cell: object, place: str) -> dict:
    """The parts of a cell that are kept; wrong types are left in place for the validation to find."""
    if not isinstance(cell, dict):
        raise Unreadable(f"{place} is no cell. {AGAIN}")
    if cell.get("cell_type") not in ("code", "markdown", "raw"):
        raise Unreadable(f"{place} is of no known type (code, Markdown or raw). {AGAIN}")
    kept = {key: cell[key] for key in ("cell_type", "source", "metadata") if key in cell}
    if isinstance(cell.get("metadata"), dict):
        kept["metadata"] = {key: value for key, value in cell["metadata"].items() if key == "nbgrader"}
    if cell.get("cell_type") == "code":
        kept |= {"outputs": [], "execution_count": None}
    elif cell.get("attachments"):
        kept["attachments"] = cell["attachments"]
    _check_values(kept, place)
    return kept


def _joined(source: str | list[str]) -> str:
    """A source as one text with the line ends of Unix: files from Windows are the same work."""
    text = source if isinstance(source, str) else "".join(source)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def language(data: dict) -> str:
    """The language that a notebook states, in lower case; "" where it states none."""
    metadata = data.get("metadata")
    for key, name in (("kernelspec", "language"), ("language_info", "name")):
        part = metadata.get(key) if isinstance(metadata, dict) else None
        stated = part.get(name) if isinstance(part, dict) else None
        if isinstance(stated, str) and stated.strip():
            return stated.strip().lower()
    return ""


def read_notebook(content: bytes) -> nbformat.NotebookNode:
    """Read the bytes of a submitted notebook.

    Missing, wrong and repeated cell ids are replaced, whatever the minor format. Unknown fields are left out.

    Raises:
        Unreadable: it is no notebook that can be graded.
    """
    data = parsed(decoded(content))
    _check_format(data)
    if (stated := language(data)) and not stated.startswith(("python", "ipython")):
        raise Unreadable(
            f"The notebook is for another language ({stated[:30]!r}); Python is taken. Choose a Python kernel and save."
        )
    cells = [_reduced(cell, f"Cell {place}") for place, cell in enumerate(data["cells"], 1)]
    for place, cell in enumerate(cells, 1):
        cell["id"] = f"cell-{place}"
    notebook = nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})
    try:
        nbformat.validate(notebook)
    except (
        Exception
    ) as error:  # not only ValidationError: nbformat stumbles over odd values while it words one
        where = list(getattr(error, "absolute_path", ()))
        at = f"Cell {where[1] + 1}" if len(where) > 1 and isinstance(where[1], int) else "The notebook"
        field = next((f" (its {part})" for part in where[2:] if isinstance(part, str)), "")
        raise Unreadable(f"{at}{field} is not as the notebook format has it. {AGAIN}") from None
    for cell in notebook.cells:
        cell.source = _joined(cell.source)
    return notebook
