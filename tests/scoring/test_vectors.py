"""Predictions in one column or array, in every layout, and the class names that files keep beside the data."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc

from crossent.errors import SourceError
from crossent.scoring.score import score

# Row 0 is a cat that was given 0.25, row 1 a dog that was given 0.5.
CAT = [0.25, 0.5]
DOG = [0.75, 0.5]
LISTS = [[0.25, 0.75], [0.5, 0.5]]
NAMES = ["cat", "dog"]
COST = (math.log(4) + math.log(2)) / 2

# Two logarithms and a mean.
CLOSE = pytest.approx(COST, rel=1e-15)
BY_NAMES = "by their name"


def layouts():
    """Return the same predictions in every layout of one column."""
    values = np.array(LISTS)
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(values)
    return {
        "list": pa.array(LISTS, pa.list_(pa.float64())),
        "large_list": pa.array(LISTS, pa.large_list(pa.float32())),
        "fixed_size_list": pa.array(LISTS, pa.list_(pa.float16(), 2)),
        "list_view": pa.array(LISTS, pa.list_view(pa.float64())),
        "large_list_view": pa.array(LISTS, pa.large_list_view(pa.float64())),
        "tensor": tensor,
        "spark": spark_vectors(LISTS),
    }


def spark_vectors(rows, sparse=()):
    """Return rows as Spark ML's VectorUDT; those in `sparse` as their entries that are not 0."""
    number = pa.list_(pa.float64())
    kind = pa.struct([("type", pa.int8()), ("size", pa.int32()), ("indices", pa.list_(pa.int32())), ("values", number)])
    vectors = []
    for position, row in enumerate(rows):
        if row is None:
            vectors.append(None)
        elif position in sparse:
            places = [place for place, value in enumerate(row) if value]
            values = [row[place] for place in places]
            vectors.append({"type": 0, "size": len(row), "indices": places, "values": values})
        else:
            vectors.append({"type": 1, "size": None, "indices": None, "values": row})
    return pa.array(vectors, kind)


@pytest.mark.parametrize("name", ["probabilities", "probs", "proba", "scores", "y_prob"])
@pytest.mark.parametrize("layout", list(layouts()))
def test_one_column_for_all_classes(write, layout, name):
    table = pa.table({"label": pa.array([0, 1]), name: layouts()[layout]})
    for ending in ("a.parquet", "a.arrow", "a.arrows"):
        result = score(write(table, ending))
        assert (result.cost, result.reading.prediction_columns) == (CLOSE, (name,))


@pytest.mark.parametrize(
    ("name", "kind"), [("logits", "logits"), ("logprobs", "log_probs"), ("log_probs", "log_probs")]
)
def test_lists_of_logarithms(write, name, kind):
    result = score(write({"label": [0, 1], name: np.log(LISTS).tolist()}))
    assert (result.reading.kind, result.cost) == (kind, pytest.approx(COST, rel=1e-14))


@pytest.mark.parametrize("layout", ["list", "fixed_size_list", "list_view", "tensor", "spark"])
def test_a_row_without_a_list_is_undefined_wherever_it_stands(write, layout):
    three = [LISTS[0], None, LISTS[1]]
    arrays = {
        "list": pa.array(three),
        "fixed_size_list": pa.array(three, pa.list_(pa.float64(), 2)),
        "list_view": pa.array(three, pa.list_view(pa.float64())),
        "spark": spark_vectors(three, sparse=(2,)),
    }
    storage = arrays["fixed_size_list"]
    arrays["tensor"] = pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float64(), [2]), storage)
    path = write(pa.table({"label": pa.array([0, 0, 1]), "probs": arrays[layout]}), "a.arrow")
    for rows in (1, 2, 3):
        result = score(path, batch_rows=rows)
        assert (result.undefined, result.finite_cost) == (1, CLOSE)


def spark_table(label, **columns):
    fields = [{"name": "label", "type": "double", "metadata": {"ml_attr": {"vals": NAMES, "type": "nominal"}}}]
    content = json.dumps({"type": "struct", "fields": fields})
    key = "org.apache.spark.sql.parquet.row.metadata"
    return pa.table({"label": label, **columns}).replace_schema_metadata({key: content})


def test_spark_ml(write):
    rows = [[0.25, 0.75], [0.5, 0.5], [0.0, 1.0]]
    columns = {"features": spark_vectors(LISTS + LISTS[:1]), "rawPrediction": spark_vectors([[-1.1, 1.1]] * 3)}
    columns |= {"probability": spark_vectors(rows, sparse=(2,)), "prediction": [1.0, 0.0, 1.0]}
    result = score(write(spark_table([0.0, 1.0, 1.0], **columns)))
    assert result.total == pytest.approx(2 * COST, rel=1e-15)
    assert [(each.name, each.label) for each in result.reading.classes] == [("cat", 0), ("dog", 1)]
    assert result.reading.classes_reason == "named by the file's metadata"
    assert result.reading.kind_reason == BY_NAMES


def test_margins_of_spark_are_no_logits_unless_the_caller_says_so(write):
    margins = [[-1.0, 1.0], [2.0, -2.0]]
    path = write(spark_table([1.0, 0.0], features=spark_vectors(LISTS), rawPrediction=spark_vectors(margins)))
    with pytest.raises(SourceError) as caught:
        score(path)
    assert str(caught.value) == (
        "`rawPrediction` of Spark is what its model made of a row: margins, votes or logits; "
        "write the column 'probability' too, or say with `logits` that they are logits"
    )
    assert score(path, logits="rawPrediction").reading.notes == (
        (
            "'rawPrediction' holds (-m, m) in each row, as Spark's models of two classes write margins: their "
            "probability is 1 / (1 + exp(-m)), and the one that is scored here 1 / (1 + exp(-2 m)); "
            "score the column 'probability'."
        ),
    )
    three = spark_vectors([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    result = score(write(pa.table({"label": [2.0, 0.0], "rawPrediction": three})), logits="rawPrediction")
    assert (result.total, result.reading.notes) == (
        pytest.approx(math.log1p(math.exp(-1) + math.exp(-2)) + math.log(3), rel=1e-15),
        (),
    )


def test_vectors_of_spark_that_do_not_fit(write):
    short = spark_vectors([[0.5, 0.5], [0.2, 0.3, 0.5]])
    with pytest.raises(SourceError) as caught:
        score(write({"label": [0, 1], "probability": short}))
    assert str(caught.value) == "`probability` must hold 2 numbers in each row, row 1 has 3"
    row = {"type": 0, "size": 2, "indices": [5], "values": [1.0]}
    outside = pa.array([{"type": 1, "values": [0.5, 0.5]}, row], short.type)
    with pytest.raises(SourceError) as caught:
        score(write({"label": [0, 1], "probability": outside}))
    assert str(caught.value) == (
        "`probability` must hold Spark vectors, the indices of row 1 do not fit its values; write it anew"
    )


def test_lists_of_another_width_in_the_second_file(write):
    write({"label": [0, 1], "probs": pa.array(LISTS, pa.list_(pa.float64(), 2))}, "a.parquet")
    second = write({"label": [0, 1], "probs": pa.array([[0.25] * 4] * 2, pa.list_(pa.float64(), 4))}, "b.parquet")
    with pytest.raises(SourceError) as caught:
        score(second.with_name("*.parquet"))
    assert str(caught.value) == f"`probs` must hold 2 numbers in each row, row 0 has 4 (in '{second}')"


# -- names of classes beside the data


@pytest.mark.parametrize(
    "features",
    [
        {"info": {"features": {"animal": {"names": NAMES, "_type": "ClassLabel"}}}},
        {"dataset_info": {"features": {"animal": {"names": NAMES}}}},
        {
            "info": {},
            "dataset_info": {"features": {"animal": {"dtype": {"class_label": {"names": {"0": "cat", "1": "dog"}}}}}},
        },
    ],
    ids=["info", "dataset_info", "of a card"],
)
@pytest.mark.parametrize("name", ["logits", "probs", "scores"])
def test_hugging_face_datasets(write, features, name):
    values = np.log(LISTS).tolist() if name == "logits" else LISTS
    table = pa.table({"text": ["a", "b"], "animal": [0, 1], "other": [1, 1], name: values})
    result = score(write(table.replace_schema_metadata({"huggingface": json.dumps(features)}), "a.arrow"))
    assert result.cost == pytest.approx(COST, rel=1e-14)
    assert result.reading.label_reason == "by the class names that the file's metadata has for it"
    assert [each.name for each in result.classes] == NAMES


def test_metadata_that_names_other_classes_is_mentioned(write):
    features = {"info": {"features": {"label": {"names": ["a", "b", "c"]}}}}
    table = pa.table({"label": [0, 1], "probs": LISTS}).replace_schema_metadata({"huggingface": json.dumps(features)})
    reading = score(write(table)).reading
    assert [each.name for each in reading.classes] == ["0", "1"]
    assert reading.notes == (
        "The file's metadata names other classes, a, b, c, than the predictions have; its names are not used.",
    )


@pytest.mark.parametrize("raw", [b"no json", b"[]", b'{"info": 3}', b'{"info": {"features": [1]}}', b"\xff"])
def test_metadata_of_another_shape_says_nothing(write, raw):
    keys = ("huggingface", "pandas", "org.apache.spark.sql.parquet.row.metadata")
    table = pa.table({"label": [0, 1], "probs": LISTS}).replace_schema_metadata(dict.fromkeys(keys, raw))
    assert score(write(table, "a.arrow")).cost == CLOSE


def test_pandas_index_and_categories(write):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"animal": pandas.Categorical(NAMES, ["dog", "cow", "cat"]), "cat": CAT, "dog": DOG})
    frame.index = pandas.Index(["cat", "dog"], name="keeper")
    frame.columns = pandas.CategoricalIndex(frame.columns)
    result = score(write(pa.Table.from_pandas(frame)))
    assert result.cost == CLOSE
    assert (result.reading.label_column, result.reading.id_column) == ("animal", "keeper")


def test_dictionaries_that_differ_from_batch_to_batch(tmp_path):
    path = tmp_path / "a.arrows"
    kind = pa.dictionary(pa.int8(), pa.large_string())
    schema = pa.schema({"label": kind, "cat": pa.float64(), "dog": pa.float64()})
    with ipc.new_stream(path, schema) as writer:
        for row, names in enumerate((["cat", "dog"], ["dog"])):
            labels = pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array(names, pa.large_string()))
            writer.write_batch(
                pa.record_batch([labels, pa.array(CAT[row:][:1]), pa.array(DOG[row:][:1])], schema=schema)
            )
    assert score(path).cost == CLOSE


# -- arrays


@pytest.mark.parametrize(
    ("predictions", "labels"),
    [
        ("logits", "labels"),
        ("y_prob", "y_true"),
        ("probs", "targets"),
        ("preds", "target"),
        ("predictions", "label_ids"),
        ("arr_0", "arr_1"),
        ("arr_1", "arr_0"),
    ],
)
@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_names_of_arrays(tmp_path, predictions, labels, ending):
    numpy_of_safetensors = pytest.importorskip("safetensors.numpy")
    values = np.log(LISTS) if predictions == "logits" else np.array(LISTS)
    path = tmp_path / f"a.{ending}"
    save = np.savez if ending == "npz" else lambda path, **arrays: numpy_of_safetensors.save_file(arrays, path)
    save(path, **{labels: np.array([0, 1]), predictions: values})
    result = score(path)
    assert result.cost == pytest.approx(COST, rel=1e-14)
    assert (result.reading.label_column, result.reading.prediction_columns) == (labels, (predictions,))


def test_arrays_of_one_column_and_of_one_hot_labels(write):
    keras = {"y_true": np.array([[0], [1]]), "y_prob": np.array([[0.75], [0.5]])}
    assert score(write(keras, "keras.npz")).cost == CLOSE
    one_hot = {"arr_0": np.array(LISTS), "arr_1": np.eye(2, dtype=np.int8)}
    decisions = {"y": np.array([0, 1]), "preds": np.eye(2, dtype=np.int8), "probs": np.array(LISTS)}
    assert score(write(decisions, "decisions.npz")).reading.label_column == "y"
    result = score(write(one_hot, "one_hot.npz"))
    assert (result.cost, result.reading.label_reason) == (CLOSE, "the only one-hot list")
