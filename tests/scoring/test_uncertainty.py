"""Intervals of the mean loss against numpy, statsmodels and simulation."""

import math

import numpy as np
import pyarrow as pa
import pytest
import statsmodels.api as sm
from pyarrow import parquet
from scipy import stats

from crossent.cli.app import run
from crossent.scoring.score import score
from tests.scoring.tables import columns, drawn, softmax


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, probabilities (5000, 3) and losses."""
    rng = np.random.default_rng(31)
    predictions = softmax(rng.standard_normal((5000, 3)) * 2.0)
    labels = drawn(rng, predictions)
    return labels, predictions, -np.log(predictions[np.arange(5000), labels])


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_independent_rows(write, rows, level):
    labels, predictions, losses = rows
    interval = score(write(columns(labels, predictions)), level=level).interval
    error = losses.std(ddof=1) / math.sqrt(5000)
    low, high = stats.norm.interval(level, losses.mean(), error)
    assert interval.standard_error == pytest.approx(error, rel=1e-13)
    assert interval.low == pytest.approx(low, rel=1e-13)
    assert interval.high == pytest.approx(high, rel=1e-13)
    assert (interval.method, interval.level, interval.units) == ("normal", level, 5000)


def test_weights_are_linearized(write, rows):
    labels, predictions, losses = rows
    weights = np.random.default_rng(32).exponential(size=5000)
    interval = score(write(columns(labels, predictions, w=weights)), weight="w").interval
    mean = np.average(losses, weights=weights)
    variance = np.sum((weights * (losses - mean)) ** 2) / weights.sum() ** 2 * 5000 / 4999
    assert interval.standard_error == pytest.approx(math.sqrt(variance), rel=1e-12)
    # Which is what survey statistics has for a ratio: the regression on a constant, with White's errors and n / (n - 1).
    ratio = sm.WLS(losses, np.ones(5000), weights=weights).fit(cov_type="HC1")
    assert interval.standard_error == pytest.approx(ratio.bse[0], rel=1e-11)
    assert (interval.low + interval.high) / 2 == pytest.approx(ratio.params[0], rel=1e-13)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_clusters_as_statsmodels(write, rows, is_weighted):
    labels, predictions, losses = rows
    rng = np.random.default_rng(33)
    clusters = rng.integers(0, 60, 5000)
    weights = rng.random(5000) + 0.5 if is_weighted else np.ones(5000)
    path = write(columns(labels, predictions, w=weights, c=clusters.astype(str)))
    interval = score(path, weight="w", cluster="c").interval
    model = sm.WLS(losses, np.ones(5000), weights=weights)
    # statsmodels multiplies by G / (G - 1) (n - 1) / (n - k), and k = 1 leaves our G / (G - 1).
    expected = model.fit(cov_type="cluster", cov_kwds={"groups": clusters}).bse[0]
    assert interval.standard_error == pytest.approx(expected, rel=1e-11)
    assert (interval.method, interval.units) == ("cluster", 60)


def test_clusters_of_one_row_are_rows(write, rows):
    labels, predictions, _ = rows
    path = write(columns(labels, predictions, c=[str(i) for i in range(5000)]))
    ours, alone = score(path, cluster="c").interval, score(path).interval
    assert ours.standard_error == pytest.approx(alone.standard_error, rel=1e-14)
    assert (ours.low, ours.high) == pytest.approx((alone.low, alone.high), rel=1e-14)


def test_a_cluster_repeated_is_no_news(write, rows):
    # Every row four times in its own cluster: the interval of the single rows, where the normal one would halve.
    labels, predictions, _ = rows
    once = score(write(columns(labels, predictions), "once.parquet")).interval
    names = np.repeat([f"c{i}" for i in range(5000)], 4)
    table = columns(np.repeat(labels, 4), np.repeat(predictions, 4, axis=0), c=names)
    four = score(write(table, "four.parquet"), cluster="c").interval
    assert four.standard_error == pytest.approx(once.standard_error, rel=1e-13)


def test_groups_are_intervals_of_their_own(write, rows):
    labels, predictions, losses = rows
    rng = np.random.default_rng(34)
    groups, weights = rng.integers(0, 3, 5000), rng.random(5000)
    groups[7] = 3  # alone
    result = score(write(columns(labels, predictions, w=weights, g=[f"g{i}" for i in groups])), by="g", weight="w")
    assert [each.name for each in result.groups] == ["g0", "g1", "g2", "g3"]
    for i, each in enumerate(result.groups[:3]):
        own, w = losses[groups == i], weights[groups == i]
        mean = np.average(own, weights=w)
        n = len(own)
        error = math.sqrt(np.sum((w * (own - mean)) ** 2) / w.sum() ** 2 * n / (n - 1))
        assert each.interval.standard_error == pytest.approx(error, rel=1e-12)
        assert each.finite_cost == pytest.approx(mean, rel=1e-13)
        assert each.interval.units == each.rows == n
    assert math.isnan(result.groups[3].interval.standard_error)


def test_impossible_rows_take_no_part(write, rows):
    labels, predictions, losses = rows
    predictions = predictions.copy()
    predictions[:10] = np.eye(3)[(labels[:10] + 1) % 3]
    predictions[10:20] = np.nan
    result = score(write(columns(labels, predictions)))
    interval, left = result.interval, losses[20:]
    assert (result.impossible, result.undefined) == (10, 10)
    assert interval.standard_error == pytest.approx(left.std(ddof=1) / math.sqrt(4980), rel=1e-12)
    assert interval.units == 4980


def test_bootstrap_comes_close_to_the_normal_interval(write, rows):
    labels, predictions, losses = rows
    path = write(columns(labels, predictions))
    normal, interval = score(path).interval, score(path, bootstrap=2000).interval
    # The standard deviation of 2000 replicates is off by 1 / sqrt(2 * 2000) = 1.6 % (one sigma), quantiles at 2.5 % by
    # sqrt(0.025 * 0.975 / 2000) / 0.0584 = 6 % of a standard error. Four sigmas each.
    assert interval.standard_error == pytest.approx(normal.standard_error, rel=4 * 0.016)
    assert interval.low == pytest.approx(normal.low, abs=4 * 0.06 * normal.standard_error)
    assert interval.high == pytest.approx(normal.high, abs=4 * 0.06 * normal.standard_error)
    assert (interval.method, interval.units) == ("bootstrap", 2000)
    assert interval.low < losses.mean() < interval.high


def test_bootstrap_with_weights(write, rows):
    labels, predictions, _ = rows
    weights = np.random.default_rng(35).exponential(size=5000)
    path = write(columns(labels, predictions, w=weights))
    normal, interval = score(path, weight="w").interval, score(path, weight="w", bootstrap=2000).interval
    assert interval.standard_error == pytest.approx(normal.standard_error, rel=4 * 0.016)


def test_bootstrap_knows_rows_by_their_id(write, rows):
    labels, predictions, _ = rows
    ids = np.arange(5000)
    expected = score(write(columns(labels, predictions, id=ids), "one.parquet"), bootstrap=50, worst=0)
    order = np.random.default_rng(36).permutation(5000)
    table = columns(labels[order], predictions[order], id=ids[order])
    shuffled = score(write(table, "two.parquet", rows_per_batch=77), bootstrap=50, worst=0)
    assert expected.reading.id_column == "id"
    assert shuffled.interval == expected.interval
    path = write(columns(labels, predictions, id=ids), "one.parquet")
    for batch_rows in (13, 4999):
        assert score(path, bootstrap=50, worst=0, batch_rows=batch_rows).interval == expected.interval


def test_rows_without_ids_are_not_drawn_together(write):
    # Replicates of rows that alternate between two losses: with draws that follow the row's number in any simple way
    # (all even rows together) the spread would be far from 1 / sqrt(n).
    p = np.where(np.arange(4096) % 2 == 0, 0.9, 0.1)
    path = write(columns(np.ones(4096, int), np.stack([1.0 - p, p], axis=1)))
    normal, interval = score(path).interval, score(path, bootstrap=2000).interval
    assert interval.standard_error == pytest.approx(normal.standard_error, rel=4 * 0.016)


@pytest.mark.parametrize("form", ["normal", "cluster", "bootstrap"])
def test_one_row_and_equal_rows(write, form):
    options = {"cluster": "c"} if form == "cluster" else {"bootstrap": 20} if form == "bootstrap" else {}
    one = score(write(columns([0], np.array([[0.25, 0.75]]), c=["a"])), **options).interval
    assert math.isnan(one.standard_error)
    equal = score(write(columns([0] * 50, np.full((50, 2), 0.5), c=list("ab") * 25)), **options).interval
    # Each replicate's mean is a quotient of two sums that are rounded.
    assert equal.standard_error == pytest.approx(0.0, abs=2e-16 if form == "bootstrap" else 0.0)
    assert (equal.low, equal.high) == pytest.approx((math.log(2.0), math.log(2.0)), rel=4e-16)


def test_a_large_offset_loses_no_digits(write):
    # sum l**2 - (sum l)**2 / n in doubles would keep three digits of this spread.
    losses = 1e6 + np.random.default_rng(37).random(1000) * 1e-2
    interval = score(write({"nll": losses})).interval
    assert interval.standard_error == pytest.approx(np.std(losses - 1e6, ddof=1) / math.sqrt(1000), rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["normal", "bootstrap", "cluster"])
def test_coverage(tmp_path, form):
    # 400 samples of 400 rows, truths drawn from the predictions, so that the mean is known: that of 2e6 rows.
    rng = np.random.default_rng(38)
    rows_per_cluster = 8 if form == "cluster" else 1

    def sample(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        clusters = rows // rows_per_cluster
        of_cluster = rng.standard_normal((clusters, 1, 3)) * 1.5
        logits = of_cluster + rng.standard_normal((clusters, rows_per_cluster, 3)) * 0.5
        predictions = softmax(logits.reshape(rows, 3))
        return drawn(rng, predictions), predictions, np.repeat(np.arange(clusters), rows_per_cluster)

    labels, predictions, _ = sample(2_000_000)
    truth = -np.log(predictions[np.arange(len(labels)), labels]).mean()
    covered, covered_as_if_independent = 0, 0
    for i in range(400):
        labels, predictions, clusters = sample(400)
        path = tmp_path / f"{i}.parquet"
        parquet.write_table(pa.table(columns(labels, predictions, c=clusters.astype(str))), path)
        options = {"cluster": "c"} if form == "cluster" else {"bootstrap": 500} if form == "bootstrap" else {}
        interval, alone = score(path, level=0.9, **options).interval, score(path, level=0.9).interval
        covered += interval.low <= truth <= interval.high
        covered_as_if_independent += alone.low <= truth <= alone.high
    # 90 % of 400 are 360 with sigma 6: four of them, and eight below for skewed losses and 50 clusters.
    assert 360 - 32 <= covered <= 360 + 24
    if form == "cluster":
        # Rows of a cluster are alike: counted as independent they promise too much.
        assert covered_as_if_independent < covered - 12


@pytest.mark.parametrize("extra", [{}, {"bootstrap": 100}, {"cluster": "id"}])
@pytest.mark.parametrize("others", [[], [0.0], [float("nan")]])
def test_one_row_has_no_interval_whatever_the_method(write, extra, others):
    first = [0.5, *others]
    table = {"id": list(range(len(first))), "target": ["a"] * len(first), "p_a": first, "p_b": [1.0 - p for p in first]}
    interval = score(write(table), **extra).interval
    assert [math.isnan(each) for each in (interval.standard_error, interval.low, interval.high)] == [True] * 3


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ((), "No interval: it takes two rows with a finite loss."),
        (("--bootstrap", "100"), "No interval: it takes two rows with a finite loss."),
        (("--cluster", "day"), "No interval: it takes two clusters that have rows with a finite loss."),
        (("--against", "a.parquet"), "No interval: it takes two rows with a finite loss."),
    ],
)
def test_the_screen_says_why_there_is_no_interval(tmp_path, monkeypatch, capsys, option, said):
    monkeypatch.chdir(tmp_path)
    rows = 2 if "--cluster" in option else 1
    table = {"target": ["a"] * rows, "day": [1] * rows, "p_a": [0.5] * rows, "p_b": [0.5] * rows}
    parquet.write_table(pa.table(table), "a.parquet")
    assert run(["score", "a.parquet", *option]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown.count(said) == (2 if "--against" in option else 1)
    assert not any("Standard error" in line for line in shown)
