"""A loss, explained: where it comes from, how bad it is and what moves it. Data only."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crossent._checks import check_smoothing
from crossent.explaining.finding import Finding
from crossent.explaining.measuring import Weighing
from crossent.explaining.options import (
    read_base,
    read_kind,
    read_names,
    read_prior,
    read_reduction,
    read_weight,
)
from crossent.explaining.parts import (
    AsBinary,
    AsLogits,
    AsSquared,
    Baselines,
    Batch,
    Check,
    Codes,
    Kind,
    LossKind,
    Reduction,
    Rest,
    Sensitivity,
    TargetKind,
    Term,
    Unseen,
)
from crossent.explaining.plain import plain
from crossent.explaining.reading import check_domain, read_numbers
from crossent.explaining.targets import read_target

if TYPE_CHECKING:
    from crossent.explaining.latex import Formula
    from crossent.peers.answer import PackageAnswer

SCHEMA_VERSION = 2


@dataclass(frozen=True, repr=False)
class Explanation:
    """All numbers of one explained loss; every form in which it is shown only renders them.

    Amounts of information are in units of `base` (nats for "e", bits for 2, hartleys for 10) unless their name
    says otherwise. Gradients are of the loss in nats, which is what is trained. In a batch every number is that of
    the reduced loss, or the mean over the rows, and what only one row has is None.
    """

    kind: Kind
    kind_reason: str
    target_kind: TargetKind
    loss_kind: LossKind
    classes: int
    base: str
    dtype: str  # the prediction's, as it came; "text" for text
    label_smoothing: float
    weighted: bool  # whether there are class weights
    reduction: Reduction
    denominator: float  # what the sum over the rows was divided by; 1 for a sum
    loss: float
    loss_nats: float
    loss_bits: float
    perplexity: float  # of one row, whatever the reduction
    true_class: int | None  # None for a soft target, several labels or a batch
    prob_true: float | None
    one_in: float | None  # the true class got 1 chance in so many
    shortcut: bool  # whether -log q of the true class is all of the loss
    terms: tuple[Term, ...]
    shown: tuple[int, ...]  # the classes of a short table
    rest: Rest | None  # and the others, if there are any
    sum_target: float
    sum_prediction: float
    grad_logit_sum: float
    grad_norm: float  # of dL/dz
    grad_check: float | None  # largest difference between dL/dz and a finite difference, over the shown classes
    entropy_target: float  # H(p), the floor: no prediction scores below it
    kl: float  # KL(p || q), the excess over the floor
    floor_share: float | None  # H(p) / loss
    entropy_prediction: float
    entropy_prediction_nats: float
    entropy_prediction_bits: float
    js_bits: float
    brier: float  # sum of (q - p)**2
    log_normalizer_nats: float | None  # log sum exp z; None unless one row of logits was given
    sensitivity: Sensitivity | None
    baselines: Baselines
    codes: Codes | None
    as_logits: AsLogits | None  # None unless probabilities were given
    as_bce: AsBinary
    as_mse: AsSquared
    unseen: Unseen | None
    checks: tuple[Check, ...]
    packages: "tuple[PackageAnswer, ...]"  # what other packages answer here; empty unless asked for
    packages_note: str  # why they are empty although asked for
    findings: tuple[Finding, ...]
    batch: Batch | None  # None for one row

    @property
    def K(self) -> int:  # noqa: N802  # the letter that the formulas use
        """Return the number of classes."""
        return self.classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """Return the names of the classes, their numbers if they have none."""
        return tuple(term.name for term in self.terms)

    @property
    def target(self) -> tuple[float, ...]:
        """Return the target as a distribution, before label smoothing."""
        return tuple(term.target for term in self.terms)

    @property
    def prediction(self) -> tuple[float, ...]:
        """Return the prediction as it came."""
        return tuple(term.given for term in self.terms)

    @property
    def logits(self) -> tuple[float, ...] | None:
        """Return the logits, or None where others were given."""
        return self.prediction if self.kind == "logits" else None

    @property
    def weight(self) -> tuple[float, ...] | None:
        """Return the class weights, or None without."""
        return tuple(term.weight for term in self.terms) if self.weighted else None

    @property
    def grad_logits(self) -> tuple[float, ...]:
        """Return dL/dz of every class."""
        return tuple(term.grad_logit for term in self.terms)

    @property
    def grad_probs(self) -> tuple[float, ...]:
        """Return dL/dq of every class."""
        return tuple(term.grad_prob for term in self.terms)

    @property
    def floor(self) -> float:
        """Return H(p), below which no prediction scores."""
        return self.entropy_target

    @property
    def excess(self) -> float:
        """Return the loss above the floor: KL(p || q)."""
        return self.kl

    @property
    def formula(self) -> "Formula":
        """Return the formula with its numbers, which a notebook sets as mathematics."""
        from crossent.explaining.latex import Formula

        return Formula(self)

    def render(
        self,
        *,
        width: int | None = None,
        color: bool | None = None,
        unicode: bool | None = None,
        bits: bool = False,
    ) -> str:
        """Return the explanation as text; None asks the terminal (and the variable NO_COLOR), `bits` adds the codes."""
        from crossent.explaining.text import render

        return render(self, width=width, color=color, unicode=unicode, bits=bits)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and texts for JSON; "inf", "-inf" and "nan" are texts, as JSON has none.

        The row losses of a batch of more than 1000 rows are left out: the histogram and the worst rows stay.
        """
        return {"schema": "crossent.explanation", "schema_version": SCHEMA_VERSION, **plain(self)}

    def to_json(self, *, indent: int | None = None) -> str:
        """Return `to_dict` as strict JSON, in ASCII: it passes through any terminal."""
        return json.dumps(self.to_dict(), allow_nan=False, indent=indent)

    def to_latex(self) -> str:
        """Return symbol, substitution and result as one LaTeX `aligned` environment, without dollar signs."""
        from crossent.explaining.latex import to_latex

        return to_latex(self)

    def to_markdown(self) -> str:
        """Return the explanation as GitHub-flavoured Markdown."""
        from crossent.explaining.markdown import to_markdown

        return to_markdown(self)

    def to_html(self) -> str:
        """Return one self-contained page that answers to dragging, without a network."""
        from crossent.explaining.page.saved import page_of

        return page_of(self)

    def explore(self) -> Any:
        """Return the page as a widget for a notebook."""
        from crossent.explaining.page.notebook import show

        return show(self)

    def plot(self, *names: str) -> Any:
        """Return a matplotlib figure of the named plots, or of those that fit this explanation best."""
        from crossent.explaining.plots import figure

        return figure(self, names)

    def _repr_html_(self) -> str:
        from crossent.explaining.html import table_of

        return table_of(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_(), "text/markdown": self.to_markdown()}

    def __str__(self) -> str:
        return self.render(color=False)

    def __repr__(self) -> str:
        rows = "" if self.batch is None else f", {self.batch.rows} rows"
        return f"<Explanation: loss {self.loss_nats:.6g} nats, {self.classes} classes{rows}; print it to read it>"


def explain(
    target: Any,
    prediction: Any,
    *,
    kind: str = "probs",
    base: str | int = "e",
    class_names: Sequence[str] | None = None,
    weight: Any = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    prior: Any = None,
    packages: bool = False,
) -> Explanation:
    """Explain the cross-entropy of one prediction or of a batch, in nats, bits and words.

    ::

        loss = H(p, q) = -sum_k p_k log q_k = H(p) + KL(p || q)

    Parameters
    ----------
    target : int, sequence of numbers, or str
        One row: a class id in [0, classes), a name of `class_names` (a text that is one is no id), or a distribution, one-hot or soft, shape
        (classes,). A batch: class ids or names, shape (rows,), or distributions, shape (rows, classes). 0s and 1s
        that do not sum to 1 are several labels at once: each class is a yes or no, under binary cross-entropy.
        As text: "0", "cat", "1 0 0 0 0"; rows of a batch end with a semicolon or a line.
    prediction : sequence of numbers, shape (classes,) or (rows, classes), or str
        What `kind` says. Text holds numbers separated by spaces or commas, "inf", "-inf" and "nan" among them.
    kind : {"probs", "logits", "log_probs", "auto"}
        How to read `prediction`: probabilities in [0, 1], logits, or natural logarithms of probabilities. "auto"
        reads numbers of 0 or more that sum to 1 as probabilities, and asks for `kind` otherwise.
    base : {"e", 2, 10}
        Unit of the amounts shown: nats, bits, hartleys.
    class_names : sequence of str or None
        One name per class; None shows the class ids.
    weight : sequence of numbers, shape (classes,), or None
        Class weights, after label smoothing. The mean is over the sum of the targets' weights.
    label_smoothing : float
        Share e of each target that is spread evenly over the classes: p (1 - e) + e / classes.
    reduction : {"mean", "sum"}
        Which loss of a batch is explained.
    prior : sequence of numbers, shape (classes,), or None
        Shares of the classes, as a baseline; a batch uses its own if there is none.
    packages : bool
        Whether to add what other packages answer here.

    Returns
    -------
    Explanation
        Frozen data; ``print`` shows it, ``to_json`` stores it.

    Raises
    ------
    ShapeError
        If target, prediction, names, weights and prior do not fit each other; also a ValueError.
    RangeError
        If a probability is outside [0, 1], a log-probability above 0, or a weight negative; also a ValueError.
    LabelError
        If a class id is outside [0, classes); also an IndexError.
    OptionError
        If an option or a name is unknown, a word is not a number, or "auto" cannot tell; also a ValueError.
    DtypeError
        If an array does not hold real numbers; also a TypeError.

    Notes
    -----
    Zeros: p = 0 with q = 0 contributes 0; p > 0 with q = 0 gives inf and a finding; nothing is clipped. A nan, only
    -inf logits or two +inf logits give nan and a finding.
    Probabilities that do not sum to 1 are not rescaled: a finding says by how much they deviate.

    Examples
    --------
    >>> explanation = explain([1, 0, 0, 0, 0], [0.1, 0.5, 0.1, 0.1, 0.2])
    >>> round(explanation.loss_nats, 6), round(explanation.loss_bits, 6)
    (2.302585, 3.321928)
    >>> [round(slope, 3) for slope in explanation.grad_logits]
    [-0.9, 0.5, 0.1, 0.1, 0.2]
    """
    # not at the top: the assembly makes this file's Explanation
    from crossent.explaining.assembling import assemble

    given = read_numbers(prediction)
    read_as, reason = read_kind(kind, given)
    base_name = read_base(base)
    check_domain(given, read_as)
    names = read_names(class_names, given.classes)
    truth = read_target(target, given, names, class_names is not None)
    if truth.by_number:
        reason += "; the target is read as the name of a class, not as its number"
    weighing = Weighing(check_smoothing(label_smoothing), read_weight(weight, given.classes))
    over = read_reduction(reduction)
    frequencies = read_prior(prior, given.classes, truth.loss_kind)
    return assemble(given, read_as, reason, truth, weighing, over, frequencies, names, base_name, packages)
