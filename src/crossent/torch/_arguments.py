"""What every drop-in reads the same way."""

from typing import Any

import torch
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import forward_ad
from torch.nn import _reduction

from crossent.arrays.targets import TopKTargets
from crossent.errors import DtypeError

FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
# int64 is what the kernels read
SMALL_INTEGERS = frozenset(
    {torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32, torch.uint64}
)
TENSORS = frozenset({torch.Tensor, torch.nn.Parameter})


def reduction_of(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """Return the reduction, also from torch's two deprecated arguments; torch's own error where it is none."""
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    _reduction.get_enum(reduction)
    return reduction


def is_traced() -> bool:
    """Say whether somebody records what is done, so that operators have to do it: compilers, torch.jit, dispatch modes."""
    return bool(
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch._C._len_torch_dispatch_stack() > 0
    )


def is_differentiated(tensor: torch.Tensor | None) -> bool:
    """Say whether a derivative with respect to a tensor is wanted, in either mode."""
    if tensor is None:
        return False
    if torch.compiler.is_compiling():
        return bool(tensor.requires_grad)
    if tensor.requires_grad or torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return True
    return forward_ad._current_level >= 0 and forward_ad.unpack_dual(tensor).tangent is not None


def check_tensors(logits: Any, target: Any) -> None:
    """Raise unless the two are what the extras can be asked of."""
    if not isinstance(logits, torch.Tensor):
        message = f"`input` must be a tensor; got {type(logits).__name__}."
        raise DtypeError(message)
    if not isinstance(target, (torch.Tensor, TopKTargets)):
        message = f"`target` must be a tensor or crossent.TopKTargets; got {type(target).__name__}."
        raise DtypeError(message)


def is_batched(tensor: torch.Tensor | None) -> bool:
    """Say whether a tensor stands for several, as torch.func and is_grads_batched have them."""
    if tensor is None:
        return False
    return bool(is_legacy_batchedtensor(tensor) or torch._C._functorch.is_functorch_wrapped_tensor(tensor))


def is_plain(tensor: torch.Tensor, device_type: str = "cpu") -> bool:
    """Say whether the kernels for a type of device can read a tensor where it lies."""
    # while it compiles, torch has fakes of its own class stand in for tensors, and does not let their bits be asked for
    if torch.compiler.is_compiling():
        return tensor.device.type == device_type and tensor.layout is torch.strided
    return (
        (type(tensor) in TENSORS or is_traced())
        and tensor.device.type == device_type
        and tensor.layout is torch.strided
        and not tensor.is_neg()
        and torch._C._get_tracing_state() is None
    )
