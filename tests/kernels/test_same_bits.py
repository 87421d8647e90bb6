"""The same bits, however rows are ordered, cut, threaded, laid out or written; nothing of the caller's is touched."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import crossent
from crossent.arrays import _gradient
from tests.oracle import families
from tests.oracle.make_tables import rounded

ROWS = 640
# two; across rows; the widest of them; along rows in one block; in several blocks with a ragged end
CLASSES = (2, 7, 256, 257, 2500)
DTYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float32": np.float32, "float64": np.float64}
THREADS = (1, 2, 5)

pytestmark = [
    pytest.mark.filterwarnings("ignore::crossent.errors.ImpossibleEventWarning"),
    pytest.mark.filterwarnings("ignore::crossent.errors.NormalizationWarning"),
]


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Give back the number of threads that a test has set."""
    before = crossent.get_num_threads()
    yield
    crossent.set_num_threads(before)


@cache
def untame(classes: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows of every family of the oracle: confident, huge, masked, impossible, NaN; neighbours of any kind."""
    rng = np.random.default_rng(classes)
    kinds = list(families.SHORT)
    drawn = [kinds[rng.integers(len(kinds))](rng, classes, dtype) for _ in range(ROWS)]
    logits = rounded(np.stack([row for row, _ in drawn]), dtype)
    return logits, np.array([target for _, target in drawn])


@cache
def distributions(classes: int, dtype: str) -> np.ndarray:
    """Targets, some of them one-hot."""
    rng = np.random.default_rng(classes + 1)
    y = rng.dirichlet(np.full(classes, 0.3), ROWS)
    y[::5] = np.eye(classes)[rng.integers(classes, size=len(y[::5]))]
    return y.astype(DTYPES[dtype])


def hard(dtype: str, classes: int) -> tuple[Callable[..., Any], list[np.ndarray]]:
    return crossent.cross_entropy_and_grad, list(untame(classes, dtype))


def soft(dtype: str, classes: int) -> tuple[Callable[..., Any], list[np.ndarray]]:
    return crossent.cross_entropy_and_grad, [untame(classes, dtype)[0], distributions(classes, dtype)]


def top_k(dtype: str, classes: int) -> tuple[Callable[..., Any], list[np.ndarray]]:
    y = distributions(classes, dtype).astype(np.float64)
    ids = np.argsort(y, axis=-1)[:, -3:]

    def call(logits: np.ndarray, ids: np.ndarray, shares: np.ndarray, **options: Any) -> Any:
        return crossent.cross_entropy_and_grad(logits, crossent.TopKTargets(ids, shares, rest="uniform"), **options)

    return call, [untame(classes, dtype)[0], ids, 0.9 * np.take_along_axis(y, ids, axis=-1)]


def probabilities(dtype: str, classes: int) -> tuple[Callable[..., Any], list[np.ndarray]]:
    targets = untame(classes, dtype)[1]
    return crossent.cross_entropy_from_probs_and_grad, [distributions(classes, dtype), targets]


CASES = {case.__name__: case for case in (hard, soft, top_k, probabilities)}
in_every_case = pytest.mark.parametrize(
    ("case", "dtype", "classes"),
    [(name, "float32", classes) for name in CASES for classes in CLASSES]
    + [("hard", dtype, classes) for dtype in ("float16", "bfloat16", "float64") for classes in CLASSES]
    + [("soft", "float64", 7)],
)


def results(function: Callable[..., Any], arrays: list[np.ndarray], **options: Any) -> tuple[np.ndarray, np.ndarray]:
    result = function(*arrays, reduction="none", **options)
    return np.asarray(result.value), np.asarray(result.grad)


def bits(array: np.ndarray) -> np.ndarray:
    """Return the bits as whole numbers, every NaN as one."""
    array = np.ascontiguousarray(array)
    whole = array.view(f"u{array.itemsize}").copy()
    whole[np.isnan(array)] = np.iinfo(whole.dtype).max
    return whole


def assert_same(got: tuple[np.ndarray, ...], expected: tuple[np.ndarray, ...]) -> None:
    for one, other in zip(got, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(bits(one), bits(other))


def on_one_thread(case: str, dtype: str, classes: int) -> tuple[Callable[..., Any], list[np.ndarray], Any]:
    crossent.set_num_threads(1)
    function, arrays = CASES[case](dtype, classes)
    return function, arrays, results(function, arrays)


@in_every_case
def test_over_threads(case: str, dtype: str, classes: int) -> None:
    function, arrays, expected = on_one_thread(case, dtype, classes)
    # 256 KiB is where work is spread: repeat the rows until it is
    times = -(-(2**19) // arrays[0].nbytes)
    many = [np.concatenate([array] * times) for array in arrays]
    for count in THREADS[1:]:
        crossent.set_num_threads(count)
        assert_same(results(function, many), tuple(np.concatenate([part] * times) for part in expected))


@in_every_case
def test_rows_in_any_order(case: str, dtype: str, classes: int) -> None:
    function, arrays, expected = on_one_thread(case, dtype, classes)
    order = np.random.default_rng(7).permutation(ROWS)
    got = results(function, [array[order] for array in arrays])
    assert_same(got, tuple(part[order] for part in expected))


@in_every_case
def test_rows_in_any_chunks(case: str, dtype: str, classes: int) -> None:
    function, arrays, expected = on_one_thread(case, dtype, classes)
    for edges in (range(1, 40), (1, 33, 64, 65, 320, 639)):
        pieces = [np.split(array, list(edges)) for array in arrays]
        got = [results(function, list(parts)) for parts in zip(*pieces, strict=True)]
        assert_same(tuple(np.concatenate(parts) for parts in zip(*got, strict=True)), expected)


@in_every_case
def test_rows_read_only_apart_and_in_other_dimensions(case: str, dtype: str, classes: int) -> None:
    function, arrays, expected = on_one_thread(case, dtype, classes)
    copies = [array.copy() for array in arrays]
    for copy in copies:
        copy.flags.writeable = False
    assert_same(results(function, copies), expected)
    for copy, array in zip(copies, arrays, strict=True):
        assert copy.tobytes() == array.tobytes()
    apart = [np.repeat(array, 2, axis=0)[::2] for array in arrays]
    assert_same(results(function, apart), expected)
    backwards = [array[::-1].copy()[::-1] for array in arrays]
    assert_same(results(function, backwards), expected)
    folded = results(function, [array.reshape(4, ROWS // 4, *array.shape[1:]) for array in arrays])
    assert_same(tuple(part.reshape(whole.shape) for part, whole in zip(folded, expected, strict=True)), expected)


@in_every_case
def test_value_is_the_same_with_and_without_a_gradient(case: str, dtype: str, classes: int) -> None:
    function, arrays, (losses, _) = on_one_thread(case, dtype, classes)
    if case == "top_k":
        alone = crossent.cross_entropy(
            arrays[0], crossent.TopKTargets(arrays[1], arrays[2], rest="uniform"), reduction="none"
        )
    else:
        alone = getattr(crossent, function.__name__.removesuffix("_and_grad"))(*arrays, reduction="none")
    assert_same((alone,), (losses,))


@pytest.mark.parametrize("classes", [7, 64])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_few_classes_in_any_layout(dtype: str, classes: int) -> None:
    """One loop serves every class stride here; above MOST_CLASSES a stride means float64 arithmetic, so other bits."""
    _, (logits, targets), expected = on_one_thread("hard", dtype, classes)
    turned = crossent.cross_entropy_and_grad(np.asfortranarray(logits), targets, reduction="none")
    assert_same((turned.value, turned.grad), expected)
    moved = crossent.cross_entropy_and_grad(np.ascontiguousarray(logits.T), targets, axis=0, reduction="none")
    assert_same((moved.value, moved.grad.T), expected)


@pytest.mark.parametrize("classes", [65, 1024, 2500])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0, 1, 3, 17, 32])
def test_streamed_gradients(monkeypatch: pytest.MonkeyPatch, dtype: str, classes: int, offset: int) -> None:
    """Gradients past the caches have the bits of those through them, wherever they begin, and end where they end."""
    logits, targets = untame(classes, dtype)
    for out_dtype in {DTYPES[dtype], np.float64 if dtype == "float64" else np.float32}:
        expected = np.empty(logits.shape, out_dtype)
        crossent.cross_entropy_and_grad(logits, targets, reduction="none", out=expected)
        room = np.full(logits.size + 64, 7, out_dtype)
        out = room[offset : offset + logits.size].reshape(logits.shape)
        with monkeypatch.context() as patch:
            patch.setattr(_gradient, "_STREAM_BYTES", 0)
            assert _gradient.streams(out, out)
            crossent.cross_entropy_and_grad(logits, targets, reduction="none", out=out)
        assert_same((out,), (expected,))
        outside = np.concatenate([room[:offset], room[offset + logits.size :]])
        assert (outside == 7).all()


@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_in_the_place_of_the_logits(dtype: str, classes: int) -> None:
    logits, targets = untame(classes, dtype)
    expected = np.empty_like(logits)
    value = crossent.cross_entropy_and_grad(logits, targets, reduction="none", out=expected).value
    own = logits.copy()
    result = crossent.cross_entropy_and_grad(own, targets, reduction="none", out=own)
    assert result.grad is own
    assert_same((result.value, own), (value, expected))


@pytest.mark.parametrize("classes", [7, 2500])
def test_means_over_any_order_chunks_and_threads(classes: int) -> None:
    logits, targets = untame(classes, "float32")
    kept = np.isfinite(crossent.cross_entropy(logits, targets, reduction="none"))
    logits, targets = logits[kept], targets[kept]
    weights = np.random.default_rng(8).uniform(0, 3, len(targets))
    expected = crossent.cross_entropy(logits, targets, sample_weight=weights)
    order = np.random.default_rng(9).permutation(len(targets))
    for count in THREADS:
        crossent.set_num_threads(count)
        got = crossent.cross_entropy(logits[order], targets[order], sample_weight=weights[order])
        assert np.float64(got).tobytes() == np.float64(expected).tobytes()
    above, below = crossent.ExactSum(), crossent.ExactSum()
    for start in range(0, len(targets), 97):
        part = slice(start, start + 97)
        above.add_products(weights[part], crossent.cross_entropy(logits[part], targets[part], reduction="none"))
        below.add(weights[part])
    assert above.divided_by(below) == expected


def test_trees_of_exact_sums() -> None:
    rng = np.random.default_rng(10)
    numbers = rng.choice([-1.0, 1.0], 4096) * 2.0 ** rng.uniform(-1074, 1000, 4096)
    expected = crossent.ExactSum().add(numbers)
    for fan in (2, 3, 64):
        level = [crossent.ExactSum().add(part) for part in np.array_split(rng.permutation(numbers), 100)]
        while len(level) > 1:
            groups = [level[start : start + fan] for start in range(0, len(level), fan)]
            for first, *others in groups:
                for other in others:
                    first.merge(other)
            level = [group[0] for group in groups]
        assert level[0].to_bytes() == expected.to_bytes()
        assert np.float64(level[0].value()).tobytes() == np.float64(expected.value()).tobytes()


def test_the_check_can_fail() -> None:
    """Rows like these differ in their bits when they are added up naively in another order."""
    rows = np.random.default_rng(11).standard_normal((100, 2500)).astype(np.float32)
    forth, back = (np.cumsum(part, axis=-1)[:, -1] for part in (rows, rows[:, ::-1]))
    with pytest.raises(AssertionError):
        assert_same((forth,), (back,))
    with pytest.raises(AssertionError):
        assert_same((np.array([0.0]),), (np.array([-0.0]),))
