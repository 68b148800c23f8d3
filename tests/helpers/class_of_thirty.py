"""An invented class of thirty for chapter 1's assignment: what each of them hands in, and the row that is right.

Run as a program, it prints the table: `python tests/helpers/class_of_thirty.py grades.csv`.
"""

import copy
import csv
import io
import json
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from papertrail.coursework.assignment import read_assignment
from papertrail.coursework.trial import TRIVIAL, Trial, _trivial, stub

CHAPTER = "architecture_diagram"
ROOT = Path(__file__).resolve().parents[2]
EXERCISES = ("norm", "rule", "stack", "schedule", "table", "count")
ESSAY = "On 15 June 2017 the code normalized after the sum. The default moved on 16 October, in d5bdfcc8."


@dataclass(frozen=True)
class Submission:
    """One student: what they hand in (None: nothing), and the row that is right.

    Attributes:
        kind: right, partly right, wrong, hostile or broken.
        about: what they did, in a few words.
        content: the file's bytes.
        status, score: as they must stand in the table; the score is None where there must be none.
        reason: a part of the reason that the table must give.
    """

    student: str
    kind: str
    about: str
    content: bytes | None
    status: str = "graded"
    score: float | None = None
    reason: str = ""


class Desk:
    """Where the class works: the release to fill in, the solutions, and the points of every exercise."""

    def __init__(self, release: Path):
        self.release = json.loads(release.read_text())
        assignment = read_assignment(ROOT / "coursework" / "source" / CHAPTER / f"{CHAPTER}.ipynb")
        self.exercises = {exercise.name: exercise for exercise in assignment.exercises}
        self.trials = {name: Trial(assignment, exercise) for name, exercise in self.exercises.items()}
        self.full = sum(exercise.points for exercise in self.exercises.values())

    def filled(self, **answers: str) -> dict:
        """The release with the reference solutions, or with the given sources; "history" is the essay."""
        notebook = copy.deepcopy(self.release)
        for cell in notebook["cells"]:
            name = cell["metadata"].get("nbgrader", {}).get("grade_id")
            if name in self.exercises:
                cell["source"] = answers.get(name, self.exercises[name].solution)
            elif name == "history":
                cell["source"] = answers.get(name, ESSAY)
        return notebook

    def mistake(self, name: str, number: int) -> tuple[str, float]:
        """The code of a known mistake, and the points that it leaves of the whole assignment."""
        code = self.exercises[name].mistakes[number].code.split("\n", 1)[1]  # without the line that names it
        return code, self.full - self.exercises[name].points + self.trials[name].score(code)


def file_of(notebook: dict) -> bytes:
    """A notebook as a file."""
    return json.dumps(notebook).encode()


def own(source: str, kind: str = "code") -> dict:
    """A cell of the student's own."""
    cell = {"cell_type": kind, "id": f"own{abs(hash(source)) % 10**6}", "metadata": {}, "source": source}
    return cell | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def _right(desk: Desk) -> list[tuple[str, bytes]]:
    """Right work, as different tools and people leave it."""
    plain = desk.filled()
    colab = copy.deepcopy(plain)
    colab["metadata"] |= {
        "colab": {"provenance": []},
        "accelerator": "GPU",
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
    }
    for cell in colab["cells"]:
        cell["metadata"] |= {"id": "a1B2", "outputId": "c3D4"}
    noisy = desk.filled(
        norm="import warnings\nwarnings.warn('mind the step')\nprint('x' * 5000)\n"
        + desk.exercises["norm"].solution
    )
    helper = copy.deepcopy(plain)
    helper["cells"].insert(
        2, own("import torch.nn.functional as F\nassert F.layer_norm(torch.ones(1, 3), (3,)).sum() == 0")
    )
    helper["cells"].append(own("My notes: a < b, and **done**.", "markdown"))
    windows = file_of(plain).replace(b"\\n", b"\\r\\n")
    renamed = copy.deepcopy(plain)
    renamed["metadata"]["kernelspec"] = {"name": "my-env", "display_name": "My env", "language": "python"}
    stored = copy.deepcopy(plain)
    stored["cells"][1] = own("import math\n\nimport torch") | stored["cells"][1]
    for cell in stored["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "50 of 50 points\n"}]
    edited = copy.deepcopy(plain)
    for cell in edited["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id", "").endswith("-check"):
            cell["source"] = "pass"
    return [
        ("as it should be", file_of(plain)),
        ("saved by Colab", file_of(colab)),
        ("warns and prints a lot", file_of(noisy)),
        ("compares with the library in a cell of its own", file_of(helper)),
        ("Windows line ends", windows),
        ("another kernel's name", file_of(renamed)),
        ("with stored outputs", file_of(stored)),
        ("edited the self-checks", file_of(edited)),
    ]


def _wrong(desk: Desk) -> list[tuple[str, bytes]]:
    """Work that earns nothing."""
    solutions = {name: exercise.solution for name, exercise in desk.exercises.items()}
    untouched = {name: stub(code) for name, code in solutions.items()} | {
        "history": "*Write your answer here.*"
    }
    zeros, same, nan = (
        {name: _trivial(code, TRIVIAL[kind]) for name, code in solutions.items()}
        for kind in ("zeros", "the input", "NaN")
    )
    return [
        ("handed in untouched", file_of(desk.filled(**untouched))),
        ("answers zeros", file_of(desk.filled(**zeros))),
        ("answers NaN", file_of(desk.filled(**nan))),
        ("hands the input back", file_of(desk.filled(**same))),
    ]


FORGE = """
from IPython.display import publish_display_data
MIME = "application/vnd.papertrail.probe+json"
for name in ("layer_norm", "a batch", "annotated_norm"):
    publish_display_data({MIME: {"name": name, "value": 1.0, "points": 99, "passed": True, "score": 99}})
import sys, types
fake = types.ModuleType("probes")
fake.probe = fake.draw = fake.draw_int = fake.raised = lambda *a, **k: None
for name in ("papertrail", "papertrail.coursework", "papertrail.coursework.probes"):
    sys.modules[name] = fake
"""
READ = """
import glob, os
hits = [p for p in glob.glob("/*/*") + glob.glob("/*/*/*") if "expected" in p or "gradebook" in p]
print(hits[:50], dict(os.environ))
raise SystemExit
"""


def _hostile(desk: Desk) -> list[tuple[str, bytes, float, str]]:
    """Work that attacks the grader, with what it really earns."""
    norm = desk.exercises["norm"]
    library = norm.solution.replace(
        "def annotated_norm",
        "def _helper(x):\n    return torch.nn.functional.layer_norm(x, x.shape[-1:])\n\n\ndef annotated_norm",
    )
    forged = desk.filled(**{name: stub(one.solution) for name, one in desk.exercises.items()})
    forged["cells"].insert(2, own(FORGE))
    looped = desk.filled(rule=desk.exercises["rule"].solution + "\nwhile True:\n    pass\n")
    reader = desk.filled()
    reader["cells"].insert(2, own(READ))
    return [
        (
            "ends the kernel in exercise 1",
            file_of(desk.filled(norm=norm.solution + "\nimport os\nos._exit(1)\n")),
            desk.full - norm.points,
            "ended its kernel",
        ),
        ("loops for ever after a right exercise 2", file_of(looped), desk.full, "took too long"),
        ("takes the library's norm", file_of(desk.filled(norm=library)), desk.full - norm.points, ""),
        ("forges the probes' answers", file_of(forged), 0.0, ""),
        ("looks for the answers on the disk", file_of(reader), desk.full, ""),
    ]


def _broken(desk: Desk) -> list[tuple[str, bytes | None, str, str]]:
    """Work that cannot be graded, with the status and a part of the reason."""
    plain = file_of(desk.filled())
    missing, script = desk.filled(), desk.filled()
    missing["cells"] = [
        cell
        for cell in missing["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade_id") != "stack-probes"
    ]
    script["cells"].append(own('<script>alert("hello")</script>', "markdown"))
    return [
        ("cut off in the middle", plain[: len(plain) // 2], "refused", "breaks off"),
        ("a web page, not a notebook", b"<!doctype html><html></html>", "refused", "web page"),
        ("a graded cell deleted", file_of(missing), "refused", "stack-probes"),
        ("a script in a text cell", file_of(script), "refused", "script"),
        ("handed in nothing", None, "missing", "nothing was handed in"),
    ]


def make_class(release: Path) -> list[Submission]:
    """The thirty, for a release."""
    desk = Desk(release)
    found: list[tuple] = [
        ("right", about, content, "graded", desk.full, "") for about, content in _right(desk)
    ]
    for number, name in enumerate(EXERCISES):
        code, score = desk.mistake(name, number)
        about = f"{name}: {desk.exercises[name].mistakes[number].says}"
        found.append(("partly right", about, file_of(desk.filled(**{name: code})), "graded", score, ""))
    half = {name: stub(desk.exercises[name].solution) for name in EXERCISES[3:]}
    earned = sum(desk.exercises[name].points for name in EXERCISES[:3])
    found.append(
        ("partly right", "the first three exercises only", file_of(desk.filled(**half)), "graded", earned, "")
    )
    typo = desk.filled(count="def num_norms(:\n    return 0")
    found.append(
        (
            "partly right",
            "a typing error in exercise 6",
            file_of(typo),
            "graded",
            desk.full - desk.exercises["count"].points,
            "",
        )
    )
    found += [("wrong", about, content, "graded", 0.0, "") for about, content in _wrong(desk)]
    found += [
        ("hostile", about, content, "graded", score, reason)
        for about, content, score, reason in _hostile(desk)
    ]
    found += [
        ("broken", about, content, status, None, reason) for about, content, status, reason in _broken(desk)
    ]
    return [Submission(f"s{number:02d}", *one) for number, one in enumerate(found, start=1)]


def hand_out(submissions: list[Submission], folder: Path) -> Path:
    """The class's roster at folder/roster.csv and its work as Moodle gives it, in one zip archive; returns its path."""
    lines = [
        f"{one.student},Student,Number{one.student[1:]},{one.student}@example.org" for one in submissions
    ]
    (folder / "roster.csv").write_text("\n".join(["id,first_name,last_name,email", *lines]) + "\n")
    path = folder / "moodle.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, one in enumerate(submissions):
            if one.content is not None:
                name = (
                    f"Student Number{one.student[1:]}_{1000 + number}_assignsubmission_file_/{CHAPTER}.ipynb"
                )
                archive.writestr(name, one.content)
    return path


def table(submissions: list[Submission], grades: str) -> str:
    """The class as a Markdown table: who, what they did, what they must get, what they got."""
    rows = {row["student"]: row for row in csv.DictReader(io.StringIO(grades))}
    lines = ["| student | kind | what they did | due | got | reason |", "|---|---|---|---|---|---|"]
    for one in submissions:
        row = rows[one.student]
        due = one.status if one.score is None else f"{one.score:g}"
        lines.append(
            f"| {one.student} | {one.kind} | {one.about} | {due} | {row['score'] or row['status']} | {row['reason']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    release = ROOT / "book" / "exercises" / f"{CHAPTER}.ipynb"
    print(table(make_class(release), Path(sys.argv[1]).read_text()))
