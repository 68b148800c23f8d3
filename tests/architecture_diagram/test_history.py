"""The dated facts: that they are ordered and legal, and that the days around a change answer rightly."""

import re
from datetime import date, datetime

import pytest
import torch
from torch import nn

from papertrail.architecture_diagram.history import CODE_BASES, REVISIONS, default_on, revision_on
from papertrail.architecture_diagram.sublayer import Rule

POST_LN, PRE_LN = Rule("none", "dan"), Rule("n", "da")


def test_revisions_are_in_order_and_legal():
    assert [revision.date for revision in REVISIONS] == sorted(revision.date for revision in REVISIONS)
    for revision in REVISIONS:
        assert revision.rule in (POST_LN, PRE_LN)
        assert revision.commits and all(re.fullmatch("[0-9a-f]{8}", commit) for commit in revision.commits)
        assert revision.release is None or re.fullmatch(r"v\d+\.\d+\.\d+", revision.release)
        assert revision.change.endswith(".")


def test_the_commits_that_matter_say_what_they_did():
    found = {(revision.commits[-1], revision.is_default): revision for revision in REVISIONS}
    first, strings = found["3d9c62f2", True], found["f5c9b17e", True]
    opt_in, switch = found["f5c9b17e", False], found["d5bdfcc8", True]
    assert (first.date, first.rule, first.warmup) == (date(2017, 6, 15), POST_LN, 4000)
    assert (strings.date, strings.release, strings.rule) == (date(2017, 8, 9), "v1.1.7", POST_LN)
    assert (opt_in.configuration, opt_in.rule, opt_in.warmup) == ("transformer_n_da", PRE_LN, None)
    assert (switch.date, switch.release, switch.rule) == (date(2017, 10, 16), "v1.2.5", PRE_LN)
    assert switch.warmup == 8000
    assert found["6db9fa45", True].release == "v1.2.0"
    assert found["1cd3f252", True].date == date(2018, 2, 1)
    assert found["71634aa4", True].date == date(2018, 9, 11)
    assert found["bafdc1b6", True].date == date(2023, 4, 1)
    assert len(found) == len(REVISIONS) == 8


@pytest.mark.parametrize(
    ("day", "rule"),
    [
        (date(2017, 6, 15), POST_LN),
        (date(2017, 8, 9), POST_LN),  # the opt-in of that day is not the default
        (date(2017, 10, 15), POST_LN),
        (date(2017, 10, 16), PRE_LN),
        (date(2018, 9, 12), PRE_LN),
        (date(2030, 1, 1), PRE_LN),
    ],
)
def test_the_default_changes_on_16_october_2017(day, rule):
    assert default_on(day) == rule
    assert revision_on(day).rule == rule


def test_a_day_gets_the_latest_revision_before_it():
    assert revision_on(date(2017, 8, 9)).commits == ("f5c9b17e",)
    assert revision_on(date(2017, 8, 24)).commits == ("f5c9b17e",)
    assert revision_on(date(2017, 8, 25)).commits == ("6db9fa45",)
    assert all(revision_on(revision.date).is_default for revision in REVISIONS)


def test_a_day_before_the_first_code_is_refused():
    with pytest.raises(ValueError, match="day: got 2017-06-14; allowed are days from 2017-06-15"):
        default_on(date(2017, 6, 14))


@pytest.mark.parametrize("wrong", ["2017-10-16", 2017, None, datetime(2017, 10, 16)])
def test_what_is_not_a_date_is_refused(wrong):
    with pytest.raises(TypeError, match="day: got .*datetime.date"):
        revision_on(wrong)


def test_the_other_code_bases_have_legal_rules_and_one_default_each():
    assert {base.name for base in CODE_BASES} == {
        "tensor2tensor",
        "The Annotated Transformer",
        "fairseq",
        "OpenNMT-py",
        "torch.nn",
    }
    for base in CODE_BASES:
        assert base.rule in (POST_LN, PRE_LN)
    defaults = {(base.name, base.setting): base.rule for base in CODE_BASES if base.is_default}
    assert defaults["tensor2tensor", "basic_params1"] == POST_LN
    assert defaults["fairseq", "normalize_before=False"] == POST_LN
    assert defaults["The Annotated Transformer", "SublayerConnection"] == PRE_LN
    assert defaults["OpenNMT-py", "no switch"] == PRE_LN


def test_only_torch_separates_the_final_norm_from_the_order():
    unlike = {(base.name, base.setting) for base in CODE_BASES if base.final_norm != base.rule.has_final_norm}
    assert unlike == {
        ("torch.nn", "TransformerEncoder(layer, n), norm_first=True"),
        ("torch.nn", "Transformer(), norm_first=False"),
    }


def test_what_is_said_of_torch_is_true_of_the_installed_torch():
    said = {base.setting: base for base in CODE_BASES if base.name == "torch.nn"}
    with torch.device("meta"):
        layer = nn.TransformerEncoderLayer(8, 2, 8)
        assert layer.norm_first is False
        for first in (False, True):
            layer = nn.TransformerEncoderLayer(8, 2, 8, norm_first=first)
            stack = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
            base = said[f"TransformerEncoder(layer, n), norm_first={first}"]
            assert base.final_norm is (stack.norm is not None)
            assert base.rule == (PRE_LN if first else POST_LN)
        whole = nn.Transformer(8, 2, 1, 1, 8, batch_first=True)
    assert said["Transformer(), norm_first=False"].final_norm is (whole.encoder.norm is not None)
    assert isinstance(whole.decoder.norm, nn.LayerNorm)
