"""Diagrams of blocks show what was traced, in picture and in words, and nothing leaves the figure."""

import itertools
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from functools import cache

import pytest
import torch
from adversaries import BY_NAME, report
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, FancyBboxPatch
from torch import nn

from papertrail import figures as look
from papertrail.architecture_diagram import compare, diagrams, inspect_model
from papertrail.architecture_diagram.history import REVISIONS
from papertrail.architecture_diagram.measurements import PRE_LN, PUBLISHED, trace_rule
from papertrail.architecture_diagram.sublayer import Rule
from papertrail.architecture_diagram.trace import PLACEMENT_WORDS, BranchTrace, Report, Stack, Trace
from papertrail.experiments import seeded

BOXES = {"norm", "dropout", "× a", "× gate", "+"} | {
    "self-attention", "cross-attention", "position mixing", "feed-forward",
}  # fmt: skip
LAST = "…after the last block"


@cache
def of_torch():
    with seeded(0):
        model = nn.Transformer(16, 2, 2, 3, 32, batch_first=True).train()
        return inspect_model(model, torch.randn(1, 3, 16), torch.randn(1, 4, 16))


WIDE = Stack(
    ((
        Trace(
            (
                BranchTrace("self-attention", ("norm",)), BranchTrace("cross-attention", ("norm",), ("scale",)),
                BranchTrace("feed-forward", ("norm",), ("dropout", "norm")),
            ),
            lead=("norm",), skip=("scale",), trunk=("dropout", "norm"), notes=("a second path",),
        ),
    ),),
    "layernorm", True,
)  # fmt: skip
LONE = Stack(((Trace((BranchTrace("cross-attention", (), ("scale",)),), skip=("gate",)),),), "none", False)


def texts(drawing):
    return drawing[0].axes[0].texts


def labels(drawing):
    """All texts from top to bottom, then from left to right."""
    placed = sorted(texts(drawing), key=lambda t: (-t.get_position()[1], t.get_position()[0]))
    return [text.get_text() for text in placed]


def shown(drawing):
    """All of it as one string, to look for sentences that are wrapped."""
    return " ".join(labels(drawing))


def frames(fig, dashed=False):
    patches = [p for p in fig.axes[0].patches if isinstance(p, FancyBboxPatch)]
    return [p for p in patches if (p.get_linestyle() not in ("solid", "-")) is dashed]


def boxes(drawing):
    """What the boxes and sums say, from bottom to top, then from left to right."""
    placed = sorted(texts(drawing), key=lambda t: (t.get_position()[1], t.get_position()[0]))
    found = [text.get_text() for text in placed if text.get_text() in BOXES]
    sums = [p for p in drawing[0].axes[0].patches if isinstance(p, Circle) and p.get_radius() > 5]
    assert len(found) == len(frames(drawing[0])) + len(
        sums
    )  # no label without a box, and no box without a label
    return found


def expected(stack):
    """The boxes that a stack must show, from bottom to top, for blocks without parallel branches."""
    says = {"scale": "× a", "gate": "× gate"}
    found = []
    for trace in stack.block:
        assert not trace.parallel and not trace.skip
        branch = trace.branches[0]
        found += [*trace.lead, *branch.before, branch.kind, *branch.after, "+", *trace.trunk]
    return [says.get(step, step) for step in found + ["norm"] * stack.final_norm]


def middle(patch):
    return (patch.get_x() + patch.get_width() / 2, patch.get_y() + patch.get_height() / 2)


def ringed(drawing):
    """Labels of the boxes in dashed rings, as (label, x, y), from left to right, then from bottom to top."""
    found = []
    for patch in frames(drawing[0], dashed=True):
        assert to_hex(patch.get_edgecolor()) == look.PURPLE
        inside = [t for t in texts(drawing) if t.get_position() == pytest.approx(middle(patch))]
        assert len(inside) == 1, "a ring around nothing"
        found.append((inside[0].get_text(), *middle(patch)))
    return sorted(found, key=lambda ring: ring[1:])


def sides(drawing):
    """The ringed labels left and right of the middle."""
    half = look.WIDTH * 72 / 2
    rings = ringed(drawing)
    return [[label for label, x, _ in rings if (x > half) is right] for right in (False, True)]


def dashed_lines(drawing):
    return [line for line in drawing[0].axes[0].lines if line.get_linestyle() == "--"]


def test_a_block_is_drawn_from_bottom_to_top_in_the_order_of_the_trace():
    drawing = diagrams.draw_block(of_torch(), 1)
    assert boxes(drawing) == [
        "self-attention", "dropout", "+", "norm", "cross-attention", "dropout", "+", "norm",
        "feed-forward", "dropout", "+", "norm", "norm",
    ]  # fmt: skip
    assert LAST in labels(drawing)


@pytest.mark.parametrize(
    "name",
    ["functional, pre", "functional, post", "LayerScale", "macaron", "mixed rules", "one sum, post", "B2T"],
)
def test_the_boxes_are_those_of_the_traced_block(name):
    stack = report(name).stacks[0]
    drawing = diagrams.draw_block(report(name))
    assert boxes(drawing) == expected(stack)
    assert (LAST in labels(drawing)) is stack.final_norm
    assert boxes(diagrams.draw_block(stack)) == expected(stack)


def test_steps_on_the_skip_stand_on_the_spine_and_branches_beside_it():
    fig, _ = drawing = diagrams.draw_block(report("DeepNorm"))
    places = {}
    for text in texts(drawing):
        places.setdefault(text.get_text(), []).append(text.get_position())
    spine = places["+"][0][0]
    assert len(places["× a"]) == len(places["norm"]) == len(places["+"]) == 2
    assert {x for label in ("× a", "norm", "+") for x, _ in places[label]} == {spine}
    assert all(places[kind][0][0] > spine + 60 for kind in ("self-attention", "feed-forward"))
    low, high = sorted(y for _, y in places["× a"])
    assert low < places["+"][0][1] < sorted(y for _, y in places["norm"])[0] < high  # scaled, summed, normed
    assert labels(diagrams.draw_block(report("highway"))).count("× gate") == 1


def test_parallel_branches_stand_side_by_side_at_one_height_and_meet_in_one_sum():
    drawing = diagrams.draw_block(report("parallel"))
    assert sorted(boxes(drawing)) == ["+", "feed-forward", "norm", "norm", "self-attention"]
    places = {t.get_text(): t.get_position() for t in texts(drawing)}
    assert places["self-attention"][1] == places["feed-forward"][1]
    assert abs(places["self-attention"][0] - places["feed-forward"][0]) > 80


def test_three_parallel_branches_are_all_drawn():
    drawing = diagrams.draw_block(WIDE)
    assert sorted(boxes(drawing)) == sorted(
        ["norm", "× a", "norm", "self-attention", "norm", "cross-attention", "× a"]
        + ["norm", "feed-forward", "dropout", "norm", "+", "dropout", "norm", "norm"]
    )
    drawing = diagrams.draw_comparison(compare("pre", WIDE))
    assert labels(drawing).count("cross-attention") == 2


@pytest.mark.parametrize("name", ["B2T", "ResiDual"])
def test_a_second_path_is_drawn_at_its_sum_and_said_in_picture_and_words(name):
    stack = report(name).stacks[0]
    drawing = diagrams.draw_block(report(name))
    places = [i for i, trace in enumerate(stack.block) if trace.notes]
    note = stack.block[places[0]].notes[0]
    sums = sorted(t.get_position() for t in texts(drawing) if t.get_text() == "+")
    lines = sorted(dashed_lines(drawing), key=lambda line: max(line.get_ydata()))
    for place, line in zip(places, lines, strict=True):
        assert to_hex(line.get_color()) == look.PURPLE
        assert (
            max(line.get_ydata()) == pytest.approx(sums[place][1]) and min(line.get_xdata()) < sums[place][0]
        )
    assert note in shown(drawing) and note in drawing[1]
    assert "Hybrid" in drawing[1] and not dashed_lines(diagrams.draw_block(report("functional, post")))


@pytest.mark.parametrize("name", [*BY_NAME])
def test_words_say_what_the_picture_says(name):
    whole = report(name)
    stack = whole.stacks[0]
    drawing = diagrams.draw_block(whole)
    plural = "s" if stack.num_blocks > 1 else ""
    for text in (shown(drawing), drawing[1]):
        assert PLACEMENT_WORDS[stack.placement] in text
        place = f", stack 1 of {len(whole.stacks)}" if len(whole.stacks) > 1 else ""
        assert f"{stack.num_blocks} block{plural}{place}, norm: {stack.norm}" in text
        assert ("others differ from it" in text) is (len(set(stack.blocks)) > 1)
    assert stack.words in drawing[1]
    for trace in stack.block:
        assert f"x becomes {trace.formula}" in shown(drawing)
        assert all(branch.kind in labels(drawing) for branch in trace.branches)


def test_what_no_box_shows_is_said_in_picture_and_words():
    drawing = diagrams.draw_block(report("half the entrances"))
    besides = "some of what the branch reads passes a norm first, and some does not"
    assert besides in shown(drawing) and besides in drawing[1]
    drawing = diagrams.draw_block(
        Stack(((Trace((BranchTrace("feed-forward", norm_within=True),)),),), "layernorm", False)
    )
    besides = "a norm lies inside the branch, between its operations"
    assert besides in shown(drawing) and besides in drawing[1]


def test_each_stack_of_a_model_can_be_drawn_and_no_other():
    first, second = (diagrams.draw_block(of_torch(), i) for i in (0, 1))
    assert "2 blocks, stack 1 of 2" in first[1] and "3 blocks, stack 2 of 2" in second[1]
    assert "3 blocks, stack 2 of 2" in shown(second)
    assert "cross-attention" not in boxes(first) and "cross-attention" in boxes(second)
    assert "stack" not in diagrams.draw_block(of_torch().stacks[0])[1]
    for wrong in (2, -1):
        with pytest.raises(IndexError, match=f"stack: got {wrong}; allowed are 0 to 1"):
            diagrams.draw_block(of_torch(), wrong)
    with pytest.raises(IndexError, match="stack: got 1; allowed are 0 to 0"):
        diagrams.draw_block(of_torch().stacks[0], 1)


def test_a_comparison_rings_what_the_other_side_lacks_and_nothing_else():
    drawing = diagrams.draw_comparison(compare(PUBLISHED, trace_rule(PRE_LN)))
    assert sides(drawing) == [["norm", "norm"], ["norm", "norm", "norm"]]
    rings = ringed(drawing)
    spines = sorted({t.get_position()[0] for t in texts(drawing) if t.get_text() == "+"})
    assert [x for _, x, _ in rings[:2]] == [spines[0]] * 2  # declared: on the main path
    assert sorted(x for _, x, _ in rings[2:])[0] == spines[1]  # traced: the final norm ...
    assert all(x > spines[1] + 50 for x in sorted(x for _, x, _ in rings[2:])[1:])  # ... and two in branches


def test_no_ring_is_drawn_where_nothing_differs_and_the_verdict_says_so():
    drawing = diagrams.draw_comparison(compare(PUBLISHED, trace_rule(PUBLISHED)))
    assert not ringed(drawing) and "As declared." in labels(drawing) and drawing[1].startswith("As declared.")


def test_rings_tell_sub_layers_places_and_steps_apart():
    plain = Trace((BranchTrace("self-attention", ("norm",)),))
    mine = Stack(((plain, Trace((BranchTrace("feed-forward", ("norm",), ("scale",)),))),), "layernorm", False)
    yours = Stack(
        ((plain, Trace((BranchTrace("feed-forward", ("norm",), ("norm",)),), lead=("scale",))),),
        "layernorm",
        False,
    )
    drawing = diagrams.draw_comparison(compare(mine, yours))
    assert sides(drawing) == [["× a"], ["× a", "norm"]]
    (norm,) = [y for label, _, y in ringed(drawing) if label == "norm"]
    box = next(t.get_position()[1] for t in texts(drawing) if t.get_text() == "feed-forward")
    assert norm > box  # at the branch's end, and not at its entrance


def test_parallel_branches_and_branches_without_a_partner_are_ringed():
    drawing = diagrams.draw_comparison(compare("pre", report("parallel")))
    assert {label for label, *_ in ringed(drawing)} == {"self-attention", "feed-forward"}
    assert len(ringed(drawing)) == 2
    mine, yours = (
        Stack(((Trace((BranchTrace(k),)),),), "none", False) for k in ("self-attention", "feed-forward")
    )
    assert sides(diagrams.draw_comparison(compare(mine, yours))) == [["self-attention"], ["feed-forward"]]


@pytest.mark.parametrize("declared", ["pre", PUBLISHED, "B2T", "parallel"])
def test_every_difference_stands_in_the_picture_and_in_the_words(declared):
    result = compare(report(declared) if declared in BY_NAME else declared, report("LayerScale"))
    drawing = diagrams.draw_comparison(result)
    assert result.agrees is (declared == "pre")
    for difference in result.differences:
        assert difference in shown(drawing) and difference in drawing[1]
    assert f"Declared: {result.declared.words}. Traced: {result.traced.words}." in drawing[1]
    assert {"Declared", "Traced"} <= set(labels(drawing))
    assert drawing[1].startswith("As declared." if result.agrees else "Not as declared:")


def test_titles_of_a_comparison_can_be_chosen():
    drawing = diagrams.draw_comparison(compare("pre", report("LayerScale")), ("The paper", "The code"))
    assert {"The paper", "The code"} <= set(labels(drawing)) and "Declared" not in labels(drawing)
    assert (
        " The paper: self-attention branch" in drawing[1] and " The code: self-attention branch" in drawing[1]
    )


def comparisons():
    """Pairs of one branch, of two and of three, with and without final norms and marks."""
    single, parallel, ended = report("LayerScale"), report("parallel, post"), report("parallel, one norm")
    for declared in (single, parallel, ended, Report((WIDE,)), Report((LONE,))):
        for traced in (single, ended, Report((WIDE,)), Report((LONE,))):
            yield diagrams.draw_comparison(compare(declared, traced))
    for name in ("B2T", "DeepNorm", "macaron", "skip normed too", "mixed rules", "highway"):
        yield diagrams.draw_comparison(compare("pre", report(name)))
        yield diagrams.draw_comparison(compare(report(name), report("time added")))
    yield diagrams.draw_comparison(compare(PRE_LN, of_torch()))
    yield diagrams.draw_comparison(compare(Rule("nd", "nddann"), trace_rule(Rule("dn", "ddnnan"))))


FAMILIES = {
    "blocks": lambda: [
        *map(diagrams.draw_block, {report(name).stacks[0] for name in BY_NAME}),  # many look alike
        *(diagrams.draw_block(of_torch(), i) for i in (0, 1)), diagrams.draw_block(WIDE), diagrams.draw_block(LONE),
    ],
    "comparisons": lambda: list(comparisons()),
    "revisions": lambda: [diagrams.draw_revision(revision) for revision in REVISIONS],
    "rules": lambda: [diagrams.draw_rule(rule) for _, rule in diagrams.rule_frames()],
}  # fmt: skip


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    """Drawings of one sort, each with a renderer that knows how large its artists are."""
    return [(drawing, FigureCanvasAgg(drawing[0]).get_renderer()) for drawing in FAMILIES[request.param]()]


def extent(artist, renderer):
    """An artist's box in points, its line's width included; `Line2D` counts it in already."""
    box = artist.get_window_extent(renderer).transformed(artist.figure.dpi_scale_trans.inverted())
    pad = artist.get_linewidth() / 2 if isinstance(artist, (FancyBboxPatch, Circle)) else 0.0
    return 72 * box.x0 - pad, 72 * box.y0 - pad, 72 * box.x1 + pad, 72 * box.y1 + pad


def overlap(one, other):
    return (
        min(one[2], other[2]) - max(one[0], other[0]) > 0.5
        and min(one[3], other[3]) - max(one[1], other[1]) > 0.5
    )


def test_nothing_is_drawn_outside_the_figures_edge(family):
    for (fig, alt), renderer in family:
        width, height = (72 * side for side in fig.get_size_inches())
        assert width == pytest.approx(72 * look.WIDTH)
        ax = fig.axes[0]
        for artist in (*ax.patches, *ax.lines, *ax.texts):
            left, bottom, right, top = extent(artist, renderer)
            assert left >= 0 and bottom >= 0 and right <= width and top <= height, (alt, artist)


def test_boxes_and_texts_do_not_cover_one_another(family):
    for (fig, alt), renderer in family:
        ax = fig.axes[0]
        solid = frames(fig)
        owned = {
            text: next((p for p in solid if middle(p) == pytest.approx(text.get_position())), None)
            for text in ax.texts
        }
        assert sum(frame is not None for frame in owned.values()) == len(solid)
        sizes = {artist: extent(artist, renderer) for artist in (*solid, *ax.texts)}
        for one, other in itertools.combinations(sizes, 2):
            if owned.get(one) is other or owned.get(other) is one:
                continue
            assert not overlap(sizes[one], sizes[other]), (alt, one, other)
        for text, frame in owned.items():
            if frame is not None:
                assert sizes[frame][0] < sizes[text][0] and sizes[text][2] < sizes[frame][2], (alt, text)


def test_no_text_is_smaller_than_the_house_allows(family):
    for drawing, _ in family:
        assert min(text.get_fontsize() for text in texts(drawing)) >= look.FONT_POINTS
        sizes = re.findall(r"font(?:-size)?: (?:[^;\"]*? )?([\d.]+)px", look.to_svg(*drawing))
        assert len(sizes) >= len(texts(drawing)) and min(map(float, sizes)) >= look.FONT_POINTS


def test_every_drawing_becomes_well_formed_svg_named_by_its_words(family):
    for drawing, _ in family:
        root = ElementTree.fromstring(look.to_svg(*drawing))
        assert root.get("aria-label") == drawing[1]
        said = ["".join(t.itertext()) for t in root.iter("{http://www.w3.org/2000/svg}text")]
        assert sorted(said) == sorted(labels(drawing))


def test_a_rule_shows_its_boxes_formula_and_main_path():
    drawing = diagrams.draw_rule(PUBLISHED)
    assert boxes(drawing) == [
        "self-attention",
        "dropout",
        "+",
        "norm",
        "feed-forward",
        "dropout",
        "+",
        "norm",
    ]
    assert LAST not in labels(drawing)
    drawing_pre = diagrams.draw_rule(PRE_LN)
    assert boxes(drawing_pre) == [
        "norm", "self-attention", "dropout", "+", "norm", "feed-forward", "dropout", "+", "norm",
    ]  # fmt: skip
    assert LAST in labels(drawing_pre) and "n/da: Pre-LN" in labels(drawing_pre)
    for text in (shown(drawing), drawing[1]):
        assert (
            "x becomes norm(x + drop(f(x)))" in text
            and "The main path passes a norm in every sub-layer." in text
        )
    for text in (shown(drawing_pre), drawing_pre[1]):
        assert "x becomes x + drop(f(norm(x)))" in text and "is never normalized between layers." in text


def test_a_dropout_after_the_last_block_is_no_final_norm():
    assert LAST in labels(diagrams.draw_rule(Rule("dn", "da")))
    assert LAST not in labels(diagrams.draw_rule(Rule("d", "dan")))


def test_a_rule_without_a_sum_cannot_be_drawn():
    with pytest.raises(ValueError, match="no residual block found"):
        diagrams.draw_rule(Rule("n", "d"))


def test_a_rule_and_a_revision_are_drawn_from_the_trace_and_not_from_their_names(monkeypatch):
    monkeypatch.setattr(
        diagrams, "trace_rule", lambda rule: trace_rule(PRE_LN if rule == PUBLISHED else PUBLISHED)
    )
    drawing = diagrams.draw_rule(PUBLISHED)
    assert boxes(drawing) == boxes(diagrams.draw_block(trace_rule(PRE_LN)))
    assert "x becomes x + drop(f(norm(x)))" in drawing[1] and "never normalized" in shown(drawing)
    moved = next(r for r in REVISIONS if r.is_default and r.rule == PRE_LN)
    drawing = diagrams.draw_revision(moved)
    assert "x becomes norm(x + drop(f(x)))" in shown(drawing)
    assert sides(drawing) == [["norm", "norm", "norm"], ["norm", "norm"]]


def test_the_six_rules_are_told_apart_by_their_diagrams():
    seen = {tuple(boxes(diagrams.draw_rule(rule))) for _, rule in diagrams.rule_frames()}
    assert len(seen) == len(diagrams.rule_frames()) == 6


def test_frames_are_few_and_their_labels_unique():
    for frames in (diagrams.timeline_frames(), diagrams.rule_frames()):
        names = [label for label, _ in frames]
        assert 2 <= len(names) <= look.MAX_FRAMES and len(set(names)) == len(names)
    opted = [label for label, revision in diagrams.timeline_frames() if not revision.is_default]
    assert opted == ["9 Aug 2017, opt-in"]


@pytest.mark.parametrize("revision", REVISIONS, ids=lambda r: f"{r.commits[-1]}-{r.configuration}")
def test_a_dated_frame_says_in_picture_and_words_whether_the_code_is_figure_1(revision):
    drawing = diagrams.draw_revision(revision)
    agrees = (revision.preprocess, revision.postprocess) == ("none", "dan")
    for text in (shown(drawing), drawing[1]):
        assert ("Same order as Figure 1." in text) is agrees
        assert ("No longer the order of Figure 1." in text) is (not agrees and revision.is_default)
        assert ("On request, and not by default: another order." in text) is (not revision.is_default)
        assert revision.commits[-1] in text and revision.change in text and revision.configuration in text
        assert f"rule {revision.rule} ({revision.rule.name})" in text
        assert f"first in {revision.release}" in text if revision.release else "first in" not in text
    assert sides(drawing) == ([[], []] if agrees else [["norm"] * 2, ["norm"] * 3])
    assert f"Code: {trace_rule(revision.rule).words}." in drawing[1]


def test_all_dated_frames_are_of_one_height_so_that_nothing_jumps():
    assert len({tuple(diagrams.draw_revision(revision)[0].get_size_inches()) for revision in REVISIONS}) == 1


def test_a_set_on_request_with_the_published_order_is_not_called_another():
    drawing = diagrams.draw_revision(replace(REVISIONS[0], configuration="transformer_small"))
    for text in (shown(drawing), drawing[1]):
        assert "On request, and not by default: the same order." in text


def test_a_long_account_of_a_change_makes_the_frame_higher_and_covers_no_box():
    fig, _ = drawing = diagrams.draw_revision(replace(REVISIONS[4], change="a word or two " * 40))
    assert fig.get_size_inches()[1] > diagrams.draw_revision(REVISIONS[4])[0].get_size_inches()[1]
    top = max(t.get_position()[1] for t in texts(drawing) if t.get_text() in BOXES)
    assert min(t.get_position()[1] for t in texts(drawing) if "word" in t.get_text()) > top + 20
