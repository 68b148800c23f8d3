"""The published tables: whole, in range, traced to a source, and refused with a clear word where they are damaged."""

import shutil
from collections import Counter

import pytest

from papertrail.gopher import published as paper

LOADERS = {
    "gopher_models.csv": paper.gopher_models, "chinchilla_shapes.csv": paper.chinchilla_shapes,
    "gopher280b_mmlu.csv": paper.mmlu, "gopher280b_bigbench.csv": paper.bigbench,
    "gopher280b_other.csv": paper.other_scores, "gopher280b_pile.csv": paper.pile,
    "groupnorm_batch_size.csv": paper.batch_size_errors, "rmsnorm_results.csv": paper.rmsnorm_results,
    "open_models.csv": paper.open_models, "open_model_scores.csv": paper.open_tasks,
}  # fmt: skip


@pytest.fixture
def damaged(tmp_path, monkeypatch):
    """A function that reads a table after one piece of its text was replaced."""
    shutil.copytree(paper.TABLES, tmp_path / "tables")
    monkeypatch.setattr(paper, "TABLES", tmp_path / "tables")

    def read(name, old, new):
        path = tmp_path / "tables" / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return LOADERS[name]()

    return read


def test_every_table_has_a_loader_and_the_rows_of_its_source():
    assert {path.name for path in paper.TABLES.glob("*.csv")} == {*LOADERS, "sources.csv"}
    rows = [6, 50, 57, 62, 27, 19, 5, 34, 29, 65]
    assert [len(load()) for load in LOADERS.values()] == rows


def test_every_source_is_explained_and_every_explanation_used():
    used = {row.source for load in LOADERS.values() for row in load() if hasattr(row, "source")}
    assert used == set(paper.sources())
    assert all(len(text) > 40 for text in paper.sources().values())


def test_the_columns_add_up_to_what_the_sources_add_up_to():
    """Sums taken from the source files; a slip in copying shows here."""
    assert round(sum(row.gopher for row in paper.mmlu()), 1) == 3454.9
    assert round(sum(row.chinchilla for row in paper.mmlu()), 1) == 3855.7
    assert round(sum(row.gopher for row in paper.bigbench()), 1) == 3372.5
    assert round(sum(row.chinchilla for row in paper.bigbench()), 1) == 4000.5
    assert sum(row.n_questions for row in paper.mmlu()) == 14_042  # the benchmark's own total
    assert Counter(row.group for row in paper.mmlu()) == {
        "STEM": 18, "humanities": 13, "social sciences": 12, "other": 14,
    }  # fmt: skip
    assert sum(shape.published for shape in paper.chinchilla_shapes()) == 146_914e6
    assert round(sum(row.gopher for row in paper.pile()), 3) == 13.564
    pairs = [pair for task in paper.open_tasks() for pair in task.scores.values()]
    assert round(sum(score for score, _ in pairs), 4) == 555.38
    assert round(sum(error for _, error in pairs), 4) == 57.9455


def test_a_printed_size_is_read_with_its_last_digit():
    sizes = [(shape.published, shape.unit) for shape in paper.gopher_models()]
    assert sizes == [(44e6, 1e6), (117e6, 1e6), (417e6, 1e6), (1.4e9, 1e8), (7.1e9, 1e8), (280e9, 1e9)]


def test_the_feed_forward_net_is_four_times_as_wide_in_every_published_shape():
    for shape in (*paper.gopher_models(), *paper.chinchilla_shapes()):
        assert shape.ffw_size == 4 * shape.d_model


def test_gopher_280b_is_the_same_in_both_tables_where_they_overlap():
    """MMLU's printed mean over questions, and the mean in Hoffmann's table 6, are one number."""
    others = {row.task: row.gopher for row in paper.other_scores()}
    assert others["MMLU average (57 tasks)"] == others["MMLU all 57 subjects (question-weighted)"] == 60.0
    assert paper.BIGBENCH_MEANS[0] == others["BIG-bench average (62 tasks)"]


def test_open_models_are_21_in_29_evaluations_of_65_tasks_each():
    models, tasks = paper.open_models(), paper.open_tasks()
    assert len({(model.family, model.nominal_params) for model in models}) == 21
    assert Counter((model.family, model.shots) for model in models) == {
        ("Pythia", 0): 8, ("Pythia", 5): 8, ("OPT", 0): 8, ("BLOOM", 0): 5,
    }  # fmt: skip
    assert sum(len(task.scores) for task in tasks) == 1_885
    assert sum(task.category.startswith("MMLU") for task in tasks) == 57
    assert Counter(task.chance for task in tasks) == {0.25: 61, 0.5: 3, 0.0: 1}


def test_the_subjects_of_the_open_models_are_gophers():
    ours = {task.task.removeprefix("mmlu_") for task in paper.open_tasks() if task.task.startswith("mmlu_")}
    assert ours == {row.task for row in paper.mmlu()}


def test_pythias_inner_parameters_are_what_its_architecture_gives():
    """12 L d^2 + 13 L d + 2 d of GPT-NeoX, for two sizes whose shapes everyone knows."""
    found = {model.run: model.non_embedding_params for model in paper.open_models()}
    for run, layers, width in (("Pythia-160m-0", 12, 768), ("Pythia-6.9b-5", 32, 4096)):
        assert found[run] == 12 * layers * width**2 + 13 * layers * width + 2 * width


def test_a_score_and_its_error_stand_where_the_source_has_them():
    scores = {task.task: task.scores for task in paper.open_tasks()}
    assert scores["arc_challenge"]["Pythia-1.4b-0"] == (0.2602, 0.0128)
    assert scores["wsc"]["OPT-66b-0"] == (0.5481, 0.049)
    assert scores["mmlu_abstract_algebra"]["Pythia-1.4b-0"] == (0.2, 0.0402)


def test_a_standard_error_is_that_of_a_share_of_right_answers():
    """sqrt(p (1 - p) / (n - 1)) with MMLU's question counts gives the stored errors within their rounding."""
    questions = {f"mmlu_{row.task}": row.n_questions for row in paper.mmlu()}
    for task in paper.open_tasks():
        if task.task in questions:
            for score, error in task.scores.values():
                expected = (score * (1 - score) / (questions[task.task] - 1)) ** 0.5
                assert error == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("gopher280b_mmlu.csv", "25.0,31.0", "25.O,31.0", r"line 2: gopher: '25.O' is no number"),
        ("gopher280b_mmlu.csv", "25.0,31.0", "125,31.0", r"gopher: got 125; allowed is 0 to 100"),
        ("gopher280b_mmlu.csv", "STEM,25.0", "STEM,,25.0", r"line 2: has more or fewer cells"),
        ("gopher280b_bigbench.csv", "hyperbaton", "causal_judgment", r"causal_judgment is there already"),
        ("gopher_models.csv", "44M,8,", "44M,0,", r"n_layers: got '0'; allowed are integers from 1 up"),
        ("gopher_models.csv", "rae-1", "rae-2", r"source: 'rae-2' is not in sources.csv"),
        ("open_models.csv", "Pythia-70m-0,Pythia", "Pythia-70m-0,GPT", r"family: got 'GPT'; allowed are Pythia"),
        ("open_model_scores.csv", "Pythia-70m-0", "Pythia-71m-0", r"columns are not the runs"),
        ("open_model_scores.csv", "0.0054", "0", r"error: got 0; allowed is 0.0001 to 0.1"),
        ("open_model_scores.csv", "0.1846 0.0054", "1.846 0.0054", r"score: got 1.846; allowed is 0 to 1"),
    ],
    ids=["letter", "range", "cells", "twice", "zero", "source", "family", "header", "error", "score"],
)  # fmt: skip
def test_a_damaged_table_is_refused_by_name(damaged, name, old, new, said):
    with pytest.raises(paper.TableError, match=said) as caught:
        damaged(name, old, new)
    assert str(caught.value).startswith(name)


def test_a_missing_row_is_noticed(damaged):
    line = "hyperbaton,51.7,54.2,hoffmann-A7\n"
    with pytest.raises(paper.TableError, match="has 61 rows, but there are 62 tasks"):
        damaged("gopher280b_bigbench.csv", line, "")
