"""Compiled kernels on disk: races, damage, places that cannot be written, changed sources, and the one notice."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import crossent
from crossent._kernels.cpu import _jit

SOURCE = Path(crossent.__file__).parent
# The smallest kernel, and one of the loops; Ten times 0.1 is below 1 where it is added up naively. ln 2 by hand.
CALLS = """
import json, sys
import numpy as np
import crossent
from crossent._kernels.cpu import _jit, exact_sum, targets, two_classes
{before}
total = crossent.ExactSum().add([0.1] * 10).value()
losses = crossent.cross_entropy(np.zeros((3, 2), np.float32), [0, 1, 0], reduction="none") if {loops} else [np.log(2)]
kernels = [exact_sum.add_few] + [two_classes.rows, targets.any_outside] * {loops}
hits = sum(sum(kernel.stats.cache_hits.values()) for kernel in kernels)
misses = sum(sum(kernel.stats.cache_misses.values()) for kernel in kernels)
json.dump({{
    "right": total == 1.0 and all(abs(float(loss) - 0.6931471805599453) < 1e-7 for loss in losses),
    "hits": hits, "misses": misses, "folder": crossent.show_config()["kernel_cache"], "home": crossent.__file__,
}}, sys.stdout)
"""


def environment(**variables: Any) -> dict[str, str]:
    return {**os.environ, **{name: str(value) for name, value in variables.items()}}


def start(variables: dict[str, str], *, before: str = "", loops: bool = False, **options: Any) -> subprocess.Popen[str]:
    code = CALLS.format(before=before, loops=int(loops))
    command = [sys.executable, "-B", "-W", "error", "-c", code]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen(command, env=variables, **options)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert not err, err
    found: dict[str, Any] = json.loads(out)
    assert found["right"]
    return found


def call(variables: dict[str, str], **options: Any) -> dict[str, Any]:
    return finish(start(variables, **options))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the smallest kernel."""
    folder = tmp_path_factory.mktemp("filled")
    found = call(environment(CROSSENT_CACHE_DIR=folder))
    assert (found["hits"], found["misses"]) == (0, 1)
    return folder


def test_two_cold_processes_at_once_and_a_third_that_finds_their_work(tmp_path: Path) -> None:
    variables = environment(CROSSENT_CACHE_DIR=tmp_path)
    for found in [finish(process) for process in [start(variables, loops=True) for _ in range(2)]]:
        assert found["hits"] + found["misses"] == 3  # either may have been the first to finish a kernel
        assert found["folder"] == str(tmp_path)
    stored = contents(tmp_path)
    names = ["exact_sum.add_few", "targets.any_outside", "two_classes.rows"]
    assert sorted(name.rpartition("-")[0] for name in stored) == names
    assert all(name.endswith(".kernel") for name in stored), "no half-written file is left"
    third = call(variables, loops=True)
    assert (third["hits"], third["misses"]) == (3, 0)
    assert contents(tmp_path) == stored


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "folder"])
def test_a_damaged_file_is_compiled_anew(filled: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "cache"
    shutil.copytree(filled, folder)
    (path,) = folder.iterdir()
    good = path.read_bytes()
    middle = len(good) // 2
    if damage == "folder":  # something that cannot be read, nor replaced
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(
            {
                "truncated": good[:-100],
                "empty": b"",
                "flipped": good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :],
            }[damage]
        )
    variables = environment(CROSSENT_CACHE_DIR=folder)
    found = call(variables)
    assert (found["hits"], found["misses"]) == (0, 1)
    assert list(folder.iterdir()) == [path], "nothing else is left behind"
    if damage != "folder":
        again = call(variables)
        assert (again["hits"], again["misses"]) == (1, 0)


def test_without_any_place_to_write_it_still_works(tmp_path: Path) -> None:
    """Tests may run as root, whom permissions do not bind: what lies below a file cannot be made by anyone."""
    file = tmp_path / "file"
    file.write_text("")
    below = file / "folder"
    variables = environment(CROSSENT_CACHE_DIR=below, XDG_CACHE_HOME=below, HOME=below, TMPDIR=below)
    nowhere = call(variables, before=f"import tempfile; tempfile.tempdir = {str(below)!r}")
    assert nowhere["folder"] is None
    assert (nowhere["hits"], nowhere["misses"]) == (0, 1)
    assert list(tmp_path.iterdir()) == [file]


def test_the_first_place_that_can_be_written_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    request.addfinalizer(_jit.cache_folder.cache_clear)

    def folder_with(**places: Path) -> Path | None:
        for name in ("CROSSENT_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
            monkeypatch.setenv(name, str(places.get(name, file / "below")))
        monkeypatch.setattr("tempfile.tempdir", str(places.get("TMPDIR", file / "below")))
        _jit.cache_folder.cache_clear()
        return _jit.cache_folder()

    named, user, temporary = tmp_path / "named", tmp_path / "user", tmp_path / "temporary"
    assert folder_with(CROSSENT_CACHE_DIR=named, XDG_CACHE_HOME=user, TMPDIR=temporary) == named
    assert folder_with(XDG_CACHE_HOME=user, TMPDIR=temporary) == user / "crossent"
    found = folder_with(TMPDIR=temporary)
    assert found is not None
    assert found.parent == temporary
    assert found.stat().st_mode & 0o777 == 0o700
    assert folder_with() is None


@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="2026-11-22: only root can give a folder away"
)
def test_a_folder_of_another_user_is_not_trusted(tmp_path: Path) -> None:
    assert _jit._is_writable(tmp_path)
    os.chown(tmp_path, 12345, -1)
    assert not _jit._is_writable(tmp_path)


def test_a_read_only_install(filled: Path, tmp_path: Path) -> None:
    """Nothing is written beside the sources, and the same sources elsewhere find the same kernels."""
    shutil.copytree(SOURCE, tmp_path / "src" / "crossent", ignore=shutil.ignore_patterns("__pycache__"))
    install = tmp_path / "src"
    before = sorted(install.rglob("*"))
    for path in before:
        path.chmod(path.stat().st_mode & ~0o222)
    folder = tmp_path / "cache"
    shutil.copytree(filled, folder)
    try:
        found = call(environment(CROSSENT_CACHE_DIR=folder, PYTHONPATH=install))
    finally:
        for path in before:
            path.chmod(path.stat().st_mode | 0o200)
    assert found["home"] == str(install / "crossent" / "__init__.py")
    assert sorted(install.rglob("*")) == before
    assert (found["hits"], found["misses"]) == (1, 0)


def hash_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setattr(_jit, "__file__", str(folder / "_jit.py"))
    return _jit._source_hash.__wrapped__()


def test_the_key_changes_with_any_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cpu"
    shutil.copytree(SOURCE / "_kernels" / "cpu", folder, ignore=shutil.ignore_patterns("__pycache__"))
    expected = hash_of(SOURCE / "_kernels" / "cpu", monkeypatch)
    assert hash_of(folder, monkeypatch) == expected
    seen = {expected}
    sources = sorted(folder.glob("*.py"))
    assert {"_jit.py", "exp.py", "few_classes.py"} <= {path.name for path in sources}
    for path in sources:
        text = path.read_bytes()
        path.write_bytes(text + b"\n")
        seen.add(hash_of(folder, monkeypatch))
        path.write_bytes(text)
    (folder / "another.py").write_text("")
    seen.add(hash_of(folder, monkeypatch))
    assert len(seen) == len(sources) + 2
    (folder / "another.py").unlink()
    assert hash_of(folder, monkeypatch) == expected


def test_the_key_is_the_hash_and_the_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Codegen:
        """What a path is made from."""

        def magic_tuple(self) -> tuple[str, ...]:
            return ("x86_64", "some processor")

    monkeypatch.setattr(_jit, "cache_folder", lambda: tmp_path)
    one, other = _jit._KernelCache("a.rows"), _jit._KernelCache("b.rows")
    paths = {one._path("(int64)", Codegen()), one._path("(float64)", Codegen()), other._path("(int64)", Codegen())}
    monkeypatch.setattr(Codegen, "magic_tuple", lambda self: ("x86_64", "another"))
    paths.add(one._path("(int64)", Codegen()))
    monkeypatch.setattr(_jit, "_source_hash", lambda: b"changed")
    paths.add(one._path("(int64)", Codegen()))
    monkeypatch.setattr("numba.__version__", "0.0")
    paths.add(one._path("(int64)", Codegen()))
    assert len(paths) == 6


def written_to_terminal(variables: dict[str, str], after_s: float, *, loops: bool = False) -> str:
    """Run with a terminal for the standard error, and return what arrives there."""
    pty = pytest.importorskip("pty", reason="2026-11-22: this system has no pseudo-terminals")
    own, theirs = pty.openpty()
    try:
        before = f"_jit._NOTICE_AFTER_SECONDS = {after_s}"
        out, _ = start(variables, before=before, loops=loops, stderr=theirs).communicate(timeout=120)
        assert json.loads(out)["right"]
        os.set_blocking(own, False)
        try:
            return os.read(own, 10_000).decode()
        except BlockingIOError:
            return ""
    finally:
        os.close(own)
        os.close(theirs)


def test_a_slow_compilation_is_told_on_a_terminal_once(filled: Path, tmp_path: Path) -> None:
    """The wait is shortened here, as the kernel is a small one; on a pipe `finish` accepts no word at all."""
    assert _jit._NOTICE_AFTER_SECONDS == 1.0
    notice = "crossent: compiling kernels (once)\r\n"
    two_kernels = written_to_terminal(environment(CROSSENT_CACHE_DIR=tmp_path / "cold"), 0.0, loops=True)
    assert two_kernels == notice
    assert written_to_terminal(environment(CROSSENT_CACHE_DIR=tmp_path / "colder"), 60.0) == ""
    assert written_to_terminal(environment(CROSSENT_CACHE_DIR=filled), 0.0) == ""
    call(environment(CROSSENT_CACHE_DIR=tmp_path / "coldest"), before="_jit._NOTICE_AFTER_SECONDS = 0.0")
