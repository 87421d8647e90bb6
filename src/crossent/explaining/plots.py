"""An Explanation as matplotlib figures: they draw its numbers and the points of `curves`, and compute none."""

import math
from collections.abc import Callable
from typing import Any

from crossent.errors import MissingExtraError, OptionError
from crossent.explaining.curves import slice_along, surprisal_curve, triangle
from crossent.explaining.digits import amount, compact
from crossent.explaining.explanation import Explanation
from crossent.explaining.names import shorten
from crossent.explaining.parts import Term
from crossent.explaining.words import UNITS

# Okabe and Ito's blue and vermilion: told apart by every common kind of colour vision, and in grey by lightness
BLUE = "#0072B2"
RED = "#D55E00"
GREY = "#777777"
PANEL_INCHES = (5.2, 3.6)
LINEAR_UP_TO = 10.0  # nats, bits or hartleys; beyond, the axis is logarithmic
LARGEST_DRAWN = 1e6  # what is larger stands where infinity does, and says its number
NAMES_AT_A_POINT = 3
ROOM_FOR_INFINITY = 10.0  # times the largest finite value: where infinity is drawn, and so labelled


def figure(explanation: Explanation, names: tuple[str, ...]) -> Any:
    """Return a figure with one panel per name; without names, those that suit the explanation."""
    chosen = names or _suitable(explanation)
    for name in chosen:
        if name not in PLOTS:
            known = ", ".join(f'"{known}"' for known in PLOTS)
            message = f"`names` must be among {known}; got {name!r}."
            raise OptionError(message)
    width, height = PANEL_INCHES
    columns = min(len(chosen), 2)
    rows = math.ceil(len(chosen) / columns)
    made = _new_figure((width * columns, height * rows))
    axes = made.subplots(rows, columns, squeeze=False)
    for place, panel in enumerate(axes.flat):
        if place < len(chosen):
            PLOTS[chosen[place]](panel, explanation)
        else:
            panel.set_axis_off()
    return made


def _new_figure(size: tuple[float, float]) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        message = "plots need matplotlib; run: pip install 'crossent[score]'"
        raise MissingExtraError(message) from None
    # not pyplot: it would keep every figure alive, and choose a window system
    return Figure(figsize=size, layout="constrained")


def _suitable(explanation: Explanation) -> tuple[str, ...]:
    if explanation.batch is not None:
        return ("rows", "split", "gradients")
    if explanation.loss_kind == "binary":
        return ("surprisal", "split", "slice", "gradients")
    return ("surprisal", "split", "slice", "gradients", "rectangles")


def _shown(explanation: Explanation) -> list[Term]:
    return [explanation.terms[index] for index in explanation.shown]


def _plain(name: str) -> str:
    # a dollar sign would start mathematics
    return shorten("".join(sign if sign.isprintable() else "?" for sign in name)).replace("$", r"\$")


def draw_surprisal(panel: Any, explanation: Explanation) -> None:
    """-log q, each class on it, and a place for infinity."""
    curve = surprisal_curve(explanation)
    panel.plot(curve.q, curve.surprisals, color=GREY)
    panel.set_xscale("symlog", linthresh=curve.q[0])
    panel.set_yscale("symlog", linthresh=LINEAR_UP_TO)
    finite = [term.surprisal for term in _shown(explanation) if term.surprisal <= LARGEST_DRAWN]
    roof = ROOM_FOR_INFINITY * max([*finite, curve.surprisals[0]])
    together: dict[tuple[float, float], list[Term]] = {}
    for term in _shown(explanation):
        if not math.isnan(term.q):
            together.setdefault((term.q, min(term.surprisal, roof)), []).append(term)
    for (q, height), terms in together.items():
        true = any(term.index == explanation.true_class for term in terms)
        panel.plot(
            [q], [height], marker="*" if true else "o", color=RED if true else BLUE, markersize=12 if true else 8
        )
        label = ", ".join(_plain(term.name) for term in terms[:NAMES_AT_A_POINT])
        label += "..." if len(terms) > NAMES_AT_A_POINT else ""
        label += f" = {amount(terms[0].surprisal)}" if terms[0].surprisal > LARGEST_DRAWN else ""
        panel.annotate(label, (q, height), xytext=(6, 6), textcoords="offset points", fontsize=8)
    panel.axhline(explanation.baselines.uniform, color=GREY, linestyle=":", label="uniform guess")
    panel.set(xlabel="predicted q", ylabel=f"−log q ({UNITS[explanation.base]})", title="What each class would cost")
    panel.legend(fontsize=8)


def draw_split(panel: Any, explanation: Explanation) -> None:
    """H(p) and KL(p||q), stacked to the loss."""
    floor, excess = explanation.entropy_target, explanation.kl
    panel.set(xlabel=UNITS[explanation.base], title="Loss = H(p) + KL(p‖q)")
    panel.set_yticks([])
    if not explanation.loss <= LARGEST_DRAWN:
        panel.text(0.5, 0.5, f"the loss is {amount(explanation.loss)}", ha="center", transform=panel.transAxes)
        return
    panel.barh(0.0, floor, color=GREY, label=f"H(p) = {amount(floor)}")
    panel.barh(0.0, excess, left=floor, color=BLUE, hatch="//", label=f"KL = {amount(excess)}")
    panel.axvline(explanation.baselines.uniform, color=RED, linestyle=":", label="uniform guess")
    panel.set_ylim(-1.0, 2.0)
    panel.legend(fontsize=8, loc="upper left")


def draw_slice(panel: Any, explanation: Explanation) -> None:
    """The loss as the true class's logit moves, and its tangent."""
    index = explanation.true_class if explanation.true_class is not None else explanation.shown[0]
    found = slice_along(explanation, index)
    name = _plain(explanation.terms[index].name)
    panel.set(xlabel=f"logit of class {name}, from now", ylabel=f"loss ({UNITS[explanation.base]})")
    panel.set_title("The loss as one logit moves")
    if not explanation.loss <= LARGEST_DRAWN:
        panel.text(0.5, 0.5, f"the loss is {amount(explanation.loss)}", ha="center", transform=panel.transAxes)
        return
    panel.plot(found.steps, found.losses, color=BLUE)
    panel.axline((0.0, explanation.loss), slope=found.slope, color=RED, linestyle="--", label=compact(found.slope))
    panel.plot([0.0], [explanation.loss], marker="o", color=RED)
    panel.set_ylim(bottom=min(0.0, *found.losses), top=max(found.losses) * 1.05 or 1.0)
    panel.legend(title="slope", fontsize=8)


def draw_gradients(panel: Any, explanation: Explanation) -> None:
    """dL/dz of every shown class, as bars to either side."""
    terms = _shown(explanation)
    places = list(range(len(terms)))
    slopes = [term.grad_logit if math.isfinite(term.grad_logit) else 0.0 for term in terms]
    panel.barh(places, slopes, color=[RED if slope < 0.0 else BLUE for slope in slopes])
    panel.axvline(0.0, color=GREY)
    marks = ["raise" if term.grad_logit < 0.0 else "lower" if term.grad_logit > 0.0 else "" for term in terms]
    labels = [f"{_plain(term.name)} {mark}".rstrip() for term, mark in zip(terms, marks, strict=True)]
    panel.set_yticks(places, labels, fontsize=8)
    panel.invert_yaxis()
    panel.set(xlabel="∂L/∂z (nats per unit of the logit)", title="Where a step moves each logit")


def draw_rectangles(panel: Any, explanation: Explanation) -> None:
    """Rectangles of height p and width -log2 q: their area is the loss in bits."""
    height = 0.0
    finite = [term.ideal_bits for term in _shown(explanation) if term.ideal_bits <= LARGEST_DRAWN]
    widest = max(finite, default=1.0) or 1.0
    for place, term in enumerate(term for term in _shown(explanation) if term.p > 0.0):
        endless = not term.ideal_bits <= LARGEST_DRAWN
        width = 2.0 * widest if endless else term.ideal_bits
        panel.barh(
            height, width, height=term.p, align="edge", color=BLUE, alpha=0.8 - 0.05 * (place % 8), edgecolor="k"
        )
        text = f"{_plain(term.name)}: {compact(term.p)} × {amount(term.ideal_bits)}"
        panel.text(width / 2.0, height + term.p / 2.0, text, ha="center", va="center", fontsize=8)
        height += term.p
    panel.set(xlabel="−log₂ q, the length of a word (bits)", ylabel="p, how often it is sent")
    panel.set_title(f"Area = H(p,q) = {amount(explanation.loss_bits)} bits")


def draw_rows(panel: Any, explanation: Explanation) -> None:
    """How many rows lose how much."""
    found = None if explanation.batch is None else explanation.batch.histogram
    panel.set(xlabel=f"loss of a row ({UNITS[explanation.base]})", ylabel="rows", title="How the losses are spread")
    if found is None or explanation.batch is None:
        panel.text(0.5, 0.5, "no row with a finite loss", ha="center", transform=panel.transAxes)
        return
    panel.stairs(found.counts, found.edges, fill=True, color=BLUE)
    if math.isfinite(explanation.batch.mean):
        panel.axvline(explanation.batch.mean, color=RED, linestyle="--", label=f"mean {amount(explanation.batch.mean)}")
    if explanation.batch.share_of_worst is not None:
        panel.plot([], [], " ", label=f"worst 1% make {explanation.batch.share_of_worst:.0%} of the total")
    if panel.get_legend_handles_labels()[1]:
        panel.legend(fontsize=8)


def draw_triangle(panel: Any, explanation: Explanation) -> None:
    """The loss over every prediction of three classes, and where this one is."""
    found = triangle(explanation)
    right = [second + third / 2.0 for _, second, third in found.q]
    up = [third * math.sqrt(3.0) / 2.0 for _, _, third in found.q]
    drawn = panel.tricontourf(right, up, found.losses, levels=12, cmap="cividis_r")
    panel.figure.colorbar(drawn, ax=panel, label=f"loss ({UNITS[explanation.base]})")
    here = explanation.terms
    if all(math.isfinite(term.q) for term in here):
        panel.plot(
            [here[1].q + here[2].q / 2.0], [here[2].q * math.sqrt(3.0) / 2.0], marker="*", color=RED, markersize=12
        )
    for place, (x, y) in enumerate([(0.0, -0.06), (1.0, -0.06), (0.5, 0.9)]):
        panel.text(x, y, f"all on {_plain(here[place].name)}", ha="center", fontsize=8)
    panel.set_aspect("equal")
    panel.set_axis_off()


PLOTS: dict[str, Callable[[Any, Explanation], None]] = {
    "surprisal": draw_surprisal,
    "split": draw_split,
    "slice": draw_slice,
    "gradients": draw_gradients,
    "rectangles": draw_rectangles,
    "rows": draw_rows,
    "triangle": draw_triangle,
}
