"""Which tiles of the logits' gradient hold nothing large, and what each row and class has in them."""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from crossent._kernels.gpu._launch import launching

# A tile is what a product of matrices takes at a time: smaller ones could be left out more often, and multiply slower.
TILE_ROWS, TILE_CLASSES = 64, 128


@dataclass(frozen=True, slots=True)
class TileSums:
    """Of each tile (r, c): whether it is light, and the sums of what it holds above 0 and below, 0 where it is not light."""

    light: torch.Tensor  # (row tiles, class tiles) bool
    of_rows: torch.Tensor  # (2, class tiles, rows) float32, or float64 of a float64 gradient
    of_classes: torch.Tensor  # (2, row tiles, classes)


def tile_sums(gradient: torch.Tensor, thresholds: torch.Tensor) -> TileSums:
    """Measure a gradient (rows, classes); a tile is light where every entry of row r lies below thresholds[r]."""
    rows, classes = gradient.shape
    tiles = triton.cdiv(rows, TILE_ROWS), triton.cdiv(classes, TILE_CLASSES)
    device, wide = gradient.device, torch.float64 if gradient.dtype == torch.float64 else torch.float32
    light = torch.empty(tiles, dtype=torch.bool, device=device)
    of_rows = torch.empty(2, tiles[1], rows, dtype=wide, device=device)
    of_classes = torch.empty(2, tiles[0], classes, dtype=wide, device=device)
    with launching(gradient):
        _tile_sums[tiles](
            gradient,
            thresholds.to(wide),
            light,
            of_rows,
            of_classes,
            rows,
            classes,
            gradient.stride(0),
            tiles[0],
            tiles[1],
            TILE_ROWS=TILE_ROWS,
            TILE_CLASSES=TILE_CLASSES,
            num_warps=4 if wide == torch.float32 else 16,  # or entries leave the registers
        )
    return TileSums(light, of_rows, of_classes)


@triton.jit
def _tile_sums(
    gradient,  # (rows, classes) float16, bfloat16, float32 or float64, classes next to each other
    thresholds,  # (rows,) float32 or float64
    light,  # (row_tiles, class_tiles) bool
    of_rows,  # (2, class_tiles, rows) of thresholds' dtype
    of_classes,  # (2, row_tiles, classes) of thresholds' dtype
    rows,
    classes,
    row_stride,
    row_tiles,
    class_tiles,
    TILE_ROWS: tl.constexpr,
    TILE_CLASSES: tl.constexpr,
):
    """Reads each entry once; writes 8 bytes for 128 of a row and 8 for 64 of a class, twice that of float64."""
    row_tile, class_tile = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    row = row_tile * TILE_ROWS + tl.arange(0, TILE_ROWS)
    own = class_tile * TILE_CLASSES + tl.arange(0, TILE_CLASSES)
    there = (row < rows)[:, None] & (own < classes)[None, :]
    entries = tl.load(gradient + row[:, None] * row_stride + own[None, :], mask=there, other=0.0)
    entries = entries.to(thresholds.dtype.element_ty)
    threshold = tl.load(thresholds + row, mask=row < rows, other=0.0)
    # NaN does not lie below anything, and is never left out
    large = there & ~(tl.abs(entries) < threshold[:, None])
    is_light = tl.max(tl.max(large.to(tl.int32), 1), 0) == 0
    tl.store(light + row_tile * class_tiles + class_tile, is_light)
    above = tl.where(is_light & (entries > 0.0), entries, 0.0)
    below = tl.where(is_light & (entries < 0.0), entries, 0.0)
    of_row, of_class = class_tile * rows + row, row_tile * classes + own
    tl.store(of_rows + of_row, tl.sum(above, 1), mask=row < rows)
    tl.store(of_rows + tl.cast(class_tiles, tl.int64) * rows + of_row, tl.sum(below, 1), mask=row < rows)
    tl.store(of_classes + of_class, tl.sum(above, 0), mask=own < classes)
    tl.store(of_classes + tl.cast(row_tiles, tl.int64) * classes + of_class, tl.sum(below, 0), mask=own < classes)
