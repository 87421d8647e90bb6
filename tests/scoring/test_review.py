"""What a reviewer found: days that are added up, states that answer another question, threads, rules, units."""

import os
import threading
import warnings

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import crossent
from crossent.errors import NormalizationWarning, OptionError, RangeError, SourceError
from crossent.scoring.comparison import compare
from crossent.scoring.result import Score
from crossent.scoring.score import score
from crossent.scoring.state import kept_rows


def day(*first: float) -> Score:
    truths = ["a", "b"] * (len(first) // 2)
    return score(pl.DataFrame({"p_a": first, "p_b": [1.0 - each for each in first], "target": truths}))


@pytest.mark.parametrize("most", [0, 100])
def test_days_whose_rows_have_one_name_are_added_in_any_order(monkeypatch, most):
    monkeypatch.setattr(kept_rows, "MOST_ROWS", most)
    first, second, third = day(0.5, 0.3), day(0.6, 0.1), day(0.0, 1.0)
    expected = Score().merge(first).merge(second).merge(third).to_bytes()
    assert Score().merge(third).merge(second).merge(first).to_bytes() == expected
    assert Score().merge(second).merge(Score().merge(first).merge(third)).to_bytes() == expected


def test_days_with_other_columns_are_added_in_any_order():
    other = score(pl.DataFrame({"prob_b": [0.5, 0.7], "prob_a": [0.5, 0.3], "target": ["a", "b"]}))
    own = day(0.2, 0.4)
    assert Score().merge(own).merge(other).to_bytes() == Score().merge(other).merge(own).to_bytes()


def test_the_bootstrap_of_many_days_is_that_of_their_rows():
    losses = np.random.default_rng(1).gamma(1.0, 1.0, 600)
    added = Score()
    for start in range(0, 600, 2):
        added.merge(score(pa.table({"loss": losses[start : start + 2]}), losses="loss", bootstrap=200))
    error = losses.std(ddof=1) / np.sqrt(600)
    # 200 replicates know a standard error within 5 %: 1 / sqrt(2 * 200); four of these
    assert added.interval.standard_error == pytest.approx(error, rel=0.2)


def test_rows_without_an_id_are_drawn_by_their_place():
    losses = np.random.default_rng(2).gamma(1.0, 1.0, 400)
    ids = [None if i % 2 else f"r{i}" for i in range(400)]
    result = score(pa.table({"id": ids, "loss": losses}), losses="loss", bootstrap=200)
    assert result.interval.standard_error == pytest.approx(losses.std(ddof=1) / 20.0, rel=0.2)


@pytest.fixture
def file(write):
    rng = np.random.default_rng(5)
    p = rng.dirichlet(np.ones(2), 50)
    columns = {"target": rng.integers(0, 2, 50), "other": rng.integers(0, 2, 50), "w": rng.random(50) + 0.1}
    return write({**columns, "p_0": p[:, 0], "p_1": p[:, 1]})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target": "other"}, "has label 'target' and not 'other'"),
        ({"weight": "w"}, "has weight None and not 'w'"),
        ({"zero": "clip", "eps": 0.3}, "has zero 'inf' and not 'clip'"),
        ({"level": 0.9}, "has level 0.95 and not 0.9"),
        ({"bootstrap": 20}, "has bootstrap 0 and not 20"),
    ],
)
def test_a_state_answers_no_other_question(file, tmp_path, options, said):
    state = tmp_path / "s"
    score(file, target="target", state=state)
    with pytest.raises(OptionError) as caught:
        score(file, **{"target": "target", **options}, state=state)
    assert str(caught.value) == (
        f"`state` must be of the same question, '{state}' {said}; keep another state for another question"
    )


def test_a_state_knows_its_labels_and_its_files(write, tmp_path, monkeypatch):
    predictions = write({"id": [1, 2, 3], "p_0": [0.5, 0.2, 0.9], "p_1": [0.5, 0.8, 0.1]}, "p.parquet")
    labels = write({"id": [1, 2, 3], "target": [0, 1, 1]}, "l.csv")
    state = tmp_path / "s"
    score(predictions, labels=labels, on="id", state=state)
    monkeypatch.chdir(tmp_path)
    assert score("p.parquet", labels="l.csv", on="id", state=state).rows == 3
    write({"id": [1, 2, 3], "target": [0, 0, 0]}, "l.csv")
    os.utime(labels, ns=(1, 1))
    with pytest.raises(OptionError, match=r"^`state` must be of the same question, .* has labels \["):
        score(predictions, labels=labels, on="id", state=state)


def test_a_comparison_joins_all_files_at_once(write):
    rng = np.random.default_rng(6)
    p, ids, labels = rng.dirichlet(np.ones(2), 90), np.arange(90), rng.integers(0, 2, 90)
    table = {"id": ids, "target": labels, "p_0": p[:, 0], "p_1": p[:, 1]}
    second = write({**table, "p_0": p[:, 1], "p_1": p[:, 0]}, "second.parquet")
    parts = [
        str(write({name: values[i * 30 : i * 30 + 30] for name, values in table.items()}, f"{i}.parquet"))
        for i in range(3)
    ]
    result = compare(parts, second, on="id")
    assert (result.rows, result.not_shared) == (90, 0)
    again = str(write({name: values[:5] for name, values in table.items()}, "again.parquet"))
    with pytest.raises(
        SourceError, match=r"^`source` must have each key of 'id' once, 5 of them stand in several rows"
    ):
        compare([*parts, again], second, on="id")


def test_rows_that_nobody_scores_are_not_shared_by_none(write):
    table = {"id": [1, 2], "target": [0, 1], "p_0": [0.5, 0.2], "p_1": [0.5, 0.8]}
    more = {"id": [1, 2, 3], "target": pa.array([0, 1, None]), "p_0": [0.5, 0.2, 0.1], "p_1": [0.5, 0.8, 0.9]}
    assert compare(write(table, "a.parquet"), write(more, "b.parquet"), on="id").not_shared == 0


def test_threads_leave_the_warnings_as_they_were(file):
    before = list(warnings.filters)
    threads = [threading.Thread(target=score, args=(file,), kwargs={"target": "target"}) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
    with pytest.warns(NormalizationWarning):
        crossent.cross_entropy_from_probs([[0.6, 0.6]], [1])


def test_rules_of_probabilities_are_refused_for_logits(write):
    path = write({"target": [0], "logit_0": [1.0], "logit_1": [2.0]})
    with pytest.raises(OptionError) as caught:
        score(path, rules="kaggle")
    assert str(caught.value) == "`rules` are of probabilities, these are logits; write probabilities to the file"


def test_costs_per_unit_count_every_row_once(write):
    path = write({"loss": [1.0, 2.0], "tokens": [3, 4], "w": [2.0, 2.0]})
    with pytest.raises(OptionError) as caught:
        score(path, weight="w", tokens="tokens")
    assert str(caught.value) == "`weight` and `tokens` cannot both be given: a cost per unit counts every row once"
    assert score(path, weight="w").language is None
    lacking = write({"loss": [1.0, 2.0], "tokens": pa.array([3, None])}, "b.parquet")
    with pytest.raises(RangeError) as missing:
        score(lacking)
    assert str(missing.value) == "`tokens` must count the tokens of every row that is scored, row 1 has None"


def test_calibration_judges_unclipped_predictions_also_from_bins(write, monkeypatch):
    rng = np.random.default_rng(7)
    p = rng.dirichlet(np.full(3, 0.2), 500)
    path = write({"target": rng.integers(0, 3, 500), **{f"p_{c}": p[:, c] for c in range(3)}})
    exact = score(path, zero="clip", eps=1e-2).calibration
    monkeypatch.setattr(kept_rows, "MOST_ROWS", 0)
    binned = score(path, zero="clip", eps=1e-2).calibration
    assert binned.is_binned
    for one, other in zip(exact.classes, binned.classes, strict=True):
        assert other.decomposition.cost == pytest.approx(one.decomposition.cost, rel=1e-4)


def test_a_group_has_one_name_whatever_pandas_made_of_it(write):
    rows = {"target": [0, 1], "p_0": [0.5, 0.2], "p_1": [0.5, 0.8]}
    whole = write({**rows, "g": [1, 2]}, "0.parquet")
    floats = write({**rows, "g": pa.array([1.0, float("nan")])}, "1.parquet")
    assert [each.name for each in score([str(whole), str(floats)], by="g").groups] == [None, "1", "2"]


def test_a_refused_batch_leaves_a_score_as_it_was(file):
    result = score(file, target="target")
    before = result.to_bytes()
    bad = pa.table({"target": pa.array([None, 0]), "p_0": [0.5, -1.0], "p_1": [0.5, 0.5]})
    with pytest.raises(RangeError, match=r"^`p_0` must be in \[0, 1\], row 1 has -1"):
        result.update(bad)
    assert result.to_bytes() == before
    result.update(pa.table({"target": [0, 1], "p_0": [0.5, 0.2], "p_1": [0.5, 0.8]}))
    assert (result.rows, result.sources["<batch>"]) == (52, 2)
    with pytest.raises(OptionError, match=r"^`batch` must be a record batch or a table, got int$"):
        result.update(3)
