"""The screen of bits and codes: what a symbol costs, the code that comes close to it, and rectangles of that cost."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from crossent.errors import OptionError, RangeError
from crossent.explaining.digits import amount, compact
from crossent.explaining.explanation import Explanation, explain
from crossent.explaining.page.case import MOST_CLASSES, read_case
from crossent.explaining.page.cells import Cell, amount_cell, box_cell, compact_cell
from crossent.explaining.page.view import check_one_answer

LONGEST_TEXT = 10_000
MOST_COUNT = 1024  # the thread's own largest example
SHOWN = 12  # rows and rectangles; more are too flat to see


def bits_view(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the screen shows of a text, of so many equally likely things, or of the case on the explain screen."""
    if "text" in body:
        return _text_view(body["text"])
    if "count" in body:
        return _count_view(body["count"])
    if isinstance(body.get("case"), Mapping):
        return _case_view(body["case"])
    message = '`bits` needs "text", "count" or "case"; got none of them.'
    raise OptionError(message)


def _text_view(text: Any) -> dict[str, Any]:
    if not isinstance(text, str) or not 1 <= len(text) <= LONGEST_TEXT:
        message = f"`text` must be a text of 1 to {LONGEST_TEXT} letters; got {_size(text)}."
        raise OptionError(message)
    counts = Counter(text)
    if len(counts) > MOST_CLASSES:
        message = f"`text` must have at most {MOST_CLASSES} different letters; got {len(counts)}."
        raise RangeError(message)
    own = _own_code([count / len(text) for count in counts.values()], [_letter(letter) for letter in counts])
    bits = own.entropy_prediction_bits
    different = f"{len(counts)} different {'letter' if len(counts) == 1 else 'letters'} among {len(text)}"
    return _view(
        own,
        each=amount_cell(bits),
        per="per letter",
        total=amount_cell(bits * len(text)),
        sentence=f"{different}. {'It tells nothing new.' if bits == 0.0 else _huffman_sentence(own)}",
    )


def _count_view(count: Any) -> dict[str, Any]:
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_COUNT:
        message = f"`count` must be a whole number from 1 to {MOST_COUNT}; got {str(count)[:20]}."
        raise RangeError(message)
    own = _own_code([1.0 / count] * count, [f"fruit {index + 1}" for index in range(count)])
    bits = own.entropy_prediction_bits
    return _view(
        own,
        each=amount_cell(bits),
        per="per fruit",
        total=None,
        sentence=f"{count} equally likely fruits: log₂ {count} = {amount(bits)}. {_huffman_sentence(own)}",
    )


def _case_view(body: Mapping[str, Any]) -> dict[str, Any]:
    case = read_case(body)
    explanation = explain(case.target, case.tempered, kind=case.kind, base=2, class_names=case.names)
    check_one_answer(explanation)
    shown = _view(
        explanation,
        each=amount_cell(explanation.entropy_prediction_bits),
        per="per class drawn from q, with the code made for q",
        total=None,
        sentence=f"Written with that same code, the truth p costs H(p,q) = {amount(explanation.loss_bits)} bits. "
        + _huffman_sentence(explanation),
    )
    under_truth = _picture(
        "The truth p, in the code made for q.",
        "This area is the cross-entropy: the loss.",
        explanation,
        [term.p for term in explanation.terms],
        explanation.loss_bits,
    )
    return {**shown, "pictures": [*shown["pictures"], under_truth]}


def _own_code(q: list[float], names: list[str]) -> Explanation:
    return explain(np.array(q), np.array(q), base=2, class_names=names)


def _view(explanation: Explanation, *, each: Cell, per: str, total: Cell | None, sentence: str) -> dict[str, Any]:
    terms = sorted(explanation.terms, key=lambda term: (-term.q, term.index))[:SHOWN]
    left = len(explanation.terms) - len(terms)
    own = _picture(
        "The prediction q, in the code made for q.",
        "Height is probability, width −log₂ q: the area is the entropy.",
        explanation,
        [term.q for term in explanation.terms],
        explanation.entropy_prediction_bits,
    )
    return {
        "each": each,
        "all": total,
        "per": per,
        "sentence": sentence,
        "pictures": [own],
        "caption": "Ideal length, and a Huffman code",
        "rows": [
            {
                "name": term.name,
                "p": box_cell(term.q),
                "ideal": amount_cell(term.ideal_bits),
                "length": ["", "–"] if term.huffman_bits is None else compact_cell(float(term.huffman_bits)),
                "code": _word(term.huffman_code),
            }
            for term in terms
        ],
        "more": f"and {left} more." if left else "",
    }


def _word(code: str | None) -> str:
    # a code of one symbol has nothing to say
    return "–" if code is None else code or "(nothing)"


def _huffman_sentence(explanation: Explanation) -> str:
    if explanation.codes is None:
        return ""
    return f"A Huffman code takes {compact(explanation.codes.mean_bits)} bits on average."


def _picture(title: str, note: str, explanation: Explanation, heights: list[float], area: float) -> dict[str, Any]:
    kept = sorted(range(len(heights)), key=lambda index: (-heights[index], index))[: 4 * SHOWN]
    boxes = [(explanation.terms[index], heights[index]) for index in sorted(kept) if heights[index] > 0.0]
    return {
        "title": title,
        "note": note,
        "area": amount_cell(area),
        "boxes": [
            {
                "name": term.name,
                "p": compact_cell(height),
                "bits": amount_cell(term.ideal_bits),
                "area": amount_cell(height * term.ideal_bits),
            }
            for term, height in boxes
        ],
    }


def _letter(letter: str) -> str:
    return {" ": "space", "\n": "line end", "\t": "tab"}.get(letter, letter)


def _size(text: Any) -> str:
    return f"{len(text)}" if isinstance(text, str) else type(text).__name__
