"""Lists of the most likely classes: exact where the truth is listed, else the least that the loss can be."""

import math

import numpy as np
import pyarrow as pa
import pytest

from crossent.errors import RangeError, SourceError
from crossent.scoring.score import score

EPS = float(np.finfo(np.float32).eps)


def bound(*listed):
    """Return the loss of a truth that has all that the listed probabilities leave, and their rounding."""
    return -math.log(1.0 - math.fsum(listed) + len(listed) * EPS)


def logs(*probabilities):
    return [math.log(each) for each in probabilities]


def test_the_truth_is_listed_or_bounded(write):
    columns = {
        "label": [7, 3, None, -100, 5],
        "top_ids": [[2, 7], [2, 7], [1], [1], [5]],
        "top_logprobs": [logs(0.5, 0.25), logs(0.5, 0.25), [-1.0], [-1.0], [0.0]],
    }
    result = score(write(columns))
    assert result.total == pytest.approx(math.log(4) + bound(0.5, 0.25), rel=1e-14)
    assert (result.rows, result.missing_labels, result.ignored_labels, result.language.bounded) == (3, 1, 1, 1)
    assert result.reading.kind_reason == "column 'top_logprobs' with the classes in 'top_ids', by their names"
    assert result.reading.notes == (
        (
            "'top_logprobs' holds the most likely classes only: where 'top_ids' does not list the truth, the loss is "
            "counted as the least that it can be, from what the listed classes leave."
        ),
    )


def test_it_is_a_bound_of_what_all_classes_would_cost(write):
    rng = np.random.default_rng(3)
    full = rng.dirichlet(np.full(50, 0.2), 500).astype(np.float32)
    labels = np.array([rng.choice(50, p=row / row.sum()) for row in full.astype(float)])
    order = np.argsort(-full, axis=1)[:, :5]
    values = np.log(np.take_along_axis(full, order, axis=1))
    exact = -np.log(full[np.arange(500), labels].astype(np.float64))
    result = score(
        write({"target": labels, "topk_indices": order.tolist(), "topk_logprobs": values.tolist()}), worst=500
    )
    found = np.array([each.loss_nats for each in sorted(result.worst, key=lambda each: each.row)])
    is_listed = (order == labels[:, np.newaxis]).any(axis=1)
    assert result.language.bounded == np.count_nonzero(~is_listed) > 0
    np.testing.assert_allclose(found[is_listed], exact[is_listed], rtol=1e-6, atol=1e-7)  # float32 logarithms
    assert (found[~is_listed] <= exact[~is_listed]).all()
    assert result.total < exact.sum()


@pytest.mark.parametrize(
    ("ids", "values"),
    [
        ("top_ids", "top_logprobs"),
        ("topk_indices", "topk_probs"),
        ("top_k_tokens", "top_k_scores"),
        ("top_classes", "top_p"),
    ],
)
def test_names_and_kinds_of_numbers(write, ids, values):
    numbers = [[0.5, 0.25], [0.5, 0.25]]
    if values == "top_logprobs":
        numbers = np.log(numbers).tolist()
    names = [["cat", "dog"], ["cat", "cow"]]
    table = {"target": ["dog", "dog"], ids: names, values: numbers}
    expected = pytest.approx(math.log(4) + bound(0.5, 0.25), rel=1e-14)
    assert score(write(table)).total == expected
    coded = pa.table(table | {"target": pa.array(["dog", "dog"]).dictionary_encode()})
    assert score(write(coded, "a.arrow"), batch_rows=1).total == expected


def test_padding_missing_lists_and_certainty(write):
    kind = pa.list_(pa.float32())
    columns = {
        "y": [4, 4, 4, 9],
        "top_ids": [[4, -1, -1], None, [4, 6, None], [4, 6, 7]],
        "top_logprobs": pa.array(
            [[-1.0, -math.inf, None], None, [math.nan, -1.0, -2.0], [0.0, -math.inf, -9999.0]], kind
        ),
    }
    result = score(write(columns))
    assert (result.undefined, result.rows, result.impossible) == (2, 4, 0)
    # All of the mass is listed: the truth has at most the rounding of three numbers.
    assert result.finite_total == pytest.approx(1.0 - math.log(3 * EPS), rel=1e-14)


def test_whole_predictions_are_preferred(write):
    columns = {"label": [0], "top_ids": [[1]], "top_logprobs": [[-0.1]], "probs": [[0.5, 0.5]]}
    assert score(write(columns)).reading.prediction_columns == ("probs",)


@pytest.mark.parametrize(
    ("changed", "error", "text"),
    [
        (
            {"top_ids": [[1]]},
            SourceError,
            "`top_ids` and `top_logprobs` must be of one length in each row, row 0 has 1 and 2",
        ),
        ({"top_ids": [[5, 5]]}, RangeError, "`top_ids` must list each class once, row 0 lists its truth 2 times"),
        (
            {"top_logprobs": [[0.5, -1.0]]},
            RangeError,
            "`top_logprobs` must be at most 0, row 0 has 0.5; these are no log-probabilities",
        ),
        (
            {"top_logprobs": [[-0.1, -0.1]]},
            RangeError,
            "`top_logprobs` must sum to at most 1 as probabilities, row 0 sums to 1.80967",
        ),
        (
            {"label": ["a"]},
            SourceError,
            (
                "`label` must hold what 'top_ids' lists, it holds string and the lists int64; "
                "name the label column with `target`"
            ),
        ),
        (
            {"top_tokens": [["a", "b"]]},
            SourceError,
            (
                "several columns could be the most likely classes and their log-probabilities: top_ids, top_tokens, "
                "top_logprobs; drop those that are not"
            ),
        ),
    ],
)
def test_what_is_refused(write, changed, error, text):
    columns = {"label": [5], "top_ids": [[5, 6]], "top_logprobs": [[-1.0, -2.0]]} | changed
    with pytest.raises(error) as caught:
        score(write(columns))
    assert str(caught.value) == text


def test_logits_and_probabilities_that_are_refused(write):
    with pytest.raises(SourceError) as caught:
        score(write({"label": [5], "top_ids": [[5, 6]], "top_scores": [[9.0, 2.0]]}))
    assert str(caught.value) == (
        "`top_scores` could be logits of the most likely classes, of which no loss follows without the others; "
        "write their log-probabilities as 'top_logprobs'"
    )
    with pytest.raises(RangeError) as outside:
        score(write({"label": [5], "top_ids": [[5, 6]], "top_probs": [[1.5, 0.1]]}))
    assert str(outside.value) == "`top_probs` must be in [0, 1], row 0 has 1.5; these are no probabilities"
