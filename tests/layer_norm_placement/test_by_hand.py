"""The pencil case gives the fractions that a pencil gives."""

from fractions import Fraction

import pytest

from papertrail.layer_norm_placement.by_hand import measure_shares


@pytest.mark.parametrize("n", range(1, 9))
def test_post_ln_halves_what_came_before_with_every_sublayer(n):
    squares = measure_shares("post", n).squares
    assert squares == [Fraction(1, 2**n), *(Fraction(1, 2 ** (n - k)) for k in range(n))]


@pytest.mark.parametrize("n", range(1, 9))
def test_pre_ln_gives_input_and_branches_equal_shares(n):
    assert measure_shares("pre", n).squares == [Fraction(1, n + 1)] * (n + 1)


@pytest.mark.parametrize("placement", ["post", "pre"])
def test_the_squares_add_up_to_one(placement):
    shares = measure_shares(placement, 5)
    assert shares.input**2 + sum(share**2 for share in shares.branches) == pytest.approx(1, abs=1e-12)


def test_what_a_pencil_case_cannot_do_is_named():
    with pytest.raises(ValueError, match="placement: got 'b2t'; allowed are 'post', 'pre'"):
        measure_shares("b2t", 2)
    with pytest.raises(ValueError, match="sublayers: got 9; allowed are 1 to 8"):
        measure_shares("post", 9)
    with pytest.raises(ValueError, match="sublayers: got 0"):
        measure_shares("post", 0)
