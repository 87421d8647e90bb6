"""What the losses of this door can do beyond torch's: penalties, caps, weights of rows, numbers about each row. Checked here.

A row's logits x become z = softcap * tanh(x / softcap) / temperature before anything else. With lse = log sum_c e**z_c, its
effective targets y and their sum m,

    loss = sum_c y_c (lse - z_c) + z_loss m lse**2
"""

import math
from collections import namedtuple
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import torch

from crossent._checks import check_real
from crossent.errors import DtypeError, OptionError, RangeError, ShapeError
from crossent.torch import _gpu
from crossent.torch._arguments import is_differentiated, is_traced

# Below it twice the inverse overflows.
_LEAST = 1e-300
RETURNS = ("lse", "entropy", "accuracy", "target_logit", "dropped_mass")
# Those that change with the logits by more than jumps.
DIFFERENTIABLE = ("lse", "entropy", "target_logit")


@dataclass(frozen=True, slots=True)
class Extras:
    """Options beyond torch's, checked."""

    z_loss: float = 0.0
    softcap: float | None = None
    temperature: float = 1.0
    returns: tuple[str, ...] = ()

    @property
    def bends(self) -> bool:
        """Say whether logits are changed before they are used."""
        return self.softcap is not None or self.temperature != 1.0

    @property
    def some(self) -> bool:
        """Say whether anything here needs more than the plain loss of each row."""
        return self.bends or self.z_loss != 0.0 or bool(self.returns)


def read_extras(z_loss: Any, softcap: Any, temperature: Any, returns: Any) -> Extras:
    """Check options and return them."""
    _refuse_gradient("z_loss", z_loss)
    penalty = check_real("z_loss", z_loss, "a finite number of at least 0")
    if not 0.0 <= penalty < math.inf:
        message = f"`z_loss` must be a finite number of at least 0; got {z_loss!r}."
        raise OptionError(message)
    if isinstance(returns, str) or not isinstance(returns, (tuple, list)) or not all(r in RETURNS for r in returns):
        message = f"`returns` must be a tuple of names among {RETURNS}; got {returns!r}."
        raise OptionError(message)
    if len(set(returns)) != len(returns):
        message = f"`returns` must name nothing twice; got {returns!r}."
        raise OptionError(message)
    cap = None if softcap is None else _positive("softcap", softcap, "a positive number, or None for no cap")
    return Extras(penalty, cap, _positive("temperature", temperature, "a positive number"), tuple(returns))


def _refuse_gradient(name: str, value: Any) -> None:
    """Raise where a number is a tensor that expects a gradient, which it would never get."""
    if is_differentiated(value if isinstance(value, torch.Tensor) else None):
        message = f"`{name}` is a number and has no gradient; scale the logits themselves, or pass {name}.item()."
        raise OptionError(message)


def _positive(name: str, value: Any, wanted: str) -> float:
    _refuse_gradient(name, value)
    number = check_real(name, value, wanted)
    if not _LEAST <= number < math.inf:
        message = f"`{name}` must be {wanted}; got {value!r}."
        raise OptionError(message)
    return number


def read_denominator(denominator: Any, reduction: str, device: torch.device) -> torch.Tensor | float | None:
    """Return the caller's own denominator of a mean; a tensor stays one for compilers, and for the kernels of a device.

    `device` is that of the logits.
    """
    if denominator is None:
        return None
    if reduction != "mean":
        message = f'`denominator` needs reduction="mean"; got {reduction!r}.'
        raise OptionError(message)
    if isinstance(denominator, torch.Tensor):
        if denominator.dim():
            message = f"`denominator` must be one number; got a tensor of shape {tuple(denominator.shape)}."
            raise OptionError(message)
        if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
            return denominator.detach().double()
        if _gpu.serves(device) and denominator.device.type == device.type:  # nobody waits: the check is the device's
            _refuse_gradient("denominator", denominator)
            wide = denominator.detach().to(device, torch.float64, non_blocking=True)
            torch._assert_async((wide > 0.0) & wide.isfinite(), "`denominator` must be a positive number.")
            return wide
        denominator = denominator.item()
    return _positive("denominator", denominator, "a positive number")


def read_sample_weight(sample_weight: Any, rows_shape: torch.Size, device: torch.device) -> torch.Tensor | None:
    """Return the weights of rows, any finite numbers."""
    if sample_weight is None:
        return None
    if not isinstance(sample_weight, torch.Tensor):
        message = f"`sample_weight` must be a tensor; got {type(sample_weight).__name__}."
        raise DtypeError(message)
    if sample_weight.shape != rows_shape:
        message = (
            f"`sample_weight` must have shape {tuple(rows_shape)}, one for each row; got {tuple(sample_weight.shape)}."
        )
        raise ShapeError(message)
    if sample_weight.is_complex():
        message = f"`sample_weight` must hold real numbers; got {sample_weight.dtype}."
        raise DtypeError(message)
    if sample_weight.device != device or sample_weight.layout is not torch.strided:
        where = f"{sample_weight.device}, {sample_weight.layout}"
        message = f"`sample_weight` must be a strided tensor on `input`'s device, {device}; got {where}."
        raise DtypeError(message)
    if is_traced() or torch._C._are_functorch_transforms_active():
        return sample_weight.resolve_neg()
    if _gpu.serves(device):
        torch._assert_async(sample_weight.detach().isfinite().all(), "`sample_weight` must be finite.")
    else:
        wrong = ~sample_weight.detach().isfinite()
        if bool(wrong.any()):
            place = tuple(wrong.nonzero()[0].tolist())
            row = place[0] if len(place) == 1 else place
            message = f"`sample_weight` must be finite; row {row} has {sample_weight[place].item()}."
            raise RangeError(message)
    return sample_weight.resolve_neg()


def _result_type(returns: tuple[str, ...]) -> Any:
    """Return a named tuple whose fields depend on the call, and which can be pickled all the same."""
    make: Any = namedtuple  # mypy wants fields that it can read
    made = make("CrossEntropyResult", ("loss", *returns))
    made.__reduce__ = _reduced
    return made


def _reduced(result: Any) -> Any:
    return _rebuilt, (result._fields[1:], tuple(result))


def _rebuilt(returns: tuple[str, ...], values: tuple[Any, ...]) -> Any:
    return with_returns(values[0], dict(zip(returns, values[1:], strict=True)), Extras(returns=returns))


# All 325, 15 ms: no compiler can trace how a class is made, and a user's first call may be a compiled one.
_TYPES = {names: _result_type(names) for k in range(1, len(RETURNS) + 1) for names in permutations(RETURNS, k)}


def with_returns(loss: torch.Tensor, numbers: dict[str, torch.Tensor], extras: Extras) -> Any:
    """Return the loss, or with `returns=` a named tuple of the loss and what was asked for."""
    if not extras.returns:
        return loss
    return _TYPES[extras.returns](loss, *(numbers[name] for name in extras.returns))
