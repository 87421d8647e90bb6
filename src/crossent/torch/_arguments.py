"""What every drop-in reads the same way."""

from torch.nn import _reduction


def reduction_of(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """Return the reduction, also from torch's two deprecated arguments; torch's own error where it is none."""
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    _reduction.get_enum(reduction)
    return reduction
