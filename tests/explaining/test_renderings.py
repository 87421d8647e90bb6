"""Every form shows the founding example alike, computes nothing, stays small, and trusts no name."""

import dataclasses
import html.parser
import json
import math
import re

import numpy as np
import pytest
from matplotlib.mathtext import MathTextParser

from crossent.errors import OptionError
from crossent.explaining import curves, latex, plots
from crossent.explaining.explanation import Explanation, explain
from crossent.explaining.paper import columns

Q = [0.1, 0.5, 0.1, 0.1, 0.2]
FORMS = ("text", "html", "latex", "markdown", "json", "page")


def forms(explanation: Explanation) -> dict[str, str]:
    """Return every form as text, with the minus sign of a keyboard."""
    found = {
        "text": explanation.render(width=78, color=False, unicode=True, bits=True),
        "html": explanation._repr_html_(),
        "latex": explanation.to_latex(),
        "markdown": explanation.to_markdown(),
        "json": explanation.to_json(),
        "page": explanation.to_html(),
    }
    return {name: text.replace("−", "-") for name, text in found.items()}


@pytest.mark.parametrize("form", FORMS)
def test_the_founding_example_in_every_form(form: str) -> None:
    text = forms(explain([1, 0, 0, 0, 0], Q))[form]
    assert "2.302585" in text
    assert "3.321928" in text
    assert re.search(r"1\.96[01]", text)
    assert "1.722" in text
    slopes = [float(slope) for slope in re.findall(r"[+-]?0\.\d+", text)]
    assert {-0.9, 0.5, 0.1, 0.2} <= set(slopes)


def altered() -> Explanation:
    """An explanation whose numbers belong together no longer: who computes one of them would betray it."""
    given = explain([1, 0, 0, 0, 0], Q)
    terms = tuple(
        dataclasses.replace(
            term,
            q=0.111 + term.index,
            surprisal=7.001 + term.index,
            contribution=8.25,
            grad_logit=-0.333,
            ideal_bits=50.5,
        )
        for term in given.terms
    )
    assert given.as_logits is not None
    return dataclasses.replace(
        given,
        terms=terms,
        loss=41.5,
        loss_nats=42.25,
        loss_bits=43.125,
        entropy_target=44.5,
        kl=45.5,
        entropy_prediction_nats=46.25,
        entropy_prediction_bits=47.25,
        as_logits=dataclasses.replace(given.as_logits, loss=48.25),
        baselines=dataclasses.replace(given.baselines, uniform=49.25, verdict="So it is said."),
    )


@pytest.mark.parametrize("form", ["text", "html", "latex", "markdown"])
def test_no_form_computes_a_number(form: str) -> None:
    text = forms(altered())[form]
    for number in ("42.25", "43.125", "44.500", "45.500", "46.250", "47.250", "48.250", "-0.333"):
        assert number in text, number
    if form != "latex":
        for number in ("7.001", "11.001", "8.250", "49.250", "So it is said.", "3.11"):
            assert number in text, number
    for number in ("2.303", "3.322", "1.722", "1.961", "1.609"):
        assert number not in text, number


def test_json_is_the_data() -> None:
    parsed = json.loads(forms(altered())["json"])
    assert (parsed["loss"], parsed["terms"][4]["grad_logit"]) == (41.5, -0.333)


class Outline(html.parser.HTMLParser):
    """The tags in the order they open, and whether each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_notebooks_table_is_plain_and_complete() -> None:
    outline = Outline()
    outline.feed(explain(0, [0.0, *Q[1:]])._repr_html_())
    assert outline.open == []
    assert set(outline.tags) <= {
        *("div", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "b", "br", "ul", "li"),
        *("details", "summary"),
    }
    assert outline.attributes <= {"style", "scope", "open", "colspan"}
    assert outline.tags.count("tr") == 7
    assert "CE001" in outline.text


@pytest.mark.parametrize("classes", [1, 2, 12, 13, 1000, 10_000])
@pytest.mark.parametrize("target", ["hard", "soft", "several"])
def test_html_is_small_whatever_the_classes_and_their_names(classes: int, target: str) -> None:
    generator = np.random.default_rng(classes)
    q = generator.dirichlet(np.ones(classes))
    p: object = 0
    if target == "soft":
        p = generator.dirichlet(np.ones(classes))
    if target == "several":
        p = (np.arange(classes) % 2 == 0).astype(int) if classes > 2 else np.zeros(classes)
    q[0] = 0.0 if classes > 1 else 1.0
    names = [f"{'<&>' * 2000}{index}" for index in range(classes)]
    found = explain(p, q, class_names=names, packages=True)
    assert len(found._repr_html_().encode()) <= 12_000
    assert len(found.render(width=78)) < 12_000
    assert len(found.to_markdown()) < 12_000


def test_a_name_is_text_in_every_form() -> None:
    found = explain(1, [0.5, 0.5], class_names=["<script>alert(1)</script>", "a|b*`$[x](y)\n# c"])
    shown = forms(found)
    assert "<script>alert" not in shown["html"]
    assert "<script>alert(1)" not in shown["page"]
    table = [line for line in shown["markdown"].splitlines() if line.startswith("| ")]
    assert len(table) == 5
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {8}


LATEX_CASES = {
    "founding": lambda: explain([1, 0, 0, 0, 0], Q),
    "soft": lambda: explain([0.7, 0.3, 0, 0, 0], Q, base=2),
    "logits": lambda: explain(0, "-1000 0", kind="logits"),
    "zero": lambda: explain(0, [0.0, 1.0]),
    "nan": lambda: explain(0, "nan 1", base=10),
    "tiny": lambda: explain(0, [1e-300, 1.0]),
    "several": lambda: explain([1, 0, 1], [0.9, 0.2, 0.6], weight=[1, 2, 3]),
    "many": lambda: explain(3, [1 / 40] * 40),
    "batch": lambda: explain([0, 1], [[0.5, 0.5]] * 2),
    "sum": lambda: explain([0, 1], [[0.5, 0.5]] * 2, reduction="sum"),
}


@pytest.mark.parametrize("case", LATEX_CASES)
def test_latex_is_mathematics_that_another_parser_reads(case: str) -> None:
    lines = LATEX_CASES[case]().to_latex().splitlines()
    assert (lines[0], lines[-1]) == (r"\begin{aligned}", r"\end{aligned}")
    for line in lines[1:-1]:
        assert line.isascii(), line
        for side in line.removesuffix(r"\\").split("&"):
            if side.strip():
                assert MathTextParser("path").parse(f"${side.strip()}$").width > 0.0


def test_latex_knows_infinity_and_powers_of_ten() -> None:
    assert r"= \infty" in LATEX_CASES["zero"]().to_latex()
    assert r"1 \times 10^{-300}" in LATEX_CASES["tiny"]().to_latex()
    assert r"\cdots" in LATEX_CASES["many"]().to_latex()


def test_the_formula_is_set_by_notebooks() -> None:
    founding = explain(0, Q)
    assert founding.formula == latex.Formula(founding)
    assert founding.formula._repr_latex_() == f"$$\n{founding.to_latex()}\n$$"
    assert str(founding.formula) == founding.to_latex()


def test_the_bundle_for_notebooks() -> None:
    founding = explain(0, Q)
    bundle = founding._repr_mimebundle_()
    assert bundle["text/html"] == founding._repr_html_()
    assert bundle["text/plain"] == str(founding)
    assert bundle["text/markdown"] == founding.to_markdown()


def test_a_slice_is_the_loss_of_moved_logits() -> None:
    logits = np.array([1.0, -2.0, 0.5])
    for target, weight in ((0, None), ([0.2, 0.5, 0.3], None), ([1, 0, 1], [1, 2, 3]), (1, [1, 2, 3])):
        found = explain(target, logits, kind="logits", weight=weight, base=2)
        slice_ = curves.slice_along(found, 1)
        for step, loss in list(zip(slice_.steps, slice_.losses, strict=True))[::12]:
            moved = explain(target, logits + np.array([0.0, step, 0.0]), kind="logits", weight=weight, base=2)
            assert loss == pytest.approx(moved.loss, rel=1e-11)
        middle = len(slice_.steps) // 2
        rise = (slice_.losses[middle + 1] - slice_.losses[middle - 1]) / (slice_.steps[2] - slice_.steps[0])
        assert slice_.slope == pytest.approx(rise, rel=1e-2, abs=1e-3)


def test_the_triangle_is_the_loss_everywhere_in_it() -> None:
    found = curves.triangle(explain([0.2, 0.5, 0.3], [0.1, 0.2, 0.7]))
    for q, loss in list(zip(found.q, found.losses, strict=True))[::100]:
        assert math.fsum(q) == pytest.approx(1.0)
        assert loss == pytest.approx(explain([0.2, 0.5, 0.3], list(q)).loss)


def test_curves_refuse_what_they_cannot_draw() -> None:
    with pytest.raises(OptionError) as caught:
        curves.triangle(explain(0, Q))
    assert str(caught.value) == "the triangle needs one prediction over 3 classes; got 5 classes."
    with pytest.raises(OptionError) as caught:
        curves.slice_along(explain([0], [Q]), 0)
    assert str(caught.value) == "a slice needs one prediction; got a batch: explain one of its rows."
    with pytest.raises(OptionError) as caught:
        explain(0, Q).plot("pie")
    assert str(caught.value) == (
        '`names` must be among "surprisal", "split", "slice", "gradients", "rectangles", "rows", "triangle"; got \'pie\'.'
    )


@pytest.mark.parametrize(
    "explanation",
    [
        explain([0.5, 0.3, 0.2], [0.2, 0.5, 0.3], class_names=["$a$", "b_", "日本"]),
        explain(0, [0.0, 0.5, 0.5]),
        explain(0, "1e308 -1e308 0", kind="logits"),
        explain(0, "nan 0 1", kind="logits"),
    ],
)
def test_every_plot_can_be_drawn(explanation: Explanation) -> None:
    names = [name for name in plots.PLOTS if name != "rows"]
    explanation.plot(*names).canvas.draw()


def test_the_plots_of_a_batch_and_of_none() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 4))
    explain(np.arange(50) % 4, logits, kind="logits").plot().canvas.draw()
    explain([0], [[0.0, 1.0]]).plot().canvas.draw()
    explain([1, 1], [0.5, 0.2]).plot().canvas.draw()


def test_plots_draw_the_objects_numbers() -> None:
    drawn = altered().plot("split", "gradients", "surprisal")
    split, gradients, surprisal = drawn.axes[:3]
    assert [bar.get_width() for bar in split.patches] == [44.5, 45.5]
    assert [bar.get_width() for bar in gradients.patches] == [-0.333] * 5
    points = {(line.get_xdata()[0], line.get_ydata()[0]) for line in surprisal.lines if len(line.get_xdata()) == 1}
    assert points == {(0.111 + index, 7.001 + index) for index in range(5)}


@pytest.mark.parametrize("width", [50, 64, 78, 120])
@pytest.mark.parametrize("unicode", [True, False])
def test_no_line_of_the_other_blocks_is_longer_than_the_width(width: int, unicode: bool) -> None:
    names = ["cat", "a very long name of a class indeed", "日本"]
    logits = np.random.default_rng(0).normal(size=(300, 3)) * 1e3
    for found in (
        explain(0, [0.0, 0.5, 0.5], class_names=names, packages=True),
        explain([1, 0, 1], [0.9, 0.2, 0.6], class_names=names, weight=[1, 2, 3], kind="logits"),
        explain(
            1, [0.2, 0.2, 0.6], class_names=names, weight=[1, 2, 3], label_smoothing=0.1, base=10, prior=[0, 0.5, 0.5]
        ),
        explain(np.arange(300) % 3, logits, class_names=names, kind="logits", weight=[1, 0, 2], reduction="sum"),
    ):
        text = found.render(width=width, color=False, unicode=unicode, bits=True)
        assert max(columns(line) for line in text.splitlines()) <= width
        assert unicode or text.isascii()
