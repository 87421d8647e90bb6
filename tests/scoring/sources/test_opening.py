"""Which reader is chosen, and what is refused before any is."""

import pathlib
import pickle

import numpy as np
import pytest

from crossent.scoring.sources.opening import open_source
from tests.scoring.sources.whole import assert_refused, read

ENDINGS = ".parquet, .pq, .arrow, .arrows, .ipc, .feather, .npy, .npz, .safetensors, .csv, .tsv, .jsonl, .ndjson, .json"


def test_no_file_a_folder_an_unknown_ending(tmp_path):
    assert_refused(f"`source` must be a file, there is no '{tmp_path / 'no.csv'}'", tmp_path / "no.csv")
    assert_refused(f"`source` must be a file, got the folder '{tmp_path}'; give one of the files in it", str(tmp_path))
    for name in ("a.xlsx", "a", "a.gz", "a.parquet.gz", "a.csv.bz2", "csv"):
        (tmp_path / name).write_text("x")
        assert_refused(
            f"`source` must end with one of {ENDINGS}, text also with .gz or .zst after it, got '{name}'; "
            "convert it to one of them",
            tmp_path / name,
        )


@pytest.mark.parametrize("ending", ["pkl", "pickle", "pt", "pth", "bin", "joblib"])
def test_pickles_are_refused_and_not_run(tmp_path, ending):
    path = tmp_path / f"a.{ending}"

    class Runs:
        def __reduce__(self):
            return (pathlib.Path(tmp_path / "ran").touch, ())

    path.write_bytes(pickle.dumps(Runs()))
    assert_refused(
        f"`source` must not be a pickle, got 'a.{ending}': loading one runs the code that is in it; "
        "write the arrays with np.savez, or the table as Parquet",
        path,
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "url", ["s3://bucket/a.parquet", "gs://bucket/a.csv", "https://host/a.csv", "hf://datasets/a", "file:///a.csv"]
)
def test_remote_files_are_refused(url):
    assert_refused(
        f"`source` must be a file on this machine, got '{url}'; copy it here first, or open it with pyarrow and "
        "give the stream of its record batches",
        url,
    )
    assert_refused(
        f"`source` must be a file on this machine, got '{pathlib.Path('s3://b/a')}'; copy it here first, or open it "
        "with pyarrow and give the stream of its record batches",
        pathlib.Path("s3://b/a"),
    )


@pytest.mark.parametrize(
    "name", ["a.parquet", "a.csv", "a.csv.gz", "a.arrow", "a.npz", "a.npy", "a.jsonl", "a.safetensors"]
)
def test_an_empty_file(tmp_path, name):
    (tmp_path / name).touch()
    assert_refused(f"`source` must have rows, '{tmp_path / name}' is an empty file", tmp_path / name)


def test_endings_in_capitals_and_files_that_say_who_they_are(tmp_path):
    (tmp_path / "A.CSV").write_text("a,b\n1,2\n")
    assert read(tmp_path / "A.CSV") == {"a": [1], "b": [2]}
    with (tmp_path / "a.csv").open("wb") as file:
        np.save(file, np.arange(3))
    assert open_source(tmp_path / "a.csv").format == "npy"


def test_a_file_that_may_not_be_read(tmp_path):
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    assert_refused(f"`source` must be a file, there is no '{tmp_path / 'loop.csv'}'", tmp_path / "loop.csv")
