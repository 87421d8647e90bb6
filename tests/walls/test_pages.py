"""docs/: every example and every command of a page runs and prints what the page shows, its numbers and links hold."""

import re
from pathlib import Path

import pytest
from benchmarks.tables import MARKED

from crossent.scoring import accumulator, calibration
from crossent.scoring.options import Options
from crossent.scoring.state import calibration_bins, kept_rows
from tests.walls import pages

DOCS = sorted((pages.ROOT / "docs").rglob("*.md"))
# tests/sklearn/test_log_loss.py runs it
RUN_ELSEWHERE = {"sklearn.md"}
RUNNABLE = [
    page
    for page in DOCS
    if page.name not in RUN_ELSEWHERE
    and {"python", "console"} & {block.language for block in pages.blocks(page.read_text(encoding="utf-8"))}
]
SCORING = pages.ROOT / "docs" / "scoring.md"
LIMITS = {
    "rows kept whole": kept_rows.MOST_ROWS,
    "predictions kept whole": kept_rows.MOST_VALUES,
    "bins beyond": calibration_bins.BINS,
    "classes with a calibration": accumulator.MOST_BINNED_CLASSES,
    "values of --by": accumulator.MOST_GROUPS,
    "values of --cluster": accumulator.MOST_CLUSTERS,
    "bins of the expected calibration error": calibration.EQUAL_BINS,
    "--worst and --bootstrap": 100_000,
}
_NUMBER = re.compile(r"(?<![\w.,])\d[\d,.]*(?:e-?\d+)?(?<![.,])")


def names(page: Path) -> str:
    return page.relative_to(pages.ROOT / "docs").as_posix()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty working directory but for the examples, as the pages take it."""
    (tmp_path / "examples").symlink_to(pages.ROOT / "examples", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", RUNNABLE, ids=names)
def test_a_page_does_what_it_shows(page: Path, folder: Path) -> None:
    failed = pages.failures(page.read_text(encoding="utf-8"), page.name, folder)
    assert failed == [], "\n".join(failed)


def test_a_command_of_the_readme_prints_what_it_shows(folder: Path) -> None:
    text = (pages.ROOT / "README.md").read_text(encoding="utf-8")
    shown = [block for block in pages.blocks(text) if block.language == "console"]
    assert shown
    # tests/walls/test_docs_run.py runs the Python of the README, each block for itself
    only_commands = "".join(f"```console\n{block.text}```\n" for block in shown)
    assert pages.failures(only_commands, "README.md", folder) == []


def test_the_page_on_scoring_is_among_them() -> None:
    assert SCORING in RUNNABLE
    languages = [block.language for block in pages.blocks(SCORING.read_text(encoding="utf-8"))]
    assert set(languages) == {"python", "console"}, "a block of another language would not be run"


def test_a_page_is_one_session(folder: Path) -> None:
    page = (
        "```python\n>>> from pathlib import Path\n"
        ">>> _ = Path('p.csv').write_text('truth,p_a,p_b\\na,0.5,0.5\\nb,0.5,0.5\\n')\n```\ntext\n```console\n$ crossent score p.csv\nCost 0.693147 nats = 1 bits per row, perplexity 2, accuracy 0.00%, 2 rows\n...\n```\n"
        "```python\n>>> Path('p.csv').exists()\nTrue\n```\n"
    )
    assert pages.failures(page, "page", folder) == []


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("\n```python\n>>> 1 + 1\n3\n```\n", "Expected:\n    3\nGot:\n    2"),
        (
            "\n```python\nx = 1\n```\n",
            "page, line 3: a Python block is an interpreter session, it shows what it answers",
        ),
        (
            "\n```console\n$ crossent --version\ncrossent 0.0\n```\n",
            "page, line 3: `crossent --version` was to print\ncrossent 0.0\n\nand printed\ncrossent ",
        ),
        (
            "\n```console\n$ crossent score nothing.csv\n```\n",
            "page, line 3: `crossent score nothing.csv` was to print\n\nand printed\ncrossent: ",
        ),
        ("\n```console\n$ crossent score nothing.csv\n...\ncrossent: other\n```\n", "and printed\ncrossent: "),
    ],
)
def test_a_wrong_page_is_seen(page: str, said: str, folder: Path) -> None:
    (failed,) = pages.failures(page, "page", folder)
    assert said in failed


def test_a_console_block_of_another_program_is_refused(folder: Path) -> None:
    with pytest.raises(AssertionError, match="begins with `\\$ crossent`"):
        pages.failures("```console\n$ ls\n```\n", "page", folder)


@pytest.mark.parametrize(
    ("expected", "agrees"),
    [
        ("one\ntwo\nthree\n", True),
        ("one\n...\nthree\n", True),
        ("...\nthree\n", True),
        ("one\n...\n", True),
        ("one\n...\ntwo\nthree\n", True),  # three dots may stand for nothing
        ("one\ntwo\n", False),
        ("one\n...\ntwo\n", False),
        ("one\nt.o\nthree\n", False),
        ("...\nhree\n", False),
    ],
)
def test_three_dots_stand_for_any_lines_and_for_nothing_else(expected: str, agrees: bool) -> None:
    assert pages.agrees(expected, "one\ntwo\nthree\n") is agrees


def numbers(text: str) -> set[str]:
    """Return the numbers of a text, without what is part of a name."""
    return set(_NUMBER.findall(text))


def test_every_number_of_the_page_on_scoring_is_printed_by_an_example_or_is_a_limit() -> None:
    # the table is made from the newest race, which tests/walls/test_docs_run.py checks
    text = MARKED.sub("", SCORING.read_text(encoding="utf-8"))
    shown = numbers("\n".join(block.text for block in pages.blocks(text)))
    limits = {f"{value:,}" for value in LIMITS.values()}
    # A paper's year, the width of a bin (tests/scoring/test_distribution.py), OpenAI's limit, where counting begins.
    known = {"2021", "1.6", "20", "0"}
    assert numbers(pages.prose(text)) - shown - limits - known == set()


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    section = SCORING.read_text(encoding="utf-8").partition("\n## Limits\n")[2]
    assert [name for name, value in LIMITS.items() if f"{value:,}" not in numbers(section)] == []
    for name in ("worst", "bootstrap"):
        assert getattr(Options(**{name: 100_000}), name) == 100_000
        with pytest.raises(ValueError, match="from 0 to 100000, got 100001"):
            Options(**{name: 100_001})


def test_numbers_are_found_as_they_are_written() -> None:
    assert numbers("1,797 rows, 0.5 nats. 1e-15; float64 p_1 38.7% of 3.") == {"1,797", "0.5", "1e-15", "38.7", "3"}


def anchors(page: Path) -> set[str]:
    """Return what GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", pages.prose(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", DOCS, ids=names)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    lost = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if "://" not in link and (not target.exists() or (anchor and anchor not in anchors(target))):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("name", ["scoring", "explaining"])
def test_the_files_that_the_architecture_names_exist(name: str) -> None:
    text = (pages.ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## Inside {name}\n")[2].partition("\n\n")[2].partition("\n\n")[0]
    named = re.findall(r"`([\w/]+(?:\.py|/))`", section)
    folder = pages.ROOT / "src" / "crossent" / name
    assert {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")} <= set(named)
    assert [each for each in named if not any(path.exists() for path in places(folder, each))] == []


def places(folder: Path, name: str) -> list[Path]:
    """Return where a file named beside others of a folder may lie."""
    return [folder / name, *(child / name for child in folder.iterdir() if child.is_dir())]


def test_a_picture_is_small() -> None:
    big = [path.name for path in (pages.ROOT / "docs" / "pictures").iterdir() if path.stat().st_size > 150_000]
    assert big == []
