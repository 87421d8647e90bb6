"""Options that have nothing to do for what was found in the files: refused, as they would change no number."""

from typing import Any

from crossent.errors import OptionError
from crossent.scoring.columns import Asked
from crossent.scoring.options import Options
from crossent.scoring.reading import Reading


def refuse_unused(reading: Reading, asked: Asked, options: Options) -> None:
    """Raise OptionError for an option about classes or labels where neither takes part in the score."""
    column = reading.prediction_columns[0]
    if reading.label_form == "none":
        why = f"'{column}' says what the truth of each row was given, so that no label is looked at"
        for name, is_given in (("target", asked.target is not None), ("bad_labels", options.bad_labels != "raise")):
            if is_given:
                message = f"`{name}` must be left out here: {why}"
                raise OptionError(message)
    if not reading.classes:
        what = (
            "lists the most likely classes only"
            if reading.listed_column
            else "says what the truth of each row was given"
        )
        if asked.classes is not None:
            message = f"`classes` must be left out here: '{column}' {what}, so that there is no prediction of each class to name"
            raise OptionError(message)
        if options.bad_labels != "raise":
            message = f"`bad_labels` must be left out here: '{column}' {what}, so that no label is known to be no class"
            raise OptionError(message)


def refuse_unused_labels(reading: Reading, labels: Any, added: set[str]) -> None:
    """Raise OptionError where no column that the file of labels adds takes part in the score."""
    if added.isdisjoint(reading.columns):
        truth = (
            f"'{reading.prediction_columns[0]}' says what the truth of each row was given"
            if reading.label_form == "none"
            else f"the truth is the column '{reading.label_column}' of the predictions"
        )
        message = f"`labels` must be left out here, no column of '{labels}' is used: {truth}"
        raise OptionError(message)
