"""Layouts that tools and people write, each read without an option: the cost, by hand, and what is said of the reading."""

import math

import pyarrow as pa
import pytest
from pyarrow import csv

from crossent.errors import LabelError, SourceError
from crossent.scoring.score import score

# Row 0 is a cat that was given 0.25, row 1 a dog that was given 0.5.
CAT = [0.25, 0.5]
DOG = [0.75, 0.5]
LISTS = [[0.25, 0.75], [0.5, 0.5]]
NAMES = ["cat", "dog"]
COST = (math.log(4) + math.log(2)) / 2

# Two logarithms and a mean.
CLOSE = pytest.approx(COST, rel=1e-15)

BY_NAME = "by its name"
LEFT_OVER = "the only column besides the predictions that can hold labels"
NAMES_OF_COLUMNS = "the only column whose values are the names of other columns"
AS_LABELS = "columns named as the labels, kind by their first rows"
BY_NAMES = "by their name"


@pytest.mark.parametrize(
    ("columns", "label", "label_reason", "predictions", "kind_reason"),
    [
        pytest.param(
            {"id": [7, 9], "Status": NAMES, "Status_cat": CAT, "Status_dog": DOG, "Status_cow": [0.0, 0.0]},
            *("Status", NAMES_OF_COLUMNS, ("Status_cat", "Status_cow", "Status_dog"), AS_LABELS),
            id="Kaggle, solution and submission in one file",
        ),
        pytest.param(
            {"animal": NAMES, "model_a_cat": CAT, "model_a_dog": DOG, "age": [3.0, 4.0], "weight": [1.0, 2.0]},
            *("animal", NAMES_OF_COLUMNS, ("model_a_cat", "model_a_dog"), AS_LABELS),
            id="any prefix, beside other columns of floats",
        ),
        pytest.param(
            {"predictions": NAMES, "truth": NAMES, "cat": CAT, "dog": DOG},
            *("truth", BY_NAME, ("cat", "dog"), AS_LABELS),
            id="AutoML benchmark",
        ),
        pytest.param(
            {"predictions": [2, 10], "truth": [10, 2], "0": [0.0, 0.0], "1": [0.0, 0.0], "10": CAT, "2": DOG},
            *("truth", BY_NAME, ("0", "1", "2", "10"), AS_LABELS),
            id="AutoML benchmark, classes 0, 1, 10, 2",
        ),
        pytest.param(
            {"p_cat": CAT, "p_dog": DOG, "label": NAMES},
            *("label", BY_NAME, ("p_cat", "p_dog"), BY_NAMES),
            id="mljar-supervised, nothing but its label",
        ),
        pytest.param(
            {"p_cat": CAT, "p_dog": DOG, "label": ["dog", "dog"], "species": NAMES},
            *("species", "its values are classes, and 'label' is the prediction in each of the first rows"),
            *(("p_cat", "p_dog"), BY_NAMES),
            id="mljar-supervised, beside the truth",
        ),
        pytest.param(
            {"p_cat": CAT, "p_dog": DOG, "label": ["dog", "dog"], "target": NAMES},
            *("target", "by its name, preferred to label", ("p_cat", "p_dog"), BY_NAMES),
            id="mljar-supervised, beside a truth with a name",
        ),
        pytest.param(
            {" <=50K": CAT, " >50K": DOG, "income": [" <=50K", " >50K"], "fnlwgt": [5, 6]},
            *("income", NAMES_OF_COLUMNS, (" <=50K", " >50K"), AS_LABELS),
            id="AutoGluon, names with a space",
        ),
        pytest.param(
            {"__index_level_0__": [4, 8], "y_true": NAMES, "dog": DOG, "cat": CAT},
            *("y_true", BY_NAME, ("cat", "dog"), AS_LABELS),
            id="a frame of scikit-learn's predict_proba",
        ),
        pytest.param(
            {"target": NAMES, "prediction_labels": NAMES, "cat": CAT, "dog": DOG},
            *("target", BY_NAME, ("cat", "dog"), AS_LABELS),
            id="Evidently, one column per class",
        ),
        pytest.param(
            {"target": [0, 1], "prediction": [1, 1], "prediction_probas": LISTS},
            *("target", BY_NAME, ("prediction_probas",), BY_NAMES),
            id="Evidently, lists",
        ),
        pytest.param(
            {"target": NAMES, "dog": DOG, "fold": [1.0, 2.0], "id": [0.5, 0.7], "cat": CAT, "split": ["a", "a"]}
            | {"weight": [1.0, 3.0], "epoch": [1, 1]},
            *("target", BY_NAME, ("cat", "dog"), AS_LABELS),
            id="no class: fold, id, split, weight, epoch",
        ),
        pytest.param(
            {"x": [1.5, 2.5], "y": [0.3, 0.4], "species": NAMES, "p_cat": CAT, "p_dog": DOG},
            *("species", LEFT_OVER, ("p_cat", "p_dog"), BY_NAMES),
            id="y is a coordinate",
        ),
        pytest.param(
            {"outcome": [0, 1], "fold": [0, 1], "patient_id": [1, 0], "p_0": CAT, "p_1": DOG},
            *("outcome", LEFT_OVER, ("p_0", "p_1"), BY_NAMES),
            id="ids and folds are no labels",
        ),
        pytest.param(
            {"animal": NAMES, "colour": ["red", "blue"], "p_cat": CAT, "p_dog": DOG},
            *("animal", "the only column whose values are classes of the predictions", ("p_cat", "p_dog"), BY_NAMES),
            id="of two columns of names the one with classes",
        ),
        pytest.param(
            {"target": ["größe", "猫"], "p_größe": CAT, "p_猫": DOG},
            *("target", BY_NAME, ("p_größe", "p_猫"), BY_NAMES),
            id="names beyond ASCII",
        ),
        pytest.param(
            {"target": ["nan", "NA"], "p_nan": CAT, "p_NA": DOG, "p_true": [0.0, 0.0]},
            *("target", BY_NAME, ("p_NA", "p_nan", "p_true"), BY_NAMES),
            id="classes called nan, NA, true",
        ),
        pytest.param(
            {"target": ["01", "1"], "p_01": CAT, "p_1": DOG},
            *("target", BY_NAME, ("p_01", "p_1"), BY_NAMES),
            id="01 and 1 are two names",
        ),
        pytest.param(
            {"target": NAMES, "weight": CAT, "cat": CAT, "dog": DOG},
            *("target", BY_NAME, ("cat", "dog"), AS_LABELS),
            id="weights in [0, 1]",
        ),
        pytest.param(
            {"target": ["weight", "fold"], "weight": CAT, "fold": DOG},
            *("target", BY_NAME, ("fold", "weight"), AS_LABELS),
            id="classes called weight and fold",
        ),
    ],
)
def test_tables(write, columns, label, label_reason, predictions, kind_reason):
    result = score(write(columns))
    reading = result.reading
    assert result.cost == CLOSE
    assert (reading.label_column, reading.label_reason) == (label, label_reason)
    assert (reading.prediction_columns, reading.kind, reading.kind_reason) == (predictions, "probs", kind_reason)
    assert reading.classes_reason in ("named by the columns", "numbered by their position in the list")


@pytest.mark.parametrize(
    "columns",
    [
        {"target": ["nan", "true"], "p_nan": CAT, "p_true": DOG},
        {"target": ["nan", "nan"], "p_nan": [0.25, 0.5], "p_cat": DOG},
        {"target": ["true", "false"], "p_true": CAT, "p_false": DOG, "p_maybe": [0.0, 0.0]},
        {"target": ["1", "2"], "p_1": CAT, "p_2": DOG, "p_other": [0.0, 0.0]},
        {"target": ["NA", "null"], "p_NA": CAT, "p_null": DOG},
        {"truth": ["10", "2"], "predictions": ["2", "2"], "1": [0.0, 0.0], "10": CAT, "2": DOG},
    ],
    ids=lambda columns: " ".join(next(iter(columns.values()))),
)
def test_csv_whose_class_names_look_like_something_else(write, columns):
    result = score(write(columns, "a.csv"))
    assert (result.cost, result.missing_labels) == (CLOSE, 0)


def test_csv_that_shows_the_other_names_only_later(tmp_path):
    # pyarrow takes the type of a column from its first block, 1 MiB.
    path = tmp_path / "late.csv"
    path.write_text("target,p_1,p_2,p_other\n" + "1,1,0,0\n" * 200_000 + "other,0.25,0.25,0.5\n")
    assert score(path).total == math.log(2)


def test_spaces_around_the_names_of_csv(tmp_path):
    path = tmp_path / "spaces.csv"
    path.write_text("id, target, prob_cat, prob_dog\n1, cat, 0.25, 0.75\n2, dog, 0.5, 0.5\n")
    result = score(path)
    assert result.cost == CLOSE
    assert [each.name for each in result.classes] == NAMES
    assert result.reading.notes == (
        "Spaces around the names of columns are not taken for a part of them: ' target', ' prob_cat', ' prob_dog'.",
    )


def test_a_class_that_never_occurs_and_a_column_that_is_no_class(write):
    never = {"target": NAMES, "cat": CAT, "dog": [0.5, 0.5], "cow": [0.25, 0.0]}
    assert [(each.name, each.rows) for each in score(write(never)).classes] == [("cat", 1), ("cow", 0), ("dog", 1)]
    other = {"target": NAMES, "cat": CAT, "dog": DOG, "height": [1.5, 0.9]}
    result = score(write(other))
    assert (result.cost, [each.name for each in result.classes]) == (CLOSE, NAMES)
    assert result.reading.notes == (
        "Not taken for classes: height; the rows sum to 1 without, and no label of the first rows is called so.",
    )
    best = {"target": NAMES, "p_cat": CAT, "p_dog": DOG, "p_max": [0.75, 0.5]}
    assert [each.name for each in score(write(best)).classes] == NAMES


def test_a_weight_is_mentioned_and_not_used(write):
    path = write({"target": NAMES, "cat": CAT, "dog": DOG, "Sample_Weight": [1.0, 3.0]})
    assert score(path).reading.notes == (
        "The column 'Sample_Weight' is not used; rows are weighted by it with `weight`.",
    )
    assert score(path, weight="Sample_Weight").reading.notes == ()


def test_labels_that_count_from_1_are_names_where_columns_have_them(write):
    assert score(write({"y": [1, 2], "p_1": CAT, "p_2": DOG})).cost == CLOSE


def test_kaggle_scores_the_public_rows(write):
    columns = {"id": [1, 2, 3, 4], "Status": ["cat", "dog", "dog", "nothing"]}
    columns |= {"Status_cat": [*CAT, 1.0, 0.5], "Status_dog": [*DOG, 0.0, 0.5]}
    columns |= {"Usage": ["Public", "Public", "Private", "Ignored"]}
    result = score(write(columns))
    assert (result.cost, result.rows, result.ignored_labels, result.missing_labels) == (CLOSE, 2, 2, 0)
    assert result.reading.notes == (
        "Only the rows marked Public in 'Usage' are scored; the others are counted as ignored.",
    )
    columns["Usage"] = ["train", "train", "test", "test"]
    columns["Status"][3] = "dog"
    assert score(write(columns)).rows == 4


def test_kaggle_one_hot_solution_beside_the_submission(write):
    truths = {"solution_Status_cat": [1, 0], "solution_Status_dog": [0, 1]}
    result = score(write({"PassengerId": [11, 12], "Status_cat": CAT, "Status_dog": DOG} | truths))
    assert (result.cost, [each.name for each in result.classes]) == (CLOSE, NAMES)
    assert result.reading.label_form == "one-hot"
    assert result.reading.label_reason == "one column per class called 'solution_' and the column of the prediction"
    assert [each.id for each in result.worst] == ["11", "12"]


def test_kaggle_one_hot_solution_in_another_file(write):
    submission = write({"id": [2, 1], "Status_cat": CAT[::-1], "Status_dog": DOG[::-1]}, "submission.csv")
    solution = write({"id": [1, 2], "Status_cat": [1, 0], "Status_dog": [0, 1]}, "solution.csv")
    result = score(submission, labels=solution, on="id")
    assert (result.cost, [each.column for each in result.reading.classes]) == (CLOSE, ["Status_cat", "Status_dog"])
    prefixed = write({"id": [2, 1], "prob_cat": CAT[::-1], "prob_dog": DOG[::-1]}, "prefixed.csv")
    solution = write({"id": [1, 2], "prob_cat": [1, 0], "prob_dog": [0, 1]}, "solution.csv")
    assert score(prefixed, labels=solution, on="id").cost == CLOSE


def test_the_first_column_names_the_rows_where_it_differs_in_each(write):
    names = ["a.png", "b.png", "c.png"]
    columns = {"image": names, "target": [0, 0, 1], "prob_0": [0.5, 0.25, 0.5], "prob_1": [0.5, 0.75, 0.5]}
    assert score(write(columns)).worst[0].id == "b.png"
    assert score(write(columns | {"image": ["a.png", "b.png", "b.png"]})).worst[0].id is None
    assert score(write(columns | {"image": ["x" * 65, "y", "z"]})).worst[0].id is None


# -- one-hot and soft truths


@pytest.mark.parametrize("prefix", ["target_", "true_", "y_", "y_true_", "label."])
@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.bool_()], ids=str)
def test_one_hot_truths_by_their_names(write, prefix, kind):
    truths = {f"{prefix}dog": pa.array([0, 1]).cast(kind), f"{prefix}cat": pa.array([1, 0]).cast(kind)}
    result = score(write({"prob_cat": CAT, "prob_dog": DOG} | truths))
    assert result.cost == CLOSE
    assert result.reading.target_columns == (f"{prefix}cat", f"{prefix}dog")
    assert result.reading.label_reason == f"one column per class called '{prefix}' and the class"


def test_soft_truths_by_their_names(write):
    path = write({"prob_cat": CAT, "prob_dog": DOG, "target_cat": [0.5, 0.25], "target_dog": [0.5, 0.75]})
    result = score(path)
    losses = (-0.5 * math.log(0.25) - 0.5 * math.log(0.75), math.log(2))
    assert result.reading.label_form == "soft"
    assert result.cost == pytest.approx(sum(losses) / 2, rel=1e-15)


@pytest.mark.parametrize("name", ["target", "label", "y_true", "soft_labels"])
def test_truths_as_lists(write, name):
    result = score(write({name: [[1.0, 0.0], [0.0, 1.0]], "probs": LISTS}))
    assert (result.cost, result.reading.label_form) == (CLOSE, "soft")
    assert result.reading.label_reason == "by its name, a list as long as the predictions"


def test_csv_and_parquet_of_one_table_are_understood_alike(write, tmp_path):
    table = pa.table({"row": [5, 6], "target": NAMES, "weight": CAT, "dog": DOG, "cat": CAT})
    csv.write_csv(table, tmp_path / "a.csv")
    one, other = score(tmp_path / "a.csv").reading, score(write(table)).reading
    assert (one.label_column, one.prediction_columns, one.classes) == (
        other.label_column,
        other.prediction_columns,
        other.classes,
    )


HALVES = {"prob_0": [0.5, 0.5], "prob_1": [0.5, 0.5]}
NO_LABEL = "no column is called target, targets, y_true, truth or the like; name the label column with `target`, "


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (
            {"target": NAMES, "cat": [1.0, 2.0], "dog": [3.0, 4.0], "cow": [-1.0, 0.0]},
            (
                "the columns cat, dog are named as the labels, cow may be classes that the first rows lack or something "
                "else; name the columns of all classes with `probs`, `logits` or `log_probs`"
            ),
        ),
        (
            {"target": NAMES, "a_cat": CAT, "a_dog": DOG, "b_cat": CAT, "b_dog": DOG},
            "several columns could be the predictions: a_cat, b_cat; say which with `probs`, `logits` or `log_probs`",
        ),
        (
            {"animal": NAMES, "second": NAMES, "cat": CAT, "dog": DOG},
            NO_LABEL + "the columns are animal, second, cat, dog",
        ),
        ({"one": [0, 1], "other": [1, 0]} | HALVES, NO_LABEL + "the columns are one, other, prob_0, prob_1"),
        ({"fold": [0, 1], "id": [0, 1]} | HALVES, NO_LABEL + "the columns are fold, id, prob_0, prob_1"),
        (
            {"target_0": [0, 1], "target_1": [1, 0], "true_0": [0, 1], "true_1": [1, 0]} | HALVES,
            (
                "several columns could be the truth: target_0, true_0; "
                "say which with `target`, a column or a list of one column per class"
            ),
        ),
        (
            {"target": NAMES, "cat": [0.5, 0.25], "dog": [0.25, 0.5]},
            (
                "the predictions cat, dog could be probabilities or logits, their first rows lie in [0, 1] without "
                "summing to 1; say which with `probs`, `logits` or `log_probs`"
            ),
        ),
        (
            {"text": ["a", "b"], "loss": [1.0, 2.0], "nll": [1.0, 2.0]},
            "several columns could be the losses: loss, nll; say which with `losses`, or with `truth_log_probs`",
        ),
    ],
)
def test_what_is_refused_and_the_option_that_decides(write, columns, text):
    with pytest.raises(SourceError) as caught:
        score(write(columns))
    assert str(caught.value) == text


def test_features_that_are_numbered_as_the_labels_are_no_predictions(write):
    columns = {"y": [0, 1], "feature_0": [3.0, 1.0], "feature_1": [2.0, 2.0], "prob": [0.75, 0.5]}
    assert score(write(columns)).reading.prediction_columns == ("prob",)


def test_a_label_that_has_no_column(write):
    with pytest.raises(LabelError) as caught:
        score(write({"target": ["cat", "cow"], "prob_cat": CAT, "prob_dog": DOG}))
    assert str(caught.value) == (
        "`target` must hold one of the classes cat, dog; row 1 has 'cow': give the prediction of 'cow' a column, "
        "or name the label column with `target`"
    )


def test_rows_may_be_scored_apart_by_their_label(write):
    result = score(write({"target": NAMES, "label": ["dog", "dog"], "p_cat": CAT, "p_dog": DOG}), by="target")
    assert (result.reading.label_column, [each.name for each in result.groups]) == ("target", NAMES)


def test_a_stream_that_can_be_read_once_is_read_whole():
    table = pa.table({"id": [1, 2, 3], "Status": [*NAMES, "dog"], "Status_cat": [*CAT, 1.0], "Status_dog": [*DOG, 0.0]})
    marked = table.append_column("Usage", pa.array(["Public", "Public", "Private"]))
    result = score(iter(marked.to_batches(max_chunksize=1)))
    assert (result.rows, result.ignored_labels, result.cost) == (2, 1, CLOSE)
