"""Every exception and warning of crossent; each error is also the builtin a caller would expect."""


class CrossentError(Exception):
    """Base of all errors of this library."""


class ShapeError(CrossentError, ValueError):
    """Two arrays do not fit together, or an array has the wrong number of dimensions."""


class OptionError(CrossentError, ValueError):
    """An option has a value that it cannot have."""


class RangeError(CrossentError, ValueError):
    """A number lies outside its domain: a negative probability, a weight that is NaN."""


class NormalizationError(CrossentError, ValueError):
    """Probabilities of a row do not sum to 1 and ``normalized="raise"``."""


class ImpossibleEventError(CrossentError, ValueError):
    """The prediction is 0 where the truth is not, and ``zero="raise"``."""


class EmptyError(CrossentError, ValueError):
    """Nothing took part in a mean and ``empty="raise"``."""


class DtypeError(CrossentError, TypeError):
    """An array has a dtype that the function cannot read without guessing."""


class ArrayKindError(CrossentError, TypeError):
    """An object is no array on the CPU, or one whose gradient would be lost here."""


class LabelError(CrossentError, IndexError):
    """A class id lies outside [0, classes)."""


class SourceError(CrossentError, ValueError):
    """A file of predictions is missing, unreadable, empty, or lacks what is needed."""


class MissingExtraError(CrossentError, ImportError):
    """An optional dependency is not installed."""


class ImpossibleEventWarning(UserWarning):
    """Rows were impossible: the prediction is 0 where the truth is not, so their loss is infinite."""


class NormalizationWarning(UserWarning):
    """Rows of probabilities do not sum to 1."""
