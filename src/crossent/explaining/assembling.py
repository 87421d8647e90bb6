"""From what was read to an Explanation: every number is measured here, once, whatever form shows it later."""

import math
from typing import TYPE_CHECKING

import numpy as np

from crossent.explaining.baselines import compare_with_baselines, place_of_batch, place_of_row
from crossent.explaining.batch import make_batch
from crossent.explaining.codes import costs, huffman
from crossent.explaining.explanation import Explanation
from crossent.explaining.findings import find
from crossent.explaining.measuring import Prediction, Weighing, measure, predict
from crossent.explaining.options import BASES
from crossent.explaining.parts import Kind, Reduction
from crossent.explaining.reading import Given, Row, sums_to_one
from crossent.explaining.targets import Target
from crossent.explaining.terms import check_identities, make_terms, select, total
from crossent.explaining.what_ifs import (
    check_gradient,
    split_otherwise,
    step_on,
    take_for_binary,
    take_for_logits,
    take_for_squared,
)
from crossent.units import nats_to_bits, perplexity_of_nats

if TYPE_CHECKING:
    from crossent.peers.answer import PackageAnswer


def assemble(
    given: Given,
    kind: Kind,
    reason: str,
    target: Target,
    weighing: Weighing,
    reduction: Reduction,
    prior: Row | None,
    names: tuple[str, ...],
    base: str,
    packages: bool,
) -> Explanation:
    """Return the explanation of rows that have been read and checked."""
    sums, per_row = measure(given, kind, target, weighing)
    count, unit = len(per_row.losses), BASES[base]
    denominator = total(per_row.denominators.tolist())
    divisor = 1.0 if reduction == "sum" else denominator or math.nan
    loss = total(per_row.losses.tolist()) / divisor + 0.0
    floor = float(sums.floor) / divisor + 0.0
    excess = None if math.isnan(float(sums.kl)) else float(sums.kl) / divisor + 0.0
    per_one = count or math.nan
    entropy_prediction = float(sums.entropy_prediction) / per_one
    grad_norm = float(np.linalg.norm(sums.grad_logit / divisor))
    weights = np.ones(given.classes) if weighing.weight is None else weighing.weight

    row = predict(given.block(slice(0, 1)), kind, target.loss_kind) if given.single else None
    q, p = sums.q / per_one, sums.p / per_one
    words = huffman(q) if row is not None and target.loss_kind == "categorical" else None
    terms = make_terms(sums, count, divisor, unit, names, target.loss_kind, weighing.weight, words)
    shown, rest = select(terms, q if row is None else row.log_q[0], p)
    true_class = None if row is None or target.labels is None else int(target.labels[0])
    shortcut = true_class is not None and weighing.smoothing == 0.0 and denominator > 0.0
    normalized = kind == "logits" or target.loss_kind == "binary" or sums_to_one(q, given.sum_tolerance)
    if row is None:
        place = place_of_batch(per_row, target)
    else:
        place = place_of_row(row.log_q[0], q, p, target, names, float(per_row.margins[0]))
    surprisal = None if true_class is None or row is None else -float(row.log_q[0, true_class]) + 0.0
    short = None if surprisal is None or not shortcut else surprisal / unit * (denominator / divisor)
    answers, packages_note = _packages(packages, target, weighing, row, p, q)
    return Explanation(
        kind=kind,
        kind_reason=reason,
        target_kind=target.kind,
        loss_kind=target.loss_kind,
        classes=given.classes,
        base=base,
        dtype=given.dtype,
        label_smoothing=weighing.smoothing,
        weighted=weighing.weight is not None,
        reduction=reduction,
        denominator=divisor,
        loss=loss / unit,
        loss_nats=loss,
        loss_bits=nats_to_bits(loss),
        perplexity=perplexity_of_nats(loss * (divisor / denominator) if denominator else math.nan),
        true_class=true_class,
        prob_true=None if true_class is None else terms[true_class].q,
        one_in=None if surprisal is None else perplexity_of_nats(surprisal),
        shortcut=shortcut,
        terms=terms,
        shown=shown,
        rest=rest,
        sum_target=total(p.tolist()),
        sum_prediction=total(q.tolist()),
        grad_logit_sum=total(term.grad_logit for term in terms),
        grad_norm=grad_norm,
        grad_check=None if row is None or not normalized else check_gradient(row, p, weights, shown),
        entropy_target=floor / unit,
        kl=(loss - floor if excess is None else excess) / unit,
        floor_share=floor / loss if 0.0 < loss < math.inf else None,
        entropy_prediction=entropy_prediction / unit,
        entropy_prediction_nats=entropy_prediction,
        entropy_prediction_bits=nats_to_bits(entropy_prediction),
        js_bits=nats_to_bits(float(sums.js) / per_one),
        brier=float(sums.brier) / per_one,
        log_normalizer_nats=_log_normalizer(row),
        sensitivity=None if row is None else step_on(row, p, weights, divisor, unit),
        baselines=compare_with_baselines(
            loss, floor, sums, divisor, unit, target.loss_kind, place, _prior(prior, p, given, target), weights
        ),
        codes=None if words is None else costs(words, p, q),
        as_logits=take_for_logits(sums, divisor, grad_norm, normalized, unit) if kind == "probs" else None,
        as_bce=take_for_binary(sums, count, given.classes, unit),
        as_mse=take_for_squared(sums, count, given.classes, true_class),
        unseen=(
            None
            if row is None or target.loss_kind == "binary"
            else split_otherwise(q, p, float(sums.weights), weights, divisor)
        ),
        checks=check_identities(
            loss / unit,
            floor / unit,
            None if excess is None else excess / unit,
            terms,
            target.loss_kind,
            short,
            float(sums.weights) / divisor,
            0.0 if kind == "logits" else given.sum_tolerance,
        ),
        packages=answers,
        packages_note=packages_note,
        findings=find(given, kind, target, names, weighing, reduction, denominator, float(sums.weights)),
        batch=None
        if row is not None
        else make_batch(per_row, sums, target, names, divisor, unit, weights, weighted=weighing.weight is not None),
    )


def _log_normalizer(row: Prediction | None) -> float | None:
    """Return log sum exp z of one row of logits: z - log q, which is the same for every class."""
    if row is None or row.kind != "logits" or row.loss_kind == "binary":
        return None
    given, log_q = row.given[0], row.log_q[0]
    return float(given.max() - log_q[int(given.argmax())])


def _prior(prior: Row | None, p: Row, given: Given, target: Target) -> tuple[Row, str] | None:
    """Return the class frequencies and where they come from; a batch has its own."""
    if prior is not None:
        return prior, "as given"
    if given.single or not len(given.values) or (target.loss_kind == "categorical" and not sums_to_one(p)):
        return None
    return np.clip(p, 0.0, 1.0), "the targets of this batch"


def _packages(
    asked: bool, target: Target, weighing: Weighing, row: Prediction | None, p: Row, q: Row
) -> "tuple[tuple[PackageAnswer, ...], str]":
    """Return the answers of other packages, and why there are none where somebody asked for them."""
    if not asked:
        return (), ""
    if row is None:
        return (), "packages are asked about one row: explain one row of this batch"
    if target.loss_kind == "binary":
        return (), "packages are asked about one answer among the classes, not about several labels at once"
    if weighing.weight is not None:
        return (), "packages are asked without class weights: leave them out"
    if bool(np.isnan(q).any()):
        return (), "packages are asked about numbers, and this prediction is none"
    from crossent.peers.by_rule import answers_for

    logits = None if row.kind == "probs" else row.given[0].tolist()
    return answers_for(p.tolist(), np.clip(q, 0.0, 1.0).tolist(), logits=logits, short=True), ""
