"""The best temperature against scipy's minimizer on the same rows, from every row and from sums."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from crossent.scoring.score import score
from crossent.scoring.state import kept_rows
from tests.scoring.tables import columns, drawn, keep_no_rows, soft_columns, softmax


def tempered_costs(beta: float, logs: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Return log sum p**beta - beta sum_j y_j log p_j of each row; zeros of the truth take no part."""
    with np.errstate(invalid="ignore"):
        true = np.where(truths > 0.0, truths * logs, 0.0).sum(axis=1)
    return logsumexp(beta * logs, axis=1) - beta * true


def optimum(logs: np.ndarray, truths: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """Return the best temperature and the cost there, by scipy; the slope's zero, which is sharper than the minimum."""
    chosen = np.isfinite(tempered_costs(1.0, logs, truths))
    logs, truths = logs[chosen], truths[chosen]
    weights = None if weights is None else weights[chosen]

    def cost(log_beta: float) -> float:
        return float(np.average(tempered_costs(math.exp(log_beta), logs, truths), weights=weights))

    found = minimize_scalar(cost, bounds=(-4.0, 4.0), method="bounded", options={"xatol": 1e-12})
    return math.exp(-found.x), float(found.fun)


def exact_slope(beta: float, logs: np.ndarray, truths: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return d cost / d beta by numpy."""
    finite = np.where(np.isfinite(logs), logs, 0.0)
    tempered = softmax(beta * logs)
    return float(np.average((tempered * finite).sum(axis=1) - (truths * finite).sum(axis=1), weights=weights))


@pytest.fixture
def overconfident() -> tuple[np.ndarray, np.ndarray]:
    """Return logits (3000, 4) that are 1.7 times too large, and labels."""
    rng = np.random.default_rng(21)
    logits = rng.standard_normal((3000, 4)) * 2.0
    return 1.7 * logits, drawn(rng, softmax(logits))


@pytest.mark.parametrize("prefix", ["prob_", "logit_", "log_prob_"])
def test_as_scipy_finds_it(write, overconfident, prefix):
    logits, labels = overconfident
    predictions = softmax(logits)
    stored = {"prob_": predictions, "logit_": logits, "log_prob_": np.log(predictions)}[prefix]
    found = score(write(columns(labels, stored, prefix))).temperature
    truths = np.eye(4)[labels]
    best, cost = optimum(logits, truths)
    # A minimum is flat: comparing costs, scipy sees 1 / T to the root of 1e-16.
    assert found.temperature == pytest.approx(best, rel=1e-7)
    assert found.cost_nats == pytest.approx(cost, rel=1e-14)
    # The slope changes its sign within 1e-8 of the answer.
    assert exact_slope((1.0 - 1e-8) / found.temperature, logits, truths) < 0.0
    assert exact_slope((1.0 + 1e-8) / found.temperature, logits, truths) > 0.0
    assert found.gain_nats == pytest.approx(tempered_costs(1.0, logits, truths).mean() - cost, rel=1e-12)
    assert 1.5 < found.temperature < 1.9
    assert found.is_exact
    assert found.is_close


def test_weights(write, overconfident):
    logits, labels = overconfident
    weights = np.random.default_rng(22).exponential(size=3000)
    found = score(write(columns(labels, logits, "logit_", w=weights)), weight="w").temperature
    best, cost = optimum(logits, np.eye(4)[labels], weights)
    assert found.temperature == pytest.approx(best, rel=1e-7)
    assert found.cost_nats == pytest.approx(cost, rel=1e-13)


@pytest.mark.parametrize("prefix", ["prob_", "logit_", "log_prob_"])
def test_soft_labels(write, overconfident, prefix):
    logits, _ = overconfident
    shares = softmax(0.5 * logits + np.random.default_rng(23).standard_normal(logits.shape))
    shares[:100] = np.eye(4)[np.arange(100) % 4]
    predictions = softmax(logits)
    stored = {"prob_": predictions, "logit_": logits, "log_prob_": np.log(predictions)}[prefix]
    result = score(write(soft_columns(shares, stored, prefix)))
    best, cost = optimum(logits, shares)
    assert result.temperature.temperature == pytest.approx(best, rel=1e-7)
    assert result.temperature.cost_nats == pytest.approx(cost, rel=1e-13)
    assert result.temperature.gain_nats == pytest.approx(result.cost - cost, rel=1e-10)


@pytest.mark.parametrize("is_soft", [False, True])
def test_impossible_rows_are_left_out(write, monkeypatch, overconfident, is_soft):
    logits, labels = overconfident
    logits = logits.copy()
    logits[:50, 0] = logits[50:100, 1] = -np.inf
    truths = np.eye(4)[labels]
    if is_soft:
        truths[50:] = softmax(0.7 * logits[50:])  # which has 0 where the prediction has 0
    result = score(write(soft_columns(truths, logits, "logit_") if is_soft else columns(labels, logits, "logit_")))
    assert result.impossible == np.count_nonzero(~np.isfinite(tempered_costs(1.0, logits, truths))) > 0
    best, cost = optimum(logits, truths)
    assert result.temperature.temperature == pytest.approx(best, rel=1e-7)
    assert result.temperature.cost_nats == pytest.approx(cost, rel=1e-13)


@pytest.mark.parametrize("form", ["hard", "weighted", "soft"])
@pytest.mark.parametrize("prefix", ["prob_", "logit_", "log_prob_"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("factor", [0.4, 1.0, 1.7, 5.0])
def test_from_sums_near_the_optimum(write, monkeypatch, form, prefix, dtype, factor):
    # 6000 rows: the first 4096 of them say where the sums are taken.
    rng = np.random.default_rng(24)
    logits = rng.standard_normal((6000, 3)) * 2.0
    labels = drawn(rng, softmax(logits))
    logits = (factor * logits).astype(dtype).astype(np.float64)
    predictions = softmax(logits)
    stored = {"prob_": predictions, "logit_": logits, "log_prob_": np.log(predictions)}[prefix].astype(dtype)
    beside = {"w": rng.random(6000)} if form == "weighted" else {}
    table = columns(labels, stored, prefix, **beside)
    if form == "soft":
        table = soft_columns(0.9 * np.eye(3)[labels] + 0.1 * rng.dirichlet(np.ones(3), 6000), stored, prefix)
    path = write(table)
    exact = score(path, weight="w" if beside else None)
    keep_no_rows(monkeypatch, beyond=4096)
    binned = score(path, weight="w" if beside else None)
    assert exact.temperature.is_exact
    assert not binned.temperature.is_exact
    assert binned.temperature.is_close
    # Anchors are a factor of 2**(1 / 8) apart and the pilot's own optimum is off by some percent. Within 8 % of the
    # optimum the polynomial lacks a term of 0.08**5 = 3e-6; the worst case here is off by 1.4e-6.
    assert binned.temperature.temperature == pytest.approx(exact.temperature.temperature, rel=1e-5)
    assert binned.temperature.cost_nats == pytest.approx(exact.temperature.cost_nats, rel=1e-7)
    assert binned.temperature.gain_nats >= -1e-12
    temperatures, costs = zip(*binned.temperature.curve, strict=True)
    assert list(temperatures) == sorted(temperatures)
    assert min(costs) >= binned.temperature.cost_nats - 1e-9


@pytest.mark.parametrize("form", ["a.parquet", "a.csv", "a.arrow", "table", "stream", "batches"])
def test_whatever_the_format_sums_are_near_the_optimum(write, monkeypatch, form):
    """Twelve thousand rows, twice as sure as they should be: at T = 1 alone the gain was 3 % too large."""
    rng = np.random.default_rng(26)
    logits = rng.standard_normal((12_000, 3)) * 2.0
    labels = drawn(rng, softmax(logits))
    stored = columns(labels, softmax(2.0 * logits), "prob_")
    keep_no_rows(monkeypatch, beyond=4096)
    table = pa.table(stored)
    sources = {
        "table": lambda: table,
        "stream": lambda: pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=50)),
        "batches": lambda: iter(table.to_batches(max_chunksize=1000)),
    }
    found = score(sources[form]() if form in sources else write(stored, form)).temperature
    best, cost = optimum(2.0 * logits, np.eye(3)[labels])
    assert found.is_close
    assert not found.is_exact
    assert found.temperature == pytest.approx(best, rel=1e-5)
    assert found.cost_nats == pytest.approx(cost, rel=1e-7)


@pytest.mark.parametrize("is_dictionary", [False, True])
def test_the_pilot_is_the_same_whatever_the_row_groups(tmp_path, monkeypatch, is_dictionary):
    rng = np.random.default_rng(27)
    logits = rng.standard_normal((5000, 3)) * 2.0
    labels = pa.array(np.array(["0", "1", "2"])[drawn(rng, softmax(logits))])
    stored = columns(labels.dictionary_encode() if is_dictionary else labels, softmax(2.0 * logits), "prob_")
    keep_no_rows(monkeypatch, beyond=1000)
    states = set()
    for group_rows in (3, 100, 5000):
        parquet.write_table(pa.table(stored), tmp_path / "a.parquet", row_group_size=group_rows)
        states.add(score(tmp_path / "a.parquet").to_bytes())
    assert len(states) == 1


def test_sums_say_when_the_optimum_is_far(write, monkeypatch, overconfident):
    # With fewer rows than a pilot takes, the sums are those at T = 1: 1.7 is further than a quarter.
    logits, labels = overconfident
    keep_no_rows(monkeypatch)
    found = score(write(columns(labels, logits, "logit_"))).temperature
    assert not found.is_close
    assert found.temperature > 1.0 / 0.75


@pytest.mark.parametrize("is_binned", [False, True])
def test_a_temperature_of_exactly_one(write, monkeypatch, is_binned):
    if is_binned:
        keep_no_rows(monkeypatch)
    # Predictions that are the frequencies given the row: the slope is 0 at T = 1.
    predictions = np.repeat([[0.25, 0.75], [0.5, 0.5], [0.125, 0.875]], 8, axis=0)
    labels = np.array([0] * 2 + [1] * 6 + [0] * 4 + [1] * 4 + [0] + [1] * 7)
    found = score(write(columns(labels, predictions))).temperature
    assert found.temperature == pytest.approx(1.0, abs=1e-12)
    assert abs(found.gain_nats) < 1e-15


@pytest.mark.parametrize("is_binned", [False, True])
@pytest.mark.parametrize("kind", ["one-hot", "uniform", "one row of halves"])
def test_where_no_temperature_changes_the_cost_it_stays(write, monkeypatch, kind, is_binned):
    if is_binned:
        keep_no_rows(monkeypatch)
    labels = np.array([0, 1, 2, 2])
    predictions = {
        "one-hot": np.eye(3)[labels],
        "uniform": np.full((4, 3), 1 / 3),
        "one row of halves": np.full((4, 2), 0.5),
    }
    if kind == "one row of halves":
        labels, predictions[kind] = np.array([1]), predictions[kind][:1]
    result = score(write(columns(labels, predictions[kind])))
    assert (result.temperature.temperature, result.temperature.gain_nats) == (1.0, 0.0)
    assert result.temperature.is_close
    assert result.temperature.cost_nats == pytest.approx(result.cost, rel=1e-15)


@pytest.mark.parametrize("margin", [0.5, 3.0])
def test_separable_rows_are_best_at_the_coldest(write, margin):
    rng = np.random.default_rng(25)
    logits = rng.standard_normal((100, 3))
    labels = logits.argmax(axis=1)
    logits[np.arange(100), labels] += margin
    found = score(write(columns(labels, logits, "logit_"))).temperature
    assert found.temperature == pytest.approx(2.0**-6, rel=1e-9)
    assert found.cost_nats == pytest.approx(tempered_costs(64.0, logits, np.eye(3)[labels]).mean(), abs=1e-15)
    assert found.gain_nats > 0.0
    # And with all labels wrong, at the hottest.
    found = score(write(columns((labels + 1) % 3, logits, "logit_"))).temperature
    assert found.temperature == pytest.approx(2.0**6, rel=1e-9)


def test_separable_rows_cost_nothing_before_the_coldest(write):
    logits = np.stack([np.zeros(10), np.full(10, 30.0)], axis=1)
    found = score(write(columns(np.ones(10, int), logits, "logit_"))).temperature
    assert found.temperature < 1.0
    assert found.cost_nats == 0.0
    assert found.gain_nats == pytest.approx(math.log1p(math.exp(-30.0)), abs=1e-15)  # of numbers that begin with 1


def test_nearly_separable_rows_of_large_margin(write):
    # Newton's steps from T = 1 gain one margin's reciprocal each; one wrong row in 2000 puts the optimum far away.
    rng = np.random.default_rng(26)
    logits = np.stack([np.zeros(2000), rng.uniform(0.4, 0.6, 2000)], axis=1)
    labels = np.ones(2000, int)
    labels[7] = 0
    found = score(write(columns(labels, logits, "logit_"))).temperature
    best, cost = optimum(logits, np.eye(2)[labels])
    assert found.temperature == pytest.approx(best, rel=1e-6)
    assert found.cost_nats == pytest.approx(cost, rel=1e-13)
    assert found.temperature < 0.1


def test_the_curve_lies_on_both_sides_and_is_lowest_at_the_optimum(write, overconfident):
    logits, labels = overconfident
    found = score(write(columns(labels, logits, "logit_"))).temperature
    truths = np.eye(4)[labels]
    temperatures, costs = (np.array(each) for each in zip(*found.curve, strict=True))
    assert temperatures[costs.argmin()] == pytest.approx(found.temperature, rel=1e-15)
    assert costs.min() == found.cost_nats
    assert temperatures[0] == pytest.approx(found.temperature / 2, rel=1e-15)
    assert temperatures[-1] == pytest.approx(found.temperature * 2, rel=1e-15)
    for temperature, cost in found.curve:
        assert cost == pytest.approx(tempered_costs(1.0 / temperature, logits, truths).mean(), rel=1e-13)


def test_nothing_to_find(write):
    predictions = np.array([[0.0, 1.0], [0.0, 1.0]])
    assert score(write(columns([0, 0], predictions))).temperature is None  # both rows are impossible
    assert score(write({"nll": [0.5, 0.7]})).temperature is None


def test_unnormalised_rows_are_normalised(write, overconfident):
    logits, labels = overconfident
    path = write(columns(labels, 0.5 * softmax(logits)))
    found = score(path, probs="prob_").temperature
    best, cost = optimum(logits, np.eye(4)[labels])
    assert found.temperature == pytest.approx(best, rel=1e-7)
    assert found.cost_nats == pytest.approx(cost, rel=1e-13)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.tuples(*[st.floats(-50.0, 50.0)] * 3), st.integers(0, 2)), min_size=1, max_size=15))
def test_no_temperature_costs_more_than_one(write, rows):
    logits, labels = np.array([row for row, _ in rows]), np.array([label for _, label in rows])
    found = score(write(columns(labels, logits, "logit_"))).temperature
    truths = np.eye(3)[labels]
    assert found.gain_nats >= -1e-13 * max(1.0, found.cost_nats)
    assert found.temperature * (1 + 1e-12) >= 2.0**-6
    assert found.temperature <= 2.0**6 * (1 + 1e-12)
    for beta in np.geomspace(2.0**-6, 2.0**6, 97):
        cost = tempered_costs(beta, logits, truths).mean()
        assert found.cost_nats <= cost + 1e-12 * max(1.0, cost)


def test_the_bound_of_kept_rows_is_what_the_tests_move():
    assert kept_rows.MOST_ROWS == 100_000
