"""Huffman's code for a distribution: as short a prefix code as there is, one word per class."""

import heapq
import math
from dataclasses import dataclass

from crossent.explaining.parts import Codes
from crossent.explaining.reading import Row


@dataclass(frozen=True)
class Words:
    """One word per class, None where q = 0: what cannot happen needs no word."""

    lengths: tuple[int | None, ...]
    words: tuple[str | None, ...]


def huffman(q: Row) -> Words | None:
    """Return the words of a Huffman code; None where q has a nan or is 0 everywhere.

    Among equal weights the smaller tree of the lower class goes first, which keeps the longest word short; the words
    are then given out in the order of length and class (a canonical code), so that equal input has equal words.
    """
    if not all(math.isfinite(weight) for weight in q) or not any(weight > 0.0 for weight in q):
        return None
    lengths = _lengths({index: float(weight) for index, weight in enumerate(q) if weight > 0.0})
    words: dict[int, str] = {}
    value = previous = 0
    for index in sorted(lengths, key=lambda index: (lengths[index], index)):
        value <<= lengths[index] - previous
        previous = lengths[index]
        words[index] = format(value, f"0{previous}b") if previous else ""
        value += 1
    classes = range(len(q))
    return Words(tuple(lengths.get(index) for index in classes), tuple(words.get(index) for index in classes))


def _lengths(weights: dict[int, float]) -> dict[int, int]:
    # weight, then leaves before inner nodes and older before younger
    heap = [(weight, node) for node, weight in weights.items()]
    heapq.heapify(heap)
    children: dict[int, tuple[int, int]] = {}
    node = root = max(weights)
    while len(heap) > 1:
        node += 1
        first, left = heapq.heappop(heap)
        second, right = heapq.heappop(heap)
        children[node] = (left, right)
        heapq.heappush(heap, (first + second, node))
    root = heap[0][1]
    depths, lengths = {root: 0}, {}
    for parent in range(root, -1, -1):  # a parent is younger than its children
        if parent in children:
            depths.update(dict.fromkeys(children[parent], depths[parent] + 1))
        elif parent in weights:
            lengths[parent] = depths[parent]
    return lengths


def costs(words: Words, p: Row, q: Row) -> Codes:
    """Return the mean word lengths under q, divided by its sum, and under p."""
    counted = [(length, p[index], q[index]) for index, length in enumerate(words.lengths) if length is not None]
    wordless = any(length is None and p[index] > 0.0 for index, length in enumerate(words.lengths))
    mean = math.fsum(length * weight for length, _, weight in counted) / math.fsum(q)
    under_target = math.inf if wordless else math.fsum(length * weight for length, weight, _ in counted)
    return Codes(mean, under_target)
