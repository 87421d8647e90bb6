"""What a person types: every form that is read, and the full sentence for every one that is not."""

import numpy as np
import pytest

from crossent.errors import CrossentError, DtypeError, LabelError, OptionError, RangeError, ShapeError
from crossent.explaining.explanation import explain

Q = [0.1, 0.5, 0.1, 0.1, 0.2]


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (0, "index"),
        ("0", "index"),
        (np.int8(0), "index"),
        (np.array(0), "index"),
        ("1 0 0 0 0", "onehot"),
        ("1,0, 0,0\t0", "onehot"),
        ("[1. 0. 0. 0. 0.]", "onehot"),
        ([1, 0, 0, 0, 0], "onehot"),
        (np.array([True, False, False, False, False]), "onehot"),
        ((1.0, 0.0, 0.0, 0.0, 0.0), "onehot"),
    ],
)
def test_every_form_of_the_same_target(target: object, kind: str) -> None:
    explanation = explain(target, Q)
    assert explanation.target_kind == kind
    assert explanation.true_class == 0
    assert [term.p for term in explanation.terms] == [1.0, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("prediction", ["0.1 0.5 0.1 0.1 0.2", "0.1,0.5,0.1,.1,2e-1", "[0.1, 0.5, 0.1, 0.1, 0.2]"])
def test_every_form_of_the_same_prediction(prediction: str) -> None:
    assert [term.q for term in explain(0, prediction).terms] == Q


def test_a_minus_sign_as_our_own_table_prints_it() -> None:
    assert [term.given for term in explain(0, "−1.5 2 −inf", kind="logits").terms] == [-1.5, 2.0, -np.inf]


def test_a_soft_target_has_no_true_class() -> None:
    explanation = explain("0.7 0.3 0 0 0", Q)
    assert explanation.target_kind == "soft"
    assert explanation.true_class is explanation.prob_true is explanation.one_in is None


def test_a_list_of_one_number_is_a_distribution_over_one_class() -> None:
    assert explain([1], [1.0]).target_kind == "onehot"


def test_nothing_of_the_caller_is_written() -> None:
    prediction = np.array(Q)
    prediction.flags.writeable = False
    assert explain(0, prediction[::-1]).terms[0].q == 0.2


@pytest.mark.parametrize(
    ("target", "prediction", "options", "error", "text"),
    [
        (5, Q, {}, LabelError, "`target` must be a class id in [0, 5); got 5. Are the labels 1-based?"),
        ("-1", Q, {}, LabelError, "`target` must be a class id in [0, 5); got -1."),
        (
            -100,
            Q,
            {},
            LabelError,
            "`target` must be a class id in [0, 5); got -100. That is PyTorch's ignore_index: such a row has no loss.",
        ),
        ("1 0 0", Q, {}, ShapeError, "`target` must have one number per class of `prediction`, 5; got 3."),
        (
            "1 0 zero 0 0",
            Q,
            {},
            OptionError,
            "`target` must be numbers such as \"0.1 0.5 0.4\"; 'zero' is not a number.",
        ),
        ("0", "0.1 x", {}, OptionError, "`prediction` must be numbers such as \"0.1 0.5 0.4\"; 'x' is not a number."),
        (0, "", {}, ShapeError, "`prediction` must have at least one class; it is empty."),
        (0, [], {}, ShapeError, "`prediction` must have at least one class; it is empty."),
        ("", Q, {}, ShapeError, "`target` must have at least one class; it is empty."),
        (
            0,
            [[Q]],
            {},
            ShapeError,
            (
                "`prediction` must be one row of numbers, shape (classes,), or a batch, shape (rows, classes); "
                "got shape (1, 1, 5)."
            ),
        ),
        (
            0,
            [[0.1, 0.9], [1.0]],
            {},
            ShapeError,
            "`prediction` must have equally many numbers in each row; row 0 has 2, row 1 has 1.",
        ),
        (0.5, Q, {}, ShapeError, "`target` must be one row of numbers, shape (classes,); got shape ()."),
        (True, Q, {}, DtypeError, "`target` must be a class id or one number per class; got True."),
        (0, [1j, 0], {}, DtypeError, "`prediction` must hold real numbers; got dtype complex128."),
        (
            0,
            "0.4 -0.1 0.7",
            {},
            RangeError,
            (
                "`prediction` must hold probabilities in [0, 1]; class 1 has -0.1. "
                'If these are logits, set `kind` to "logits".'
            ),
        ),
        (
            0,
            "0.4 inf",
            {},
            RangeError,
            (
                "`prediction` must hold probabilities in [0, 1]; class 1 has inf. "
                'If these are logits, set `kind` to "logits".'
            ),
        ),
        (
            "2 -1",
            "0.4 0.6",
            {},
            RangeError,
            "`target` must hold probabilities in [0, 1]; class 0 has 2. A class id is written as a single integer.",
        ),
        ("nan 1", "0.4 0.6", {}, RangeError, "`target` must hold probabilities; class 0 has nan."),
        (
            0,
            "-1 0.5",
            {"kind": "log_probs"},
            RangeError,
            (
                "`prediction` must hold log-probabilities, at most 0; class 1 has 0.5. "
                'If these are logits, set `kind` to "logits".'
            ),
        ),
        (
            0,
            Q,
            {"kind": "logit"},
            OptionError,
            '`kind` must be "probs", "logits", "log_probs" or "auto"; got \'logit\'.',
        ),
        (0, Q, {"base": 3}, OptionError, '`base` must be "e", 2 or 10; got 3.'),
        (
            0,
            Q,
            {"class_names": ["cat", "dog"]},
            ShapeError,
            "`class_names` must have one name per class of `prediction`, 5; got 2.",
        ),
        (
            0,
            Q,
            {"class_names": "abcde"},
            OptionError,
            "`class_names` must be a list with one name per class; got the text 'abcde'.",
        ),
    ],
)
def test_errors_in_full(
    target: object, prediction: object, options: dict[str, object], error: type[CrossentError], text: str
) -> None:
    with pytest.raises(error) as caught:
        explain(target, prediction, **options)  # type: ignore[arg-type]
    assert str(caught.value) == text
