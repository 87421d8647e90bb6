"""Whatever scikit-learn's log_loss says of its arguments, crossent's says: the same text, the same builtin type."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from sklearn.ensemble import BaggingClassifier
from sklearn.metrics import log_loss as host

from crossent.errors import ArrayKindError, CrossentError
from crossent.sklearn import log_loss

P = [0.1, 0.9]
PAIRS = [[0.1, 0.9], [0.9, 0.1]]
TRIPLES = [[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]


def outcome(function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, list[tuple[type, str]]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answer: Any = function(*arguments, **options)
        except Exception as error:  # noqa: BLE001  # whatever the one raises, the other has to
            answer = error
    # RuntimeWarning: NumPy's about a cast, inside the host, just before the host raises
    return answer, [(w.category, str(w.message)) for w in caught if w.category is not RuntimeWarning]


def assert_same(*arguments: Any, **options: Any) -> None:
    theirs, their_warnings = outcome(host, arguments, options)
    ours, our_warnings = outcome(log_loss, arguments, options)
    assert [text for _, text in our_warnings] == [text for _, text in their_warnings]
    for (our_kind, _), (their_kind, _) in zip(our_warnings, their_warnings, strict=True):
        assert issubclass(our_kind, their_kind)
    if not isinstance(theirs, Exception):
        # the host computes halves in halves
        assert ours == pytest.approx(theirs, rel=1e-3)
        return
    assert isinstance(ours, CrossentError), ours
    if str(theirs).startswith("y_true contains values {"):
        # a set is shown in any order, and NaN hashes by its address
        assert sorted(str(ours)) == sorted(str(theirs))
    else:
        assert str(ours) == str(theirs)
    for kind in type(theirs).__mro__:
        if kind.__module__ == "builtins":
            assert isinstance(ours, kind), type(ours)


LABELS = [
    [0, 1], [0, 1, 1], [0, 0], [7, 9], [-5, -4], (0, 1), range(2), [0, 1, 2], [2**63, 0],
    ["a", "b"], ["b", "a"], ["x", "x"], [np.str_("b"), "a"], ["a", 1], ["a", None], [None, 1],
    [True, False], [False, 2], [b"a", b"b"], [1.0, 0.0], [0.1, 0.2], [np.nan, 1.0], [np.inf, 0.0], [1e20, 0.0], [1j, 0],
    [[0], [1]], [[0, 1], [1, 0]], [[0, 1], [1, 1]], [[0, 2], [1, 1]], [[1.5, 2], [3, 1]], [[[0]], [[1]]], [[0, 1], [1]],
    [], [[], []], {"a": 1, "b": 2}, {1, 2}, "ab", 5, np.array(3), sparse.csr_array(np.eye(2)), np.matrix([[0], [1]]),
    BaggingClassifier(), pd.Series([0, 1]), pd.Series(["a", "b"]), pd.Series(["a", None]), pd.Series([0, None]),
    pd.Series([0, 1], dtype="Int64"), pd.Series([0, None], dtype="Int64"), pd.Series(["a", "b"], dtype="category"),
    pd.Series([True, False], dtype="boolean"), pd.Series(pd.to_datetime(["2020", "2021"])), pd.Index([0, 1]),
    pd.DataFrame({"a": [0, 1]}), pd.DataFrame({"a": [0, 1], "b": [1, 0]}), pd.arrays.SparseArray([0, 1]),
    pl.Series([0, 1]), pl.Series(["a", "b"]), pl.Series([0, None]), pl.Series(["a", None]), pl.DataFrame({"a": [0, 1]}),
    torch.tensor([0, 1]), np.ma.array([0, 1], mask=[False, False]),
]  # fmt: skip
# Series of polars and tensors make the host fail where it compares them with an array; see the last test
DECLARED = [i for i, labels in enumerate(LABELS) if not isinstance(labels, (pl.Series, torch.Tensor))]
WAYS = ["as it is", "array", "objects"]


def made(values: Any, way: str) -> Any:
    if way == "as it is" or not isinstance(values, list):
        return values
    try:
        return np.array(values, object if way == "objects" else None)
    except ValueError:  # rows of different lengths
        return values


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", range(len(LABELS)))
def test_labels_of_the_rows(case: int, way: str) -> None:
    truth = made(LABELS[case], way)
    assert_same(truth, P)
    assert_same(truth, [P, P])
    for labels in ([0, 1], ["a", "b"]):
        assert_same(truth, P, labels=labels)
    assert_same(truth, TRIPLES, labels=[0, 1, 2])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", DECLARED)
def test_declared_labels(case: int, way: str) -> None:
    labels = made(LABELS[case], way)
    for truth in ([0, 1], np.array([0, 1]), [False, True], ["a", "b"], [[0, 1], [1, 0]]):
        assert_same(truth, P, labels=labels)
        assert_same(truth, TRIPLES, labels=labels)


@pytest.mark.parametrize(
    "labels",
    [[0], [0, 0], [0, 1, 1, 2], [1, 0], [2, 0, 1], [0, 2], pd.Series([1, 0]), np.array([])],
    ids=str,
)
def test_declared_labels_of_other_numbers_and_orders(labels: Any) -> None:
    for truth in ([0, 1], [0, 0], np.array([1, 0], np.uint8), [0, 2]):
        assert_same(truth, P, labels=labels)
        assert_same(truth, PAIRS, labels=labels)
        assert_same(truth, TRIPLES, labels=labels)


PROBABILITIES = [
    None, 3, "ab", [], [[], []], [0.1], [0.1, 0.2, 0.3], [[0.5], [0.5]], [[[0.5]]], {"a": 1}, [0, 1], [True, False],
    [1.2, 0.1], [-0.1, 0.5], np.float32([1.2, 0.1]), np.float16([1.2, 0.1]), [[0.1, 0.2], [0.5, 0.6]], TRIPLES,
    [np.nan, 0.1], [np.inf, 0.1], [0.1, -np.inf], [np.inf, np.nan], [np.nan, np.inf], np.float32([np.inf, 0.5]),
    np.float16([np.inf, np.nan]), np.array([[np.inf, 0.1], [0.1, np.nan]])[:, ::-1], [[0.1, np.nan], [0.5, 0.5]],
    ["a", "b"], [["a", "b"]], [[0.1, 0.9], [0.1]], np.array([1j, 0.1]), np.matrix(PAIRS), np.array(0.5),
    np.array(np.nan),
    np.zeros((2, 0)), np.zeros((0, 2)), np.array(P, object), np.array([0.1, None], object), np.array(P, np.longdouble),
    np.array([0.0, 1.0], ">f4"), np.float32([0, 1]), np.float32([[1, 0], [1, 0]]), np.float16([[1, 0], [1, 0]]),
    sparse.csr_array(np.eye(2)), pd.Series(P), pd.Series([0.1, None], dtype="Float64"), pd.Series(P, dtype="Float32"),
    pd.DataFrame([P, P]), pd.DataFrame({"a": [0.3, 0.4], "b": ["a", "b"]}),
    pd.DataFrame({"a": np.float32([0.0, 1.0]), "b": np.int16([1, 0])}),
    pd.DataFrame({"a": np.float32([0.0, 1.0]), "b": [True, False]}),
    pl.Series(P), pl.Series([0.1, None]), pl.DataFrame({"a": [0.3, 0.4], "b": [0.7, 0.6]}),
    pl.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]}, schema={"a": pl.Float32, "b": pl.Float32}),
    torch.tensor([0.0, 1.0]), torch.tensor([[1.0, 0.0], [1.0, 0.0]]), np.ma.array(P, mask=[False, False]),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(PROBABILITIES)))
def test_probabilities(case: int) -> None:
    probs = PROBABILITIES[case]
    for truth in ([0, 1], ["x", "y"], [0, 1, 2], [[0, 1], [1, 0]], [0, 0], [0.5, 1.0]):
        assert_same(truth, probs)
    assert_same([0, 1], probs, labels=[1, 0])
    assert_same([0, 1], probs, sample_weight=[1, np.nan])


WEIGHTS = [
    3, [1, 2], [0, 1], [-1, 3], [1, -1], [0, 0], [1, 2, 3], [], [[1], [2]], np.zeros((2, 2, 2)), np.array(3.0),
    [[1, 2], [3]],
    [np.nan, 1], [np.inf, 1], [-np.inf, np.nan], [1j, 2], np.array([1, 2], object), np.array([1, np.nan], object),
    [True, False], np.float16([1, 2]), np.float32([0.1, 0.2]), {"a": 1, "b": 2}, sparse.csr_array(np.eye(2)),
    pd.Series([1, 2]), pd.Series([1, None], dtype="Float64"), pd.Series([1, 2], dtype="Int64"), pl.Series([1, 2]),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(WEIGHTS)))
def test_weights(case: int) -> None:
    assert_same([0, 1], P, sample_weight=WEIGHTS[case])
    assert_same([0, 1], P, sample_weight=WEIGHTS[case], normalize=False)


@pytest.mark.parametrize("normalize", [1, None, "mean", np.True_, np.False_, 0.0])
def test_normalize(normalize: Any) -> None:
    assert_same([0, 1], P, normalize=normalize)


def test_the_former_name_of_the_probabilities() -> None:
    assert_same([0, 1], y_pred=P)
    assert_same([0, 1], P, y_pred=P)
    assert_same([0, 1], y_pred=3)
    assert_same([0, 1], y_pred="a word")
    assert_same([0, 1], y_pred=None)
    assert_same([0, 1])


@pytest.mark.parametrize(
    ("arguments", "options", "builtin", "text"),
    [
        (([0, 1], P), {"sample_weight": ["a", "b"]}, TypeError, "`sample_weight` must hold real numbers; got <U1."),
        (([0, 1], P), {"sample_weight": [1, None]}, TypeError,
         "`sample_weight` must hold real numbers; row 1 has None."),
        (([0, 1], P), {"labels": ()}, ValueError, "y has 0 samples: ()"),
        (([0, 1], [1j, 0.1]), {}, ValueError, "Complex data not supported\n[1j, 0.1]\n"),
    ],
)  # fmt: skip
def test_where_the_host_says_what_numpy_says(
    arguments: tuple[Any, ...], options: dict[str, Any], builtin: type[Exception], text: str
) -> None:
    assert isinstance(outcome(host, arguments, options)[0], Exception)
    with pytest.raises(builtin) as raised:
        log_loss(*arguments, **options)
    assert isinstance(raised.value, CrossentError)
    assert str(raised.value) == text


def test_a_mask_is_not_dropped() -> None:
    with pytest.raises(ArrayKindError) as raised:
        log_loss([0, 1], np.ma.array(P, mask=[True, False]))
    assert str(raised.value) == (
        "An array is masked at 1 of 2 entries, and the mask would be lost: leave these rows out, or pass its `.data`."
    )


@pytest.mark.parametrize("labels", [pl.Series([0, 1, 2]), torch.tensor([0, 1, 2])], ids=["polars", "torch"])
def test_declared_labels_of_a_kind_that_the_host_cannot_compare(labels: Any) -> None:
    theirs, _ = outcome(host, ([0, 2], TRIPLES), {"labels": labels})
    assert isinstance(theirs, (TypeError, AttributeError, NotImplementedError))
    assert log_loss([0, 2], TRIPLES, labels=labels) == host([0, 2], TRIPLES, labels=[0, 1, 2])
    words = pl.Series(["a", "b", "c"])
    assert log_loss(["a", "c"], TRIPLES, labels=words) == host([0, 2], TRIPLES, labels=[0, 1, 2])
