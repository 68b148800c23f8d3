"""Every grader on trial: a right answer, answers that do no work, known mistakes, and small changes to the solution."""

import ast
import functools
import operator
import re
import sys
from pathlib import Path

import pytest
import torch

from papertrail.coursework.assignment import Assignment, Exercise, is_mistake, marks, read_assignment
from papertrail.coursework.comparison import same
from papertrail.coursework.mutants import Mutant
from papertrail.coursework.trial import Trial, stub

SOURCES = sorted(Path(__file__).resolve().parents[2].glob("coursework/source/*/*.ipynb"))
CLASSES = (
    "autumn",
    "spring",
    "evening",
    "2031",
    "résumé",
)  # other seeds than the one that every test here uses
LEAST_MUTANTS, LEAST_KILLED, LEAST_MISTAKES = 60, 0.95, 5

# Changes to a reference solution that still earn full points, and why that is right: {chapter: {exercise: ...}}.
SURVIVORS: dict[str, dict[str, dict[str, str]]] = {
    "architecture_diagram": {
        "norm": {
            "line 17: x - mean -> mean - x": "the same: the difference is squared",
            "line 40: x - mean -> mean - x": "the same: the difference is squared",
            "line 54: 0 -> -1": "the same: a gain has one axis, its first and its last",
        },
        "stack": {
            "line 49: 1 -> -1": "the same: a stack is a pair, and its second entry is its last",
            "line 50: 1 -> -1": "the same: a stack is a pair, and its second entry is its last",
        },
        "schedule": {
            "line 8: min(step, d_model, warmup) -> min(d_model, step, warmup)": "the same: min has no order",
            "line 13: min(rising, falling) -> min(falling, rising)": "the same: min has no order",
            "line 45: max(0, last - first + 1) -> max(last - first + 1, 0)": "the same: max has no order",
        },
        "table": {
            "line 10: d_model // num_heads -> d_model / num_heads": "right: it leaves no rest, and 3.0 counts as 3",
            "line 29: max(1, -(-low // row)) -> max(-(-low // row), 1)": "the same: max has no order",
        },
    },
    "layer_norm_placement": {
        "place": {
            "line 100: right - wrong -> wrong - right": "the same: the difference is squared",
        },
        "classify": {
            "line 28: answer - value -> value - answer": "the same: the sign is taken off",
            "line 40: a - b -> b - a": "the same: the sign is taken off",
            "line 72: b - a -> a - b": "the same: the difference is squared",
            "line 76: sizes - 1 -> 1 - sizes": "the same: the sign is taken off",
            "line 76: (sizes - 1).abs().max() <= 0.01 -> (sizes - 1).abs().max() < 0.01": (
                "right: no rounded root is exactly 0.01 away from 1"
            ),
        },
        "deepnorm": {
            "line 8: min(encoder_layers, decoder_layers) -> min(decoder_layers, encoder_layers)": (
                "the same: min has no order"
            ),
            "line 49: 3 -> -3": "the same: what has no rest by 3 has none by -3",
        },
        "residual": {
            "line 60: min(scale, limit) -> min(limit, scale)": "the same: min has no order",
            "line 63: min(1.0, limit * scale / peak) -> min(limit * scale / peak, 1.0)": (
                "the same: min has no order"
            ),
        },
        "distance": {
            "line 30: zip(inputs, inputs[1:]) -> zip(inputs[1:], inputs)": "the same: the sign is taken off",
            "line 30: later - earlier -> earlier - later": "the same: the sign is taken off",
            "line 58: min(values) <= 0 -> min(values) < 0": "the same: the logarithm of 0 raises a ValueError too",
            "line 58: 0 -> -1": "the same: the logarithm of 0 or less raises a ValueError too",
            "line 64: one - middle -> middle - one": "the same: the difference is squared",
        },
    },
    "fast_weights": {
        "forms": {
            "line 23: 2 -> -2": "the same: of four axes the third is the last but one",
        },
        "delta": {
            "line 39: 2 -> -2": "the same: of four axes the third is the last but one",
        },
        "size": {
            "line 28: min(layers, heads, d_key, d_value) -> min(heads, layers, d_key, d_value)": (
                "the same: min has no order"
            ),
            "line 41: min(layers, heads, size, d_value) -> min(heads, layers, size, d_value)": (
                "the same: min has no order"
            ),
            "line 82: last * (length + 1) // 2 -> last * (length + 1) / 2": (
                "right: it leaves no rest, and 3.0 counts as 3"
            ),
        },
        "chunks": {
            "line 10: 1 -> 0": "the same: range refuses a step of 0 with a ValueError too",
            "line 12: min(start + size, length) -> min(length, start + size)": "the same: min has no order",
            "line 74: stop - start -> start - stop": "the same: only its square and how many there are count",
        },
    },
    "ulmfit": {
        "triangle": {
            "line 12: 1e-09 -> 2e-09": "the same: any small number keeps a whole product whole",
            "line 12: 1e-09 -> 5e-10": "the same: any small number keeps a whole product whole",
            "line 35: max(0.0, 1 - (step - cut) / fall) -> max(1 - (step - cut) / fall, 0.0)": (
                "the same: max has no order"
            ),
            "line 49: step < cut -> step <= cut": "the same: both lines give 1 at the cut, and divide by a cut of 0",
            "line 65: printed(step, total_steps, 1.0, cut_frac, ratio) < 0 -> "
            "printed(step, total_steps, 1.0, cut_frac, ratio) <= 0": "right: only rounding makes a rate exactly 0",
            "line 65: 1.0 -> 2.0": "the same: the highest rate does not change a sign",
        },
        "freeze": {
            "line 85: torch.equal(new, old) -> torch.equal(old, new)": "the same: to be equal has no order",
            "line 85: zip(group, copies) -> zip(copies, group)": "the same: to be equal has no order",
            "line 86: zip(groups, before) -> zip(before, groups)": "the same: to be equal has no order",
        },
        "pool": {
            "line 61: torch.maximum(most, chunk.masked_fill(padding, -torch.inf).amax(dim=1)) -> "
            "torch.maximum(chunk.masked_fill(padding, -torch.inf).amax(dim=1), most)": "the same: max has no order",
            "line 64: 0 -> -1": "the same: what is read there for a document that has ended is not used",
            "line 76: 1 -> -1": "the same: of two axes the second is the last",
        },
        "split": {
            "line 53: 1 -> 2": "the same: the order of the counts does not change when all are doubled",
            "line 53: 0 -> 1": "the same: the order of the counts does not change when all are one higher",
            "line 53: 0 -> -1": "the same: the order of the counts does not change when all are one lower",
        },
        "perplexity": {
            "line 44: 1 -> 0": "the same: range refuses a step of 0 with a ValueError too",
            "line 47: min(start + size, last) -> min(last, start + size)": "the same: min has no order",
            "line 64: losses(head, tails, text[start + 1:stop + 1]).sum().item() -> "
            "losses(head, tails, text[start + 1:stop + 1]).sum()": "the same: a tensor of one number counts as one",
        },
    },
    "gopher": {
        "rms": {
            "line 78: 1e-09 -> 2e-09": "the same: any small number keeps a whole product whole",
            "line 78: 1e-09 -> 5e-10": "the same: any small number keeps a whole product whole",
        },
        "invariant": {
            "line 48: old.abs().max().item() -> old.abs().max()": "the same: a tensor of one number counts as one",
            "line 53: (new - old).abs().max().item() -> (new - old).abs().max()": (
                "the same: a tensor of one number counts as one"
            ),
            "line 53: new - old -> old - new": "the same: the sign is taken off",
            "line 65: 1 -> 2": "the same: what has no row or case to choose is tried twice",
            "line 81: 1 -> 0": "the same: without inputs the output is 0, which raises a ValueError too",
            "line 81: 1 -> -1": "the same: without inputs the output is 0, which raises a ValueError too",
        },
        "count": {
            "line 8: min(d_model, n_heads, key_size) -> min(n_heads, d_model, key_size)": (
                "the same: min has no order"
            ),
            "line 89: 1 -> 0": "the same: one head is within the budget, so the search comes to 1",
        },
        "messages": {
            "line 39: 1 -> 2": "the same: bytes do not depend on the number of buckets",
            "line 49: 0 -> 1": "the same: there are buffers where they have messages, and where they have numbers",
            "line 49: 0 -> -1": "the same: there are buffers where they have messages, and where they have numbers",
            "line 76: 0 -> 1": "the same: what is gathered does not depend on the other parameters",
            "line 76: 1 -> -1": "the same: of two entries the second is the last",
            "line 89: 1 -> -1": "the same: of two axes the first is all but the last",
            "line 93: means - mean -> mean - means": "the same: the difference is squared",
        },
        "means": {
            "line 65: abs(value - float(printed)) <= 0.5 / 10 ** digits + 1e-09 -> "
            "abs(value - float(printed)) < 0.5 / 10 ** digits + 1e-09": (
                "right: with what is allowed for rounding, no value lies on the border"
            ),
            "line 65: value - float(printed) -> float(printed) - value": "the same: the sign is taken off",
            "line 65: 1e-09 -> 2e-09": "the same: any small number allows for rounding",
            "line 65: 1e-09 -> 5e-10": "the same: any small number allows for rounding",
            "line 90: 2 -> -2": "the same: of four entries the third is the last but one",
            "line 91: 1 -> -1": "the same: of two entries the second is the last",
        },
        "groups": {
            "line 12: 1 -> -1": "the same: of two axes the second is the last",
            "line 14: grouped - mean[:, None] -> mean[:, None] - grouped": "the same: the difference is squared",
            "line 45: x.reshape(-1, size, x.shape[1]) - mean -> mean - x.reshape(-1, size, x.shape[1])": (
                "the same: it comes twice in a product, and so does its sign"
            ),
            "line 45: 1 -> -1": "the same: of two axes the second is the last",
        },
    },
    "scan_and_snap": {
        "kinds": {
            "line 10: (P.sum(1) - 1).abs() <= 1e-06 -> (P.sum(1) - 1).abs() < 1e-06": (
                "right: no rounded sum is exactly 1e-6 away from 1"
            ),
            "line 10: P.sum(1) - 1 -> 1 - P.sum(1)": "the same: the sign is taken off",
            "line 10: 1 -> -1": "the same: of two axes the second is the last",
            "line 53: 1 -> -1": "the same: of two axes the second is the last",
            "line 82: 1 -> -1": "the same: of two axes the second is the last",
            "line 94: torch.linalg.eigvalsh(overlaps(P)).max() < 1 / len(P) -> "
            "torch.linalg.eigvalsh(overlaps(P)).max() <= 1 / len(P)": (
                "right: no rounded eigenvalue is exactly on the border"
            ),
        },
        "limit": {
            "line 10: 1 -> -1": "the same: of two axes the last is all but the first",
            "line 14: 1 -> -1": "the same: of two axes the second is the last",
            "line 31: 1 -> -1": "the same: of two axes the second is the last",
            "line 32: 1 -> -1": "the same: of two axes the second is the last",
            "line 88: min(p.min(), c.min()) -> min(c.min(), p.min())": "the same: min has no order",
        },
        "layer": {
            "line 10: 1 -> -1": "the same: of two axes the second is the last",
            "line 28: 1 -> -1": "the same: of two axes the second is the last",
            "line 32: 1 -> -1": "the same: of two axes the second is the last",
            "line 46: 1 -> -1": "the same: of two axes the second is the last",
            "line 90: 1 -> -1": "the same: of two axes the first is all but the last",
        },
        "descent": {
            "line 12: 1 -> -1": "the same: of two axes the second is the last, and the first all but the last",
            "line 15: 1 -> -1": "the same: of two axes the second is the last",
            "line 16: 1 -> -1": "the same: of two axes the second is the last",
            "line 17: 1 -> -1": "the same: of two axes the second is the last",
            "line 19: 1 -> -1": "the same: of two axes the second is the last",
            "line 21: 1 -> -1": "the same: of two axes the second is the last",
        },
        "conserve": {
            "line 30: (numbers / numbers[0] - 1)[:, pairs].abs().max().item() -> "
            "(numbers / numbers[0] - 1)[:, pairs].abs().max()": "the same: a tensor of one number counts as one",
            "line 30: numbers / numbers[0] - 1 -> 1 - numbers / numbers[0]": "the same: the sign is taken off",
            "line 74: if P[other] >= P[l]:\n"
            "    raise ValueError(f'other: token {other} is not rarer than token {l}, so nothing stops it') -> pass": (
                "the same: the logarithm of 0 or less raises a ValueError too"
            ),
            "line 74: P[other] >= P[l] -> P[other] > P[l]": "the same: the logarithm of 0 raises a ValueError too",
            "line 75: raise ValueError(f'other: token {other} is not rarer than token {l}, so nothing stops it') -> "
            "pass": "the same: the logarithm of 0 or less raises a ValueError too",
            "line 76: (P[other] / P[l]).item() -> P[other] / P[l]": "the same: a tensor of one number counts as one",
        },
        "growth": {
            "line 37: 1 - 1 / M -> 1 / M - 1": "the same: the difference is squared",
            "line 38: t < early -> t <= early": "the same: at the early end it has been refused already",
            "line 41: M * eta_y * t / K -> K / (M * eta_y * t)": "the same: its logarithm is squared",
            "line 79: chi < math.exp(2 * start) - 1e-12 -> chi <= math.exp(2 * start) - 1e-12": (
                "right: with what is allowed for rounding, no factor lies on the border"
            ),
            "line 79: 1e-12 -> 2e-12": "the same: any small number allows for rounding",
            "line 79: 1e-12 -> 5e-13": "the same: any small number allows for rounding",
            "line 81: 1 - 1 / M -> 1 / M - 1": "the same: the difference is squared",
            "line 82: max(0.0, chi ** 2 - C0) -> max(chi ** 2 - C0, 0.0)": "the same: max has no order",
            "line 82: 0.0 -> -1.0": "right: only rounding puts a square below C0, and then an error is right",
            "line 84: first < early_until(K, M, eta_y) -> first <= early_until(K, M, eta_y)": (
                "right: no rounded time is exactly the early end"
            ),
            "line 87: last < late_from(K, M, eta_y) -> last <= late_from(K, M, eta_y)": (
                "right: no rounded time is exactly the late beginning"
            ),
        },
    },
}


@functools.cache
def assignment(path: Path) -> Assignment:
    return read_assignment(path)


@functools.cache
def on_trial(path: Path, name: str, seed: str = "trial") -> Trial:
    (exercise,) = (one for one in assignment(path).exercises if one.name == name)
    return Trial(assignment(path), exercise, seed)


@functools.cache
def survivors(path: Path, name: str) -> tuple[list[Mutant], int]:
    return on_trial(path, name).surviving()


CASES = [(path, exercise.name) for path in SOURCES for exercise in assignment(path).exercises]
every_source = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
every_exercise = pytest.mark.parametrize(
    ("path", "name"), CASES, ids=[f"{path.stem}-{name}" for path, name in CASES]
)


def cell_of(path: Path, name: str) -> str:
    """The source of the cell with a grade id."""
    (found,) = (cell for cell in assignment(path).notebook.cells if marks(cell).get("grade_id") == name)
    return found.source


def test_there_are_graders_to_try():
    assert CASES, "no source notebook under coursework/source"


@every_exercise
def test_the_reference_earns_every_point(path, name):
    trial = on_trial(path, name)
    assert trial.score(trial.exercise.solution) == pytest.approx(trial.exercise.points)


@every_exercise
def test_an_answer_that_does_no_work_earns_next_to_nothing(path, name):
    trial = on_trial(path, name)
    assert trial.exercise.trivial <= 1
    scores = {answer: trial.score(code) for answer, code in trial.trivial_answers().items()}
    assert max(scores.values()) <= trial.exercise.trivial, scores


@every_exercise
def test_each_known_mistake_loses_points_and_is_told_what_it_is(path, name):
    trial = on_trial(path, name)
    mistakes = trial.exercise.mistakes
    assert len({mistake.says for mistake in mistakes}) == len(mistakes) >= LEAST_MISTAKES
    for mistake in mistakes:
        verdicts = trial.judge(mistake.code)
        assert sum(verdict.points for verdict in verdicts) < trial.exercise.points - 0.1, mistake.says
        told = [verdict.message for verdict in verdicts if not verdict.passed]
        assert mistake.says in told, f"{mistake.says!r} was told {told}"


@every_exercise
def test_a_careful_grader_notices_nearly_every_small_change(path, name):
    alive, count = survivors(path, name)
    assert count >= LEAST_MUTANTS
    assert len(alive) <= (1 - LEAST_KILLED) * count, [str(mutant) for mutant in alive]


@every_exercise
def test_every_change_that_survives_is_listed_with_a_reason_and_nothing_else_is(path, name):
    listed = SURVIVORS.get(path.stem, {}).get(name, {})
    alive = {str(mutant) for mutant in survivors(path, name)[0]}
    assert all(listed.values())
    assert not alive - listed.keys(), "these survive and are not in SURVIVORS"
    assert not listed.keys() - alive, "SURVIVORS names these, but they are noticed now, or are gone"


def test_the_list_of_survivors_names_exercises_that_exist():
    named = {(chapter, name) for chapter, exercises in SURVIVORS.items() for name in exercises}
    assert named <= {(path.stem, name) for path, name in CASES}


@pytest.mark.parametrize(
    "seed", [pytest.param(one, marks=pytest.mark.long if i else ()) for i, one in enumerate(CLASSES)]
)
@every_exercise
def test_another_class_gets_the_same_marks(path, name, seed):
    trial = on_trial(path, name, seed)
    assert trial.score(trial.exercise.solution) == pytest.approx(trial.exercise.points)
    noticed = {says for probe in trial.expected for says in probe.mistakes}
    assert {mistake.says for mistake in trial.exercise.mistakes} <= noticed


@every_exercise
def test_most_points_depend_on_the_seed_of_the_class(path, name):
    """Where a right value is the same in every class, a student can copy it from another one's feedback."""
    here, there = on_trial(path, name).expected, on_trial(path, name, CLASSES[0]).expected
    pairs = zip(here, there, strict=True)
    drawn = sum(one.points for one, other in pairs if not same(one.value, other.value, one.tolerance))
    assert drawn >= sum(one.points for one in here) / 2


def forbidden(path: Path) -> list[tuple[Exercise, str]]:
    return [(exercise, word) for exercise in assignment(path).exercises for word in exercise.forbidden]


@every_source
def test_a_forbidden_name_exists_and_costs_every_point(path):
    for exercise, word in forbidden(path):
        assert callable(operator.attrgetter(word.removeprefix("torch."))(torch)), f"{word}: no such function"
        module, _, last = word.rpartition(".")
        for use in (f"import torch\nlibrary = {word}", f"from {module} import {last} as library\nlibrary"):
            assert on_trial(path, exercise.name).score(f"{use}\n{exercise.solution}") == 0, word


@every_exercise
def test_the_self_check_passes_the_reference_and_stops_the_stub(path, name):
    exercise = on_trial(path, name).exercise
    visible = [cell.source for cell in assignment(path).notebook.cells if cell.cell_type == "code"]
    space: dict = {}
    exec(visible[0], space)
    exec(exercise.solution, space)
    exec(cell_of(path, f"{name}-check"), space)
    exec(stub(exercise.solution), space)
    with pytest.raises(NotImplementedError):
        exec(cell_of(path, f"{name}-check"), space)


@every_source
def test_what_students_see_needs_torch_and_the_standard_library_only(path):
    for cell in assignment(path).notebook.cells:
        if cell.cell_type != "code":
            continue
        seen = re.sub(r"### BEGIN HIDDEN TESTS.*### END HIDDEN TESTS", "", cell.source, flags=re.DOTALL)
        for node in ast.walk(ast.parse(seen)):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = (
                    [node.module] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
                )
                assert {name.partition(".")[0] for name in names} <= {"torch", *sys.stdlib_module_names}, (
                    cell.id
                )


@every_source
def test_known_mistakes_come_last_behind_a_cell_that_says_so(path):
    cells = assignment(path).notebook.cells
    (at,) = (place for place, cell in enumerate(cells) if cell.id == "mistakes-intro")
    assert cells[at].source.startswith("<!-- authors only -->")
    assert [is_mistake(cell) for cell in cells] == [False] * (at + 1) + [True] * (len(cells) - at - 1)


@every_source
def test_what_a_person_grades_has_a_model_answer_that_students_do_not_get(path):
    assert assignment(path).by_hand
    for name in assignment(path).by_hand:
        first, *_, last = cell_of(path, name).split("\n")
        assert (first, last) == ("### BEGIN SOLUTION", "### END SOLUTION")


OTHER_RIGHT = {
    ("scan_and_snap", "growth"): """
def time_to_reach(chi, K, M, eta_y, eta_z, C0=1.0):
    growth_exponent(0, K, M, eta_y, eta_z, C0)
    if chi**2 < C0:
        raise ValueError("chi")
    term, share = chi**2 - C0, 2 * (M - 1) ** 2 / M**2
    t = math.sqrt(term * K / (share * eta_y * eta_z))
    if t < early_until(K, M, eta_y):
        return t
    t = K / (M * eta_y) * math.exp(math.sqrt(term * eta_y / (share * K * eta_z)))
    if t >= late_from(K, M, eta_y):
        return t
    raise ValueError("gap")
""",
    ("scan_and_snap", "limit"): """
def sampled_attention(tokens, row):
    if tokens.dim() != 2 or tokens.shape[1] < 1 or (tokens < 0).any() or (tokens >= len(row)).any():
        raise ValueError("tokens")
    weight = torch.softmax(row[tokens], -1)
    return torch.stack([(weight * (tokens == l)).sum(1) for l in range(len(row))], dim=1)
""",
}


@pytest.mark.parametrize("seed", CLASSES[:2])
@pytest.mark.parametrize(("chapter", "name"), OTHER_RIGHT)
def test_another_way_that_does_what_the_page_asks_earns_every_point(chapter, name, seed):
    """What was once refused: zero sequences, a negative root, a rounded square that falls below its start."""
    (path,) = (path for path in SOURCES if path.stem == chapter)
    trial = on_trial(path, name, seed)
    code = f"{trial.exercise.solution}\n{OTHER_RIGHT[chapter, name]}"
    assert trial.score(code) == pytest.approx(trial.exercise.points)
