"""Predictions joined with labels and read whole: shared by the tests of the join."""

import re

import pytest

from crossent.errors import SourceError
from crossent.scoring.join import JoinedSource, check_join
from crossent.scoring.sources.opening import open_source, read_batches
from tests.scoring.sources.whole import joined


def both(predictions, labels, on=None, columns=None, batch_rows=7, types=None):
    """Return the report, and the columns of the joined source."""
    paths = predictions if isinstance(predictions, list) else [predictions]
    sources = [open_source(path) for path in paths]
    report = check_join(sources, labels, on)
    source = JoinedSource(sources[0], report.label_file)
    names = columns or source.schema.names
    return report, joined(read_batches(source, names, batch_rows, types or {}))


def assert_refused(text, predictions, labels, on=None):
    with pytest.raises(SourceError, match=re.escape(text)) as caught:
        both(predictions, labels, on)
    assert str(caught.value) == text
