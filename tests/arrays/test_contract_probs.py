"""Contract: rows of probabilities that do not sum to 1, and binary cross-entropy against the oracle."""

import numpy as np
import pytest

import crossent
from crossent.errors import NormalizationError, NormalizationWarning
from tests.arrays.numbers import DTYPES, assert_within_ulp, distributions, labels, normal, result_dtype
from tests.oracle import oracle

every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
PROBS = np.array([[0.5, 0.5], [0.5, 0.25], [1.0, 0.5]])


def test_sums_other_than_one_are_said_once_with_the_farthest() -> None:
    with pytest.warns(NormalizationWarning) as caught:
        got = crossent.cross_entropy_from_probs(PROBS, [0, 0, 0], reduction="none", base=2)
    assert len(caught) == 1
    assert str(caught[0].message) == (
        "2 of 3 rows of `probs` do not sum to 1; the farthest, row 2, sums to 1.5. "
        'Pass normalized="rescale" to divide by the sum, or "ignore".'
    )
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(got, [1.0, 1.0, 0.0])


def test_rescale_raise_and_ignore() -> None:
    got = crossent.cross_entropy_from_probs_and_grad(PROBS, [0, 0, 0], normalized="rescale", reduction="none")
    rescaled = [oracle.negative_log(0.5), -oracle.exact.log(oracle.exact.mpf(2) / 3)]
    assert_within_ulp(got.value, [float(rescaled[0]), float(rescaled[1]), float(rescaled[1])], 2)
    # sum(y) / sum(q) - y_j / q_j
    assert_within_ulp(got.grad, [[-1.0, 1.0], [1 / 0.75 - 2.0, 1 / 0.75], [1 / 1.5 - 1.0, 1 / 1.5]], 4)
    ignored = crossent.cross_entropy_from_probs(PROBS, [0, 0, 0], normalized="ignore", reduction="none", base=2)
    np.testing.assert_array_equal(ignored, [1.0, 1.0, 0.0])
    with pytest.raises(NormalizationError):
        crossent.cross_entropy_from_probs(PROBS, [0, 0, 0], normalized="raise")
    assert crossent.cross_entropy_from_probs(PROBS[:1], [0], normalized="raise", base=2) == 1.0


def test_rows_that_do_not_take_part_may_hold_anything() -> None:
    probs, ids = np.array([[0.5, 0.5], [-1.0, 9.0]]), np.array([0, 0])
    for options in ({"where": [True, False]}, {"ignore_index": -1}):
        ids[1] = -1 if "ignore_index" in options else 0
        got = crossent.cross_entropy_from_probs_and_grad(probs, ids, base=2, **options)
        assert got.value == 1.0
        assert got.grad[1].tolist() == [0.0, 0.0]
    got = crossent.cross_entropy_from_log_probs([[-1.0, -0.5], [3.0, 4.0]], [0, 0], where=[True, False])
    assert got == 1.0
    got = crossent.binary_cross_entropy_from_probs_and_grad([0.5, -3.0], [1, 7], where=[True, False], base=2)
    assert got.value == 1.0
    assert got.grad[1] == 0.0


@every_dtype
def test_probabilities_rounded_to_their_own_dtype_sum_to_one(dtype: np.dtype) -> None:
    probs = distributions((50, 20), dtype)
    crossent.cross_entropy_from_probs(probs, labels((50,), 20), normalized="raise")


@pytest.mark.parametrize("classes", [1, 2, 65])
@every_dtype
def test_probabilities_against_the_oracle(dtype: np.dtype, classes: int) -> None:
    probs, y = distributions((5, classes), dtype), distributions((5, classes), seed=9)
    logs = np.log(probs.astype(np.float64)).astype(dtype)
    ids = labels((5,), classes)
    for targets, ulp in ((ids, 1), (y, 4)):
        each = [oracle.soft_target(t.tolist()) if t.ndim else oracle.hard_target(int(t)) for t in targets]
        got = crossent.cross_entropy_from_probs_and_grad(probs, targets, reduction="none", normalized="ignore")
        rows = [[float(q) for q in row] for row in probs]
        assert_within_ulp(got.value, [float(oracle.cross_entropy(t, q)) for t, q in zip(each, rows, strict=True)], ulp)
        exact = [
            [float(oracle.cross_entropy_gradient(t, q, c)) for c in range(classes)]
            for t, q in zip(each, rows, strict=True)
        ]
        assert_within_ulp(got.grad, exact, 2)
        got = crossent.cross_entropy_from_log_probs_and_grad(logs, targets, reduction="none")
        exact_log = [
            -sum(w * oracle.exact.mpf(float(q[c])) for c, w in t.items()) for t, q in zip(each, logs, strict=True)
        ]
        assert_within_ulp(got.value, [float(value) for value in exact_log], 1)
        dense = [[-float(t.get(c, 0)) for c in range(classes)] for t in each]
        np.testing.assert_array_equal(got.grad, np.array(dense).astype(result_dtype(dtype)))


@every_dtype
def test_binary_logits_against_the_oracle(dtype: np.dtype) -> None:
    logits = np.concatenate([normal((30,), dtype, spread=5.0), np.array([0.0, 80.0, -80.0], dtype)])
    for targets in (labels((33,), 2), np.random.default_rng(5).random(33)):
        got = crossent.binary_cross_entropy_and_grad(logits, targets, reduction="none")
        exact = [oracle.sigmoid_cross_entropy(float(x), float(y)) for x, y in zip(logits, targets, strict=True)]
        assert_within_ulp(got.value, [float(loss) for loss, _, _ in exact], 4)
        assert_within_ulp(got.grad, [float(g) for _, g, _ in exact], 4, scale=[float(s) for _, _, s in exact])


@every_dtype
def test_binary_probabilities_against_the_oracle(dtype: np.dtype) -> None:
    probs = np.concatenate([np.random.default_rng(5).random(30) * 0.95, [0.5, 1e-4, 0.98]]).astype(dtype)
    ids = labels((33,), 2)
    got = crossent.binary_cross_entropy_from_probs_and_grad(probs, ids, reduction="none")
    chosen = [
        oracle.exact.mpf(float(q)) if y else 1 - oracle.exact.mpf(float(q)) for q, y in zip(probs, ids, strict=True)
    ]
    assert_within_ulp(got.value, [float(oracle.negative_log(q)) for q in chosen], 4)
    assert_within_ulp(got.grad, [float((1 - 2 * int(y)) / q) for q, y in zip(chosen, ids, strict=True)], 4)


def test_binary_options() -> None:
    logits, ids = normal((4,)), np.array([0, 1, 1, 0])
    weight, pair = np.array([1.0, 2.0, 0.5, 0.0]), np.array([0.1, 0.7])
    for e in (0.0, 0.2, 1.0):
        rows = crossent.binary_cross_entropy(logits, ids, class_weight=pair, label_smoothing=e, reduction="none")
        for x, y, got in zip(logits, ids, rows, strict=True):
            soft = (1 - oracle.exact.mpf(e)) * int(y) + oracle.exact.mpf(e) / 2
            up, down = (oracle.sigmoid_cross_entropy(float(x), t)[0] for t in (1.0, 0.0))
            assert_within_ulp(got, float(pair[1] * soft * up + pair[0] * (1 - soft) * down), 6)
    rows = crossent.binary_cross_entropy(logits, ids, class_weight=pair, reduction="none")
    mean = crossent.binary_cross_entropy(logits, ids, class_weight=pair, sample_weight=weight)
    by = np.sum(weight * pair[ids])
    assert mean == pytest.approx(np.sum(rows * weight) / by, rel=8 * 2.0**-52)
    marked = np.array([0, -1, 1, 0])
    got = crossent.binary_cross_entropy_and_grad(logits, marked, ignore_index=-1)
    wanted = crossent.binary_cross_entropy_and_grad(logits, ids, where=[True, False, True, True])
    assert got.value == wanted.value
    np.testing.assert_array_equal(got.grad, wanted.grad)
    assert got.grad[1] == 0.0
    assert np.isnan(crossent.binary_cross_entropy(np.zeros(0), np.zeros(0, int)))
    # weights 0.1 and 0.7 of certain elements are those numbers, not 0.1 + (0.7 - 0.1)
    for y, w in ((0, 0.3), (1, 0.9)):
        one = crossent.binary_cross_entropy([0.0], [y], class_weight=[0.3, 0.9], reduction="sum")
        assert crossent.binary_cross_entropy([0.0], [y], class_weight=[0.3, 0.9]) == one / w
