"""Arrays of predictions and of labels in two .npy files, matched row by row."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from crossent.errors import SourceError
from crossent.scoring import tasks
from crossent.scoring.score import score


@pytest.fixture
def arrays(tmp_path):
    rng = np.random.default_rng(8)
    probs, labels = rng.dirichlet(np.ones(3), 1000), rng.integers(0, 3, 1000)
    np.save(tmp_path / "probs.npy", probs)
    np.save(tmp_path / "y.npy", labels)
    return tmp_path / "probs.npy", tmp_path / "y.npy", probs, labels


@pytest.mark.parametrize("batch_rows", [None, 7])
def test_two_arrays_are_a_score(arrays, monkeypatch, batch_rows):
    monkeypatch.setattr(tasks, "_TASK_VALUES", 300)
    probs, y, values, labels = arrays
    result = score(probs, labels=y, batch_rows=batch_rows)
    assert result.cost == pytest.approx(log_loss(labels, values), rel=1e-12)
    assert (result.rows, result.reading.label_column) == (1000, "y")
    assert result.reading.label_reason.endswith(f" of {y}")
    assert "The labels are taken in the order of their rows." in result.reading.notes


def test_other_predictions_take_them_too(arrays, write):
    _, y, values, labels = arrays
    table = write({f"p_{c}": values[:, c] for c in range(3)}, "p.parquet", 77)
    assert score(table, labels=y).cost == pytest.approx(log_loss(labels, values), rel=1e-12)


def test_what_does_not_fit_is_refused(arrays, tmp_path):
    probs, y, _, labels = arrays
    np.save(tmp_path / "short.npy", labels[:10])
    with pytest.raises(SourceError) as caught:
        score(probs, labels=tmp_path / "short.npy")
    assert str(caught.value) == (
        f"`labels` must have a row for each prediction, '{tmp_path / 'short.npy'}' has 10 and '{probs}' has 1000"
    )
    with pytest.raises(SourceError) as several:
        score([str(probs), str(y)], labels=y)
    assert str(several.value) == (
        f"`labels` without a key go with one file of predictions, '{y}' is an array and there are 2 files; "
        f"write one array, or a table with a key"
    )
