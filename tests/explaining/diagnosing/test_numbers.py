"""The reverse look-up: from one number, as people quote it, to the cause among the first two."""

import math
import re

import mpmath
import numpy as np
import pytest
import torch

from crossent.explaining.diagnosing import constants
from crossent.explaining.diagnosing.diagnose import diagnose

KAGGLE = (144_277, 15_294)  # rows of the toxic-comment set: 15294/159571 positive

# loss as quoted, classes, function, further arguments, code, where the number comes from
LOOK_UPS = [
    ("2.3026", 10, None, {}, "CE101", "ln 10: PyTorch forum 43814, 'stuck at 2.303'"),
    ("0.6931", 2, None, {}, "CE101", "ln 2: datascience.SE 28481, 'stuck at 0.693'"),
    ("1.0986", 3, None, {}, "CE101", "ln 3"),
    ("1.6094", 5, None, {}, "CE101", "ln 5"),
    ("4.6052", 100, None, {}, "CE101", "ln 100: CIFAR-100 at the start"),
    ("6.9078", 1000, None, {}, "CE101", "ln 1000: ImageNet at the start"),
    ("10.8249", 50257, None, {}, "CE101", "ln 50257: GPT-2 at the start"),
    ("2.303", None, None, {}, "CE101", "ln 10, the class count not told"),
    ("2.31", 10, None, {}, "CE101", "within 2 % of ln 10, as a training run is"),
    ("0.6931", 10, "BCEWithLogitsLoss", {}, "CE101", "ln 2: every sigmoid says 0.5"),
    ("0.9048", 5, None, {}, "CE005", "PyTorch forum, March 2020: 'prediction equals target, why 0.9048?'"),
    ("0.5514", 3, None, {}, "CE005", "the same question with 3 classes"),
    ("1.4612", 10, None, {}, "CE005", "ln(e + 9) - 1"),
    ("1.4612", 10, "torch.nn.CrossEntropyLoss", {}, "CE005", "the same, the function named"),
    ("1.4612", None, None, {}, "CE005", "the same, the class count not told"),
    ("3.6222", 100, None, {}, "CE005", "ln(e + 99) - 1"),
    ("5.9095", 1000, None, {}, "CE005", "ln(e + 999) - 1"),
    ("0.3133", 2, None, {}, "CE005", "ln(e + 1) - 1"),
    ("2.4612", 10, None, {}, "CE005", "ln(e + 9): twice, and certainly wrong"),
    ("0.5032", 2, "BCEWithLogitsLoss", {}, "CE103", "(ln(1 + 1/e) + ln 2)/2: two sigmoids, balanced and right"),
    ("16.118", None, None, {}, "CE110", "-ln 1e-7, Keras"),
    ("16.118", 10, "keras.losses.CategoricalCrossentropy", {}, "CE110", "the same; it is also 7 ln 10"),
    ("34.539", None, None, {}, "CE110", "-ln 1e-15, scikit-learn before 1.2"),
    ("15.942", None, None, {}, "CE110", "-ln of float32's eps"),
    ("36.044", None, None, {}, "CE110", "-ln of float64's eps, scikit-learn"),
    ("13.816", None, None, {}, "CE110", "-ln 1e-6, cleanlab"),
    ("23.026", None, None, {}, "CE110", "-ln 1e-10; it is also 10 ln 10"),
    ("87.34", None, None, {}, "CE110", "-ln of float32's smallest normal number"),
    ("103.28", None, None, {}, "CE110", "-ln of float32's smallest subnormal number"),
    ("100", 2, "BCELoss", {}, "CE110", "torch clamps the logarithm at -100"),
    ("50.0", 2, "BCELoss", {}, "CE110", "half of the rows at that clamp"),
    ("3.31035117", None, None, {}, "CE110", "Kaggle toxic comments, all zeros: base rate x 34.538776"),
    ("3.31035117", 2, None, {"class_counts": KAGGLE}, "CE110", "the same with the counts"),
    ("17.2694", 2, "kaggle", {}, "CE110", "34.5388/2: half of the hard answers wrong"),
    ("0.3162", 2, None, {"class_counts": KAGGLE}, "CE102", "H(15294/159571): the prior learnt"),
    ("0.5623", 2, None, {"class_counts": (3, 1)}, "CE102", "H(1/4)"),
    ("0.3251", 10, "BCEWithLogitsLoss", {}, "CE102", "H(1/10) per element of one-hot targets"),
    ("0.5003", 10, None, {}, "CE121", "H of one-hot smoothed by 0.1, torch's form"),
    ("0.3897", 5, None, {}, "CE121", "the same with 5 classes"),
    ("1.0148", 1000, "CrossEntropyLoss(label_smoothing=0.1)", {}, "CE121", "the same with 1000"),
    ("147.365", 10, None, {}, "CE117", "64 ln 10: a batch of 64, summed"),
    ("442.1", 1000, "CrossEntropyLoss(reduction='sum')", {}, "CE117", "64 ln 1000"),
    ("0.035978", 10, None, {}, "CE118", "ln 10 / 64"),
    ("3.3219", 10, None, {}, "CE130", "log2 10"),
    ("-0.5", 5, None, {}, "CE104", "-q of the true class"),
    ("-0.9996", 10, "nll_loss", {}, "CE104", "the same, late in training"),
    ("-55.03", 10, "BCELoss", {}, "CE105", "datascience.SE 38604: labels 0 to 9 into a binary loss"),
    ("-212.4", 10, "nll_loss", {}, "CE126", "raw scores into nll_loss"),
    ("-1.2e-7", 10, None, {}, "CE106", "q rounded to a little above 1"),
    ("-0.0", 10, None, {}, "CE106", "-(1 log 1)"),
    ("0", 1, None, {}, "CE111", "softmax over one unit"),
    ("inf", 10, None, {}, "CE001", "-log 0"),
    ("nan", 10, None, {}, "CE002", "nan in"),
    ("nan", None, "CrossEntropyLoss", {}, "CE107", "0/0: pytorch#70348, all targets ignored"),
    ("26", 10, None, {}, "CE123", "first loss 26: a bad initialization"),
]


@pytest.mark.parametrize(("loss", "classes", "function", "more", "code", "source"), LOOK_UPS)
def test_the_right_cause_is_among_the_first_two(
    loss: str, classes: int | None, function: str | None, more: dict[str, object], code: str, source: str
) -> None:
    found = diagnose(loss=loss, classes=classes, function=function, **more)  # type: ignore[arg-type]
    assert code in [finding.code for finding in found.findings[:2]], (source, str(found))


def test_text_and_number_are_the_same_loss() -> None:
    assert diagnose(loss=1.4612, classes=10) == diagnose(loss="1.4612", classes=10)


@pytest.mark.parametrize("loss", ["0.21", "0.8123", "1.234", "2.0", "0.05"])
def test_an_ordinary_loss_of_ten_classes_is_no_finding(loss: str) -> None:
    assert not diagnose(loss=loss, classes=10)


def test_few_digits_do_not_make_a_constant() -> None:
    # 1.5 is within its own last digit of 1.4612, and of half of everything
    assert [finding.code for finding in diagnose(loss="1.5", classes=10)] == []


def test_the_function_narrows_the_rivals() -> None:
    # 0.3133 is ln(e + 1) - 1, softmax twice, as well as ln(1 + 1/e), a sigmoid twice
    assert diagnose(loss=0.3133, classes=2, function="CrossEntropyLoss").findings[0].code == "CE005"
    assert diagnose(loss=0.3133, classes=2, function="BCEWithLogitsLoss").findings[0].code == "CE103"


def test_kaggles_number_names_the_base_rate() -> None:
    first = diagnose(loss=3.31035117, class_counts=KAGGLE).findings[0]
    assert first.message == (
        "consistent with a clip: a share of the rows was impossible and got the clip's constant: 3.3103512 is the share "
        "of class 1, 0.0958445, clipped at 1e-15 (scikit-learn before 1.2, Kaggle, LightGBM, Spark)."
    )


def test_without_counts_the_shares_that_would_do_are_listed() -> None:
    evidence = diagnose(loss=3.31035117).findings[0].evidence[0]
    assert evidence.startswith("the share that each clip would need: 20.5 % at 1e-7 (Keras); 9.58 % at 1e-15 (")


@pytest.mark.parametrize(
    ("loss", "classes"), [("3.35", 50257), ("3.35", None), ("1.772", 10), ("2.08", None), ("4.11", 1000)]
)
def test_an_ordinary_loss_below_guessing_is_no_share_of_a_clip(loss: str, classes: int | None) -> None:
    found = diagnose(loss=loss, classes=classes)
    assert all("impossible and clipped" not in finding.message for finding in found), str(found)


def test_hard_answers_that_are_mostly_right_are_one() -> None:
    # one of ten wrong, each for Keras's 16.118: far below ln 10
    assert diagnose(loss=1.61181, classes=10).findings[0].code == "CE110"


def test_all_clips_that_give_the_number_are_told() -> None:
    first = diagnose(loss=10.3616).findings[0]
    told = " ".join((first.message, *first.rivals))
    for pair in (
        "3/4 of the rows impossible and clipped at 1e-6 ",
        "3/10 of the rows impossible and clipped at 1e-15 ",
    ):
        assert pair in told


def test_a_function_that_clips_nothing_is_said_to() -> None:
    first = diagnose(loss=16.118, function="CrossEntropyLoss").findings[0]
    assert first.message.endswith(
        "clipped at 1e-7 (Keras); torch.nn.CrossEntropyLoss itself clips nothing: a clip would lie before it."
    )
    assert "itself" not in diagnose(loss=16.118, function="CategoricalCrossentropy").findings[0].message


def test_a_loss_that_no_class_count_explains() -> None:
    assert [finding.code for finding in diagnose(loss=200)] == ["CE123", "CE117"]
    assert not diagnose(loss=3.83, function="BCEWithLogitsLoss(pos_weight=99.0)")


@pytest.mark.parametrize("loss", [np.float32(2.3026), np.float64(2.3026), torch.tensor(2.3026), np.array(2.3026, "f4")])
def test_a_loss_of_single_precision_is_the_one_that_was_typed(loss: object) -> None:
    assert diagnose(loss=loss) == diagnose(loss=2.3026)
    assert diagnose(loss=loss).findings[0].code == "CE101"


def test_minus_signs_are_of_one_kind() -> None:
    for loss in (-0.87, -55.03, -1.19e-7, "-inf"):
        for finding in diagnose(loss=loss):
            assert not re.search(r"(?<![\w])-\d", finding.message), finding.message


@pytest.mark.parametrize(("loss", "classes", "function", "more", "code", "source"), LOOK_UPS)
def test_never_a_verdict_from_a_number_alone(
    loss: str, classes: int | None, function: str | None, more: dict[str, object], code: str, source: str
) -> None:
    for finding in diagnose(loss=loss, classes=classes, function=function, **more):  # type: ignore[arg-type]
        assert finding.message.startswith("consistent with ")
        assert finding.rivals
        assert finding.decide


@pytest.mark.parametrize("classes", [2, 3, 5, 10, 100, 1000])
def test_the_constants_are_mpmaths(classes: int) -> None:
    e = mpmath.e
    assert constants.uniform(classes) == pytest.approx(float(mpmath.log(classes)), rel=1e-15)
    twice = mpmath.log(e + classes - 1)
    assert constants.lowest_after_two_softmaxes(classes) == pytest.approx(float(twice - 1), rel=1e-14)
    assert constants.highest_after_two_softmaxes(classes) == pytest.approx(float(twice), rel=1e-15)
    p, other = mpmath.mpf("0.9") + mpmath.mpf("0.1") / classes, mpmath.mpf("0.1") / classes
    floor = -(p * mpmath.log(p) + (classes - 1) * other * mpmath.log(other))
    assert constants.smoothing_floor(classes, 0.1) == pytest.approx(float(floor), rel=1e-13)


def test_the_clips_are_those_of_the_reference() -> None:
    found = {f"{cap.nats:.3f}" for cap in constants.CAPS}
    assert {"13.816", "15.942", "16.118", "23.026", "34.539", "36.044", "87.337", "100.000", "103.279"} <= found


def test_a_one_hot_prediction_through_softmax_twice_costs_the_constant() -> None:
    q = [0.0, 0.0, 1.0, 0.0, 0.0]
    total = sum(math.exp(value) for value in q)
    assert constants.lowest_after_two_softmaxes(5) == pytest.approx(-math.log(math.e / total), rel=1e-14)
    assert re.fullmatch(r"0\.9048\d+", str(constants.lowest_after_two_softmaxes(5)))
