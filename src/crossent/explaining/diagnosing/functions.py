"""From the name of a loss to what it expects: logits or probabilities, which clip, which axis, which labels it ignores."""

import ast
import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from crossent.errors import OptionError

Wants = Literal["logits", "probs", "log_probs"]
Link = Literal["softmax", "sigmoid"]

KERAS_CAP = -math.log(1e-7)
NAMES_SHOWN = 3


@dataclass(frozen=True)
class Function:
    """A loss of some package, as far as a diagnosis needs to know it."""

    name: str
    framework: str  # torch, keras, jax, sklearn, other: whose fix is shown
    link: Link
    wants: Wants
    cap_nats: float = math.inf  # the largest loss of a row; inf where nothing is clipped
    class_axis: int = -1
    ignore_index: int | None = None
    reduction: str = "mean"
    smoothing: float = 0.0
    divergence: bool = False  # KL(p || q): the loss less H(p)
    log_targets: bool = False  # the targets are log-probabilities
    weight: tuple[float, ...] = ()  # of the classes; of a sigmoid, of the elements
    positive_weight: tuple[float, ...] = ()
    told_in_full: bool = True  # False where an option is a variable, weight=w, or has a shape that no rule knows


def _torch(name: str, link: Link, wants: Wants, *, cap: float = math.inf, ignore: int | None = None) -> Function:
    return Function(name, "torch", link, wants, cap, class_axis=1, ignore_index=ignore)


_KNOWN = (
    _torch("torch.nn.CrossEntropyLoss", "softmax", "logits", ignore=-100),
    _torch("torch.nn.functional.cross_entropy", "softmax", "logits", ignore=-100),
    _torch("torch.nn.NLLLoss", "softmax", "log_probs", ignore=-100),
    _torch("torch.nn.functional.nll_loss", "softmax", "log_probs", ignore=-100),
    replace(_torch("torch.nn.KLDivLoss", "softmax", "log_probs"), divergence=True),
    replace(_torch("torch.nn.functional.kl_div", "softmax", "log_probs"), divergence=True),
    _torch("torch.nn.BCELoss", "sigmoid", "probs", cap=100.0),
    _torch("torch.nn.functional.binary_cross_entropy", "sigmoid", "probs", cap=100.0),
    _torch("torch.nn.BCEWithLogitsLoss", "sigmoid", "logits"),
    _torch("torch.nn.functional.binary_cross_entropy_with_logits", "sigmoid", "logits"),
    _torch("torch.nn.MultiLabelSoftMarginLoss", "sigmoid", "logits"),
    Function("keras.losses.CategoricalCrossentropy", "keras", "softmax", "probs", KERAS_CAP),
    Function("keras.losses.SparseCategoricalCrossentropy", "keras", "softmax", "probs", KERAS_CAP),
    Function("keras.losses.BinaryCrossentropy", "keras", "sigmoid", "probs", KERAS_CAP),
    Function("tf.nn.softmax_cross_entropy_with_logits", "keras", "softmax", "logits"),
    Function("tf.nn.sparse_softmax_cross_entropy_with_logits", "keras", "softmax", "logits"),
    Function("tf.nn.sigmoid_cross_entropy_with_logits", "keras", "sigmoid", "logits"),
    Function("optax.softmax_cross_entropy", "jax", "softmax", "logits"),
    Function("optax.softmax_cross_entropy_with_integer_labels", "jax", "softmax", "logits"),
    Function("optax.sigmoid_binary_cross_entropy", "jax", "sigmoid", "logits"),
    Function("sklearn.metrics.log_loss", "sklearn", "softmax", "probs", -52 * math.log(0.5)),
    Function("xgboost.mlogloss", "other", "softmax", "probs", -math.log(1e-16)),
    Function("xgboost.logloss", "other", "sigmoid", "probs", -math.log(1e-16)),
    Function("lightgbm.multi_logloss", "other", "softmax", "probs", -math.log(1e-15)),
    Function("lightgbm.binary_logloss", "other", "sigmoid", "probs", -math.log(1e-15)),
    Function("kaggle", "sklearn", "softmax", "probs", -math.log(1e-15)),
    Function("crossent.cross_entropy", "jax", "softmax", "logits"),
    Function("crossent.cross_entropy_from_probs", "jax", "softmax", "probs"),
    Function("crossent.cross_entropy_from_log_probs", "jax", "softmax", "log_probs"),
    Function("crossent.binary_cross_entropy", "jax", "sigmoid", "logits"),
)
_SAME_VALUE = {"ignore_index": "ignore_index", "ignore_class": "ignore_index", "axis": "class_axis", "reduction": "reduction",
               "label_smoothing": "smoothing", "log_target": "log_targets"}  # fmt: skip
_KINDS: Mapping[str, type] = {
    "ignore_index": int,
    "class_axis": int,
    "reduction": str,
    "smoothing": float,
    "log_targets": bool,
}
# the last word of a name that two packages share means the first of them unless a prefix says otherwise
_PREFIXES = {"f": "torch", "nn": "torch", "torch": "torch", "tf": "keras", "keras": "keras", "optax": "jax", "jax": "jax",
             "sklearn": "sklearn", "crossent": "crossent", "xgboost": "xgboost", "lightgbm": "lightgbm"}  # fmt: skip


def function_named(name: str) -> Function:
    """Return the function that a person means, options in brackets included."""
    path, options = _split(name)
    words = path.split(".")
    last = _key(words[-1])
    owner = next((_PREFIXES[word.lower()] for word in reversed(words[:-1]) if word.lower() in _PREFIXES), None)
    found = [known for known in _KNOWN if _key(known.name.rpartition(".")[2]) == last]
    mine = [known for known in found if owner in (known.framework, known.name.partition(".")[0])]
    if not found:
        raise OptionError(_unknown(name, last))
    return with_options((mine or found)[0], options)


def _key(word: str) -> str:
    # CrossEntropyLoss, cross_entropy_loss and cross_entropy are one name; Keras writes Crossentropy
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", word).lower()
    snake = re.sub(r"^bce", "binary_cross_entropy", snake).removesuffix("_loss")
    snake = {"nll": "nll", "nllloss": "nll", "kldiv": "kl_div", "kldiv_loss": "kl_div"}.get(snake, snake)
    aliases = {"binary_cross_entropyloss": "binary_cross_entropy", "crossentropyloss": "cross_entropy",
               "binary_cross_entropywithlogitsloss": "binary_cross_entropy_with_logits",
               "softmax_cross_entropy_with_logits_v2": "softmax_cross_entropy_with_logits"}  # fmt: skip
    return aliases.get(snake, snake)


def _split(name: str) -> tuple[str, dict[str, Any]]:
    path, bracket, rest = name.strip().partition("(")
    if not bracket:
        return path.strip(), {}
    try:
        call = ast.parse(f"f({rest}", mode="eval").body
    except SyntaxError:
        message = (
            f"`function` must be a name such as CrossEntropyLoss or BinaryCrossentropy(from_logits=True); got {name!r}."
        )
        raise OptionError(message) from None
    options: dict[str, Any] = {}
    for keyword in call.keywords if isinstance(call, ast.Call) else ():
        if keyword.arg is not None:
            options[keyword.arg] = _value(keyword.value)
    return path.strip(), options


def _value(node: ast.expr) -> Any:
    """Return what an option was written as; `...` for a variable, of which no more is known than that it is there."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        node = node.args[0]  # torch.tensor([1.0, 9.0])
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ...


def with_options(function: Function, options: Mapping[str, Any]) -> Function:
    """Return the function with what a person set, by the names that torch and Keras give the options."""
    if options.get("from_logits") is True:
        function = replace(function, wants="logits", cap_nats=math.inf)
    if "eps" in options and function.wants == "probs" and isinstance(options["eps"], float) and options["eps"] > 0.0:
        function = replace(function, cap_nats=-math.log(options["eps"]))
    told: dict[str, Any] = {}
    for name, field in _SAME_VALUE.items():
        kind, value = _KINDS[field], options.get(name)
        if isinstance(value, kind) and not (kind is not bool and isinstance(value, bool)):
            told[field] = value
    for name, field in (("weight", "weight"), ("pos_weight", "positive_weight")):
        if options.get(name) is not None:
            numbers = _numbers(options[name])
            told |= {"told_in_full": False} if numbers is None else {field: numbers}
    return replace(function, **told)


def _numbers(value: Any) -> tuple[float, ...] | None:
    """Return one number, a list or an array of one axis as numbers; None of anything else."""
    value = value.detach().cpu() if hasattr(value, "detach") else value
    if getattr(value, "ndim", 1) > 1:
        return None
    try:
        listed = value.tolist() if hasattr(value, "tolist") else value
        return tuple(float(number) for number in (listed if isinstance(listed, list | tuple) else [listed]))
    except (TypeError, ValueError):
        return None


def _unknown(name: str, last: str) -> str:
    keys = {_key(known.name.rpartition(".")[2]): known.name for known in reversed(_KNOWN)}
    near = difflib.get_close_matches(last, keys, NAMES_SHOWN, cutoff=0.5)
    names = [keys[key] for key in near] or [
        _KNOWN[0].name,
        "keras.losses.CategoricalCrossentropy",
        "sklearn.metrics.log_loss",
    ]
    return f"`function` must be a loss that is known here; got {name!r}. Did you mean {' or '.join(names)}?"
