"""Two files of predictions of the same rows, against NumPy on their losses."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest

from crossent.errors import OptionError, SourceError
from crossent.scoring.comparison import compare
from crossent.scoring.score import score

N = 500


@pytest.fixture
def two(write):
    rng = np.random.default_rng(11)
    labels = rng.integers(0, 3, N)
    sides = [rng.dirichlet([0.6, 1.0, 2.0], N) for _ in range(2)]
    names = np.array([f"row {i}" for i in range(N)])

    def files(order=None, change=None, **more):
        paths = []
        for number, side in enumerate(sides):
            columns = {"id": names, "target": labels, **{f"p_{c}": side[:, c].copy() for c in range(3)}, **more}
            if number == 1 and change is not None:
                change(columns)
            if number == 1 and order is not None:
                columns = {name: np.asarray(values)[order] for name, values in columns.items()}
            paths.append(write(columns, f"{number}.parquet", 77))
        return paths

    losses = [-np.log(side[np.arange(N), labels]) for side in sides]
    return files, losses[0] - losses[1]


def test_the_difference_and_its_interval(two):
    files, difference = two
    first, second = files()
    result = compare(first, second)
    assert result.rows == N
    assert result.difference_nats == pytest.approx(math.fsum(difference) / N, rel=1e-13)
    assert result.interval.standard_error == pytest.approx(difference.std(ddof=1) / math.sqrt(N), rel=1e-10)
    assert (result.better, result.worse) == (np.count_nonzero(difference < 0), np.count_nonzero(difference > 0))
    assert result.first.to_bytes() == score(first).to_bytes()
    assert result.second.to_bytes() == score(second).to_bytes()
    assert result.first.cost - result.second.cost == pytest.approx(result.difference_nats, rel=1e-10)


def test_rows_in_another_order_are_joined_on_their_key(two):
    files, _ = two
    expected = compare(*files())
    shuffled = compare(*files(order=np.random.default_rng(2).permutation(N)), on="id")
    assert shuffled.difference_nats == expected.difference_nats
    assert shuffled.interval == expected.interval
    assert (shuffled.better, shuffled.worse, shuffled.equal) == (expected.better, expected.worse, expected.equal)


def test_weights_and_clusters_of_the_first(two):
    files, difference = two
    rng = np.random.default_rng(5)
    weights, clusters = rng.random(N), rng.integers(0, 20, N)
    result = compare(*files(w=weights, k=clusters), weight="w", cluster="k")
    mean = (weights * difference).sum() / weights.sum()
    assert result.difference_nats == pytest.approx(mean, rel=1e-12)
    sums = np.bincount(clusters, weights * (difference - mean))
    error = math.sqrt((sums**2).sum() * 20 / 19) / weights.sum()
    assert result.interval.standard_error == pytest.approx(error, rel=1e-9)
    assert result.interval.units == 20


def test_impossible_rows_are_counted_apart(two):
    files, difference = two

    def spoil(columns):
        columns["p_0"][:] = np.where(np.arange(N) < 60, 0.0, columns["p_0"])

    first, second = files(change=spoil)
    result = compare(first, second)
    labels = pa.parquet.read_table(second).column("target").to_numpy()
    lost = (np.arange(N) < 60) & (labels == 0)
    assert result.impossible_in_second == np.count_nonzero(lost)
    assert (result.impossible_in_first, result.impossible_in_both) == (0, 0)
    assert result.rows == N - np.count_nonzero(lost)
    assert result.difference_nats == pytest.approx(difference[~lost].mean(), rel=1e-12)


def test_a_file_with_itself_differs_by_nothing(two):
    files, _ = two
    first, _ = files()
    result = compare(first, first)
    assert (result.difference_nats, result.equal) == (0.0, N)
    content = json.loads(result.to_json())
    assert content["difference_nats"] == 0.0
    assert content["first"]["cost"] == content["second"]["cost"] == result.first.cost


def test_rows_that_only_one_scores(two):
    files, difference = two

    def unlabel(columns):
        columns["target"] = pa.array([None if i < 5 else int(t) for i, t in enumerate(columns["target"])])

    result = compare(*files(change=unlabel))
    assert result.not_shared == 5
    assert result.rows == N - 5
    assert result.difference_nats == pytest.approx(difference[5:].mean(), rel=1e-12)


def test_other_truths_are_refused(two):
    files, _ = two

    def relabel(columns):
        columns["target"] = np.where(np.arange(N) == 7, (columns["target"] + 1) % 3, columns["target"])

    first, second = files(change=relabel)
    with pytest.raises(
        SourceError, match=r"^`first` and `second` must have the same truth in each row, row 7 of '.*0\.parquet' is"
    ):
        compare(first, second)


@pytest.mark.parametrize("short", [0, 1])
def test_files_of_different_length_are_refused(two, write, short):
    files, _ = two
    paths = list(files())
    cut = pa.parquet.read_table(paths[short]).slice(0, 100)
    paths[short] = write(cut, "cut.parquet")
    with pytest.raises(
        SourceError,
        match=r"^`second` must have the rows of `first`, it has .*; name the column that both have with `on`$",
    ):
        compare(*paths)


def test_options_that_it_does_not_have(two):
    files, _ = two
    with pytest.raises(
        OptionError, match=r"^`compare` has no option `engine`; it takes those of `score` about columns"
    ):
        compare(*files(), engine="dask")
    with pytest.raises(OptionError, match=r"^`first` and `second` must be paths of files"):
        compare(pa.table({"a": [1]}), "b.parquet")
