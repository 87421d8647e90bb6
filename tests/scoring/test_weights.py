"""What weights mean: a weight of 3 is a row three times, a weight of 0 no row, and their unit cancels."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from crossent.errors import RangeError
from crossent.scoring.score import score
from tests.scoring.tables import columns, drawn, keep_no_rows, soft_columns, softmax

MEANS = (
    "cost",
    "finite_cost",
    "accuracy",
    "brier",
    "prior_cost",
    "improvement",
    "prediction_entropy",
    "target_entropy",
)


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    """Return logits (600, 3) and labels."""
    rng = np.random.default_rng(61)
    logits = rng.standard_normal((600, 3)) * 2.0
    return logits, drawn(rng, softmax(0.7 * logits))


def tables(rows, form: str, prefix: str, times: np.ndarray, weights: np.ndarray) -> tuple[dict, dict]:
    """Return the table with weights, and the one whose rows are repeated."""
    logits, labels = rows
    stored = logits if prefix == "logit_" else softmax(logits)
    if form == "hard":
        weighted = columns(labels, stored, prefix, w=weights)
        repeated = columns(np.repeat(labels, times), np.repeat(stored, times, axis=0), prefix)
    else:
        shares = 0.75 * np.eye(3)[labels] + 0.25 * softmax(logits[::-1])
        weighted = soft_columns(shares, stored, prefix, w=weights)
        repeated = soft_columns(np.repeat(shares, times, axis=0), np.repeat(stored, times, axis=0), prefix)
    return weighted, repeated


def assert_same(ours, theirs) -> None:
    """Compare everything that does not depend on how many rows there are."""
    for name in MEANS:
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-13, abs=1e-15), name
    for one, other in zip(ours.classes, theirs.classes, strict=True):
        assert one.cost == pytest.approx(other.cost, rel=1e-13)
    assert ours.temperature.temperature == pytest.approx(theirs.temperature.temperature, rel=1e-7)
    assert ours.temperature.cost_nats == pytest.approx(theirs.temperature.cost_nats, rel=1e-12)
    assert [q for _, q in ours.losses.quantiles] == pytest.approx([q for _, q in theirs.losses.quantiles], rel=1e-12)
    assert ours.losses.worst_percent_share == pytest.approx(theirs.losses.worst_percent_share, rel=1e-12)
    assert ours.losses.histogram_edges == theirs.losses.histogram_edges
    every = [(ours.calibration.top_label, theirs.calibration.top_label)]
    for one, other in [*every, *zip(ours.calibration.classes, theirs.calibration.classes, strict=True)]:
        for part in ("cost", "miscalibration", "discrimination", "uncertainty"):
            assert getattr(one.decomposition, part) == pytest.approx(getattr(other.decomposition, part), abs=2.0**-35)
        # Of rows, bins keep p in units of 2**-36, of weights in doubles.
        assert one.expected_calibration_error == pytest.approx(other.expected_calibration_error, abs=2.0**-36)
        assert one.observed == pytest.approx(other.observed, rel=1e-11)
        assert one.mean_prediction == pytest.approx(other.mean_prediction, rel=1e-9)


@pytest.mark.parametrize("form", ["hard", "soft"])
@pytest.mark.parametrize("prefix", ["prob_", "logit_"])
@pytest.mark.parametrize("is_binned", [False, True])
def test_whole_weights_are_repeated_rows(write, monkeypatch, rows, form, prefix, is_binned):
    if is_binned:
        keep_no_rows(monkeypatch)
    times = np.random.default_rng(62).integers(1, 5, 600)
    weighted, repeated = tables(rows, form, prefix, times, times.astype(float))
    ours = score(write(weighted, "weighted.parquet"), weight="w")
    theirs = score(write(repeated, "repeated.parquet"))
    assert ours.rows == 600
    assert ours.weight == theirs.weight == times.sum()
    assert_same(ours, theirs)
    assert ours.total == pytest.approx(theirs.total, rel=1e-13)
    for one, other in zip(ours.classes, theirs.classes, strict=True):
        assert one.weight == pytest.approx(other.weight, rel=1e-13)
    assert ours.losses.histogram_weight == pytest.approx(theirs.losses.histogram_weight, rel=1e-13)


@pytest.mark.parametrize("form", ["hard", "soft"])
def test_rows_of_weight_0_are_not_there(write, rows, form):
    times = np.random.default_rng(63).integers(0, 2, 600)
    weighted, repeated = tables(rows, form, "prob_", times, times.astype(float))
    # Whatever is in them: NaN, an impossible truth, a probability of 7.
    for c, values in ((0, (np.nan, 0.0, 7.0)), (1, (0.5, 0.0, 0.5)), (2, (0.5, 1.0, 0.5))):
        column = weighted[f"prob_{c}"].copy()
        column[np.flatnonzero(times == 0)[:3]] = values
        weighted[f"prob_{c}"] = column
    ours = score(write(weighted, "weighted.parquet"), weight="w", probs="prob_")
    theirs = score(write(repeated, "repeated.parquet"))
    assert ours.weightless == np.count_nonzero(times == 0)
    assert (ours.rows, ours.impossible, ours.undefined) == (theirs.rows, 0, 0)
    assert_same(ours, theirs)
    assert ours.interval.units == theirs.interval.units
    assert ours.interval.standard_error == pytest.approx(theirs.interval.standard_error, rel=1e-12)


@pytest.mark.parametrize("form", ["hard", "soft"])
@pytest.mark.parametrize(
    ("is_binned", "factor"),
    # Bins keep weights down to 2**-60, of 2**-40 no more than twenty bits: see the next test.
    [(False, 2.0), (False, 2.0**-40), (False, 2.0**20), (False, 3.0), (True, 2.0), (True, 2.0**20), (True, 3.0)],
)
def test_the_unit_of_the_weights_cancels(write, monkeypatch, rows, form, is_binned, factor):
    if is_binned:
        keep_no_rows(monkeypatch)
    weights = np.random.default_rng(64).random(600) + 0.01
    table, _ = tables(rows, form, "prob_", np.ones(600, int), weights)
    ours = score(write(table, "ours.parquet"), weight="w")
    scaled = score(write(table | {"w": weights * factor}, "scaled.parquet"), weight="w")
    assert_same(scaled, ours)
    assert scaled.interval.standard_error == pytest.approx(ours.interval.standard_error, rel=1e-13)
    if factor != 3.0:  # a power of two rounds nothing
        for name in (*MEANS, "interval"):
            assert getattr(scaled, name) == getattr(ours, name), name


def test_bins_of_light_weights_keep_fewer_digits(write, monkeypatch, rows):
    keep_no_rows(monkeypatch)
    weights = np.random.default_rng(65).random(600) + 0.5
    table, _ = tables(rows, "hard", "prob_", np.ones(600, int), weights)
    ours = score(write(table, "ours.parquet"), weight="w").calibration
    light = score(write(table | {"w": weights * 2.0**-30}, "light.parquet"), weight="w").calibration
    # What is below 2**-60 is cut off: 2**-29 of a weight.
    for one, other in zip(ours.classes, light.classes, strict=True):
        assert one.decomposition.cost == pytest.approx(other.decomposition.cost, rel=2.0**-28)
        assert one.decomposition.discrimination == pytest.approx(other.decomposition.discrimination, abs=1e-6)


def test_as_scikit_learn(write, rows):
    logits, labels = rows
    predictions, weights = softmax(logits), np.random.default_rng(66).exponential(size=600)
    result = score(write(columns(labels, predictions, w=weights)), weight="w")
    assert result.cost == pytest.approx(log_loss(labels, predictions, sample_weight=weights), rel=1e-13)
    hits = accuracy_score(labels, predictions.argmax(axis=1), sample_weight=weights)
    assert result.accuracy == pytest.approx(hits, rel=1e-13)
    assert result.weight == pytest.approx(math.fsum(weights), rel=1e-15)
    shares = np.bincount(labels, weights) / weights.sum()
    assert result.prior_cost == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-13)


@pytest.mark.parametrize("value", [2.0**-101, 2.0**41, 1e300])
def test_weights_that_sums_have_no_room_for(write, value):
    path = write(columns([0, 1, 0], np.full((3, 2), 0.5), w=[1.0, value, 1.0]))
    with pytest.raises(RangeError) as caught:
        score(path, weight="w")
    assert str(caught.value) == (
        f"weights must be 0 or lie between 2**-100 and 2**40, row 1 of '{path}' has {value:.17g}; "
        f"multiply all of them by one number, or write 0"
    )


@pytest.mark.parametrize("value", [2.0**-100, 2.0**40])
def test_the_lightest_and_the_heaviest_weight(write, value):
    rng = np.random.default_rng(67)
    p = rng.uniform(0.5, 1.0, 50)
    path = write(columns(np.ones(50, int), np.stack([1.0 - p, p], axis=1), w=[value] * 50, g=["a"] * 50))
    result, plain = score(path, weight="w", by="g"), score(path, by="g")
    assert result.cost == pytest.approx(plain.cost, rel=1e-14)
    assert result.interval.standard_error == pytest.approx(plain.interval.standard_error, rel=1e-12)
    assert result.groups[0].interval.standard_error == pytest.approx(plain.interval.standard_error, rel=1e-12)
    assert result.classes[1].weight == 50 * value


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_weights_that_are_none(write, value):
    path = write(columns([0, 1], np.full((2, 2), 0.5), w=[1.0, value]))
    with pytest.raises(RangeError) as caught:
        score(path, weight="w")
    assert str(caught.value) == f"`w` must hold weights of at least 0, row 1 has {value!r}"
