"""CSV and TSV: separators, compression, missing cells, damage."""

import gzip

import pyarrow as pa
import pytest

from crossent.scoring.sources.opening import open_source
from tests.scoring.sources.whole import assert_pieces, assert_refused, assert_unreadable, read

TEXT = "target,p_a,p_b\na,0.25,0.75\nNA,nan,inf\n,,1\n"
CELLS = {"target": ["a", "NA", None], "p_a": [0.25, pytest.approx(float("nan"), nan_ok=True), None]}
CELLS["p_b"] = [0.75, float("inf"), 1]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_separator_is_told_from_the_first_line(tmp_path, mark):
    path = tmp_path / "a.csv"
    path.write_text(TEXT.replace(",", mark))
    assert open_source(path).separator == mark
    assert read(path) == CELLS


def test_separators_within_quotes_do_not_count(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('"a;b;c;d",p\n1,0.5\n')
    assert read(path) == {"a;b;c;d": [1], "p": [0.5]}


@pytest.mark.parametrize(
    ("mark", "name"), [(":", "colons"), (" ", "spaces"), ("^", "^"), ("~", "~"), ("\x01", "\\x01")]
)
def test_a_separator_that_is_none_of_these(tmp_path, mark, name):
    path = tmp_path / "a.csv"
    path.write_text(TEXT.replace(",", mark))
    text = f"`source` must separate its columns by commas, semicolons, tabs or |, '{path}' seems to use {name}; "
    assert_refused(f"{text}write it with commas", path)


@pytest.mark.parametrize("text", ["logprob\n-0.5\n", "true label\npolar bear\n", "at 12:30\nno\n", "a\n"])
def test_one_column_is_no_wrong_separator(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    assert len(open_source(tmp_path / "a.csv").schema) == 1


@pytest.mark.parametrize(("ending", "compression"), [("csv.gz", "gzip"), ("tsv.GZ", "gzip"), ("csv.zst", "zstd")])
def test_compressed(tmp_path, ending, compression):
    path = tmp_path / f"a.b.{ending}"
    with pa.output_stream(str(path), compression=compression) as stream:
        stream.write(TEXT.encode())
    assert read(path) == CELLS
    assert open_source(path).format == "CSV"


def test_gzip_of_several_members(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n"))
    assert read(path) == {"a": [1, 3], "b": [2, 4]}


@pytest.mark.parametrize("ending", ["csv.gz", "csv.zst"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.95])
def test_compressed_and_cut(tmp_path, ending, kept):
    path = tmp_path / f"a.{ending}"
    lines = b"".join(b"%d,%d\n" % (row, row * row % 1009) for row in range(200_000))
    with pa.output_stream(str(path), compression="gzip" if ending == "csv.gz" else "zstd") as stream:
        stream.write(b"a,b\n" + lines)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    assert_refused(f"`source` must be readable, '{path}' is not: Truncated compressed stream", path)


@pytest.mark.parametrize("ending", ["csv.gz", "csv.zst", "jsonl.gz", "jsonl.zst"])
def test_a_compressed_file_that_is_something_else(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    path.write_text(TEXT)
    assert_unreadable(path)


def test_types_that_are_asked_for(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("target,p\n01,1\n02,0\n")
    assert read(path)["target"] == [1, 2]
    assert read(path, types={"target": pa.string(), "p": pa.float64()}) == {"target": ["01", "02"], "p": [1.0, 0.0]}


def test_one_piece(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "1,2\n" * 10)
    assert assert_pieces(path, ["b"], 3, 2) == 1


@pytest.mark.parametrize("text", ["a,b\n", "\n\na,b\r\n"])
def test_no_rows(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    assert open_source(tmp_path / "a.csv").schema.names == ["a", "b"]
    assert read(tmp_path / "a.csv") == {}


@pytest.mark.parametrize("text", ["a,b", "\n\n", "\r\n "])
def test_not_even_a_whole_header(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    assert_refused(f"`source` must have rows, '{tmp_path / 'a.csv'}' has none", tmp_path / "a.csv")


def test_blank_lines_before_the_header(tmp_path):
    (tmp_path / "a.csv").write_text("\n\na;b\n1;2\n")
    assert read(tmp_path / "a.csv") == {"a": [1], "b": [2]}


def test_odd_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("\ufefftarget,p_é\r\nb,0.5\r\n".encode())
    assert read(path) == {"target": ["b"], "p_é": [0.5]}
    path.write_bytes("target,p_é\nb,0.5\n".encode("latin-1"))
    assert_unreadable(path)
    path.write_text("target,p\n0,0.5\n1\n")
    assert_refused(
        f"`source` must be readable, '{path}' is not: CSV parse error: Row #3: Expected 2 columns, got 1: 1", path
    )
    path.write_bytes("target,p\n0,0.5\n".encode("utf-16"))
    assert_unreadable(path)
    path.write_text("target,p_0,p_0\n0,0.5,0.5\n")
    assert_refused(f"`source` must name each column once, '{path}' has several called p_0; rename them", path)
