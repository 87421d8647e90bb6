"""Where the classes of a row lie in a tensor of logits, so that kernels read it without a copy."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Layout:
    """Row r, class c lies at (r // inner) * outer_stride + (r % inner) * inner_stride + c * class_stride, in elements."""

    rows: int
    classes: int
    inner: int
    outer_stride: int
    inner_stride: int
    class_stride: int


def layout_of(tensor: torch.Tensor, class_axis: int) -> Layout | None:
    """Return a tensor's layout, rows counted in the order of its other axes; None where no two strides say it."""
    sizes = [size for axis, size in enumerate(tensor.shape) if axis != class_axis]
    strides = [stride for axis, stride in enumerate(tensor.stride()) if axis != class_axis]
    joined: list[tuple[int, int]] = []  # (size, stride), outermost first, of axes that cannot be walked as one
    for size, stride in zip(sizes, strides, strict=True):
        if size == 1:
            continue
        if joined and joined[-1][1] == size * stride:
            joined[-1] = joined[-1][0] * size, stride
        else:
            joined.append((size, stride))
    if len(joined) > 2:
        return None
    rows = tensor.numel() // max(1, tensor.shape[class_axis]) if tensor.numel() else 0
    inner, inner_stride = joined.pop() if len(joined) == 2 else (1, 0)
    outer_stride = joined[0][1] if joined else 0
    return Layout(rows, tensor.shape[class_axis], inner, outer_stride, inner_stride, tensor.stride(class_axis))
