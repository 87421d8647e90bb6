"""Time: variants take turns in one process, so that a slow minute of the machine hits all of them; medians and spread."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

Call = Callable[[], object]

# Calls shorter than this are repeated inside one timing: perf_counter and the loop cost about 0.1 microseconds.
SHORTEST_TIMING_S = 2e-3
FEWEST_RUNS = 3
# A turn begins with calls that are not timed, one at least, for this long: a pool whose threads fell asleep during the
# neighbour's turn, and a core that slowed down, wake up outside the clock. Without any, torch's small cases took 17 to 50 ms
# instead of 1 (2 busy cores, 2026-11-22); with a single call, one of 4.0 ms took 7.3 after 50 ms of sleep (2026-11-23).
WAKE_UP_S = 0.02
# Calls longer than this hardly notice.
LONGEST_TO_WAKE_UP_S = 0.1


@dataclass(frozen=True)
class Timing:
    """One variant's times of one call, in milliseconds."""

    median_ms: float
    min_ms: float
    lower_quartile_ms: float
    upper_quartile_ms: float
    runs: int
    calls_per_run: int

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def timing_of(times_ms: list[float], calls_per_run: int) -> Timing:
    """Return the median and the spread of at least two times."""
    lower, median, upper = statistics.quantiles(times_ms, n=4, method="inclusive")
    return Timing(median, min(times_ms), lower, upper, len(times_ms), calls_per_run)


def time_one_run_ms(call: Call, calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - started) * 1e3 / calls


def call_until_awake(call: Call) -> None:
    until = time.perf_counter() + WAKE_UP_S
    call()
    while time.perf_counter() < until:
        call()


def interleaved(variants: dict[str, Call], *, runs: int, budget_s: float) -> dict[str, Timing]:
    """Time every variant `runs` times in turns; one that has used `budget_s` seconds stops after FEWEST_RUNS runs.

    Every call is made once before the clock starts: compilers, thread pools and page tables are warm for all.
    The turn rotates, so that nobody always runs behind the same neighbour's cache.
    """
    calls_per_run, wake_up = {}, {}
    for name, call in variants.items():
        call()
        once_s = time_one_run_ms(call, 1) / 1e3
        calls_per_run[name] = max(1, round(SHORTEST_TIMING_S / max(once_s, 1e-7)))
        wake_up[name] = once_s < LONGEST_TO_WAKE_UP_S
    times_ms: dict[str, list[float]] = {name: [] for name in variants}
    names = list(variants)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for run in range(max(runs, FEWEST_RUNS)):
            turn = run % len(names)
            for name in names[turn:] + names[:turn]:
                used_s = sum(times_ms[name]) * calls_per_run[name] / 1e3
                if len(times_ms[name]) >= FEWEST_RUNS and used_s > budget_s:
                    continue
                if wake_up[name]:
                    call_until_awake(variants[name])
                times_ms[name].append(time_one_run_ms(variants[name], calls_per_run[name]))
    finally:
        if collecting:
            gc.enable()
    return {name: timing_of(times, calls_per_run[name]) for name, times in times_ms.items()}
