"""The laws of tests/properties.py, run on every implementation with untame inputs."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossent
from tests import properties, strategies
from tests.implementations import IMPLEMENTATIONS, INFORMATION, Implementation, Information

# The first call of a kernel compiles it, which no deadline should count; derandomized: the seed is the test's own name.
laws = settings(max_examples=60, deadline=None, derandomize=True, database=None)
on_every_implementation = pytest.mark.parametrize("implementation", IMPLEMENTATIONS, ids=str)
on_every_information = pytest.mark.parametrize("information", INFORMATION, ids=str)
# impossible rows are among the inputs, and say so
pytestmark = pytest.mark.filterwarnings("ignore::crossent.errors.ImpossibleEventWarning")


@on_every_implementation
@laws
@given(data=st.data())
def test_adding_a_constant_to_a_row_changes_nothing(implementation: Implementation, data: Any) -> None:
    logits = data.draw(strategies.tame_logits())
    targets, shift = data.draw(strategies.targets(logits.shape)), data.draw(strategies.shifts())
    properties.assert_adding_a_constant_changes_nothing(implementation, logits, targets, shift)


@on_every_implementation
@laws
@given(case=strategies.rows_and_targets())
def test_gradient_rows_sum_to_zero(implementation: Implementation, case: Any) -> None:
    properties.assert_gradient_rows_sum_to_zero(implementation, *case)


@on_every_implementation
@laws
@given(case=strategies.rows_and_targets())
def test_loss_is_zero_or_more_and_never_minus_zero(implementation: Implementation, case: Any) -> None:
    properties.assert_loss_is_zero_or_more(implementation, *case)


@on_every_implementation
@laws
@given(case=strategies.rows_and_targets())
def test_value_and_grad_gives_the_value(implementation: Implementation, case: Any) -> None:
    properties.assert_value_and_grad_gives_the_value(implementation, *case)


@on_every_implementation
@laws
@given(case=strategies.rows_and_targets())
def test_hard_label_is_its_one_hot(implementation: Implementation, case: Any) -> None:
    properties.assert_hard_label_is_its_one_hot(implementation, *case)


@on_every_implementation
@laws
@given(data=st.data())
def test_permuting_classes_permutes_the_gradient(implementation: Implementation, data: Any) -> None:
    logits, targets = data.draw(strategies.rows_and_targets())
    order = np.array(data.draw(st.permutations(range(logits.shape[-1]))), dtype=np.int64)
    properties.assert_permuting_classes_permutes_the_gradient(implementation, logits, targets, order)


@on_every_implementation
@laws
@given(data=st.data())
def test_nan_stays_in_its_row(implementation: Implementation, data: Any) -> None:
    logits, targets = data.draw(strategies.rows_and_targets(min_rows=1))
    place = tuple(data.draw(st.integers(0, size - 1)) for size in logits.shape)
    properties.assert_nan_stays_in_its_row(implementation, logits, targets, place)


@on_every_implementation
@on_every_information
@laws
@given(data=st.data())
def test_cross_entropy_is_at_least_the_entropy(
    implementation: Implementation, information: Information, data: Any
) -> None:
    logits = data.draw(strategies.tame_logits()).astype(np.float64)
    p = data.draw(strategies.distributions(logits.shape))
    properties.assert_cross_entropy_is_at_least_the_entropy(implementation, information, logits, p)


@on_every_information
@laws
@given(pair=strategies.pairs_of_distributions())
def test_kl_divergence_is_zero_or_more(information: Information, pair: Any) -> None:
    properties.assert_kl_is_zero_or_more(information, *pair)


@on_every_information
@laws
@given(pair=strategies.pairs_of_distributions())
def test_js_divergence_is_symmetric_and_at_most_log_2(information: Information, pair: Any) -> None:
    properties.assert_js_is_symmetric_and_at_most_log_2(information, *pair)


@laws
@given(parts=st.lists(strategies.summands(), min_size=3, max_size=3))
def test_merging_exact_sums_is_associative_and_commutative(parts: list[np.ndarray]) -> None:
    properties.assert_merging_is_associative_and_commutative(crossent.ExactSum, parts)


@laws
@given(data=st.data())
def test_exact_sum_is_independent_of_order(data: Any) -> None:
    array = data.draw(strategies.summands())
    order = np.array(data.draw(st.permutations(range(len(array)))), dtype=np.int64)
    properties.assert_sum_is_independent_of_order(crossent.ExactSum, array, order)
