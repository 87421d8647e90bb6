"""What the softmax kernels of the GPU are asked, what they fill in, and whose gradient they make. All tensors lie on one device.

A row's logits x become z = softcap tanh(x / softcap) / temperature. With lse = log sum_c exp(z_c), effective targets
y_c = w_c ((1 - label_smoothing) t_c + label_smoothing / C) and their sum m,

    loss = sum_c y_c (lse - z_c) + z_loss m lse**2
"""

from dataclasses import dataclass

import torch

# How targets came, as _kernels.cpu.targets has them.
DISTRIBUTIONS, CLASS_IDS, TOP_K = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Problem:
    """Logits, targets and options. Rows are counted in the order of the logits' axes without `class_axis`."""

    logits: torch.Tensor  # float16, bfloat16, float32 or float64, any strides that layout_of knows
    class_axis: int
    kind: int
    ids: torch.Tensor | None = None  # CLASS_IDS (rows,), TOP_K (rows, k): int64, contiguous
    probs: torch.Tensor | None = (
        None  # DISTRIBUTIONS: of the logits' shape, any float dtype; TOP_K (rows, k) contiguous
    )
    uniform_rest: bool = False  # TOP_K: spread what is missing from 1 over the classes that are not named
    class_weight: torch.Tensor | None = None  # (classes,), any float dtype, contiguous
    # Rows that do not take part: class ids equal to it; distributions and top-k targets that are one-hot of it.
    ignore_index: int = -100
    label_smoothing: float = 0.0
    softcap: float | None = None
    temperature: float = 1.0
    z_loss: float = 0.0


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of each row to fill in, (rows,) float64 each, None where not wanted; 0 where a row does not take part."""

    loss: torch.Tensor | None = None
    lse: torch.Tensor | None = None
    entropy: torch.Tensor | None = None  # of softmax(z), in nats
    accuracy: torch.Tensor | None = None  # 1.0 where the first of the likeliest classes is the (first likeliest) target
    target_logit: torch.Tensor | None = None  # sum_c t_c z_c


@dataclass(frozen=True, slots=True)
class Upstream:
    """The upstream gradients of the numbers of each row, (rows,) float64, None for 0."""

    loss: torch.Tensor | None = None
    factor: torch.Tensor | None = (
        None  # () float64: what all rows' `loss` are multiplied by; without `loss`, in its place
    )
    lse: torch.Tensor | None = None
    entropy: torch.Tensor | None = None
    target_logit: torch.Tensor | None = None
