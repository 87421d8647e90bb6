"""Write the table of docs/scoring.md from the newest race of scores: ``python -m benchmarks.scoring_tables``."""

import sys
from pathlib import Path

from benchmarks.scoring import DECODING, DECODING_THEIRS, HOST, OURS, RESULTS
from benchmarks.tables import MARKED, NOT_YET, ROOT, Result, _number, _table, newest_result

PAGE = "docs/scoring.md"


def race() -> str:
    """Medians of the newest race, and the memory of a large file."""
    result: Result | None = newest_result(RESULTS)
    if result is None:
        return NOT_YET
    rows = []
    for case in result["cases"]:
        medians = {name: timing["median_ms"] for name, timing in case["timings"].items()}
        ours = medians[OURS]
        cells = [case["name"], _number(ours, "ms")]
        for name in (DECODING, DECODING_THEIRS, HOST):
            cells.append(f"{_number(medians[name], 'ms')} ({medians[name] / ours:.2f} x)" if name in medians else "-")
        rows.append(cells)
    machine, memory = result["machine"], result["memory"]
    said = (
        f"Measured {result['made']} at commit {result['commit']} on {machine['processor']} ({machine['cores']} cores), "
        f"medians of interleaved runs, {result['threads']} threads, Parquet: `{result['command']}`. In brackets: their time in ours.\n\n"
    )
    header = ["file", "crossent, every result", DECODING, DECODING_THEIRS, "scikit-learn, read and log_loss"]
    peak = (
        f"\nA file of {memory['file_bytes'] / 1e9:.1f} GB ({memory['rows']:,} rows x 100 float32) is scored at a peak of "
        f"{memory['peak_bytes'] / 1e6:.0f} MB of resident memory, Python and every library counted.\n"
    )
    return said + _table(header, rows) + peak


def filled(markdown: str) -> str:
    """Return the text with the marked table made anew."""
    return MARKED.sub(lambda match: f"{match[1]}{race()}{match[3]}", markdown)


def main() -> int:
    page = Path(ROOT / PAGE)
    before = page.read_text(encoding="utf-8")
    page.write_text(filled(before), encoding="utf-8")
    sys.stdout.write(f"{PAGE}: {'table written' if filled(before) != before else 'its table was current'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
