"""What is asked of a score beside the columns; frozen and picklable, as workers need it."""

from dataclasses import dataclass

from crossent.conventions import ZEROS
from crossent.errors import OptionError

BAD_LABELS = ("raise", "count")
RULES = ("kaggle",)
# Kaggle's own: rows rescaled to sum 1, then p = max(min(p, 1 - 1e-15), 1e-15).
KAGGLE_FLOOR = 1e-15


@dataclass(frozen=True)
class Options:
    """How rows are scored and what is kept of them."""

    worst: int = 20
    bootstrap: int = 0
    level: float = 0.95
    zero: str = "inf"
    eps: float | None = None
    bad_labels: str = "raise"
    rules: str | None = None
    anchors: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        for name, value in (("worst", self.worst), ("bootstrap", self.bootstrap)):
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100_000:
                message = f"`{name}` must be a whole number from 0 to 100000, got {value!r}"
                raise OptionError(message)
        if self.bootstrap and self.bootstrap < 20:
            message = f"`bootstrap` must be 0 or at least 20 replicates, got {self.bootstrap}; 200 are usual"
            raise OptionError(message)
        if not isinstance(self.level, float) or not 0.0 < self.level < 1.0:
            message = f"`level` must be a number between 0 and 1, got {self.level!r}; 0.95 is usual"
            raise OptionError(message)
        for name, choice, choices in (
            ("zero", self.zero, ZEROS),
            ("bad_labels", self.bad_labels, BAD_LABELS),
            ("rules", self.rules, (None, *RULES)),
        ):
            if choice not in choices:
                wanted = " or ".join(repr(each) for each in choices)
                message = f"`{name}` must be {wanted}, got {choice!r}"
                raise OptionError(message)
        if (self.zero == "clip") != (self.eps is not None):
            message = f"`eps` goes with zero='clip' and with nothing else, got zero={self.zero!r} and eps={self.eps!r}"
            raise OptionError(message)
        if self.eps is not None and not 0.0 < self.eps < 1.0:
            message = f"`eps` must be a number between 0 and 1, got {self.eps!r}"
            raise OptionError(message)
