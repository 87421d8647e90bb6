"""Laws of the state: merging is associative and commutative, the empty one changes nothing, bytes come back; bit for bit."""

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossent.errors import OptionError, SourceError
from crossent.scoring.classes import ClassMapping
from crossent.scoring.options import Options
from crossent.scoring.reading import Reading
from crossent.scoring.result import Score
from crossent.scoring.state import kept_rows

CLASSES = 3
VALUES = {
    "probs": [0.0, 1e-300, 0.1, 0.3, 0.5, 1.0, math.nan],
    "log_probs": [-math.inf, -690.0, -2.0, -0.7, -1e-20, 0.0, math.nan],
    "logits": [-math.inf, -1e4, -1.0, 0.0, 3.0, 1e4, math.nan, math.inf],
}
WEIGHTS = [0.0, 1e-9, 0.1, 1.0, 3.0, 1e6]


def reading_of(kind: str, *, weighted: bool = False, grouped: bool = False) -> Reading:
    names = [f"p{c}" for c in range(CLASSES)]
    return Reading(
        *("made up", "table", "y", "given", kind, "given", tuple(names)),
        tuple(ClassMapping(str(c), c, name) for c, name in enumerate(names)),
        "given",
        weight_column="w" if weighted else None,
        group_column="g" if grouped else None,
        cluster_column="k" if grouped else None,
    )


rows = st.lists(
    st.tuples(
        st.sampled_from([-100, None, 0, 1, 2]),
        *[st.integers(0, 6)] * CLASSES,
        st.integers(0, len(WEIGHTS) - 1),
        st.sampled_from(["a", "b", ""]),
    ),
    max_size=30,
)
cases = st.tuples(st.sampled_from(list(VALUES)), st.booleans(), st.booleans(), st.sampled_from([0, 20]))


def batch_of(some: list, kind: str) -> pa.RecordBatch:
    columns = {"y": pa.array([row[0] for row in some], pa.int64())}
    for c in range(CLASSES):
        columns[f"p{c}"] = pa.array([VALUES[kind][row[1 + c]] for row in some], pa.float64())
    columns["w"] = pa.array([WEIGHTS[row[-2]] for row in some], pa.float64())
    columns["g"] = columns["k"] = pa.array([row[-1] for row in some], pa.string())
    return pa.record_batch(columns)


def scored(some: list, case: tuple, first: int = 0) -> Score:
    kind, weighted, grouped, replicates = case
    score = Score(reading_of(kind, weighted=weighted, grouped=grouped), Options(worst=3, bootstrap=replicates))
    score.update(batch_of(some, kind), source="file", first_row=first)
    return score


def merged(*scores: Score) -> Score:
    result = Score()
    for score in scores:
        result.merge(score)
    return result


# No deadline: the first example compiles the kernels.
@settings(deadline=None, max_examples=200)
@given(
    every=rows, case=cases, cuts=st.tuples(st.integers(0, 30), st.integers(0, 30)), most=st.sampled_from([0, 5, 100])
)
def test_any_split_in_any_order_gives_the_same_bytes(every, case, cuts, most):
    first, second = (min(cut, len(every)) for cut in sorted(cuts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_rows, "MOST_ROWS", most)  # all binned, some kept, all kept
        parts = [
            scored(every[:first], case),
            scored(every[first:second], case, first),
            scored(every[second:], case, second),
        ]
        whole = scored(every, case).to_bytes()
        assert merged(*parts).to_bytes() == whole
        assert merged(*reversed(parts)).to_bytes() == whole
        assert merged(parts[0], merged(parts[1], parts[2])).to_bytes() == whole
        assert merged(merged(parts[2], parts[0]), parts[1]).to_bytes() == whole
        assert merged(*(Score.from_bytes(part.to_bytes()) for part in parts)).to_bytes() == whole


@settings(deadline=None)
@given(every=rows, case=cases, most=st.sampled_from([0, 100]))
def test_merging_the_empty_one_changes_nothing(every, case, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_rows, "MOST_ROWS", most)
        score = scored(every, case)
        before = score.to_bytes()
        assert score.merge(Score()).to_bytes() == before
        assert score.merge(scored([], case)).to_bytes() == before
        assert Score().merge(score).to_bytes() == before
        assert Score.from_bytes(before).to_bytes() == before
        assert Score.from_bytes(before) == score


def test_merging_leaves_the_other_as_it_was():
    case = ("probs", True, True, 20)
    other = scored([(0, 2, 3, 4, 3, "a")], case)
    before = other.to_bytes()
    scored([(1, 2, 3, 4, 2, "b")], case).merge(other)
    assert other.to_bytes() == before


def test_the_state_is_of_bounded_size():
    score = Score(reading_of("probs"))
    rng = np.random.default_rng(3)
    sizes = []
    for _ in range(4):
        p = rng.dirichlet(np.ones(CLASSES), 100_000)
        columns = {"y": rng.integers(0, CLASSES, 100_000), **{f"p{c}": p[:, c] for c in range(CLASSES)}}
        score.update(pa.record_batch(columns))
        sizes.append(len(score.to_bytes()))
    # 100 000 rows are kept whole, 48 bytes each; more are bins of three counts for three classes and for the top.
    assert sizes[0] < 100_000 * 8 * (CLASSES + 4)
    assert max(sizes[1:]) < 4096 * 4 * 8 * 2 * 3 + 200_000
    assert sizes[3] < 1.1 * sizes[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "logits"}, "`other` must be a score of the same kind, its predictions is 'logits' and not 'probs'"),
        ({"weight_column": "w"}, "`other` must be a score of the same kind, its weight is 'w' and not None"),
    ],
)
def test_scores_of_another_kind_are_refused(change, message):
    own, other = Score(reading_of("probs")), Score(replace(reading_of("probs"), **change))
    with pytest.raises(OptionError) as caught:
        own.merge(other)
    assert str(caught.value) == message


def test_an_empty_score_says_so():
    with pytest.raises(OptionError, match=r"^`Score` is empty: nothing was read$"):
        _ = Score().cost
    assert Score().to_bytes() == merged(Score(), Score()).to_bytes()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (b"", "`state` must be bytes from Score.to_bytes, got 0 bytes of something else"),
        (b"\x80\x04N.", "`state` must be bytes from Score.to_bytes, got 4 bytes of something else"),
        ("text", "`state` must be bytes from Score.to_bytes, got str"),
    ],
)
def test_bytes_that_are_no_state_are_refused(state, message):
    with pytest.raises(SourceError) as caught:
        Score.from_bytes(state)
    assert str(caught.value) == message


def test_a_state_of_another_version_is_refused():
    state = Score().to_bytes()
    version = b"\x01\x00\x00\x001"  # its length and its text, before the name in Arrow's metadata
    assert state.count(version) == 1
    state = state.replace(version, version[:-1] + b"9")
    with pytest.raises(SourceError) as caught:
        Score.from_bytes(state)
    assert str(caught.value) == (
        "`state` must be of version 1, got version 9; score the files again with this version of crossent"
    )


def test_truncated_states_are_refused():
    state = scored([(0, 2, 3, 4, 3, "a")], ("probs", True, True, 20)).to_bytes()
    for length in range(0, len(state) - 8, 97):
        with pytest.raises(SourceError, match=r"^`state` must be "):
            Score.from_bytes(state[:length])
