"""The one place of compile options, and the disk cache of compiled kernels.

Numba's own `cache=True` does not fit here, for four reasons: it does not notice a change in another file, two processes
that compile at once can leave its index pointing at the other's machine code (numba#4807), it wants to write beside the
source, and loading from it first sets up everything needed for compiling (0.35 s). Here a file holds one kernel for one
signature, its name is a hash of everything the code depends on, and it is written whole or not at all.
"""

import contextlib
import hashlib
import os
import pickle
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numba.extending
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

_NOTICE_AFTER_SECONDS = 1.0


def intrinsic(function: Callable[..., Any]) -> Any:
    """Make an instruction of its own: the function returns a signature and what writes its LLVM code."""
    return numba.extending.intrinsic(function)


def inline(function: Callable[..., Any]) -> Any:
    """Compile a helper that kernels of this package call; LLVM inlines it, and it is cached as a part of them."""
    return numba.njit(nogil=True, error_model="numpy", boundscheck=False)(function)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel: no GIL, IEEE division, kept on disk."""
    dispatcher = numba.njit(nogil=True, error_model="numpy", boundscheck=False)(function)
    dispatcher._cache = _KernelCache(f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}")
    return dispatcher


def versions() -> dict[str, str]:
    """Return the versions of the compiler."""
    return {"numba": numba.__version__, "llvmlite": llvmlite.__version__}


@cache
def cache_folder() -> Path | None:
    """Return the first folder that can be written: CROSSENT_CACHE_DIR, the user's cache, a private temporary one."""
    named = os.environ.get("CROSSENT_CACHE_DIR")
    home = os.environ.get("XDG_CACHE_HOME")
    user = os.getuid() if hasattr(os, "getuid") else "user"
    candidates = [Path(named)] if named else []
    with contextlib.suppress(RuntimeError):  # no home folder is known
        candidates.append((Path(home) if home else Path.home() / ".cache") / "crossent")
    candidates.append(Path(tempfile.gettempdir()) / f"crossent-{user}")
    return next((folder for folder in candidates if _is_writable(folder)), None)


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Compiled code is loaded from here: a folder that another user made is not trusted.
        if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@cache
def _source_hash() -> bytes:
    """Hash every source file of this folder: helpers are inlined across files."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.digest()


class _KernelCache(_Cache):  # type: ignore[misc]  # numba has no types
    """One file per kernel and signature; losing a race costs a compilation, never a wrong kernel."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._enabled = True

    @property
    def cache_path(self) -> str:
        return str(cache_folder())

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        folder = cache_folder()
        for path in folder.glob(f"{self._name}-*.kernel") if folder else ():
            path.unlink(missing_ok=True)

    def _path(self, signature: Any, codegen: Any) -> Path | None:
        folder = cache_folder()
        if folder is None or not self._enabled:
            return None
        versions = (sys.version, numba.__version__, codegen.magic_tuple(), str(signature), self._name)
        key = hashlib.sha256(_source_hash() + repr(versions).encode()).hexdigest()
        return folder / f"{self._name}-{key[:32]}.kernel"

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        path = self._path(signature, target_context.codegen())
        if path is not None:
            try:
                content = path.read_bytes()
                if content[:32] == hashlib.sha256(content[32:]).digest():
                    rtsys.initialize(target_context)  # the symbols that finished code refers to; 0.05 s
                    return CompileResult._rebuild(target_context, *pickle.loads(content[32:]))
            except OSError:
                pass  # not there yet, or gone again: compile
        _notice_slow_compilation()
        target_context.refresh()
        return None

    def save_overload(self, signature: Any, compile_result: Any) -> None:
        _compilation_ended()
        path = self._path(signature, compile_result.codegen)
        if path is None:
            return
        body = dumps(compile_result._reduce())
        content = hashlib.sha256(body).digest() + body
        # A full disk or a vanished folder costs the cache, not the result.
        with contextlib.suppress(OSError):
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                Path(temporary).replace(path)
            except OSError:
                Path(temporary).unlink(missing_ok=True)
                raise


_notice: threading.Timer | None = None
_notice_given = False


def _notice_slow_compilation() -> None:
    global _notice  # one notice per process, whichever kernel is first
    if _notice is None and not _notice_given and sys.stderr is not None and sys.stderr.isatty():
        _notice = threading.Timer(_NOTICE_AFTER_SECONDS, _give_notice)
        _notice.daemon = True
        _notice.start()


def _give_notice() -> None:
    global _notice_given  # see above
    _notice_given = True
    sys.stderr.write("crossent: compiling kernels (once)\n")
    sys.stderr.flush()


def _compilation_ended() -> None:
    global _notice  # see above
    if _notice is not None:
        _notice.cancel()
        _notice = None
