"""Docstrings say shapes, errors and sources; and the checker that demands it notices each kind of gap."""

import re
from collections import Counter

import pytest
from docstring_rules import faults

# Where what is computed comes from a paper. Everything else in a chapter is equipment: it measures, draws, records.
IDEAS = {
    "architecture_diagram": "accounting schedule sublayer transformer",
    "layer_norm_placement": "placements theory training",
    "fast_weights": "chunks delta_rule feature_maps linear_attention performer programmers retrieval tasks_1992",
    "ulmfit": "awd_lstm bag_of_words classifier fine_tuning language_model published schedules softmax text"
    " transformer",
    "gopher": "accounting group_size invariances normalization relative_positions rewriting sync_batch_norm",
    "scan_and_snap": "assumptions expected layer measures ordinary sampled setting theorems ties",
}
EQUIPMENT = {
    "architecture_diagram": "blocks branches comparison diagrams evidence history inspector norms operations paths"
    " recording streams torch_conventions trace undo zoo",
    "layer_norm_placement": "language models",
    "fast_weights": "cost drawings_1992 inputs language",
    "ulmfit": "classifier_runs corpora documents draws hub markup packages plain recipe reviews runs synthetic",
    "gopher": "depth messages norm_speed published scaling scores",
    "scan_and_snap": "",
}
NAMED_ALIKE = re.compile(r"__init__|__main__|by_hand|(\w+_)?(drawings|measurements)|(checks|recorded)(_\w+)?")


def modules(root):
    folder = root / "code" / "papertrail"
    found = sorted(path for path in folder.rglob("*.py") if "templates" not in path.parts)
    assert len(found) > 150
    return [(path.relative_to(folder), path) for path in found]


def test_docstrings_say_what_they_must(root):
    found = [
        f"{name} {fault}"
        for name, path in modules(root)
        for fault in faults(
            path.read_text(encoding="utf-8"), idea=path.stem in IDEAS.get(name.parts[0], "").split()
        )
    ]
    assert found == []


def test_every_module_of_a_chapter_is_idea_or_equipment(root):
    own = Counter(
        (name.parts[0], path.stem)
        for name, path in modules(root)
        if name.parts[0] in IDEAS and not NAMED_ALIKE.fullmatch(path.stem)
    )
    listed = [
        (chapter, stem)
        for lists in (IDEAS, EQUIPMENT)
        for chapter in lists
        for stem in lists[chapter].split()
    ]
    assert Counter(listed) == own


def function(signature, docstring, body="..."):
    return f'"""A module."""\n\ndef f({signature}:\n    """{docstring}"""\n    {body}\n'


def method(docstring, body, name="forward", signature="self, x: Tensor) -> Tensor"):
    return f'"""M."""\n\nclass A:\n    """{docstring}"""\n\n    def {name}({signature}:\n        {body}\n'


GOOD = [
    function("x: int) -> int", "Twice x."),
    function("x: Tensor) -> Tensor", "Twice x. (B, T) -> (B, T)."),
    function("x: Tensor) -> Tensor", "Twice x.\n\n    Shapes: x (B, T, d_model) -> the same."),
    function("x: Tensor) -> float", "The sum of x, of any shape."),
    function("x: Tensor, y: Tensor) -> Tensor", "Dot.\n\n    Shapes: (..., d), (..., d) -> (...)."),
    function("x: Tensor, y: Tensor) -> Tensor", "Dot.\n\n    Shapes: x and y (..., d) -> (...)."),
    function("q: Tensor, k: Tensor) -> Tensor", "Scores.\n\n    Shapes: q (B, T, D), k (B, S, D) -> (B, T, S)."),
    function("n: int) -> Tensor", "The identity, (n, n)."),
    function("n: int) -> Tensor", "One number.\n\n    Returns:\n        A scalar."),
    function("f: Callable[[Tensor], Tensor]) -> int", "How often f was called."),
    function("x: int) -> int", "X.\n\n    Raises:\n        ValueError: it is odd.\n    ", "raise ValueError(x)"),
    function("x: int) -> int", "X.\n\n    Raises:\n        TypeError, a.B: it is odd.\n    ", "raise a.B(x)"),
    function("x: int) -> int", "X.", "try:\n        raise ValueError\n    except (OSError, ValueError):\n        pass"),
    function("x: int) -> int", "X.", "def g():\n        raise ValueError"),
    function("x: int) -> int", "X.", "try:\n        g()\n    except OSError as error:\n        raise error"),
    method("Twice.\n\n    Shapes: x (B, D) -> (B, D).\n    ", "return 2 * x"),
    method("A.\n\n    Raises:\n        ValueError: always.\n    ", "raise ValueError", "__init__", "self) -> None"),
    '"""M."""\n\nclass A:\n    """Found."""\n\n    z: Tensor  # (T, M)\n',
    '"""M."""\n\nclass A:\n    """Found: z (T, M)."""\n\n    z: Tensor\n',
    '"""M."""\n\ndef _f(x):\n    raise ValueError\n',
]  # fmt: skip

ELSEWHERE = "X.\n\n    Raises:\n        OSError: no ValueError.\n    "
ANOTHER = "try:\n        g()\n    except OSError:\n        raise ValueError from None"
BAD = [
    ("x = 1\n", "module: no docstring"),
    ('"""M."""\n\ndef f():\n    pass\n', "f: no docstring"),
    ('"""M."""\n\nclass A:\n    pass\n', "A: no docstring"),
    (method("A.", "return 1", "g", "self) -> int"), "A.g: no docstring"),
    (function("x: Tensor) -> float", "The sum of x."), "f: no shape for x"),
    (function("x: torch.Tensor | None) -> float", "The sum of x."), "f: no shape for x"),
    (function("x: list[np.ndarray]) -> float", "The sum of x (see above)."), "f: no shape for x"),
    (function("x: Tensor) -> float", "It is f(x) of x; y (B, T)."), "f: no shape for x"),
    (function("x: Tensor, y: Tensor) -> float", "Distance of x (B, T) and y."), "f: no shape for y"),
    (function("*, x: Tensor) -> float", "The sum of x."), "f: no shape for x"),
    (function("*x: Tensor) -> float", "The sum."), "f: no shape for x"),
    (function("n: int) -> Tensor", "The identity."), "f: no shape for what it returns"),
    (function("x: Tensor) -> Tensor", "Twice x, (B, T)."), "f: no shape for what it returns"),
    (method("Twice.", "return 2 * x"), "A.forward: no shape for x"),
    ('"""M."""\n\nclass A:\n    """Found."""\n\n    z: Tensor\n', "A: no shape for z"),
    (function("x: int) -> int", "X.", "raise ValueError(x)"), "f: raises ValueError"),
    (function("x: int) -> int", "A ValueError.", "raise ValueError"), "f: raises ValueError"),
    (function("x: int) -> int", ELSEWHERE, "raise ValueError"), "f: raises ValueError"),
    (function("x: int) -> int", "X.", "with x:\n        if x:\n            raise a.B"), "f: raises B"),
    (function("x: int) -> int", "X.", ANOTHER), "f: raises ValueError"),
    (method("A.", "raise ValueError", "__init__", "self) -> None"), "A.__init__: raises ValueError"),
]  # fmt: skip


@pytest.mark.parametrize("source", GOOD)
def test_a_docstring_that_says_it_is_left_alone(source):
    assert faults(source, idea=False) == []


@pytest.mark.parametrize(("source", "fault"), BAD)
def test_a_gap_is_named(source, fault):
    assert any(one.startswith(fault) for one in faults(source, idea=False))


@pytest.mark.parametrize(
    ("around", "own", "named"),
    [
        ("Norms.", "Scale (Zhang & Sennrich 2019, eq. 4).", True),
        ("Norms, after Zhang & Sennrich 2019.", "Scale (eq. 4).", True),
        ("Norms, after Zhang et al. 2019, section 4.", "Scale.", True),
        ("Norms (arXiv 1910.07467).", "Scale, as in section 4.", True),
        ("Norms.", "Scale (derived here).", True),
        ("Norms.", "Scale.", False),
        ("Norms.", "Scale (Zhang & Sennrich 2019).", False),
        ("Norms.", "Scale (eq. 4).", False),
    ],
)
def test_what_comes_from_a_paper_names_it_and_the_place(around, own, named):
    source = f'"""{around}"""\n\ndef scale(x: int) -> int:\n    """{own}"""\n    return x\n'
    assert faults(source, idea=False) == []
    assert (faults(source, idea=True) == []) is named
