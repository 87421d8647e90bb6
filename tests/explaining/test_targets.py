"""Names, smoothing, weights, priors, several labels, dtypes, "auto": each against PyTorch or a hand-made number."""

import math

import ml_dtypes
import numpy as np
import pytest
import torch

from crossent.errors import CrossentError, OptionError, RangeError, ShapeError
from crossent.explaining.explanation import Explanation, explain

Q = [0.1, 0.5, 0.1, 0.1, 0.2]
NAMES = ["cat", "dog", "fox", "cow", "big owl"]


def test_a_name_is_a_target() -> None:
    assert explain("fox", Q, class_names=NAMES).true_class == 2
    assert explain("big owl", Q, class_names=NAMES).true_class == 4
    assert explain("2", Q, class_names=["2", "1", "0", "x", "y"]).true_class == 0  # the name, if it is one


def test_smoothing_of_one_row() -> None:
    found = explain(0, Q, label_smoothing=0.1)
    expected = torch.nn.functional.cross_entropy(
        torch.tensor([Q], dtype=torch.float64).log(), torch.tensor([0]), label_smoothing=0.1
    )
    assert found.loss == pytest.approx(expected.item(), rel=1e-12)
    assert found.target == (1.0, 0.0, 0.0, 0.0, 0.0)
    assert [term.p for term in found.terms] == pytest.approx([0.92, 0.02, 0.02, 0.02, 0.02])
    assert found.true_class == 0
    assert not found.shortcut
    assert found.floor == pytest.approx(0.3897, abs=5e-5)  # the table of constants: K = 5, smoothing 0.1
    assert "★" in found.render(unicode=True, width=78)


def test_smoothing_of_one_is_the_uniform_target() -> None:
    found = explain(0, Q, label_smoothing=1.0)
    assert found.loss == pytest.approx(-sum(math.log(q) for q in Q) / 5)
    assert found.floor == pytest.approx(math.log(5))


def test_a_weight_cancels_in_the_mean_of_one_row_and_counts_in_its_sum() -> None:
    assert explain(0, Q, weight="3 1 1 1 1").loss == pytest.approx(math.log(10))
    summed = explain(0, Q, weight=[3, 1, 1, 1, 1], reduction="sum")
    assert summed.loss == pytest.approx(3 * math.log(10))
    assert summed.grad_logits == pytest.approx([-2.7, 1.5, 0.3, 0.3, 0.6])
    assert summed.perplexity == pytest.approx(10.0)
    assert all(check.holds for check in summed.checks)
    assert summed.grad_check is not None
    assert summed.grad_check < 1e-8
    assert "−(3·1·log 0.1" in summed.render(width=78, unicode=True)


def test_a_weight_of_zero_on_the_truth() -> None:
    found = explain(0, [0.0, 1.0], weight=[0, 1], reduction="sum")
    assert found.loss == 0.0
    assert math.isnan(explain(0, [0.5, 0.5], weight=[0, 1]).loss)


def test_a_weighted_soft_target_splits_into_a_floor_and_an_excess() -> None:
    found = explain([0.5, 0.5], [0.25, 0.75], weight=[3, 1], reduction="sum")
    assert found.loss == pytest.approx(1.5 * math.log(4) + 0.5 * math.log(4 / 3))
    # the best q is 3/4, 1/4
    assert found.floor == pytest.approx(1.5 * math.log(4 / 3) + 0.5 * math.log(4))
    assert found.excess == pytest.approx(found.loss - found.floor)


def test_a_prior_as_a_baseline() -> None:
    found = explain(0, Q, prior=[0.5, 0.2, 0.1, 0.1, 0.1])
    assert found.baselines.prior == pytest.approx(math.log(2))
    assert found.baselines.prior_bits_worse == pytest.approx(math.log2(5))
    assert "Guessing the class frequencies (as given) costs 0.693: this is 2.32 bits worse." in found.to_markdown()


@pytest.mark.parametrize("kind", ["probs", "logits", "log_probs"])
@pytest.mark.parametrize("base", ["e", 2])
def test_several_labels_are_binary_cross_entropy(kind: str, base: str | int) -> None:
    logits = torch.tensor([2.0, -1.0, 0.5, -3.0], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([1.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
    loss.backward()
    q = torch.sigmoid(logits)
    given = {"probs": q, "logits": logits, "log_probs": torch.log(q)}[kind]
    found = explain(target, given, kind=kind, base=base)
    assert (found.target_kind, found.loss_kind) == ("multilabel", "binary")
    assert found.loss_nats == pytest.approx(loss.item(), rel=1e-13)
    assert found.grad_logits == pytest.approx(logits.grad.tolist(), rel=1e-12)
    assert found.as_bce.sum == pytest.approx(found.loss, rel=1e-13)
    assert found.as_bce.mean == pytest.approx(found.loss / 4, rel=1e-13)
    slopes = torch.autograd.grad(
        torch.nn.functional.binary_cross_entropy(leaf := q.detach().requires_grad_(), target, reduction="sum"), leaf
    )
    assert found.grad_probs == pytest.approx(slopes[0].tolist(), rel=1e-12)
    assert found.excess == pytest.approx(found.loss, rel=1e-12)
    assert found.grad_check is not None
    assert found.grad_check < 1e-8
    assert [finding.code for finding in found.findings] == ["CE006"]
    assert found.codes is found.unseen is None


def test_several_labels_in_a_batch_with_rows_of_none_and_one() -> None:
    target = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0]])
    q = np.array([[0.1, 0.2, 0.3], [0.9, 0.2, 0.1], [0.6, 0.7, 0.8]])
    found = explain(target, q, weight=[1.0, 2.0, 0.5])
    expected = torch.nn.functional.binary_cross_entropy(
        torch.tensor(q), torch.tensor(target).double(), weight=torch.tensor([1.0, 2.0, 0.5]), reduction="sum"
    )
    assert found.loss == pytest.approx(expected.item() / 3, rel=1e-12)
    assert found.baselines.prior == pytest.approx(
        explain(target, np.tile(target.mean(axis=0), (3, 1)), weight=[1, 2, 0.5]).loss
    )
    assert found.batch is not None
    assert found.batch.denominator_rule == "the number of rows; the loss of a row is the sum over its classes"


def test_an_impossible_yes_and_an_impossible_no() -> None:
    yes = explain([1, 1], [0.0, 0.5])
    assert yes.loss == math.inf
    assert yes.findings[0].message == "target 0 has p = 1 but q = 0: −log 0 is infinite."
    no = explain([0, 0], [0.5, 1.0])
    assert no.loss == math.inf
    assert no.findings[0].message == "target 1 has p = 0 but q = 1: −log(1 − q) is infinite."
    assert "L = −Σ (pᵢ log qᵢ + (1 − pᵢ) log(1 − qᵢ))" in no.render(width=78, unicode=True)


def test_one_class_is_a_finding() -> None:
    found = explain(0, [3.7], kind="logits")
    assert found.loss == 0.0
    assert [finding.code for finding in found.findings] == ["CE007"]
    assert found.terms[0].huffman_code == ""
    yes_or_no = explain([0], [0.25])
    assert yes_or_no.loss == pytest.approx(-math.log(0.75))


def test_auto_reads_what_can_only_be_probabilities() -> None:
    found = explain(0, Q, kind="auto")
    assert found.kind == "probs"
    assert found.kind_reason == "read as probabilities: all are 0 or more and they sum to 1"
    assert "read as probabilities: all are 0 or more and they sum to 1" in found.render(width=78)
    assert explain([0, 1], [Q, Q], kind="auto").kind == "probs"


@pytest.mark.parametrize(
    ("prediction", "text"),
    [
        (
            "1.5 -0.5 0",
            (
                "`kind` cannot be told from the numbers: class 1 has -0.5, so they are no probabilities; set `kind` to "
                '"logits" or "log_probs".'
            ),
        ),
        (
            "1 2 3",
            (
                "`kind` cannot be told from the numbers: they are 0 or more and sum to 6, not 1; set `kind` to "
                '"probs" or "logits".'
            ),
        ),
        (
            "0.5 0.5 0; 0.2 0.2 0.2",
            (
                "`kind` cannot be told from the numbers: those of row 1 are 0 or more and sum to 0.6, not 1; set "
                '`kind` to "probs" or "logits".'
            ),
        ),
        (
            "nan 1 0",
            (
                "`kind` cannot be told from the numbers: class 0 has nan, so they are no probabilities; set `kind` to "
                '"logits" or "log_probs".'
            ),
        ),
    ],
)
def test_auto_asks_rather_than_guesses(prediction: str, text: str) -> None:
    with pytest.raises(OptionError) as caught:
        explain(0 if ";" not in prediction else [0, 0], prediction, kind="auto")
    assert str(caught.value) == text


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_rounding_to_a_dtype_is_no_finding_and_more_is(dtype: type) -> None:
    logits = np.random.default_rng(2).normal(size=300)
    probs = (np.exp(logits) / np.exp(logits).sum()).astype(dtype)
    found = explain(0, probs)
    assert found.findings == ()
    assert found.dtype == np.dtype(dtype).name
    assert [finding.code for finding in explain(0, (probs.astype(np.float64) * 0.97).astype(dtype)).findings] == [
        "CE003"
    ]


def test_a_bfloat16_tensor_with_a_graph() -> None:
    logits = torch.tensor([1.0, 2.0, 3.0], dtype=torch.bfloat16, requires_grad=True)
    assert explain(2, logits, kind="logits").loss == pytest.approx(math.log(1 + math.exp(-1) + math.exp(-2)))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"weight": [1, 2]}, ShapeError, "`weight` must have one number per class of `prediction`, 5; got 2."),
        ({"weight": [1, -2, 0, 0, 0]}, RangeError, "`weight` must be 0 or more and finite; class 1 has -2."),
        ({"weight": "1 x"}, OptionError, "`weight` must be numbers such as \"0.1 0.5 0.4\"; 'x' is not a number."),
        ({"label_smoothing": 1.5}, OptionError, "`label_smoothing` must lie in [0, 1]; got 1.5."),
        ({"reduction": "avg"}, OptionError, '`reduction` must be "mean" or "sum"; got \'avg\'.'),
        (
            {"reduction": "none"},
            OptionError,
            '`reduction` must be "mean" or "sum"; got \'none\': the loss of each row is in `batch.losses` anyway.',
        ),
        (
            {"prior": [3, 1, 1, 1, 1]},
            RangeError,
            "`prior` must hold the shares of the classes, in [0, 1]; class 0 has 3. Divide counts by their sum.",
        ),
        (
            {"prior": [0.5, 0.1, 0.1, 0.1, 0.1]},
            RangeError,
            "`prior` must sum to 1; it sums to 0.9. Divide counts by their sum.",
        ),
    ],
)
def test_options_in_full(options: dict[str, object], error: type[CrossentError], text: str) -> None:
    with pytest.raises(error) as caught:
        explain(0, Q, **options)  # type: ignore[arg-type]
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("target", "names", "text"),
    [
        (
            "owl",
            None,
            "`target` must be numbers such as \"0.1 0.5 0.4\"; 'owl' is not a number; a class name needs `class_names`.",
        ),
        (
            "owl",
            NAMES,
            "`target` must be a class id or one of `class_names` (cat, dog, fox, cow, big owl); 'owl' is no class name.",
        ),
        (
            "a",
            ["a", "a", "b", "c", "d"],
            "`target` must be a class id or one of `class_names` (a, a, b, c, d); 'a' names several classes.",
        ),
    ],
)
def test_a_name_that_is_none(target: str, names: list[str] | None, text: str) -> None:
    with pytest.raises(OptionError) as caught:
        explain(target, Q, class_names=names)
    assert str(caught.value) == text


def test_other_losses_and_small_steps_by_hand() -> None:
    found = explain(0, Q)
    assert found.as_bce.sum == pytest.approx(-math.log(0.1) - math.log(0.5) - 2 * math.log(0.9) - math.log(0.8))
    assert found.brier == pytest.approx(0.81 + 0.25 + 0.01 + 0.01 + 0.04)
    assert found.as_mse.mean == pytest.approx(1.12 / 5)
    logits = torch.log(torch.tensor(Q, dtype=torch.float64)).requires_grad_()
    wanted = torch.eye(5, dtype=torch.float64)[0]
    torch.nn.functional.mse_loss(torch.softmax(logits, 0), wanted).backward()
    assert found.as_mse.grad_true == pytest.approx(logits.grad[0].item())
    assert found.as_mse.grad_norm == pytest.approx(logits.grad.norm().item())
    assert found.sensitivity is not None
    assert found.sensitivity.loss_if_prob_raised == pytest.approx(-math.log(0.11))
    raised = 0.1 * math.exp(0.1)
    assert found.sensitivity.loss_if_logit_raised == pytest.approx(-math.log(raised / (0.9 + raised)))
    assert found.baselines.margin == pytest.approx(-0.4)
    assert found.baselines.top1 == 0.0
    assert explain(0, [1.0, 0.0]).sensitivity.loss_if_prob_raised is None  # type: ignore[union-attr]


def every_form_renders(found: Explanation) -> None:
    for text in (
        found.render(bits=True, width=40),
        found.to_markdown(),
        found._repr_html_(),
        found.to_latex(),
        found.to_json(),
    ):
        assert text
        assert "-0.0" not in text
    found.plot()


@pytest.mark.parametrize("prediction", ["1e-300 1", "5e-324 1", "0 1", "nan 1", "1 0"])
@pytest.mark.parametrize("target", ["0", "0.5 0.5", "1 1", "0 0"])
def test_the_far_end_of_q_renders_in_every_form(target: str, prediction: str) -> None:
    found = explain(target, prediction, packages="nan" not in prediction)
    every_form_renders(found)


@pytest.mark.parametrize(
    "prediction", ["-inf -inf", "inf 0", "inf inf", "-inf 0", "10000 -10000", "1e308 -1e308", "nan 0"]
)
@pytest.mark.parametrize("target", ["0", "0.5 0.5", "1 1"])
def test_untame_logits_render_in_every_form(target: str, prediction: str) -> None:
    found = explain(target, prediction, kind="logits")
    every_form_renders(found)
