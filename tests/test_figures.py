"""The course's figures: named, theme-aware, repeatable, and movable without a kernel."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from papertrail import figures


def draw(value):
    fig, ax = figures.new_figure(2.0)
    ax.plot([0, 1, 2], [0, value, 0.12345])
    ax.set_title(f"value 1.2345 < {value}")
    return fig, f"A line that rises to {value} & falls."


FRAMES = [("one", 1), ("two", 2), ("three", 3)]


def capture(monkeypatch):
    """What the notebook front end would be sent, in order."""
    sent = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **options: sent.append((bundle, options)))
    return sent


def test_a_figure_names_itself_and_is_well_formed():
    fig, alt = draw(1)
    root = ElementTree.fromstring(figures.to_svg(fig, alt))
    assert root.get("role") == "img" and root.get("aria-label") == alt
    assert root.get("width") is None and root.get("viewBox")


def test_a_figure_without_alternative_text_is_refused():
    with pytest.raises(ValueError, match="alt: is empty"):
        figures.to_svg(draw(1)[0], "  ")


def test_numbers_in_text_are_kept_and_only_coordinates_are_shortened():
    svg = figures.to_svg(*draw(1))
    assert "value 1.2345 &lt; 1" in svg
    assert ElementTree.fromstring(svg) is not None
    path = next(e.get("d") for e in ElementTree.fromstring(svg).iter() if e.get("d"))
    assert all(len(part.split(".")[1]) == 1 for part in path.split() if "." in part)


def test_every_color_is_a_variable_with_the_light_color_as_fallback():
    svg = figures.to_svg(*draw(1))
    assert f"var(--pt-blue, {figures.BLUE})" in svg and f"var(--pt-paper, {figures.PAPER})" in svg
    bare = svg
    for color, name in figures.CSS_NAMES.items():
        bare = bare.replace(f"var(--pt-{name}, {color})", "")
    assert not [color for color in figures.CSS_NAMES if color in bare]


def test_the_style_sheet_defines_every_color_for_light_and_dark(book):
    css = (book / "_assets" / "papertrail.css").read_text()
    light, dark = css.split('html[data-theme="dark"]')[:2]
    for name in figures.CSS_NAMES.values():
        assert f"--pt-{name}:" in light and f"--pt-{name}:" in dark.split("}")[0]


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_colors_have_contrast_aa_on_the_card_and_on_their_own_fill(book, theme):
    css = (book / "_assets" / "papertrail.css").read_text()
    block = css.split("html {")[1] if theme == "light" else css.split('html[data-theme="dark"] {')[1]
    colors = dict(
        part.strip().removeprefix("--pt-").split(": ")
        for part in block.split("}")[0].split(";")
        if part.strip()
    )
    for name in ("ink", "muted", "blue", "orange", "green", "purple"):
        assert contrast(colors[name], colors["paper"]) >= 4.5, name
    for name in ("blue", "orange", "green"):
        assert contrast(colors[name], colors[f"pale-{name}"]) >= 4.5, name


def test_ids_carry_the_prefix_and_every_reference_resolves():
    fig, ax = figures.new_figure(2.0)
    ax.bar([0, 1], [1, 2], hatch="//")
    svg = figures.to_svg(fig, "Two hatched bars.", prefix="abc")
    ids = [element.get("id") for element in ElementTree.fromstring(svg).iter() if element.get("id")]
    assert ids and len(set(ids)) == len(ids) and all(name.startswith("abc-") for name in ids)
    for element in ElementTree.fromstring(svg).iter():
        for key, value in element.attrib.items():
            if key.endswith("href"):
                assert value[1:] in ids
            assert set(re.findall(r"url\(#([^)]+)\)", value)) <= set(ids)


def test_the_same_figure_gives_the_same_bytes_in_another_process():
    code = (
        "from papertrail.architecture_diagram.diagrams import draw_rule, rule_frames\n"
        "from papertrail.figures import moving_html\n"
        "import hashlib\n"
        "face = moving_html(draw_rule, rule_frames(), name='r', question='q')\n"
        "print(hashlib.sha256(face.encode()).hexdigest())"
    )
    runs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in "ab"
    }
    assert len(runs) == 1


def test_show_sends_two_faces_and_the_alternative_text_once(monkeypatch):
    sent = capture(monkeypatch)
    monkeypatch.setattr("IPython.get_ipython", object)  # as if a notebook were running
    figures.show(*draw(2))
    bundle, options = sent[0]
    assert set(bundle) == {"text/html", "image/svg+xml", "text/plain"}
    assert options["metadata"] == {"papertrail": {"alt": "A line that rises to 2 & falls."}}
    assert bundle["text/html"].startswith('<figure class="pt-figure"><svg')


@pytest.mark.parametrize(
    "put",
    [lambda **o: figures.show(*draw(2), **o), lambda **o: figures.show_table(["a"], [["1"]], **o),
     lambda **o: figures.moving_figure(draw, FRAMES, name="demo", question="How high?", **o)],
    ids=["show", "table", "moving"],
)  # fmt: skip
def test_what_is_drawn_from_records_says_so_in_a_line_for_each(monkeypatch, put):
    sent = capture(monkeypatch)
    monkeypatch.setattr("IPython.get_ipython", object)
    monkeypatch.setattr(
        "papertrail.experiments.load_file", lambda chapter, name: {
            "date": "2026-01-02", "machine": "Linux x86_64, 2 cores", "cpu_seconds": {"run": 30, "long": 7000}[name],
            "command": f"python -m x {name} <y>",
        },
    )  # fmt: skip
    put()
    before = len(sent)
    put(recorded="some_chapter.run some_chapter.long")
    _, one, two = (bundle for bundle, _ in sent[before:])
    assert (
        one["text/plain"] == "Recorded 2026-01-02 on Linux x86_64, 30 s of one core, by python -m x run <y>"
    )
    assert "1.9 h of one core" in two["text/plain"]
    assert (
        two["text/html"].startswith('<p class="pt-recorded">')
        and "<code>python -m x long &lt;y&gt;</code>" in two["text/html"]
    )


def test_in_a_plain_script_a_figure_is_told_in_words(monkeypatch, capsys):
    sent = capture(monkeypatch)
    figures.show(*draw(2))
    assert capsys.readouterr().out == "Figure: A line that rises to 2 & falls.\n" and not sent


def test_the_kernel_free_face_holds_one_named_frame_for_each_step_and_shows_the_first():
    face = figures.moving_html(draw, FRAMES, name="demo", question="How high?")
    root = ElementTree.fromstring(as_xml(face))
    inputs, frames = root.findall("input"), root.findall("figure")
    assert root.find("legend").text == "How high?"
    assert len(inputs) == len(frames) == 3
    assert [i.get("checked") is not None for i in inputs] == [True, False, False]
    assert [f.get("hidden") is None for f in frames] == [True, False, False]
    assert [label.get("for") for label in root.findall("label")] == [i.get("id") for i in inputs]
    names = [f.find("{http://www.w3.org/2000/svg}svg").get("aria-label") for f in frames]
    assert len(set(names)) == 3


def as_xml(face):
    """The face with its inputs closed and its flags given a value."""
    face = re.sub(
        r"<input ([^>]*?)( checked)?>",
        lambda m: f"<input {m[1]}{' checked=' + chr(34) * 2 if m[2] else ''}/>",
        face,
    )
    return face.replace('pt-frame" hidden>', 'pt-frame" hidden="">')


@pytest.mark.parametrize(
    ("frames", "name", "message"),
    [
        (FRAMES[:1], "demo", "1 given, but 2 to 12"),
        ([(str(i), i) for i in range(13)], "demo", "13 given, but 2 to 12"),
        ([("a", 1), ("a", 2)], "demo", "labels must be unique"),
        (FRAMES, "Demo 1", "only lower-case letters"),
        ([1, 2], "demo", "each must be a pair of a label and a setting"),
        ([(1, "a"), (2, "b")], "demo", "each must be a pair"),
    ],
)
def test_a_malformed_moving_figure_is_refused(frames, name, message):
    with pytest.raises(ValueError, match=message):
        figures.moving_html(draw, frames, name=name, question="?")


def test_a_moving_figure_without_a_question_is_refused():
    with pytest.raises(ValueError, match="question: is empty"):
        figures.moving_html(draw, FRAMES, name="demo", question=" ")


def test_with_a_kernel_each_move_draws_again_by_the_same_function(monkeypatch):
    from ipywidgets.widgets.widget import _instances

    sent, drawn = capture(monkeypatch), []

    def watched(value):
        drawn.append(value)
        return draw(value)

    figures.moving_figure(watched, FRAMES, name="demo", question="How high?")
    bundle, _ = sent[0]
    assert "text/html" in bundle and "application/vnd.jupyter.widget-view+json" in bundle
    view = _instances[bundle["application/vnd.jupyter.widget-view+json"]["model_id"]]
    slider, picture = view.children[1], view.children[2]
    before, count = picture.value, len(drawn)
    slider.value = "three"
    assert drawn[count:] == [3] and picture.value != before and "rises to 3" in picture.value


def test_a_table_has_header_cells_and_aligned_text(monkeypatch):
    sent = capture(monkeypatch)
    figures.show_table(("rule", "norms"), [("none/dan", "30"), ("n/da", "<32>"), ("n", 2)])
    bundle, _ = sent[0]
    assert bundle["text/html"].count('<th scope="col">') == 2 and "&lt;32&gt;" in bundle["text/html"]
    assert bundle["text/plain"].splitlines() == [
        "rule      norms",
        "none/dan  30",
        "n/da      <32>",
        "n         2",
    ]
    with pytest.raises(ValueError, match="has 1 cells, but the header has 2"):
        figures.show_table(("a", "b"), [("x",)])


def test_a_sortable_table_is_a_plain_one_with_a_mark_for_the_script(monkeypatch):
    sent = capture(monkeypatch)
    figures.show_table(("task", "score"), [("a", "2"), ("b", "1")])
    figures.show_table(("task", "score"), [("a", "2"), ("b", "1")], sortable=True)
    (plain, _), (sortable, _) = sent
    assert plain["text/plain"] == sortable["text/plain"] and "pt-sortable" not in plain["text/html"]
    assert 'class="table pt-table pt-sortable"' in sortable["text/html"]
    assert 'class="pt-scroll pt-tall" tabindex="0" role="region"' in sortable["text/html"]
    assert "<button" not in sortable["text/html"]  # nothing that is dead without the script


def test_importing_the_course_keeps_torch_to_one_passive_thread_unless_told_otherwise():
    code = "import papertrail, os; print(os.environ['OMP_NUM_THREADS'], os.environ['OMP_WAIT_POLICY'])"
    bare = {key: value for key, value in os.environ.items() if not key.startswith("OMP_")}

    def threads(**extra):
        return subprocess.run(
            [sys.executable, "-c", code], env=bare | extra, capture_output=True, text=True, check=True
        )

    assert threads().stdout.split() == ["1", "PASSIVE"]
    assert threads(OMP_NUM_THREADS="2").stdout.split() == ["2", "PASSIVE"]


def test_importing_the_figures_leaves_the_readers_own_settings_of_matplotlib_alone():
    code = (
        "import matplotlib\n"
        "def settings(): return dict(dict.items(matplotlib.rcParams))  # asking rcParams itself would pick a backend\n"
        "before = settings()\n"
        "import papertrail.figures as look, papertrail.architecture_diagram.diagrams as diagrams\n"
        "assert settings() == before, 'changed by importing'\n"
        "fig, alt = diagrams.draw_rule(diagrams.PUBLISHED)\n"
        "look.to_svg(fig, alt); look.to_svg_file(fig, alt); look.new_figure()\n"
        "assert settings() == before, 'changed by drawing'\n"
        "print(look.FONT_POINTS != before['font.size'])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.split() == ["True"], run.stderr  # the course's own look differs, so a leak would show


def test_a_file_stands_alone_with_a_size_a_name_and_no_variables_of_a_page():
    fig, alt = draw(1)
    file = figures.to_svg_file(fig, alt)
    root = ElementTree.fromstring(file)
    assert root.get("width") == "520" and root.get("viewBox") and file.endswith("</svg>\n")
    assert root.get("role") == "img" and root.get("aria-label") == alt
    assert "var(" not in file and figures.BLUE in file and "sans-serif" in file
    assert "var(" in figures.to_svg(fig, alt)
    assert ElementTree.fromstring(figures.to_svg_file(fig, alt, width=300)).get("width") == "300"
    with pytest.raises(ValueError, match="alt: is empty"):
        figures.to_svg_file(fig, " ")
