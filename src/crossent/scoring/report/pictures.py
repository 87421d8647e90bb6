"""The pictures: Matplotlib's figures as SVG. The one place that imports Matplotlib, when a report is made.

Sizes are pixels. Names from data never reach Matplotlib, whose fonts lack most scripts: a token stands for each, and
inline.py puts the name there.
"""

import io
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from crossent.errors import MissingExtraError
from crossent.scoring.calibration import Decomposition, Reliability
from crossent.scoring.distribution import LossDistribution
from crossent.scoring.report.inline import COLOURS, inline_svg
from crossent.scoring.report.words import number, short, width_of
from crossent.scoring.temperature import Temperature

try:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ImportError as error:
    message = "a report needs Matplotlib, which is not installed: pip install 'crossent[score]'"
    raise MissingExtraError(message) from error

_INK, _MUTED, _LINE, _FIRST, _SECOND, _PAPER = COLOURS.values()
_SETTINGS = {
    "svg.fonttype": "none",  # letters stay letters: they can be searched, read aloud, and take the page's font
    "svg.hashsalt": "crossent",  # else ids are random
    "font.family": ["DejaVu Sans"],  # comes with Matplotlib, and is wider than what the page shows instead
    "font.size": 11.0,
    "text.color": _INK,
    "text.parse_math": False,
    "axes.linewidth": 1.0,
    "path.simplify": True,
}
# Matplotlib's settings are one for the process: two threads that change and restore them would leave them changed.
_SETTINGS_LOCK = threading.Lock()

_WIDTH = 400.0
_ROW_HEIGHT = 21.0
# Letters of a name that fit beside a bar.
_NAME_WIDTH = 17
# Losses below this are as good as none, and are taken together at the left.
_LEAST_LOSS_NATS = 1e-4


@dataclass(frozen=True)
class Bar:
    """One line of a picture of bars: `low` and `high` are the ends of an interval, NaN where there is none."""

    name: str
    cost: float
    finite_cost: float
    share: float
    low: float = math.nan
    high: float = math.nan


def reliability_picture(curve: Reliability, bins: int, key: str, label: str, *, is_small: bool = False) -> str:
    """Return observed frequency over predicted probability, and below it where the predictions lie."""
    width, plot, strip, left = (170.0, 122.0, 16.0, 30.0) if is_small else (_WIDTH, 250.0, 34.0, 44.0)
    top = 8.0 if is_small else 24.0
    height = top + plot + 8.0 + strip + (20.0 if is_small else 38.0)

    def paint(figure: Any) -> dict[str, str]:
        axes = _axes(figure, left, top, width - left - 10.0, plot)
        ticks = (0.0, 0.5, 1.0) if is_small else (0.0, 0.25, 0.5, 0.75, 1.0)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.02, 1.02), xticks=ticks, yticks=ticks)
        axes.set_xticklabels([])
        axes.set_yticklabels([f"{tick:g}" for tick in ticks])
        axes.grid(color=_LINE, linewidth=0.7)
        axes.plot((0.0, 1.0), (0.0, 1.0), color=_MUTED, linewidth=1.0, dashes=(4.0, 3.0))
        p, observed = curve.isotonic_prediction, curve.isotonic_observed
        axes.fill_between(p, p, observed, color=_FIRST, alpha=0.16, linewidth=0.0)
        axes.plot(p, observed, color=_FIRST, linewidth=1.6 if is_small else 2.2)
        dots = axes.plot(curve.mean_prediction, curve.observed, "o", color=_SECOND, markersize=3.4 if is_small else 6.0)
        dots[0].set(markeredgecolor=_PAPER, markeredgewidth=0.0 if is_small else 1.0)
        below = _axes(figure, left, top + plot + 8.0, width - left - 10.0, strip)
        total = math.fsum(curve.weight)
        shares = [0.0] * bins
        for prediction, weight in zip(curve.mean_prediction, curve.weight, strict=True):
            shares[min(int(prediction * bins), bins - 1)] += weight / total
        edges = [place / bins for place in range(bins + 1)]
        below.stairs(shares, edges, fill=True, color=_MUTED, alpha=0.7)
        below.set(xlim=(-0.01, 1.01), ylim=(0.0, max(shares)), xticks=ticks, yticks=())
        below.set_xticklabels([f"{tick:g}" for tick in ticks])
        if not is_small:
            axes.text(0.0, 1.06, "share that was right", color=_MUTED, ha="left", va="bottom")
            _note(figure, width - 10.0, height - 6.0, "predicted probability", "right")
        return {}

    return _drawn(paint, width, height, key, label)


def loss_picture(losses: LossDistribution, cost: float, key: str, label: str) -> str:
    """Return the histogram of the losses over a logarithmic axis, with the mean and quantiles marked."""
    height, left, top = 290.0, 44.0, 74.0
    edges, weights, below = _from_the_least(losses)
    total = math.fsum(losses.histogram_weight) + losses.infinite_weight

    def paint(figure: Any) -> dict[str, str]:
        axes = _axes(figure, left, top, _WIDTH - left - 58.0, height - top - 40.0)
        low, high = math.log10(edges[0]), math.log10(edges[-1])
        step = max((high - low) / 24.0, 0.05)
        shares = [weight / total for weight in weights]
        if shares:
            axes.stairs(shares, [math.log10(edge) for edge in edges], fill=True, color=_FIRST, alpha=0.75)
        start, end = (low - 3.0 * step if below else low), (high + 3.0 * step if losses.infinite_weight else high)
        ticks = _decades(
            low, high, low + 3.0 * step if below else low, high - 2.0 * step if losses.infinite_weight else high
        )
        if below:
            axes.stairs([below / total], [low - 3.0 * step, low - step], fill=True, color=_FIRST, alpha=0.75)
            ticks[low - 2.0 * step] = f"< {number(edges[0], 1)}"
        if losses.infinite_weight:
            axes.stairs([losses.infinite_weight / total], [high + step, high + 3.0 * step], fill=True, color=_SECOND)
            ticks[high + 2.0 * step] = "∞"
        tallest = max([*shares, below / total, losses.infinite_weight / total, 1e-12])
        axes.set(xlim=(start - step, end + step), ylim=(0.0, tallest * 1.04), xticks=list(ticks))
        axes.set_xticklabels(list(ticks.values()))
        _share_axis(axes, tallest)
        _marks(axes, figure, losses, cost, low, high, low - 2.0 * step if below else low)
        _note(figure, _WIDTH - 58.0, height - 6.0, "loss of a row, nats", "right")
        return {}

    return _drawn(paint, _WIDTH, height, key, label)


def bars_picture(bars: Sequence[Bar], cost: float, what: str, key: str, label: str, *, has_intervals: bool) -> str:
    """Return costs as bars, or as points with intervals, beside names; at the right the share of the rows."""
    names = {f"name:{place}": short(bar.name, _NAME_WIDTH) for place, bar in enumerate(bars)}
    costs = [_cost_text(bar) for bar in bars]
    left, top, column = 12.0 + 7.0 * max([4.0, *map(width_of, names.values())]), 42.0, 54.0
    plot = _WIDTH - left - 12.0 - 6.6 * max(map(len, costs)) - 12.0 - column
    height = top + _ROW_HEIGHT * len(bars) + 6.0

    def paint(figure: Any) -> dict[str, str]:
        axes = _axes(figure, left, top, plot, height - top - 6.0)
        shares = _axes(figure, _WIDTH - column - 4.0, top, column, height - top - 6.0)
        ends = [end for bar in bars for end in (bar.finite_cost, bar.low, bar.high) if math.isfinite(end)]
        ends += [cost] if math.isfinite(cost) else []
        # Bars begin at 0; points need not, and their intervals would be specks.
        ends += [] if has_intervals and ends else [0.0]
        most, least = max(ends), min(ends)
        margin = 0.03 * (most - least) or 0.03 * abs(most) or 1.0
        places = [float(-place) for place in range(len(bars))]
        for place, (bar, y) in enumerate(zip(bars, places, strict=True)):
            _note(figure, left - 8.0, top + _ROW_HEIGHT * (place + 0.5), f"name:{place}", "right", _INK)
            _note(figure, left + plot + 6.0, top + _ROW_HEIGHT * (place + 0.5), costs[place], "left", _INK)
            if has_intervals and math.isfinite(bar.low):
                axes.plot((bar.low, bar.high), (y, y), color=_FIRST, linewidth=2.0, solid_capstyle="butt")
        finite = [(bar.finite_cost, y) for bar, y in zip(bars, places, strict=True) if math.isfinite(bar.finite_cost)]
        if finite and has_intervals:
            axes.plot(*zip(*finite, strict=True), "o", color=_FIRST, markersize=6.0, markeredgecolor=_PAPER)
        elif finite:
            axes.barh([y for _, y in finite], [value for value, _ in finite], height=0.62, color=_FIRST, alpha=0.8)
        shares.barh(places, [bar.share for bar in bars], height=0.62, color=_MUTED, alpha=0.55)
        for each in (axes, shares):
            each.set(ylim=(0.5 - len(bars), 0.5), xticks=(), yticks=())
            each.spines["bottom"].set_visible(False)
        axes.set_xlim(least - margin if has_intervals else least, most + margin)
        shares.set_xlim(0.0, max([bar.share for bar in bars if math.isfinite(bar.share)] or [0.0]) or 1.0)
        if not has_intervals:
            axes.axvline(0.0, color=_MUTED, linewidth=1.0)
        if math.isfinite(cost):
            axes.axvline(cost, color=_SECOND, linewidth=1.4, dashes=(4.0, 3.0))
            _note(figure, left, 12.0, f"all rows {number(cost, 3)}", "left", _SECOND)
        _note(figure, left, 30.0, "cost in nats", "left")
        _note(figure, _WIDTH - 4.0, 30.0, f"share of {what}", "right")
        return names

    return _drawn(paint, _WIDTH, height, key, label)


def decomposition_picture(parts: Decomposition, key: str, label: str) -> str:
    """Return the steps from the uncertainty to the cost."""
    left, top, plot = 112.0, 8.0, 210.0
    between = parts.uncertainty - parts.discrimination
    steps = (
        ("uncertainty", 0.0, parts.uncertainty, parts.uncertainty, "", _MUTED),
        ("discrimination", between, parts.uncertainty, parts.discrimination, "− ", _FIRST),
        ("miscalibration", between, parts.cost, parts.miscalibration, "+ ", _SECOND),
        ("cost", 0.0, parts.cost, parts.cost, "= ", _INK),
    )
    height = top + 34.0 * len(steps) + 4.0

    def paint(figure: Any) -> dict[str, str]:
        axes = _axes(figure, left, top, plot, height - top - 4.0)
        most = max(parts.uncertainty, parts.cost, between) or 1.0
        axes.set(ylim=(0.5 - len(steps), 0.5), xlim=(0.0, most), xticks=(), yticks=())
        axes.spines["bottom"].set_visible(False)
        axes.axvline(0.0, color=_MUTED, linewidth=1.0)
        for place, (name, start, end, value, sign, colour) in enumerate(steps):
            y = top + 34.0 * (place + 0.5)
            axes.barh([-place], [end - start], left=[start], height=0.6, color=colour, alpha=0.85)
            _note(figure, left - 8.0, y, name, "right", _INK)
            reach = left + plot * max(start, end) / most
            _note(figure, reach + 6.0, y, sign + number(value, 3), "left", _INK)
        for place, value in ((0, parts.uncertainty), (1, between), (2, parts.cost)):
            axes.plot((value, value), (-place - 0.3, -place - 0.7), color=_MUTED, linewidth=0.8)
        return {}

    return _drawn(paint, _WIDTH, height, key, label)


def temperature_picture(temperature: Temperature, key: str, label: str) -> str:
    """Return the cost over the temperature, with the optimum and T = 1 marked."""
    height, left, top = 250.0, 60.0, 24.0
    points = [point for point in temperature.curve if all(map(math.isfinite, point))]
    best = (temperature.temperature, temperature.cost_nats)
    now = (1.0, temperature.cost_nats + temperature.gain_nats)

    def paint(figure: Any) -> dict[str, str]:
        axes = _axes(figure, left, top, _WIDTH - left - 14.0, height - top - 40.0)
        low, high = min(t for t, _ in points), max(t for t, _ in points)
        shows_now = low / 1.3 <= 1.0 <= high * 1.3 and math.isfinite(now[1])
        curve = sorted({*points, now}) if shows_now else points
        low, high = min(low, 1.0) if shows_now else low, max(high, 1.0) if shows_now else high
        costs = [value for _, value in curve]
        span = max(costs) - min(costs) or abs(best[1]) or 1.0
        axes.plot([math.log2(t) for t, _ in curve], costs, color=_FIRST, linewidth=2.2)
        axes.plot([math.log2(best[0])], [best[1]], "o", color=_SECOND, markersize=7.0, markeredgecolor=_PAPER)
        margin = 0.04 * (math.log2(high) - math.log2(low)) or 0.1
        bottom = min(best[1], *costs)
        axes.set(xlim=(math.log2(low) - margin, math.log2(high) + margin))
        axes.set(ylim=(bottom - 0.3 * span, max(costs) + 0.1 * span))
        ticks = [
            float(t) for t in MaxNLocator(5).tick_values(low, high) if low / 1.001 <= t <= high * 1.001 and t > 0.0
        ]
        axes.set_xticks([math.log2(t) for t in ticks])
        axes.set_xticklabels([f"{t:g}" for t in ticks])
        heights = [float(y) for y in MaxNLocator(4).tick_values(bottom, max(costs)) if bottom <= y <= max(costs)]
        axes.set_yticks(heights)
        axes.set_yticklabels([f"{y:.4g}" for y in heights])
        axes.grid(axis="y", color=_LINE, linewidth=0.7)
        where = (math.log2(best[0]) - math.log2(low) + margin) / (math.log2(high) - math.log2(low) + 2.0 * margin)
        text = f"T = {number(best[0], 3)} costs {number(best[1], 4)}"
        axes.text(math.log2(best[0]), best[1] - 0.09 * span, text, color=_SECOND, ha=_side(where), va="top")
        if shows_now:
            axes.plot([0.0], [now[1]], "o", color=_INK, markersize=7.0, markeredgecolor=_PAPER)
            # Towards the optimum there is room above the curve.
            side = "right" if best[0] < 1.0 else "left"
            text = f"as given: {number(now[1], 4)}"
            axes.text(0.0, now[1] + 0.09 * span, text, color=_INK, ha=side, va="bottom")
        _note(figure, left, 12.0, "cost in nats", "left")
        _note(figure, _WIDTH - 14.0, height - 6.0, "temperature T", "right")
        return {}

    return _drawn(paint, _WIDTH, height, key, label)


def _drawn(paint: Callable[[Any], dict[str, str]], width: float, height: float, key: str, label: str) -> str:
    """Return a figure of so many pixels as an element of the page; `key` makes its ids its own."""
    with _SETTINGS_LOCK, matplotlib.rc_context():
        matplotlib.rcdefaults()  # the reader's style is for the reader's own figures
        matplotlib.rcParams.update(_SETTINGS)
        figure = Figure(figsize=(width / 72.0, height / 72.0), dpi=72)
        FigureCanvasSVG(figure)
        names = paint(figure)
        written = io.BytesIO()
        nothing: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    return inline_svg(written.getvalue(), key, label, names)


def _axes(figure: Any, left: float, top: float, width: float, height: float) -> Any:
    """Return axes at a place in pixels from the upper left, with a line below and no frame."""
    across, down = figure.get_size_inches() * 72.0
    axes = figure.add_axes((left / across, 1.0 - (top + height) / down, width / across, height / down))
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_MUTED)
    axes.tick_params(length=0.0, pad=5.0, labelcolor=_MUTED, labelsize=10.5)
    axes.set_axisbelow(True)
    return axes


def _note(figure: Any, x: float, y: float, text: str, side: str, colour: str = _MUTED) -> None:
    """Write text at a place in pixels from the upper left."""
    across, down = figure.get_size_inches() * 72.0
    figure.text(x / across, 1.0 - y / down, text, ha=side, va="center", color=colour)


def _share_axis(axes: Any, tallest: float) -> None:
    ticks = [float(tick) for tick in MaxNLocator(4).tick_values(0.0, tallest) if 0.0 <= tick <= tallest]
    axes.set_yticks(ticks)
    axes.set_yticklabels([f"{100.0 * tick:.3g} %" for tick in ticks])
    axes.grid(axis="y", color=_LINE, linewidth=0.7)


def _marks(
    axes: Any, figure: Any, losses: LossDistribution, cost: float, low: float, high: float, least: float
) -> None:
    """Mark mean, median and high quantiles, each with a line of its own for its text above the bars."""
    quantiles = dict(losses.quantiles)
    marks = [
        ("median", quantiles[0.5]),
        ("95 %", quantiles[0.95]),
        ("99 %", quantiles[0.99]),
        ("mean" if not losses.infinite_weight else "finite mean", cost),
    ]
    shown = sorted((value, name) for name, value in marks if math.isfinite(value))
    box = axes.get_position()
    down = figure.get_size_inches()[1] * 72.0
    for place, (value, name) in enumerate(shown):
        x = min(math.log10(value), high) if value > 10.0**low else least
        colour = _SECOND if name.endswith("mean") else _INK
        level = down * (1.0 - box.y1) - 10.0 - 16.0 * (len(shown) - 1 - place)
        top = 1.0 + (down * (1.0 - box.y1) - level) / (down * box.height)
        line = axes.plot((x, x), (0.0, top), transform=axes.get_xaxis_transform(), color=colour, linewidth=1.1)[0]
        line.set(clip_on=False, dashes=(2.0, 2.0))
        text = f"{name} {number(value, 3)}"
        across = axes.get_xlim()[1] - axes.get_xlim()[0]
        pixels = _WIDTH * (box.x0 + box.width * (x - axes.get_xlim()[0]) / across)
        # At the right of its line a text meets no other one: those further right end lower.
        side = "left" if pixels + 7.0 * width_of(text) < _WIDTH else "right"
        gap = 0.012 * across * (1.0 if side == "left" else -1.0)
        axes.text(x + gap, top, text, transform=axes.get_xaxis_transform(), ha=side, va="center", color=colour)


def _decades(low: float, high: float, least: float, most: float) -> dict[float, str]:
    """Return at most six ticks at powers of ten, also their double and half where there are few; in [least, most]."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    inside = [float(power) for power in powers if low - 1e-9 <= power <= high + 1e-9]
    if len(inside) < 2:
        inside = [power + math.log10(factor) for power in powers for factor in (1.0, 2.0, 5.0)]
    chosen = [each for each in inside if least <= each <= most + 1e-9]
    return {each: number(10.0**each, 1) for each in chosen[:: -(-len(chosen) // 6) or 1]}


def _from_the_least(losses: LossDistribution) -> tuple[list[float], list[float], float]:
    """Return edges and weights of the bins worth telling apart, and the weight of all rows that cost less."""
    edges, weights = list(losses.histogram_edges[1:]), list(losses.histogram_weight[1:])
    below = losses.histogram_weight[0] if losses.histogram_weight else 0.0
    if not edges:
        return [_LEAST_LOSS_NATS, 1.0], [], below
    least = min(_LEAST_LOSS_NATS, edges[-1] / 1e4)
    cut = sum(edge <= least for edge in edges[1:])
    return edges[cut:], weights[cut:], below + math.fsum(weights[:cut])


def _cost_text(bar: Bar) -> str:
    if math.isfinite(bar.cost):
        return number(bar.cost, 3)
    sign = "∞" if math.isinf(bar.cost) else "NaN"
    return f"{sign} ({number(bar.finite_cost, 2)})" if math.isfinite(bar.finite_cost) else sign


def _side(where: float) -> str:
    return "left" if where < 0.25 else "right" if where > 0.75 else "center"
