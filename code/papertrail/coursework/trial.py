"""Put an assignment's graders on trial: the reference, trivial answers, known mistakes and mutants of the solution.

The code that runs here is the source notebook's own, so it needs no sandbox. Students' code never comes here.
"""

import ast
import contextlib
import io
import os
import signal
import warnings
from collections.abc import Iterator

from . import probes
from .assignment import Assignment, Exercise, is_mistake, marks
from .comparison import Expected, Verdict, judge
from .mutants import Mutant, mutants
from .rules import forbidden_uses

SECONDS = 1.0  # of CPU time, for one probe or one cell; a mutant may loop for ever
TRIVIAL = {
    "zeros": "__like(__first, 0.0)",
    "ones": "__like(__first, 1.0)",
    "NaN": "__like(__first, float('nan'))",
    "the input": "__first",
    "nothing": "None",
}
HELP = """
def __like(first, number):
    return first * 0 + number if hasattr(first, "detach") else number
"""


class TooSlow(BaseException):
    """A piece of code took longer than SECONDS."""


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise TooSlow in the block after `seconds` of CPU time, and again after as many more; main thread only."""

    def stop(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextlib.contextmanager
def _collected() -> Iterator[list[dict]]:
    """What probes send while the block runs."""
    sent: list[dict] = []
    before = probes.send
    probes.send = lambda data: sent.append(data[probes.MIME])
    try:
        yield sent
    finally:
        probes.send = before


class Trial:
    """One exercise of an assignment, ready to judge answers to it in this process.

    Args:
        assignment, exercise: the exercise, and the assignment that holds it.
        seed: stands for the seed of a class, from which the probes' numbers are drawn.

    Raises:
        RuntimeError: the reference solution itself stops with an error, or its probes' points do not add up.
    """

    def __init__(self, assignment: Assignment, exercise: Exercise, seed: str = "trial"):
        self.exercise, self.seed = exercise, seed
        cells = [*_cells_before(assignment, exercise), exercise.graded]
        *self._before, self._graded = (
            compile(cell, "<cell>", "exec") for cell in cells
        )  # once for all answers
        sent = self._send(exercise.solution)
        check_points(exercise, sent)
        mistakes = {
            mistake.says: {one["name"]: one for one in self._send(mistake.code)}
            for mistake in exercise.mistakes
        }
        self.expected = expected_of(sent, mistakes)

    def _send(self, code: str) -> list[dict]:
        """What the probes send when `code` stands in the solution cell."""
        space: dict = {"__name__": "__main__"}
        with (_seeded(self.seed), _collected() as sent, contextlib.redirect_stdout(io.StringIO()),
              warnings.catch_warnings(action="ignore"), contextlib.suppress(TooSlow)):  # fmt: skip
            for source in self._before:
                exec(source, space)
            with _at_most(SECONDS), contextlib.suppress(Exception):
                exec(code, space)
            with _at_most(SECONDS):
                exec(self._graded, space)
        return sent

    def judge(self, code: str) -> list[Verdict]:
        """The verdicts on an answer; none passes where the answer uses a forbidden name."""
        if forbidden_uses(code, [], self.exercise.forbidden):
            return [Verdict(probe.name, False, 0.0, "A forbidden name is used.") for probe in self.expected]
        return judge(self._send(code), self.expected)

    def score(self, code: str) -> float:
        """The points that an answer earns."""
        return sum(verdict.points for verdict in self.judge(code))

    def trivial_answers(self) -> dict[str, str]:
        """Answers that do no work, made from the solution's functions: stub, zeros, ones, NaN, the input, nothing."""
        answers = {"the stub": stub(self.exercise.solution)}
        return answers | {name: _trivial(self.exercise.solution, value) for name, value in TRIVIAL.items()}

    def surviving(self) -> tuple[list[Mutant], int]:
        """The mutants of the solution that still get full points, and how many mutants there are."""
        every = mutants(self.exercise.solution)
        return [mutant for mutant in every if self.score(mutant.code) >= self.exercise.points - 1e-9], len(
            every
        )


@contextlib.contextmanager
def _seeded(seed: str) -> Iterator[None]:
    """A seed for the probes while the block runs, so that they send values."""
    before = os.environ.get(probes.SEED)
    os.environ[probes.SEED] = seed
    try:
        yield
    finally:
        if before is None:
            del os.environ[probes.SEED]
        else:
            os.environ[probes.SEED] = before


def _cells_before(assignment: Assignment, exercise: Exercise) -> list[str]:
    """The code cells that a run of the notebook executes before the exercise's solution, but for graded ones."""
    sources: list[str] = []
    for cell in assignment.notebook.cells:
        if marks(cell).get("grade_id") == exercise.name:
            return sources
        if cell.cell_type == "code" and not marks(cell).get("grade") and not is_mistake(cell):
            sources.append(cell.source)
    return sources


def check_points(exercise: Exercise, sent: list[dict]) -> None:
    """Do the reference's probes work, differ in name, pass against themselves, and add up to the exercise's points?

    Raises:
        RuntimeError: they do not; the message says which.
    """
    if broken := [f"{one['name']}: {one['error']} {one.get('text', '')}" for one in sent if "error" in one]:
        raise RuntimeError(f"exercise {exercise.name}: the reference solution stops in {'; '.join(broken)}")
    names = [one["name"] for one in sent]
    if len(set(names)) != len(names):
        raise RuntimeError(f"exercise {exercise.name}: two probes have one name among {', '.join(names)}")
    total = sum(one["points"] for one in sent)
    if abs(total - exercise.points) > 1e-9:
        raise RuntimeError(
            f"exercise {exercise.name}: its probes are worth {total:g} points and its cell {exercise.points:g}"
        )
    verdicts = judge(sent, expected_of(sent, {}))
    if unfit := [verdict.name for verdict in verdicts if not verdict.passed]:
        raise RuntimeError(
            f"exercise {exercise.name}: nobody could pass {', '.join(unfit)}: NaN, infinite or too deep"
        )


def expected_of(sent: list[dict], mistakes: dict[str, dict[str, dict]]) -> list[Expected]:
    """The expected probes, from what the reference sent and, for each known mistake, what it sent by probe.

    A mistake is kept for a probe only where it sends something else than the reference.
    """
    expected = []
    for one in sent:
        wrong = {}
        for says, answers in mistakes.items():
            answer = answers.get(one["name"], {})
            kept = {key: answer[key] for key in ("value", "error") if key in answer}
            probe = Expected(one["name"], one["value"], one["points"], one["tolerance"], one["says"])
            if kept and not judge([answer], [probe])[0].passed:
                wrong[says] = kept
        expected.append(
            Expected(one["name"], one["value"], one["points"], one["tolerance"], one["says"], wrong)
        )
    return expected


def stub(solution: str) -> str:
    """The solution cell as a student gets it."""
    lines, out, inside = solution.split("\n"), [], False
    for line in lines:
        if "### BEGIN SOLUTION" in line:
            inside = True
            out.append(f"{line[: len(line) - len(line.lstrip())]}raise NotImplementedError()")
        elif "### END SOLUTION" in line:
            inside = False
        elif not inside:
            out.append(line)
    return "\n".join(out)


def _trivial(solution: str, value: str) -> str:
    """The solution cell with the body of each of its top-level functions replaced by `return value`."""
    tree = ast.parse(solution)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args]
            first = arguments[0].arg if arguments else "None"
            node.body = ast.parse(f"__first = {first}\nreturn {value}").body
    return HELP + ast.unparse(ast.fix_missing_locations(tree))
