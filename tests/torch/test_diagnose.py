"""`crossent.torch.diagnose` in a loop: tensors of every kind, no gradient, no exception."""

import pytest
import torch
from torch import Tensor, nn

import crossent

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = 2.0 * torch.randn(64, 5, generator=GENERATOR)
TARGET = LOGITS.argmax(dim=1)


def first(*arguments: object, **more: object) -> str:
    found = crossent.torch.diagnose(*arguments, **more)
    return found.findings[0].code if found else "none"


def test_the_five_mistakes_of_a_loop() -> None:
    assert first(LOGITS.softmax(dim=1), TARGET) == "CE005"
    assert first(LOGITS.view(8, 8, 5), TARGET.view(8, 8)) == "CE116"
    assert first(LOGITS, TARGET + 1) == "CE112"
    assert first(LOGITS, torch.full_like(TARGET, -100)) == "CE107"
    assert first(LOGITS, 2.0 * torch.eye(5)[TARGET]) == "CE004"
    assert first(LOGITS, TARGET) == "none"


def test_one_line_when_printed() -> None:
    found = crossent.torch.diagnose(LOGITS.softmax(dim=1), TARGET)
    assert str(found) == (
        "crossent: CE005 consistent with softmax applied twice: 64 rows of outputs are >= 0 and sum to 1. Remove the last "
        "softmax: this loss applies its own. Until then no answer is confident enough."
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_floating_dtype(dtype: torch.dtype) -> None:
    assert first(LOGITS.to(dtype), TARGET) == "none"
    assert first(LOGITS.softmax(dim=1).to(dtype), TARGET) == "CE005"


@pytest.mark.parametrize("function", [nn.CrossEntropyLoss(ignore_index=2), nn.CrossEntropyLoss(label_smoothing=0.1),
                                      nn.CrossEntropyLoss(reduction="sum"), nn.CrossEntropyLoss()])  # fmt: skip
def test_a_module_is_asked_for_its_options(function: nn.Module) -> None:
    target = (TARGET + (torch.arange(64) % 5 == 0)) % 5
    assert first(LOGITS, target, function=function, loss=function(LOGITS, target)) == "none"


def test_the_functions_of_torch_themselves() -> None:
    assert first(LOGITS.softmax(dim=1), TARGET, function=nn.functional.nll_loss) == "CE104"
    assert first(LOGITS.sigmoid(), torch.eye(5)[TARGET], function=nn.BCEWithLogitsLoss()) == "CE103"


def test_no_gradient_and_no_change() -> None:
    logits = LOGITS.clone().requires_grad_()
    loss = nn.functional.cross_entropy(logits, TARGET)
    crossent.torch.diagnose(logits, TARGET, loss=loss)
    loss.backward()
    wanted: Tensor = (LOGITS.softmax(dim=1) - torch.eye(5)[TARGET]) / 64
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, wanted, rtol=1e-5, atol=1e-8)
    assert torch.equal(logits.detach(), LOGITS)


@pytest.mark.parametrize(
    ("output", "target", "said"),
    [
        (LOGITS, TARGET[:9], ("`targets` must have one entry per row of outputs of shape (64, 5), 64 in all, or that shape; "
         "got shape (9,).")),
        (torch.zeros(0, 5), TARGET[:0], "`outputs` must have at least one row and one class; got shape (0, 5)."),
        (LOGITS.to(torch.complex64), TARGET, "`outputs` must hold real numbers; got dtype complex64."),
        (None, TARGET, "`model_output` must be an array; got None."),
        ("z", TARGET, "`outputs` must hold real numbers; got dtype <U1."),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_finding_and_no_exception(output: object, target: Tensor, said: str) -> None:
    found = crossent.torch.diagnose(output, target)
    assert (found.findings[0].code, found.findings[0].message) == ("CE100", said)


CE, NLL, LOGITS_BCE = nn.CrossEntropyLoss(), nn.NLLLoss(), nn.BCEWithLogitsLoss()
ONE_HOT = nn.functional.one_hot(TARGET, 5)


@pytest.mark.parametrize(
    ("function", "output", "target", "conversion"),
    [
        (CE, LOGITS, TARGET.float(), "ids as int64: target.long()"),
        (CE, LOGITS, TARGET.int(), "ids as int64: target.long()"),
        (CE, LOGITS, TARGET[:, None], "ids of shape (64,): target.squeeze(1)"),
        (CE, LOGITS, TARGET[:, None].float(), "ids of shape (64,), as int64: target.squeeze(1).long()"),
        (CE, LOGITS, ONE_HOT, "one-hot rows as floats: target.float()"),
        (CE, LOGITS, ONE_HOT.bool(), "one-hot rows as floats: target.float()"),
        (CE, LOGITS[:, :2], TARGET > 2, "ids as int64: target.long()"),
        (CE, LOGITS.view(8, 8, 5).movedim(2, 1), TARGET, "ids of shape (8, 8): target.reshape((8, 8))"),
        (NLL, LOGITS.log_softmax(dim=1), TARGET.int(), "ids as int64: target.long()"),
        (NLL, LOGITS.log_softmax(dim=1), ONE_HOT.float(), "class ids: target.argmax(dim=1)"),
        (LOGITS_BCE, LOGITS, ONE_HOT, "floats: target.float()"),
        (LOGITS_BCE, LOGITS[:, :1], ONE_HOT[:, 0].float(),
         "the shape of the outputs, (64, 1): target.reshape((64, 1))"),
        (LOGITS_BCE, LOGITS[:, :1], ONE_HOT[:, 0],
         "the shape of the outputs, (64, 1) and floats: target.reshape((64, 1)).float()"),
    ],
)  # fmt: skip
def test_targets_that_torch_refuses(function: nn.Module, output: Tensor, target: Tensor, conversion: str) -> None:
    with pytest.raises((RuntimeError, ValueError)):
        function(output, target)
    found = crossent.torch.diagnose(output, target, function=function)
    assert found.findings[0].code == "CE137"
    name = f"torch.nn.{type(function).__name__}"
    dtype = str(target.dtype).removeprefix("torch.")
    assert found.findings[0].message == (
        f"the targets are {dtype} of shape {tuple(target.shape)}, where {name} wants {conversion}."
    )
    converted = eval(conversion.rpartition(": ")[2], {"target": target})
    assert torch.isfinite(function(output, converted))
    assert first(output, converted, function=function) == "none"


@pytest.mark.parametrize(
    ("function", "output", "target"),
    [
        (CE, LOGITS, TARGET.byte()),
        (CE, LOGITS, ONE_HOT.half()),
        (CE, LOGITS[0], TARGET[0]),
        (CE, LOGITS[0], TARGET[:1]),
        (CE, LOGITS.view(8, 8, 5).movedim(2, 1), TARGET.view(8, 8)),
        (LOGITS_BCE, LOGITS, ONE_HOT.double()),
        (LOGITS_BCE, LOGITS[:, 0], ONE_HOT[:, 0].float()),
    ],
)
def test_targets_that_torch_takes(function: nn.Module, output: Tensor, target: Tensor) -> None:
    assert torch.isfinite(function(output, target))
    assert first(output, target, function=function) == "none"


def test_an_unknown_function_is_a_finding_too() -> None:
    assert first(LOGITS, TARGET, function="mse_loss") == "CE100"
    assert first(LOGITS, TARGET, loss=LOGITS) == "CE100"


def test_a_large_batch_is_looked_at_in_part() -> None:
    logits = torch.zeros(4000, 1000)
    logits[:, 3] = torch.arange(4000)
    found = crossent.torch.diagnose(logits, torch.arange(4000) % 1000, loss=1.0)
    assert found.rows == 1000


def test_a_token_batch_wide_as_a_vocabulary() -> None:
    # one row alone has more than 2**20 numbers: at least that one is looked at
    assert crossent.torch.diagnose(torch.zeros(2, 300, 5000), torch.zeros(2, 5000, dtype=torch.long)).rows == 5000


def test_the_door_of_torch_imports_nothing_of_explaining() -> None:
    import subprocess
    import sys

    program = (
        "import sys, crossent.torch; print([name for name in sys.modules if name.startswith('crossent.explaining')])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
