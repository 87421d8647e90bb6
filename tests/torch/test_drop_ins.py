"""nll_loss, kl_div and both binary losses: torch's words and warnings, exact sums, the digits of confident logits."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

import crossent.torch
from tests.oracle.load import load, ulp_error

NAMES = ("nll_loss", "kl_div", "binary_cross_entropy", "binary_cross_entropy_with_logits")
in_every_loss = pytest.mark.parametrize("name", NAMES)
same = torch.testing.assert_close
pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")


def both(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return getattr(crossent.torch, name), getattr(F, name)


def arguments(name: str, rows: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(rows)
    logits = torch.randn(rows, 5)
    return {
        "nll_loss": lambda: (torch.log_softmax(logits, 1), torch.randint(0, 5, (rows,))),
        "kl_div": lambda: (torch.log_softmax(logits, 1), torch.softmax(torch.randn(rows, 5), 1)),
        "binary_cross_entropy": lambda: (torch.sigmoid(logits), torch.rand(rows, 5)),
        "binary_cross_entropy_with_logits": lambda: (9 * logits, torch.rand(rows, 5)),
    }[name]()


@in_every_loss
def test_reductions_old_and_new(name: str) -> None:
    ours, theirs = both(name)
    for options in (
        {},
        {"reduction": "sum"},
        {"reduction": "none"},
        {"size_average": False},
        {"reduce": False},
        {"size_average": True, "reduce": True},
    ):
        if options.keys() & {"size_average", "reduce"}:  # torch warns of these; so do we, through its own function
            with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
                got = ours(*arguments(name), **options)
            with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
                expected = theirs(*arguments(name), **options)
        else:
            got, expected = ours(*arguments(name), **options), theirs(*arguments(name), **options)
        same(got, expected)


@in_every_loss
def test_errors_are_torchs(name: str) -> None:
    ours, theirs = both(name)
    first, second = arguments(name)
    for wrong, options in (
        ((first, second[:3, ...] if name != "kl_div" else second[:, :3]), {}),
        ((first, second), {"reduction": "average"}),
        ((first.long(), second), {}),
    ):
        said = []
        for function in (ours, theirs):
            with pytest.raises((RuntimeError, ValueError, IndexError, NotImplementedError)) as caught:
                function(*wrong, **options)
            said.append((caught.type, str(caught.value)))
        assert said[0] == said[1]


def test_a_class_id_that_is_no_class_has_torchs_words() -> None:
    with pytest.raises(IndexError, match=r"^Target 7 is out of bounds\.$"):
        crossent.torch.nll_loss(torch.zeros(2, 3), torch.tensor([0, 7]))


@in_every_loss
def test_a_sum_is_the_same_in_any_order(name: str) -> None:
    ours, _ = both(name)
    first, second = arguments(name, rows=4001)
    order = torch.randperm(4001)
    assert ours(first, second, reduction="sum").item() == ours(first[order], second[order], reduction="sum").item()


def test_the_mean_of_a_divergence_warns_with_torchs_words() -> None:
    said = []
    for function in both("kl_div"):
        with pytest.warns(UserWarning, match="reduction: 'mean' divides") as caught:
            function(*arguments("kl_div"))
        assert caught[0].filename == __file__
        said.append(str(caught[0].message))
    assert said[0] == said[1]


def test_batchmean() -> None:
    for function in (*both("kl_div"),):
        first, second = arguments("kl_div")
        terms = (second * (second.log() - first)).sum() / 6
        same(function(first, second, reduction="batchmean"), terms)


@pytest.mark.parametrize("name", ["binary_float32", "binary_float64"])
def test_digits_of_binary_logits(name: str) -> None:
    """Every row of the oracle: 4 ulp, for a few operations that are each rounded (torch's own: all digits lost)."""
    rows = load(name)
    dtype = torch.float64 if name.endswith("64") else torch.float32
    logits, truths, high, low = (
        torch.tensor([float(row.columns[key]) for row in rows], dtype=torch.float64)
        for key in ("logit", "target", "loss_hi", "loss_lo")
    )
    finite = torch.isfinite(logits)
    losses = crossent.torch.binary_cross_entropy_with_logits(
        logits[finite].to(dtype), truths[finite].to(dtype), reduction="none"
    )
    kind = {torch.float32: "float32", torch.float64: "float64"}[dtype]
    import numpy as np

    error = ulp_error(losses.numpy(), high[finite].numpy(), low[finite].numpy(), np.dtype(kind).type)
    assert error.max() <= 4


def test_a_confident_binary_row() -> None:
    logits, truth = torch.tensor([-20.0], requires_grad=True), torch.tensor([0.0])
    assert F.binary_cross_entropy_with_logits(logits, truth).item() == 0.0
    loss = crossent.torch.binary_cross_entropy_with_logits(logits, truth)
    loss.backward()
    exact = math.log1p(math.exp(-20))
    assert abs(loss.item() / exact - 1) < 2e-7
    assert logits.grad is not None
    assert abs(logits.grad.item() / (1 / (1 + math.exp(20))) - 1) < 2e-7
