"""Tables that live in an engine give the numbers of the same rows in a file, wherever their partitions begin."""

from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from crossent.errors import LabelError, OptionError, SourceError
from crossent.scoring.columns import Asked
from crossent.scoring.engines.live import open_live, score_live
from crossent.scoring.options import Options
from crossent.scoring.reading import understand
from crossent.scoring.result import Score
from crossent.scoring.score import score
from crossent.scoring.tasks import job_for
from tests.scoring.engines.conftest import table

# More than the impossible rows, whose order among themselves is that of the partitions.
WORST = 200

pytestmark = [
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning"),  # Ray 2.60 sets its own old settings
    pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.reset_index"),  # pandas 3.1, in Dask's reader
]


def live_score(source: Any, **asked: Any) -> Score:
    live = open_live(source)
    assert live is not None
    job = job_for(understand(live.head, Asked(**asked)), Options(worst=WORST), batch_rows=300)
    return reduce(Score.merge, score_live(live, job, 2, None), Score())


def facts(result: Score) -> dict[str, Any]:
    """Return everything but where the rows were, and where the temperature was looked for: files have a pilot."""
    plain = result.to_dict()
    del plain["sources"], plain["reading"]["source"], plain["reading"]["format"], plain["options"]["anchors"]
    for row in plain["worst"]:
        del row["source"], row["row"]
    plain["worst"].sort(key=lambda row: (-float(row["loss_nats"]), int(row["id"])))
    return plain


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    return pa.concat_tables([table(0), table(1), table(2)])


@pytest.fixture(scope="module")
def expected(rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("file") / "rows.parquet"
    parquet.write_table(rows, path)
    return facts(score(path, worst=WORST))


@pytest.fixture(scope="module")
def client() -> Iterator[None]:
    distributed = pytest.importorskip("distributed")
    pytest.importorskip("dask.dataframe")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster):
        yield


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=200_000_000, log_to_driver=False)
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    sql = pytest.importorskip("pyspark.sql")
    builder = sql.SparkSession.builder.master("local[2,4]").config("spark.ui.enabled", "false")
    session = builder.config("spark.log.level", "OFF").config("spark.driver.host", "127.0.0.1").getOrCreate()
    yield session
    session.stop()


@pytest.mark.parametrize("partitions", [1, 7])
def test_a_dask_dataframe(partitions: int, client: None, rows: pa.Table, expected: dict[str, Any]) -> None:
    from dask import dataframe

    result = live_score(dataframe.from_pandas(rows.to_pandas(), npartitions=partitions))
    assert facts(result) == expected
    assert result.sources == {"<dask>": 6000}


def test_partitions_of_a_dask_dataframe_without_rows_or_labels(client: None, rows: pa.Table) -> None:
    from dask import dataframe

    names = pa.array(np.array(["cat", "dog", "eel"])[rows["target"].fill_null(0).to_numpy()])
    named = rows.set_column(1, "target", names).rename_columns(["id", "target", "prob_cat", "prob_dog", "prob_eel"])
    frame = named.to_pandas().astype({"target": object})
    frame.loc[:2999, "target"] = None
    partitioned = dataframe.from_pandas(frame, npartitions=6)
    result = live_score(partitioned[partitioned["id"] >= 1500])
    oracle = score(pa.Table.from_pandas(frame[frame["id"] >= 1500], preserve_index=False), worst=WORST)
    assert facts(result) == facts(oracle)
    assert result.missing_labels == 1500


def test_a_ray_dataset(ray: Any, rows: pa.Table, expected: dict[str, Any]) -> None:
    pieces = [rows.slice(start, 1700) for start in range(0, 6000, 1700)]
    result = live_score(ray.data.from_arrow(pieces))
    assert facts(result) == expected
    assert result.sources == {"<ray>": 6000}


def test_tensors_of_a_ray_dataset(ray: Any, rows: pa.Table) -> None:
    predictions = np.stack([rows[f"prob_{i}"].to_numpy() for i in range(3)], axis=1)
    labels = rows["target"].fill_null(0).to_numpy()

    def with_predictions(batch: dict[str, Any]) -> dict[str, Any]:
        return {"id": batch["id"], "target": labels[batch["id"]], "probs": predictions[batch["id"]]}

    dataset = ray.data.range(6000, override_num_blocks=3).map_batches(with_predictions)
    listed = pa.table({"id": rows["id"], "target": labels, "probs": list(predictions)})
    assert facts(live_score(dataset)) == facts(score(listed, worst=WORST))


def test_a_killed_worker_changes_no_bit_of_a_ray_dataset(
    ray: Any, rows: pa.Table, expected: dict[str, Any], tmp_path: Path
) -> None:
    import os
    import signal

    def kill_once(block: pa.Table) -> pa.Table:
        if 3000 in block["id"].to_pylist() and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return block

    pieces = [rows.slice(start, 1700) for start in range(0, 6000, 1700)]
    dataset = ray.data.from_arrow(pieces).map_batches(kill_once, batch_format="pyarrow", batch_size=None)
    assert facts(live_score(dataset)) == expected
    assert (tmp_path / "killed").exists()


def test_a_spark_dataframe(spark: Any, rows: pa.Table, expected: dict[str, Any]) -> None:
    result = live_score(spark.createDataFrame(rows).repartition(5))
    assert facts(result) == expected
    assert result.sources == {"<spark>": 6000}


def test_names_with_dots_in_a_spark_dataframe(spark: Any, rows: pa.Table) -> None:
    dotted = rows.rename_columns(["id", "target", "prob.a", "prob.b`", "prob.c"])
    numbers = pa.array(np.array(["a", "b`", "c"])[rows["target"].fill_null(0).to_numpy()])
    dotted = dotted.set_column(1, "target", numbers)
    assert facts(live_score(spark.createDataFrame(dotted))) == facts(score(dotted, worst=WORST))


def test_vectors_of_spark_ml(spark: Any, rows: pa.Table, expected: dict[str, Any]) -> None:
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import functions

    frame = spark.createDataFrame(rows)
    vector = array_to_vector(functions.array("prob_0", "prob_1", "prob_2")).alias("probability")
    result = live_score(frame.select("id", functions.col("target").cast("double").alias("label"), vector))
    got = facts(result)
    for name in ("cost", "rows", "missing_labels", "impossible", "undefined", "tied", "calibration", "interval"):
        assert got[name] == expected[name]


def test_bad_data_is_the_error_of_a_file(client: None, rows: pa.Table) -> None:
    from dask import dataframe

    frame = rows.to_pandas()
    frame.loc[4321, "target"] = 3
    with pytest.raises(LabelError) as caught:
        live_score(dataframe.from_pandas(frame, npartitions=1))
    assert str(caught.value) == "`target` must hold one of the classes 0, 1, 2; row 4321 has 3: are the labels 1-based?"


def test_another_engine_than_its_own_is_refused(client: None, rows: pa.Table) -> None:
    from dask import dataframe

    with pytest.raises(OptionError) as caught:
        open_live(dataframe.from_pandas(rows.to_pandas(), npartitions=1), "ray")
    assert str(caught.value) == "`engine` must be 'dask' for a Dask DataFrame, got 'ray'; leave it out"


def test_what_is_no_table_is_refused(client: None) -> None:
    from dask import array

    with pytest.raises(SourceError) as caught:
        open_live(array.zeros(3))
    assert str(caught.value) == "`source` must be a path or a table, got dask's Array; make it a Dask DataFrame"


def test_other_tables_are_not_live(rows: pa.Table) -> None:
    assert open_live(rows) is None
    assert open_live(rows.to_pandas()) is None
    assert open_live("a.parquet") is None
