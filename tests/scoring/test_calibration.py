"""Reliability and the three parts of the log score against model-diagnostics, scikit-learn, and bins made by hand."""

import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_diagnostics.scoring import LogLoss, decompose
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss

from crossent.scoring.calibration import EQUAL_BINS
from crossent.scoring.score import score
from tests.scoring.tables import columns, drawn, keep_no_rows, soft_columns, softmax

# Bins keep p in units of 2**-36, and the slope of -log(1 - p) is at most 2 where they are asked.
UNIT = 2.0**-35
PARTS = ("miscalibration", "discrimination", "uncertainty")


def log_score(truths: np.ndarray, p: np.ndarray, weights: np.ndarray) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        right = np.where(truths > 0.0, -truths * np.log(p), 0.0)
        wrong = np.where(truths < 1.0, -(1.0 - truths) * np.log1p(-p), 0.0)
    return float(np.average(right + wrong, weights=weights))


def parts_by_isotonic_regression(truths: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> tuple:
    """Return cost, miscalibration, discrimination and uncertainty, from scikit-learn's isotonic regression."""
    weights = np.ones(len(p)) if weights is None else weights
    isotonic = IsotonicRegression(y_min=0.0, y_max=1.0).fit(p, truths, sample_weight=weights)
    recalibrated = log_score(truths, np.clip(isotonic.predict(p), 0.0, 1.0), weights)
    base = np.full(len(p), np.average(truths, weights=weights))
    cost, uncertainty = log_score(truths, p, weights), log_score(truths, base, weights)
    return cost, cost - recalibrated, uncertainty - recalibrated, uncertainty


def parts(reliability) -> tuple:
    of = reliability.decomposition
    return of.cost, of.miscalibration, of.discrimination, of.uncertainty


def problems(labels: np.ndarray, predictions: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return truths and predictions of the highest prediction (where it is alone), then of every class."""
    top = predictions.max(axis=1)
    is_alone = (predictions == top[:, None]).sum(axis=1) == 1
    is_right = (predictions.argmax(axis=1) == labels) & is_alone
    return [(is_right.astype(float), top)] + [
        ((labels == c).astype(float), predictions[:, c]) for c in range(predictions.shape[1])
    ]


def reliabilities(result) -> list:
    return [result.calibration.top_label, *result.calibration.classes]


@pytest.mark.parametrize("has_ties", [False, True])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_two_classes_as_model_diagnostics(write, has_ties, is_weighted):
    rng = np.random.default_rng(5)
    p = rng.beta(0.7, 0.9, 800)
    if has_ties:
        p = np.clip(np.round(p, 1), 0.05, 0.95)
    labels = (rng.random(800) < p**1.5).astype(int)
    weights = rng.integers(1, 5, 800) / 4.0 if is_weighted else np.ones(800)
    result = score(write(columns(labels, np.stack([1.0 - p, p], axis=1), w=weights)), weight="w")
    expected = decompose(labels, p, weights=weights, scoring_function=LogLoss()).row(0, named=True)
    of = result.calibration.classes[1].decomposition
    assert of.cost == pytest.approx(expected["score"], abs=1e-12)
    for name in PARTS:
        assert getattr(of, name) == pytest.approx(expected[name], abs=1e-12)
    assert result.cost == pytest.approx(expected["score"], abs=1e-12)
    assert result.brier == pytest.approx(2 * brier_score_loss(labels, p, sample_weight=weights), rel=1e-13)


@pytest.mark.parametrize("prefix", ["prob_", "logit_", "log_prob_"])
def test_every_class_against_the_rest_as_isotonic_regression_says(write, prefix):
    rng = np.random.default_rng(6)
    logits = rng.standard_normal((600, 4)) * 2.0
    predictions = softmax(logits)
    labels = drawn(rng, softmax(0.6 * logits + [0.3, 0.0, -0.3, 0.0]))
    stored = {"prob_": predictions, "logit_": logits, "log_prob_": np.log(predictions)}[prefix]
    result = score(write(columns(labels, stored, prefix)))
    assert not result.calibration.is_binned
    for (truths, p), each in zip(problems(labels, predictions), reliabilities(result), strict=True):
        assert parts(each) == pytest.approx(parts_by_isotonic_regression(truths, p), abs=1e-11)
        assert each.rows == 600


@pytest.mark.parametrize("prefix", ["prob_", "logit_", "log_prob_"])
def test_ties_are_recalibrated_as_one(write, prefix):
    # Rows of one margin have one prediction, to the last bit; nine margins for 600 rows.
    rng = np.random.default_rng(13)
    logits = np.stack([np.zeros(600), rng.integers(-4, 5, 600) / 2.0], axis=1)
    predictions = softmax(logits)
    labels = drawn(rng, softmax(0.5 * logits))
    stored = {"prob_": predictions, "logit_": logits, "log_prob_": np.log(predictions)}[prefix]
    result = score(write(columns(labels, stored, prefix)))
    for (truths, p), each in zip(problems(labels, predictions), reliabilities(result), strict=True):
        assert parts(each) == pytest.approx(parts_by_isotonic_regression(truths, p), abs=1e-12)


@pytest.mark.parametrize("prefix", ["prob_", "logit_", "log_prob_"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", ["hard", "weighted", "soft"])
def test_bins_come_close_to_every_row(write, monkeypatch, prefix, dtype, form):
    rng = np.random.default_rng(7)
    logits = rng.standard_normal((3000, 4)) * 3.0
    predictions = softmax(logits)
    labels = drawn(rng, softmax(0.7 * logits))
    stored = {"prob_": predictions, "logit_": logits, "log_prob_": np.log(predictions)}[prefix].astype(dtype)
    beside = {"w": rng.random(3000) + 0.5} if form == "weighted" else {}
    if form == "soft":
        table = soft_columns(0.5 * np.eye(4)[labels] + 0.5 * rng.dirichlet(np.ones(4), 3000), stored, prefix)
    else:
        table = columns(labels, stored, prefix, **beside)
    path = write(table)
    exact = score(path, weight="w" if beside else None)
    keep_no_rows(monkeypatch)
    binned = score(path, weight="w" if beside else None)
    assert binned.calibration.is_binned
    assert binned.cost == exact.cost
    for ours, theirs in zip(reliabilities(binned), reliabilities(exact), strict=True):
        assert ours.rows == theirs.rows
        # Below a half -log(1 - p) has a second derivative of at most 4, so that a bin of width 2**-12 is off by at most
        # 4 / 8 * 2**-24 = 3e-8 for its curve, and for the truths that lean to one end of it by a slope of 2 times 2**-13,
        # as often up as down in 2048 bins: 5e-6. At most 5e-7 was seen.
        assert ours.decomposition.cost == pytest.approx(theirs.decomposition.cost, abs=5e-6)
        assert ours.decomposition.uncertainty == pytest.approx(theirs.decomposition.uncertainty, abs=1e-12)
        # Rows of one bin are recalibrated as one: what isotonic regression made of their order is lost. Over 18 data sets
        # of 1000 to 10 000 rows at most 8e-4 were seen.
        assert ours.decomposition.discrimination == pytest.approx(theirs.decomposition.discrimination, abs=1e-3)
        assert ours.decomposition.miscalibration == pytest.approx(theirs.decomposition.miscalibration, abs=1e-3)
        assert ours.decomposition.discrimination <= theirs.decomposition.discrimination + 1e-12  # coarser is no better
        # 16 divides 4096: the same bins of equal width.
        assert ours.expected_calibration_error == pytest.approx(theirs.expected_calibration_error, abs=1e-9)
        assert ours.mean_prediction == pytest.approx(theirs.mean_prediction, abs=1e-9)
        assert ours.observed == pytest.approx(theirs.observed, abs=1e-9)
        assert ours.weight == pytest.approx(theirs.weight, rel=1e-9)


@pytest.mark.parametrize("is_binned", [False, True])
@pytest.mark.parametrize("kind", ["half", "one-hot", "wrong", "constant", "one class"])
def test_edges(write, monkeypatch, is_binned, kind):
    if is_binned:
        keep_no_rows(monkeypatch)
    labels = np.array([0, 1, 1, 0, 1, 1])
    if kind == "half":  # both classes tie for the highest prediction
        predictions, expected = np.full((6, 2), 0.5), [math.log(2.0)] * 2
    elif kind == "one-hot":
        predictions, expected = np.eye(2)[labels], [0.0] * 2
    elif kind == "wrong":
        predictions, expected = np.eye(2)[1 - labels], [math.inf] * 2
    elif kind == "constant":
        predictions = np.tile([0.3, 0.7], (6, 1))
        expected = [-(2 * math.log(0.3) + 4 * math.log(0.7)) / 6] * 2
    else:
        labels, predictions = np.zeros(6, int), np.tile([0.8, 0.2], (6, 1))
        expected = [-math.log(0.8)] * 2
    result = score(write(columns(labels, predictions)))
    within = UNIT if is_binned else 1e-14
    for reliability, cost in zip(result.calibration.classes, expected, strict=True):
        of = reliability.decomposition
        assert of.cost == pytest.approx(cost, abs=within)
        assert of.discrimination >= -1e-14
        assert of.miscalibration >= -within
        if math.isfinite(cost):
            assert of.cost == pytest.approx(of.miscalibration - of.discrimination + of.uncertainty, abs=1e-14)
        base = np.mean(labels)
        assert of.uncertainty == pytest.approx(log_score(labels, np.full(6, base), np.ones(6)), abs=1e-15)
    # A prediction of 0 or 1 belongs to the first and the last bin, both closed.
    assert sum(result.calibration.top_label.weight) == 6.0
    assert all(type(part) is float for each in reliabilities(result) for part in parts(each))
    json.loads(result.to_json())


@pytest.mark.parametrize("is_binned", [False, True])
def test_classes_that_share_the_highest_prediction(write, monkeypatch, is_binned):
    # Both at a half: each of the problems has its -log(1 - 1/2), whichever the first of the two is.
    if is_binned:
        keep_no_rows(monkeypatch)
    rng = np.random.default_rng(8)
    predictions = np.tile([0.5, 0.5, 0.0], (90, 1))[:, rng.permutation(3)]
    predictions[60:] = rng.dirichlet([1.0, 1.0, 1.0], 30)
    labels = np.where(np.arange(90) < 60, np.argsort(-predictions, axis=1, kind="stable")[:, rng.integers(0, 2)], 1)
    result = score(write(columns(labels, predictions)))
    for (truths, p), each in list(zip(problems(labels, predictions), reliabilities(result), strict=True))[1:]:
        assert each.decomposition.cost == pytest.approx(log_score(truths, p, np.ones(90)), abs=2.0**-12)
    shares = 0.5 * np.eye(3)[labels] + 0.5 / 3
    result = score(write(soft_columns(shares, np.tile([0.5, 0.5, 0.0], (90, 1)) * 0.98 + [0.0, 0.0, 0.02])))
    for c, each in enumerate(result.calibration.classes):
        p = np.full(90, [0.49, 0.49, 0.02][c])
        assert each.decomposition.cost == pytest.approx(log_score(shares[:, c], p, np.ones(90)), abs=2.0**-12)


@pytest.mark.parametrize("is_binned", [False, True])
@pytest.mark.parametrize("is_soft", [False, True])
def test_rows_that_sum_to_more_than_one(write, monkeypatch, is_binned, is_soft):
    if is_binned:
        keep_no_rows(monkeypatch)
    rng = np.random.default_rng(9)
    predictions = rng.random((500, 3)) * 0.98 + 0.01
    labels = rng.integers(0, 3, 500)
    truths = 0.9 * np.eye(3)[labels] + 0.1 / 3 if is_soft else np.eye(3)[labels]
    table = soft_columns(truths, predictions) if is_soft else columns(labels, predictions)
    result = score(write(table), probs="prob_")
    assert result.unnormalised == 500
    for c, each in enumerate(result.calibration.classes):
        expected = log_score(truths[:, c], predictions[:, c], np.ones(500))
        assert each.decomposition.cost == pytest.approx(expected, abs=2.0**-12)


@pytest.mark.parametrize(("classes", "curves"), [(200, 200), (201, 0)])
@pytest.mark.parametrize("is_binned", [False, True])
def test_curves_of_every_class_up_to_200_of_them(write, monkeypatch, classes, curves, is_binned):
    if is_binned:
        keep_no_rows(monkeypatch)
    rng = np.random.default_rng(10)
    predictions = rng.dirichlet(np.full(classes, 0.05), 300)
    labels = drawn(rng, predictions)
    result = score(write(columns(labels, predictions)))
    assert len(result.calibration.classes) == curves
    right, top = problems(labels, predictions)[0]
    assert result.calibration.top_label.decomposition.cost == pytest.approx(
        log_score(right, top, np.ones(300)), rel=1e-9
    )
    for c, each in enumerate(result.calibration.classes):
        expected = log_score((labels == c).astype(float), predictions[:, c], np.ones(300))
        assert each.decomposition.cost == pytest.approx(expected, abs=2.0**-12)


def test_one_batch_of_more_rows_than_a_packed_bin_counts(write):
    # 1.2e6 rows that all but fill one bin, whose packed integer has room for 2**19 of them.
    rows = 1_200_000
    p = np.full(rows, 0.75 - 1e-9, np.float64)
    labels = (np.arange(rows) % 10 < 7).astype(int)
    path = write(columns(labels, np.stack([1.0 - p, p], axis=1)))
    each = score(path, batch_rows=rows).calibration.classes[1]
    assert (each.rows, each.weight) == (rows, (float(rows),))
    assert each.mean_prediction[0] == pytest.approx(0.75 - 1e-9, abs=UNIT)
    assert each.observed == (0.7,)
    assert each.decomposition.cost == pytest.approx(log_score(labels, p, np.ones(rows)), abs=UNIT)
    assert each.decomposition.miscalibration == pytest.approx(
        0.7 * math.log(0.7 / 0.75) + 0.3 * math.log(1.2), abs=1e-8
    )


def test_a_packed_bin_full_of_ones(write):
    # More rows than one integer counts beside their sum.
    rows = 2**19 + 2**16
    path = write(columns(np.ones(rows, np.int8), np.tile(np.array([0.0, 1.0], np.float32), (rows, 1))))
    result = score(path)
    assert result.calibration.is_binned
    for each, share in ((result.calibration.top_label, 1.0), *zip(result.calibration.classes, (0.0, 1.0), strict=True)):
        assert each.observed == (share,)
        assert each.mean_prediction == pytest.approx((share,), abs=2.0**-36)  # what a bin keeps of p
        assert each.weight == (float(rows),)
        assert each.decomposition.cost == 0.0


def test_expected_calibration_error_and_diagram_by_hand(write):
    rng = np.random.default_rng(11)
    p = np.concatenate([rng.random(500), [0.0, 1.0, 0.5, 1.0 / 16, 15.0 / 16]])
    labels = (rng.random(len(p)) < p**2).astype(int)
    labels[500:502] = [0, 1]
    weights = rng.random(len(p)) + 0.1
    result = score(write(columns(labels, np.stack([1.0 - p, p], axis=1), w=weights)), weight="w")
    each = result.calibration.classes[1]
    inner = np.linspace(0.0, 1.0, EQUAL_BINS + 1)[1:-1]
    place = np.digitize(p, inner)  # [lower, upper), the last one closed
    of_bin = [place == b for b in range(EQUAL_BINS)]
    weight = np.array([weights[chosen].sum() for chosen in of_bin])
    observed = np.array([np.average(labels[chosen], weights=weights[chosen]) for chosen in of_bin])
    predicted = np.array([np.average(p[chosen], weights=weights[chosen]) for chosen in of_bin])
    assert each.weight == pytest.approx(weight, rel=1e-13)
    assert each.observed == pytest.approx(observed, rel=1e-13)
    assert each.mean_prediction == pytest.approx(predicted, rel=1e-13)
    expected = np.average(np.abs(observed - predicted), weights=weight)
    assert each.expected_calibration_error == pytest.approx(expected, rel=1e-12)


def test_the_isotonic_curve_is_that_of_scikit_learn(write):
    rng = np.random.default_rng(12)
    p = rng.random(300)
    labels = (rng.random(300) < p).astype(int)
    each = score(write(columns(labels, np.stack([1.0 - p, p], axis=1)))).calibration.classes[1]
    expected = IsotonicRegression(y_min=0.0, y_max=1.0).fit(p, labels).predict(each.isotonic_prediction)
    assert each.isotonic_observed == pytest.approx(expected, abs=1e-12)
    assert each.isotonic_prediction[0] == p.min()
    assert each.isotonic_prediction[-1] == p.max()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 1), st.integers(0, 8)), min_size=1, max_size=40))
def test_laws_of_the_three_parts(write, rows):
    # Fifteenths, so that ties are many, 0 and 1 occur, and no other edge of the bins, which belongs to the upper one.
    fifteenths, labels, weights = (np.array(each) for each in zip(*rows, strict=True))
    if not weights.sum():
        weights = weights + 1
    p = fifteenths / 15.0
    result = score(write(columns(labels, np.stack([1.0 - p, p], axis=1), w=weights.astype(float))), weight="w")
    for each in reliabilities(result):
        of = each.decomposition
        assert of.discrimination >= -1e-12
        assert of.miscalibration >= -1e-12
        assert 0.0 <= of.uncertainty <= math.log(2.0) + 1e-15
        if math.isfinite(of.cost):
            assert of.cost == pytest.approx(of.miscalibration - of.discrimination + of.uncertainty, abs=1e-12)
    zero, one = result.calibration.classes
    assert parts(zero) == pytest.approx(parts(one), abs=1e-12)  # two classes are one problem seen from both sides
    assert zero.decomposition.cost == pytest.approx(result.cost, abs=1e-12)
    assert zero.expected_calibration_error == pytest.approx(one.expected_calibration_error, abs=1e-12)


@pytest.mark.parametrize("is_binned", [False, True])
def test_every_weight_is_dust(write, monkeypatch, is_binned):
    if is_binned:
        keep_no_rows(monkeypatch)
    predictions = np.tile([0.25, 0.75], (4, 1))
    result = score(write(columns([0, 1, 1, 1], predictions, w=[1e-25] * 4)), weight="w")
    assert result.cost == pytest.approx(-(math.log(0.25) + 3 * math.log(0.75)) / 4, rel=1e-14)
    assert (result.calibration is None) == is_binned


@pytest.mark.parametrize("is_binned", [False, True])
@pytest.mark.parametrize("prefix", ["logit_", "logprob_"])
@pytest.mark.parametrize("gap", [40.0, 720.0, 2000.0, 1e6])
def test_two_classes_far_apart_cost_what_the_rows_cost(write, monkeypatch, prefix, gap, is_binned):
    if is_binned:
        keep_no_rows(monkeypatch)
    rest = [0.0, -gap] if prefix == "logprob_" else [gap, 0.0]
    predictions = np.array([rest, rest[::-1], rest, [-math.log(2.0)] * 2])
    result = score(write(columns([0, 1, 1, 0], predictions, prefix=prefix)))
    assert result.cost == pytest.approx((gap + math.log(2.0)) / 4.0, rel=1e-12)
    for each in result.calibration.classes:
        assert each.decomposition.cost == pytest.approx(result.cost, rel=1e-12)
        assert math.isfinite(each.decomposition.miscalibration)
    # The tie is no hit: the highest prediction, a half, is wrong.
    assert result.calibration.top_label.decomposition.cost == pytest.approx(result.cost, rel=1e-12)


@pytest.mark.parametrize("is_binned", [False, True])
def test_more_classes_far_apart(write, monkeypatch, is_binned):
    if is_binned:
        keep_no_rows(monkeypatch)
    predictions = np.array([[2000.0, 0.0, 0.0], [0.0, 2000.0, 500.0], [3.0, 3.0, 2003.0]])
    result = score(write(columns([1, 0, 2], predictions, prefix="logit_")))
    costs = [each.decomposition.cost for each in result.calibration.classes]
    # -log(p) of the truth, -log(1 - p) of the others, by hand: p is e**-2000 and the like, 1 - p of the highest the sum
    # of the two others.
    first = [2000.0 - math.log(2.0), 2000.0, 0.0]
    second = [2000.0, 1500.0, 0.0]
    assert costs == pytest.approx([(a + b) / 3.0 for a, b in zip(first, second, strict=True)], rel=1e-12, abs=1e-12)
    assert result.calibration.top_label.decomposition.cost == pytest.approx((first[0] + second[1]) / 3.0, rel=1e-12)


def test_what_is_impossible_stays_so(write):
    predictions = np.array([[2000.0, -math.inf], [0.0, 1.0], [0.0, 1.0]])
    result = score(write(columns([1, 1, 0], predictions, prefix="logit_")))
    assert result.impossible == 1
    assert [each.decomposition.cost for each in result.calibration.classes] == [math.inf, math.inf]
    assert result.calibration.top_label.decomposition.cost == math.inf
