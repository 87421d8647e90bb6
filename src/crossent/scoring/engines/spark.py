"""Spark: tasks and the partitions of a Spark DataFrame go through `mapInArrow`, a row with a state comes back of each.

No accumulators: Spark adds to them once more whenever it tries a partition again.
"""

import importlib.util
import os
import re
import sys
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from crossent._kernels.cpu import _threads
from crossent.errors import MissingExtraError, OptionError
from crossent.scoring.arrow import pa
from crossent.scoring.engines.failures import died, missing, no_cluster, refuse_silent
from crossent.scoring.tasks import Task
from crossent.scoring.wording import one_line

_EXTRA = "spark"
_A_PARTITION = "a partition of the DataFrame"

try:
    import pyspark
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException, PythonException
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as columns_of
except ImportError as error:
    raise missing(_EXTRA, error) from error
if importlib.util.find_spec("pandas") is None:
    # mapInArrow refuses to work without it, and the package does not ask for it.
    raise missing(_EXTRA, "No module named 'pandas'")

_FAILURES = (PySparkException, Py4JError)
# Of a partition, as on clusters; without it, local[...] gives up at the first worker that dies.
_TRIES = 4
# Results of so many tasks come back together, at most 16 MiB each.
_MOST_TASKS_OF_A_JOB = 16
# Partitions that states are gathered in, each of which passes the driver as a whole.
_GATHERED = 16


def map_tasks(
    function: Callable[[Task], bytes], tasks: Sequence[Task], *, workers: int | None, address: str | None
) -> Iterator[tuple[str, bytes]]:
    """Yield the key and the result of every task; about two for each worker are under way."""
    with _session(workers, address) as session:
        cores = workers or _cores(session)
        size = min(cores, _MOST_TASKS_OF_A_JOB)
        jobs = deque(tasks[first : first + size] for first in range(0, len(tasks), size))
        running: deque[Any] = deque()
        tag = f"crossent-{uuid.uuid4().hex}"
        # Several jobs at a time, so that the end of one, where cores are idle, is the start of the next. One job and
        # toLocalIterator would be one partition after the other: it runs a job for each.
        with ThreadPoolExecutor(-(-2 * cores // size), thread_name_prefix="crossent-spark") as pool:
            try:
                while jobs or running:
                    while jobs and len(running) * size < 2 * cores:
                        job = jobs.popleft()
                        running.append(pool.submit(_results, session, tag, _job(session, function, job), job))
                    yield from running.popleft().result()
            finally:
                if running:
                    session.interruptTag(tag)


def map_table(
    function: Callable[[int, Any], bytes],
    table: Any,
    columns: Sequence[str],
    *,
    workers: int | None,
    address: str | None,
) -> Iterator[bytes]:
    """Yield what the function gives for the index and the record batches of every partition."""
    if address is not None:
        message = f"`address` goes with files, got {address!r} with a Spark DataFrame, which has a session already"
        raise OptionError(message)
    names = list(columns)

    def of_partition(batches: Any) -> Iterator[Any]:
        index = pyspark.TaskContext.get().partitionId()
        state = function(index, (batch.rename_columns(names) for batch in batches))
        yield pa.RecordBatch.from_pydict({"state": pa.array([state], pa.binary())})

    # mapInArrow looks columns up by name and takes a dot for a field of a struct.
    plain = _without_vectors(table, names).toDF(*(f"column{i}" for i in range(len(names))))
    states = _mapped(plain, of_partition, "state binary")
    try:
        # All partitions are done at once for the shuffle, and then pass the driver a few at a time.
        for row in states.repartition(_GATHERED).toLocalIterator():
            yield bytes(row["state"])
    except PythonException:
        raise
    except _FAILURES as error:
        raise died(_A_PARTITION, "Spark", _first_line(error)) from error


def first_rows(table: Any, rows: int) -> Any:
    """Return some first rows, as an Arrow table."""
    return _without_vectors(table, table.columns).limit(rows).toArrow()


def is_table(table: Any) -> bool:
    """Say whether this is a Spark DataFrame."""
    return hasattr(table, "mapInArrow")


def _results(session: Any, tag: str, job: Any, tasks: Sequence[Task]) -> list[tuple[str, bytes]]:
    """Return the keys and results of the tasks of one job."""
    session.addTag(tag)  # of this thread
    try:
        rows = job.collect()
    except PythonException:
        raise
    except _FAILURES as error:
        found = re.search(r"Task (\d+) in stage", str(error))
        raise died(tasks[int(found[1]) if found else 0].path, "Spark", _first_line(error)) from error
    return [(tasks[row["index"]].key, bytes(row["state"])) for row in rows]


def _job(session: Any, function: Callable[[Task], bytes], tasks: Sequence[Task]) -> Any:
    """Return the table of the results, each task being a partition."""

    def of_partition(batches: Any) -> Iterator[Any]:
        for batch in batches:
            for index in batch.column("id").to_pylist():
                state = pa.array([function(tasks[index])], pa.binary())
                yield pa.RecordBatch.from_pydict({"index": pa.array([index], pa.int64()), "state": state})

    return _mapped(session.range(0, len(tasks), 1, len(tasks)), of_partition, "index long, state binary")


def _mapped(table: Any, of_partition: Callable[[Any], Iterator[Any]], schema: str) -> Any:
    with warnings.catch_warnings():
        # PySpark 4.3 on pandas 3, which mapInArrow asks for and makes no use of.
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        return table.mapInArrow(of_partition, schema)


def _without_vectors(table: Any, names: Sequence[str]) -> Any:
    """Return the columns, the vectors of Spark ML as arrays."""
    vectors = {field.name for field in table.schema.fields if type(field.dataType).__name__ == "VectorUDT"}
    chosen = []
    for name in names:
        column = columns_of.col(f"`{name.replace('`', '``')}`")
        chosen.append(vector_to_array(column).alias(name) if name in vectors else column)
    return table.select(*chosen)


@contextmanager
def _session(workers: int | None, address: str | None) -> Iterator[Any]:
    """Give the session for the address, or the caller's own, or one that ends with this."""
    active = SparkSession.getActiveSession()
    if active is not None:
        if address is not None:
            message = f"`address` goes with a program that has no Spark session yet, got {address!r}; leave it out"
            raise OptionError(message)
        yield active
        return
    if address is None:
        session = _local_session(workers or _threads.available_threads())
    else:
        refuse_silent(address, "Spark")
        builder = SparkSession.builder.appName("crossent")
        try:
            session = (builder.remote if address.startswith("sc://") else builder.master)(address).getOrCreate()
        except _FAILURES as error:
            raise no_cluster(address, "Spark", _first_line(error)) from error
    try:
        yield session
    finally:
        session.stop()


def _local_session(cores: int) -> Any:
    builder = SparkSession.builder.appName("crossent").master(f"local[{cores},{_TRIES}]")
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.log.level": "ERROR",
        "spark.ui.showConsoleProgress": "false",
    }.items():
        builder = builder.config(name, value)
    # Spark's workers are the first python3 of the PATH otherwise, which need not be this one.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        return builder.getOrCreate()
    except PySparkException as error:
        message = f"engine='spark' needs Java 17 or later, which does not start ({one_line(error)}): install it, or set JAVA_HOME"
        raise MissingExtraError(message) from error


def _cores(session: Any) -> int:
    """Return how many tasks the cluster does at a time, as far as it says so."""
    try:
        return int(session.sparkContext.defaultParallelism)
    except PySparkException:  # Spark Connect keeps it to itself
        return _MOST_TASKS_OF_A_JOB


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
