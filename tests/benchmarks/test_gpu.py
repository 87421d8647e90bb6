"""The race on the GPU without a GPU: its cases, floors, errors, results and tables are what they say."""

import json
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import mpmath
import numpy as np
import pytest
import torch

pytest.importorskip("triton")
from benchmarks.gpu_cases import BOTH, FORWARD, HEAD_SHAPES, LOSS_CASES, SHAPES, HeadCase, LossCase, loss_data
from benchmarks.gpu_rivals import OURS, Rival
from benchmarks.progress import Progress

from benchmarks import gpu, gpu_floors, gpu_measure, gpu_proof, gpu_races, gpu_rivals, gpu_truth
from crossent.torch import _gpu

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SMALL = LossCase(6, 10, "float32")
Losses = Callable[[torch.Tensor, torch.Tensor, str], torch.Tensor]


def settings() -> gpu_races.Settings:
    return gpu_races.Settings(DEVICE, gpu_measure.clock_of(DEVICE), runs=1)


def raises() -> Losses:
    message = "no such kernel\nand a second line"
    raise ImportError(message)


def torch_loss() -> Losses:
    return lambda logits, ids, reduction: torch.nn.functional.cross_entropy(logits, ids, reduction=reduction)


class Overwriting(torch.autograd.Function):
    """A loss as Liger's: its gradient is written over the logits in the forward."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        losses, gradient = gpu_truth.exact_rows(logits, ids)
        logits.detach().copy_(gradient)
        ctx.save_for_backward(logits.detach())
        return losses.to(logits.dtype)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient.mul_(upstream[:, None]), None


def overwriting_loss() -> Losses:
    def loss(logits: torch.Tensor, ids: torch.Tensor, reduction: str) -> torch.Tensor:
        if not logits.requires_grad:
            return torch_loss()(logits, ids, reduction)
        losses = Overwriting.apply(logits, ids)
        return losses.mean() if reduction == "mean" else losses

    return loss


def test_the_twelve_shapes_go_from_few_classes_to_huge_vocabularies() -> None:
    assert len(set(SHAPES)) == 12
    assert (SHAPES[0], SHAPES[-1]) == ((65536, 10), (1024, 262144))
    classes = [c for _, c in SHAPES]
    assert classes == sorted(classes)
    assert len([c for c in classes if 4096 <= c <= 2**18]) == 9
    assert any(rows * c > 2**31 for rows, c in SHAPES)
    assert {case.dtype for case in LOSS_CASES} == {"bfloat16", "float32"}
    assert HEAD_SHAPES[0] == (8192, 2304, 256000)


def test_the_floors_are_one_read_and_one_read_with_one_write() -> None:
    assert (LossCase(8, 10, "bfloat16").read_bytes, LossCase(8, 10, "bfloat16").copy_bytes) == (160, 320)
    assert LossCase(8, 10, "float32").read_bytes == 320


@pytest.mark.parametrize("words", [1, 4096, 10_000])
def test_the_reading_kernel_reads_every_word(words: int) -> None:
    data = torch.arange(words, dtype=torch.int32, device=DEVICE) * 2654435 % 1000003
    kept = torch.full((1,), -1, dtype=torch.int32, device=DEVICE)
    gpu_floors._read[(1,)](data, kept, words, BLOCK=gpu_floors.BLOCK, num_warps=8)
    lanes = np.zeros(-(-words // gpu_floors.BLOCK) * gpu_floors.BLOCK, dtype=np.int32)
    lanes[:words] = data.cpu().numpy()
    assert kept.item() == np.bitwise_xor.reduce(lanes.reshape(-1, gpu_floors.BLOCK)).max()


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_floors_run_and_the_copy_is_one(dtype: str) -> None:
    logits, _ = loss_data(LossCase(6, 10, dtype), DEVICE)
    assert [name for name, call in gpu_floors.reading(logits).items() if call() is not Ellipsis] == [
        "read, Triton",
        "read, torch.sum",
    ]
    (copied,) = (call() for call in gpu_floors.copying(logits).values())
    assert isinstance(copied, torch.Tensor)
    assert torch.equal(copied, logits)


def test_the_logits_are_the_same_for_every_call_and_a_third_of_the_rows_is_confident() -> None:
    logits, ids = loss_data(LossCase(30, 50, "float32"), DEVICE)
    again, ids_again = loss_data(LossCase(30, 50, "float32"), DEVICE)
    assert torch.equal(logits, again)
    assert torch.equal(ids, ids_again)
    losses, _ = gpu_truth.exact_rows(logits, ids)
    assert (losses[::3] < 10).all()
    assert losses[::3].min() < 1e-8
    assert losses[1::3].min() > 0.1


@pytest.mark.parametrize("margin", [-300.0, -20.0, 0.5, 17.0, 40.0, 200.0])
def test_the_truth_has_float64_s_digits_at_any_margin(margin: float) -> None:
    logits = torch.tensor([[margin, 0.0, -1.25, 3e-3]], dtype=torch.float64)
    before, ids = logits.clone(), torch.tensor([0])
    loss, gradient = gpu_truth.exact_rows(logits, ids)
    assert torch.equal(logits, before)
    with mpmath.workdps(120):
        powers = [mpmath.exp(mpmath.mpf(x)) for x in logits[0].tolist()]
        rest = mpmath.fsum(powers[1:])
        expected = mpmath.log1p(rest / powers[0])
        slopes = [-rest / (rest + powers[0]), *(power / (rest + powers[0]) for power in powers[1:])]
    assert loss.item() == pytest.approx(float(expected), rel=1e-13)
    assert gradient[0].tolist() == pytest.approx([float(slope) for slope in slopes], rel=1e-13)


def test_the_truth_of_a_head_is_float64_s_derivative() -> None:
    generator = torch.Generator().manual_seed(1)
    hidden, weight = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (5, 7))
    ids = torch.tensor([0, 6, 2, 2, 5])
    leaves = hidden.requires_grad_(), weight.requires_grad_()
    loss = torch.nn.functional.cross_entropy(torch.nn.functional.linear(*leaves), ids)
    expected = loss, *torch.autograd.grad(loss, leaves)
    found = gpu_truth.head_truth(hidden.detach(), weight.detach(), ids)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-15)
    # in float32's units an error of float64 is nothing; and a gradient that is off by a thousandth is seen
    assert gpu_truth.head_errors(found, loss, expected[1:])["weight_relative"] < 1e-12
    off = gpu_truth.head_errors(found, loss, (expected[1], expected[2] * 1.001))
    assert off["weight_relative"] == pytest.approx(1e-3)


def test_an_ulp_is_the_distance_to_the_next_number() -> None:
    values = torch.tensor([1.0, 1.5, 2.0, 3e-20, 1.2e-38, 1e-41, 0.0, 3e38], dtype=torch.float64)
    normal = np.maximum(np.abs(values.numpy()), np.finfo(np.float32).tiny).astype(np.float32)
    assert gpu_truth.ulp(values, torch.float32).tolist() == np.spacing(normal).astype(np.float64).tolist()
    assert gpu_truth.ulp(torch.tensor([1.0, 255.0], dtype=torch.float64), torch.bfloat16).tolist() == [2**-7, 1.0]


def test_an_error_of_one_ulp_is_one_and_a_nan_is_infinitely_wrong() -> None:
    exact = torch.tensor([1.0, 5.0], dtype=torch.float64)
    above = torch.nextafter(exact.float(), torch.tensor(9.0))
    assert gpu_truth.error_ulp(above, exact, torch.float32) == 1.0
    assert gpu_truth.error_ulp(torch.tensor([math.nan, 5.0]), exact, torch.float32) == math.inf


class CountedClock(gpu_measure.HostClock):
    """Makes the calls, and says that each took a millisecond."""

    def time_ms(self, call: gpu_measure.Call) -> tuple[float, float]:
        call()
        return 1.0, 0.5


def test_variants_take_turns_and_are_prepared_each_time() -> None:
    made: list[str] = []
    variants = {
        "a": gpu_measure.Variant(lambda: made.append("a"), lambda: made.append("prepared")),
        "b": gpu_measure.Variant(lambda: made.append("b")),
    }
    found = gpu_measure.interleaved(variants, CountedClock(), runs=7, budget_s=1.0)
    warm = gpu_measure.WARM_UPS * ["prepared", "a"] + gpu_measure.WARM_UPS * ["b"]
    assert made[: len(warm)] == warm
    assert made[len(warm) : len(warm) + 6] == ["prepared", "a", "b", "b", "prepared", "a"]
    assert (found["a"]["median_ms"], found["a"]["host_ms"], found["b"]["runs"]) == (1.0, 0.5, 7)
    few = gpu_measure.interleaved(variants, CountedClock(), runs=7, budget_s=0.0)
    assert few["a"]["runs"] == gpu_measure.FEWEST_RUNS


def test_who_fails_is_kept_with_the_first_line_of_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    rivals = (
        Rival(OURS, "crossent", torch_loss),
        Rival("missing", "none", raises),
        Rival("breaks", "none", lambda: lambda *_: torch.empty(2, 3) @ torch.empty(2, 3)),
    )
    monkeypatch.setattr(gpu_races, "LOSSES", rivals)
    found = gpu_races.race_losses(SMALL, settings())
    assert found["failed"]["missing"] == "ImportError: no such kernel"
    assert found["failed"]["breaks"].startswith("RuntimeError: mat1 and mat2 shapes cannot be multiplied")
    assert set(found["errors"]) == {OURS}
    assert set(found["timings"][FORWARD]) == {"read, Triton", "read, torch.sum", OURS}
    assert set(found["timings"][BOTH]) == {"copy, torch", OURS}


def test_who_overwrites_the_logits_is_asked_of_the_true_ones_and_spoils_nobody_else_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rivals = (
        Rival("overwriting", "none", overwriting_loss, overwrites=True),
        Rival(OURS, "crossent", torch_loss),
    )
    monkeypatch.setattr(gpu_races, "LOSSES", rivals)
    found = gpu_races.race_losses(LossCase(6, 10, "float64"), settings())
    assert found["failed"] == {}
    assert found["errors"]["overwriting"]["gradient_ulp"] == 0.0
    # torch's own error at 70 nats, in ulp of float64: the row's loss would be 0 in float32
    assert 0 < found["errors"][OURS]["loss_ulp"] < 2**53


def test_a_result_is_written_after_each_case_and_a_second_call_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def one(case: LossCase, _settings: gpu_races.Settings) -> dict[str, Any]:
        measured.append(case.name)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return {"name": case.name, "kind": "loss", "failed": {}}

    monkeypatch.setattr(gpu, "race_losses", one)
    cases, out = tuple(LossCase(rows, 4, "float32") for rows in (1, 2)), tmp_path / "gpu" / "2026-11-29.json"
    facts = {"device": {"name": "D"}, "versions": {"torch": "1"}, "commit": "abc", "made": "today"}

    def go_on(**changed: object) -> dict[str, Any]:
        result = gpu.begun(out, {**facts, **changed})
        gpu.run(cases, settings(), until=math.inf, result=result, progress=Progress(), out=out)
        return json.loads(out.read_text(encoding="utf-8"))

    with pytest.raises(KeyboardInterrupt):
        go_on()
    # the file that it wrote is itself a change of the tree
    assert [case["name"] for case in go_on(commit="abc + changes")["cases"]] == [case.name for case in cases]
    assert measured == [cases[0].name, cases[1].name, cases[1].name]
    assert go_on(versions={"torch": "2"})["versions"] == {"torch": "2"}
    assert len(measured) == 5


def test_no_case_begins_when_the_time_is_up_and_a_case_that_does_not_fit_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def too_large(_case: LossCase, _settings: gpu_races.Settings) -> dict[str, Any]:
        message = "CUDA out of memory. Tried to allocate 9 GiB"
        raise torch.OutOfMemoryError(message)

    monkeypatch.setattr(gpu, "race_losses", too_large)
    nothing: dict[str, Any] = {"cases": []}
    late = time.monotonic() - 1
    assert gpu.run((SMALL,), settings(), until=late, result=nothing, progress=Progress(), out=None) == 0
    assert nothing["cases"] == []
    assert gpu.run((SMALL,), settings(), until=math.inf, result=nothing, progress=Progress(), out=None) == 1
    assert nothing["cases"][0]["failed"] == {
        "the case": "OutOfMemoryError: CUDA out of memory. Tried to allocate 9 GiB"
    }


def test_without_a_device_it_says_so_in_one_sentence_and_ends_with_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    for arguments in ([], ["--short"]):
        assert gpu.main(arguments) == 2
        said = capsys.readouterr()
        assert (said.out, said.err) == (
            "",
            "benchmarks.gpu: there is no CUDA device here, so that nothing was measured.\n",
        )


@pytest.mark.skipif(DEVICE.type == "cuda", reason="there is a device: the short run measures it")
def test_a_rehearsal_goes_through_the_harness_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "SHORT_LOSS_CASES", (SMALL,))
    monkeypatch.setattr(gpu, "SHORT_HEAD_CASES", (HeadCase(4, 8, 16, "bfloat16"),))
    monkeypatch.setattr(gpu, "RESULTS", tmp_path)
    monkeypatch.setattr(_gpu, "DEVICES", _gpu.DEVICES)  # is as it was, afterwards
    solved = Mock(side_effect=_gpu.solve)
    monkeypatch.setattr(_gpu, "solve", solved)
    assert gpu.main(["--short", "--out", str(tmp_path / "out.json")]) == 0
    said = capsys.readouterr().out
    assert "kernels interpreted: these times say nothing about any device" in said
    assert "loss 6 x 10 float32, forward and backward, ms: copy, torch" in said
    assert "head 4 x 8 x 16 bfloat16, forward, ms: one product, torch.mm" in said
    assert "failed" not in said
    assert list(tmp_path.iterdir()) == []
    assert solved.called, "our loss is that of the GPU's kernels, interpreted"


def test_a_rival_that_is_not_there_is_absent_in_the_proof_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_proof, "LOSSES", (Rival("missing", "none", raises), Rival(OURS, "crossent", torch_loss)))
    monkeypatch.setattr(gpu_proof, "PROOF_LOSS", SMALL)
    assert gpu_proof.proof("loss", "missing", DEVICE) == {"absent": "ImportError: no such kernel"}
    found = gpu_proof.proof("loss", OURS, DEVICE)
    assert found[gpu_proof.BITS] == "pass"
    assert set(found) == {gpu_proof.SYNC, gpu_proof.BITS, gpu_proof.GRAPH}


def test_bits_that_change_from_run_to_run_are_seen() -> None:
    numbers = iter(range(100))
    said = gpu_proof.same_bits(lambda: (torch.tensor(float(next(numbers))),))
    assert said == "4 of 4 repeats differ"


def test_a_replay_that_does_not_see_the_new_inputs_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    # a device that captures by running, and replays by doing nothing
    for name in ("Stream", "current_stream", "CUDAGraph", "synchronize"):
        monkeypatch.setattr(torch.cuda, name, Mock())
    for name in ("stream", "graph"):
        monkeypatch.setattr(torch.cuda, name, lambda _: nullcontext())
    modes: list[str] = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    monkeypatch.setattr(gpu_proof, "LOSSES", (Rival(OURS, "crossent", torch_loss),))
    monkeypatch.setattr(gpu_proof, "PROOF_LOSS", SMALL)
    found = gpu_proof.proof("loss", OURS, torch.device("cpu"))
    assert modes == ["error", "default"]
    assert (found[gpu_proof.SYNC], found[gpu_proof.BITS]) == ("pass", "pass")
    assert found[gpu_proof.GRAPH] == "replayed, but to other bits than an ordinary call has"
    assert gpu_proof.replayed(lambda: (torch.ones(3),), lambda: None) == "pass"


def test_a_gradient_over_the_logits_takes_no_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, answer in (("memory_allocated", 1000), ("max_memory_allocated", 1700)):
        monkeypatch.setattr(torch.cuda, name, Mock(return_value=answer))
    for name in ("synchronize", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, Mock())
    logits = torch.zeros(10, 10)
    assert gpu_measure.extra_bytes(lambda: (logits.detach(),), (logits,)) == 700
    assert gpu_measure.extra_bytes(lambda: (torch.zeros(10, 10),), (logits,)) == 300


def test_every_rival_s_version_is_written_down_and_ours_comes_first() -> None:
    for rivals in (gpu_rivals.LOSSES, gpu_rivals.HEADS):
        assert rivals[0].name == OURS
        assert {rival.distribution for rival in rivals} <= set(gpu_rivals.DISTRIBUTIONS)
        assert len({rival.name for rival in rivals}) == len(rivals)
