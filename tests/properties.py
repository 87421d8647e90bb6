"""The laws of cross-entropy, each named once; tests/test_properties.py runs them on every implementation."""

from collections.abc import Callable

import numpy as np

from tests.implementations import Implementation, Information

Array = np.ndarray
LN_2 = float(np.log(2.0))


def assert_adding_a_constant_changes_nothing(
    implementation: Implementation, logits: Array, targets: Array, shift: float
) -> None:
    """Loss and gradient stay within twice what they may be wrong by; `logits + shift` must be exact."""
    shifted = (logits + shift).astype(logits.dtype)
    assert np.array_equal(shifted.astype(np.float64), logits.astype(np.float64) + shift), "the strategy's promise"
    value, grad = implementation.value_and_grad(logits, targets)
    shifted_value, shifted_grad = implementation.value_and_grad(shifted, targets)
    assert_close_in_ulp(implementation, logits, shifted_value, value)
    assert_close_in_ulp(implementation, logits, shifted_grad, grad)


def assert_gradient_rows_sum_to_zero(implementation: Implementation, logits: Array, targets: Array) -> None:
    """Within the rounding of the entries: their magnitudes sum to at most 2, each wrong by a few ulp."""
    grad = implementation.value_and_grad(logits, targets)[1]
    sums = np.sum(grad, axis=-1, dtype=np.float64)
    allowed_ulp = promised_ulp(implementation, logits)
    bound = 2.0 * allowed_ulp * np.finfo(grad.dtype).eps + grad.shape[-1] * np.finfo(grad.dtype).smallest_subnormal
    assert np.all(np.isnan(sums) | (np.abs(sums) <= bound)), f"row sums {sums} beyond {bound}"


def assert_loss_is_zero_or_more(implementation: Implementation, logits: Array, targets: Array) -> None:
    """Neither below 0 nor -0.0."""
    losses = np.asarray(implementation.cross_entropy_rows(logits, targets))
    assert np.all(np.isnan(losses) | ~np.signbit(losses)), f"losses {losses}"


def assert_value_and_grad_gives_the_value(implementation: Implementation, logits: Array, targets: Array) -> None:
    """The value beside the gradient has the same bits as the value alone, and both have the promised shape and dtype."""
    value, grad = implementation.value_and_grad(logits, targets)
    alone = np.asarray(implementation.cross_entropy_rows(logits, targets))
    dtype = implementation.result_dtype(logits.dtype.type)
    assert (alone.shape, alone.dtype) == (logits.shape[:-1], dtype)
    assert (grad.shape, grad.dtype) == (logits.shape, dtype)
    np.testing.assert_array_equal(value, alone)


def assert_hard_label_is_its_one_hot(implementation: Implementation, logits: Array, targets: Array) -> None:
    """A class id and its one-hot distribution give the same bits, value and gradient."""
    one_hot = (targets[:, np.newaxis] == np.arange(logits.shape[-1])).astype(logits.dtype)
    for hard, soft in zip(
        implementation.value_and_grad(logits, targets), implementation.value_and_grad(logits, one_hot), strict=True
    ):
        np.testing.assert_array_equal(hard, soft)


def assert_permuting_classes_permutes_the_gradient(
    implementation: Implementation, logits: Array, targets: Array, order: Array
) -> None:
    """Class j becomes class order^-1(j): the loss stays, the gradient moves along."""
    value, grad = implementation.value_and_grad(logits, targets)
    moved = np.argsort(order)[targets.astype(np.int64)]
    moved_value, moved_grad = implementation.value_and_grad(np.ascontiguousarray(logits[:, order]), moved)
    assert_close_in_ulp(implementation, logits, moved_value, value)
    assert_close_in_ulp(implementation, logits, moved_grad, grad[:, order])


def assert_nan_stays_in_its_row(
    implementation: Implementation, logits: Array, targets: Array, place: tuple[int, int]
) -> None:
    """Writing a NaN into one row makes that row NaN and leaves the bits of all others."""
    broken = logits.copy()
    broken[place] = np.nan
    others = np.arange(len(logits)) != place[0]
    for before, after in zip(
        implementation.value_and_grad(logits, targets), implementation.value_and_grad(broken, targets), strict=True
    ):
        assert np.all(np.isnan(after[place[0]]))
        np.testing.assert_array_equal(np.asarray(after)[others], np.asarray(before)[others])


def assert_cross_entropy_is_at_least_the_entropy(
    implementation: Implementation, information: Information, logits: Array, p: Array
) -> None:
    """H(p, softmax(x)) >= H(p), up to rounding and to what p misses of the sum 1."""
    cross = np.asarray(implementation.cross_entropy_rows(logits, p))
    entropy = information.entropy(p)
    # sum p log(p/q) >= sum(p) - sum(q); 64 ulp cover both sums over up to 9 classes and the exponentials of 128 nats
    slack = np.abs(1.0 - p.sum(axis=-1)) + 64 * np.finfo(np.float64).eps * (1.0 + np.abs(entropy))
    slack = slack + (promised_ulp(implementation, logits) + 4) * np.spacing(np.abs(cross))
    assert np.all(cross >= entropy - slack), f"{cross} < {entropy}"


def assert_kl_is_zero_or_more(information: Information, p: Array, q: Array) -> None:
    """KL(p, q) >= sum(p) - sum(q) up to rounding, which is 0 for distributions; and KL(p, p) is 0."""
    with np.errstate(over="ignore"):
        # 32 ulp of the largest magnitude that the terms of up to 9 classes have here: log(2**24) nats
        bound = np.abs(p.sum(axis=-1) - q.sum(axis=-1)) + 32 * np.finfo(np.float64).eps * 17
    assert np.all(np.asarray(information.kl_divergence(p, q)) >= -bound)
    np.testing.assert_array_equal(information.kl_divergence(p, p), np.zeros(len(p)))


def assert_js_is_symmetric_and_at_most_log_2(information: Information, p: Array, q: Array) -> None:
    """JS(p, q) = JS(q, p), between 0 and ln 2."""
    there, back = np.asarray(information.js_divergence(p, q)), np.asarray(information.js_divergence(q, p))
    slack = 16 * np.finfo(np.float64).eps  # sums of p and q differ from 1, and the terms are rounded, by a few ulp
    np.testing.assert_array_equal(there, back)
    assert np.all((there >= -slack) & (there <= LN_2 + slack))


def assert_merging_is_associative_and_commutative(exact_sum: Callable, parts: list[Array]) -> None:
    """Any order, grouping and detour through bytes gives the same bits; an empty sum changes nothing."""

    def of(array: Array) -> object:
        total = exact_sum()
        total.add(array)
        return total

    def merged(first: object, second: object) -> object:
        total = type(first).from_bytes(first.to_bytes())  # a copy: merging may write into its left side
        total.merge(second)
        return total

    first, second, third = (of(part) for part in parts)
    left = merged(merged(first, second), third)
    assert_same_sum(left, merged(first, merged(second, third)))
    assert_same_sum(left, merged(third, merged(second, first)))
    assert_same_sum(left, of(np.concatenate(parts)))
    assert_same_sum(merged(first, exact_sum()), first)
    assert_same_sum(merged(exact_sum(), first), first)


def assert_sum_is_independent_of_order(exact_sum: Callable, array: Array, order: Array) -> None:
    """The sum is the one that math.fsum rounds once, however the numbers are ordered or cut."""
    import math

    total, shuffled, cut = exact_sum(), exact_sum(), exact_sum()
    total.add(array)
    shuffled.add(array[order])
    for number in array:
        cut.add(np.array([number]))
    assert total.value() == math.fsum(array)
    assert_same_sum(total, shuffled)
    assert_same_sum(total, cut)


def assert_same_sum(first: object, second: object) -> None:
    """The same bits, of the value and of the state."""
    assert np.float64(first.value()).tobytes() == np.float64(second.value()).tobytes()
    assert first.to_bytes() == second.to_bytes()


def promised_ulp(implementation: Implementation, logits: Array) -> float:
    """Return the ulp an entry may be wrong by: plain float64 definitions lose up to one per nat below the maximum."""
    if implementation.name != "definitions":
        return implementation.row_ulp
    finite = np.where(np.isfinite(logits), logits, 0).astype(np.float64)
    return implementation.row_ulp + float(np.minimum(np.ptp(finite), 746.0)) if logits.size else 0.0


def assert_close_in_ulp(implementation: Implementation, logits: Array, got: Array, expected: Array) -> None:
    """Two answers to one question differ by at most what both may be wrong by."""
    got, expected = np.asarray(got), np.asarray(expected)
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    finite = np.isfinite(got) & np.isfinite(expected)
    unit = np.spacing(np.abs(np.where(finite, expected, 1)))
    distance = np.abs(np.where(finite, got, 0).astype(np.float64) - np.where(finite, expected, 0)) / unit
    assert np.all(same | (finite & (distance <= 2 * promised_ulp(implementation, logits)))), f"{got} is not {expected}"
