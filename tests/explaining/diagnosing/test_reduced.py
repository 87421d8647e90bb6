"""What the functions of torch make of the same rows under every option: `expected` must give it, too."""

import functools
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from crossent.explaining.diagnosing.batch import reproduced
from crossent.explaining.diagnosing.diagnose import diagnose_outputs
from crossent.explaining.diagnosing.reading import read_case
from crossent.explaining.diagnosing.reduced import expected

GENERATOR = torch.Generator().manual_seed(3)
Z = 2.0 * torch.randn(64, 5, generator=GENERATOR, dtype=torch.float64)
IDS = torch.randint(5, (64,), generator=GENERATOR)
SOFT = torch.randn(64, 5, generator=GENERATOR, dtype=torch.float64).softmax(dim=1)
BITS = (torch.rand(64, 5, generator=GENERATOR) < 0.3).double()
WEIGHT = torch.arange(1.0, 6.0, dtype=torch.float64)
LOG_Q = Z.log_softmax(dim=1)
VOID = torch.where(torch.arange(64) % 7 == 0, 4, IDS)

CASES = [
    *((nn.CrossEntropyLoss(reduction=how, weight=weight, label_smoothing=smoothing), Z, targets)
      for how in ("mean", "sum") for weight in (None, WEIGHT) for smoothing in (0.0, 0.1, 1.0) for targets in (IDS, SOFT)),
    *((nn.CrossEntropyLoss(ignore_index=4, weight=weight, label_smoothing=smoothing), Z, VOID)
      for weight in (None, WEIGHT) for smoothing in (0.0, 0.1)),
    *((nn.NLLLoss(reduction=how, weight=WEIGHT), LOG_Q, IDS) for how in ("mean", "sum")),
    *((nn.KLDivLoss(reduction=how, log_target=logs), LOG_Q, SOFT.log() if logs else SOFT)
      for how in ("batchmean", "sum") for logs in (False, True)),
    *((nn.BCEWithLogitsLoss(reduction=how, pos_weight=positive, weight=weight), Z, BITS)
      for how in ("mean", "sum") for positive in (None, WEIGHT, torch.tensor([9.0])) for weight in (None, WEIGHT)),
    (nn.BCEWithLogitsLoss(pos_weight=torch.tensor(99.0)), Z[:, 0], BITS[:, 0]),
    (nn.BCELoss(weight=WEIGHT), Z.sigmoid(), BITS),
    (nn.KLDivLoss(reduction="batchmean"), LOG_Q.view(16, 4, 5).movedim(2, 1), SOFT.view(16, 4, 5).movedim(2, 1)),
    (functools.partial(functional.cross_entropy, weight=WEIGHT, label_smoothing=0.1), Z, IDS),
]  # fmt: skip


def read(function: Any, outputs: Any, targets: Any, loss: Any) -> Any:
    return read_case(
        loss=loss, classes=None, outputs=outputs, said=None, targets=targets, history=None, function=function,
        class_counts=None, class_weight=None, ignore_index=None,
    )  # fmt: skip


@pytest.mark.parametrize(("function", "outputs", "targets"), CASES)
def test_a_module_gives_what_is_expected_of_its_options(function: Any, outputs: Any, targets: Any) -> None:
    loss = function(outputs, targets)
    case = read(function, outputs, targets, loss)
    assert expected(case) == pytest.approx(loss.item(), rel=1e-12)
    assert reproduced(case)
    found = diagnose_outputs(outputs, targets, function=function, loss=loss)
    assert not found, str(found)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("BCEWithLogitsLoss(pos_weight=torch.tensor(9.0))", nn.BCEWithLogitsLoss(pos_weight=torch.tensor(9.0))),
        ("BCEWithLogitsLoss(pos_weight=[1, 2, 3, 4, 5])", nn.BCEWithLogitsLoss(pos_weight=WEIGHT)),
        ("BCEWithLogitsLoss(weight=[1, 2, 3, 4, 5], reduction='sum')", nn.BCEWithLogitsLoss(weight=WEIGHT, reduction="sum")),
    ],
)  # fmt: skip
def test_a_name_with_its_options_is_the_module(function: str, told: nn.Module) -> None:
    assert expected(read(function, Z, BITS, None)) == pytest.approx(told(Z, BITS).item(), rel=1e-12)


@pytest.mark.parametrize(
    "function", ["BCEWithLogitsLoss(pos_weight=w)", nn.BCEWithLogitsLoss(weight=torch.rand(64, 5))]
)
def test_an_option_that_is_not_known_speaks_against_nothing(function: Any) -> None:
    assert expected(read(function, Z, BITS, None)) is None
    assert not diagnose_outputs(Z, BITS, function=function, loss=3.21)


def test_weights_of_rows_are_not_those_of_classes() -> None:
    function = nn.BCELoss(weight=torch.rand(64))
    assert expected(read(function, Z[:, 0].sigmoid(), BITS[:, 0], None)) is None
