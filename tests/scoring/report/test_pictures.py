"""The pictures show the numbers they are given, with ids of their own and the page's colours."""

import math
import re
import sys
from importlib import import_module
from xml.etree import ElementTree

import matplotlib
import pytest

from crossent.errors import MissingExtraError
from crossent.scoring.calibration import Decomposition, Reliability
from crossent.scoring.distribution import LossDistribution
from crossent.scoring.report import pictures
from crossent.scoring.temperature import Temperature

PARTS = Decomposition(cost=0.5, miscalibration=0.1, discrimination=0.2, uncertainty=0.6)
CURVE = Reliability("a", 10, PARTS, 0.1, (0.25, 0.5, 0.75), (0.2, 0.6, 0.7), (5.0, 3.0, 2.0), (0.2, 0.8), (0.1, 0.9))
LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0)


def distribution(edges: tuple[float, ...], weight: tuple[float, ...], infinite: float, at: float) -> LossDistribution:
    return LossDistribution(tuple((level, at) for level in LEVELS), 0.5, edges, weight, infinite)


def bars(*costs: float) -> list[pictures.Bar]:
    return [pictures.Bar(f"class {place}", cost, cost, 0.1) for place, cost in enumerate(costs)]


def numbers(text: str) -> list[float]:
    return [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?", text)]


def extents(picture: str, colour: str) -> list[tuple[float, float]]:
    """Return left and right end of every filled path of a colour."""
    found = []
    for path in ElementTree.fromstring(picture).iter("path"):
        if f"fill:var(--{colour})" in path.get("style", ""):
            across = numbers(path.attrib["d"])[0::2]
            found.append((min(across), max(across)))
    return found


def drawn() -> dict[str, str]:
    """Return a picture of every kind."""
    curve = tuple((t / 10.0, 0.4 + (t / 10.0 - 1.2) ** 2) for t in range(6, 25))
    losses = distribution((0.0, 1e-3, 1e-2, 1e-1, 1.0), (1.0, 2.0, 3.0, 4.0), 1.0, 0.05)
    return {
        "top": pictures.reliability_picture(CURVE, 16, "top", "A title"),
        "small": pictures.reliability_picture(CURVE, 16, "small", "A title", is_small=True),
        "losses": pictures.loss_picture(losses, 0.1, "losses", "A title"),
        "bars": pictures.bars_picture(bars(3.0, 1.5), 2.0, "rows", "bars", "A title", has_intervals=False),
        "points": pictures.bars_picture(bars(3.0, 1.5), 2.0, "rows", "points", "A title", has_intervals=True),
        "parts": pictures.decomposition_picture(PARTS, "parts", "A title"),
        "temperature": pictures.temperature_picture(
            Temperature(1.2, 0.4, 0.04, True, True, curve), "temperature", "A title"
        ),
    }


def test_bars_are_as_long_as_their_costs() -> None:
    (a, b), (c, d), *_ = extents(
        pictures.bars_picture(bars(3.0, 0.75), 2.0, "rows", "k", "t", has_intervals=False), "first"
    )
    assert (d - c) / (b - a) == pytest.approx(0.25, abs=0.1 / (b - a))


def test_the_parts_of_the_cost_meet() -> None:
    picture = pictures.decomposition_picture(PARTS, "k", "t")
    (zero, uncertainty), (low, high), (from_, to), (_, cost) = (
        extents(picture, colour)[0] for colour in ("muted", "first", "second", "ink")
    )
    scale = (uncertainty - zero) / 0.6
    assert high == uncertainty
    assert low == from_ == pytest.approx(zero + 0.4 * scale, abs=0.1)
    assert to == cost == pytest.approx(zero + 0.5 * scale, abs=0.1)


def test_points_of_the_reliability_diagram_lie_where_the_numbers_say() -> None:
    picture = ElementTree.fromstring(drawn()["top"])
    dots = [(float(use.attrib["x"]), float(use.attrib["y"])) for use in picture.iter("use")][-3:]
    across = [x for x, _ in dots]
    down = [y for _, y in dots]
    assert (across[1] - across[0]) / (across[2] - across[0]) == pytest.approx(0.5, abs=0.01)
    assert (down[0] - down[1]) / (down[0] - down[2]) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("kind", drawn())
def test_every_picture_is_a_part_of_the_page(kind: str) -> None:
    picture = drawn()[kind]
    root = ElementTree.fromstring(picture)
    assert root.tag == "svg"
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == "A title"
    ids = [each.attrib["id"] for each in root.iter() if "id" in each.attrib]
    assert len(ids) == len(set(ids))
    assert all(each.startswith(f"{kind}-") for each in ids)
    assert set(re.findall(r"#([\w-]+)", picture)) <= set(ids), "nothing else is referred to, and no colour is left"
    assert set(re.findall(r"var\(--(\w+)\)", picture)) <= {"ink", "muted", "line", "first", "second", "paper"}
    for foreign in ("http", "<style", "<script", "<metadata", "font-family", "xlink"):
        assert foreign not in picture
    assert picture == drawn()[kind], "the same picture is the same text"


def test_names_reach_the_picture_as_text_and_never_as_markup_or_mathematics() -> None:
    names = ["<b>&\"'", "$x^2$ \\frac", "😀日本", "name:0", "a\x00b\nc"]
    shown = [pictures.Bar(name, 1.0, 1.0, 0.2) for name in names]
    picture = pictures.bars_picture(shown, 1.0, "rows", "k", "t", has_intervals=False)
    texts = [text.text for text in ElementTree.fromstring(picture).iter("text")]
    assert texts[: 2 * len(names) : 2] == ["<b>&\"'", "$x^2$ \\frac", "😀日本", "name:0", "a␀b c"]


@pytest.mark.parametrize(
    "costs", [(math.nan,), (math.inf, 1.0), (0.0, 0.0), (1e-300, 1e300), (-0.5, 0.25), (math.nan, math.inf)]
)
@pytest.mark.parametrize("has_intervals", [False, True])
def test_bars_of_unusual_costs(costs: tuple[float, ...], *, has_intervals: bool) -> None:
    shown = [pictures.Bar("a", cost, 1.0 if math.isinf(cost) else cost, math.nan) for cost in costs]
    picture = pictures.bars_picture(shown, costs[0], "rows", "k", "t", has_intervals=has_intervals)
    assert "nan" not in picture.replace("NaN", "")
    assert ("∞ (1.0)" in picture) == (math.inf in costs)


@pytest.mark.parametrize(
    "losses",
    [
        distribution((0.0,), (5.0,), 0.0, 0.0),
        distribution((0.0,), (5.0,), 2.0, 0.0),
        distribution((0.0, 1.0, 1.2), (0.0, 5.0), 0.0, 1.1),
        distribution((0.0, 1e-18, 2e-18), (0.0, 5.0), 0.0, 1.5e-18),
        distribution((0.0, 1e-18, 1e-6, 1e11), (1.0, 5.0, 1.0), 3.0, math.inf),
        distribution((0.0, 0.1, 1.0), (0.0, 5.0), 0.0, math.nan),
    ],
)
def test_histograms_of_unusual_losses(losses: LossDistribution) -> None:
    picture = pictures.loss_picture(losses, dict(losses.quantiles)[0.5], "k", "t")
    assert "nan" not in picture
    assert (">∞<" in picture) == (losses.infinite_weight > 0.0)


def test_the_histogram_shows_the_share_of_every_bin() -> None:
    picture = ElementTree.fromstring(
        pictures.loss_picture(distribution((0.0, 0.01, 0.1, 1.0), (0.0, 3.0, 1.0), 0.0, 0.05), 0.1, "k", "t")
    )
    path = next(each for each in picture.iter("path") if "fill:var(--first)" in each.get("style", ""))
    heights = numbers(path.attrib["d"])[1::2]
    assert (heights[0] - heights[3]) / (heights[0] - heights[1]) == pytest.approx(1.0 / 3.0, abs=0.01)


@pytest.mark.parametrize("best", [1.0 / 64.0, 0.5, 1.0, 2.5, 3.0, 64.0])
def test_temperatures_near_and_far(best: float) -> None:
    curve = tuple((best * 2.0 ** (k / 12), 1.0 + k * k / 100.0) for k in range(-12, 13))
    picture = pictures.temperature_picture(Temperature(best, 1.0, 0.2, True, True, curve), "k", "t")
    assert ("as given: 1.200" in picture) == (0.3 < best < 2.6)


def test_the_readers_own_figures_keep_their_style() -> None:
    with matplotlib.rc_context():
        matplotlib.rcParams.update({"axes.grid": True, "font.size": 30.0, "text.usetex": True, "svg.fonttype": "path"})
        before = dict(matplotlib.rcParams)
        styled = drawn()
        assert dict(matplotlib.rcParams) == before
    assert styled == drawn()


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "crossent.scoring.report.pictures")
    with pytest.raises(MissingExtraError) as raised:
        import_module("crossent.scoring.report.pictures")
    assert str(raised.value) == "a report needs Matplotlib, which is not installed: pip install 'crossent[score]'"
