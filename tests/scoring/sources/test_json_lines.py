"""JSON lines: types, missing keys, lists, line numbers in errors, blocks."""

import json

import numpy as np
import pyarrow as pa
import pytest

from crossent.errors import SourceError
from crossent.scoring.sources import lines
from crossent.scoring.sources.opening import open_source
from tests.scoring.sources.whole import assert_pieces, assert_refused, read


def must(number: int, path: object, reason: str) -> str:
    return (
        f"`source` must hold one JSON object per line, line {number} of '{path}' does not: {reason}; "
        "write each row as an object on a line of its own"
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.jsonl"


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json", "a.jsonl.gz", "a.jsonl.zst"])
@pytest.mark.parametrize("batch_rows", [1, 7, 10**6])
def test_rows_are_those_that_were_written(tmp_path, name, batch_rows, monkeypatch):
    monkeypatch.setattr(lines, "_BLOCK_BYTES", 997)
    rng = np.random.default_rng(0)
    rows = [
        {
            "target": int(rng.integers(3)),
            "probs": rng.dirichlet(np.ones(3)).tolist(),
            "id": f"é{row}",
            "p": rng.random(),
        }
        for row in range(300)
    ]
    text = "\n".join(json.dumps(row) for row in rows)
    compression = {"gz": "gzip", "zst": "zstd"}.get(name.rpartition(".")[2])
    with pa.output_stream(str(tmp_path / name), compression=compression) as stream:
        stream.write(text.encode())
    assert read(tmp_path / name, batch_rows=batch_rows) == {key: [row[key] for row in rows] for key in rows[0]}
    assert assert_pieces(tmp_path / name, ["p", "probs"], 10, batch_rows) == 1


def test_types_are_those_of_the_first_lines(path):
    path.write_text(
        '{"a": 1, "b": [1, 2], "c": true, "d": "2024-01-01", "e": null}\n'
        '{"a": 2.5, "b": [null, 0.5], "c": null, "d": null}\n'
    )
    source = open_source(path)
    types = {"a": pa.float64(), "b": pa.list_(pa.float64()), "c": pa.bool_(), "d": pa.string(), "e": pa.null()}
    assert source.schema == pa.schema(types)
    assert read(path) == {
        "a": [1, 2.5],
        "b": [[1, 2], [None, 0.5]],
        "c": [True, None],
        "d": ["2024-01-01", None],
        "e": [None, None],
    }


def test_what_python_writes_for_no_number(path):
    path.write_text('{"p": NaN, "l": [Infinity, -Infinity]}\n')
    found = read(path)
    assert np.isnan(found["p"][0])
    assert found["l"] == [[np.inf, -np.inf]]


def test_types_that_are_asked_for(path):
    path.write_text('{"p": 1, "label": 7, "x": null, "l": [1]}\n')
    asked = {"p": pa.float64(), "label": pa.string(), "x": pa.float64(), "l": pa.float64()}
    assert read(path, types=asked) == {"p": [1.0], "label": ["7"], "x": [None], "l": [[1.0]]}


def test_an_integer_beyond_64_bits_is_a_float(path):
    path.write_text('{"a": 123456789012345678901234567890}\n')
    assert read(path) == {"a": [123456789012345678901234567890.0]}


def test_keys_that_can_be_no_column_are_skipped_with_the_reason(path):
    path.write_text('{"p": 1, "about": {"x": 1}, "mixed": 1, "deep": [[1]]}\n{"p": 2, "mixed": "x"}\n')
    source = open_source(path)
    assert source.schema.names == ["p"]
    assert source.skipped == {
        name: f"`{name}` must hold numbers, text or lists of numbers, in '{path}' it holds objects, lists within lists, "
        f"or values of several kinds; write it as one of them"
        for name in ("about", "mixed", "deep")
    }
    assert read(path) == {"p": [1, 2]}


def test_blank_lines_carriage_returns_and_a_byte_order_mark(path):
    path.write_bytes(b'\xef\xbb\xbf\r\n{"a": 1}\r\n\r\n \n{"b": 2}\r\n\n')
    assert read(path) == {"a": [1, None], "b": [None, 2]}


@pytest.mark.parametrize("block_bytes", [5, 40, 2**20])
def test_the_line_that_is_wrong_is_named(path, block_bytes, monkeypatch):
    monkeypatch.setattr(lines, "_BLOCK_BYTES", block_bytes)
    good = '{"a": 1}\n' * 30
    path.write_text(good + '\n{"a": "x"}\n' + good)
    if block_bytes == 2**20:  # the first block shows both kinds
        assert open_source(path).schema.names == []
        return
    assert_refused(must(32, path, "JSON parse error: Column(/a) changed from number to string"), path)
    path.write_text(good + '\n{"a": 1.5}\n' + good)
    assert_refused(must(32, path, "Failed to convert JSON to int64, couldn't parse:1.5"), path)
    path.write_text(good + '{"a": 1, "a": 2}\n' + good)
    assert_refused(must(31, path, "JSON parse error: Column(/a) was specified twice"), path)


def test_a_line_that_breaks_off(path):
    path.write_text('{"a": 1}\n{"a": 1')
    assert_refused(must(2, path, "JSON parse error: Missing a comma or '}' after an object member"), path)


def test_a_line_that_is_no_object_and_a_whole_document(path):
    path.write_text('{"a": 1}\n[1, 2]\n')
    assert_refused(must(2, path, "it holds list"), path)
    path.write_text(json.dumps({"rows": [1, 2]}, indent=1))
    reason = "Expecting property name enclosed in double quotes at column 2"
    assert_refused(must(1, path, reason), path)
    path.write_text("[" * 100_000)
    with pytest.raises(SourceError) as caught:
        read(path)
    assert str(caught.value).startswith(f"`source` must hold one JSON object per line, line 1 of '{path}' does not: ")


def test_a_file_that_is_one_endless_line(path, monkeypatch):
    monkeypatch.setattr(lines, "_BLOCK_BYTES", 10)
    monkeypatch.setattr(lines, "_LONGEST_LINE_BYTES", 100)
    path.write_text('{"a": 1}\n{"a": [' + "1, " * 100)
    assert_refused(must(2, path, "it is longer than 100 bytes"), path)


@pytest.mark.parametrize("rows", [0, 200_000])
def test_bytes_that_are_no_text(path, rows):
    path.write_bytes(b'{"a": "x"}\n' * rows + b'{"a": "\xe9"}\n')
    assert_refused(
        f"`source` must be text in UTF-8, line {rows + 1} of '{path}' is not, it has the byte 0xe9; convert it from what it "
        f"is, for example with `iconv -f LATIN1 -t UTF-8`, or save it as UTF-8 where it was made",
        path,
    )


def test_a_key_twice_in_the_first_lines(path):
    path.write_text('{"p": 1, "p": 2}\n')
    assert_refused(f"`source` must name each column once, '{path}' has several called p; rename them", path)


def test_no_rows(path):
    path.write_text("\n\n")
    assert read(path) == {}
    assert open_source(path).schema.names == []
