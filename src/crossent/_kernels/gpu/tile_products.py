"""Products with a matrix some of whose tiles are left out: only the others are read and multiplied.

Each program has a list of the tiles that it multiplies, so that its loop is as plain as that of any product. It owns what it
writes: the same bits from run to run.
"""

from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl

from crossent._kernels.gpu._launch import INTERPRETED, launching
from crossent._kernels.gpu.tile_sums import TILE_CLASSES, TILE_ROWS


@dataclass(frozen=True, slots=True)
class Kept:
    """The tiles to multiply, those of one row tile or class tile after the other, in order."""

    of_rows: torch.Tensor  # (row tiles, class tiles) int64: class tiles, those to multiply first
    row_counts: torch.Tensor  # (row tiles,) int64: how many those are
    of_classes: torch.Tensor  # (class tiles, row tiles) int64
    class_counts: torch.Tensor  # (class tiles,) int64


def kept_of(left_out: torch.Tensor) -> Kept:
    """Return the tiles to multiply, from those to leave out, (row tiles, class tiles) bool."""
    per_class = left_out.t().contiguous()
    orders = (torch.argsort(tiles.byte(), dim=1, stable=True) for tiles in (left_out, per_class))
    counts = ((~tiles).sum(1) for tiles in (left_out, per_class))
    (of_rows, of_classes), (row_counts, class_counts) = orders, counts
    return Kept(of_rows, row_counts, of_classes, class_counts)


def _options(tensor: torch.Tensor) -> dict[str, Any]:
    """Return tiles of features and stages of loads: halves have tensor cores, others have registers to spare for less."""
    half = tensor.dtype.itemsize == 2
    widen = INTERPRETED and half  # the interpreter would multiply the bits of a bfloat16
    return {"FEATURES": 128 if half else 32, "WIDEN": widen, "num_stages": 3 if half else 1}


def times(matrix: torch.Tensor, kept: Kept, right: torch.Tensor, out: torch.Tensor) -> None:
    """Fill `out` (rows, features) with matrix (rows, classes) times right (classes, features)."""
    right = right if right.stride(1) == 1 else right.contiguous()
    (rows, classes), features = matrix.shape, right.shape[1]
    options = _options(matrix)
    grid = (len(kept.row_counts), triton.cdiv(features, options["FEATURES"]))
    with launching(matrix):
        _times[grid](
            matrix,
            kept.of_rows,
            kept.row_counts,
            right,
            out,
            rows,
            classes,
            features,
            matrix.stride(0),
            right.stride(0),
            out.stride(0),
            kept.of_rows.shape[1],
            TILE_ROWS=TILE_ROWS,
            TILE_CLASSES=TILE_CLASSES,
            num_warps=4,
            **options,
        )


@triton.jit
def _times(
    matrix,  # (rows, classes), classes next to each other
    tiles,  # (row tiles, class_tiles) int64
    counts,  # (row tiles,) int64
    right,  # (classes, features) of the matrix's dtype
    out,  # (rows, features)
    rows,
    classes,
    features,
    matrix_stride,
    right_stride,
    out_stride,
    class_tiles,
    TILE_ROWS: tl.constexpr,
    TILE_CLASSES: tl.constexpr,
    FEATURES: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """For each tile reads 64 x 128 of the matrix and 128 x FEATURES of `right`, mostly from L2; writes `out` once."""
    row_tile = tl.program_id(0).to(tl.int64)
    row = row_tile * TILE_ROWS + tl.arange(0, TILE_ROWS)
    feature = tl.program_id(1).to(tl.int64) * FEATURES + tl.arange(0, FEATURES)
    of_rows, of_features = (row < rows)[:, None], (feature < features)[None, :]
    wide: tl.constexpr = tl.float64 if matrix.dtype.element_ty == tl.float64 else tl.float32
    sums = tl.zeros((TILE_ROWS, FEATURES), wide)
    for place in range(tl.load(counts + row_tile)):
        own = tl.load(tiles + row_tile * class_tiles + place) * TILE_CLASSES + tl.arange(0, TILE_CLASSES)
        inside = own < classes
        left = tl.load(matrix + row[:, None] * matrix_stride + own[None, :], mask=of_rows & inside[None, :], other=0.0)
        factor = tl.load(
            right + own[:, None] * right_stride + feature[None, :], mask=inside[:, None] & of_features, other=0.0
        )
        if WIDEN:
            left, factor = left.to(wide), factor.to(wide)
        sums = tl.dot(left, factor, sums, input_precision="ieee", out_dtype=wide)
    tl.store(
        out + row[:, None] * out_stride + feature[None, :], sums.to(out.dtype.element_ty), mask=of_rows & of_features
    )


def add_transposed_times(
    matrix: torch.Tensor,
    kept: Kept,
    right: torch.Tensor,
    first: torch.Tensor,
    others: torch.Tensor,
    *,
    begun: bool,
) -> None:
    """Add matrix^T (classes, rows) times right (rows, features) to sums; two tensors hold those of the first classes and the others.

    The first end with a tile. Unless the sums have `begun`, they hold nothing yet.
    """
    right = right if right.stride(1) == 1 else right.contiguous()
    (rows, classes), features = matrix.shape, right.shape[1]
    options = _options(matrix)
    grid = (len(kept.class_counts), triton.cdiv(features, options["FEATURES"]))
    with launching(matrix):
        _add_transposed_times[grid](
            matrix,
            kept.of_classes,
            kept.class_counts,
            right,
            first,
            others,
            len(first),
            rows,
            classes,
            features,
            matrix.stride(0),
            right.stride(0),
            kept.of_classes.shape[1],
            BEGUN=begun,
            TILE_ROWS=TILE_ROWS,
            TILE_CLASSES=TILE_CLASSES,
            num_warps=8,
            **options,
        )


@triton.jit
def _add_transposed_times(
    matrix,  # (rows, classes), classes next to each other
    tiles,  # (class tiles, row_tiles) int64
    counts,  # (class tiles,) int64
    right,  # (rows, features) of the matrix's dtype
    first,  # (inside, features) float32 or float64
    others,  # (classes - inside, features) of first's dtype
    inside,
    rows,
    classes,
    features,
    matrix_stride,
    right_stride,
    row_tiles,
    BEGUN: tl.constexpr,
    TILE_ROWS: tl.constexpr,
    TILE_CLASSES: tl.constexpr,
    FEATURES: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """For each tile reads 64 x 128 of the matrix and 64 x FEATURES of `right`, mostly from L2; reads and writes the sums once
    where there is a tile.
    """
    class_tile = tl.program_id(0).to(tl.int64)
    own = class_tile * TILE_CLASSES + tl.arange(0, TILE_CLASSES)
    feature = tl.program_id(1).to(tl.int64) * FEATURES + tl.arange(0, FEATURES)
    of_classes, of_features = (own < classes)[None, :], (feature < features)[None, :]
    wide: tl.constexpr = first.dtype.element_ty
    sums = tl.zeros((TILE_CLASSES, FEATURES), wide)
    count = tl.load(counts + class_tile)
    for place in range(count):
        row = tl.load(tiles + class_tile * row_tiles + place) * TILE_ROWS + tl.arange(0, TILE_ROWS)
        there = (row < rows)[:, None]
        left = tl.load(matrix + row[:, None] * matrix_stride + own[None, :], mask=there & of_classes, other=0.0)
        factor = tl.load(right + row[:, None] * right_stride + feature[None, :], mask=there & of_features, other=0.0)
        if WIDEN:
            left, factor = left.to(wide), factor.to(wide)
        sums = tl.dot(tl.trans(left), factor, sums, input_precision="ieee", out_dtype=wide)
    if (count > 0) | (not BEGUN):
        held = first
        if class_tile * TILE_CLASSES >= inside:
            held = others - tl.cast(inside, tl.int64) * features
        at = held + own[:, None] * features + feature[None, :]
        there = (own < classes)[:, None] & of_features
        if BEGUN:
            sums += tl.load(at, mask=there, other=0.0)
        tl.store(at, sums, mask=there)
