"""Write tests/oracle/tables/*.parquet anew: `python -m tests.oracle.make_tables [name ...]`; the same bits each time."""

import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.oracle import families, oracle, targets

TABLES = Path(__file__).parent / "tables"
DTYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float32": np.float32, "float64": np.float64}
LONG_CLASSES = (65, 96, 100, 127, 128, 129, 200, 255, 256, 257, 300, 511, 512, 513, 777, 1000, 1023, 1024, 1025, 1500,
                2047, 2048, 2049, 2500, 3000)  # fmt: skip
VOCABULARIES = (32_000,) * 6 + (128_256,) * 4 + (300_000,) * 2
LISTED_WHOLE = 12  # rows of up to so many classes list their whole gradient, longer ones 8 entries
SPARE = 1e-6  # "rounded once" is half an ulp; this is the room for the pair (high, low) and the division by the ulp
Record = dict[str, Any]


def rounded(row: np.ndarray, dtype: str) -> np.ndarray:
    """Return the row in its dtype; float16 has no room for some, which stop at its largest number."""
    if dtype == "float16":
        row = np.where(np.isfinite(row), np.clip(row, -65504.0, 65504.0), row)
    with np.errstate(over="ignore"):
        return row.astype(DTYPES[dtype])


def bits(array: np.ndarray) -> bytes:
    """Return an array's bytes, little-endian."""
    return np.ascontiguousarray(array).tobytes()


def short_classes(rng: np.random.Generator) -> int:
    """Return 1 to 8 classes mostly, up to 64 often."""
    low, high = [(1, 1), (2, 8), (9, 32), (33, 64)][rng.choice(4, p=[0.02, 0.66, 0.2, 0.12])]
    return int(rng.integers(low, high + 1))


def drawn_rows(rng: np.random.Generator, dtype: str, short: int, long: int, vocabularies: tuple[int, ...]) -> Iterator:
    """Yield family name, logits in their dtype, and target."""
    sizes = [short_classes(rng) for _ in range(short)] + [int(rng.choice(LONG_CLASSES)) for _ in range(long)]
    for classes in [*sizes, *vocabularies]:
        pool = families.SHORT if classes <= 64 else families.LONG
        weights = np.array(list(pool.values()), dtype=float)
        family = list(pool)[rng.choice(len(pool), p=weights / weights.sum())]
        if classes == 1:
            family = families.offset
        row, target = family(rng, classes, dtype)
        yield "one_class" if classes == 1 else family.__name__, rounded(row, dtype), int(target)


def listed(rng: np.random.Generator, logits: np.ndarray, target: int) -> list[int]:
    """Return the places whose gradient is listed: all, or target, maximum, both ends and four more."""
    classes = len(logits)
    if classes <= LISTED_WHOLE:
        return list(range(classes))
    largest = int(np.argmax(np.nan_to_num(logits.astype(np.float64), nan=-np.inf)))
    return sorted({target, largest, 0, classes - 1, *rng.integers(classes, size=4).tolist()})


def gradient_columns(row: oracle.SoftmaxRow, target: dict, places: list[int], *, low: bool, scale: bool) -> Record:
    """Return the listed gradient; its low half only where float64 results are measured, its scale where sums cancel."""
    found = [oracle.softmax_cross_entropy_gradient(row, target, place) for place in places]
    pairs = [oracle.as_pair(gradient) for gradient, _ in found]
    columns = {"grad_index": places, "grad_hi": [pair[0] for pair in pairs]}
    if low:
        columns["grad_lo"] = [pair[1] for pair in pairs]
    if scale:
        columns["grad_scale"] = [float(size) for _, size in found]
    return columns


def loss_columns(loss: oracle.Number, allowed_ulp_loss: float, allowed_ulp_grad: float) -> Record:
    """Return the columns that every table with a loss has."""
    high, low = oracle.as_pair(loss)
    return {"loss_hi": high, "loss_lo": low, "allowed_ulp_loss": allowed_ulp_loss, "allowed_ulp_grad": allowed_ulp_grad}


def hard(rng: np.random.Generator, dtype: str) -> Iterator[Record]:
    """Class ids under softmax."""
    counts = {"float32": (20_000, 420, VOCABULARIES), "float64": (2_200, 80, (32_000, 128_256))}
    allowed = {"float32": (2.0, 3.0), "float64": (4.0, 4.0)}.get(dtype, (0.5 + SPARE, 0.5 + SPARE))
    for family, logits, target in drawn_rows(rng, dtype, *counts.get(dtype, (1_600, 60, (32_000,)))):
        row, exact_target = oracle.SoftmaxRow(logits.tolist()), oracle.hard_target(target)
        yield {
            "family": family, "classes": len(logits), "logits": bits(logits), "target": target,
            **loss_columns(oracle.softmax_cross_entropy(row, exact_target), *allowed),
            **gradient_columns(
                row, exact_target, listed(rng, logits, target), low=dtype == "float64", scale=False
            ),
        }  # fmt: skip


def soft(rng: np.random.Generator, dtype: str) -> Iterator[Record]:
    """Distributions under softmax, some rows with label smoothing or class weights."""
    for logits_family, logits, place in drawn_rows(rng, dtype, 1_600, 40, ()):
        if logits_family == "overflowing":
            continue  # -log p is beyond the dtype, and a fraction of it is not: nobody promises that product
        classes = len(logits)
        family, weights = targets.some_soft_target(rng, logits.astype(np.float64), place)
        weights = weights.astype(DTYPES[dtype])
        smoothing = float(rng.choice([0.0, 0.1, 0.25, 1.0], p=[0.85, 0.07, 0.05, 0.03]))
        class_weight = rng.uniform(0, 3, classes).astype(DTYPES[dtype]) if rng.random() < 0.1 else None
        row, target = oracle.SoftmaxRow(logits.tolist()), oracle.soft_target(weights.tolist())
        if smoothing:
            target = oracle.smoothed(target, smoothing, classes)
        if class_weight is not None:
            target = oracle.weighted(target, class_weight.tolist())
        plain = not smoothing and class_weight is None
        # float64: smoothing and weights round the target itself, twice and once, before anything is summed
        allowed = 4.0 if plain or dtype == "float32" else 6.0
        yield {
            "family": f"{logits_family}/{family}", "classes": classes,
            "logits": bits(logits), "target": bits(weights),
            "label_smoothing": smoothing, "class_weight": None if class_weight is None else bits(class_weight),
            **loss_columns(oracle.softmax_cross_entropy(row, target), allowed, allowed),
            **gradient_columns(row, target, listed(rng, logits, place), low=dtype == "float64", scale=True),
        }  # fmt: skip


def topk(rng: np.random.Generator, dtype: str) -> Iterator[Record]:
    """A teacher's k likeliest classes, the rest of its probability dropped or spread evenly."""
    for family, logits, place in drawn_rows(rng, dtype, 580, 40, ()):
        if family == "overflowing":
            continue  # as in soft
        rest = str(rng.choice(["zero", "uniform"]))
        ids, probs = targets.some_top_k(rng, len(logits), place)
        row = oracle.SoftmaxRow(logits.tolist())
        target = oracle.top_k_target(ids.tolist(), probs.tolist(), len(logits), rest)
        places = sorted({*listed(rng, logits, place), *ids.tolist()})
        yield {
            "family": family, "classes": len(logits), "logits": bits(logits), "rest": rest,
            "top_k_ids": ids.tolist(), "top_k_probs": bits(probs),
            **loss_columns(oracle.softmax_cross_entropy(row, target), 4.0, 4.0),
            **gradient_columns(row, target, places, low=False, scale=True),
        }  # fmt: skip


def binary(rng: np.random.Generator, dtype: str) -> Iterator[Record]:
    """One logit, one target in [0, 1]."""
    for _ in range(1_600):
        family, logit, target = targets.some_binary(rng, dtype)
        loss, gradient, scale = oracle.sigmoid_cross_entropy(float(logit), float(target))
        high, low = oracle.as_pair(gradient)
        allowed = 2.0 if dtype == "float32" else 4.0
        yield {
            "family": family, "logit": float(logit), "target": float(target), **loss_columns(loss, allowed, allowed),
            "grad_hi": high, "grad_lo": low, "grad_scale": float(scale),
        }  # fmt: skip


def probs(rng: np.random.Generator, dtype: str, *, soft_targets: bool) -> Iterator[Record]:
    """Probabilities instead of logits."""
    for _ in range(800):
        family, predicted, place = targets.some_probs(rng, short_classes(rng), DTYPES[dtype])
        columns: Record = {"family": family, "classes": len(predicted), "probs": bits(predicted), "target": place}
        target = oracle.hard_target(place)
        if soft_targets:
            family, weights = targets.some_soft_target(rng, predicted.astype(np.float64), place)
            weights = weights.astype(DTYPES[dtype])
            columns |= {"family": family, "target": bits(weights)}
            target = oracle.soft_target(weights.tolist())
        places = listed(rng, predicted, place)
        gradient = [oracle.cross_entropy_gradient(target, predicted.tolist(), place) for place in places]
        pairs = [oracle.as_pair(entry) for entry in gradient]
        allowed = 4.0 if soft_targets else 2.0
        yield columns | {
            **loss_columns(oracle.cross_entropy(target, predicted.tolist()), allowed, 1.0),
            "grad_index": places, "grad_hi": [pair[0] for pair in pairs], "grad_lo": [pair[1] for pair in pairs],
        }  # fmt: skip


def divergence(rng: np.random.Generator, dtype: str) -> Iterator[Record]:
    """Entropy of p, KL(p, q) and JS(p, q); errors of the divergences count in ulp of their terms' magnitudes."""
    for _ in range(700):
        family, first, second = targets.some_pair(rng, short_classes(rng), DTYPES[dtype])
        record: Record = {"family": family, "classes": len(first), "p": bits(first), "q": bits(second)}
        kl, kl_scale = oracle.kl_divergence(first.tolist(), second.tolist())
        js, js_scale = oracle.js_divergence(first.tolist(), second.tolist())
        for name, value in (("entropy", oracle.entropy(first.tolist())), ("kl", kl), ("js", js)):
            record[f"{name}_hi"], record[f"{name}_lo"] = oracle.as_pair(value)
        yield record | {"kl_scale": float(kl_scale), "js_scale": float(js_scale), "allowed_ulp": 6.0}


MAKERS: dict[str, Any] = {
    **{f"hard_{dtype}": (hard, dtype, {}) for dtype in DTYPES},
    **{f"soft_{dtype}": (soft, dtype, {}) for dtype in ("float32", "float64")},
    "topk_float32": (topk, "float32", {}),
    **{f"binary_{dtype}": (binary, dtype, {}) for dtype in ("float32", "float64")},
    **{f"probs_hard_{dtype}": (probs, dtype, {"soft_targets": False}) for dtype in ("float32", "float64")},
    **{f"probs_soft_{dtype}": (probs, dtype, {"soft_targets": True}) for dtype in ("float32", "float64")},
    **{f"divergence_{dtype}": (divergence, dtype, {}) for dtype in ("float32", "float64")},
}


def write(name: str) -> Path:
    """Make one table from its own seed and write it."""
    maker, dtype, options = MAKERS[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    table = pa.Table.from_pylist(list(maker(rng, dtype, **options)))
    for index, field in enumerate(table.schema):
        if field.name == "grad_index" or field.name == "top_k_ids":
            table = table.set_column(index, field.name, table[field.name].cast(pa.list_(pa.int32())))
    path = TABLES / f"{name}.parquet"
    texts = [column for column in ("family", "rest") if column in table.column_names]
    pq.write_table(table.replace_schema_metadata({"dtype": dtype}), path, compression="zstd", compression_level=19,
                   use_dictionary=[*texts, "allowed_ulp_loss", "allowed_ulp_grad", "classes"])  # fmt: skip
    return path


def main() -> None:
    """Write the named tables, or all."""
    for name in sys.argv[1:] or MAKERS:
        path = write(name)
        sys.stdout.write(f"{name}: {pq.read_metadata(path).num_rows} rows, {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
