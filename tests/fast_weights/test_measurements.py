"""Chapter 3's equalities, measured: they hold where they should, and the differences are there where they should be."""

import pytest
import torch

from papertrail.fast_weights import measurements
from papertrail.fast_weights.measurements import (
    measure_equivalence,
    measure_forms,
    measure_normalizer,
    measure_stability,
    relative,
)


def test_1992s_update_is_linear_attention_under_its_conditions_only():
    found = measure_equivalence(seeds=3)
    assert found.same < 1e-13 and found.shifted < 1e-13
    assert 1e-9 < found.same_float32 < 1e-5
    assert found.order > 0.01 and found.squashed > 0.3 and found.projected > 0.1
    assert found.whole_request_rank == 6, "a unit per fast weight writes with full rank"


def test_a_slip_in_the_linear_form_is_noticed(monkeypatch):
    right = measurements.linear_attention
    monkeypatch.setattr(measurements, "linear_attention", lambda q, k, v, **o: right(q, k, 1.001 * v, **o))
    assert measure_equivalence(seeds=1).same > 1e-4


@pytest.mark.parametrize("form", ["recurrent", "parallel", "chunk"])
@pytest.mark.parametrize("function", ["linear_attention", "delta_rule"])
def test_a_slip_in_any_one_form_is_noticed(form, function, monkeypatch):
    right = getattr(measurements, function)

    def wrong(*args, **options):
        out = right(*args, **options)
        return out * 1.0001 if options["form"] == form else out

    monkeypatch.setattr(measurements, function, wrong)
    found = measure_forms(length=20, seeds=1, chunk_size=8)
    assert max(found.values.values()) > 1e-5 and max(found.gradients.values()) > 1e-5


def test_the_forms_agree_where_the_length_is_no_multiple_of_the_chunk():
    found = measure_forms(length=37, chunk_size=16, seeds=2)
    assert set(found.values) == {"linear", "unnormalized", "delta"}
    assert max(found.values.values()) < 1e-12 and max(found.gradients.values()) < 1e-11


def test_the_normalizer_is_a_column_of_ones():
    assert measure_normalizer(length=20, seeds=2) < 1e-13


def test_the_memory_grows_beyond_the_limit_only():
    found = measure_stability((0.5, 1.0, 1.4, 1.5, 2.0), seeds=2).outputs
    assert max(found[size] for size in (0.5, 1.0, 1.4)) < 200 < 1000 < found[1.5] < found[2.0]


def test_relative_is_relative_to_the_largest():
    assert relative(torch.tensor([1.0, 11.0]), torch.tensor([1.0, 10.0])) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "message, call",
    [
        ("seeds: got 0", lambda: measure_equivalence(seeds=0)),
        ("length: got 0", lambda: measure_forms(length=0)),
        ("dim: got 0", lambda: measure_normalizer(dim=0)),
        ("key_lengths: got (1, -1)", lambda: measure_stability((1, -1))),
    ],
)
def test_bad_arguments_are_named(message, call):
    with pytest.raises(ValueError) as raised:
        call()
    assert message in str(raised.value)
