"""Outputs and targets, read as a person passes them; untame numbers, shapes that do not fit, errors in full."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special
import sklearn.metrics

from crossent.errors import CrossentError
from crossent.explaining.diagnosing.diagnose import diagnose

RANDOM = np.random.default_rng(1)
LOGITS = 2.0 * RANDOM.standard_normal((64, 5))
Q = scipy.special.softmax(LOGITS, axis=1)
Y = LOGITS.argmax(axis=1)
Y[:10] = (Y[:10] + 1) % 5
LOSS = float(sklearn.metrics.log_loss(Y, Q, labels=range(5)))


def codes(**given: Any) -> list[str]:
    return [finding.code for finding in diagnose(**given)]


def first(**given: Any) -> str:
    return (codes(**given) or ["none"])[0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    "more", [{}, {"loss": LOSS}, {"function": "CrossEntropyLoss"}, {"history": [2.0, 1.5, 1.0, 0.9]}]
)
def test_sound_logits(dtype: str, more: dict[str, Any]) -> None:
    assert codes(logits=LOGITS.astype(dtype), targets=Y, **more) == []


@pytest.mark.parametrize("more", [{}, {"loss": LOSS}, {"function": "sklearn.metrics.log_loss"}])
def test_sound_probabilities(more: dict[str, Any]) -> None:
    assert codes(probs=Q, targets=Y, **more) == []
    assert codes(probs=Q, targets=np.eye(5)[Y], **more) == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"logits": Q, "targets": Y}, "CE005"),
        ({"logits": Q}, "CE005"),
        ({"probs": Q, "function": "CrossEntropyLoss"}, "CE005"),
        ({"probs": Q, "targets": Y, "loss": float(-scipy.special.log_softmax(Q, axis=1)[range(64), Y].mean())}, "CE005"),
        ({"probs": Q, "targets": Y, "loss": float(-Q[range(64), Y].mean())}, "CE104"),
        ({"logits": LOGITS, "targets": Y, "loss": float(-LOGITS[range(64), Y].mean())}, "CE126"),
        ({"probs": Q, "function": "nll_loss"}, "CE104"),
        ({"logits": LOGITS, "function": "nll_loss"}, "CE126"),
        ({"logits": np.log(Q), "function": "keras.losses.CategoricalCrossentropy"}, "CE133"),
        ({"logits": np.log(Q), "function": "BCEWithLogitsLoss"}, "CE125"),
        ({"probs": LOGITS}, "CE124"),
        ({"probs": LOGITS, "function": "BCELoss"}, "CE124"),
        ({"probs": 0.7 * Q, "targets": Y}, "CE003"),
        ({"probs": scipy.special.softmax(LOGITS, axis=0), "targets": Y}, "CE115"),
        ({"logits": LOGITS, "targets": Y + 1 - (Y == 4)}, "none"),
        ({"logits": LOGITS, "targets": Y + 1}, "CE112"),
        ({"logits": LOGITS, "targets": np.where(np.arange(64) == 3, 255, Y)}, "CE113"),
        ({"logits": LOGITS, "targets": np.where(np.arange(64) == 3, -100, Y), "function": "CrossEntropyLoss"}, "none"),
        ({"logits": LOGITS, "targets": np.where(np.arange(64) == 3, -100, Y), "function": "log_loss"}, "CE113"),
        ({"logits": LOGITS, "targets": np.where(np.arange(64) == 3, 77, Y)}, "CE114"),
        ({"logits": LOGITS, "targets": np.full(64, 255), "ignore_index": 255}, "CE107"),
        ({"targets": np.full(64, -100), "function": "CrossEntropyLoss"}, "CE107"),
        ({"targets": Y + 1, "classes": 5}, "CE112"),
        ({"logits": LOGITS, "targets": 3.0 * np.eye(5)[Y], "function": "CrossEntropyLoss"}, "CE004"),
        ({"logits": LOGITS[:, :1], "targets": Y.astype(float)}, "CE105"),
        ({"logits": LOGITS, "targets": Y, "function": "BCEWithLogitsLoss"}, "CE105"),
        ({"logits": LOGITS[:, :1], "function": "CrossEntropyLoss"}, "CE111"),
        ({"logits": np.where(np.eye(5)[Y] > 0.0, -np.inf, LOGITS), "targets": Y}, "CE001"),
        ({"probs": np.where(np.eye(5)[Y] > 0.0, 0.0, Q), "targets": Y, "loss": "inf"}, "CE001"),
        ({"logits": np.where(LOGITS > 3.0, np.nan, LOGITS), "targets": Y}, "CE002"),
        ({"logits": np.maximum(LOGITS, 0.0), "targets": Y}, "CE131"),
        ({"logits": np.tile([0.0, 1.0, 2.0, 3.0, 4.0], (64, 1)), "targets": Y}, "CE102"),
        ({"logits": np.ones((64, 5)), "targets": Y}, "CE101"),
        ({"logits": LOGITS, "targets": np.full(64, 2)}, "CE132"),
        ({"logits": LOGITS, "targets": Y, "loss": 64 * LOSS}, "CE117"),
        ({"logits": LOGITS, "targets": Y, "loss": LOSS / 64}, "CE118"),
        ({"logits": LOGITS, "targets": Y, "loss": LOSS / np.log(2.0)}, "CE130"),
        ({"logits": LOGITS, "targets": Y, "loss": -LOSS}, "CE129"),
        ({"logits": LOGITS.T, "targets": Y}, "CE116"),
        ({"logits": LOGITS.reshape(8, 8, 5), "targets": Y.reshape(8, 8), "function": "CrossEntropyLoss"}, "CE116"),
        ({"logits": LOGITS.reshape(8, 8, 5), "targets": Y.reshape(8, 8), "function": "keras.losses.CategoricalCrossentropy("
          "from_logits=True)"}, "none"),
    ],
)  # fmt: skip
def test_a_batch_with_one_mistake(given: dict[str, Any], code: str) -> None:
    assert first(**given) == code


@pytest.mark.parametrize("loss", [2.9, -0.0, 0.5, 1.4612, 2.3026, 16.118, 3.31035117])
def test_rows_rule_the_constants_out(loss: float) -> None:
    found = diagnose(logits=LOGITS, targets=Y, loss=loss)
    assert [finding.code for finding in found] == ["CE135"]
    wanted = sklearn.metrics.log_loss(Y, Q, labels=range(5))
    shown = f"{loss + 0.0:.6g}"
    assert found.findings[0].message == (
        f"this loss is not what these outputs and targets give: {shown} against {wanted:.6g}, the mean of 64 losses by the "
        "formula."
    )


def test_a_declared_sum_that_is_none() -> None:
    found = diagnose(logits=LOGITS, targets=Y, loss=LOSS, function="CrossEntropyLoss(reduction='sum')")
    assert f"{LOSS:.6g} against {64 * LOSS:.6g}, the sum of 64 losses" in found.findings[0].message


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (math.exp(LOSS), "the perplexity, exp of the mean,"),
        (LOSS / math.log(10.0), "the mean with the decimal logarithm log10"),
        (LOSS / math.log(2.0), "the mean in bits"),
    ],
)
def test_other_units(loss: float, said: str) -> None:
    found = diagnose(logits=LOGITS, targets=Y, loss=loss)
    assert [finding.code for finding in found] == ["CE130"]
    assert f"{loss:.6g} is {said} of these 64 losses" in found.findings[0].message


@pytest.mark.parametrize(("factor", "codes_wanted"), [(1.0, []), (4096.0, ["CE117"]), (1.0 / 4096.0, ["CE118"])])
def test_the_losses_of_a_large_batch_are_estimated(factor: float, codes_wanted: list[str]) -> None:
    random = np.random.default_rng(0)
    logits, targets = random.standard_normal((4096, 1000)), random.integers(1000, size=4096)
    mean = float((scipy.special.logsumexp(logits, axis=1) - logits[range(4096), targets]).mean())
    found = diagnose(logits=logits, targets=targets, loss=factor * mean)
    assert [finding.code for finding in found] == codes_wanted
    if codes_wanted:
        assert "(estimated from 1024 of them)" in found.findings[0].message
        assert "the 4096 losses" in found.findings[0].message


@pytest.mark.parametrize("function", [None, "CrossEntropyLoss", "KLDivLoss(reduction='batchmean')"])
def test_soft_targets_that_are_no_probabilities(function: str | None) -> None:
    outputs = {"logits": np.log(Q) if function is not None and "KL" in function else LOGITS}
    found = diagnose(**outputs, targets=LOGITS, function=function)
    assert [finding.code for finding in found] == ["CE136"]
    assert "binary" not in found.findings[0].advice
    found = diagnose(**outputs, targets=np.log(Q), function=function)
    way = "give their exp" if function != "KLDivLoss(reduction='batchmean')" else (
        "torch.nn.KLDivLoss takes them with log_target=True")  # fmt: skip
    assert found.findings[0].message.endswith(
        f", not in [0, 1], and their exponentials sum to 1: these are log-probabilities; {way}."
    )


def test_labels_off_by_one_leave_one_class_of_two() -> None:
    assert codes(logits=LOGITS[:, :2], targets=1 + Y % 2) == ["CE112"]


def test_a_range_of_one_number_is_one_number() -> None:
    found = diagnose(logits=LOGITS, targets=5.0 * np.eye(5)[Y], function="CrossEntropyLoss")
    assert found.findings[0].message == "rows of the targets sum to 5, not 1."


def test_two_softmaxes_where_the_function_has_none() -> None:
    twice = float(-scipy.special.log_softmax(Q, axis=1)[range(64), Y].mean())
    for given in ({"probs": Q, "targets": Y, "loss": twice}, {"loss": 1.4612, "classes": 10}):
        found = diagnose(**given, function="CategoricalCrossentropy")
        assert found.findings[0].code == "CE005"
        assert found.findings[0].advice.startswith("This function takes probabilities: the second softmax is a layer")
        assert "from_logits=True" not in found.findings[0].fix["keras"]


@pytest.mark.parametrize("classes", ["5", 5.0, np.float32(5.0), np.int8(5)])
def test_a_class_count_in_any_form(classes: Any) -> None:
    assert diagnose(loss=1.6094, classes=classes) == diagnose(loss=1.6094, classes=5)


def test_confident_errors() -> None:
    logits = np.zeros((1000, 3))
    truth = np.arange(1000) % 3
    logits[np.arange(1000), truth] = 12.0
    logits[:10] = np.roll(logits[:10], 1, axis=1)
    found = diagnose(logits=logits, targets=truth)
    assert found.findings[0].code == "CE122"
    assert found.findings[0].message == (
        "consistent with few confident errors: the worst hundredth of 1000 rows makes 100% of the loss at an accuracy of "
        "99.0%."
    )


def test_class_weights_and_their_two_denominators() -> None:
    weight = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    losses = -np.log(Q[range(64), Y])
    right = sklearn.metrics.log_loss(Y, Q, labels=range(5), sample_weight=weight[Y])
    given: dict[str, Any] = {"logits": LOGITS, "targets": Y, "class_weight": weight}
    assert codes(**given, loss=right) == []
    assert first(**given, loss=float((weight[Y] * losses).mean())) == "CE120"


@pytest.mark.parametrize("clip", [1e-7, 1e-15, 1e-6, 2.0**-52])
def test_the_clip_is_named(clip: float) -> None:
    hard = np.eye(5)[(Y + (np.arange(64) % 4 == 0)) % 5]
    loss = float(-np.log(np.maximum(hard[range(64), Y], clip)).mean())
    found = diagnose(probs=hard, targets=Y, loss=loss)
    assert found.findings[0].code == "CE110"
    name = {1e-7: "1e-7", 1e-15: "1e-15", 1e-6: "1e-6", 2.0**-52: "2.2e-16"}[clip]
    assert f"{loss:.6g} is the mean clipped at {name}" in found.findings[0].message


@pytest.mark.parametrize("rows", [1, 7])
@pytest.mark.parametrize("value", [1e4, -1e4, 1e-320, 0.0, np.inf, -np.inf, np.nan])
def test_untame_outputs_do_not_break_it(value: float, rows: int) -> None:
    for function in (None, "CrossEntropyLoss", "NLLLoss", "BCELoss", "BCEWithLogitsLoss", "log_loss"):
        outputs = np.full((rows, 3), value)
        outputs[0, 0] = 0.5
        for targets in (None, np.zeros(rows, int), np.ones((rows, 3)) / 3):
            for loss in (None, 0.0, np.inf, np.nan, -1e300, 1e300):
                diagnose(logits=outputs, targets=targets, function=function, loss=loss, history=[1.0, value]).to_json()


@pytest.mark.parametrize("labels", [[np.nan, 1.0], [-1.0, 3.0], [1e300, 0.0], [np.inf, 0.0]])
def test_untame_targets_do_not_break_it(labels: list[float]) -> None:
    for function in ("BCEWithLogitsLoss", "BCELoss"):
        assert diagnose(logits=[[0.5], [0.1]], targets=labels, function=function)


def test_perfect_predictions_are_sound() -> None:
    hard = 1e4 * np.eye(5)[Y]
    assert codes(logits=hard, targets=Y, loss=0.0) == []
    assert codes(probs=np.eye(5)[Y], targets=Y, loss=0.0) == []


def test_a_large_batch_is_looked_at_in_part() -> None:
    logits = np.zeros((3000, 1000), np.float32)
    logits[:, 0] = np.arange(3000)
    found = diagnose(logits=logits, targets=np.arange(3000) % 1000, loss=5.0)
    assert found.rows == 1000  # every third row: 2**20 numbers at most


def test_nothing_of_the_caller_is_changed() -> None:
    logits, targets = LOGITS.copy(), Y.copy()
    logits.flags.writeable = targets.flags.writeable = False
    diagnose(logits=logits, targets=targets, loss=LOSS)
    assert (logits == LOGITS).all()


def test_arrays_from_files(tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", Q)
    np.save(tmp_path / "y.npy", Y)
    assert first(logits=tmp_path / "z.npy", targets=str(tmp_path / "y.npy")) == "CE005"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "`loss`, `logits` or `probs`, `targets` or `history` is needed for a diagnosis, such as loss=2.3026."),
        ({"logits": Q, "probs": Q}, "`logits` and `probs` are two names for what the loss was given; pass one of them."),
        ({"loss": "high"}, "`loss` must be one number, such as 2.3026, or \"inf\" or \"nan\"; got 'high'."),
        ({"loss": True}, '`loss` must be one number, such as 2.3026, or "inf" or "nan"; got True.'),
        ({"loss": 1.0, "classes": 2.5}, "`classes` must be an integer; got 2.5."),
        ({"loss": 1.0, "classes": "ten"}, "`classes` must be the number of classes, such as 10; got 'ten'."),
        ({"loss": 1.0, "classes": 0}, "`classes` must be the number of classes, at least 1; got 0."),
        ({"loss": 2.3, "classes": 1}, ("`classes` is 1, and a loss over one class is always 0; got the loss 2.3. Type 2 for one "
         "sigmoid output, which tells two classes apart.")),
        ({"loss": 1.0, "function": "CrossEntropyLos"}, ("`function` must be a loss that is known here; got 'CrossEntropyLos'. "
         "Did you mean torch.nn.CrossEntropyLoss or crossent.cross_entropy_from_probs or crossent.cross_entropy_from_log_probs?")),
        ({"loss": 1.0, "function": "mse_loss"}, ("`function` must be a loss that is known here; got 'mse_loss'. Did you mean "
         "torch.nn.CrossEntropyLoss or keras.losses.CategoricalCrossentropy or sklearn.metrics.log_loss?")),
        ({"loss": 1.0, "function": "BCELoss("}, ("`function` must be a name such as CrossEntropyLoss or "
         "BinaryCrossentropy(from_logits=True); got 'BCELoss('.")),
        ({"loss": 1.0, "class_counts": [3, -1]}, "`class_counts` must be at least 0 and not all 0; class 1 has -1."),
        ({"loss": 1.0, "classes": 3, "class_counts": [3, 1]}, "`class_counts` must be 3 numbers, one per class; got shape (2,)."),
        ({"logits": LOGITS, "targets": Y[:7]}, ("`targets` must have one entry per row of outputs of shape (64, 5), 64 in all, "
         "or that shape; got shape (7,).")),
        ({"logits": LOGITS, "targets": Y + 0.5}, ("`targets` must be class ids, or distributions of shape (64, 5); got fractions "
         "in shape (64,).")),
        ({"logits": np.zeros((0, 5))}, "`logits` must have at least one row and one class; got shape (0, 5)."),
        ({"logits": [[1.0], [1.0, 2.0]]}, "`logits` must be an array; got rows of different lengths."),
        ({"probs": [["a", "b"]]}, "`probs` must hold real numbers; got dtype <U1."),
        ({"logits": "none.npy"}, "`logits` names the file none.npy, which does not exist."),
        ({"logits": __file__}, f"`logits` must be a .npy file of numbers (numpy.save writes one); {__file__} is none."),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(given: dict[str, Any], said: str) -> None:
    with pytest.raises(CrossentError) as caught:
        diagnose(**given)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("torch.nn.CrossEntropyLoss", "torch.nn.CrossEntropyLoss"),
        ("F.cross_entropy", "torch.nn.CrossEntropyLoss"),
        ("nll_loss", "torch.nn.NLLLoss"),
        ("NLLLoss()", "torch.nn.NLLLoss"),
        ("BCELoss", "torch.nn.BCELoss"),
        ("BCEWithLogitsLoss(pos_weight=w)", "torch.nn.BCEWithLogitsLoss"),
        ("keras.losses.CategoricalCrossentropy(from_logits=True)", "keras.losses.CategoricalCrossentropy"),
        ("sparse_categorical_crossentropy", "keras.losses.SparseCategoricalCrossentropy"),
        ("binary_crossentropy", "keras.losses.BinaryCrossentropy"),
        ("optax.softmax_cross_entropy", "optax.softmax_cross_entropy"),
        ("sklearn.metrics.log_loss", "sklearn.metrics.log_loss"),
        ("log_loss", "sklearn.metrics.log_loss"),
        (sklearn.metrics.log_loss, "sklearn.metrics.log_loss"),
    ],
)
def test_names_of_functions(name: Any, known: str) -> None:
    assert diagnose(loss=1.0, function=name).function == known
