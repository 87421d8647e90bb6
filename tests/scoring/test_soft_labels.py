"""Truths that are distributions: cost = entropy + divergence; and one-hot ones that are labels."""

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import entr, log_softmax, rel_entr

from crossent.scoring.score import score
from tests.scoring.tables import columns, drawn, keep_no_rows, soft_columns, softmax

PREFIXES = ("prob_", "logit_", "log_prob_")


def stored(logits: np.ndarray, prefix: str) -> np.ndarray:
    return {"prob_": softmax(logits), "logit_": logits, "log_prob_": log_softmax(logits, axis=1)}[prefix]


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    """Return shares (2000, 4), some of them 0 or 1, and logits."""
    rng = np.random.default_rng(51)
    shares = rng.dirichlet([0.5, 1.0, 0.2, 2.0], 2000)
    shares[:200] = np.eye(4)[rng.integers(0, 4, 200)]
    shares[200:300, 0] = 0.0
    shares[200:300] /= shares[200:300].sum(axis=1, keepdims=True)
    return shares, rng.standard_normal((2000, 4)) * 2.0


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("is_weighted", [False, True])
def test_cost_is_entropy_plus_divergence(write, rows, prefix, is_weighted):
    shares, logits = rows
    weights = np.random.default_rng(52).random(2000) if is_weighted else np.ones(2000)
    result = score(write(soft_columns(shares, stored(logits, prefix), prefix, w=weights)), weight="w")
    predictions = softmax(logits)
    entropy = np.average(entr(shares).sum(axis=1), weights=weights)
    divergence = np.average(rel_entr(shares, predictions).sum(axis=1), weights=weights)
    assert result.reading.label_form == "soft"
    assert result.target_entropy == pytest.approx(entropy, rel=1e-13)
    assert result.divergence == pytest.approx(divergence, rel=1e-12)
    assert result.cost == pytest.approx(entropy + divergence, rel=1e-13)
    assert result.prediction_entropy == pytest.approx(
        np.average(entr(predictions).sum(axis=1), weights=weights), rel=1e-13
    )
    squares = ((predictions - shares) ** 2).sum(axis=1)
    assert result.brier == pytest.approx(np.average(squares, weights=weights), rel=1e-12)
    top = shares[np.arange(2000), predictions.argmax(axis=1)]
    assert result.accuracy == pytest.approx(np.average(top, weights=weights), rel=1e-13)
    base = np.average(shares, axis=0, weights=weights)
    assert result.prior_cost == pytest.approx(entr(base).sum(), rel=1e-12)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_classes(write, rows, prefix):
    shares, logits = rows
    result = score(write(soft_columns(shares, stored(logits, prefix), prefix)))
    logs = log_softmax(logits, axis=1)
    for c, each in enumerate(result.classes):
        share = shares[:, c]
        assert each.rows == np.count_nonzero(share)
        assert each.weight == pytest.approx(share.sum(), rel=1e-13)
        assert each.cost == pytest.approx(-np.average(logs[:, c], weights=share), rel=1e-12)
    # The cost is the mean over the classes of what their shares cost.
    total = math.fsum(each.weight * each.cost for each in result.classes)
    assert total == pytest.approx(result.total, rel=1e-12)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("is_binned", [False, True])
def test_one_hot_shares_are_labels(write, monkeypatch, prefix, is_binned):
    if is_binned:
        keep_no_rows(monkeypatch)
    rng = np.random.default_rng(53)
    logits = rng.standard_normal((800, 3)) * 3.0
    logits[:20, 1] = logits[:20, 0]  # ties
    labels = drawn(rng, softmax(logits))
    predictions = stored(logits, prefix)
    hard = score(write(columns(labels, predictions, prefix), "hard.parquet"))
    whole = score(write(soft_columns(np.eye(3, dtype=np.int8)[labels], predictions, prefix), "whole.parquet"))
    soft = score(write(soft_columns(np.eye(3)[labels], predictions, prefix), "soft.parquet"))
    assert (hard.reading.label_form, whole.reading.label_form, soft.reading.label_form) == ("ids", "one-hot", "soft")
    for name in (
        "cost",
        "total",
        "accuracy",
        "correct",
        "tied",
        "prior_cost",
        "interval",
        "losses",
        "prediction_entropy",
    ):
        # Bit for bit: a one-hot distribution is the label.
        assert getattr(whole, name) == getattr(hard, name) == getattr(soft, name)
    assert whole.classes == hard.classes
    assert whole.calibration == hard.calibration
    assert whole.temperature == hard.temperature
    assert whole.brier == hard.brier == pytest.approx(soft.brier, rel=1e-13)
    assert soft.target_entropy == 0.0
    for ours, theirs in zip(soft.classes, hard.classes, strict=True):
        assert (ours.rows, ours.weight, ours.correct) == (theirs.rows, theirs.weight, theirs.correct)
        assert ours.cost == pytest.approx(theirs.cost, rel=1e-13)
    every = [(soft.calibration.top_label, hard.calibration.top_label)]
    for ours, theirs in [*every, *zip(soft.calibration.classes, hard.calibration.classes, strict=True)]:
        # Bins of labels keep p in units of 2**-36, those of shares as they are.
        within = 2.0**-35 if is_binned else 1e-13
        assert ours.decomposition.cost == pytest.approx(theirs.decomposition.cost, abs=within)
        assert ours.decomposition.discrimination == pytest.approx(theirs.decomposition.discrimination, abs=1e-12)
        assert ours.expected_calibration_error == pytest.approx(theirs.expected_calibration_error, abs=within)
    assert soft.temperature.temperature == pytest.approx(hard.temperature.temperature, rel=1e-7)
    assert soft.temperature.cost_nats == pytest.approx(hard.temperature.cost_nats, rel=1e-12)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_truth_itself_has_no_divergence(write, prefix):
    shares = np.random.default_rng(54).dirichlet([0.3, 1.0, 2.0], 500)
    with np.errstate(divide="ignore"):
        predictions = shares if prefix == "prob_" else np.log(shares)
    result = score(write(soft_columns(shares, predictions, prefix)))
    assert result.divergence == pytest.approx(0.0, abs=1e-13)
    assert result.cost == pytest.approx(entr(shares).sum(axis=1).mean(), rel=1e-13)
    assert result.temperature.temperature == pytest.approx(1.0, abs=1e-7)
    for each in result.calibration.classes:
        assert each.decomposition.miscalibration == pytest.approx(0.0, abs=1e-12)
        assert each.expected_calibration_error == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_zeros(write, prefix):
    # 0 log 0 is 0; a share of a class that is ruled out costs inf; a ruled out class without a share costs nothing.
    shares = np.array([[0.0, 0.5, 0.5], [1e-300, 0.5, 0.5], [0.25, 0.75, 0.0]])
    predictions = np.array([[0.0, 0.5, 0.5], [0.0, 0.5, 0.5], [0.25, 0.75, 0.0]])
    with np.errstate(divide="ignore"):
        result = score(write(soft_columns(shares, predictions if prefix == "prob_" else np.log(predictions), prefix)))
    assert (result.cost, result.impossible) == (math.inf, 1)
    expected = (math.log(2.0) + entr([0.25, 0.75]).sum()) / 2
    assert result.finite_cost == pytest.approx(expected, rel=1e-14)
    assert result.classes[0].impossible == 1
    assert result.classes[1].impossible == 0


@pytest.mark.parametrize("prefix", PREFIXES)
def test_undefined_rows_keep_their_shares(write, prefix):
    shares = np.array([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]])
    predictions = np.array([[0.5, 0.5], [np.nan, 0.5], [0.5, 0.5]])
    if prefix != "prob_":
        predictions = np.log(predictions)
    result = score(write(soft_columns(shares, predictions, prefix)))
    assert math.isnan(result.cost)
    assert (result.rows, result.undefined) == (3, 1)
    assert result.finite_cost == pytest.approx(math.log(2.0), rel=1e-15)
    # The label frequencies are those of all rows, whatever was predicted for them.
    assert [each.weight for each in result.classes] == pytest.approx(shares.sum(axis=0).tolist(), rel=1e-15)
    assert result.prior_cost == pytest.approx(entr(shares.mean(axis=0)).sum(), rel=1e-14)
    assert [(each.rows, each.undefined) for each in result.classes] == [(3, 1), (3, 1)]


def test_one_row_and_missing_truths(write):
    shares = np.array([[np.nan, 0.5], [0.25, 0.75]])
    result = score(write(soft_columns(shares, np.array([[0.5, 0.5], [0.5, 0.5]]))))
    assert (result.rows, result.missing_labels) == (1, 1)
    assert result.cost == pytest.approx(math.log(2.0), rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_lists_of_any_float(write, dtype):
    rng = np.random.default_rng(55)
    shares = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.125, 0.375, 0.5]]).astype(dtype)
    logits = rng.standard_normal((3, 3)).astype(dtype)
    table = {"soft_labels": list(shares), "logits": list(logits)}
    kind = pa.list_(pa.from_numpy_dtype(dtype))
    result = score(write(pa.table({name: pa.array(column, kind) for name, column in table.items()})))
    expected = -(shares.astype(float) * log_softmax(logits.astype(float), axis=1)).sum(axis=1).mean()
    assert result.cost == pytest.approx(expected, rel=1e-14)
