"""The other three screens' answers, and the sentences for questions that make no sense."""

import json
import math
from typing import Any

import numpy as np
import pytest

from crossent.errors import CrossentError
from crossent.explaining.page.api import answer
from crossent.explaining.page.zero import LAST, curves, probability_at
from crossent.peers.by_rule import answers_at
from crossent.peers.recorded import FILE

FOUNDING: dict[str, Any] = {"target": [1, 0, 0, 0, 0], "prediction": [0.1, 0.5, 0.1, 0.1, 0.2]}


@pytest.mark.parametrize(
    ("body", "each", "total"),
    [
        ({"text": "aaaaaaaa"}, "0", "0"),
        ({"text": "jteikfqa"}, "3.000", "24.000"),
        ({"count": 8}, "3.000", None),
        ({"count": 1024}, "10.000", None),
    ],
)
def test_the_entropy_examples_of_the_founding_thread(body: dict[str, Any], each: str, total: str | None) -> None:
    shown = answer("bits", body)
    assert (shown["each"][1], shown["all"] and shown["all"][1]) == (each, total)


def test_the_codes_of_the_founding_prediction() -> None:
    shown = answer("bits", {"case": FOUNDING})
    lengths = {row["name"]: row["length"][0] for row in shown["rows"]}
    assert lengths == {"0": 3.0, "1": 1.0, "2": 3.0, "3": 3.0, "4": 3.0}
    codes = [row["code"] for row in shown["rows"]]
    assert not any(one != other and other.startswith(one) for one in codes for other in codes)
    assert "A Huffman code takes 2 bits on average." in shown["sentence"]
    own, under_truth = shown["pictures"]
    assert (own["area"][1], under_truth["area"][1]) == ("1.961", "3.322")


def test_the_areas_of_the_rectangles_add_up_to_what_they_show() -> None:
    body = {"target": [0.25, 0.25, 0.5], "prediction": [0.5, 0.3, 0.2]}
    own, under_truth = answer("bits", {"case": body})["pictures"]
    entropy = -sum(q * math.log2(q) for q in (0.5, 0.3, 0.2))
    cross = -sum(p * math.log2(q) for p, q in zip((0.25, 0.25, 0.5), (0.5, 0.3, 0.2), strict=True))
    assert math.fsum(box["area"][0] for box in own["boxes"]) == pytest.approx(entropy, rel=1e-14)
    assert math.fsum(box["area"][0] for box in under_truth["boxes"]) == pytest.approx(cross, rel=1e-14)
    for box in own["boxes"]:
        assert box["area"][0] == pytest.approx(box["p"][0] * box["bits"][0], rel=1e-15)


def test_a_class_without_a_word_has_none() -> None:
    shown = answer("bits", {"case": {"target": 1, "prediction": [1, 0]}})
    assert [(row["length"][1], row["code"]) for row in shown["rows"]] == [("0", "(nothing)"), ("–", "–")]


def test_at_zero_the_rows_are_the_packages_own_answers() -> None:
    told = {
        (one["package"], f"{function['name']} ({function['dtype']})"): function["answers"]
        for one in json.loads(FILE.read_text("utf-8"))["packages"]
        for function in one["functions"]
    }
    hows = set()
    for place in (0, 1, 7, 45, 320, LAST):
        q = probability_at(place)
        shown = answer("zero", {"place": place, "all": True})
        for row, by_rule in zip(shown["rows"], answers_at(q), strict=True):
            assert (row["package"], row["version"]) == (by_rule.package, by_rule.version)
            ran = told.get((row["package"], row["function"]), {}).get(f"q={q!r}")
            value = by_rule.value if ran is None else ran[0]
            assert float(row["answer"][0]) == pytest.approx(math.nan if value is None else float(value), nan_ok=True)
            # a run is named where there was one at this very q, and nowhere else
            assert ("; run recorded on 2026-" in row["how"]) == (ran is not None), row
            hows.add(row["how"].rpartition("; ")[2])
    assert "by its rule, checked on runs recorded on 2026-11-24" in hows
    assert "by reading the source, not run" in hows


def test_where_nothing_is_measured_the_page_says_so() -> None:
    said = answer("zero", {})["measuring"]
    assert (said["of"], said["going"]) == (0, False)
    assert said["sentence"].startswith("Nothing is measured here: each row is known by its rule, or by a run recorded")
    assert answer("measuring", {}) == said


def test_the_stops_of_the_slider_go_from_one_to_exactly_zero() -> None:
    assert [probability_at(place) for place in (0, 1, 7, 320, 321)] == [1.0, 0.1, 1e-7, 1e-320, 0.0]
    assert answer("zero", {})["exact"] == ["inf", "inf"]
    assert answer("zero", {"place": 0})["exact"] == [0.0, "0"]


def test_well_known_packages_part_ways_at_zero() -> None:
    shown = {(row["package"], row["function"]): row["answer"][1] for row in answer("zero", {})["rows"]}
    assert shown["keras on torch", "categorical_crossentropy (float32)"] == "16.118"
    assert shown["scikit-learn", "log_loss (float64)"] == "36.044"
    assert shown["crossent", "cross_entropy_from_probs (float64)"] == "inf"


def test_the_curves_start_together_and_end_where_each_goes_flat() -> None:
    drawn = curves()
    # at q = 1: 0, the lower end of a clip, or NaN of 0 log 0 as written by hand
    starts = {line["points"][0][1] for line in drawn["lines"] if line["name"] != "numpy by hand"}
    assert starts <= {0.0, 1e-7, 1.192e-7, 2.22e-16}
    ends = {line["name"]: line["points"][-1] for line in drawn["lines"]}
    assert next(end for name, end in ends.items() if "keras" in name) == [LAST, 16.12]
    assert [name for name, _ in drawn["flat"]] == list(ends)


def test_a_curve_has_a_corner_where_its_package_clips_and_is_straight_nowhere_else() -> None:
    # drawn as straight lines between points, no curve may be off by more than 0.02 nats, its top included
    for line in curves()["lines"]:
        points = [(at, float(value)) for at, value in line["points"] if math.isfinite(float(value))]
        flat = points[-1][1]
        if "keras" not in line["name"]:
            continue
        for at in np.linspace(0.02, 60.0, 2000):
            drawn = np.interp(at, *zip(*points, strict=True))
            assert drawn == pytest.approx(min(at * math.log(10.0), flat), abs=0.02), (line["name"], at)


def test_a_number_is_diagnosed_with_evidence_rivals_and_a_fix() -> None:
    shown = answer("diagnose", {"loss": "1.4612", "classes": "10"})
    first = shown["findings"][0]
    assert first["code"] == "CE005"
    assert first["evidence"]
    assert first["rivals"]
    assert first["decide"]
    assert {name for name, _ in first["fix"]} == {"PyTorch", "Keras", "JAX", "scikit-learn"}
    assert "consistent with" in shown["sentence"]


@pytest.mark.parametrize(
    "history",
    ["2.303 2.302 2.304 2.303", "2.303\n2.302\n2.304\n2.303\n", "epoch,loss\n1,2.303\n2,2.302\n3,2.304\n4,2.303"],
)
def test_a_pasted_history_is_drawn_beside_its_reference_lines(history: str) -> None:
    shown = answer("diagnose", {"history": history, "classes": "10"})
    assert shown["findings"][0]["code"] == "CE101"
    assert shown["curve"]["plot"]["lines"][0]["points"] == [[0, 2.303], [1, 2.302], [2, 2.304], [3, 2.303]]
    assert shown["curve"]["plot"]["marks"][0]["y"][1] == "2.303"


def test_a_long_history_is_thinned_for_the_screen() -> None:
    history = " ".join(str(2.0 + 1.0 / (step + 1)) for step in range(5000))
    shown = answer("diagnose", {"history": history})
    points = shown["curve"]["plot"]["lines"][0]["points"]
    assert len(points) <= 400
    assert points[-1][0] > 4900


def test_a_pasted_batch_is_diagnosed() -> None:
    rows = "\n".join("0.8 0.1 0.1" if row % 2 else "0.1 0.1 0.8" for row in range(12))
    targets = " ".join("1" if row % 2 else "3" for row in range(12))
    shown = answer("diagnose", {"outputs": rows, "targets": targets, "kind": "probs"})
    assert any("1" in finding["message"] for finding in shown["findings"])
    assert shown["findings"]


def test_a_history_that_names_a_file_is_never_opened(tmp_path: Any) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("loss\n1.25\n", encoding="utf-8")
    with pytest.raises(CrossentError) as caught:
        answer("diagnose", {"history": str(secret)})
    assert "1.25" not in str(caught.value)
    with pytest.raises(CrossentError) as caught:
        answer("diagnose", {"loss": "2", "targets": str(secret)})
    assert str(caught.value).startswith("`targets` must have one row of numbers per line; line 1 is")


@pytest.mark.parametrize(
    ("question", "body", "message"),
    [
        ("what", {}, "`question` must be one of explain, bits, zero, measuring, diagnose; got 'what'."),
        ("explain", [], "the body must be a JSON object; got list."),
        ("explain", {**FOUNDING, "rows": 3}, "`rows` must be a list of class ids; got int."),
        ("explain", {**FOUNDING, "rows": [-1]}, "`rows` must hold class ids, whole numbers from 0; got -1."),
        ("explain", {**FOUNDING, "slice": 0.5}, "`slice` must hold class ids, whole numbers from 0; got 0.5."),
        ("explain", {**FOUNDING, "guess": "much"}, '`guess` must hold numbers, "inf", "-inf" or "nan"; got \'much\'.'),
        ("bits", {}, '`bits` needs "text", "count" or "case"; got none of them.'),
        ("bits", {"text": ""}, "`text` must be a text of 1 to 10000 letters; got 0."),
        ("bits", {"text": 5}, "`text` must be a text of 1 to 10000 letters; got int."),
        ("bits", {"count": 0}, "`count` must be a whole number from 1 to 1024; got 0."),
        ("bits", {"count": True}, "`count` must be a whole number from 1 to 1024; got True."),
        ("zero", {"place": 322}, "`place` must be a whole number from 0 (q = 1) to 321 (q = 0); got 322."),
        ("diagnose", {"loss": 2}, "`loss` must be a text; got int."),
        (
            "diagnose",
            {"outputs": "1 2\n3"},
            "`outputs` must have as many numbers in every row; got [1, 2].",
        ),
        (
            "diagnose",
            {"history": "1 2\n3 4"},
            "`history` has 2 columns and no names; name them in the first line (loss, ...).",
        ),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_in_one_sentence(question: str, body: Any, message: str) -> None:
    with pytest.raises(CrossentError) as caught:
        answer(question, body)
    assert str(caught.value) == message
