"""Tasks done elsewhere: whatever the engine, each result is merged once, under its key."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module

from crossent.errors import OptionError
from crossent.scoring.result import Score
from crossent.scoring.tasks import Job, Task, read_result, run_task

# Files of crossent.scoring.engines, each with map_tasks(function, tasks, workers, address).
ENGINES = ("processes", "dask", "ray", "spark")


def map_remote(
    engine: str,
    tasks: Sequence[Task],
    job: Job,
    workers: int | None,
    address: str | None,
    on_part: Callable[[Score], None],
) -> Iterator[tuple[str, Score]]:
    """Yield the score of every task once, in any order, however often the engine has tried it."""
    if engine not in ENGINES:
        message = f"`engine` must be 'local', {', '.join(map(repr, ENGINES[:-1]))} or {ENGINES[-1]!r}, got {engine!r}"
        raise OptionError(message)
    module = import_module(f"crossent.scoring.engines.{engine}")
    seen: set[str] = set()
    for key, result in module.map_tasks(partial(run_task, job=job), tasks, workers=workers, address=address):
        if key not in seen:
            seen.add(key)
            part = read_result(result)
            on_part(part)
            yield key, part
