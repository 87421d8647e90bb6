"""Quantiles, the share of the worst rows and the histogram, against numpy on the losses themselves."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossent.scoring.distribution import LEVELS
from crossent.scoring.score import score

# A bin is 1 / 64 of a power of two, and a quantile the mean of its bin.
WITHIN = 1.0 / 64.0


def weighted_quantile(level: float, losses: np.ndarray, weights: np.ndarray) -> float:
    """Return the smallest loss with at least this part of the weight at or below it."""
    order = np.argsort(losses, kind="stable")
    total = np.cumsum(weights[order])
    return float(losses[order][min(np.searchsorted(total, level * total[-1] * (1 - 1e-15)), len(losses) - 1)])


@pytest.mark.parametrize("shape", ["lognormal", "exponential", "tiny", "huge", "few"])
def test_quantiles_within_a_bin_of_numpy(write, shape):
    rng = np.random.default_rng(41)
    losses = {
        "lognormal": rng.lognormal(0.0, 3.0, 20_000),
        "exponential": rng.exponential(size=1001),
        "tiny": rng.random(500) * 1e-17,
        "huge": rng.random(500) * 1e9,
        "few": rng.exponential(size=3),
    }[shape]
    result = score(write({"nll": losses})).losses
    assert tuple(level for level, _ in result.quantiles) == LEVELS
    for level, quantile in result.quantiles:
        assert quantile == pytest.approx(np.quantile(losses, level, method="inverted_cdf"), rel=WITHIN)
    values = [quantile for _, quantile in result.quantiles]
    assert values == sorted(values)


def test_weighted_quantiles(write):
    rng = np.random.default_rng(42)
    losses, weights = rng.exponential(size=3000), rng.exponential(size=3000) ** 3
    result = score(write({"nll": losses, "w": weights}), weight="w").losses
    for level, quantile in result.quantiles:
        assert quantile == pytest.approx(weighted_quantile(level, losses, weights), rel=WITHIN)


def test_losses_that_are_equal_are_exact(write):
    result = score(write({"nll": [0.7] * 90 + [1.3] * 10})).losses
    assert result.quantiles == tuple(
        (level, 0.7 if level <= 0.9 else pytest.approx(1.3, rel=1e-15)) for level in LEVELS
    )


@pytest.mark.parametrize("rows", [100, 1000, 12_345, 50])
def test_share_of_the_worst_percent(write, rows):
    rng = np.random.default_rng(43)
    losses = rng.lognormal(0.0, 2.0, rows)
    result = score(write({"nll": losses})).losses
    worst = np.sort(losses)[::-1]
    count = rows / 100
    whole = int(count)
    expected = (worst[:whole].sum() + (count - whole) * worst[whole]) / losses.sum()
    # The bin in which the percent ends is divided as if its losses were equal: they differ by 1 / 64.
    assert result.worst_percent_share == pytest.approx(expected, rel=WITHIN)
    assert expected < result.worst_percent_share * (1 + WITHIN)


def test_share_of_the_worst_percent_of_the_weight(write):
    rng = np.random.default_rng(44)
    losses, weights = rng.exponential(size=2000), rng.random(2000)
    result = score(write({"nll": losses, "w": weights}), weight="w").losses
    order = np.argsort(-losses)
    before = np.cumsum(weights[order]) - weights[order]
    part = np.clip(0.01 * weights.sum() - before, 0.0, weights[order])
    expected = np.sum(part * losses[order]) / np.sum(weights * losses)
    assert result.worst_percent_share == pytest.approx(expected, rel=WITHIN)


def test_equal_losses_share_the_cost_equally(write):
    assert score(write({"nll": [2.5] * 250})).losses.worst_percent_share == pytest.approx(0.01, rel=1e-15)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_histogram_against_numpy(write, is_weighted):
    rng = np.random.default_rng(45)
    losses = np.concatenate([rng.lognormal(-2.0, 3.0, 2000), np.zeros(30), np.full(20, np.inf), [0.5, 1.0, 2.0]])
    weights = rng.random(len(losses)) + 0.1 if is_weighted else np.ones(len(losses))
    result = score(write({"nll": losses, "w": weights}), weight="w").losses
    edges, weight = np.array(result.histogram_edges), np.array(result.histogram_weight)
    assert len(edges) == len(weight) + 1
    assert edges[0] == 0.0
    assert (np.diff(edges) > 0.0).all()
    assert edges[-1] > losses[np.isfinite(losses)].max()
    finite = np.isfinite(losses)
    expected, _ = np.histogram(losses[finite], edges, weights=weights[finite])
    assert weight == pytest.approx(expected, rel=1e-12)
    assert result.infinite_weight == pytest.approx(weights[~finite].sum(), rel=1e-14)
    assert math.fsum(weight) + result.infinite_weight == pytest.approx(weights.sum(), rel=1e-13)
    assert (edges[2:] / edges[1:-1]).max() <= 1.25  # four bins to a factor of two
    assert math.isnan(result.worst_percent_share)
    assert dict(result.quantiles)[1.0] == math.inf


def test_all_losses_zero(write):
    result = score(write({"nll": [0.0] * 7})).losses
    assert result.quantiles == tuple((level, 0.0) for level in LEVELS)
    assert math.isnan(result.worst_percent_share)
    assert len(result.histogram_edges) == 2
    assert result.histogram_edges[0] == 0.0 < result.histogram_edges[1]
    assert (result.histogram_weight, result.infinite_weight) == ((7.0,), 0.0)


def test_all_losses_infinite(write):
    result = score(write({"nll": [math.inf] * 3})).losses
    assert result.quantiles == tuple((level, math.inf) for level in LEVELS)
    assert math.isnan(result.worst_percent_share)
    assert (result.histogram_weight, result.infinite_weight) == ((0.0,), 3.0)


def test_losses_below_and_at_the_ends_of_the_bins(write):
    tiny, large = 2.0**-70, 2.0**39
    result = score(write({"nll": [tiny, tiny, large, 2.0**-64]})).losses
    assert dict(result.quantiles)[0.0] == tiny
    assert dict(result.quantiles)[1.0] == large
    assert sum(result.histogram_weight) == 4.0
    assert result.histogram_weight[0] == 2.0
    assert result.histogram_edges[-1] > large


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(0.0, 1e9, allow_subnormal=True), min_size=1, max_size=30))
def test_any_losses(write, losses):
    result = score(write({"nll": losses}), losses="nll").losses
    ordered = np.sort(losses)
    for level, quantile in result.quantiles:
        expected = np.quantile(ordered, level, method="inverted_cdf")
        assert quantile == pytest.approx(expected, rel=WITHIN, abs=2.0**-64)
    assert math.fsum(result.histogram_weight) == len(losses)
    if sum(losses) > 2.0**-64:  # sums of a bin keep bits down to 2**-288
        assert 0.01 - 1e-12 <= result.worst_percent_share <= 1.0 + 1e-12
