"""Scores of every kind that a report has to show."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from crossent.scoring.score import Score, score

HOSTILE = (
    "<script>alert(1)</script>",
    "\"quotes' & &amp; ampersands",
    r"$x^2$ \frac{1}{2}",
    "שלום עולם",
    "😀 emoji",
    "n" * 500,
    "line\nbreak\ttab",
    "NUL\x00 bell\x07 escape\x1b[31m",
    "\u202eturned\u202c",
    "W" * 40,
    " ",
    "日本語の長い名前はここで切られます、とても長い",
    "name:3",
    "]]> --> </svg></style>",
    "{{ 7 * 7 }}{% raw %}",
)


def predictions(rows: int, classes: int, *, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities, shape (rows, classes), and labels drawn from flatter ones, shape (rows,)."""
    rng = np.random.default_rng(11)
    logits = rng.normal(size=(rows, classes)) * scale
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    flatter = np.cumsum(exponentials**0.7, axis=1)
    labels = (flatter < rng.random((rows, 1)) * flatter[:, -1:]).sum(axis=1)
    return exponentials / exponentials.sum(axis=1, keepdims=True), labels


def table(probabilities: np.ndarray, labels: object, **more: object) -> pa.Table:
    """Return a table of lists of probabilities, with labels and other columns."""
    return pa.table({"probs": pa.array(list(probabilities)), "label": labels, **more})


def plain(rows: int = 500, classes: int = 4) -> Score:
    return score(table(*predictions(rows, classes)))


def impossible() -> Score:
    probabilities, labels = predictions(500, 4)
    probabilities[[0, 7, 9], labels[[0, 7, 9]]] = 0.0
    return score(table(probabilities, labels))


def undefined() -> Score:
    probabilities, labels = predictions(500, 4)
    probabilities[:2] = np.nan
    probabilities[5, labels[5]] = 0.0
    return score(table(probabilities, pa.array([*labels[:-3].tolist(), None, None, -100])))


def all_impossible() -> Score:
    return score(table(np.array([[0.0, 1.0]] * 5), np.zeros(5, np.int64)))


def perfect() -> Score:
    return score(table(np.eye(3)[[0, 1, 2] * 20], np.array([0, 1, 2] * 20)))


def uniform() -> Score:
    return score(table(np.full((60, 4), 0.25), np.arange(60) % 4))


def one_class() -> Score:
    return score(table(predictions(100, 3)[0], np.zeros(100, np.int64)))


def one_row() -> Score:
    return score(table(np.array([[0.2, 0.8]]), np.array([1])))


def soft() -> Score:
    probabilities, _ = predictions(200, 3)
    truths = np.random.default_rng(3).dirichlet(np.ones(3), 200)
    columns = {f"prob_{c}": probabilities[:, c] for c in range(3)} | {f"truth_{c}": truths[:, c] for c in range(3)}
    return score(pa.table(columns), target=[f"truth_{c}" for c in range(3)])


def weighted() -> Score:
    probabilities, labels = predictions(300, 3)
    weights = np.random.default_rng(5).random(300)
    return score(table(probabilities, labels, w=weights), weight="w")


def scalar() -> Score:
    return score(pa.table({"loss": np.random.default_rng(1).exponential(2.0, 1000)}))


def tokens() -> Score:
    rng = np.random.default_rng(2)
    return score(pa.table({"logprob": -rng.exponential(2.0, 1000), "num_bytes": rng.integers(1, 9, 1000)}))


def clustered() -> Score:
    probabilities, labels = predictions(300, 3)
    return score(table(probabilities, labels, person=np.arange(300) % 25), cluster="person")


def bootstrapped() -> Score:
    return score(table(*predictions(300, 3)), bootstrap=40, zero="clip", eps=1e-15)


def hostile() -> Score:
    count = len(HOSTILE)
    probabilities, labels = predictions(600, count)
    places = np.random.default_rng(4).integers(0, count, 600)
    names = pa.array([HOSTILE[place] for place in places])
    columns = table(probabilities, labels).append_column("<b>by</b> $g$", names).append_column("id", names)
    return score(columns, classes=HOSTILE, by="<b>by</b> $g$")


def grouped(groups: int = 10_000) -> Score:
    probabilities, labels = predictions(20_000, 5)
    names = pa.array([f"group {place % groups} & <co>" for place in range(20_000)])
    return score(table(probabilities, labels, firm=names), by="firm")


def many_files() -> Score:
    probabilities, labels = predictions(20, 3)
    result = Score()
    for place in range(1000):
        part = Score(_reading(), plain(20, 3).options) if place == 0 else Score(result.reading, result.options)
        part.update(table(probabilities, labels).to_batches()[0], source=f"folder/part {place} <i>.parquet")
        result.merge(part)
    return result


def _reading() -> object:
    return plain(20, 3).reading


SMALL: tuple[Callable[[], Score], ...] = (
    *(
        plain,
        impossible,
        undefined,
        all_impossible,
        perfect,
        uniform,
        one_class,
        one_row,
        soft,
        weighted,
        scalar,
        tokens,
    ),
    *(clustered, bootstrapped, hostile),
)
LARGE: dict[str, Callable[[], Score]] = {
    "2 classes": lambda: plain(500, 2),
    "10 classes": lambda: plain(2000, 10),
    "200 classes": lambda: plain(3000, 200),
    "10 000 classes": lambda: plain(200, 10_000),
    "10 000 groups": grouped,
    "1000 files": many_files,
    "100 000 kept rows": lambda: plain(100_000, 10),
    "more rows than are kept": lambda: plain(300_000, 3),
    "all rows among the worst": lambda: score(table(*predictions(5000, 3)), worst=5000),
}
