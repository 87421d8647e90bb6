"""Whatever holds numbers on the CPU is read; what would lose something is refused, with what to do."""

from typing import Any

import ml_dtypes
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import crossent
from crossent.errors import ArrayKindError
from tests.arrays.numbers import assert_same_bits, distributions, labels, normal

LOGITS, IDS = normal((4, 3)), labels((4,), 3)
WANTED = crossent.cross_entropy_and_grad(LOGITS, IDS)
WEIGHTS = np.array([1.0, 0.5, 2.0, 0.25])
NOT_IN_THE_EXTRA = "not in the test extra (2026-11-22): it is large, and the door never imports it"


def assert_the_answer(logits: Any, ids: Any) -> None:
    got = crossent.cross_entropy_and_grad(logits, ids)
    assert got.value == pytest.approx(WANTED.value, rel=8 * 2.0**-52)  # columns may be stored along: another kernel
    np.testing.assert_allclose(got.grad, WANTED.grad, rtol=8 * 2.0**-52)


def test_nested_lists_and_tuples() -> None:
    assert_the_answer(LOGITS.tolist(), IDS.tolist())
    assert_the_answer(tuple(map(tuple, LOGITS.tolist())), tuple(IDS.tolist()))


def test_pandas() -> None:
    frame, series = pd.DataFrame(LOGITS, columns=list("abc")), pd.Series(IDS)
    assert_the_answer(frame, series)
    assert_the_answer(frame, series.astype("Int64").astype("int32"))
    weighted = crossent.cross_entropy(frame, series, sample_weight=pd.Series(WEIGHTS), where=pd.Series([True] * 4))
    assert weighted == pytest.approx(crossent.cross_entropy(LOGITS, IDS, sample_weight=WEIGHTS), rel=8 * 2.0**-52)


def test_polars() -> None:
    assert_the_answer(pl.DataFrame(LOGITS, schema=["a", "b", "c"]), pl.Series(IDS))
    assert crossent.entropy(pl.Series([0.5, 0.5]), base=2) == 1.0


def test_pyarrow() -> None:
    array = pa.array(IDS)
    assert_the_answer(LOGITS, array)
    assert_the_answer(LOGITS, pa.chunked_array([array[:1], array[1:]]))
    assert crossent.entropy(pa.array([0.5, 0.5]), base=2) == 1.0
    assert crossent.ExactSum().add(pa.chunked_array([[0.1] * 3, [0.1] * 7])).value() == 1.0


def test_jax() -> None:
    jnp = pytest.importorskip("jax.numpy", reason=NOT_IN_THE_EXTRA)
    logits, ids = jnp.asarray(LOGITS, dtype=jnp.float32), jnp.asarray(IDS)
    got = crossent.cross_entropy_and_grad(logits, ids)
    wanted = crossent.cross_entropy_and_grad(LOGITS.astype(np.float32), IDS)
    assert got.value == wanted.value
    assert_same_bits(got.grad, wanted.grad)
    half = jnp.asarray(LOGITS, dtype=jnp.bfloat16)
    assert crossent.cross_entropy(half, ids) == crossent.cross_entropy(LOGITS.astype(ml_dtypes.bfloat16), IDS)


def test_torch() -> None:
    torch = pytest.importorskip("torch", reason=NOT_IN_THE_EXTRA)
    logits, ids = torch.from_numpy(LOGITS.copy()), torch.from_numpy(IDS.copy())
    assert_the_answer(logits, ids)
    assert_the_answer(logits.clone().requires_grad_().detach(), ids)
    for half, dtype in ((torch.bfloat16, ml_dtypes.bfloat16), (torch.float16, np.float16)):
        got = crossent.cross_entropy_and_grad(logits.to(half), ids)
        wanted = crossent.cross_entropy_and_grad(LOGITS.astype(dtype), IDS)
        assert got.value == wanted.value
        assert_same_bits(got.grad, wanted.grad)
        turned = crossent.cross_entropy_and_grad(logits.to(half).T, ids, axis=0)
        np.testing.assert_array_equal(turned.grad.T, wanted.grad)
        out = torch.empty(4, 3, dtype=half)
        assert crossent.cross_entropy_and_grad(logits.to(half), ids, out=out).grad is out
        np.testing.assert_allclose(out.float().numpy(), wanted.grad, rtol=2.0**-8)


def test_bfloat16_of_torch_is_numbers_and_not_their_bits_wherever_it_may_stand() -> None:
    torch = pytest.importorskip("torch", reason=NOT_IN_THE_EXTRA)

    def half(numbers: Any) -> Any:
        return torch.tensor(numbers, dtype=torch.bfloat16)

    weights = half(WEIGHTS.tolist())
    wanted = crossent.cross_entropy(LOGITS, IDS, sample_weight=WEIGHTS, class_weight=[0.5, 1.0, 2.0])
    assert crossent.cross_entropy(LOGITS, IDS, sample_weight=weights, class_weight=half([0.5, 1.0, 2.0])) == wanted
    assert crossent.cross_entropy([[0.0, 0.0]], half([[0.5, 0.5]]), base=2) == 1.0
    assert crossent.cross_entropy_from_probs(half([[0.5, 0.5]]), [0], base=2) == 1.0
    assert crossent.binary_cross_entropy(half([0.0]), half([0.5]), base=2) == 1.0
    assert crossent.entropy(half([0.5, 0.5]), base=2) == 1.0
    assert crossent.kl_divergence(half([1.0, 0.0]), half([0.5, 0.5]), base=2) == 1.0
    assert crossent.perplexity(half([3.0]), base=2).tolist() == [8.0]
    assert crossent.ExactSum().add(half([1.5, 2.0])).add_products(half([2.0]), half([0.25])).value() == 4.0
    assert crossent.TopKTargets([[0, 1]], half([[0.5, 0.25]])).probs.tolist() == [[0.5, 0.25]]


def test_torch_tensors_that_cannot_be_read() -> None:
    torch = pytest.importorskip("torch", reason=NOT_IN_THE_EXTRA)
    logits = torch.zeros(2, 2)
    cases = [
        (
            logits.clone().requires_grad_(),
            (
                "`logits` is a torch tensor that requires grad, and its gradient would be lost here: "
                "use crossent.torch, or pass logits.detach()."
            ),
        ),
        (torch.zeros(2, 2, device="meta"), "`logits` is on device meta: pass logits.cpu()."),
        (
            logits.to_sparse(),
            (
                "`logits` is a torch tensor that NumPy cannot read: can't convert Sparse layout tensor to numpy. "
                "Use Tensor.to_dense() first."
            ),
        ),
        (
            logits.to(torch.float8_e4m3fn),
            "`logits` is a torch tensor that NumPy cannot read: Got unsupported ScalarType Float8_e4m3fn.",
        ),
    ]
    for tensor, text in cases:
        with pytest.raises(ArrayKindError) as caught:
            crossent.cross_entropy(tensor, [0, 1])
        assert str(caught.value) == text
        assert isinstance(caught.value, TypeError)


class OnlyDLPack:
    """An array of a library that NumPy knows nothing of."""

    def __init__(self, array: np.ndarray, device: tuple[int, int] = (1, 0)) -> None:
        self._array, self._device = array, device

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)


def test_dlpack_without_array() -> None:
    assert_the_answer(OnlyDLPack(LOGITS), OnlyDLPack(IDS))


@pytest.mark.parametrize("device", [(2, 0), (10, 0), (8, 1)])
def test_memory_of_a_gpu_says_what_to_do(device: tuple[int, int]) -> None:
    with pytest.raises(ArrayKindError) as caught:
        crossent.cross_entropy(OnlyDLPack(LOGITS, device), IDS)
    assert str(caught.value) == (
        "`logits` is a OnlyDLPack on a GPU: copy it to the CPU first, for example np.asarray(logits.get())."
    )
    assert isinstance(caught.value, TypeError)


def test_masked_arrays_are_refused_as_their_mask_would_be_lost() -> None:
    for name, arguments, options in (
        ("logits", (np.ma.masked_array(LOGITS), IDS), {}),
        ("targets", (LOGITS, np.ma.masked_array(IDS)), {}),
        ("sample_weight", (LOGITS, IDS), {"sample_weight": np.ma.masked_array(WEIGHTS)}),
    ):
        with pytest.raises(ArrayKindError) as caught:
            crossent.cross_entropy(*arguments, **options)
        assert str(caught.value) == (
            f"`{name}` is a masked array, whose mask would be lost: pass {name}.data and where=~{name}.mask."
        )


def test_subclasses_of_arrays_are_read_as_arrays() -> None:
    class Own(np.ndarray):
        pass

    got = crossent.cross_entropy_and_grad(LOGITS.view(Own), IDS.view(Own))
    assert type(got.grad) is np.ndarray
    assert_same_bits(got.grad, WANTED.grad)
    soft = distributions((4, 3))
    assert crossent.cross_entropy(LOGITS, soft.view(Own)) == crossent.cross_entropy(LOGITS, soft)
