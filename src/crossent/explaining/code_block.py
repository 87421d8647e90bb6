"""Bits and codes: each class's word in a Huffman code made for q, beside the ideal length."""

from crossent.explaining.digits import amount, compact
from crossent.explaining.explanation import Explanation
from crossent.explaining.names import shorten
from crossent.explaining.paper import Paper, columns

WORD_WIDEST = 24


def codes(explanation: Explanation, sheet: Paper) -> list[str]:
    """A table of words, and what the code costs on average."""
    lines = sheet.wrap("Bits and codes", indent=" ")
    if explanation.codes is None:
        return lines + sheet.wrap("no code: one prediction that is a distribution over the classes has one")
    terms = [explanation.terms[index] for index in explanation.shown]
    table = [["class", "p", "q", "−log₂ q", "bits", "word"]]
    table += [
        [
            sheet.name(shorten(term.name)),
            compact(term.p),
            compact(term.q),
            amount(term.ideal_bits),
            "none" if term.huffman_bits is None else str(term.huffman_bits),
            _word(term.huffman_code),
        ]
        for term in terms
    ]
    written = [[sheet.write(cell) for cell in row] for row in table]
    widths = [max(columns(row[place]) for row in written) for place in range(len(table[0]))]
    for row in written:
        cells = [sheet.pad(cell, widths[place], right=place < 5) for place, cell in enumerate(row)]
        lines.append(f"   {'  '.join(cells)}".rstrip())
    if any(columns(line) > sheet.width for line in lines):
        named = ("", " p ", ", q ", ", ideal ", ", bits ", ", word ")
        lines = sheet.wrap("Bits and codes", indent=" ")
        for row in written[1:]:
            text = "".join(name + cell for name, cell in zip(named, row, strict=True) if cell)
            lines += sheet.wrap(text, hanging="     ")
    if explanation.rest is not None:
        lines += sheet.wrap(f"... {explanation.rest.count} more")
    mean, under = amount(explanation.codes.mean_bits), amount(explanation.codes.mean_bits_under_target)
    lines += sheet.wrap(
        f"messages drawn from q: {mean} bits on average; no code gets below H(q) = "
        f"{amount(explanation.entropy_prediction_bits)}"
    )
    return lines + sheet.wrap(
        f"messages drawn from p: {under} bits; with ideal lengths H(p,q) = {amount(explanation.loss_bits)}"
    )


def _word(code: str | None) -> str:
    if code is None:
        return ""
    if not code:
        return "(empty)"
    return code if len(code) <= WORD_WIDEST else code[: WORD_WIDEST - 1] + "…"
