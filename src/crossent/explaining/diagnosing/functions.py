"""From the name of a loss to what it expects: logits or probabilities, which clip, which axis, which labels it ignores."""

import ast
import difflib
import math
import re
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
    return _with_options((mine or found)[0], options)


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
            # an option may be a variable of the caller, weight=w: that it is there is all there is to know
            options[keyword.arg] = keyword.value.value if isinstance(keyword.value, ast.Constant) else ...
    return path.strip(), options


def _with_options(function: Function, options: dict[str, Any]) -> Function:
    if options.get("from_logits") is True:
        function = replace(function, wants="logits", cap_nats=math.inf)
    if "eps" in options and function.wants == "probs" and isinstance(options["eps"], float) and options["eps"] > 0.0:
        function = replace(function, cap_nats=-math.log(options["eps"]))
    if isinstance(options.get("ignore_index"), int):
        function = replace(function, ignore_index=options["ignore_index"])
    if isinstance(options.get("ignore_class"), int):
        function = replace(function, ignore_index=options["ignore_class"])
    if isinstance(options.get("axis"), int):
        function = replace(function, class_axis=options["axis"])
    if isinstance(options.get("reduction"), str):
        function = replace(function, reduction=options["reduction"])
    if isinstance(options.get("label_smoothing"), float):
        function = replace(function, smoothing=options["label_smoothing"])
    return function


def _unknown(name: str, last: str) -> str:
    keys = {_key(known.name.rpartition(".")[2]): known.name for known in reversed(_KNOWN)}
    near = difflib.get_close_matches(last, keys, NAMES_SHOWN, cutoff=0.5)
    names = [keys[key] for key in near] or [
        _KNOWN[0].name,
        "keras.losses.CategoricalCrossentropy",
        "sklearn.metrics.log_loss",
    ]
    return f"`function` must be a loss that is known here; got {name!r}. Did you mean {' or '.join(names)}?"
