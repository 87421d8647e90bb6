"""Who races on the GPU: each rival's call as its own sources want it, of the version that is named beside it.

What is not installed, or does not run, stays in the result with the first line of its error. The rivals are not in
pyproject.toml, for most of them want CUDA to be installed at all:

    pip install liger-kernel quack-kernels cut-cross-entropy
    FLASH_ATTENTION_FORCE_BUILD=TRUE FLASH_ATTENTION_SKIP_CUDA_BUILD=TRUE pip install --no-deps --no-build-isolation flash-attn
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody who reads this writes it

Answer = TypeVar("Answer")
OURS = "crossent"
# (logits, ids, reduction "mean" or "none") -> loss; (hidden, weight, ids) -> mean loss
Function = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Rival:
    """A name, the distribution whose version is written down, and what imports it and returns its function."""

    name: str
    distribution: str
    load: Callable[[], Function]
    overwrites: bool = False  # the logits: they are set anew before each call, outside the clock


def _ours() -> Function:
    import crossent.torch

    return lambda logits, ids, reduction: crossent.torch.cross_entropy(logits, ids, reduction=reduction)


def _eager() -> Function:
    return lambda logits, ids, reduction: F.cross_entropy(logits, ids, reduction=reduction)


def _compiled() -> Function:
    # a graph for each shape, as who cares for speed has it; the caller resets the compiler between cases
    return torch.compile(_eager(), dynamic=False)


def _liger() -> Function:
    # Read in 0.8.5, transformers/functional.py and ops/cross_entropy.py: arguments as torch's; where the logits require a
    # gradient it is written over them in the forward; a row's loss has the logits' dtype; `.item()` and asserts read back.
    from liger_kernel.transformers.functional import liger_cross_entropy

    return lambda logits, ids, reduction: liger_cross_entropy(logits, ids, reduction=reduction)


def _quack() -> Function:
    # Read in 0.6.5, cross_entropy.py: (rows, classes) of float16, bfloat16 or float32, ids int32 or int64; a row's loss is
    # float32; inplace_backward=False by default; compiled for each number of classes by the CuTe DSL, sm_80 and later.
    from quack.cross_entropy import cross_entropy

    return lambda logits, ids, reduction: cross_entropy(logits, ids, reduction=reduction)


def _flash() -> Function:
    # Read in 2.8.3.post2, ops/triton/cross_entropy.py: returns the rows' losses in float32 and their z losses;
    # inplace_backward=False by default. The package's own CrossEntropyLoss sums and divides, as here. Loaded as a file, for
    # the package itself imports its attention, which has to be compiled.
    package = importlib.util.find_spec("flash_attn")
    if package is None or not package.submodule_search_locations:
        message = "No module named 'flash_attn'"
        raise ModuleNotFoundError(message)
    file = Path(package.submodule_search_locations[0], "ops", "triton", "cross_entropy.py")
    spec = importlib.util.spec_from_file_location("flash_attn_cross_entropy", file)
    assert spec is not None  # a file that ends in .py has one
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def loss(logits: torch.Tensor, ids: torch.Tensor, reduction: str) -> torch.Tensor:
        losses, _ = module.cross_entropy_loss(logits, ids)
        return losses.mean() if reduction == "mean" else losses

    return loss


LOSSES = (
    Rival(OURS, "crossent", _ours),
    Rival("torch eager", "torch", _eager),
    Rival("torch.compile", "torch", _compiled),
    Rival("liger-kernel", "liger-kernel", _liger, overwrites=True),
    Rival("quack", "quack-kernels", _quack),
    Rival("flash-attn", "flash-attn", _flash),
)


def _our_head() -> Function:
    import crossent.torch

    return crossent.torch.linear_cross_entropy


def _eager_head() -> Function:
    return lambda hidden, weight, ids: F.cross_entropy(F.linear(hidden, weight), ids)


def _compiled_head() -> Function:
    return torch.compile(_eager_head(), dynamic=False)


def _chunked_head() -> Function:
    # Read in torch 2.13: with options the rows go in chunks, and the gradients are made in the forward.
    options = torch.nn.LinearCrossEntropyOptions()
    return lambda hidden, weight, ids: F.linear_cross_entropy(hidden, weight, ids, options=options)


def _liger_head() -> Function:
    # Read in 0.8.5, transformers/functional.py and ops/fused_linear_cross_entropy.py: (input, weight, target); gradients are
    # made in the forward where they are required, the weight's summed over chunks in its own dtype unless accum_dtype says more.
    from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

    return liger_fused_linear_cross_entropy


def _liger_wide_head() -> Function:
    function = _liger_head()
    return lambda hidden, weight, ids: function(hidden, weight, ids, accum_dtype=torch.float32)


def _cut_head() -> Function:
    # Read in 25.1.1, linear_cross_entropy.py and cce.py: (e, c, targets); filter_eps="high" by default, which leaves out
    # blocks of entries below eps / 32 of the dtype; float16 or bfloat16 in the backward; `nonzero` reads back.
    from cut_cross_entropy import linear_cross_entropy

    return linear_cross_entropy


def _cut_exact_head() -> Function:
    # Later sources call this preset "cce_exact"; 25.1.1 has it as filter_eps=None.
    function = _cut_head()
    return lambda hidden, weight, ids: function(hidden, weight, ids, filter_eps=None)


def _quack_head() -> Function:
    # Read in 0.6.5, linear_cross_entropy.py: (x, weight, target), chunks of 4096 rows, of which 8 must divide the number; on
    # sm_90 in bfloat16 it takes its fused pipeline by itself.
    from quack.linear_cross_entropy import chunked_linear_cross_entropy

    return chunked_linear_cross_entropy


HEADS = (
    Rival(OURS, "crossent", _our_head),
    Rival("F.linear + F.cross_entropy", "torch", _eager_head),
    Rival("torch.compile", "torch", _compiled_head),
    Rival("F.linear_cross_entropy, chunked", "torch", _chunked_head),
    Rival("liger-kernel", "liger-kernel", _liger_head),
    Rival("liger-kernel, float32 sums", "liger-kernel", _liger_wide_head),
    Rival("cut-cross-entropy", "cut-cross-entropy", _cut_head),
    Rival("cut-cross-entropy, exact", "cut-cross-entropy", _cut_exact_head),
    Rival("quack, chunked", "quack-kernels", _quack_head),
)
EVERYWHERE = (OURS, "torch eager", "F.linear + F.cross_entropy")  # those that a rehearsal without a GPU can run
DISTRIBUTIONS = (*dict.fromkeys(rival.distribution for rival in (*LOSSES, *HEADS)), "triton", "nvidia-cutlass-dsl")


def first_line(error: BaseException) -> str:
    """Return an error's type and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def attempt(call: Callable[[], Answer]) -> tuple[Answer | None, str | None]:
    """Return what a call answers, or why it does not: a rival that is not installed, or breaks, is a result."""
    try:
        return call(), None
    except Exception as error:  # noqa: BLE001  # whatever a rival raises, the race goes on
        return None, first_line(error)
