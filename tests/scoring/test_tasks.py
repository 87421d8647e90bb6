"""The same bytes however the work is cut: threads, row groups, batches, the order of the files, pieces."""

import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from crossent.errors import LabelError, OptionError, SourceError
from crossent.scoring import tasks
from crossent.scoring.score import score
from crossent.scoring.state import kept_rows

ROWS = 2500


def table(seed: int, *, missing: bool = True) -> pa.Table:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(ROWS, 3)) * 4
    logits[rng.random((ROWS, 3)) < 0.01] = -np.inf
    labels = pa.array(rng.integers(0, 3, ROWS), mask=rng.random(ROWS) < 0.02 if missing else None)
    columns = {"target": labels, **{f"logit_{c}": logits[:, c].astype(np.float32) for c in range(3)}}
    return pa.table(
        {**columns, "w": rng.random(ROWS), "g": rng.choice(["a", "b", "c"], ROWS), "k": rng.integers(0, 99, ROWS)}
    )


@pytest.fixture
def write_parts(tmp_path: Path):
    def written(row_group_size: int) -> list[str]:
        paths = [tmp_path / f"{number}.parquet" for number in range(3)]
        for number, path in enumerate(paths):
            parquet.write_table(table(number), path, row_group_size=row_group_size)
        return [str(path) for path in paths]

    return written


OPTIONS = [
    {},
    {"weight": "w"},
    {"by": "g", "cluster": "k", "worst": 7},
    {"bootstrap": 20, "weight": "w"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("most", [0, 100_000])
def test_neither_threads_row_groups_batches_nor_the_order_of_files_change_a_byte(
    write_parts, monkeypatch, options, most
):
    monkeypatch.setattr(kept_rows, "MOST_ROWS", most)
    monkeypatch.setattr(tasks, "_TASK_VALUES", 900)
    paths = write_parts(200)
    expected = score(paths, workers=1, **options).to_bytes()
    for workers in (1, 2, 5):
        for row_group_size, batch_rows in ((200, None), (1, 64), (77, 10), (ROWS, 999)):
            if row_group_size == 1 and workers != 2:
                continue  # 7500 row groups take their time
            paths = write_parts(row_group_size)
            shuffled = [paths[i] for i in np.random.default_rng(workers).permutation(3)]
            assert score(shuffled, workers=workers, batch_rows=batch_rows, **options).to_bytes() == expected


def test_a_folder_a_pattern_and_the_files_are_the_same(write_parts, tmp_path):
    paths = write_parts(500)
    expected = score(paths).to_bytes()
    assert score(tmp_path).to_bytes() == expected
    assert score(str(tmp_path / "*.parquet")).to_bytes() == expected
    assert score([*paths, str(tmp_path / "[0-1].parquet")]).to_bytes() == expected


def test_bytes_survive_the_way_to_another_process(write_parts):
    paths = write_parts(500)
    whole = score(paths)
    parts = [tasks.read_result(tasks.run_task(task, job)) for task, job in planned(paths)]
    merged = type(whole)()
    for part in reversed(parts):
        merged.merge(part)
    assert merged.to_bytes() == whole.to_bytes()


def planned(paths):
    from crossent.scoring.columns import Asked
    from crossent.scoring.options import Options
    from crossent.scoring.preparing import prepare

    prepared = prepare([Path(path) for path in paths], Asked(), Options())
    return [(task, prepared.job) for task in tasks.plan(prepared.sources, prepared.job)]


def test_bad_data_comes_back_as_what_it_was(write_parts, tmp_path):
    paths = write_parts(500)
    spoiled = parquet.read_table(paths[2]).to_pydict()
    spoiled["target"][1234] = 3
    parquet.write_table(pa.table(spoiled), paths[2])
    task, job = planned(paths)[-1]
    result = tasks.run_task(task, job)
    with pytest.raises(LabelError) as remote:
        tasks.read_result(result)
    with pytest.raises(LabelError) as local:
        score(paths)
    said = "`target` must hold one of the classes 0, 1, 2; row 1234 has 3: are the labels 1-based?"
    assert str(remote.value) == str(local.value) == f"{said} (in '{paths[2]}')"


def test_a_file_without_the_columns_of_the_first(write_parts):
    paths = write_parts(500)
    parquet.write_table(table(1).drop_columns(["logit_1"]), paths[1])
    with pytest.raises(SourceError) as caught:
        score(paths)
    assert str(caught.value) == (
        f"`source` must have the columns of '{paths[0]}' in every file, '{paths[1]}' has no logit_1"
    )


def test_reading_ahead_ends_with_its_reader():
    before = threading.active_count()
    items = tasks.ahead(iter(range(10)))
    assert next(items) == 0
    items.close()
    assert threading.active_count() == before
    assert list(tasks.ahead(iter(range(10)))) == list(range(10))

    broken = SourceError("broken")

    def breaks():
        yield 1
        raise broken

    with pytest.raises(SourceError, match="broken"):
        list(tasks.ahead(breaks()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "`workers` must be at least 1, got 0"),
        ({"workers": True}, "`workers` must be at least 1, got True"),
        ({"engine": "Dask"}, "`engine` must be 'local', 'processes', 'dask', 'ray' or 'spark', got 'Dask'"),
        ({"address": "a:1"}, "`address` goes with the engines 'dask', 'ray' and 'spark'; the engine 'local' has none"),
    ],
)
def test_options_that_cannot_be(write_parts, options, message):
    with pytest.raises(OptionError) as caught:
        score(write_parts(500), **options)
    assert str(caught.value) == message
