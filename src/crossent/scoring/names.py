"""The names that people give to columns of labels, of predictions, and of what is neither."""

import re

from crossent.scoring.kinds import Kind

# In order of trust. `label` stands near the end: some tools write their own prediction under that name.
LABELS = (
    *("target", "targets", "y_true", "truth", "true_label", "true_labels", "true_class"),
    *("ground_truth", "actual", "gold", "gold_label", "y", "y_test", "class"),
    *("label", "labels", "label_ids", "label_id", "label_index", "labelindex", "indexedlabel", "soft_labels"),
)

# The label names under which a prediction has been seen (mljar-supervised writes p_0, p_1, label).
DOUBTFUL_LABELS = ("label", "labels")

# Columns that only number the rows, as pandas, R and Kaggle write them.
ROW_NUMBERS = ("", "id", "index", "row_id", "unnamed: 0", "__index_level_0__")

WEIGHTS = ("weight", "weights", "sample_weight", "sample_weights", "w")

# Columns that say what the truth was given.
SCALAR_NAMES: dict[str, Kind] = {
    "logprob": "truth_log_probs",
    "log_prob": "truth_log_probs",
    "loglikelihood": "truth_log_probs",
    "log_likelihood": "truth_log_probs",
    "nll": "losses",
    "loss": "losses",
    "cross_entropy": "losses",
    "log_loss": "losses",
}

# What stands beside predictions and is no class, unless a label says so or the rows sum to 1 only with it.
NO_CLASSES = {
    *(*ROW_NUMBERS, *WEIGHTS, "row", "line", "rank"),
    *("fold", "split", "part", "subset", "usage", "indicator", "epoch", "step", "iteration", "seed", "run", "model"),
    *("date", "time", "timestamp", "year", "duration", "confidence", "entropy", "margin", "uncertainty", "max_prob"),
    *(*SCALAR_NAMES, "threshold"),
}

# Columns of what was predicted, as a label.
_PREDICTED = re.compile(
    r"(?:y_?hat|(?:y_)?pred(?:icted|iction)?s?|yhat|guess|output|argmax)"
    r"(?:_(?:label|labels|class|classes|id|ids|value|name|index))?",
    re.IGNORECASE,
)

_KINDS: tuple[tuple[str, Kind | None], ...] = (
    (r"log[_ -]?p(?:rob(?:as?|s|ability|abilities)?)?", "log_probs"),
    (r"p(?:rob(?:as?|s|ability|abilities)?)?", "probs"),
    (r"logits?", "logits"),
    (r"scores?|preds?|predictions?|outputs?", None),
)
_HEAD = r"(?:y_|pred_|predicted_|prediction_|predict_)?"
SEPARATORS = "_.:-/ "

# Columns of one-hot or soft truths: one of these before the class, or before the name of the prediction's column.
_TRUTH = re.compile(
    r"(?:y_true|y_test|y|targets?|truths?|true(?:_label)?|actual|gold|ground_truth|labels?|soft_labels?|one_?hot|solution)"
    rf"[{re.escape(SEPARATORS)}]+(.+)",
    re.IGNORECASE | re.DOTALL,
)


def whole_name_kind(name: str) -> tuple[bool, Kind | None]:
    """Return whether a column with this name holds predictions, and of which kind if the name says so."""
    for pattern, kind in _KINDS:
        if re.fullmatch(_HEAD + f"(?:{pattern})", name.strip(), re.IGNORECASE):
            return True, kind
    return False, None


def split_prefix(name: str) -> tuple[str, str, Kind | None] | None:
    """Return (prefix, class, kind) of a name such as `prob_3`, `p_cat` or `logit3`; None for any other name."""
    for pattern, kind in _KINDS:
        found = re.fullmatch(
            rf"({_HEAD}(?:{pattern}))(?:[{re.escape(SEPARATORS)}]+(.+)|(\d+))",
            name.strip(),
            re.IGNORECASE | re.DOTALL,
        )
        if found:
            return found[1].lower(), found[2] or found[3], kind
    return None


def split_truth(name: str) -> tuple[str, str] | None:
    """Return (prefix, class) of a name such as `target_cat` or `y_true_3`; None for any other name."""
    found = _TRUTH.fullmatch(name.strip())
    return (name.strip()[: found.start(1)].lower(), found[1]) if found else None


def is_predicted_label(name: str) -> bool:
    """Return whether a column with this name holds the label that was predicted."""
    return bool(_PREDICTED.fullmatch(name.strip()))


def is_key(name: str) -> bool:
    """Return whether a column with this name names the row: `id`, `image_id`, `PassengerId`."""
    return name.lower() in ROW_NUMBERS or bool(re.search(r"(?:^|[_\-. ])id$|[a-z]Id$|[a-z]ID$", name))


def common_prefix(names: list[str]) -> str:
    """Return the longest prefix that all names share and that ends with a separator; "" if there is none."""
    first, last = min(names), max(names)
    shared = 0
    while shared < min(len(first), len(last)) - 1 and first[shared] == last[shared]:
        shared += 1
    while shared and first[shared - 1] not in SEPARATORS:
        shared -= 1
    return first[:shared]


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key under which "2" comes before "10", and "-1" before "1"."""
    if re.fullmatch(r"-?[0-9]+", name):
        return [(0, int(name), "")]
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]
