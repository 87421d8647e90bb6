"""How files are understood: the layouts that people write, and what is said about each."""

import json

import numpy as np
import pyarrow as pa
import pytest

from crossent.scoring.kinds import kind_by_evidence
from crossent.scoring.score import score

TWO = [0.25, 0.5]
REST = [0.75, 0.5]
LISTS = [[0.25, 0.75], [0.5, 0.5]]
NAMES = ["cat", "dog"]


@pytest.mark.parametrize(
    ("columns", "label", "predictions", "kind"),
    [
        ({"target": [0, 1], "prob_0": TWO, "prob_1": REST}, "target", ("prob_0", "prob_1"), "probs"),
        ({"y_true": [0, 1], "proba0": TWO, "proba1": REST}, "y_true", ("proba0", "proba1"), "probs"),
        ({"Target": [0, 1], "Probability.0": TWO, "Probability.1": REST}, "Target", None, "probs"),
        ({"y": [0, 1], "logit_0": TWO, "logit_1": TWO}, "y", ("logit_0", "logit_1"), "logits"),
        ({"y": [0, 1], "log_prob_0": [-1.0, -2.0], "log_prob_1": [-1.0, -2.0]}, "y", None, "log_probs"),
        ({"y": [0, 1], "score_0": TWO, "score_1": REST}, "y", ("score_0", "score_1"), "probs"),
        ({"y": [0, 1], "score_0": [3.0, 1.0], "score_1": TWO}, "y", None, "logits"),
        ({"truth": NAMES, "predictions": NAMES, "cat": TWO, "dog": REST}, "truth", ("cat", "dog"), "probs"),
        (
            {"truth": NAMES, "pred_label": NAMES, "pred_second": NAMES, "cat": TWO, "dog": REST},
            "truth",
            ("cat", "dog"),
            "probs",
        ),
        ({"id": [1, 2], "Status": ["C", "D"], "Status_C": TWO, "Status_D": REST}, "Status", None, "probs"),
        ({"class": NAMES, "x.cat": TWO, "x.dog": REST}, "class", ("x.cat", "x.dog"), "probs"),
        ({"species": NAMES, "p_cat": TWO, "p_dog": REST}, "species", ("p_cat", "p_dog"), "probs"),
        ({"Unnamed: 0": [0, 1], "species": NAMES, "p_cat": TWO, "p_dog": REST}, "species", None, "probs"),
        ({"label": [0, 1], "probs": LISTS}, "label", ("probs",), "probs"),
        ({"label": [0, 1], "logits": LISTS}, "label", ("logits",), "logits"),
        ({"label": [0, 1], "embedding": LISTS, "y_prob": LISTS}, "label", ("y_prob",), "probs"),
        ({"label": [0, 1], "scores": LISTS, "probs": LISTS}, "label", ("probs",), "probs"),
        ({"label": [0, 1], "anything": LISTS}, "label", ("anything",), "probs"),
        ({"label": NAMES, "target": NAMES, "p_cat": TWO, "p_dog": REST}, "target", None, "probs"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_layouts_without_a_word_from_the_caller(write, columns, label, predictions, kind):
    reading = score(write(columns)).reading
    assert reading.label_column == label
    assert reading.kind == kind
    if predictions is not None:
        assert reading.prediction_columns == predictions


@pytest.mark.parametrize(
    ("asked", "predictions", "kind"),
    [
        ({"probs": "b_"}, ("b_cat", "b_dog"), "probs"),
        ({"logits": "b"}, ("b_cat", "b_dog"), "logits"),
        ({"logits": ["p_cat", "b_dog"], "classes": ["p_cat", "b_dog"]}, ("p_cat", "b_dog"), "logits"),
        ({"probs": ["p_dog", "p_cat"]}, ("p_cat", "p_dog"), "probs"),
        ({"logits": "lists", "classes": NAMES}, ("lists",), "logits"),
        ({}, ("p_cat", "p_dog"), "probs"),
    ],
)
def test_the_caller_decides(write, asked, predictions, kind):
    labels = ["p_cat", "b_dog"] if asked.get("classes", NAMES) != NAMES else NAMES
    columns = {
        "lists": LISTS,
        "p_cat": TWO,
        "p_dog": REST,
        "b_cat": TWO,
        "b_dog": REST,
        "mine": labels,
        "target": NAMES,
    }
    reading = score(write(columns), target="mine", **asked).reading
    assert (reading.prediction_columns, reading.kind) == (predictions, kind)
    assert (reading.label_column, reading.label_reason) == ("mine", "given as `target`")


def test_decisions_are_recorded_with_their_reasons(write):
    columns = {"target": NAMES, "label": NAMES, "y_score_dog": REST, "y_score_cat": TWO}
    reading = score(write(columns)).reading
    assert reading.label_reason == "by its name, preferred to label"
    assert reading.kind_reason == "columns by their name, kind by their first rows"
    assert reading.classes_reason == "named by the columns"
    assert [(each.name, each.label, each.column) for each in reading.classes] == [
        ("cat", "cat", "y_score_cat"),
        ("dog", "dog", "y_score_dog"),
    ]
    assert score(write({"species": NAMES, "p_cat": TWO, "p_dog": REST})).reading.label_reason == (
        "the only column besides the predictions that can hold labels"
    )


def test_ids_are_positions_in_the_given_classes(write):
    by_name = score(write({"y": [1, 0], "p_dog": REST, "p_cat": TWO}), classes=NAMES)
    assert [(each.name, each.label, each.column) for each in by_name.reading.classes] == [
        ("cat", 0, "p_cat"),
        ("dog", 1, "p_dog"),
    ]
    assert [each.rows for each in by_name.classes] == [1, 1]
    by_number = score(write({"y": NAMES, "p_0": TWO, "p_1": REST}), classes=NAMES)
    assert [each.column for each in by_number.reading.classes] == ["p_0", "p_1"]
    one_based = score(write({"y": [1, 2], "probs": LISTS}), classes=["1", "2"])
    assert [(each.label, each.column) for each in one_based.reading.classes] == [(1, "probs[0]"), (2, "probs[1]")]


def test_numbers_in_column_names_are_the_ids_themselves(write):
    reading = score(write({"y": [7, 3], "p_7": TWO, "p_3": REST})).reading
    assert [(each.label, each.column) for each in reading.classes] == [(3, "p_3"), (7, "p_7")]


def test_hugging_face_class_names_are_read_from_the_metadata(write):
    features = {"info": {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}}
    table = pa.table({"label": [0, 1], "logits": LISTS}).replace_schema_metadata({"huggingface": json.dumps(features)})
    reading = score(write(table)).reading
    assert [(each.name, each.label) for each in reading.classes] == [("neg", 0), ("pos", 1)]
    assert reading.classes_reason == "named by the file's metadata"


def test_logits_that_look_like_probabilities_are_noted(write):
    text = (
        "The columns are read as logits, yet the first rows of logit_0 and the rest lie in [0, 1] and sum to 1: "
        "if they are probabilities, say so with `probs`."
    )
    path = write({"y": [0, 1], "logit_0": TWO, "logit_1": REST})
    assert score(path).reading.notes == (text,)


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([[0.2, 0.8], [1.0, 0.0]], "probs"),
        ([[0.2, 0.8001], [1.0, 0.0]], "probs"),
        ([[0.2, 0.9], [0.5, 0.1]], None),
        ([[0.2, 0.8], [0.9, 0.9]], None),
        ([[-0.1, 0.9]], "logits"),
        ([[0.2, 1.1]], "logits"),
        (np.log([[0.2, 0.8], [0.5, 0.5]]).tolist(), "log_probs"),
        ([[0.0, -np.inf]], "log_probs"),
        ([[-1.0, -2.0]], "logits"),
        ([[np.nan, 0.5]], None),
        ([[np.nan, 0.5], [0.5, 0.5]], "probs"),
    ],
)
def test_kind_by_evidence(rows, kind):
    assert kind_by_evidence(np.array(rows)) == kind


def test_class_names_are_text_whatever_they_look_like(write):
    # "NA" is a country, and pandas and pyarrow alike would read it as nothing.
    path = write({"target": ["NA", "SE"], "p_NA": TWO, "p_SE": REST}, "countries.csv")
    result = score(path)
    assert (result.rows, result.missing_labels) == (2, 0)
    semicolons = path.with_name("semicolons.csv")
    semicolons.write_text(path.read_text().replace(",", ";"))
    assert score(semicolons).to_dict()["classes"] == result.to_dict()["classes"]
