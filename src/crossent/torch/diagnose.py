"""One line in a training loop: is what goes into the loss what the loss expects?

The rules live on the floor of explaining, which is above this one, so nothing is imported from there: the rules are
found by name at the first call, as `crossent` itself finds its public names.
"""

from importlib import import_module
from typing import Any

import torch

_RULES = "crossent.explaining.diagnosing.diagnose"


@torch.no_grad()
def diagnose(
    model_output: Any,
    target: Any,
    *,
    function: Any = "torch.nn.CrossEntropyLoss",
    loss: Any = None,
    history: Any = None,
    classes: int | None = None,
    weight: Any = None,
    ignore_index: int | None = None,
) -> Any:
    """Return what looks wrong with one batch, as it goes into the loss function: a Diagnosis, false if sound.

    Parameters
    ----------
    model_output : Tensor, shape (rows, classes) or (rows, classes, ...)
        The first argument of the loss function, as it is. Of more than 2**20 numbers some rows are looked at.
    target : Tensor, shape (rows,) or (rows, ...) of class ids, or the shape of `model_output`
        The second argument of the loss function.
    function : str or module
        The loss function, by name or itself: torch.nn.BCEWithLogitsLoss(), "F.nll_loss".
    loss : float, Tensor of one element or None
        What it returned: then sums, wrong denominators and clips are found, too.
    history : sequence of float, path or None
        The losses so far.
    classes : int or None
        The number of classes, where the shape leaves a doubt.
    weight : Tensor, shape (classes,), or None
        The class weights given to the loss function.
    ignore_index : int or None
        The label that is not counted; None means the function's own default.

    Returns
    -------
    Diagnosis
        One line when printed; ``render()`` shows evidence, rivals and fixes.

    Raises
    ------
    Nothing for shapes, dtypes and values: a batch that cannot be read is finding CE100.

    Notes
    -----
    No gradient flows, and nothing is changed. A batch on another device is copied, at most 2**20 of its numbers.

    Examples
    --------
    >>> q = torch.softmax(torch.randn(64, 10, generator=torch.Generator().manual_seed(0)), dim=1)
    >>> found = diagnose(q, torch.arange(64) % 10)
    >>> bool(found), found.findings[0].code
    (True, 'CE005')
    """
    return import_module(_RULES).diagnose_outputs(
        model_output,
        target,
        function=function,
        loss=loss,
        history=history,
        classes=classes,
        class_weight=weight,
        ignore_index=ignore_index,
    )
