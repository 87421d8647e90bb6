"""The class weight of a row: the mean of the class weights under its targets, so that all ones weigh nothing."""

import numpy as np

from crossent._kernels.cpu.targets import CLASS_IDS, DISTRIBUTIONS
from crossent.arrays.targets import TargetRows

# Rows converted to float64 at a time: 8 MB at 1000 classes.
_ROWS_AT_ONCE = 1024


def class_weight_of_rows(class_weight: np.ndarray | None, rows: TargetRows, axis: int) -> np.ndarray | None:
    """Return sum_c w_c y_c / sum_c y_c of each row (w_t of a certain row, 1 where there is no target), or None."""
    if class_weight is None:
        return None
    safe = np.maximum(rows.ids, 0)
    weights: np.ndarray = class_weight[safe]
    if rows.kind == CLASS_IDS or not rows.soft:
        return weights
    uncertain = np.flatnonzero(rows.ids < 0 if rows.counted is None else (rows.ids < 0) & rows.counted)
    for start in range(0, uncertain.size, _ROWS_AT_ONCE):
        some = uncertain[start : start + _ROWS_AT_ONCE]
        weights[some] = _mean_weights(class_weight, rows, axis, some)
    return weights


def _mean_weights(class_weight: np.ndarray, rows: TargetRows, axis: int, some: np.ndarray) -> np.ndarray:
    if rows.kind == DISTRIBUTIONS:
        assert rows.dense is not None  # a distribution has numbers
        moved = np.moveaxis(rows.dense.array, axis, -1)
        picked = moved[np.unravel_index(some, moved.shape[:-1])]
        y = rows.dense.as_doubles(picked)
        # not `@`: a BLAS may sum a row differently in another batch
        above, below = (y * class_weight).sum(axis=-1), y.sum(axis=-1)
    else:
        assert rows.top_ids is not None  # top-k targets have both
        assert rows.shares is not None
        shares, own = rows.shares[some], class_weight[rows.top_ids[some]]
        above, below = (shares * own).sum(axis=-1), shares.sum(axis=-1)
        others = class_weight.size - shares.shape[1]
        if rows.uniform and others:
            missing = np.maximum(1.0 - below, 0.0)
            above = above + missing / others * (class_weight.sum() - own.sum(axis=-1))
            below = below + missing
    with np.errstate(invalid="ignore"):  # 0 / 0 where a row has no target, replaced in the same breath
        return np.where(below == 0.0, 1.0, above / below)
