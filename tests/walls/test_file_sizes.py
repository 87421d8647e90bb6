"""A file is one idea: 400 lines at most, docstrings included."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "tests", "benchmarks", "examples", ".ci")
LONGEST = 400

# path from the root -> why it may be longer
EXCEPTIONS: dict[str, str] = {}


def lines_by_file(root: Path) -> dict[str, int]:
    files = (file for folder in FOLDERS for file in (root / folder).rglob("*.py"))
    return {file.relative_to(root).as_posix(): len(file.read_text(encoding="utf-8").splitlines()) for file in files}


def too_long(lines: dict[str, int]) -> dict[str, int]:
    return {path: count for path, count in lines.items() if count > LONGEST}


def test_no_file_is_longer_than_400_lines() -> None:
    assert {path: count for path, count in too_long(lines_by_file(ROOT)).items() if path not in EXCEPTIONS} == {}


def test_every_exception_is_still_needed_and_says_why() -> None:
    assert set(EXCEPTIONS) <= set(too_long(lines_by_file(ROOT)))
    assert all(reason.strip() for reason in EXCEPTIONS.values())


def test_the_check_sees_the_files_and_can_fail(tmp_path: Path) -> None:
    assert {"src/crossent/__init__.py", "tests/walls/test_file_sizes.py"} <= set(lines_by_file(ROOT))
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "short.py").write_text("x = 0\n" * LONGEST, encoding="utf-8")
    (tmp_path / "src" / "long.py").write_text("x = 0\n" * (LONGEST + 1), encoding="utf-8")
    assert too_long(lines_by_file(tmp_path)) == {"src/long.py": LONGEST + 1}
