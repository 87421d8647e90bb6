"""Kaggle's rules change predictions; how many rows they change is counted."""

import math

import pytest

from crossent.scoring.score import score


@pytest.mark.parametrize("form", ["hard", "soft"])
def test_rows_that_are_clipped_or_rescaled_are_counted(write, form):
    # as it should be; 0 for the truth; 0 for another class; sums to 2; sums to 1/2 with 0 for the truth; NaN
    first = [0.5, 0.0, 1.0, 1.0, 0.0, float("nan")]
    second = [0.5, 1.0, 0.0, 1.0, 0.5, 0.5]
    truth = {"target": ["a"] * 6} if form == "hard" else {"target_a": [0.75] * 6, "target_b": [0.25] * 6}
    result = score(write(truth | {"p_a": first, "p_b": second}), rules="kaggle")
    assert result.unnormalised == 2
    assert result.largest_deviation == 1.0
    assert (result.rows, result.undefined) == (6, 1)
    assert result.clipped == (2 if form == "hard" else 3)  # of soft labels the other class is a truth as well
    if form == "hard":
        assert result.finite_total == pytest.approx(2.0 * math.log(2.0) - 2.0 * math.log(1e-15), rel=1e-12)
    assert (
        score(write(truth | {"p_a": first, "p_b": second}), rules="kaggle", zero="clip", eps=1e-3).clipped
        == result.clipped
    )
