"""One column of predictions for two classes: which class it is about, and what the other one gets."""

import math

import numpy as np
import pyarrow as pa
import pytest

from crossent.errors import LabelError, RangeError, SourceError
from crossent.scoring.score import score

# Of the second class; the first row is of the first class.
GIVEN = [0.75, 0.5]
COST = pytest.approx((math.log(4) + math.log(2)) / 2, rel=1e-15)


def note(column, given, other, label="target", word="probability", rest="gets the rest"):
    return (
        (
            f"The column '{column}' is taken for the {word} of class '{given}' of '{label}', and '{other}' {rest}; "
            f"if it is that of '{other}', say so with classes=['{given}', '{other}']."
        ),
    )


@pytest.mark.parametrize(
    "name", ["p", "prob", "proba", "y_prob", "prob_1", "p1", "score", "y_score", "prediction_probas"]
)
@pytest.mark.parametrize("ending", ["a.parquet", "a.csv"])
def test_the_column_is_about_class_1(write, name, ending):
    result = score(write({"target": [0, 1], "x": [3.0, 9.0], name: GIVEN}, ending))
    reading = result.reading
    assert (result.cost, reading.prediction_columns, reading.rest_class) == (COST, (name,), 0)
    assert [(each.name, each.label, each.column) for each in reading.classes] == [
        ("0", 0, f"1 - {name}"),
        ("1", 1, name),
    ]
    assert reading.notes == note(name, "1", "0")
    assert reading.kind_reason == "by its name"


@pytest.mark.parametrize(
    ("labels", "first", "second"),
    [
        (["no", "yes"], "no", "yes"),
        ([False, True], "False", "True"),
        ([0.0, 1.0], "0", "1"),
        ([-1, 1], "-1", "1"),
        ([1, 2], "1", "2"),
        (["2", "10"], "2", "10"),
    ],
)
def test_the_second_class_in_natural_order(write, labels, first, second):
    result = score(write({"target": labels, "p": GIVEN}))
    assert (result.cost, result.reading.notes) == (COST, note("p", second, first))


def test_the_class_may_be_in_the_name(write):
    result = score(write({"target": ["dog", "cat"], "p_cat": [0.75, 0.5]}))
    assert (result.cost, result.reading.rest_class) == (COST, 1)
    assert [each.column for each in result.reading.classes] == ["p_cat", "1 - p_cat"]
    assert result.reading.notes == note("p_cat", "cat", "dog")
    assert score(write({"target": ["neg", "pos"], "prob_pos": GIVEN})).cost == COST
    assert score(write({"target": [1, 0], "prob_0": GIVEN})).cost == COST
    assert score(write({"target": [0, 1], "prob_positive": GIVEN})).cost == COST


def test_the_caller_says_which_class(write):
    path = write({"target": ["no", "yes"], "p": [0.25, 0.5]})
    assert score(path, classes=["yes", "no"]).cost == COST
    ones = write({"target": ["no", "no"], "p": [0.75, 0.5]}, "ones.parquet")
    assert score(ones, classes=["no", "yes"]).cost == COST
    margins = write({"target": [0, 1], "score": [math.log(3), 0.0]}, "margins.parquet")
    result = score(margins, logits="score")
    assert (result.cost, result.reading.kind) == (COST, "logits")
    assert score(path, probs="p", classes=["yes", "no"]).cost == COST


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_kinds_of_numbers(write, dtype):
    logits = {"target": [0, 1], "logit": np.array([1.0, -2.0], dtype)}
    result = score(write(logits))
    losses = math.log1p(math.exp(1.0)), math.log1p(math.exp(2.0))
    assert result.cost == pytest.approx(sum(losses) / 2, rel=1e-15)
    assert result.reading.notes == note("logit", "1", "0", word="logit", rest="has the logit 0")
    logs = np.array([-1e-3, -20.0], dtype)
    result = score(write({"target": [0, 1], "y_log_prob": logs}))
    losses = -math.log(-math.expm1(float(logs[0]))), -float(logs[1])
    assert result.cost == pytest.approx(sum(losses) / 2, rel=1e-15)
    assert [each.column for each in result.reading.classes] == ["log(1 - exp(y_log_prob))", "y_log_prob"]


def test_a_small_float32_leaves_all_the_rest(write):
    tiny = np.float32(1e-9)
    result = score(write({"target": [0, 1], "p": np.array([tiny, 1.0], np.float32)}))
    assert result.total == pytest.approx(-math.log1p(-float(tiny)), rel=1e-7)  # 1 - p is rounded at 1.1e-16


def test_zeros_ones_and_nothing(write):
    result = score(write({"target": [0, 1, 0, 1, None], "p": [1.0, 0.0, 0.0, None, 0.5]}))
    assert (result.impossible, result.undefined, result.missing_labels, result.finite_cost) == (2, 1, 1, 0.0)


def test_a_decision_is_no_probability(write):
    text = "`source` must have predictions, none were found among the columns target, prediction; "
    for values in ([1.0, 0.0], [1, 0]):
        with pytest.raises(SourceError) as caught:
            score(write({"target": [0, 1], "prediction": values}))
        assert str(caught.value) == f"{text}name them with `probs`, `logits` or `log_probs`"


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (
            {"target": [0, 1, 2], "score": [0.1, 0.2, 0.3]},
            (
                "`target` must have two values where the predictions are one column, 'score', in the first rows it has "
                "0, 1, 2; name one column per class with `probs` or `logits`, or both classes with `classes`"
            ),
        ),
        (
            {"target": ["a", "a"], "p": GIVEN},
            (
                "`target` must have two values where the predictions are one column, 'p', in the first rows it has a; "
                "name one column per class with `probs` or `logits`, or both classes with `classes`"
            ),
        ),
        (
            {"target": pa.array([None, None], pa.int64()), "p": GIVEN},
            (
                "`target` must have two values where the predictions are one column, 'p', in the first rows it has none; "
                "name one column per class with `probs` or `logits`, or both classes with `classes`"
            ),
        ),
        (
            {"target": [1, 2], "prob_1": GIVEN},
            (
                "`prob_1` could be about the class '1' or about the second of 1, 2; rename it, or give it and the other "
                "class as two columns"
            ),
        ),
        (
            {"target": [0, 1], "p": GIVEN, "y_prob": GIVEN},
            "several columns could be the predictions: p, y_prob; say which with `probs`, `logits` or `log_probs`",
        ),
        (
            {"target": [0, 1], "score": [3.0, -1.0]},
            (
                "`source` must have predictions, none were found among the columns target, score; "
                "name them with `probs`, `logits` or `log_probs`"
            ),
        ),
        (
            {"target": ["cat", "dog"], "p_cow": GIVEN},
            (
                "`source` must have predictions, none were found among the columns target, p_cow; "
                "name them with `probs`, `logits` or `log_probs`"
            ),
        ),
    ],
)
def test_what_is_refused(write, columns, text):
    with pytest.raises(SourceError) as caught:
        score(write(columns))
    assert str(caught.value) == text


def test_what_is_refused_with_options(write):
    path = write({"target": [0, 1], "p": GIVEN})
    with pytest.raises(SourceError) as caught:
        score(path, classes=["a", "b", "c"])
    assert str(caught.value) == "`classes` must have 2 names where the predictions are one column, 'p', got 3: a, b, c"


def test_a_third_label_and_a_probability_above_1_later_on(write):
    with pytest.raises(LabelError) as caught:
        score(write({"target": [0, 1] * 2048 + [2], "p": [0.5] * 4097}))
    assert str(caught.value) == "`target` must hold one of the classes 0, 1; row 4096 has 2: are the labels 1-based?"
    with pytest.raises(RangeError) as outside:
        score(write({"target": [0, 1], "p": [0.5, -0.25]}))
    assert str(outside.value) == (
        "`1 - p` must be in [0, 1], row 1 has 1.25; if these are logits, say so with `logits`"
    )


def test_the_confidence_in_a_predicted_label_is_refused(write):
    pipeline = write({"label": ["POSITIVE", "NEGATIVE"], "score": [0.99, 0.75]})
    rest = "and not the probability of one class; if it is that, say so with `probs` and name the truth with `target`"
    with pytest.raises(SourceError) as caught:
        score(pipeline)
    assert str(caught.value) == f"`score` may be the confidence in a predicted class, as pipelines write them, {rest}"
    assert score(pipeline, target="label").rows == 2
    assert score(pipeline, probs="score").rows == 2
    sure = write({"target": [0, 1] * 5, "prediction": [0, 1] * 5, "prob": [0.5, 0.99] * 5}, "sure.parquet")
    with pytest.raises(SourceError) as caught:
        score(sure)
    assert str(caught.value) == (
        "`prob` may be the confidence in a predicted class, as 'prob' is at least 0.5 in each of the first rows, "
        + rest
    )
    assert score(sure, probs="prob").rows == 10
    doubted = write({"target": [0, 1] * 5, "prob": [0.5, 0.99] * 4 + [0.49, 0.99]}, "doubted.parquet")
    assert score(doubted).rows == 10
