"""The report as text: what it says, that it needs nothing else, and that it stays small."""

import itertools
import math
import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.resources import files

import numpy as np
import pytest

from crossent.errors import MissingExtraError
from crossent.scoring.report.words import number, percent, short
from crossent.scoring.result import Score
from crossent.scoring.score import score
from tests.scoring.report import cases
from tests.scoring.report.markup import Page

# What the issue allows.
MOST_BYTES = 400_000


def test_the_verdict_says_cost_interval_and_baseline() -> None:
    # -log 0.8 = 0.2231, -log 0.5 = 0.6931; their mean 0.4581; s / sqrt(4) * 1.96 with s = 0.2714; entropy of (3, 1) / 4
    rows = np.array([[0.8, 0.2], [0.2, 0.8], [0.5, 0.5], [0.5, 0.5]])
    page = Page(score(cases.table(rows, np.array([0, 1, 0, 0]))).to_html())
    assert page.of("h1") == ["0.4581 nats per row"]
    assert page.of("p")[0] == "Log loss of a table in memory"
    assert page.of("p")[1] == (
        "Over 4 rows, the truth costs 0.4581 nats on average "
        "(95 % interval 0.1922 to 0.7241, taking the rows as independent)."
    )
    assert page.of("p")[2] == (
        "Predicting the label frequencies for every row would cost 0.5623 nats; the predictions save 18.5 % of that."
    )


def test_a_missing_interval_says_what_it_lacks() -> None:
    page = Page(score(cases.table(np.array([[0.5, 0.5]]), np.array([0]))).to_html())
    assert page.of("p")[1] == (
        "Over 1 row, the truth costs 0.6931 nats on average (no interval: it takes two rows with a finite loss)."
    )


def test_impossible_rows_are_told_plainly() -> None:
    rows = np.array([[0.0, 1.0], [0.5, 0.5], [0.5, 0.5]])
    page = Page(score(cases.table(rows, np.array([0, 1, 1]))).to_html())
    assert page.of("h1") == ["∞ nats per row"]
    assert page.of("p")[1] == (
        "Over 3 rows, the cost is infinite because of 1 row whose truth was given a probability of 0. "
        "The other 2 rows cost 0.6931 nats on average (95 % interval 0.6931 to 0.6931, taking the rows as independent)."
    )
    assert (
        "1 row of 3 has a prediction of 0 for what was true. Each costs infinitely much, and so does the mean; "
        "nothing was clipped. They come first among the worst rows."
    ) in page.of("li")
    assert page.of("bdi")[page.of("bdi").index("loss, nats") + 6] == "∞"


def test_rows_without_prediction_and_labels_left_out_are_told() -> None:
    found = Page(cases.undefined().to_html())
    assert found.of("h1") == ["The cost is not defined"]
    assert found.of("li")[0] == (
        "2 rows of 497 have a prediction that is NaN or missing, which leaves the mean undefined."
    )
    assert "2 rows left out: the label is missing." in found.of("li")
    assert "1 row left out: the label is −100, which stands for “ignore”." in found.of("li")


def test_intervals_say_where_they_come_from() -> None:
    assert "from 25 clusters of 'person'" in Page(cases.clustered().to_html()).of("p")[1]
    assert "from 40 bootstrap replicates" in cases.bootstrapped().to_html()


def test_a_score_worse_than_the_frequencies_is_called_so() -> None:
    probabilities, labels = cases.predictions(300, 3)
    page = Page(score(cases.table(probabilities, (labels + 1) % 3)).to_html())
    assert "which is less: the predictions are worse than knowing the frequencies alone." in page.of("p")[2]
    assert "The predictions are worse than predicting the label frequencies for every row." in page.of("li")


def test_numbers_on_the_page_are_those_of_the_score() -> None:
    result = cases.plain()
    text = Page(result.to_html()).everything()
    names = ("cost", "bits_per_row", "perplexity", "brier", "prior_cost", "prediction_entropy")
    for value in [getattr(result, name) for name in names] + [each.cost for each in result.classes]:
        assert number(value) in text
    assert percent(result.accuracy) in text
    assert result.temperature is not None
    assert f"T = {number(result.temperature.temperature, 3)} costs {number(result.temperature.cost_nats)}" in text
    assert percent(result.losses.worst_percent_share) in text
    for each in result.worst:
        assert number(each.loss_nats) in text


@pytest.mark.parametrize("make", cases.SMALL, ids=lambda make: make.__name__)
def test_every_kind_of_score_makes_a_whole_page_that_needs_nothing_else(make) -> None:
    html = make().to_html()
    assert len(html.encode()) < MOST_BYTES
    page = Page(html)
    assert page.misplaced == []
    names = {tag for tag, _ in page.tags}
    assert names & {"script", "iframe", "object", "embed", "base", "form", "img", "video", "b"} == set()
    assert dict(page.tags)["html"] == {"lang": "en"}
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags
    ids = [values["id"] for _, values in page.tags if "id" in values]
    assert len(ids) == len(set(ids))
    for _, values in page.tags:
        assert not any(name.startswith("on") or name in ("src", "srcset", "action") for name in values)
        assert (values.get("href") or "#").startswith(("#", "data:,"))
    referred = set(re.findall(r'(?:url\(#|href="#)([\w-]+)', html))
    assert referred <= set(ids)
    assert re.findall(r"url\((?!#)|@import|https?:", html) == []
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert "nan" not in re.sub(r"not defined|NaN", "", page.everything()).split()


@pytest.mark.parametrize("name", cases.LARGE)
def test_the_page_is_small_whatever_the_data(name: str) -> None:
    assert len(cases.LARGE[name]().to_html().encode()) < MOST_BYTES


def test_text_from_data_stays_text() -> None:
    html = cases.hostile().to_html()
    page = Page(html)
    seen = page.everything()
    for name in cases.HOSTILE:
        assert short(name) in seen
    assert "<script" not in html
    assert "\x00" not in html
    assert "\u202e" not in html
    assert "<b>by</b> $g$" in seen
    assert "7 * 7" in seen


def test_files_are_named_and_counted() -> None:
    page = Page(cases.many_files().to_html())
    assert "Log loss of 1,000 files" in page.of("p")
    assert "folder/part 0 <i>.parquet" in page.of("bdi")
    assert "… and 970 more files." in page.of("p")


def test_the_same_score_gives_the_same_text_in_another_process_and_after_a_round_trip() -> None:
    command = "import sys; from tests.scoring.report import cases; sys.stdout.buffer.write(cases.hostile().to_html().encode())"
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    other = subprocess.run([sys.executable, "-c", command], capture_output=True, check=True, env=environment)
    result = cases.hostile()
    assert other.stdout.decode() == result.to_html()
    assert Score.from_bytes(result.to_bytes()).to_html() == result.to_html()


def test_matplotlib_is_loaded_when_a_report_is_made_and_pyplot_never() -> None:
    command = (
        "import sys; from tests.scoring.report import cases; made = cases.one_row()\n"
        "assert 'matplotlib' not in sys.modules and 'jinja2' not in sys.modules\n"
        "made.to_html(); assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0


def test_without_jinja_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "crossent.scoring.report.page", raising=False)
    with pytest.raises(MissingExtraError) as raised:
        import_module("crossent.scoring.report.page")
    assert str(raised.value) == "a report needs Jinja, which is not installed: pip install 'crossent[score]'"


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.1."""
    channels = [int(colour[place : place + 2], 16) / 255.0 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("colour", ["ink", "muted", "first", "second"])
@pytest.mark.parametrize("behind", ["paper", "warn"])
def test_text_has_the_contrast_that_weak_eyes_need(scheme: int, colour: str, behind: str) -> None:
    style = files("crossent.scoring.report").joinpath("style.css").read_text(encoding="utf-8")
    block = style.split(":root {")[1 + scheme].split("}")[0]
    colours = dict(re.findall(r"--(\w+): (#\w{6});", block))
    dark, light = sorted(luminance(colours[name]) for name in (colour, behind))
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_luminance_is_that_of_the_standard() -> None:
    assert luminance("#ffffff") == pytest.approx(1.0)
    assert luminance("#000000") == 0.0
    assert math.isclose((luminance("#ffffff") + 0.05) / (luminance("#767676") + 0.05), 4.54, abs_tol=0.005)
