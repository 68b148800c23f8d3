"""What a learner hears who changes an argument of a chapter's cell to one that makes no sense."""

import pytest

from papertrail.architecture_diagram import measurements, torch_conventions
from papertrail.gopher import invariances
from papertrail.scan_and_snap import expected, theorems
from papertrail.ulmfit import measurements as ulmfit

CALLS = [
    (torch_conventions.measure_torch_conventions, "depths", ()),
    (measurements.measure_parameter_counts, "vocab_size", 0),
    (measurements.measure_parameter_counts, "vocab_size", -1),
    (ulmfit.measure_softmax, "vocab_size", -1),
    (ulmfit.measure_reviews, "labels", 0),
    (ulmfit.measure_reviews, "epochs", 0),
    (invariances.measure_gradient_sizes, "factors", ()),
    (expected.measure_drift, "seeds", 0),
    (expected.measure_drift, "lr_z", -1.0),
    (expected.measure_drift, "ratios", (1.0, 0.0)),
    (theorems.measure_growth, "classes", 0),
    (theorems.measure_growth, "tokens", 1),
    (theorems.measure_growth, "lr_z", float("nan")),
    (theorems.measure_growth, "until", -1.0),
    (theorems.measure_growth, "until", float("nan")),
    (theorems.measure_growth, "points", -1),
    (theorems.measure_consequences, "seeds", 0),
]


@pytest.mark.parametrize(("function", "argument", "value"), CALLS)
def test_the_argument_is_named_and_what_is_allowed_is_said(function, argument, value):
    with pytest.raises(ValueError, match=rf"^{argument}: .*allowed are"):
        function(**{argument: value})
