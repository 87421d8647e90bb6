"""Rows of one certain class with a penalty on lse: the plain kernels' own, scaled by row, with the target's entry made apart.

With L = -log p_t the loss, lse = z_t + L, and the gradient of u (m L + z_loss m lse**2) + v lse + s z_t is k (p - onehot_t)
with k = u m (1 + 2 z_loss lse) + v, and at t it is k (p_t - 1) + (k - u m) + s, where p_t - 1 = expm1(-L).

Traffic in bytes: as the kernels' (4096 x 32000 with z_loss 2.0 s through _tiles.py, forward and backward, 0.11 s here).
"""

import math

import numpy as np
import torch

from crossent._kernels.cpu.targets import CLASS_IDS
from crossent.arrays.targets import TargetRows
from crossent.torch import _rows
from crossent.torch._extras import Extras
from crossent.torch._rows import Settings
from crossent.torch._tiles import Upstream


def serves(rows: TargetRows, settings: Settings, extras: Extras, upstream: Upstream | None) -> bool:
    """Say whether rows are of this kind."""
    plain = rows.kind == CLASS_IDS and settings.label_smoothing == 0.0 and not extras.bends
    return plain and "entropy" not in extras.returns and (upstream is None or upstream.entropy is None)


def solve(
    logits: torch.Tensor,
    rows: TargetRows,
    weight: torch.Tensor | None,
    settings: Settings,
    extras: Extras,
    upstream: Upstream | None,
    out: torch.Tensor | None,
) -> dict[str, torch.Tensor] | None:
    """Do what `_tiles.solve` does; return None where a row's lse is not its loss and a finite logit."""
    axis = settings.class_axis
    moved = logits.detach().movedim(axis, -1)
    counted = None if rows.counted is None else torch.from_numpy(rows.counted)
    ids = torch.from_numpy(np.maximum(rows.ids, 0))
    own = moved.gather(-1, ids.view(*moved.shape[:-1], 1)).reshape(-1).double()
    mass = torch.ones_like(own) if weight is None else weight.detach().double()[ids]
    surprise = torch.from_numpy(_rows.solve(logits, rows, None, settings, loss_dtype=np.float64).losses).reshape(-1)
    lse = own + surprise
    taking_part = lse if counted is None else lse[counted]
    if not bool(taking_part.isfinite().all()):
        return None
    numbers = {"loss": mass * surprise + extras.z_loss * mass * lse * lse, "lse": lse, "target_logit": own}
    if "accuracy" in extras.returns:
        numbers["accuracy"] = (moved.argmax(-1).reshape(-1) == ids).double()
    if upstream is not None and out is not None:
        zero = torch.zeros_like(lse)
        u = zero if upstream.loss is None else upstream.loss
        penalty = torch.where(u * mass == 0.0, 0.0, 2.0 * extras.z_loss * u * mass * lse)
        beside = penalty + (zero if upstream.lse is None else upstream.lse)
        factor = u * mass + beside
        _rows.solve(logits, rows, None, settings, scales=factor.numpy(), out=out)
        # p_t - 1 where it cancels, else p_t: a penalty may outweigh u m by more than float64 holds
        undecided = surprise > math.log(2.0)
        at_target = torch.where(
            undecided, factor * torch.exp(-surprise) - u * mass, factor * torch.expm1(-surprise) + beside
        )
        if upstream.target_logit is not None:
            at_target = at_target + upstream.target_logit
        if counted is not None:
            at_target = torch.where(counted, at_target, 0.0)
        place = ids.view(*moved.shape[:-1], 1)
        out.movedim(axis, -1).scatter_(-1, place, at_target.to(out.dtype).view(place.shape))
        numbers["scale"] = factor.abs() + (zero if upstream.target_logit is None else upstream.target_logit.abs())
    wanted = ("loss", *(name for name in extras.returns if name != "dropped_mass"))
    if "scale" in numbers:
        wanted = (*wanted, "scale")
    if counted is None:
        return {name: numbers[name] for name in wanted}
    return {name: torch.where(counted, numbers[name], 0.0) for name in wanted}
