"""The door of a diagnosis: read what was given, ask every rule, rank what they say."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from crossent.errors import CrossentError, DtypeError, OptionError
from crossent.explaining.diagnosing import constants
from crossent.explaining.diagnosing.batch import batch
from crossent.explaining.diagnosing.book import Suspect, suspect
from crossent.explaining.diagnosing.case import Case
from crossent.explaining.diagnosing.curve import curve, prior_entropy
from crossent.explaining.diagnosing.diagnosis import Diagnosis, Reference
from crossent.explaining.diagnosing.domain import domain
from crossent.explaining.diagnosing.labels import labels
from crossent.explaining.diagnosing.numbers import numbers
from crossent.explaining.diagnosing.reading import Said, read_array, read_case
from crossent.explaining.diagnosing.spread import spread
from crossent.explaining.finding import Finding

MOST_FINDINGS = 4  # more is no ranking
FAR_BEHIND = 0.4  # a suspect that much lighter than the first is left out


def diagnose(
    *,
    loss: Any = None,
    classes: int | str | None = None,
    logits: Any = None,
    probs: Any = None,
    targets: Any = None,
    history: Any = None,
    function: Any = None,
    class_counts: Sequence[float] | None = None,
    class_weight: Sequence[float] | None = None,
    ignore_index: int | None = None,
) -> Diagnosis:
    """Return the likely causes of a loss that looks wrong, ranked, from whatever is known of it; amounts in nats.

    ::

        loss ~ ln K                 nothing learnt
        loss ~ ln(e + K - 1) - 1    softmax applied twice
        loss ~ r * -ln(clip)        a share r of the rows was impossible, and clipped

    Parameters
    ----------
    loss : float, str or None
        The loss as it was seen, in nats; "inf" and "nan" too. Text keeps its digits: "2.30" is known to 0.01.
    classes : int or None
        The number of classes K.
    logits, probs : array, shape (rows, classes) or with more axes, or None
        What the loss function was given, under the name of what it was meant to be; or the path of a .npy file.
        Tensors of torch are taken as they are. Of a large array some rows are looked at.
    targets : array, shape (rows,) of class ids or the shape of the outputs, or None
        What the loss function was given as targets; or the path of a .npy file.
    history : sequence, mapping of columns, Keras History, path or None
        The loss per step: a list, a CSV or JSON lines file, or TensorBoard's event file or its directory. Columns of a
        validation loss and an accuracy are used where they are.
    function : str, callable or None
        The loss function, such as "torch.nn.CrossEntropyLoss" or "keras.losses.CategoricalCrossentropy(from_logits=True)".
    class_counts : sequence of numbers, shape (classes,), or None
        Rows of each class in the data, where `targets` does not tell them.
    class_weight : sequence of numbers, shape (classes,), or None
        The class weights given to the loss function.
    ignore_index : int or None
        The label that is not counted; None means the function's own default.

    Returns
    -------
    Diagnosis
        Frozen data: findings, the likeliest first, each with code, evidence, rivals, the one further input that would
        decide, and a fix for torch, Keras, JAX and scikit-learn. False if there is none; one line when printed.

    Raises
    ------
    OptionError
        If nothing was given, a number is none, the function is unknown or a file is missing; also a ValueError.
    ShapeError
        If targets and outputs do not have the same rows, or an array is ragged; also a ValueError.
    RangeError
        If a class count or weight is negative; also a ValueError.
    DtypeError
        If an array does not hold real numbers; also a TypeError.
    SourceError
        If a file of the history holds no loss, or is damaged; also a ValueError.

    Notes
    -----
    A number alone proves nothing: every finding says what it is consistent with, and what else would look the same.
    With outputs and targets the constants yield to what the rows themselves show. A loss near ln K at the first step
    is normal.

    Examples
    --------
    >>> [finding.code for finding in diagnose(loss=1.4612, classes=10)]
    ['CE005']
    >>> print(diagnose(loss=0.21, classes=10))
    crossent: no finding
    """
    if logits is not None and probs is not None:
        message = "`logits` and `probs` are two names for what the loss was given; pass one of them."
        raise OptionError(message)
    said: Said = "logits" if logits is not None else "probs" if probs is not None else None
    outputs = read_array(logits if logits is not None else probs, said or "probs")
    given = (loss, outputs, targets, history, class_counts)
    if all(value is None for value in given):
        message = "`loss`, `logits` or `probs`, `targets` or `history` is needed for a diagnosis, such as loss=2.3026."
        raise OptionError(message)
    case = read_case(
        loss=loss,
        classes=classes,
        outputs=outputs,
        said=said,
        targets=read_array(targets, "targets"),
        history=history,
        function=function,
        class_counts=class_counts,
        class_weight=class_weight,
        ignore_index=ignore_index,
    )
    return conclude(case)


def diagnose_outputs(
    model_output: Any,
    target: Any,
    *,
    function: Any,
    loss: Any = None,
    history: Any = None,
    classes: int | None = None,
    class_weight: Any = None,
    ignore_index: int | None = None,
) -> Diagnosis:
    """Diagnose one batch inside a training loop; what cannot be read becomes a finding, never an exception."""
    try:
        if model_output is None:
            message = "`model_output` must be an array; got None."
            raise DtypeError(message)
        case = read_case(
            loss=loss,
            classes=classes,
            outputs=model_output,
            said=None,
            targets=target,
            history=history,
            function=function,
            class_counts=None,
            class_weight=class_weight,
            ignore_index=ignore_index,
        )
        return conclude(case)
    except CrossentError as error:
        unreadable = suspect("CE100", 1.0, str(error)).finding
        return Diagnosis(None, classes, None, None, None, None, (), (unreadable,))


def conclude(case: Case) -> Diagnosis:
    """Ask every rule and rank the answers."""
    suspects: list[Suspect] = []
    # infinities and nan are what is looked for here: the flags that they raise are no news
    with np.errstate(all="ignore"):
        for rule in (domain, labels, batch, spread, curve):
            suspects += rule(case)
        # rows that tell the loss rule every constant out: `batch` says what the loss is, if not theirs
        rows_tell = case.row_losses is not None and len(case.row_losses) > 0
        if not rows_tell and not any(found.weight >= 0.9 for found in suspects):
            suspects += numbers(case)
        references = _references(case)
    function = case.function
    return Diagnosis(
        loss_nats=case.level,
        classes=case.classes,
        function=None if function is None else function.name,
        framework=None if function is None else function.framework,
        rows=_rows(case),
        steps=None if case.history is None else len(case.history.losses),
        references=references,
        findings=_ranked(suspects),
        steps_left_out=0 if case.history is None else case.history.left_out,
    )


def _ranked(suspects: list[Suspect]) -> tuple[Finding, ...]:
    found: dict[str, Suspect] = {}
    # sorted() keeps the order of equals: the rules that look at the data itself come first
    for one in sorted(suspects, key=lambda one: -one.weight):
        found.setdefault(one.finding.code, one)
    kept = list(found.values())[:MOST_FINDINGS]
    return tuple(one.finding for one in kept if one.weight >= kept[0].weight - FAR_BEHIND)


def _rows(case: Case) -> int | None:
    if case.outputs is not None:
        return len(case.outputs.values)
    return None if case.targets is None else case.targets.count


def _references(case: Case) -> tuple[Reference, ...]:
    if case.classes is None or case.classes < 2:
        return ()
    binary = case.link == "sigmoid"
    lines = [Reference("ln 2", math.log(2.0)) if binary else Reference(f"ln {case.classes}", math.log(case.classes))]
    if case.frequencies is not None and len(case.frequencies) == (
        case.classes if not binary else len(case.frequencies)
    ):
        lines.append(Reference("class frequencies", prior_entropy(case)))
    if not binary:
        lines.append(Reference("softmax twice at least", constants.lowest_after_two_softmaxes(case.classes)))
        lines.append(Reference("floor smoothed by 0.1", constants.smoothing_floor(case.classes, 0.1)))
    return tuple(lines)
