"""Places and hints in the words of error messages."""


def where_is(place: tuple[int, ...]) -> str:
    """Return 'row 3 ', 'row (1, 3) ', or '' for the only row there is."""
    if not place:
        return ""
    return f"row {place[0]} " if len(place) == 1 else f"row {place} "


def class_at(place: tuple[int, ...], c: int) -> str:
    """Return 'row 3, class 1', or 'class 1' where there is only one row."""
    row = where_is(place).rstrip()
    return f"{row}, class {c}" if row else f"class {c}"


def hint_for_label(label: int, classes: int, smallest: int, largest: int, ignore_index: int | None) -> str:
    """Return the likeliest reason for a label outside [0, classes), as a sentence with a space before it, or ''."""
    if label == classes and smallest >= 1 and largest == classes:
        return " Are the labels 1-based?"
    if ignore_index is None and label in (-100, -1, 255):
        return f" Pass ignore_index={label} to leave such rows out."
    return ""
