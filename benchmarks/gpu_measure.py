"""Time and memory on a device: calls take turns, each alone between two events, the cache flushed before; medians and spread."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from benchmarks.measure import timing_of

Call = Callable[[], object]
# Written before each timing. It leaves nothing of the inputs in the L2 cache (50 to 126 MB), and takes long enough, 0.2 ms at
# 4 TB/s, for the host to queue the call meanwhile: what is timed is the device, unless a call waits for it.
FLUSH_BYTES = 2**30
FEWEST_RUNS = 5
WARM_UPS = 3


@dataclass(frozen=True)
class Variant:
    """A call to time, and what has to be done before each, outside the clock."""

    call: Call
    prepare: Call | None = None


class DeviceClock:
    """Times a call by the device's own events."""

    def __init__(self, device: torch.device) -> None:
        memory = torch.cuda.get_device_properties(device).total_memory
        self._flushed = torch.empty(min(FLUSH_BYTES, memory // 16) // 4, dtype=torch.int32, device=device)

    def time_ms(self, call: Call) -> tuple[float, float]:
        """Return the device's time, and the time until the host has its hands free again."""
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        self._flushed.zero_()
        start.record()
        before = time.perf_counter()
        call()
        host_ms = (time.perf_counter() - before) * 1e3
        end.record()
        end.synchronize()
        return start.elapsed_time(end), host_ms


class HostClock:
    """Times a call where there is no device: shows that the harness runs, and nothing else."""

    def time_ms(self, call: Call) -> tuple[float, float]:
        before = time.perf_counter()
        call()
        host_ms = (time.perf_counter() - before) * 1e3
        return host_ms, host_ms


Clock = DeviceClock | HostClock


def clock_of(device: torch.device) -> Clock:
    return DeviceClock(device) if device.type == "cuda" else HostClock()


def interleaved(
    variants: dict[str, Variant], clock: Clock, *, runs: int, budget_s: float
) -> dict[str, dict[str, float]]:
    """Time every variant `runs` times in turns; one that has used `budget_s` seconds stops after FEWEST_RUNS.

    The turn rotates, so that nobody always runs behind the same neighbour.
    """

    def once(variant: Variant) -> tuple[float, float]:
        if variant.prepare is not None:
            variant.prepare()
        return clock.time_ms(variant.call)

    for variant in variants.values():
        for _ in range(WARM_UPS):
            once(variant)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    names = list(variants)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for run in range(max(runs, FEWEST_RUNS)):
            turn = run % len(names)
            for name in names[turn:] + names[:turn]:
                used_s = sum(device_ms for device_ms, _ in times[name]) / 1e3
                if len(times[name]) < FEWEST_RUNS or used_s <= budget_s:
                    times[name].append(once(variants[name]))
    finally:
        if collecting:
            gc.enable()
    return {
        name: {
            **timing_of([device_ms for device_ms, _ in found], 1).to_dict(),
            "host_ms": statistics.median(host_ms for _, host_ms in found),
        }
        for name, found in times.items()
    }


def _storages(tensors: tuple[torch.Tensor, ...]) -> dict[int, int]:
    storages = (tensor.untyped_storage() for tensor in tensors)
    return {storage.data_ptr(): storage.nbytes() for storage in storages}


def extra_bytes(call: Callable[[], tuple[torch.Tensor, ...]], inputs: tuple[torch.Tensor, ...]) -> int:
    """Return how far the device's memory rises in a call beyond its inputs and the gradients that it returns.

    A gradient that is written over an input takes nothing of its own, so that nothing is taken off for it.
    """
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    gradients = call()
    torch.cuda.synchronize()
    there = _storages(inputs)
    own = sum(size for address, size in _storages(gradients).items() if address not in there)
    return torch.cuda.max_memory_allocated() - before - own
