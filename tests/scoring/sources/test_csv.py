"""CSV and TSV: separators, compression, missing cells, damage."""

import gzip

import pyarrow as pa
import pytest

from crossent.errors import SourceError
from crossent.scoring.sources.opening import open_source, read_batches
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


@pytest.mark.parametrize("text", ["a,b\r1,2\r", "a,b\r1,2", "\ra,b\r1,2"])
def test_lines_that_end_with_cr_alone(tmp_path, text):
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert_refused(
        f"`source` must end its lines with LF, '{tmp_path / 'a.csv'}' ends them with CR alone, as the first Macs did; "
        f"convert it, for example with `tr '\\r' '\\n'`",
        tmp_path / "a.csv",
    )


def test_blank_lines_before_the_header(tmp_path):
    (tmp_path / "a.csv").write_text("\n\na;b\n1;2\n")
    assert read(tmp_path / "a.csv") == {"a": [1], "b": [2]}


def test_odd_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("\ufefftarget,p_é\r\nb,0.5\r\n".encode())
    assert read(path) == {"target": ["b"], "p_é": [0.5]}
    path.write_text("target,p\n0,0.5\n1\n")
    assert_refused(
        f"`source` must be readable, '{path}' is not: CSV parse error: Row #3: Expected 2 columns, got 1: 1", path
    )
    path.write_text("target,p_0,p_0\n0,0.5,0.5\n")
    assert_refused(f"`source` must name each column once, '{path}' has several called p_0; rename them", path)


WIDE = "; convert it, for example with `iconv -f {} -t UTF-8`, or save it as UTF-8 where it was made"
BYTES = (
    "; convert it from what it is, for example with `iconv -f LATIN1 -t UTF-8`, or save it as UTF-8 where it was made"
)


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl"])
@pytest.mark.parametrize(
    ("codec", "name"),
    [
        *[("utf-16", "UTF-16"), ("utf-32", "UTF-32"), ("utf-16-le", "UTF-16LE"), ("utf-16-be", "UTF-16BE")],
        *[("utf-32-le", "UTF-32LE"), ("utf-32-be", "UTF-32BE")],
    ],
)
def test_text_in_wide_characters(tmp_path, ending, codec, name):
    path = tmp_path / f"a.{ending}"
    text = ('{"target": 0, "p": 0.5}\n' * 3 if ending == "jsonl" else TEXT).encode(codec)
    path.write_bytes(gzip.compress(text) if ending.endswith("gz") else text)
    assert_refused(f"`source` must be text in UTF-8, '{path}' is in {name}{WIDE.format(name)}", path)


@pytest.mark.parametrize("text", ["target,p_\xe9\nb,0.5\n", "\n\ntarget,p_\xe9\nb,0.5\n"])
def test_a_header_in_latin_1(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("latin-1"))
    line = 3 if text.startswith("\n") else 1
    assert_refused(f"`source` must be text in UTF-8, line {line} of '{path}' is not, it has the byte 0xe9{BYTES}", path)


@pytest.mark.parametrize("column", ["target", "p_a"])
@pytest.mark.parametrize("rows", [3, 200_000])
def test_a_cell_in_latin_1(tmp_path, column, rows):
    path = tmp_path / "a.csv"
    cells = {"target": "a", "p_a": "0.5"} | {column: "h\xe9"}
    path.write_bytes(b"target,p_a\n" + b"a,0.5\n" * rows + ",".join(cells.values()).encode("latin-1") + b"\n")
    types = {"target": pa.string(), "p_a": pa.float64()}
    with pytest.raises(SourceError) as caught:
        list(read_batches(open_source(path), ["target", "p_a"], 1000, types))
    assert str(caught.value) == (
        f"`source` must be text in UTF-8, line {rows + 2} of '{path}' is not, it has the byte 0xe9{BYTES}"
    )


@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz"])
def test_a_byte_order_mark_of_utf_8_is_no_text(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    text = b"\xef\xbb\xbf" + TEXT.replace(",", "\t" if ending == "tsv" else ",").encode()
    path.write_bytes(gzip.compress(text) if ending.endswith("gz") else text)
    assert read(path) == CELLS


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a,p\nx,1\ny,NA\n", 3),
        ("\n\na,p\n\nx,1\n\n\ny,NA\n", 8),
        ('a,p\n"x\n\ny",1\nNA,NA\n', 5),
        ("a,p\r\nx,1\r\ny,NA\r\n", 3),
        ('a,p\nx 5",1\ny,NA\n', None),
    ],
)
def test_the_line_of_a_word_among_numbers(tmp_path, text, line):
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    where = f"line {line} of '{path}' has 'NA'" if line else f"'{path}' has 'NA'"
    assert open_source(path).where_no_number("p") == where
    with pytest.raises(SourceError) as caught:
        list(read_batches(open_source(path), ["a", "p"], 1000, {"a": pa.string(), "p": pa.float64()}))
    text = f"`p` must hold numbers, {where}; correct the cell, or leave it empty where there is no value"
    assert str(caught.value) == text


def test_a_cell_that_is_not_what_the_first_ones_are(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "1,true\n" * 200_000 + "0.5,true\n" + "1,maybe\n")
    end = "; correct the cell, or leave it empty where there is no value"
    for column, what, line, cell in (("a", "whole numbers", 200_002, "0.5"), ("b", "true and false", 200_003, "maybe")):
        text = f"`{column}` must hold {what} as in the lines before, line {line} of '{path}' has {cell!r}{end}"
        assert_refused(text, path, [column])


def test_a_long_cell_is_cut(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"p\n1\n{'long ' * 100}\n")
    assert open_source(path).where_no_number("p") == f"line 3 of '{path}' has '{('long ' * 8)[:37]}...'"
    path.write_text("p\n1\n2\n")
    assert open_source(path).where_no_number("p") is None
