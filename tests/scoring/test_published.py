"""Numbers that others have published, from their own data."""

import math
from pathlib import Path

import numpy as np
import pytest
import statsmodels
import statsmodels.api as sm

from crossent.scoring.score import score
from tests.scoring.tables import columns, keep_no_rows

# Fitted probabilities of the multinomial logit of anes96 come with statsmodels, beside the numbers of Stata and R.
FITTED = Path(statsmodels.__file__).parent / "discrete" / "tests" / "results" / "phat_mnlogit.csv"


@pytest.fixture(scope="module")
def election() -> tuple[np.ndarray, np.ndarray]:
    """Return labels (944,) and fitted probabilities (944, 7) of the American election survey of 1996."""
    return sm.datasets.anes96.load_pandas().endog.to_numpy().astype(int), np.loadtxt(FITTED)


def test_election_survey(write, election):
    labels, fitted = election
    result = score(write(columns(labels, fitted)))
    # statsmodels, results_discrete.py, mnlogit_basezero: llf -1461.922747312, llnull -1750.34670999
    assert result.total == pytest.approx(1461.922747312, abs=1e-6)  # the probabilities were rounded on their way
    assert result.cost == pytest.approx(1461.922747312 / 944, abs=1e-9)
    assert result.prior_cost == pytest.approx(1750.34670999 / 944, abs=1e-11)
    assert result.improvement == pytest.approx(1 - 1461.922747312 / 1750.34670999, abs=1e-9)
    assert result.rows == 944
    assert [each.rows for each in result.classes] == [200, 180, 108, 37, 94, 150, 175]


def test_maximum_likelihood_leaves_no_temperature_to_find(write, election):
    # With its intercepts and slopes at their optimum, scaling all of them by 1 / T gains nothing.
    labels, fitted = election
    result = score(write(columns(labels, fitted)))
    assert result.temperature.temperature == pytest.approx(1.0, abs=1e-8)
    assert 0.0 <= result.temperature.gain_nats < 1e-15
    assert result.temperature.is_exact


def test_maximum_likelihood_predicts_the_frequencies(write, election):
    labels, fitted = election
    result = score(write(columns(labels, fitted)))
    for c, each in enumerate(result.calibration.classes):
        predicted = math.fsum(w * p for w, p in zip(each.weight, each.mean_prediction, strict=True))
        assert predicted == pytest.approx(np.count_nonzero(labels == c), abs=1e-5)


@pytest.mark.parametrize(
    ("model", "published", "cost"),
    [
        (sm.Logit, -12.8896334653335, 0.402801046),
        (sm.Probit, -12.8188033249334, 0.400587604),
    ],
)
def test_spector(write, model, published, cost):
    # statsmodels, results_discrete.py, spector: llf of Stata, llnull -20.5917296966173
    data = sm.datasets.spector.load_pandas()
    # Stata read the grades as float32, which moves the likelihood by 8e-7.
    exog = data.exog.assign(GPA=data.exog["GPA"].astype(np.float32).astype(np.float64))
    fitted = model(data.endog, sm.add_constant(exog, prepend=False)).fit(disp=0, tol=1e-12)
    p = np.asarray(fitted.predict())
    result = score(write(columns(data.endog.astype(int), np.stack([1.0 - p, p], axis=1))))
    assert result.total == pytest.approx(-published, abs=1e-11)
    assert round(result.cost, 9) == cost
    assert round(result.prior_cost, 9) == 0.643491553
    assert result.prior_cost == pytest.approx(20.5917296966173 / 32, abs=1e-14)


def test_kaggle_wiki(write):
    # kaggle.com/wiki/MultiClassLogLoss, 2014: ids 1 to 6 are Public, 7 is not scored.
    p = np.array([0.5, 0.1, 0.01, 0.9, 0.75, 0.001])
    path = write(columns(["col1"] * 3 + ["col2"] * 3, np.stack([p, 1.0 - p], axis=1)) | {"id": range(1, 7)})
    result = score(path, probs=["prob_0", "prob_1"], classes=["col1", "col2"], rules="kaggle")
    assert result.cost == pytest.approx(1.881797068998267, rel=1e-15)


def test_kaggle_wiki_from_its_two_files(write):
    pytest.importorskip("duckdb")
    one_hot = {"col1": [1, 1, 1, 0, 0, 0, 1], "col2": [0, 0, 0, 1, 1, 1, 0]}
    solution = write({"id": range(1, 8), **one_hot, "Indicator": ["Public"] * 6 + ["Private"]}, "solution.csv")
    p = [0.5, 0.1, 0.01, 0.9, 0.75, 0.001, 1.0]
    submission = write({"id": range(1, 8), "col1": p, "col2": [1.0 - each for each in p]}, "submission.csv")
    result = score(submission, labels=solution, on="id", rules="kaggle")
    assert result.cost == pytest.approx(1.881797068998267, rel=1e-15)
    assert result.rows == 6


def test_kaggle_rescales_then_clips(write):
    rows = np.array([[2.0, 6.0], [0.0, 5.0], [1.0, 3.0]]) / 10.0
    result = score(write(columns([0, 0, 1], rows)), rules="kaggle")
    assert result.cost == pytest.approx((-math.log(0.25) - math.log(1e-15) - math.log(0.75)) / 3, rel=1e-14)
    assert result.impossible == 0


def test_the_wrong_formula_of_the_kaggle_forum_is_another_number(write):
    # "Predict closed questions", 2012: one against all, averaged over the classes, prints 0.0985725708595.
    predictions = np.array(
        [
            [0.05, 0.05, 0.05, 0.8, 0.05],
            [0.73, 0.05, 0.01, 0.2, 0.02],
            [0.02, 0.03, 0.01, 0.75, 0.19],
            [0.01, 0.02, 0.83, 0.12, 0.02],
        ]
    )
    result = score(write(columns([3, 0, 3, 2], predictions)))
    assert result.cost == pytest.approx(-math.log(0.8 * 0.73 * 0.75 * 0.83) / 4, rel=1e-14)
    # The same numbers are the mean cost of the five problems of two classes.
    each = [problem.decomposition.cost for problem in result.calibration.classes]
    assert math.fsum(each) / 5 == pytest.approx(0.0985725708595, abs=1e-13)


@pytest.mark.parametrize(
    ("eps", "published"),
    [(float(np.finfo(np.float64).eps), 36.0437), (2.0**-23, 15.9424), (2.0**-10, 6.9315), (1e-15, 34.5388)],
)
@pytest.mark.parametrize("is_binned", [False, True])
def test_one_impossible_row_costs_the_clip(write, monkeypatch, is_binned, eps, published):
    if is_binned:
        keep_no_rows(monkeypatch)
    predictions = np.full((1000, 2), 0.5)
    predictions[17] = [0.0, 1.0]
    path = write(columns([0] * 1000, predictions))
    result = score(path, zero="clip", eps=eps)
    assert result.worst[0].loss_nats == -math.log(eps)
    assert round(result.worst[0].loss_nats, 4) == published
    assert result.total == pytest.approx(999 * math.log(2.0) - math.log(eps), rel=1e-15)
    assert (result.clipped, result.impossible) == (1, 0)
    unclipped = score(path)
    assert (unclipped.cost, unclipped.impossible, unclipped.clipped) == (math.inf, 1, 0)
    assert unclipped.finite_cost == pytest.approx(math.log(2.0), rel=1e-15)
    # What is clipped follows no temperature, so that both say the same of it.
    assert result.temperature == unclipped.temperature
