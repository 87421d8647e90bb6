"""Whatever the caller has -> a NumPy array and what its numbers are, without copying; or one sentence on what to do."""

import ctypes
import sys
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from crossent.errors import ArrayKindError, DtypeError

FLOATS = "float16, bfloat16, float32 or float64"
# DLPack's numbers for memory that the CPU can read: its own, and pinned host memory of CUDA and ROCm
_CPU_DEVICES = (1, 3, 11)


@dataclass(slots=True)
class Numbers:
    """Floating-point numbers ready for a kernel: halves as their bits, in native byte order, on whole-element strides."""

    array: np.ndarray  # float32, float64, int16 (bits of float16) or uint16 (bits of bfloat16)
    dtype_name: str

    @property
    def tag(self) -> Any:
        """Return the scalar whose type tells a kernel how the numbers are stored."""
        return tag_of(self.array)

    @property
    def result(self) -> np.dtype:
        """Return the dtype of losses: float64 for float64, else float32."""
        return np.dtype(np.float64 if self.dtype_name == "float64" else np.float32)

    def as_doubles(self, part: np.ndarray) -> np.ndarray:
        """Return a part of the array as float64."""
        if self.dtype_name == "float16":
            return part.view(np.float16).astype(np.float64)
        if self.dtype_name == "bfloat16":
            return (part.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
        return part.astype(np.float64)

    @property
    def working(self) -> Any:
        """Return the scalar whose type the rows kernel computes in."""
        return np.float32(0) if self.dtype_name == "float32" else np.float64(0)


_BITS = {"float16": np.int16, "bfloat16": np.uint16}


def as_array(value: Any, name: str) -> np.ndarray:
    """Return `value` as an array on the CPU, without copying where it is one."""
    if type(value) is np.ndarray:
        return value
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _from_torch(value, name, torch)
    if isinstance(value, np.ma.MaskedArray):
        message = f"`{name}` is a masked array, whose mask would be lost: pass {name}.data and where=~{name}.mask."
        raise ArrayKindError(message)
    _check_device(value, name)
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError, BufferError) as error:
        reason = str(error).rstrip(".")
        message = f"`{name}` must be an array or nested lists of equal lengths; got {type(value).__name__}: {reason}."
        raise ArrayKindError(message) from None


def _from_torch(tensor: Any, name: str, torch: Any) -> np.ndarray:
    if tensor.requires_grad:
        message = (
            f"`{name}` is a torch tensor that requires grad, and its gradient would be lost here: "
            f"use crossent.torch, or pass {name}.detach()."
        )
        raise ArrayKindError(message)
    if tensor.device.type != "cpu":
        message = f"`{name}` is on device {tensor.device}: pass {name}.cpu()."
        raise ArrayKindError(message)
    try:
        if tensor.dtype == torch.bfloat16:
            return _Bfloat16Bits(tensor.view(torch.int16).numpy().view(np.uint16))
        array: np.ndarray = tensor.numpy()
    except (TypeError, RuntimeError) as error:  # sparse, conjugated, 8 bits wide
        reason = str(error).rstrip(".")
        message = f"`{name}` is a torch tensor that NumPy cannot read: {reason}."
        raise ArrayKindError(message) from None
    return array


class _Bfloat16Bits(np.ndarray):
    """uint16 numbers that are the bits of bfloat16: what a torch tensor of that dtype is handed on as."""

    def __new__(cls, bits: np.ndarray) -> Self:
        return bits.view(cls)


def _check_device(value: Any, name: str) -> None:
    device = getattr(value, "__dlpack_device__", None)
    if device is None:
        return
    try:
        kind = int(device()[0])
    except (TypeError, ValueError, RuntimeError, BufferError):
        return  # it cannot say; the conversion will
    if kind not in _CPU_DEVICES:
        message = f"`{name}` is a {type(value).__name__} on a GPU: copy it to the CPU first, for example np.asarray({name}.get())."
        raise ArrayKindError(message)


# dtype.name is assembled anew at every use, 2 us; looking a dtype up takes 0.05
_NAMES = {np.dtype(name): name for name in ("float16", "float32", "float64")}
_NAMES |= {dtype.newbyteorder("S"): name for dtype, name in _NAMES.items()}


def float_name(array: np.ndarray) -> str | None:
    """Return the name of a floating-point dtype that the kernels read, or None."""
    name = _NAMES.get(array.dtype)
    if name is not None:
        return name
    if isinstance(array, _Bfloat16Bits) or (array.dtype.kind == "V" and array.dtype.name == "bfloat16"):
        return "bfloat16"
    return None


def as_real(array: np.ndarray) -> np.ndarray:
    """Return bfloat16 from torch as float32, which holds it exactly, and any other array as it is."""
    if isinstance(array, _Bfloat16Bits):
        return np.asarray(array.view(np.ndarray).astype(np.uint32) << 16).view(np.float32)
    return array


def is_floating(array: np.ndarray) -> bool:
    """Say whether the array holds floating-point numbers of a dtype that the kernels read."""
    return float_name(array) is not None


def as_numbers(array: np.ndarray, name: str) -> Numbers:
    """Return the array ready for a kernel; raise DtypeError unless it is floating point."""
    dtype_name = float_name(array)
    if dtype_name is None:
        hint = f" Convert with np.asarray({name}, dtype='float32')." if array.dtype.kind in "biu" else ""
        message = f"`{name}` must be floating point ({FLOATS}); got {array.dtype.name}.{hint}"
        raise DtypeError(message)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    bits = _BITS.get(dtype_name)
    if bits is not None:
        array = array.view(np.ndarray).view(bits)
    if not array.flags.c_contiguous and any(stride % array.itemsize for stride in array.strides):
        array = np.ascontiguousarray(array)  # a field of a packed record: strides in whole elements do not exist
    return Numbers(array, dtype_name)


_TAGS = {np.dtype(kind): kind(0) for kind in (np.float32, np.float64, np.int16, np.uint16)}


def tag_of(array: np.ndarray) -> Any:
    """Return the scalar whose type tells a kernel how the array's numbers are stored; making one takes 0.2 us."""
    return _TAGS[array.dtype]


_address, _first_byte = ctypes.addressof, ctypes.c_char.from_buffer


def address_of(array: np.ndarray) -> int:
    """Return the address of the array's first element."""
    try:
        # 0.3 us; the interface below takes 1, and a small call asks for four addresses
        return _address(_first_byte(array))  # type: ignore[arg-type]  # the stub does not say so, but an array is a buffer
    except (TypeError, ValueError, BufferError):  # read-only, strided or empty
        return array.__array_interface__["data"][0]  # type: ignore[no-any-return]
