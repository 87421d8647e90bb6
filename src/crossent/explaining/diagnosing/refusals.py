"""Targets that torch itself refuses, though their meaning is plain, and the one line that converts them."""

import math
from typing import Any

from crossent.explaining.diagnosing.functions import Function

ID_DTYPES = ("int64", "uint8")  # torch 2.13 takes no other for class ids
_TAKES_PROBABILITIES = ("torch.nn.CrossEntropyLoss", "torch.nn.functional.cross_entropy")
_TAKES_IDS = (*_TAKES_PROBABILITIES, "torch.nn.NLLLoss", "torch.nn.functional.nll_loss")
_BINARY = (
    "torch.nn.BCELoss", "torch.nn.functional.binary_cross_entropy",
    "torch.nn.BCEWithLogitsLoss", "torch.nn.functional.binary_cross_entropy_with_logits",
)  # fmt: skip


def refusal(function: Function | None, outputs: Any, targets: Any) -> str:
    """Return what torch refuses in tensors and how to convert it; "" if nothing, or if these are no tensors."""
    if function is None or not (hasattr(outputs, "detach") and hasattr(targets, "detach")):
        return ""
    shape, found = tuple(outputs.shape), tuple(targets.shape)
    dtype = str(targets.dtype).removeprefix("torch.")
    if function.name in _BINARY:
        wrong, call = _binary(shape, found, bool(targets.is_floating_point()))
    elif function.name in _TAKES_IDS:
        soft = function.name in _TAKES_PROBABILITIES
        wrong, call = _categorical(shape, found, dtype, bool(targets.is_floating_point()), soft)
    else:
        return ""
    if not call:
        return ""
    return f"the targets are {dtype} of shape {found}, where {function.name} {wrong}: target{call}."


def _binary(shape: tuple[int, ...], found: tuple[int, ...], floating: bool) -> tuple[str, str]:
    if math.prod(shape) != math.prod(found):
        return "", ""
    wrong, call = [], ""
    if found != shape:
        wrong, call = [f"the shape of the outputs, {shape}"], f".reshape({shape})"
    if not floating:
        wrong, call = [*wrong, "floats"], f"{call}.float()"
    return f"wants {' and '.join(wrong)}", call


def _categorical(
    shape: tuple[int, ...], found: tuple[int, ...], dtype: str, floating: bool, soft: bool
) -> tuple[str, str]:
    if found == shape:
        if soft:
            return "wants one-hot rows as floats", "" if floating else ".float()"
        return "wants class ids", ".argmax(dim=1)"
    wanted = shape[:1] + shape[2:]
    wrong, call = [], ""
    if len(shape) > 1 and found != wanted:
        if math.prod(found) != math.prod(wanted):
            return "", ""
        wrong, call = [f"ids of shape {wanted}"], ".squeeze(1)" if found == (*wanted, 1) == (*shape[:1], 1) else (
            f".reshape({wanted})")  # fmt: skip
    if dtype not in ID_DTYPES:
        wrong, call = [*wrong, "ids as int64" if not wrong else "as int64"], f"{call}.long()"
    return f"wants {', '.join(wrong)}", call
