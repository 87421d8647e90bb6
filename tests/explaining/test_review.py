"""What a review of `explain()` found: numbers and sentences that were false, each against another source."""

import math

import numpy as np
import pytest
import torch
from tests.oracle import oracle

from crossent.explaining.explanation import Explanation, explain

mp = oracle.exact


def shown(explanation: Explanation, width: int = 78) -> str:
    """The text in one line, so that its line breaks do not matter."""
    return " ".join(explanation.render(width=width, color=False, unicode=True).split())


def codes(explanation: Explanation) -> list[str]:
    return [finding.code for finding in explanation.findings]


@pytest.mark.parametrize(("prediction", "name", "p"), [("0.5 0.5 0", 2, "0.0333"), ("0 0.5 0.5", 0, "0.933")])
def test_smoothing_makes_an_impossible_class_of_one_that_the_target_ruled_out(
    prediction: str, name: int, p: str
) -> None:
    found = explain(0, prediction, label_smoothing=0.1)
    assert math.isinf(found.loss)
    assert codes(found) == ["CE001"]
    assert found.findings[0].message == (
        f"target {name} has p = {p} but q = 0: −log 0 is infinite. That p is what label smoothing made of the target."
    )
    assert "its p times −ln of the clip" in found.findings[0].advice
    assert found.findings[0].see == "docs/findings.md#ce001"
    # what the packages count then, as the advice says
    clipped = np.clip(np.array(prediction.split(), dtype=float), 1e-7, 1.0)
    smoothed = np.array([0.9, 0.0, 0.0]) + 0.1 / 3
    others = -sum(smoothed[k] * math.log(clipped[k]) for k in range(3) if clipped[k] > 1e-7)
    assert -(smoothed * np.log(clipped)).sum() == pytest.approx(others + smoothed[name] * 16.118, abs=1e-3)


def test_the_headline_says_what_the_true_class_got() -> None:
    text = shown(explain(0, "0.5 0.5 0", label_smoothing=0.1))
    assert "the true class got 1 chance in 2, another class of the target none" in text
    assert "no chance at all" not in text
    assert "the true class got no chance at all" in shown(explain(0, "0 0.5 0.5", label_smoothing=0.1))
    far = explain(0, "-1000 0", kind="logits", reduction="sum", weight=[3, 1])
    assert far.loss == 3000.0
    assert "the true class got 1 chance in e^1000" in shown(far)


def test_smoothing_in_a_batch() -> None:
    found = explain([0, 1], [[0.5, 0.5, 0.0], [0.2, 0.5, 0.3]], label_smoothing=0.1)
    assert codes(found) == ["CE001"]
    assert found.findings[0].message.startswith("1 of 2 rows, first in row 0: target 2 has p = 0.0333 but q = 0")
    assert "in some row a class of the target got no chance" in shown(found)
    found = explain([0, 1], [[0.0, 1.0], [0.5, 0.5]])
    assert "They print" not in found.findings[0].advice  # the mean over the rows is another number


def test_a_target_that_smoothing_completes_is_judged_as_it_came() -> None:
    found = explain([0.5, 0.3, 0.0], [0.5, 0.3, 0.2], label_smoothing=1.0)
    assert codes(found) == ["CE004"]
    assert "sums to 0.8, not 1" in found.findings[0].message


@pytest.mark.parametrize("z", [20.0, 30.0, 36.5, 40.0, 300.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.5])
def test_saturated_logits_of_several_labels_against_mpmath(z: float, smoothing: float) -> None:
    logits, target = [3.0, 2.0, z], [1, 1, 0]
    found = explain(target, logits, kind="logits", label_smoothing=smoothing)
    with mp.workdps(400):
        yes = [1 / (1 + mp.exp(-mp.mpf(x))) for x in logits]
        p = [mp.mpf(y) * (1 - mp.mpf(smoothing)) + mp.mpf(smoothing) / 3 for y in target]
        loss = -mp.fsum(a * mp.log(b) + (1 - a) * mp.log(1 - b) for a, b in zip(p, yes, strict=True))
        floor = -mp.fsum(a * mp.log(a) + (1 - a) * mp.log(1 - a) for a in p if 0 < a < 1)
        unsure = -mp.fsum(b * mp.log(b) + (1 - b) * mp.log(1 - b) for b in yes)
        slopes = [-a / b + (1 - a) / (1 - b) for a, b in zip(p, yes, strict=True)]
        stepped = -mp.fsum(
            a * mp.log(b) + (1 - a) * mp.log(1 - b) for a, b in zip(p, [yes[0] + mp.mpf("0.01"), *yes[1:]], strict=True)
        )
        wanted = [float(value) for value in (loss, loss - floor, unsure, stepped)]
        wanted_slopes = [float(slope) for slope in slopes]
    assert found.loss == pytest.approx(wanted[0], rel=1e-14)
    assert found.kl == pytest.approx(wanted[1], rel=1e-14)
    assert found.entropy_prediction == pytest.approx(wanted[2], rel=1e-13, abs=0.0)
    assert found.grad_probs == pytest.approx(wanted_slopes, rel=1e-13)
    assert found.sensitivity is not None
    # the target's first class is the one that the step is on: the largest p
    assert found.sensitivity.loss_if_prob_raised == pytest.approx(wanted[3], rel=1e-13)
    assert all(check.holds for check in found.checks)
    text = shown(found)
    assert "log(1 − 1)" not in text
    assert f"({amount_of(z)})" in text
    assert "log(1 - 1)" not in found.to_latex()
    assert f"({amount_of(z)})".replace("−", "-") in found.to_latex()


def amount_of(z: float) -> str:
    return f"−{math.log1p(math.exp(-z)) + z:.3f}"


def test_log_probabilities_near_1_keep_their_complement() -> None:
    tiny = -1e-20
    found = explain([1, 1, 0], [tiny, -0.1, tiny], kind="log_probs")
    assert found.grad_probs[2] == pytest.approx(1e20)
    assert found.grad_logits[0] == pytest.approx(-1e-20, abs=0.0)
    assert found.kl == found.loss == pytest.approx(0.1 + 20 * math.log(10), rel=1e-14)


def test_the_entropy_of_a_confident_prediction() -> None:
    found = explain(0, [30.0, 0.0], kind="logits")
    with mp.workdps(60):
        yes = 1 / (1 + mp.exp(-30))
        wanted = float(-yes * mp.log(yes) - (1 - yes) * mp.log(1 - yes))
    assert found.entropy_prediction == pytest.approx(wanted, rel=1e-13, abs=0.0)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weight", [None, [1.0, 99.0], [1.0, 10.0]])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_best_constant_of_a_batch_against_a_search(
    reduction: str, weight: list[float] | None, smoothing: float
) -> None:
    targets = np.array([0] * 99 + [1])
    options = {"weight": weight, "reduction": reduction, "label_smoothing": smoothing}
    found = explain(targets, np.full((100, 2), 0.5), **options)  # type: ignore[arg-type]
    assert found.batch is not None

    def cost(q: float) -> float:
        rows = torch.tensor([[math.log(q), math.log1p(-q)]], dtype=torch.float64).repeat(100, 1)
        weights = None if weight is None else torch.tensor(weight, dtype=torch.float64)
        return torch.nn.functional.cross_entropy(
            rows, torch.tensor(targets), weight=weights, reduction=reduction, label_smoothing=smoothing
        ).item()

    best = min(cost(q) for q in np.linspace(0.001, 0.999, 999))
    assert found.batch.target_entropy <= best * (1 + 1e-12)
    assert found.batch.target_entropy == pytest.approx(best, rel=1e-4)


def test_the_best_constant_says_what_it_is() -> None:
    targets, rows = [0, 0, 1], [[0.6, 0.4]] * 3
    assert "the best is 0.637, H(mean target)" in shown(explain(targets, rows))
    assert "the best is 1.910, 3 × H(mean target)" in shown(explain(targets, rows, reduction="sum"))
    text = shown(explain(targets, rows, weight=[1, 2]))
    assert "the best is 0.693, one prediction for all rows, with these class weights" in text


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("batch", [False, True])
def test_rounded_softmax_rows_pass_their_checks(dtype: torch.dtype, batch: bool) -> None:
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        q = torch.softmax(3 * torch.randn(8, 10, generator=generator), dim=1).to(dtype)
        found = explain(torch.ones(8, dtype=torch.int64), q) if batch else explain(1, q[0])
        assert found.dtype == str(dtype).removeprefix("torch.")
        assert [check for check in found.checks if not check.holds] == []
        assert codes(found) == []


def test_a_target_has_the_tolerance_of_its_own_dtype() -> None:
    target = torch.softmax(torch.arange(40.0), 0).bfloat16() * 0.997
    assert "CE004" not in codes(explain(target.bfloat16(), torch.full((40,), 1 / 40, dtype=torch.float64)))
    rounded = target.bfloat16().double()
    assert "CE004" in codes(explain(rounded, torch.full((40,), 1 / 40, dtype=torch.float64)))


def test_a_sum_that_no_dtype_excuses_still_fails_its_check() -> None:
    assert not all(check.holds for check in explain(1, [0.2, 0.2, 0.5]).checks)


def test_names_that_are_numbers_are_names_in_a_row_and_in_a_batch() -> None:
    names, row = ["1", "0"], [0.3, 0.7]
    one = explain("1", row, class_names=names)
    assert one.true_class == 0
    for many in (
        explain(["1", "1"], [row, row], class_names=names),
        explain("1 1", "0.3 0.7; 0.3 0.7", class_names=names),
        explain(np.array(["1", "1"]), [row, row], class_names=names),
    ):
        assert many.loss == one.loss
        assert many.kind_reason == (
            "read as probabilities, as `kind` says; the target is read as the name of a class, not as its number"
        )
    assert "the target is read as the name of a class" in shown(one)
    assert explain(1, row, class_names=names).true_class == 1
    assert explain("1", row, class_names=["a", "b"]).true_class == 1


def test_packages_that_take_logits_get_logits() -> None:
    logits = [-800.0, 0.0]
    answers = {answer.function: answer for answer in explain(0, logits, kind="logits", packages=True).packages}
    asked = torch.tensor([logits], requires_grad=True)
    real = torch.nn.functional.cross_entropy(asked, torch.tensor([0]))
    real.backward()
    assert answers["cross_entropy, class ids"].value == real.item() == 800.0
    assert asked.grad is not None
    assert answers["cross_entropy, class ids"].gradient == asked.grad[0, 0].item()
    # those that take probabilities get softmax of them, which is 0 here
    assert answers["cross_entropy_from_probs"].value == math.inf


@pytest.mark.parametrize("logits", [[2.0, -1.0, 0.5], [100.0, -100.0, 0.0], [-1e5, 3.0, 1e30]])
def test_logits_at_torch_as_its_rule_says(logits: list[float]) -> None:
    for target in range(3):
        found = explain(target, logits, kind="logits", packages=True)
        told = next(answer for answer in found.packages if answer.package == "torch" and answer.by == "z")
        real = torch.nn.functional.cross_entropy(torch.tensor([logits]), torch.tensor([target])).item()
        assert told.value == pytest.approx(real, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "options", "note"),
    [
        (([0, 1], [[0.3, 0.7]] * 2), {}, "packages are asked about one row: explain one row of this batch"),
        (
            ([1, 1], [0.3, 0.7]),
            {},
            "packages are asked about one answer among the classes, not about several labels at once",
        ),
        ((0, [0.3, 0.7]), {"weight": [1, 2]}, "packages are asked without class weights: leave them out"),
        ((0, [math.nan, 0.7]), {}, "packages are asked about numbers, and this prediction is none"),
    ],
)
def test_packages_say_why_there_are_none(
    arguments: tuple[object, object], options: dict[str, object], note: str
) -> None:
    found = explain(*arguments, packages=True, **options)  # type: ignore[arg-type]
    assert found.packages == ()
    assert found.packages_note == found.to_dict()["packages_note"] == note
    assert f"What packages answer here {note}." in shown(found)
    assert explain(*arguments, **options).packages_note == ""  # type: ignore[arg-type]


def test_nothing_counted_in_a_sum_is_0() -> None:
    found = explain([0], [[0.2, 0.8]], weight=[0, 1], reduction="sum")
    assert found.loss == 0.0
    assert [(finding.code, finding.severity, finding.message) for finding in found.findings] == [
        (
            "CE008",
            "warning",
            "the class weights of the targets are all 0: nothing counts, so the sum is 0 whatever is predicted.",
        )
    ]
    assert "sum of nothing is 0" in explain([], np.zeros((0, 2)), reduction="sum").findings[0].message
    # smoothing makes other classes count
    assert "CE008" not in codes(explain([0], [[0.2, 0.8]], weight=[0, 1], reduction="sum", label_smoothing=0.1))


@pytest.mark.parametrize(
    ("target", "prediction", "verdict"),
    [
        (0, [0.2, 0.8], "Nothing counts: the class weights of the target are 0."),
        ([0, 1], [[0.2, 0.8], [0.0, 1.0]], "Perfect where it counts; the class weights of the rest are 0."),
        (1, [0.0, 1.0], "Perfect: the truth got all of the probability."),
    ],
)
def test_a_loss_of_0_is_perfect_only_where_it_counts(target: object, prediction: object, verdict: str) -> None:
    found = explain(target, prediction, weight=[0, 1], reduction="sum")
    assert found.loss == 0.0
    assert found.baselines.verdict == verdict


def test_an_impossible_class_of_weight_0_costs_nothing() -> None:
    found = explain([0.5, 0.5], [0.0, 1.0], weight=[0, 1])
    assert found.loss == 0.0
    assert "CE001" not in codes(found)


@pytest.mark.parametrize(
    ("logit", "line"),
    [
        (-12.3456, "= log Σ exp zⱼ − z = 1.000002… − (−12.3456) = 13.345602… nats"),
        (-1e8, "= 1.000000e8… nats"),  # no room for the digits that the difference is made of
    ],
)
def test_the_step_shows_the_digits_of_its_result(logit: float, line: str) -> None:
    text = shown(explain(0, [logit, 1.0], kind="logits"))
    assert line in text
    assert ("log Σ exp zⱼ" in text) is (logit > -1e6)
