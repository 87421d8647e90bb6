"""score() against scikit-learn, published numbers, and itself in another format, order or batch size."""

import json
import math
import warnings

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc
from sklearn.metrics import accuracy_score, d2_log_loss_score, log_loss

from crossent.scoring.result import Score
from crossent.scoring.score import score

# A row loss is within 4 ulp of float64 and the sum is exact: 4 * 2.2e-16, and as much again for the other side.
RELATIVE = 2e-15


def numbers(result: Score) -> dict:
    """Return every number of a score, but not where its rows were."""
    content = result.to_dict()
    content["worst"] = [
        {name: value for name, value in row.items() if name not in ("source", "row")} for row in content["worst"]
    ]
    return {name: value for name, value in content.items() if name not in ("reading", "sources")}


def columns(labels: object, predictions: np.ndarray, prefix: str = "prob_") -> dict:
    return {"target": labels} | {f"{prefix}{index}": predictions[:, index] for index in range(predictions.shape[1])}


def test_spam_and_ham_of_the_scikit_learn_docstring(write):
    # sklearn.metrics.log_loss, docstring example: 0.21616...
    path = write(
        {"y_true": ["spam", "ham", "ham", "spam"], "ham": [0.1, 0.9, 0.8, 0.35], "spam": [0.9, 0.1, 0.2, 0.65]}
    )
    result = score(path)
    assert result.cost == pytest.approx(-math.log(0.9 * 0.9 * 0.8 * 0.65) / 4, rel=RELATIVE)
    assert round(result.cost, 5) == 0.21616
    assert [each.name for each in result.classes] == ["ham", "spam"]
    assert result.prior_cost == pytest.approx(math.log(2), rel=RELATIVE)


def test_river_cross_entropy_docstring(write):
    # river.metrics.CrossEntropy, docstring example, which prints the mean after each row.
    predictions = np.array(
        [
            [0.29450637, 0.34216758, 0.36332605],
            [0.21290077, 0.32728332, 0.45981591],
            [0.42860913, 0.33380113, 0.23758974],
            [0.44941979, 0.32962558, 0.22095463],
        ]
    )
    labels = [0, 1, 2, 2]
    for rows, published in ((1, 1.222454), (2, 1.169691), (3, 1.258864), (4, 1.321598)):
        path = write(columns(labels[:rows], predictions[:rows]))
        assert score(path).cost == pytest.approx(published, abs=1e-6)  # printed with six digits


@pytest.mark.parametrize(("classes", "published"), [(9, 2.197225), (99, 4.595120)])
def test_the_uniform_predictor_costs_the_logarithm_of_the_classes(write, classes, published):
    labels = np.arange(4 * classes) % classes
    result = score(write(columns(labels, np.full((4 * classes, classes), 1 / classes))))
    assert round(result.cost, 6) == published
    assert result.perplexity == pytest.approx(classes, rel=1e-13)  # exp magnifies the error of ln 99 by 4.6
    assert result.bits_per_row == pytest.approx(math.log2(classes), rel=RELATIVE)
    assert result.improvement == pytest.approx(0.0, abs=1e-14)
    assert result.correct == 0
    assert result.tied == result.rows


def test_cost_total_accuracy_and_improvement_are_those_of_scikit_learn(write, probabilities):
    predictions, labels = probabilities
    result = score(write(columns(labels, predictions)))
    assert predictions.min() > 1e-15  # scikit-learn clips below 2.2e-16
    assert result.cost == pytest.approx(log_loss(labels, predictions), rel=1e-14)
    assert result.total == pytest.approx(log_loss(labels, predictions, normalize=False), rel=1e-14)
    assert result.improvement == pytest.approx(d2_log_loss_score(labels, predictions), rel=1e-13)
    assert result.accuracy == accuracy_score(labels, predictions.argmax(axis=1))
    assert result.total == pytest.approx(math.fsum(-np.log(predictions[np.arange(1000), labels])), rel=RELATIVE)


def test_logits_and_log_probabilities_cost_what_their_probabilities_cost(write, probabilities):
    predictions, labels = probabilities
    log_probs = np.log(predictions)
    expected = score(write(columns(labels, predictions)))
    for prefix in ("logit_", "log_prob_"):
        result = score(write(columns(labels, log_probs, prefix), f"{prefix}.parquet"))
        assert result.cost == pytest.approx(expected.cost, rel=1e-13)
        assert result.correct == expected.correct
    shifted = score(write(columns(labels, log_probs + 100.0, "logit_"), "shifted.parquet"))
    assert shifted.cost == pytest.approx(expected.cost, rel=1e-12)  # 100 + x rounds x at 1.4e-14


def test_a_valid_tiny_float32_probability_is_not_clipped(write):
    # scikit-learn scores it 15.94, the logarithm of float32's eps.
    tiny = np.float32(1e-9)
    path = write({"target": [0], "prob_0": np.array([tiny]), "prob_1": np.array([1.0], np.float32)})
    assert score(path).cost == pytest.approx(-math.log(float(tiny)), rel=RELATIVE)


def test_every_class_is_scored_by_itself(write, probabilities):
    predictions, labels = probabilities
    result = score(write(columns(labels, predictions)))
    for index, each in enumerate(result.classes):
        own = predictions[labels == index]
        assert each.name == str(index)
        assert each.rows == len(own)
        assert each.correct == np.count_nonzero(own.argmax(axis=1) == index)
        assert each.cost == pytest.approx(math.fsum(-np.log(own[:, index])) / len(own), rel=RELATIVE)


@pytest.mark.parametrize(
    "name", ["p.parquet", "p.csv", "p.tsv", "p.arrow", "p.arrows", "p.feather", "p.ipc", "p.npz", "lists.npz", "F.npz"]
)
def test_every_format_gives_the_same_bits(write, probabilities, name):
    predictions, labels = probabilities
    expected = numbers(score(write(columns(labels, predictions), "expected.parquet")))
    if name == "lists.npz":
        path = write({"labels": labels, "probs": predictions}, name)
    elif name == "F.npz":
        path = write({"labels": labels, "probs": np.asfortranarray(predictions)}, name)
    else:
        path = write(columns(labels, predictions), name)
    assert numbers(score(path)) == expected
    assert numbers(score(path, batch_rows=7)) == expected


@pytest.mark.parametrize("rows_per_batch", [1, 17, 999, 1000])
@pytest.mark.parametrize("name", ["p.parquet", "p.arrow", "p.arrows"])
def test_neither_row_groups_nor_batches_nor_order_change_a_bit(write, probabilities, name, rows_per_batch):
    predictions, labels = probabilities
    expected = numbers(score(write(columns(labels, predictions), "expected.parquet")))
    order = np.random.default_rng(1).permutation(1000)
    path = write(columns(labels[order], predictions[order]), name, rows_per_batch)
    assert numbers(score(path)) == expected
    assert numbers(score(path, batch_rows=3)) == expected


@pytest.mark.parametrize("lists", [pa.list_, pa.large_list, lambda kind: pa.list_(kind, 3)])
def test_columns_of_lists_give_the_same_bits(write, probabilities, lists):
    predictions, labels = probabilities
    expected = numbers(score(write(columns(labels, predictions))))
    probs = pa.array(predictions.tolist(), lists(pa.float64()))
    assert numbers(score(write({"label_ids": labels, "probs": probs}, "lists.parquet"))) == expected


def test_columns_are_mapped_by_name_in_any_order(write, probabilities):
    predictions, labels = probabilities
    names = np.array(["ape", "bee", "cow"])
    straight = write({"target": names[labels]} | {f"p_{name}": predictions[:, i] for i, name in enumerate(names)})
    order = [2, 0, 1]
    permuted = write(
        {f"p_{names[i]}": predictions[:, i] for i in order} | {"target": names[labels]}, "permuted.parquet"
    )
    assert numbers(score(permuted)) == numbers(score(straight))
    by_classes = score(permuted, classes=["cow", "ape", "bee"])
    assert [each.name for each in by_classes.classes] == ["cow", "ape", "bee"]
    assert by_classes.total == score(straight).total


def test_ten_comes_after_two(write):
    predictions = np.full((11, 11), 0.05) + np.eye(11) * 0.45
    result = score(write(columns(np.arange(11), predictions)))
    assert [each.name for each in result.classes] == [str(index) for index in range(11)]
    assert result.accuracy == 1.0
    assert result.cost == pytest.approx(-math.log(0.5), rel=RELATIVE)


def test_dictionaries_may_differ_from_batch_to_batch(tmp_path):
    path = tmp_path / "dictionaries.arrows"
    kind = pa.dictionary(pa.int8(), pa.string())
    schema = pa.schema({"target": kind, "p_cat": pa.float64(), "p_dog": pa.float64()})
    with ipc.new_stream(path, schema) as writer:
        for names, codes in ((["cat", "dog"], [0, 1]), (["dog", "cat"], [0, 1])):
            labels = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), names)
            truth = [names[code] for code in codes]
            cat = pa.array([0.75 if name == "cat" else 0.25 for name in truth])
            dog = pa.array([0.25 if name == "cat" else 0.75 for name in truth])
            writer.write_batch(pa.record_batch([labels, cat, dog], schema=schema))
    result = score(path)
    assert result.cost == pytest.approx(-math.log(0.75), rel=RELATIVE)
    assert [each.rows for each in result.classes] == [2, 2]


def test_a_class_without_rows_is_still_a_class(write, probabilities):
    predictions, labels = probabilities
    labels = np.where(labels == 2, 0, labels)
    result = score(write(columns(labels, predictions)))
    assert result.classes[2].rows == 0
    assert math.isnan(result.classes[2].cost)
    assert result.total == pytest.approx(math.fsum(-np.log(predictions[np.arange(1000), labels])), rel=RELATIVE)


def test_an_impossible_row_costs_inf_and_is_counted(write):
    predictions = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
    result = score(write(columns([0, 0, 0], predictions)))
    assert result.cost == math.inf
    assert result.total == math.inf
    assert result.perplexity == math.inf
    assert result.impossible == 1
    assert result.finite_cost == math.log(2) / 2
    assert result.classes[0].impossible == 1
    assert result.classes[0].cost == math.inf
    perfect = write(columns([0, 1], np.array([[0.0, -np.inf], [-np.inf, 0.0]]), "logit_"), "perfect.parquet")
    assert score(perfect).cost == 0.0
    assert math.copysign(1.0, score(perfect).cost) == 1.0


def test_nan_stays_in_its_row_and_is_counted(write):
    predictions = np.array([[0.5, 0.5], [0.5, np.nan], [0.25, 0.75]])
    result = score(write(columns([0, 0, 1], predictions)))
    assert math.isnan(result.cost)
    assert math.isnan(result.bits_per_row)
    assert result.undefined == 1
    assert result.rows == 3
    assert result.finite_cost == pytest.approx((math.log(2) - math.log(0.75)) / 2, rel=RELATIVE)
    assert math.isnan(result.classes[0].cost)
    assert result.classes[1].cost == pytest.approx(-math.log(0.75), rel=RELATIVE)


def test_a_missing_prediction_is_undefined_in_every_layout(write):
    scalars = write({"target": [0, 1], "prob_0": [0.5, None], "prob_1": [0.5, 0.5]})
    lists = write({"target": [0, 1], "probs": [[0.5, 0.5], None]}, "lists.parquet")
    fixed = pa.array([[0.5, 0.5], None], pa.list_(pa.float64(), 2))
    text = write({"target": [0, 1], "prob_0": [0.5, None], "prob_1": [0.5, 0.5]}, "text.csv")
    for path in (scalars, lists, write({"target": [0, 1], "probs": fixed}, "fixed.parquet"), text):
        result = score(path)
        assert (result.undefined, result.finite_cost) == (1, math.log(2))


def test_logits_that_say_nothing_are_undefined(write):
    inf = math.inf
    predictions = np.array([[-inf, -inf], [inf, inf], [inf, 0.0], [0.0, 0.0]])
    result = score(write(columns([0, 0, 0, 0], predictions, "logit_")))
    assert result.undefined == 2
    assert result.finite_cost == math.log(2) / 2


@pytest.mark.parametrize("name", ["p.parquet", "p.csv"])
def test_missing_and_ignored_labels_are_counted_and_not_scored(write, name):
    predictions = np.array([[0.5, 0.5], [0.9, 0.1], [0.9, 0.1], [0.25, 0.75]])
    result = score(write(columns(pa.array([0, None, -100, 1]), predictions), name))
    assert (result.rows, result.missing_labels, result.ignored_labels) == (2, 1, 1)
    assert result.cost == pytest.approx((math.log(2) - math.log(0.75)) / 2, rel=RELATIVE)


def test_float_and_boolean_labels_are_read_as_what_they_mean(write):
    predictions = np.array([[0.5, 0.5], [0.9, 0.1], [0.25, 0.75]])
    expected = score(write(columns(pa.array([0, None, 1]), predictions))).cost
    assert score(write(columns([0.0, math.nan, 1.0], predictions), "floats.parquet")).cost == expected
    assert score(write(columns(pa.array([False, None, True]), predictions), "flags.parquet")).cost == expected
    named = {"truth": pa.array([False, None, True]), "p_True": predictions[:, 1], "p_False": predictions[:, 0]}
    assert score(write(named, "named.parquet")).cost == expected
    assert score(write(named, "named.csv")).cost == expected


def test_rows_that_do_not_sum_to_1_are_counted_and_scored_as_they_are(write):
    predictions = np.array([[0.5, 0.5], [0.5, 0.25], [0.5, 0.5001]])
    result = score(write(columns([0, 0, 0], predictions)))
    assert result.unnormalised == 1
    assert result.largest_deviation == 0.25
    assert result.cost == math.log(2)


def test_half_decimal_and_integer_columns_are_numbers_too(write):
    decimals = pa.array([0.25, 0.5]).cast(pa.decimal128(5, 3))
    halves = np.array([0.75, 0.5], np.float16)
    assert score(write({"target": [1, 0], "prob_0": decimals, "prob_1": halves})).total == pytest.approx(
        -math.log(0.75) + math.log(2), rel=RELATIVE
    )
    assert score(write({"target": [1, 0], "logit_0": [0, 5], "logit_1": [0, 5]}, "ints.parquet")).cost == math.log(2)


def test_a_class_that_looks_like_integers_at_first_is_read_whole(tmp_path):
    # The type of a CSV column is a guess from its first block, 1 MiB here.
    path = tmp_path / "late.csv"
    path.write_text("target,cat,dog\n" + "dog,0,1\n" * 200_000 + "cat,0.25,0.75\n")
    result = score(path)
    assert result.rows == 200_001
    assert result.total == -math.log(0.25)


def test_progress_is_told_the_rows(write, probabilities):
    predictions, labels = probabilities
    seen = []
    score(write(columns(labels, predictions)), batch_rows=400, progress=lambda *told: seen.append(told))
    assert seen == [(400, 1000), (800, 1000), (1000, 1000)]


def test_json_holds_everything_and_is_json(write):
    path = write(columns([0, 0, 1], np.array([[0.0, 1.0], [0.5, 0.5], [0.5, 0.5]])))
    content = json.loads(score(path).to_json(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert content["schema_version"] == 2
    assert content["cost"] == "inf"
    assert content["improvement"] == "-inf"
    assert content["finite_cost"] == math.log(2)
    assert content["classes"][0]["impossible"] == 1
    assert content["reading"]["classes"] == [
        {"name": "0", "label": 0, "column": "prob_0"},
        {"name": "1", "label": 1, "column": "prob_1"},
    ]


def test_the_numbers_of_a_score_cannot_be_set(write):
    result = score(write({"target": [0], "prob_0": [0.5], "prob_1": [0.5]}))
    with pytest.raises(AttributeError):
        result.rows = 2


def test_a_label_column_that_agrees_with_every_prediction_is_doubted(write):
    predictions = np.tile([[0.9, 0.1], [0.2, 0.8]], (100, 1))
    path = write({"label": np.tile([0, 1], 100), "p_0": predictions[:, 0], "p_1": predictions[:, 1]})
    text = (
        "The column 'label' agrees with the predictions in 100.00% of the rows: "
        "if it is the prediction and not the truth, name the true labels with `target`."
    )
    with pytest.warns(UserWarning, match="agrees") as caught:
        result = score(path)
    assert str(caught[0].message) == text
    assert result.reading.notes == (text,)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert score(path, target="label").reading.notes == ()
