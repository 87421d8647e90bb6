"""What only a batch has, as lines: the rows that count, the worst of them, and how the losses are spread."""

import math

from crossent.explaining.digits import amount, compact
from crossent.explaining.explanation import Explanation
from crossent.explaining.names import shorten
from crossent.explaining.paper import Paper
from crossent.explaining.parts import Batch, Histogram

WORST_LINES = 5
BAR = 20


def batch(explanation: Explanation, sheet: Paper) -> list[str]:
    """The batch's own numbers, the worst rows, and a histogram of row losses."""
    found = explanation.batch
    if found is None:
        return []
    lines = sheet.wrap(f"{found.rows} rows", indent=" ")
    text = f"total {amount(found.total)}, mean {amount(found.mean)} = total / {compact(found.denominator)}"
    lines += sheet.wrap(f"{text}, {found.denominator_rule}")
    if found.effective_n != found.rows:
        lines += sheet.wrap(f"{found.effective_n} rows count; the class weights of the others are 0")
    broken = [f"{found.infinite_rows} infinite"] * (found.infinite_rows > 0) + [f"{found.nan_rows} nan"] * (
        found.nan_rows > 0
    )
    if broken:
        lines += sheet.wrap(f"losses: {', '.join(broken)}")
    if not math.isnan(found.target_entropy):
        lines += sheet.wrap(
            f"without looking at the inputs the best is {amount(found.target_entropy)}, {_best(explanation)}"
        )
    return lines + _worst(found, sheet) + (_histogram(found.histogram, sheet) if found.histogram else [])


def _best(explanation: Explanation) -> str:
    if explanation.weighted:
        return "one prediction for all rows, with these class weights"
    rows = 0 if explanation.batch is None else explanation.batch.rows
    return "H(mean target)" if explanation.reduction == "mean" else f"{rows} × H(mean target)"


def _worst(found: Batch, sheet: Paper) -> list[str]:
    lines = []
    if found.share_of_worst is not None:
        rows = "1 row" if found.worst_percent_rows == 1 else f"{found.worst_percent_rows} rows"
        lines += sheet.wrap(f"the worst 1% ({rows}) make {found.share_of_worst:.0%} of the total")
    for row in found.worst_rows[:WORST_LINES]:
        text = f"row {row.row}: loss {amount(row.loss)}"
        if row.true_name is not None:
            text += f", true {shorten(row.true_name)}, top guess {shorten(row.guess_name or 'unknown')}"
        lines += sheet.wrap(text, indent="     ", hanging="       ")
    return lines


def _histogram(histogram: Histogram, sheet: Paper) -> list[str]:
    most = max(histogram.counts)
    lines = sheet.wrap("how many rows lose how much")
    edges = [amount(edge) for edge in histogram.edges]
    widest, numbers = max(map(len, edges)), max(len(str(count)) for count in histogram.counts)
    bar = min(BAR, sheet.width - 2 * widest - numbers - len("      to       "))
    if bar < 1:
        rows = zip(edges, edges[1:], histogram.counts, strict=False)
        return lines + [line for low, high, count in rows for line in sheet.wrap(f"{low} to {high}: {count}")]
    for place, count in enumerate(histogram.counts):
        # a bin with few rows still shows: a bar of 0 is a bin without any
        length = max(round(bar * count / most), 1) if count else 0
        span = f"{edges[place]:>{widest}} to {edges[place + 1]:>{widest}}"
        lines.append(sheet.write(f"     {span}  {count:>{numbers}}  {'█' * length}").rstrip())
    return lines
