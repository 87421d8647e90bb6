"""Laws of merging: associative, commutative, the empty one changes nothing; bit for bit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossent.scoring.accumulator import Accumulator
from crossent.scoring.rows import IGNORED, MISSING, Rows

CLASSES = 3
PROBABILITIES = np.array([0.0, 1e-300, 0.1, 0.3, 0.5, 1.0, np.nan])

rows = st.lists(
    st.tuples(st.sampled_from([IGNORED, MISSING, 0, 1, 2]), *[st.integers(0, len(PROBABILITIES) - 1)] * CLASSES),
    max_size=30,
)


def accumulated(some: list) -> Accumulator:
    state = Accumulator(CLASSES)
    table = np.array(some, np.int64).reshape(-1, 1 + CLASSES)
    state.update(Rows(PROBABILITIES[table[:, 1:]], table[:, 0]), "probs")
    return state


def merged(*states: Accumulator) -> Accumulator:
    result = Accumulator(CLASSES)
    for state in states:
        result.merge(state)
    return result


def contents(state: Accumulator) -> dict:
    plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(state).items()}
    return plain | {"finite_losses": {label: losses.value() for label, losses in sorted(state.finite_losses.items())}}


# No deadline: the first example compiles the kernels.
@settings(deadline=None)
@given(every=rows, cuts=st.tuples(st.integers(0, 30), st.integers(0, 30)))
def test_any_split_in_any_order_gives_the_same_bits(every, cuts):
    first, second = sorted(cuts)
    parts = [accumulated(part) for part in (every[:first], every[first:second], every[second:])]
    whole = contents(accumulated(every))
    assert contents(merged(*parts)) == whole
    assert contents(merged(*reversed(parts))) == whole
    assert contents(merged(parts[0], merged(parts[1], parts[2]))) == whole


@settings(deadline=None)
@given(every=rows)
def test_merging_the_empty_one_changes_nothing(every):
    state = accumulated(every)
    before = contents(state)
    state.merge(Accumulator(CLASSES))
    assert contents(state) == before
    assert contents(merged(Accumulator(CLASSES), state)) == before


@settings(deadline=None)
@given(every=rows)
def test_counts_and_sums_are_those_of_a_plain_loop(every):
    state = accumulated(every)
    losses = []
    for label, *positions in every:
        predictions = PROBABILITIES[positions]
        if label >= 0 and not np.isnan(predictions).any() and predictions[label] > 0.0:
            losses.append(-math.log(predictions[label]))
    labels = [label for label, *_ in every]
    assert state.missing_labels == labels.count(MISSING)
    assert state.ignored_labels == labels.count(IGNORED)
    assert state.rows.tolist() == [labels.count(index) for index in range(CLASSES)]
    assert state.rows.sum() - state.impossible.sum() - state.undefined.sum() == len(losses)
    assert state.total().value() == pytest.approx(math.fsum(losses), rel=2e-15)
