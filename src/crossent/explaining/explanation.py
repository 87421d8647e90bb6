"""One prediction, explained: the loss, where it comes from, how bad it is and what moves it. Data only."""

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossent.definitions.divergence import js_divergence
from crossent.definitions.entropy import entropy
from crossent.explaining.baselines import compare_with_baselines
from crossent.explaining.findings import find, sums_to_one
from crossent.explaining.measuring import (
    check_identities,
    grad_logits,
    kl_nats,
    loss_nats,
    make_terms,
    predict,
    select,
)
from crossent.explaining.parts import AsLogits, Baselines, Check, Finding, Kind, Rest, TargetKind, Term, Unseen
from crossent.explaining.reading import (
    BASES,
    Row,
    Target,
    read_base,
    read_kind,
    read_names,
    read_prediction,
    read_target,
)
from crossent.explaining.what_ifs import split_otherwise, take_for_logits
from crossent.units import nats_to_bits, perplexity_of_nats

SCHEMA_VERSION = 1


@dataclass(frozen=True, repr=False)
class Explanation:
    """All numbers of one explained prediction; every form in which it is shown only renders them.

    Amounts of information are in units of `base` (nats for "e", bits for 2, hartleys for 10) unless their name
    says otherwise. Gradients are of the loss in nats, which is what is trained.
    """

    kind: Kind
    target_kind: TargetKind
    base: str
    loss: float
    loss_nats: float
    loss_bits: float
    perplexity: float
    true_class: int | None  # None for a soft target
    prob_true: float | None
    one_in: float | None  # the true class got 1 chance in so many
    terms: tuple[Term, ...]
    shown: tuple[int, ...]  # the classes of a short table
    rest: Rest | None  # and the others, if there are any
    sum_target: float
    sum_prediction: float
    grad_logit_sum: float
    grad_norm: float  # of dL/dz
    entropy_target: float  # H(p), the floor: no prediction scores below it
    kl: float  # KL(p || q), the excess over the floor
    floor_share: float | None  # H(p) / loss
    entropy_prediction: float
    entropy_prediction_nats: float
    entropy_prediction_bits: float
    js_bits: float
    log_normalizer_nats: float | None  # log sum exp z; None unless logits were given
    baselines: Baselines
    as_logits: AsLogits | None  # None unless probabilities were given
    unseen: Unseen | None
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]

    def render(self, *, width: int | None = None, color: bool | None = None, unicode: bool | None = None) -> str:
        """Return the explanation as text; None asks the terminal (and the variable NO_COLOR)."""
        from crossent.explaining.text import render

        return render(self, width=width, color=color, unicode=unicode)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and texts for JSON; "inf", "-inf" and "nan" are texts, as JSON has none."""
        return {"schema": "crossent.explanation", "schema_version": SCHEMA_VERSION, **_plain(dataclasses.asdict(self))}

    def to_json(self, *, indent: int | None = None) -> str:
        """Return `to_dict` as strict JSON, in ASCII: it passes through any terminal."""
        return json.dumps(self.to_dict(), allow_nan=False, indent=indent)

    def __str__(self) -> str:
        return self.render(color=False)

    def __repr__(self) -> str:
        return f"<Explanation: loss {self.loss_nats:.6g} nats, {len(self.terms)} classes; print it to read it>"


def explain(
    target: Any,
    prediction: Any,
    *,
    kind: str = "probs",
    base: str | int = "e",
    class_names: Sequence[str] | None = None,
) -> Explanation:
    """Explain the cross-entropy of one prediction, in nats, bits and words.

    ::

        loss = H(p, q) = -sum_k p_k log q_k = H(p) + KL(p || q)

    Parameters
    ----------
    target : int, sequence of numbers, shape (classes,), or str
        A class id in [0, classes), or a distribution: one-hot or soft. As text: "0", or "1 0 0 0 0".
    prediction : sequence of numbers, shape (classes,), or str
        What `kind` says. Text holds numbers separated by spaces or commas, "inf", "-inf" and "nan" among them.
    kind : {"probs", "logits", "log_probs"}
        How to read `prediction`: probabilities in [0, 1], logits, or natural logarithms of probabilities.
    base : {"e", 2, 10}
        Unit of the amounts shown: nats, bits, hartleys.
    class_names : sequence of str or None
        One name per class; None shows the class ids.

    Returns
    -------
    Explanation
        Frozen data; ``print`` shows it, ``to_json`` stores it.

    Raises
    ------
    ShapeError
        If target, prediction and names do not have one entry per class; also a ValueError.
    RangeError
        If a probability is outside [0, 1], or a log-probability above 0; also a ValueError.
    LabelError
        If a class id is outside [0, classes); also an IndexError.
    OptionError
        If `kind` or `base` is unknown, or a word is not a number; also a ValueError.
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
    >>> [round(term.grad_logit, 3) for term in explanation.terms]
    [-0.9, 0.5, 0.1, 0.1, 0.2]
    """
    read_as = read_kind(kind)
    base_name = read_base(base)
    given = read_prediction(prediction, read_as)
    names = read_names(class_names, len(given))
    truth = read_target(target, len(given))
    return _measure(given, read_as, truth, names, base_name)


def _measure(given: Row, kind: Kind, target: Target, names: tuple[str, ...], base: str) -> Explanation:
    unit, p = BASES[base], target.p
    prediction = predict(given, kind)
    q, log_q = prediction.q, prediction.log_q
    loss, floor, entropy_prediction = loss_nats(prediction, p), float(entropy(p)), float(entropy(q))
    kl = kl_nats(prediction, p)
    terms = make_terms(prediction, p, names, unit)
    shown, rest = select(terms, log_q, target)
    grad_norm = float(np.linalg.norm(grad_logits(prediction, p)))
    true_class = target.true_class
    return Explanation(
        kind=kind,
        target_kind=target.kind,
        base=base,
        loss=loss / unit,
        loss_nats=loss,
        loss_bits=nats_to_bits(loss),
        perplexity=perplexity_of_nats(loss),
        true_class=true_class,
        prob_true=None if true_class is None else terms[true_class].q,
        one_in=None if true_class is None else perplexity_of_nats(-float(log_q[true_class])),
        terms=terms,
        shown=shown,
        rest=rest,
        sum_target=math.fsum(p),
        sum_prediction=math.fsum(q),
        grad_logit_sum=math.fsum(term.grad_logit for term in terms),
        grad_norm=grad_norm,
        entropy_target=floor / unit,
        kl=(loss - floor if kl is None else kl) / unit,
        floor_share=floor / loss if 0.0 < loss < math.inf else None,
        entropy_prediction=entropy_prediction / unit,
        entropy_prediction_nats=entropy_prediction,
        entropy_prediction_bits=nats_to_bits(entropy_prediction),
        js_bits=nats_to_bits(float(js_divergence(p, q))),
        log_normalizer_nats=prediction.log_normalizer_nats,
        baselines=compare_with_baselines(loss, floor, log_q, target, names, unit),
        as_logits=take_for_logits(q, target, grad_norm, sums_to_one(q), unit) if kind == "probs" else None,
        unseen=split_otherwise(q, target),
        checks=check_identities(loss / unit, floor / unit, None if kl is None else kl / unit, terms, target),
        findings=find(kind, given, log_q, q, target, names),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
