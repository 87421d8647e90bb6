"""What a review found in the input and the width of an explanation; each failed before."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from tests.oracle import oracle

from crossent.errors import CrossentError, LabelError, OptionError, RangeError, ShapeError
from crossent.explaining.explanation import Explanation, explain
from crossent.explaining.paper import columns

mp = oracle.exact


def shown(explanation: Explanation, width: int = 78) -> str:
    """The text in one line, so that its line breaks do not matter."""
    return " ".join(explanation.render(width=width, color=False, unicode=True).split())


def codes(explanation: Explanation) -> list[str]:
    return [finding.code for finding in explanation.findings]


def test_targets_in_arrays_and_columns_of_names() -> None:
    rows = [[0.3, 0.7], [0.4, 0.6]]
    wanted = explain([1, 0], rows, class_names=["cat", "dog"]).loss
    for target in (np.array(["dog", "cat"]), pd.Series(["dog", "cat"]), np.array(["dog", "cat"], dtype=object)):
        assert explain(target, rows, class_names=["cat", "dog"]).loss == wanted
    assert explain(pd.Series(["1", "0"]), rows).loss == wanted
    with pytest.raises(OptionError, match="'dog' is no class id, and a name needs `class_names`"):
        explain(np.array(["dog", "cat"]), rows)


def test_names_with_spaces_in_a_batch() -> None:
    names = ["new york", "dog"]
    for target in ("new york;dog", "new york, dog", "new york\ndog\n"):
        assert (
            explain(target, "0.3 0.7; 0.4 0.6", class_names=names).loss
            == explain([0, 1], [[0.3, 0.7], [0.4, 0.6]]).loss
        )


def test_numbers_as_texts() -> None:
    assert explain(0, ["0.1", "0.9"]).loss == explain(0, [0.1, 0.9]).loss
    assert explain(["1", "0"], np.array(["0.1", "0.9"])).loss == explain(0, [0.1, 0.9]).loss


@pytest.mark.parametrize(
    ("target", "prediction", "error", "text"),
    [
        (
            0,
            np.ma.array([0.3, 0.7], mask=[True, False]),
            RangeError,
            "`prediction` has masked numbers, the first at [0]: fill them in or leave their rows out.",
        ),
        (
            np.ma.array([0, 1], mask=[False, True]),
            [[0.3, 0.7]] * 2,
            RangeError,
            "`target` has masked numbers, the first at [1]: fill them in or leave their rows out.",
        ),
        (
            0,
            [1 + 2.3e-16, 0],
            RangeError,
            (
                "`prediction` must hold probabilities in [0, 1]; class 0 has 1.0000000000000002. If rounding put it above 1, "
                "clip it to 1."
            ),
        ),
        (
            0,
            [-1e-300, 1.0],
            RangeError,
            (
                "`prediction` must hold probabilities in [0, 1]; class 0 has -1e-300. If these are logits, set `kind` to "
                '"logits".'
            ),
        ),
        (
            [0, 1],
            [[0.1, 0.9], [0.2]],
            ShapeError,
            "`prediction` must have equally many numbers in each row; row 0 has 2, row 1 has 1.",
        ),
        (
            0,
            [[0.1, 0.9], 0.2],
            ShapeError,
            "`prediction` must have equally many numbers in each row; row 0 has 2, row 1 has no row but a number.",
        ),
        ("1" * 5000, [0.3, 0.7], LabelError, "`target` must be a class id; got a number of 5000 digits."),
        (
            10**30,
            [0.3, 0.7],
            LabelError,
            "`target` must be a class id in [0, 2); got a number of more than 20 digits.",
        ),
        (
            "0",
            "0.1 0.9; 0.8 0.2",
            ShapeError,
            "`target` must have one class id for each of the 2 rows of `prediction`, or 2 numbers for each; got 1 row of 1.",
        ),
        (
            "0",
            "0,1 0,9",
            OptionError,
            "`prediction` has commas within its numbers, 0,1 and so on: write decimal points, 0.1 0.9.",
        ),
    ],
)
def test_input_that_is_refused(target: object, prediction: object, error: type[CrossentError], text: str) -> None:
    with pytest.raises(error) as caught:
        explain(target, prediction)
    assert str(caught.value) == text


def test_a_masked_array_without_a_masked_number_is_an_array() -> None:
    assert explain(0, np.ma.array([0.3, 0.7], mask=[False, False])).loss == explain(0, [0.3, 0.7]).loss


def test_row_losses_stay_read_only() -> None:
    found = explain([0, 1], [[0.3, 0.7]] * 2).batch
    assert found is not None
    for batch in (found, pickle.loads(pickle.dumps(found)), copy.deepcopy(found), copy.copy(found)):
        assert batch == found
        assert batch.losses.tolist() == found.losses.tolist()
        with pytest.raises(ValueError, match="read-only"):
            batch.losses[0] = 9.0
        with pytest.raises(ValueError, match="WRITEABLE"):
            batch.losses.flags.writeable = True


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("width", [20, 25, 40, 55])
@pytest.mark.parametrize("names", [None, "猫猫猫猫猫猫猫猫猫猫猫猫", "a_long_name_without_any_space_in_it"])
def test_no_line_is_longer_than_a_narrow_page(width: int, names: str | None, unicode: bool) -> None:
    generator = np.random.default_rng(3)
    for classes in (2, 13):
        named = None if names is None else [f"{index}{names}" for index in range(classes)]
        logits = generator.normal(size=(30, classes)) * 3
        q = np.exp(logits[0]) / np.exp(logits[0]).sum()
        for found in (
            explain(1, q, class_names=named, packages=True, weight=None),
            explain(1, logits[0], kind="logits", class_names=named, weight=np.ones(classes), base=10),
            explain([1.0] * classes, logits[0], kind="logits", class_names=named),
            explain(generator.integers(0, classes, 30), logits, kind="logits", class_names=named, packages=True),
            explain(0, [0.0] * (classes - 1) + [1.0], class_names=named),
        ):
            text = found.render(width=width, unicode=unicode, color=False, bits=True)
            assert max(columns(line) for line in text.splitlines()) <= width
            assert unicode or text.isascii()


def test_a_page_too_narrow_for_a_table_stacks_the_classes() -> None:
    lines = explain(0, "0.1 0.5 0.4").render(width=20, unicode=True, color=False).splitlines()
    place = lines.index(" ★ 0")
    assert lines[place + 1 : place + 6] == ["   p 1", "   q 0.1", "   cost 2.303", "   ∂L/∂z −0.9 raise", "   1"]
