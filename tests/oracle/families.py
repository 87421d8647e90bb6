"""Families of untame logits: each function returns one row and a target, as float64 still to be rounded to a dtype."""

from collections.abc import Callable

import numpy as np

Row = tuple[np.ndarray, int]
BLOCK_EDGES = (63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025, 2047, 2048, 2049)
LIMITS = {  # largest offset | sizes of "huge" | smallest margin, all as powers of ten | margin where the gradient fades
    "float16": (3e4, (2.0, 4.5), -7.0, (88.0, 104.0)),
    "bfloat16": (3e4, (5.0, 30.0), -37.0, (88.0, 104.0)),
    "float32": (5e4, (5.0, 30.0), -37.0, (88.0, 104.0)),
    "float64": (5e4, (5.0, 300.0), -300.0, (708.0, 746.0)),
}
LARGEST_MARGIN_NATS = 1e4


def some_target(rng: np.random.Generator, classes: int) -> int:
    """Return the first, the last, the middle or any class, and in long rows often one beside a block's edge."""
    places = [0, classes - 1, classes // 2, int(rng.integers(classes))]
    places += [edge for edge in BLOCK_EDGES if edge < classes][-6:]
    return int(rng.choice(places))


def spread(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """Normal logits of scale 0.1 to 60."""
    scale = 10 ** rng.uniform(-1, np.log10(60))
    return scale * rng.standard_normal(classes), some_target(rng, classes)


def offset(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """The same around a common offset, where x - max is exact but log-sum-exp is not invariant."""
    row, target = spread(rng, classes, dtype)
    return row + rng.uniform(-1, 1) * LIMITS[dtype][0], target


def ahead(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """The target ahead of the best of the others, which is 0, by a margin from the least to 10 000 nats."""
    row = -np.abs(rng.standard_normal(classes)) * 10 ** rng.uniform(-2, 2)
    target = some_target(rng, classes)
    if rng.random() < 0.5:
        margin = 10 ** rng.uniform(LIMITS[dtype][2], np.log10(LARGEST_MARGIN_NATS))
    else:  # a float32 loss fades to nothing between 87 and 104 nats, a float64 loss between 708 and 746
        margin = rng.uniform(0, 1.05 * LIMITS[dtype][3][1])
    row[rng.integers(classes)] = 0.0
    row[target] = margin
    return row, target


def behind(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """The target behind by such a margin."""
    row, target = ahead(rng, classes, dtype)
    row[target] = -row[target]
    return row, target


def huge(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """Logits of 1e5 and far beyond, of both signs, some of them neighbours in their dtype."""
    size = 10 ** rng.uniform(*LIMITS[dtype][1])
    row = size * rng.choice([-1.0, 1.0, rng.uniform(0, 1)], classes)
    if rng.random() < 0.5:
        row = np.full(classes, size) * (1 + rng.integers(-3, 4, classes) * 2.0**-23)
    return row, some_target(rng, classes)


def subnormal(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """Subnormal logits, zeros of both signs, and sometimes an ordinary one."""
    unit = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149, "float64": 2.0**-1074}[dtype]
    row = rng.choice([-0.0, 0.0, 1.0, -1.0], classes) * unit * rng.integers(1, 1000, classes)
    row[rng.integers(classes)] = rng.choice([0.0, 1.0, -2.5])
    return row, some_target(rng, classes)


def ties(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """Two or three distinct values."""
    values = rng.standard_normal(rng.integers(2, 4)) * 10 ** rng.uniform(-1, 2)
    return rng.choice(values, classes), some_target(rng, classes)


def all_equal(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """One value everywhere: the loss is log C."""
    return np.full(classes, rng.uniform(-1, 1) * 10 ** rng.uniform(-3, 4)), some_target(rng, classes)


def mask_value(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """Classes ruled out with -1e30 instead of -inf (-60 000 in float16)."""
    row, target = spread(rng, classes, dtype)
    masked = rng.random(classes) < 0.5
    masked[target] = rng.random() < 0.05
    row[masked] = -6e4 if dtype == "float16" else -1e30
    return row, target


def masked(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """Classes ruled out with -inf, the target not among them."""
    row, target = spread(rng, classes, dtype)
    row[rng.random(classes) < 0.5] = -np.inf
    row[target] = rng.standard_normal()
    return row, target


def impossible(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """The target is ruled out: the loss is +inf, the gradient finite."""
    row, target = spread(rng, classes, dtype)
    row[(target + 1) % classes] = 0.0
    row[target] = -np.inf
    return row, target


def faint(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """Gradients that are subnormal, or round to 0, in the dtype of the result."""
    low, high = LIMITS[dtype][3]
    row = -rng.uniform(low, high, classes)
    target = some_target(rng, classes)
    row[target if rng.random() < 0.6 else rng.integers(classes)] = 0.0
    return row, target


def staircase(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """Steps up or down along the row, so that a running maximum is overtaken again and again."""
    width, height = int(rng.choice([1, 7, 64, 256, 1000])), 10 ** rng.uniform(-1, 2.3)
    row = (np.arange(classes) // width) * height * rng.choice([-1.0, 1.0])
    if classes <= 64:
        row = row + rng.standard_normal(classes)
    return row, some_target(rng, classes)


def repeated(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """A long row that repeats a short one, with a few spikes and dips: varied, and small once compressed."""
    period = spread(rng, int(rng.choice([31, 97, 257])), dtype)[0]
    row = np.resize(period, classes)
    spikes = rng.integers(classes, size=3)
    row[spikes] = row.max() + rng.uniform(-20, 20, 3)
    target = some_target(rng, classes)
    if rng.random() < 0.6:
        row[target] = row.max() + 10 ** rng.uniform(-3, 1.9)
    return row, target


def masked_front(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """All of the first block, of 64 to 2048 classes, ruled out."""
    row, _ = repeated(rng, classes, dtype)
    front = max(size for size in (1, 64, 256, 1024, 2048) if size < classes)
    row[:front] = -np.inf
    return row, int(rng.integers(front, classes))


def masked_back(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """All but the first few classes ruled out."""
    row, _ = repeated(rng, classes, dtype)
    front = int(rng.integers(1, min(classes, 70) + 1))
    row[front:] = -np.inf
    return row, int(rng.integers(front))


def overflowing(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """The largest numbers of the dtype, of both signs: the exact loss can be beyond it."""
    largest = {"float16": 65504.0, "bfloat16": 3.3895e38, "float32": 3.4028234e38, "float64": 1.7976931348623157e308}
    return largest[dtype] * rng.choice([-1.0, 1.0], classes), some_target(rng, classes)


def undefined(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """A NaN, two +inf, or nothing but -inf: the answer is NaN."""
    row, target = spread(rng, classes, dtype)
    kind = rng.integers(3)
    if kind == 0:
        row[rng.integers(classes)] = np.nan
    elif kind == 1 and classes > 1:
        row[rng.choice(classes, 2, replace=False)] = np.inf
    else:
        row[:] = -np.inf
    return row, target


def certain(rng: np.random.Generator, classes: int, dtype: str) -> Row:
    """One +inf logit: its probability is 1."""
    row, target = spread(rng, classes, dtype)
    place = int(rng.integers(classes))
    row[place] = np.inf
    return row, target if rng.random() < 0.5 else place


Family = Callable[[np.random.Generator, int, str], Row]
SHORT: dict[Family, int] = {  # how often each is drawn, relative to the others, in rows of 1 to 64 classes
    spread: 20, offset: 10, ahead: 22, behind: 10, huge: 6, subnormal: 3, ties: 4, all_equal: 2, mask_value: 3,
    masked: 3, impossible: 1, faint: 6, staircase: 3, masked_front: 2, masked_back: 1, overflowing: 1, undefined: 1,
    certain: 1,
}  # fmt: skip
LONG: dict[Family, int] = {repeated: 6, ties: 1, masked_front: 3, masked_back: 1, staircase: 3, all_equal: 1}
