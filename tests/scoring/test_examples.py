"""The examples that ship with the repository, and the docstring that names them."""

import doctest
import math
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from sklearn.metrics import accuracy_score, log_loss

from crossent.scoring.score import score

ROOT = Path(__file__).parents[2]


def test_digits_cost_what_scikit_learn_says():
    table = parquet.read_table(ROOT / "examples" / "digits_probs.parquet")
    labels = table.column("label").to_numpy()
    predictions = np.column_stack([table.column(f"prob_{digit}").to_numpy() for digit in range(10)]).astype(np.float64)
    result = score(ROOT / "examples" / "digits_probs.parquet")
    # scikit-learn divides each row by its sum, which float32 leaves 4e-8 from 1.
    rescaled = predictions / predictions.sum(axis=1, keepdims=True)
    assert result.cost == pytest.approx(log_loss(labels, rescaled), abs=result.largest_deviation)
    assert result.largest_deviation < 4e-8
    terms = -np.log(predictions[np.arange(len(labels)), labels])
    assert result.total == pytest.approx(math.fsum(terms), rel=2e-15)
    assert result.accuracy == accuracy_score(labels, predictions.argmax(axis=1))
    assert result.reading.notes == ()


def test_the_logits_say_the_same_as_the_probabilities():
    probs, logits = (score(ROOT / "examples" / f"digits_{kind}.parquet") for kind in ("probs", "logits"))
    # Both are float32: half an ulp of a logit of up to 30 is 1e-6, of either number in the mean far less.
    assert logits.cost == pytest.approx(probs.cost, abs=1e-6)
    assert logits.correct == probs.correct
    assert (probs.reading.kind, logits.reading.kind) == ("probs", "logits")


def test_they_are_small_and_the_docstring_runs(monkeypatch):
    assert sum(file.stat().st_size for file in (ROOT / "examples").glob("*.parquet")) < 500_000
    monkeypatch.chdir(ROOT)
    test = doctest.DocTestFinder().find(score, "score", globs={"score": score})[0]
    runner = doctest.DocTestRunner(verbose=False)
    assert runner.run(test) == doctest.TestResults(failed=0, attempted=1)
