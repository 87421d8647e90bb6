"""Groups and clusters: rows without a value are a group of their own, which nothing else is called."""

import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from crossent.cli.app import run
from crossent.scoring.result import Score
from crossent.scoring.score import score

STORES = ["", None, "(missing)", "'(missing)'", None, "", "north"]
ROWS = len(STORES)


def table(stores: list) -> dict:
    return {"store": stores, "target": ["a"] * len(stores), "p_a": [0.5] * len(stores), "p_b": [0.5] * len(stores)}


def test_missing_is_no_empty_text(write):
    result = score(write(table(STORES)), by="store")
    assert [(each.name, each.rows) for each in result.groups] == [
        *[(None, 2), ("", 2), ("'(missing)'", 1), ("(missing)", 1), ("north", 1)]
    ]
    again = Score.from_bytes(result.to_bytes())
    assert again.groups == result.groups
    assert again.to_bytes() == result.to_bytes()
    assert [each["name"] for each in json.loads(result.to_json())["groups"]] == [each.name for each in result.groups]


@pytest.mark.parametrize("values", [[1.0, None, 1.0], [1, None, 1], [True, None, True]])
def test_numbers_that_are_missing(write, values):
    result = score(write(table(values)), by="store")
    assert [(each.name, each.rows) for each in result.groups] == [(None, 1), (str(values[0]).removesuffix(".0"), 2)]


def test_order_of_the_rows_changes_no_bit(write):
    one, other = score(write(table(STORES), "a.parquet"), by="store"), score(write(table(STORES[::-1])), by="store")
    assert [each.name for each in one.groups] == [each.name for each in other.groups]
    assert Score().merge(one).merge(other).to_bytes() == Score().merge(other).merge(one).to_bytes()


def test_clusters_without_a_name_are_one_beside_the_empty_one(write):
    assert score(write(table(["", None, "", None])), cluster="store").interval.units == 2


def test_the_screen_and_the_report_tell_them_apart(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    parquet.write_table(pa.table(table(STORES)), "a.parquet")
    assert run(["score", "a.parquet", "--by", "store", "--report", "r.html"]) == 0
    shown = [line.split()[:2] for line in capsys.readouterr().out.splitlines() if "(missing)" in line]
    assert shown == [["(missing)", "2"], ["''(missing)''", "1"], ["'(missing)'", "1"]]
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert all(f">{name}<" in page for name in ("(missing)", "&#39;(missing)&#39;", "&#39;&#39;(missing)&#39;&#39;"))
