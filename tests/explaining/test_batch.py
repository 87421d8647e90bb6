"""Many rows at once: sums, means and denominators against PyTorch and against the rows explained one by one."""

import json
import math

import numpy as np
import pytest
import torch

import crossent
from crossent.errors import LabelError, OptionError, ShapeError
from crossent.explaining import reading
from crossent.explaining.explanation import Explanation, explain

GENERATOR = np.random.default_rng(5)
LOGITS = GENERATOR.normal(size=(40, 4)) * 3.0
LABELS = GENERATOR.integers(0, 4, 40)
SOFT = GENERATOR.dirichlet(np.ones(4), 40)
WEIGHT = [1.0, 0.5, 3.0, 0.0]


@pytest.fixture(name="batch")
def batch_of_logits() -> Explanation:
    return explain(LABELS, LOGITS, kind="logits")


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_loss_and_gradient_are_pytorchs(reduction: str, smoothing: float, weight: list[float] | None) -> None:
    logits = torch.tensor(LOGITS, requires_grad=True)
    weights = None if weight is None else torch.tensor(weight, dtype=torch.float64)
    loss = torch.nn.functional.cross_entropy(
        logits, torch.tensor(LABELS), weight=weights, label_smoothing=smoothing, reduction=reduction
    )
    loss.backward()
    found = explain(LABELS, LOGITS, kind="logits", weight=weight, label_smoothing=smoothing, reduction=reduction)
    assert found.loss_nats == pytest.approx(loss.item(), rel=1e-13)
    assert found.grad_logits == pytest.approx(logits.grad.sum(dim=0).tolist(), rel=1e-11, abs=1e-13)
    assert all(check.holds for check in found.checks)


@pytest.mark.parametrize("weight", [None, [1.0, 0.5, 3.0, 2.0]])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_one_that_crossent_trains_with(weight: list[float] | None, smoothing: float) -> None:
    for target in (LABELS, SOFT):
        found = explain(target, LOGITS, kind="logits", weight=weight, label_smoothing=smoothing)
        weights = None if weight is None else np.array(weight)
        trained = crossent.cross_entropy(LOGITS, target, class_weight=weights, label_smoothing=smoothing)
        assert found.loss_nats == pytest.approx(trained, rel=1e-13)


def test_every_number_is_the_mean_of_the_rows(batch: Explanation) -> None:
    rows = [explain(int(label), logits, kind="logits") for label, logits in zip(LABELS, LOGITS, strict=True)]
    for name in ("loss", "entropy_target", "kl", "entropy_prediction_bits", "js_bits", "brier"):
        mean = math.fsum(getattr(row, name) for row in rows) / len(rows)
        assert getattr(batch, name) == pytest.approx(mean, rel=1e-13), name
    for place, term in enumerate(batch.terms):
        for name in ("p", "q", "surprisal", "contribution", "grad_logit", "given"):
            mean = math.fsum(getattr(row.terms[place], name) for row in rows) / len(rows)
            assert getattr(term, name) == pytest.approx(mean, rel=1e-12, abs=1e-15), name
    assert batch.as_bce.sum == pytest.approx(math.fsum(row.as_bce.sum for row in rows) / len(rows), rel=1e-13)
    assert batch.baselines.top1 == sum(row.baselines.guess == "right" for row in rows) / len(rows)
    margins = [row.baselines.margin for row in rows]
    assert batch.baselines.margin == pytest.approx(math.fsum(margin or 0.0 for margin in margins) / len(rows))
    assert batch.batch is not None
    assert batch.batch.losses.tolist() == [row.loss for row in rows]


def test_the_denominator_of_a_weighted_mean_is_the_sum_of_the_weights() -> None:
    # the numbers of a thread of the PyTorch forum: a total of 0.658 * 78, not 0.658 * 24
    found = explain([0, 1, 1], [[0.5, 0.5]] * 3, weight=[1.0, 3.0]).batch
    assert found is not None
    assert (found.denominator, found.denominator_rule) == (7.0, "the sum of the class weights of the targets")
    assert found.total == pytest.approx(7.0 * math.log(2.0))
    assert found.effective_n == 3


def test_a_row_whose_weight_is_zero_does_not_count() -> None:
    found = explain([0, 3, 3], LOGITS[:3], kind="logits", weight=WEIGHT)
    assert found.batch is not None
    assert (found.batch.effective_n, found.batch.rows, found.denominator) == (1, 3, 1.0)
    assert found.loss == pytest.approx(explain(0, LOGITS[0], kind="logits").loss)
    assert "1 rows count" in str(found)


def test_nothing_that_counts_is_nan_as_in_pytorch() -> None:
    found = explain([3, 3], LOGITS[:2], kind="logits", weight=WEIGHT)
    assert math.isnan(found.loss)
    assert found.findings[0].code == "CE008"
    assert found.findings[0].message == "the class weights of the targets sum to 0: the mean of nothing is 0/0."
    assert "nan" in found.render(width=78)


def test_no_rows() -> None:
    found = explain(np.zeros(0, dtype=int), np.zeros((0, 3)))
    assert math.isnan(found.loss)
    assert [finding.message for finding in found.findings] == ["there is no row: the mean of nothing is 0/0."]
    assert found.batch is not None
    assert (found.batch.rows, found.batch.worst_rows, found.batch.histogram) == (0, (), None)
    for text in (str(found), found.to_markdown(), found._repr_html_(), found.to_latex(), found.to_json()):
        assert "nan" in text.lower()


def test_one_row_as_a_batch() -> None:
    found = explain([1], [[0.2, 0.8]])
    assert found.batch is not None
    assert found.loss == explain(1, [0.2, 0.8]).loss
    assert str(found).startswith("Cross-entropy of 1 row ")


def test_the_worst_rows() -> None:
    q = np.full((200, 2), 0.5)
    q[17] = [0.99, 0.01]
    q[3] = [0.0, 1.0]
    found = explain([0] * 3 + [0] + [1] * 196, q).batch
    assert found is not None
    assert [(row.row, row.true_name, row.guess_name) for row in found.worst_rows[:2]] == [(3, "0", "1"), (17, "1", "0")]
    assert found.worst(2) == ((3, math.inf), (17, pytest.approx(-math.log(0.01))))
    assert found.worst(0) == ()
    assert (found.infinite_rows, found.share_of_worst) == (1, None)
    finite = explain([1] * 200, np.where(q == 0.0, 0.5, np.where(q == 1.0, 0.5, q))).batch
    assert finite is not None
    assert finite.worst_percent_rows == 2
    share = (math.log(100) + math.log(2)) / (math.log(100) + 199 * math.log(2))
    assert finite.share_of_worst == pytest.approx(share)


def test_the_histogram_counts_every_finite_row(batch: Explanation) -> None:
    assert batch.batch is not None
    histogram = batch.batch.histogram
    assert histogram is not None
    assert sum(histogram.counts) == 40
    assert len(histogram.edges) == len(histogram.counts) + 1
    assert histogram.edges[0] == batch.batch.losses.min()
    assert histogram.edges[-1] == batch.batch.losses.max()
    same = explain([0] * 5, [[0.5, 0.5]] * 5).batch
    assert same is not None
    assert same.histogram is not None
    assert same.histogram.counts == (5,)


def test_the_labels_entropy_is_the_baseline_of_a_batch() -> None:
    found = explain([0, 0, 0, 1], [[0.5, 0.5]] * 4, base=2)
    entropy = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    assert found.batch is not None
    assert found.batch.target_entropy == pytest.approx(entropy)
    assert found.baselines.prior == pytest.approx(entropy)
    assert found.baselines.prior_source == "the targets of this batch"
    assert found.baselines.prior_bits_worse == pytest.approx(1.0 - entropy)
    given = explain([0, 0, 0, 1], [[0.5, 0.5]] * 4, prior=[0.5, 0.5]).baselines
    assert (given.prior, given.prior_source) == (pytest.approx(math.log(2.0)), "as given")


def test_rows_that_cannot_be_are_counted_and_the_first_is_named() -> None:
    found = explain([0, 0, 0], [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert [finding.message for finding in found.findings] == [
        "2 of 3 rows, first in row 1: target 0 has p = 1 but q = 0: −log 0 is infinite."
    ]
    assert found.loss == math.inf
    found = explain([0, 0], [[math.nan, 0.0], [0.0, 1.0]], kind="logits")
    assert found.findings[0].message == "1 of 2 rows, first in row 0: `prediction` has nan at class 0."
    assert found.batch is not None
    assert found.batch.nan_rows == 1
    assert "losses: 1 nan" in str(found)


def test_any_chunking_gives_the_same(monkeypatch: pytest.MonkeyPatch, batch: Explanation) -> None:
    monkeypatch.setattr(reading, "NUMBERS_AT_ONCE", 12)  # three rows at a time
    again = explain(LABELS, LOGITS, kind="logits")
    assert again.loss == batch.loss
    assert again.grad_logits == pytest.approx(batch.grad_logits, rel=1e-12, abs=1e-15)
    assert again.findings == batch.findings
    bad = explain([0] * 9, [[0.5, 0.5]] * 8 + [[0.0, 1.0]])
    assert bad.findings[0].message.startswith("1 of 9 rows, first in row 8: target 0")


def test_every_form_of_a_batch() -> None:
    q = [[0.1, 0.9], [0.7, 0.3]]
    wanted = explain([1, 0], q)
    one_hot = np.eye(2)[[1, 0]]
    for target, prediction in (
        (np.array([1, 0], dtype=np.uint8), np.array(q)),
        (one_hot, q),
        (one_hot.astype(bool), q),
        ("1 0", "0.1 0.9; 0.7 0.3"),
        ("1;0", "0.1,0.9\n0.7,0.3"),
        ("0 1; 1 0", "[[0.1 0.9]\n [0.7 0.3]]"),
        (torch.tensor([1, 0]), torch.tensor(q, dtype=torch.float64, requires_grad=True)),
    ):
        found = explain(target, prediction)
        assert found.loss == wanted.loss
        assert found.true_class is None
    named = explain(["b", "a"], q, class_names=["a", "b"])
    assert named.loss == wanted.loss
    assert explain("b a", "0.1 0.9; 0.7 0.3", class_names=["a", "b"]).loss == wanted.loss


@pytest.mark.parametrize(
    ("target", "prediction", "options", "error", "text"),
    [
        (
            [0, 2],
            [[0.5, 0.5]] * 2,
            {},
            LabelError,
            "`target` must be a class id in [0, 2); row 1 has 2. Are the labels",
        ),
        ([0], [[0.5, 0.5]] * 2, {}, ShapeError, "`target` must have one entry per row of `prediction`, 2; got 1."),
        (
            [0.0, 1.0],
            [[0.5, 0.5]] * 2,
            {},
            ShapeError,
            (
                "`target` must be class ids, integers of shape (2,), or one number per class, shape (2, 2); got float64 of "
                "shape (2,)."
            ),
        ),
        ([0, 1], "0.5 0.5; 1", {}, ShapeError, "`prediction` must have equally long rows; row 0 has 2 numbers, row 1"),
        (
            [0, 1],
            [[0.5, 0.5], [1.5, -0.5]],
            {},
            ValueError,
            (
                "`prediction` must hold probabilities in [0, 1]; row 1, class 0 has 1.5. If these are logits, set `kind` to "
                '"logits".'
            ),
        ),
        (
            ["a", "b"],
            [[0.5, 0.5]] * 2,
            {},
            OptionError,
            "`target` must be class ids or names; 'a' is no class id, and a name needs `class_names`.",
        ),
        (
            ["a", "c"],
            [[0.5, 0.5]] * 2,
            {"class_names": ["a", "b"]},
            OptionError,
            "`target` must be a class id or one of `class_names` (a, b); 'c' is no class name.",
        ),
    ],
)
def test_errors(target: object, prediction: object, options: dict[str, object], error: type, text: str) -> None:
    with pytest.raises(error) as caught:
        explain(target, prediction, **options)  # type: ignore[arg-type]
    assert str(caught.value).startswith(text)


def test_a_million_rows_stay_small_in_every_form() -> None:
    rows = 1_000_000
    labels = np.arange(rows) % 3
    logits = np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)
    found = explain(labels, logits, kind="logits")
    expected = torch.nn.functional.cross_entropy(torch.tensor(logits).double(), torch.tensor(labels)).item()
    assert found.loss == pytest.approx(expected, rel=1e-12)
    assert json.loads(found.to_json())["batch"]["losses"] is None
    assert len(found.to_json()) < 12_000
    assert len(found._repr_html_().encode()) < 12_000
    assert len(str(found)) < 6_000
    assert len(found.to_markdown()) < 6_000


def test_row_losses_are_read_only_and_in_the_json_of_a_small_batch(batch: Explanation) -> None:
    assert batch.batch is not None
    assert not batch.batch.losses.flags.writeable
    assert json.loads(batch.to_json())["batch"]["losses"] == batch.batch.losses.tolist()
    assert repr(batch).endswith("4 classes, 40 rows; print it to read it>")
