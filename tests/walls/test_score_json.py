"""docs/score_json.md lists every key of the JSON, no other, and with its type: compared with scores of many kinds."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest

import crossent
from crossent.scoring import options, result
from crossent.scoring.kinds import Kind
from crossent.scoring.shares import LabelForm
from crossent.scoring.top_k import ListedKind
from tests.walls import pages

PAGE = (pages.ROOT / "docs" / "score_json.md").read_text(encoding="utf-8")
OF_SCORES, _, OF_COMPARISONS = PAGE.partition("\n## A comparison\n")
NOT_FINITE = {"inf", "-inf", "nan"}
NOT_FINITE_TEXT = "not finite"  # may be a number, and may be a word
# Their keys come from the data.
MAPS = {"sources", "bad_label_values"}
# Objects that the page describes once: at the key on the right.
ALIKE = {"calibration.classes[]": "calibration.top_label", "groups[].interval": "interval", "interval": "interval"}


def documented(part: str) -> dict[str, str]:
    """Return the type of each key that a part of the page has a row for."""
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|[^|]*\| [^|]+ \|$", part, re.MULTILINE)
    assert len(dict(rows)) == len(rows) == part.count("\n| `"), "a key stands twice, or a row has other columns"
    return dict(rows)


def is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value in NOT_FINITE
    return isinstance(value, int | float) and not isinstance(value, bool)


def kind_of(value: Any) -> str:
    """Return the type of a value in the words of the page, as narrow as it can be said."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return NOT_FINITE_TEXT if value in NOT_FINITE else "text"
    if isinstance(value, dict):
        return "object"
    assert isinstance(value, list)
    if not value:
        return "list"
    if all(map(is_number, value)):
        return "list of numbers"
    if all(isinstance(each, list) and len(each) == 2 and all(map(is_number, each)) for each in value):
        return "list of pairs of numbers"
    kinds = {kind_of(each) for each in value}
    return f"list of {kinds.pop()}s" if len(kinds) == 1 else "list of several kinds"


def collect(content: Any, path: str, found: dict[str, set[str]]) -> None:
    """Add the kinds of all values in JSON to what was found under their keys."""
    for key, value in content.items():
        own = f"{path}.{key}" if path else key
        if key in MAPS and not path:
            assert all(type(each) is int for each in value.values())
            found[own].add("map of integers")
            continue
        found[own].add(kind_of(value))
        if isinstance(value, dict):
            collect(value, own, found)
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, dict):
                    collect(each, f"{own}[]", found)


def table(**columns: Any) -> pa.Table:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3]] * 10)
    frame = {f"prob_{name}": probabilities[:, place] for place, name in enumerate("abc")}
    return pa.table({**frame, **columns})


def scores() -> list[crossent.Score]:
    """Return scores of every kind of file and every option that JSON looks different for."""
    names = np.array(["a", "a", "c", "b"] * 10)
    plain = table(
        label=names,
        weight=np.linspace(0.5, 1.5, 40),
        group=[*("xyyx" * 9), "x", "y", None, "x"],
        id=[f"r{n}" for n in range(40)],
    )
    halves = table(target_a=[0.5] * 40, target_b=[0.5] * 40, target_c=[0.0] * 40)
    lone = pa.table({"label": [0, 1] * 20, "prob": np.linspace(0.1, 0.9, 40)})
    lists = pa.table({"label": [0, 2] * 20, "top_ids": [[2, 0]] * 40, "top_probs": [[0.7, 0.3]] * 40})
    marked = table(label=names, Usage=["Public", "Private"] * 20)
    documents = {"nll": [1.0, 2.0], "tokens": [2, 3], "bytes": [9, 9], "words": [1, 2], "is_bound": [True, False]}
    more_than_are_kept = pa.table({"label": np.arange(120_000) % 2, "prob": np.linspace(0.0, 1.0, 120_000)})
    return [
        crossent.score(plain, weight="weight", by="group", cluster="group"),
        crossent.score(plain, bootstrap=20, zero="clip", eps=1e-3),
        crossent.score(table(label=[*names[:-1], "none"]), bad_labels="count", rules="kaggle"),
        *map(crossent.score, (halves, lone, lists, marked, more_than_are_kept)),
        crossent.score(pa.table(documents)),
        crossent.score(pa.table({"loss": [1.0, np.inf, np.nan]})),
        crossent.score(pa.table({"label": [0], "probs": [[0.0, 1.0]]})),
    ]


@pytest.fixture(scope="module")
def found() -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = defaultdict(set)
    for score in scores():
        collect(json.loads(score.to_json()), "", kinds)
    return kinds


def described_once(found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return what was found with like objects under one key; the object itself is described by its parts."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for key, own in found.items():
        for several, one in ALIKE.items():
            if key.startswith(f"{several}."):
                key = one + key[len(several) :]
        kinds[key] |= own
    return kinds


def allowed(kind: str) -> set[str]:
    """Return what may stand where the page has a type: whole numbers are numbers, and lists may be empty."""
    also = {"number": {"integer", NOT_FINITE_TEXT}, "text": {NOT_FINITE_TEXT}}
    parts = set(kind.split(" or "))
    empty = {"list" for part in parts if part.startswith("list of ")}
    return parts.union(empty, *(also.get(part, set()) for part in parts))


def test_every_key_is_on_the_page_and_every_key_of_the_page_is_there(found: dict[str, set[str]]) -> None:
    kinds = described_once(found)
    rows = documented(OF_SCORES)
    # An object that is always there has no row of its own where its parts have.
    parents = {key.rpartition(".")[0] for key in kinds}
    parents |= {parent.rpartition(".")[0] for parent in parents}
    assert sorted(set(kinds) - set(rows) - parents) == []
    assert sorted(set(rows) - set(kinds)) == []


def test_every_value_is_of_the_type_on_the_page(found: dict[str, set[str]]) -> None:
    kinds = described_once(found)
    wrong = {key: kinds[key] for key, kind in documented(OF_SCORES).items() if not kinds[key] <= allowed(kind)}
    assert wrong == {}


def test_what_may_be_null_is_null_in_some_score_and_is_there_in_another(found: dict[str, set[str]]) -> None:
    kinds = described_once(found)
    may = {key for key, kind in documented(OF_SCORES).items() if kind.endswith(" or null")}
    assert {key for key in may if "null" not in kinds[key] or len(kinds[key]) < 2} == set()


def test_a_comparison_has_the_keys_on_the_page(tmp_path: Path) -> None:
    files = [tmp_path / "first.csv", tmp_path / "second.csv"]
    for path, p in zip(files, (0.9, 0.8), strict=True):
        path.write_text(f"label,prob_a,prob_b\na,{p},{1 - p}\nb,0.4,0.6\n", encoding="utf-8")
    content = json.loads(crossent.compare(*files).to_json())
    rows = documented(OF_COMPARISONS)
    assert set(content) == set(rows)
    assert {key: kind_of(value) for key, value in content.items() if kind_of(value) not in allowed(rows[key])} == {}
    score_keys = set(json.loads(crossent.score(files[0]).to_json()))
    assert set(content["first"]) == set(content["second"]) == score_keys
    assert {f"interval.{key}" for key in content["interval"]} == {
        k for k in documented(OF_SCORES) if k[:9] == "interval."
    }


def test_the_version_on_the_page_is_that_of_the_code() -> None:
    assert f"`schema_version` is {result.SCHEMA_VERSION}.\n" in PAGE


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("reading.kind", get_args(Kind)),
        ("reading.label_form", get_args(LabelForm)),
        ("reading.listed_kind", get_args(ListedKind)),
        ("options.zero", options.ZEROS),
        ("options.bad_labels", options.BAD_LABELS),
        ("options.rules", options.RULES),
    ],
)
def test_the_words_of_a_key_are_those_of_the_code(key: str, values: tuple[str, ...]) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{key}` |")]
    assert set(re.findall(r'"([^"]+)"', row)) == set(values)


def test_a_key_that_is_new_a_key_that_is_gone_and_another_type_are_seen() -> None:
    rows = documented("\n| `a` | number |  | x |\n| `b` | text or null | | x |\n")
    kinds: dict[str, set[str]] = defaultdict(set)
    collect({"a": True, "c": {"d": [[1, 2.5]]}}, "", kinds)
    assert set(kinds) - set(rows) == {"c", "c.d"}
    assert set(rows) - set(kinds) == {"b"}
    assert kinds["a"] == {"boolean"}
    assert not kinds["a"] <= allowed(rows["a"])
    assert kinds["c.d"] == {"list of pairs of numbers"}
