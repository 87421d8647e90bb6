"""The names that people give to columns of labels and of predictions."""

import re

from crossent.scoring.kinds import Kind

# In order of trust. `label` stands near the end: some tools write their own prediction under that name.
LABELS = (
    "target",
    "targets",
    "y_true",
    "truth",
    "true_label",
    "ground_truth",
    "actual",
    "gold",
    "y",
    "class",
    "label",
    "labels",
    "label_ids",
)

# The label names under which a prediction has been seen (mljar-supervised writes p_0, p_1, label).
DOUBTFUL_LABELS = ("label", "labels")

# Columns that only number the rows, as pandas, R and Kaggle write them.
ROW_NUMBERS = ("", "id", "index", "row_id", "unnamed: 0", "__index_level_0__")

_KINDS: tuple[tuple[str, Kind | None], ...] = (
    (r"log[_ -]?p(?:rob(?:as?|s|ability|abilities)?)?", "log_probs"),
    (r"p(?:rob(?:as?|s|ability|abilities)?)?", "probs"),
    (r"logits?", "logits"),
    (r"scores?|preds?|predictions?|outputs?", None),
)
_HEAD = r"(?:y_|pred_|predicted_)?"
SEPARATORS = "_.:-/ "


def whole_name_kind(name: str) -> tuple[bool, Kind | None]:
    """Return whether a column of lists with this name holds predictions, and of which kind if the name says so."""
    for pattern, kind in _KINDS:
        if re.fullmatch(_HEAD + f"(?:{pattern})", name, re.IGNORECASE):
            return True, kind
    return False, None


def split_prefix(name: str) -> tuple[str, str, Kind | None] | None:
    """Return (prefix, class, kind) of a name such as `prob_3`, `p_cat` or `logit3`; None for any other name."""
    for pattern, kind in _KINDS:
        found = re.fullmatch(
            rf"({_HEAD}(?:{pattern}))(?:[{re.escape(SEPARATORS)}]+(.+)|(\d+))", name, re.IGNORECASE | re.DOTALL
        )
        if found:
            return found[1].lower(), found[2] or found[3], kind
    return None


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
    """Return a sort key under which "2" comes before "10"."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]
