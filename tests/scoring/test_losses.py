"""The loss of each row against mpmath: the exact value for the numbers that the file holds."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossent.errors import ImpossibleEventError, RangeError
from crossent.scoring.score import score
from tests.scoring.tables import columns, soft_columns

ULPS = 4


def exact_losses(labels: np.ndarray, predictions: np.ndarray, kind: str) -> list[mpmath.mpf]:
    """Return the losses that the given numbers have, to 60 digits and more where 1 - p needs them."""
    losses = []
    with mpmath.workdps(400):
        for label, row in zip(labels.tolist(), predictions.tolist(), strict=True):
            values = [mpmath.mpf(value) for value in row]
            if kind == "probs":
                losses.append(mpmath.inf if values[label] == 0 else -mpmath.log(values[label]))
            elif kind == "log_probs":
                losses.append(-values[label])
            else:
                others = mpmath.fsum(mpmath.exp(v - values[label]) for c, v in enumerate(values) if c != label)
                losses.append(mpmath.log1p(others))
    return losses


def assert_row_losses(write, labels: np.ndarray, predictions: np.ndarray, kind: str) -> None:
    prefix = {"probs": "prob_", "logits": "logit_", "log_probs": "log_prob_"}[kind]
    result = score(write(columns(labels, predictions, prefix), f"{kind}.parquet"), worst=len(labels))
    assert len(result.worst) == len(labels)
    exact = exact_losses(labels, predictions, kind)
    for row in result.worst:
        wanted = exact[row.row]
        if wanted == mpmath.inf or float(wanted) == 0.0:
            assert row.loss_nats == float(wanted)
        else:
            with mpmath.workdps(60):
                ulps = abs(mpmath.mpf(row.loss_nats) - wanted) / mpmath.mpf(np.spacing(float(wanted)))
            assert ulps <= ULPS, (kind, row, wanted)
    assert all(math.copysign(1.0, row.loss_nats) == 1.0 for row in result.worst)  # never -0.0


MARGINS = np.concatenate(
    [np.linspace(0.0, 745.0, 150), [1e-300, 1e-17, 1e-8, 30.0, 36.7, 37.5, 87.0, 104.0, 709.0, 744.4]]
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shift", [0.0, 1e4, -1e4])
def test_logits_of_any_margin(write, dtype, shift):
    rng = np.random.default_rng(2)
    margins = np.repeat(MARGINS, 2)
    logits = (rng.uniform(-5.0, 0.0, (len(margins), 3)) + shift).astype(dtype)
    labels = np.arange(len(margins)) % 3
    logits[np.arange(len(margins)), labels] = logits.max(axis=1) + margins.astype(dtype)
    # The truth far above, so that the loss is a rounding of 1 - p; and the same far below.
    assert_row_losses(write, np.concatenate([labels, (labels + 1) % 3]), np.concatenate([logits, logits]), "logits")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e2, 1e4])
def test_logits_of_any_size(write, dtype, scale):
    rng = np.random.default_rng(3)
    logits = (rng.standard_normal((200, 5)) * scale).astype(dtype)
    logits[:20, 1] = logits[:20, 3]  # ties
    assert_row_losses(write, rng.integers(0, 5, 200), logits, "logits")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_probabilities_down_to_the_subnormal_ones(write, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    truths = np.array([tiny, 3 * tiny, np.finfo(dtype).tiny, 0.0, 1.0, 0.5, 0.25, 0.1, 0.9], dtype)
    truths = np.concatenate([truths, np.nextafter(dtype(1), dtype(0))[None]])
    truths = np.concatenate([truths, np.geomspace(float(np.finfo(dtype).tiny), 1.0, 200).astype(dtype)])
    rest = (1.0 - truths.astype(np.float64)).astype(dtype)
    labels = np.zeros(len(truths), int)
    assert_row_losses(write, labels, np.stack([truths, rest], axis=1), "probs")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_probabilities_are_taken_as_they_are(write, dtype):
    tiny = float(np.finfo(dtype).smallest_subnormal)
    truths = -np.array([0.0, tiny, 1e-30, 1e-8, 0.7, 87.0, 745.0, 746.0, 1e4, 1e12], dtype)
    rest = np.log(-np.expm1(np.minimum(truths.astype(np.float64), -1e-300))).astype(dtype)
    rest = np.where(truths == 0.0, -np.inf, rest).astype(dtype)
    labels = np.zeros(len(truths), int)
    result = score(write(columns(labels, np.stack([truths, rest], axis=1), "log_prob_")), worst=20)
    assert {row.row: row.loss_nats for row in result.worst} == dict(enumerate((0.0 - truths.astype(float)).tolist()))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 3), min_size=1, max_size=20), st.integers(0, 2))
def test_any_logits(write, rows, label):
    assert_row_losses(write, np.full(len(rows), label), np.array(rows), "logits")


@pytest.mark.parametrize("kind", ["probs", "logits", "log_probs"])
def test_one_row(write, kind):
    rows = {"probs": [0.25, 0.75], "logits": [0.0, math.log(3.0)], "log_probs": [math.log(0.25), math.log(0.75)]}[kind]
    prefix = {"probs": "prob_", "logits": "logit_", "log_probs": "log_prob_"}[kind]
    result = score(write(columns([0], np.array([rows]), prefix)))
    assert result.cost == pytest.approx(math.log(4.0), rel=1e-15)
    assert result.rows == result.calibration.top_label.rows == 1
    assert math.isnan(result.interval.low)
    assert result.prior_cost == 0.0
    assert math.isnan(result.improvement)


def test_infinite_logits(write):
    inf = math.inf
    logits = np.array([[inf, 0.0], [-inf, 0.0], [0.0, -inf], [-inf, -inf], [inf, inf], [math.nan, 0.0], [0.0, 0.0]])
    result = score(write(columns([0] * 7, logits, "logit_")), worst=7)
    losses = {row.row: row.loss_nats for row in result.worst}
    assert losses == {0: 0.0, 1: inf, 2: 0.0, 6: math.log(2.0)}
    assert (result.undefined, result.impossible) == (3, 1)  # rows 3, 4 and 5 are no distribution
    assert math.isnan(result.cost)
    assert result.finite_cost == pytest.approx(math.log(2.0) / 3, rel=1e-15)
    assert result.calibration.top_label.rows == 4


def test_zeros_and_ones_of_probabilities(write):
    predictions = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.5, 0.5]])
    result = score(write(columns([0, 0, 0, 0], predictions)), probs="prob_", worst=4)
    assert {row.row: row.loss_nats for row in result.worst} == {0: 0.0, 1: math.inf, 2: math.inf, 3: math.log(2.0)}
    assert (result.cost, result.impossible) == (math.inf, 2)


@pytest.mark.parametrize(
    ("prefix", "row"),
    [("prob_", [0.0, 1.0]), ("logit_", [-math.inf, 3.0]), ("log_prob_", [-math.inf, 0.0])],
)
def test_zero_means_the_same_for_predictions_of_every_kind(write, prefix, row):
    usual = {"prob_": [0.5, 0.5], "logit_": [1.0, 1.0], "log_prob_": [math.log(0.5)] * 2}[prefix]
    path = write(columns([0, 0], np.array([usual, row]), prefix))
    assert score(path).cost == math.inf
    clipped = score(path, zero="clip", eps=1e-3)
    assert clipped.cost == pytest.approx((math.log(2.0) + math.log(1e3)) / 2, rel=1e-15)
    assert clipped.clipped == 1
    with pytest.raises(ImpossibleEventError) as caught:
        score(path, zero="raise")
    assert str(caught.value) == (
        f"`zero` is 'raise', and row 1 of '{path}' has prediction 0 where the truth is; zero='inf' counts such rows"
    )


@pytest.mark.parametrize(("name", "rows"), [("nll", [0.5, math.inf]), ("logprob", [-0.5, -math.inf])])
def test_zero_means_the_same_where_only_the_truth_is_known(write, name, rows):
    path = write({name: rows})
    assert score(path).cost == math.inf
    assert score(path, zero="clip", eps=1e-3).cost == pytest.approx((0.5 + math.log(1e3)) / 2, rel=1e-15)
    with pytest.raises(ImpossibleEventError):
        score(path, zero="raise")


@pytest.mark.parametrize("prefix", ["prob_", "logit_"])
def test_soft_labels_are_clipped_class_by_class(write, prefix):
    predictions = np.array([[0.0, 0.25, 0.75], [0.2, 0.2, 0.6], [1e-9, 0.0, 1.0 - 1e-9]])
    shares = np.array([[0.5, 0.5, 0.0], [0.1, 0.2, 0.7], [0.25, 0.25, 0.5]])
    with np.errstate(divide="ignore"):
        stored = predictions if prefix == "prob_" else np.log(predictions)
    result = score(write(soft_columns(shares, stored, prefix)), zero="clip", eps=1e-3)
    expected = -(shares * np.log(np.maximum(predictions, 1e-3))).sum(axis=1)
    assert result.cost == pytest.approx(expected.mean(), rel=1e-14)
    assert (result.clipped, result.impossible) == (2, 0)
    by_class = (shares * -np.log(np.maximum(predictions, 1e-3))).sum(axis=0) / shares.sum(axis=0)
    assert [each.cost for each in result.classes] == pytest.approx(by_class.tolist(), rel=1e-13)


@pytest.mark.parametrize(("prefix", "value"), [("prob_", 1.5), ("prob_", -1e-300), ("log_prob_", 1e-17)])
def test_predictions_out_of_range(write, prefix, value):
    usual = {"prob_": [0.25, 0.75], "log_prob_": [math.log(0.25), math.log(0.75)]}[prefix]
    path = write(columns([0, 1, 1], np.array([usual, [usual[0], value], usual]), prefix))
    domain = {"prob_": "in [0, 1]", "log_prob_": "at most 0"}[prefix]
    with pytest.raises(RangeError) as caught:
        score(path)
    assert str(caught.value) == (
        f"`{prefix}1` must be {domain}, row 1 has {value:.17g}; if these are logits, say so with `logits`"
    )


def test_losses_too_large_to_add_up(write):
    path = write(columns([0, 1], np.array([[0.0, 0.0], [0.0, -1e30]]), "logit_"))
    with pytest.raises(RangeError) as caught:
        score(path)
    assert str(caught.value) == (
        f"losses times weights must be below 2**40 nats, row 1 of '{path}' has 1e+30; "
        f"are the predictions logits, and the weights weights?"
    )
