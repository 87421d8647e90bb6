"""Every kind of target with every option on the GPU: against float64 autograd, exact digits, and what the CPU answers."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

import crossent.torch
from crossent import TopKTargets
from crossent._kernels.gpu import soft_targets
from crossent._kernels.gpu._launch import INTERPRETED
from crossent._kernels.gpu.problem import Numbers, Problem, Upstream
from tests.kernels.gpu.soft_problems import DEVICE, NO_ANSWER, Solved, problem_of, solve
from tests.torch.test_extras import exactly

same = torch.testing.assert_close
F64 = torch.float64
INF, NAN = float("inf"), float("nan")
KINDS = ("ids", "soft", "top-k", "top-k uniform")
NAMES = ("loss", "lse", "entropy", "target_logit")


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def targets(kind: str, rows: int, classes: int) -> tuple[torch.Tensor | TopKTargets, torch.Tensor]:
    """Return targets, and the same as float64 distributions."""
    if kind == "ids":
        ids = torch.randint(0, classes, (rows,))
        return ids, torch.nn.functional.one_hot(ids, classes).to(F64)
    if kind == "soft":
        soft = torch.softmax(torch.randn(rows, classes), 1)
        return soft, soft.to(F64)
    width = min(3, classes)
    ids = torch.stack([torch.randperm(classes)[:width] for _ in range(rows)])
    shares = torch.rand(rows, width, dtype=F64) / width
    rest = "uniform" if kind == "top-k uniform" else "zero"
    missing = 1.0 - shares.sum(1, keepdim=True) if rest == "uniform" else torch.zeros(rows, 1, dtype=F64)
    dense = (missing / max(1, classes - width)).repeat(1, classes)
    return TopKTargets(ids, shares, rest=rest), dense.scatter(1, ids, shares)


def by_autograd(
    logits: torch.Tensor, dense: torch.Tensor, upstream: Upstream, **options: Any
) -> dict[str, torch.Tensor]:
    """Return numbers and gradient in plain float64 operations."""
    x = logits.to(F64).clone().requires_grad_()
    cap, heat, smoothing = options.get("softcap"), options.get("temperature", 1.0), options.get("label_smoothing", 0.0)
    z = (x if cap is None else torch.tanh(x / cap) * cap) / heat
    y = dense * (1.0 - smoothing) + smoothing / x.shape[1]
    if options.get("weight") is not None:
        y = y * options["weight"].to(F64)
    lse, log_p = z.logsumexp(1), z.log_softmax(1)
    numbers = {
        "loss": -(y * log_p).sum(1) + options.get("z_loss", 0.0) * y.sum(1) * lse**2,
        "lse": lse,
        "entropy": -(log_p.exp() * log_p).sum(1),
        "target_logit": (dense * z).sum(1),
    }
    total = torch.zeros((), dtype=F64)
    for name, value in numbers.items():
        own = getattr(upstream, name)
        factor = 1.0 if name != "loss" or upstream.factor is None else upstream.factor
        if own is not None:
            total = total + (value * own * factor).sum()
        elif name == "loss" and upstream.factor is not None:
            total = total + value.sum() * factor
    gradient = torch.autograd.grad(total, x)[0] if total.requires_grad else torch.zeros_like(x)
    accuracy = (z.argmax(1) == dense.argmax(1)).to(F64)
    return {name: value.detach() for name, value in numbers.items()} | {"gradient": gradient, "accuracy": accuracy}


def assert_same(got: Solved, expected: dict[str, torch.Tensor], tolerance: float) -> None:
    for name, value in expected.items():
        found = getattr(got, name).to(F64)
        same(
            found,
            value.reshape(found.shape),
            rtol=tolerance,
            atol=tolerance,
            msg=f"{name}: {found} {value}",
        )


OPTIONS: dict[str, tuple[Any, ...]] = {
    "softcap": (None, 3.0),
    "temperature": (1.0, 0.7),
    "label_smoothing": (0.0, 0.1),
    "z_loss": (0.0, 0.01),
    "weighted": (False, True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_combination_of_options(kind: str) -> None:
    rows, classes = 8, 7
    # two kinds take one half of the combinations, two the other: any two options meet in each
    for i, choice in enumerate(product(*OPTIONS.values())):
        if (i.bit_count() + KINDS.index(kind)) % 2:
            continue
        options = dict(zip(OPTIONS, choice, strict=True))
        options["weight"] = torch.rand(classes) if options.pop("weighted") else None
        # each number has an upstream gradient in some of the combinations, none in others
        own = [torch.randn(rows, dtype=F64) if i * 7 >> bit & 1 else None for bit in range(4)]
        factor = torch.tensor(0.3, dtype=F64) if i % 3 else None
        upstream = Upstream(own[0], factor, *own[1:])
        logits = torch.randn(rows, classes, dtype=F64) * 3.0
        target, dense = targets(kind, rows, classes)
        got = solve(logits, target, upstream=upstream, **options)
        assert_same(got, by_autograd(logits, dense, upstream, **options), 1e-13)


UPSTREAM = Upstream(
    torch.tensor([1.0, -2.0, 0.5], dtype=F64),
    torch.tensor(0.5, dtype=F64),
    torch.tensor([0.5, 1.0, 0.0], dtype=F64),
    torch.tensor([0.0, -1.0, 2.0], dtype=F64),
    torch.tensor([1.0, 1.0, -3.0], dtype=F64),
)
ALL = {"softcap": 5.0, "temperature": 1.5, "label_smoothing": 0.2, "z_loss": 0.1}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("programs", [2, 7, 1000])
def test_rows_longer_than_a_tile(kind: str, programs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks by one program, and in two or five parts."""
    monkeypatch.setattr(soft_targets, "TILE_NUMBERS", 8)
    monkeypatch.setattr(soft_targets, "PART_TILES", 1)
    monkeypatch.setattr(soft_targets, "processors", lambda device: programs // 2)
    logits = torch.randn(3, 37, dtype=F64) * 4.0
    logits[0] = logits[0].sort().values  # every block has a new likeliest class
    logits[1, :20] = -INF
    target, dense = targets(kind, 3, 37)
    options = ALL | {"weight": torch.rand(37, dtype=F64)}
    assert_same(
        solve(logits, target, upstream=UPSTREAM, **options), by_autograd(logits, dense, UPSTREAM, **options), 1e-13
    )


def test_places_outlive_parts_whose_number_is_no_power_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soft_targets, "split_of", lambda layout, programs: soft_targets.Split(1, 4, 3, 4))
    logits, target = torch.eye(12)[[5, 11, 5]], torch.eye(12)[[5, 11, 4]]
    assert solve(logits, target).accuracy.tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_other_dtypes_are_rounded_once(kind: str, dtype: torch.dtype) -> None:
    logits = (torch.randn(3, 9) * 3.0).to(dtype)
    target, dense = targets(kind, 3, 9)
    if isinstance(target, torch.Tensor) and target.is_floating_point():
        target = target.to(dtype)  # type: ignore[union-attr]
        dense = target.to(F64)
    expected = by_autograd(logits, dense, UPSTREAM)
    expected["gradient"] = expected["gradient"].to(dtype).to(F64)
    assert_same(solve(logits, target, upstream=UPSTREAM), expected, 1e-14)


def test_halves_are_rounded_to_even_from_all_digits() -> None:
    # p - y of two classes is any number: its gradient, scaled to just above and below ties of bfloat16 and float16
    for dtype, bits in ((torch.bfloat16, 8), (torch.float16, 11)):
        tie = 1.0 + 2.0**-bits
        for scale, rounded in (
            (tie, 1.0),
            (tie * (1 + 2.0**-50), 1.0 + 2.0 ** (1 - bits)),
            (tie * (1 - 2.0**-50), 1.0),
        ):
            logits = torch.zeros(1, 2, dtype=dtype)
            got = solve(logits, torch.tensor([0]), upstream=Upstream(torch.tensor([2.0 * scale], dtype=F64)))
            assert got.gradient.tolist() == [[-rounded, rounded]]


@pytest.mark.parametrize(
    "extras",
    [
        {"z_loss": 1e-4},
        {"softcap": 50.0},
        {"temperature": 0.25},
        {"z_loss": 1e-30, "softcap": 60.0, "temperature": 2.0},
    ],
    ids=str,
)
def test_digits_at_any_margin(extras: dict[str, Any]) -> None:
    """float32: the loss within 2 ulp, its gradient within 3, of rows from undecided to 80 nats confident."""
    for classes in (2, 100):
        margins = torch.tensor([0.0, 5.0, 20.0, 40.0, 80.0, 0.0, 5.0, 20.0, 40.0, 80.0])
        x = torch.randn(10, classes)
        x[:, 0] += margins
        ids = torch.arange(10) // 5
        got = solve(x, ids, **extras)
        options = {"z_loss": 0.0, "softcap": None, "temperature": 1.0} | extras
        for row, target, loss, of_row in zip(x, ids, got.loss, got.gradient, strict=True):
            expected, gradient = exactly(row.numpy(), int(target), **options)
            assert abs(loss.float().item() - expected) <= 2 * np.spacing(np.float32(abs(expected)))
            error = np.abs(of_row.double().numpy() - gradient)
            assert (error <= 3 * np.spacing(np.abs(gradient).astype(np.float32))).all()


def test_a_cap_keeps_the_digits_of_small_and_of_large_logits() -> None:
    x = torch.tensor([[1e-30, -3e-9, 2e-4], [0.3, -0.62, 0.63], [5.0, -9.0, 20.0], [400.0, -30.0, 1e30]], dtype=F64)
    got = solve(x, torch.tensor([1, 1, 1, 1]), softcap=1.0)
    for row, loss, gradient in zip(x, got.loss, got.gradient, strict=True):
        expected, slopes = exactly(row.numpy(), 1, 0.0, 1.0, 1.0)
        same(loss.item(), expected, rtol=6e-16, atol=0.0)
        same(gradient.tolist(), slopes, rtol=4e-15, atol=1e-300)


ODD = [
    [0.0, 1.0, -INF, 2.0],
    [-INF, 0.0, 1.0, 0.5],
    [INF, 0.0, 1.0, 0.5],
    [0.0, INF, 1.0, 0.5],
    [-INF, -INF, -INF, -INF],
    [NAN, 0.0, 1.0, 0.5],
    [0.0, 0.0, NAN, 0.5],
    [INF, 0.0, INF, 0.5],
    [1e30, 0.0, -1e30, 0.5],
    [3e38, -3e38, 0.0, 0.5],
    [60.0, 0.0, 0.0, 0.0],
    [1e5, 0.0, 0.0, -1e5],
]
UPSTREAM_OF_ODD = Upstream(factor=torch.ones((), dtype=F64), entropy=torch.ones(len(ODD), dtype=F64))
ODD_TARGETS = {
    "ids": torch.zeros(len(ODD), dtype=torch.int64),
    "last": torch.full((len(ODD),), 3),
    "one-hot": torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(len(ODD), 1),
    "soft": torch.tensor([[0.5, 0.25, 0.0, 0.25]]).repeat(len(ODD), 1),
    "signed": torch.tensor([[0.5, -0.25, 0.0, 0.25]]).repeat(len(ODD), 1),
    "signed, in all 0": torch.tensor([[0.5, -0.75, 0.0, 0.25]]).repeat(len(ODD), 1),
    "zeros": torch.zeros(len(ODD), 4),
    "no number": torch.tensor([[0.5, NAN, 0.0, 0.25]]).repeat(len(ODD), 1),
    "infinite": torch.tensor([[0.5, INF, 0.0, 0.25]]).repeat(len(ODD), 1),
    "top-k": TopKTargets(torch.tensor([[0, 3]] * len(ODD)), torch.full((len(ODD), 2), 0.25), rest="uniform"),
}


@pytest.mark.parametrize("name", ODD_TARGETS)
@pytest.mark.parametrize(
    "options", [{}, {"softcap": 10.0}, {"temperature": 2.0, "z_loss": 0.1}, {"label_smoothing": 0.1}], ids=str
)
def test_odd_rows_answer_as_on_the_cpu(name: str, options: dict[str, Any]) -> None:
    logits, target = torch.tensor(ODD), ODD_TARGETS[name]
    leaf = logits.clone().requires_grad_()
    got = solve(logits, target, upstream=Upstream(factor=torch.tensor(1.0, dtype=F64)), **options)
    expected = crossent.torch.cross_entropy(
        leaf, target, reduction="none", returns=("lse", "entropy", "accuracy", "target_logit"), **options
    )
    expected.loss.sum().backward()
    for number in expected._fields:
        found, wanted = getattr(got, number).float(), getattr(expected, number).detach()
        same(found, wanted, equal_nan=True, msg=f"{number}: {found} {wanted}")
    if name != "infinite":  # inf or NaN, as it comes
        same(got.gradient, leaf.grad, equal_nan=True)
    assert not (got.loss == 0.0).logical_and(torch.signbit(got.loss)).any()


@pytest.mark.parametrize("name", ["last", "soft", "top-k"])
def test_odd_rows_in_two_parts_answer_as_whole_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = ODD_TARGETS[name]
    if isinstance(target, torch.Tensor) and target.is_floating_point():
        target = target.clone()
        target[4:7] = torch.tensor([0.0, 1.0, 0.0, 0.0])
    options: dict[str, Any] = {"ignore_index": 1, "upstream": UPSTREAM_OF_ODD}
    whole = solve(torch.tensor(ODD), target, **options)
    monkeypatch.setattr(soft_targets, "TILE_NUMBERS", 2)
    monkeypatch.setattr(soft_targets, "PART_TILES", 1)
    monkeypatch.setattr(soft_targets, "processors", lambda device: 1000)
    parts = solve(torch.tensor(ODD), target, **options)
    cancelling = torch.tensor([1e30 in row for row in ODD])  # 1e30 - 1e30 + 0.5 keeps the 0.5 in one order of three
    for number in (*NAMES, "accuracy", "gradient"):
        some = ~cancelling if number == "target_logit" else slice(None)
        same(getattr(parts, number)[some], getattr(whole, number)[some], equal_nan=True)


def test_a_row_that_nobody_asks_about_has_no_gradient() -> None:
    logits = torch.tensor(ODD)
    none = torch.zeros(len(ODD), dtype=F64)
    for target in ODD_TARGETS.values():
        got = solve(logits, target, upstream=Upstream(none, None, none, none, none))
        assert torch.equal(got.gradient, torch.zeros_like(logits))
        got = solve(logits, target, upstream=Upstream())
        assert torch.equal(got.gradient, torch.zeros_like(logits))


def test_rows_that_are_certain_of_ignore_index_do_not_take_part() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0], [NAN, 0.0, 1.0], [INF, INF, 1.0], [0.0, 1.0, 2.0]], requires_grad=True)
    certain, half = [0.0, 1.0, 0.0], [0.0, 1.0, 1e-3]
    shares = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0], [1.0, 0.1]])
    for target in (
        torch.tensor([0, 1, 1, 0]),
        torch.tensor([half, certain, certain, half]),
        TopKTargets(torch.tensor([[1, 2], [1, 2], [0, 1], [1, 2]]), shares),
    ):
        got = solve(logits.detach(), target, ignore_index=1)
        kept = crossent.torch.cross_entropy(logits, target, reduction="none", ignore_index=1)
        same(got.loss.float(), kept.detach())
        assert got.loss[1:3].tolist() == [0.0, 0.0]
        for number in (got.lse, got.entropy, got.accuracy, got.target_logit):
            assert number[1:3].tolist() == [0.0, 0.0]
        assert torch.equal(got.gradient[1:3], torch.zeros(2, 3))
        same(got.gradient, torch.autograd.grad(kept.sum(), logits)[0])


@pytest.mark.skipif(not INTERPRETED, reason="a failed assertion on a GPU ends the process's use of it")
def test_an_id_that_is_no_class_fails_on_the_device() -> None:
    top = TopKTargets(torch.tensor([[0, 7]]), torch.tensor([[0.5, 0.5]]))
    for target in (torch.tensor([3]), torch.tensor([-1]), top):
        with pytest.raises(AssertionError, match="a target is not a class"):
            solve(torch.zeros(1, 3), target)
    ignored = TopKTargets(torch.tensor([[0, -100]]), torch.tensor([[0.0, 1.0]]))
    assert solve(torch.zeros(1, 3), ignored).loss.item() == 0.0


LAYOUTS = {
    "rows": (lambda: torch.randn(6, 5), 1),
    "columns": (lambda: torch.randn(5, 6), 0),
    "images": (lambda: torch.randn(2, 5, 3), 1),
    "channels last": (lambda: torch.randn(2, 5, 3, 2).to(memory_format=torch.channels_last), 1),
    "every other": (lambda: torch.randn(6, 10)[:, ::2], 1),
    "a window": (lambda: torch.randn(9, 8)[1:7, 2:7], 1),
    "one row repeated": (lambda: torch.randn(1, 5).expand(6, 5), 1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tensors_are_read_and_written_where_they_lie(layout: str) -> None:
    make, axis = LAYOUTS[layout]
    logits, classes = make(), 5
    rows = logits.movedim(axis, -1).reshape(-1, classes)
    probs = make().abs()
    dense = probs.movedim(axis, -1).reshape(-1, classes).to(F64)
    expected = by_autograd(rows, dense, Upstream(factor=torch.ones((), dtype=F64)))
    gradients = [torch.full(logits.shape, NO_ANSWER, device=DEVICE)]  # another layout than the logits'
    if layout != "one row repeated":
        gradients.append(logits.clone(memory_format=torch.preserve_format).to(DEVICE))
    for out in gradients:
        got = solve(logits, probs, axis=axis, out=out)
        same(got.loss, expected["loss"])
        same(got.gradient.movedim(axis, -1).reshape(-1, classes), expected["gradient"].float())
    own = logits.clone(memory_format=torch.preserve_format).to(DEVICE)
    got = solve(own, probs, axis=axis, out=own)  # in place of the logits
    same(got.gradient.movedim(axis, -1).reshape(-1, classes), expected["gradient"].float())
    same(got.loss, expected["loss"])


def test_a_layout_that_two_strides_do_not_say_is_refused() -> None:
    logits = torch.randn(3, 5, 4, 6)[::2, :, ::2, ::3]
    with pytest.raises(ValueError, match="No two strides say where the rows of `logits` lie"):
        solve(logits, torch.rand(logits.shape))


def test_no_rows_and_one_class() -> None:
    assert solve(torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64)).loss.shape == (0,)
    for dtype in (torch.float32, F64):
        logits = torch.tensor([[3.0], [-INF], [INF], [NAN]], dtype=dtype)
        for target in (
            torch.zeros(4, dtype=torch.int64),
            torch.ones(4, 1),
            TopKTargets([[0]] * 4, [[1.0]] * 4, rest="uniform"),
        ):
            got = solve(logits, target)
            same(got.loss, torch.tensor([0.0, NAN, 0.0, NAN], dtype=F64), equal_nan=True)
            same(got.gradient, torch.tensor([[0.0], [NAN], [0.0], [NAN]], dtype=dtype), equal_nan=True)


def test_numbers_that_nobody_wants_are_not_filled_in() -> None:
    logits, ids = torch.randn(3, 4, device=DEVICE), torch.tensor([0, 1, 2])
    loss = torch.full((3,), NO_ANSWER, dtype=F64, device=DEVICE)
    problem: Problem = problem_of(logits, ids)
    soft_targets.solve(problem, Numbers(loss=loss), None, None)
    same(loss.cpu(), torch.nn.functional.cross_entropy(logits.cpu().to(F64), ids, reduction="none"))
    gradient = torch.empty_like(logits)
    soft_targets.solve(problem, Numbers(), Upstream(factor=torch.ones((), dtype=F64, device=DEVICE)), gradient)
    same(gradient.sum(1).cpu(), torch.zeros(3), atol=1e-6, rtol=0.0)


def test_the_same_bits_in_every_run_and_with_every_number() -> None:
    logits = torch.randn(3, 50)
    target, _ = targets("soft", 3, 50)
    first, second = (solve(logits, target, upstream=UPSTREAM, **ALL) for _ in range(2))
    for name in (*NAMES, "gradient"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    loss = torch.empty(3, dtype=F64, device=DEVICE)
    soft_targets.solve(problem_of(logits.to(DEVICE), target, **ALL), Numbers(loss=loss), None, None)
    assert torch.equal(loss.cpu(), first.loss)
