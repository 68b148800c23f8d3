"""The zoo: every model of the chapter's table, and families outside it, read right; and the recorded run is true."""

from dataclasses import asdict

import pytest
from more_models import MORE_MODELS

from papertrail.architecture_diagram import inspect_model
from papertrail.architecture_diagram.zoo import (
    ZOO,
    Found,
    load_zoo,
    measure_zoo,
    read_by_names,
    shared_probe,
)
from papertrail.experiments import load_file


@pytest.fixture(scope="module")
def zoo():
    return measure_zoo()


@pytest.mark.parametrize("entry", ZOO, ids=lambda entry: entry.name)
def test_a_model_of_the_table_is_read_as_its_code_and_paper_say(entry, zoo):
    found = next(row for row in zoo if row.name == entry.name)
    assert {key: getattr(found, key) for key in entry.expected} == entry.expected
    assert found.probe != "contradicts"


def test_the_recorded_run_is_what_the_code_finds_today(zoo):
    assert load_zoo() == zoo


def test_the_recorded_run_says_what_made_it_and_kept_its_budgets():
    record = load_file("architecture_diagram", "zoo")
    assert (
        record["command"] == "python -m papertrail.architecture_diagram.zoo"
        and record["versions"]["transformers"]
    )
    assert record["cpu_seconds"] < 60 and record["peak_mib"] < 1536


@pytest.mark.parametrize("entry", MORE_MODELS, ids=lambda entry: entry.name)
def test_a_model_outside_the_table_is_read_right(entry):
    model, inputs = entry.build()
    report = inspect_model(model, **inputs)
    assert {key: getattr(report, key) for key in entry.expected} == entry.expected
    assert all(stack.probe != "contradicts" for stack in report.stacks)


def test_the_models_outside_the_table_are_many_and_various():
    assert len(MORE_MODELS) >= 15 and sum(entry.placement != "pre" for entry in MORE_MODELS) >= 5
    assert not {entry.name for entry in MORE_MODELS} & {entry.name for entry in ZOO}


@pytest.mark.parametrize("name", ["BART", "mBART"])
def test_an_encoder_decoder_has_two_stacks_of_its_layers(name):
    model, inputs = next(entry for entry in ZOO if entry.name == name).build()
    assert [stack.num_blocks for stack in inspect_model(model, **inputs).stacks] == [2, 2]


def test_a_reader_of_names_is_misled_by_the_models_that_the_chapter_names(zoo):
    misled = {wrong.model for wrong in read_by_names(zoo).wrong}
    assert {
        "OPT-350M", "BLOOM, residual after norm", "Swin v2", "Gemma 2", "OLMo 2", "Chameleon-34B",
    } <= misled  # fmt: skip
    assert not misled & {"GPT-2", "LLaMA", "BLOOM", "OPT-125M", "Qwen3", "Chameleon-7B", "GPT-J"}


def found(name, *norms):
    return Found(name, 2020, "pre", "layernorm", False, True, 2, "agrees", False, norms)


def test_names_that_few_use_or_that_are_evenly_split_are_passed_over():
    at_entrance, at_end = ("n", "feed-forward", "before"), ("n", "feed-forward", "after")
    assert read_by_names([found("a", at_entrance), found("b", at_end)]).guessed == ()
    two_each = [
        found(name, norm)
        for name, norm in zip("abcde", [at_entrance, at_end] * 2 + [("n", "x", "lead")], strict=True)
    ]
    assert [wrong.model for wrong in read_by_names(two_each).wrong] == [
        "a",
        "b",
        "c",
        "d",
    ]  # each is one vote short
    assert "e" not in {wrong.model for wrong in read_by_names(two_each).wrong}
    (wrong,) = read_by_names([found("a", at_entrance), found("b", at_end), found("c", at_end)]).wrong
    assert (wrong.model, wrong.expected, wrong.found) == ("a", at_end[1:], at_entrance[1:])


def test_a_contradiction_is_never_outvoted():
    assert shared_probe(["agrees", "contradicts", "no prediction"]) == "contradicts"
    assert (
        shared_probe(["agrees", "no prediction"]) == "no prediction" and shared_probe(["agrees"]) == "agrees"
    )


def test_the_record_can_be_read_back_whole():
    rows = load_zoo()
    assert [row.name for row in rows] == [entry.name for entry in ZOO]
    assert all(isinstance(row, Found) and asdict(row)["norms"] for row in rows)


def test_the_counts_in_the_pages_are_those_of_the_record(book):
    zoo = load_zoo()
    late = [row.placement for row in zoo if row.year >= 2021]
    pre = [row for row in zoo if row.placement == "pre"]
    chapter, page = (
        (book / f"{name}.ipynb").read_text(encoding="utf-8")
        for name in ("architecture_diagram", "where_are_the_norms")
    )
    ends = late.count("res-post"), late.count("sandwich")
    assert (
        f"Of the {len(late)} entries since 2021, {late.count('pre')} are Pre-LN, and {sum(ends)} have a norm at the "
        f"branch's end: {ends[0]} there alone, {ends[1]} at both ends."
    ) in chapter
    assert f"We built {len(zoo)} small models" in chapter
    assert f"{sum(not row.written_out for row in zoo)} of them from classes" in chapter
    assert f"All {len(pre)} Pre-LN entries" in page and all(row.final_norm for row in pre)
    assert all(row.year <= 2022 for row in zoo if row.placement == "post")
