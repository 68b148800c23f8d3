"""Which submissions of a class are more alike than the others: for a person to look at, never a verdict.

Each answer becomes a set of fingerprints: runs of `RUN` tokens in a row. Comments, layout, texts and a student's own
names are left out, so that renaming and reordering change little (the idea of Schleimer, Wilkerson and Aiken 2003,
without their sampling: a class is small). What the assignment itself hands out counts for nobody.
"""

import io
import keyword
import re
import statistics
import tokenize
from dataclasses import dataclass
from itertools import combinations

import nbformat

from .assignment import marks, read_assignment
from .course import Course, write
from .grading import students_with_work
from .parsing import Unreadable, read_notebook
from .tables import table_text

RUN = 8  # tokens, or words, in a row
LEAST = 40  # fingerprints: a shorter part says nothing
MOST = 2000  # students: every pair is looked at, 2 million of them
REFERENCE = "(reference solution)"
HEADER = ["student", "other", "alike", "parts"]
PRINTS = dict[str, frozenset[int]]  # of each part of one notebook
LAYOUT = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING,
    tokenize.ENDMARKER,
}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Two students, the share of the shorter one's fingerprints that the other has too, and the parts most alike."""

    student: str
    other: str
    alike: float  # from 0 to 1
    parts: list[str]


def code_tokens(code: str, known: frozenset[str] = frozenset()) -> list[str]:
    """The tokens of a cell: names that are not Python's, not `known` and not behind a dot become one and the same."""
    found: list[str] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type in LAYOUT:
                continue
            text = token.string
            if token.type == tokenize.STRING:
                text = "text"
            elif token.type == tokenize.NAME and not keyword.iskeyword(text):
                text = text if text in known or found[-1:] == ["."] else "name"
            found.append(text)
    except (tokenize.TokenError, SyntaxError):
        pass  # a cell that breaks off: what came before counts
    return found


def fingerprints(tokens: list[str]) -> frozenset[int]:
    """Every run of `RUN` tokens, as a number."""
    return frozenset(hash(tuple(tokens[at : at + RUN])) for at in range(len(tokens) - RUN + 1))


def prints_of(notebook: nbformat.NotebookNode, known: dict[str, frozenset[str]]) -> PRINTS:
    """The fingerprints of each answer in a notebook.

    Args:
        known: for each part, the names that the assignment hands out.
    """
    found = {}
    for cell in notebook.cells:
        if (name := marks(cell).get("grade_id")) not in known or name in found:
            continue
        words = cell.cell_type != "code"
        found[name] = fingerprints(
            re.findall(r"\w+", cell.source.lower()) if words else code_tokens(cell.source, known[name])
        )
    return found


def alike(one: PRINTS, other: PRINTS) -> tuple[float, list[str]]:
    """How much of the shorter of two notebooks the other has too, and the parts of which it has nearly all."""
    shared = small = 0
    parts = []
    for name in one.keys() & other.keys():
        both, least = len(one[name] & other[name]), min(len(one[name]), len(other[name]))
        if least >= LEAST:
            shared, small = shared + both, small + least
            parts += [name] if both >= 0.9 * least else []
    return (shared / small if small else 0.0), sorted(parts)


def compare(course: Course, chapter: str) -> tuple[list[Pair], float]:
    """All pairs of a class, the most alike first, and the median of how alike they are. The reference is one of it.

    Writes reports/<chapter>-likeness.csv with the pairs that share a part nearly whole.

    Raises:
        FileNotFoundError: the chapter was not released.
        ValueError: there are fewer than two submissions, or more than `MOST`.
    """
    if not course.release(chapter).is_file():
        raise FileNotFoundError(f"no release of {chapter}: run the command 'release {chapter}' first")
    release = nbformat.read(course.release(chapter), as_version=4)
    answers = [cell for cell in release.cells if marks(cell).get("solution")]
    known = {marks(cell)["grade_id"]: frozenset(re.findall(r"\w+", cell.source)) for cell in answers}
    given = prints_of(release, known)
    everyone = {REFERENCE: prints_of(read_assignment(course.source(chapter)).notebook, known)}
    for student in students_with_work(course, chapter):
        try:
            everyone[student] = prints_of(
                read_notebook(course.submitted(student, chapter).read_bytes()), known
            )
        except (OSError, Unreadable):
            continue
    if not 3 <= len(everyone) <= MOST + 1:
        raise ValueError(
            f"{chapter}: {len(everyone) - 1} submissions; from 2 to {MOST} can be compared with one another"
        )
    own = {
        student: {name: prints - given.get(name, frozenset()) for name, prints in parts.items()}
        for student, parts in everyone.items()
    }
    pairs = [Pair(one, other, *alike(own[one], own[other])) for one, other in combinations(own, 2)]
    pairs.sort(key=lambda pair: (-pair.alike, pair.student, pair.other))
    rows = [[one.student, one.other, f"{one.alike:.2f}", " ".join(one.parts)] for one in pairs if one.parts]
    write(course.report(chapter, "likeness"), table_text([HEADER, *rows]), mode=0o600)
    return pairs, statistics.median(pair.alike for pair in pairs)
