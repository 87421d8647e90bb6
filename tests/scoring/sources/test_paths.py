"""Globs and folders: natural order, each file once, nothing that is no data."""

import re

import pytest

from crossent.errors import SourceError
from crossent.scoring.sources.paths import expand


@pytest.fixture
def folder(tmp_path):
    for name in (
        *("part-10.csv", "part-2.csv", "part-1.csv", "deep/part-3.csv", "[odd].csv", "other.parquet"),
        *("_SUCCESS", ".hidden.csv", ".part-1.csv.crc", "part-1.csv.crc", "_temporary/part-4.csv", ".git/part-5.csv"),
    ):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a,b\n")
    return tmp_path / "data"


def names(paths, folder):
    return [str(path.relative_to(folder)) for path in paths]


def assert_refused(text, paths):
    with pytest.raises(SourceError, match=re.escape(text)) as caught:
        expand(paths)
    assert str(caught.value) == text


PARTS = ["part-1.csv", "part-2.csv", "part-10.csv"]


def test_a_file_is_itself_even_with_the_signs_of_a_glob(folder):
    for given in (folder / "[odd].csv", str(folder / "[odd].csv"), [folder / "[odd].csv"] * 2):
        assert names(expand(given), folder) == ["[odd].csv"]
    assert names(expand(folder / "_SUCCESS"), folder) == ["_SUCCESS"]


def test_a_folder_is_the_data_within(folder):
    assert names(expand(folder), folder) == ["[odd].csv", "deep/part-3.csv", "other.parquet", *PARTS]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("part-*.csv", PARTS),
        ("part-?.csv", PARTS[:2]),
        ("*", ["[odd].csv", "deep/part-3.csv", "other.parquet", *PARTS]),
        ("**/*.csv", ["[odd].csv", "deep/part-3.csv", *PARTS]),
        ("**", ["[odd].csv", "deep/part-3.csv", "other.parquet", *PARTS]),
        ("d*", ["deep/part-3.csv"]),
        ("_temp*/*.csv", []),
        ("_S*", ["_SUCCESS"]),
    ],
)
def test_globs(folder, pattern, found):
    if found:
        assert names(expand(folder / pattern), folder) == found
    else:
        assert_refused(f"`source` must name files, nothing matches '{folder / pattern}'", folder / pattern)


def test_each_file_once_whatever_it_is_called(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "link.csv").symlink_to(folder / "part-1.csv")
    assert (
        len(expand(["part-*.csv", str(folder / "part-1.csv"), "./part-2.csv", "link.csv", folder / "part-10.csv"])) == 3
    )


def test_nothing_found(folder, tmp_path):
    assert_refused(f"`source` must be a file, there is no '{folder / 'no.csv'}'", [folder / "no.csv"])
    assert_refused(f"`source` must name files, nothing matches '{folder / '*.npz'}'", folder / "*.npz")
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    (tmp_path / "empty" / "_SUCCESS").touch()
    assert_refused(
        f"`source` must name files, the folder '{tmp_path / 'empty'}' has none; hidden files and _SUCCESS do not count",
        tmp_path / "empty",
    )
    assert_refused("`source` must name a file, got an empty list of paths; give at least one", [])
    assert_refused("`source` must be paths of files, got dict among them; write it to a file first", [{}])
    assert_refused(
        "`source` must be a file on this machine, got 's3://b/*.csv'; copy it here first, or open it with pyarrow and "
        "give the stream of its record batches",
        "s3://b/*.csv",
    )


def test_the_endings_of_a_folder_are_those_of_the_readers():
    from crossent.scoring.sources import opening
    from crossent.scoring.sources.paths import ENDINGS

    assert set(ENDINGS) == {*opening._BINARY, *opening._TEXT}
