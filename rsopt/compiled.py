"""How compiled functions are kept: until any source that they were made from changes, and wherever there is a place.

numba keeps what it compiles on disk and makes it anew when the function's own file has changed. A function holds the
code of those that it calls, in other files too, so that by this rule an edited or updated link would go on living in
the proofs that were compiled with it: bounds proven of something else. Here everything in a folder is made anew when
a file of that folder or of the kernels has changed. And where neither the installation nor the home folder can be
written, numba raises "no locator available"; here a private folder among the temporary files takes their place, and
where there is none either, functions are compiled in each process.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import event

F = TypeVar("F", bound=Callable[..., Any])

_KERNELS = Path(__file__).parent / "kernels"

# numba types neither its settings nor its events nor functions that are decorated without a signature.
_njit: Any = numba.njit
_register: Any = event.register
_settings: Any = numba.config


def compiled(function: F, *, error_model: str = "numpy") -> F:
    """The function in compiled code, kept on disk.

    Args:
        function: in the part of Python that numba compiles.
        error_model: "numpy" to divide by 0 as floating-point numbers do, "python" to raise.
    """
    made = _njit(error_model=error_model)(function)
    for folder in (None, *_private_folders()):
        with suppress(RuntimeError), _kept_in(folder):
            made.enable_caching()
            made._cache._cache_file._source_stamp = _digest(Path(function.__code__.co_filename).parent)
            break
    result: F = made
    return result


def raising(function: F) -> F:
    """`compiled`, with division by 0 an error."""
    return compiled(function, error_model="python")


class _Told(event.Listener):
    """Says on a terminal, once a process, that kernels are being compiled: it takes long, and happens once."""

    def __init__(self) -> None:
        self.told = False

    def on_start(self, event: Any) -> None:
        """A function is compiled that was not kept."""
        ours = event.data["dispatcher"].py_func.__module__.partition(".")[0] == "rsopt"
        if ours and not self.told and sys.stderr is not None and sys.stderr.isatty():
            self.told = True
            print("rsopt compiles its kernels: once after an installation, for up to a minute.", file=sys.stderr)

    def on_end(self, event: Any) -> None:
        """Nothing is said at the end."""


_register("numba:compile", _Told())


@cache
def _digest(folder: Path) -> str:
    """Of the sources of a folder and of the kernels."""
    content = hashlib.sha256()
    for path in sorted({*folder.glob("*.py"), *_KERNELS.glob("*.py")}):
        content.update(path.name.encode() + path.read_bytes())
    return content.hexdigest()


@contextmanager
def _kept_in(folder: Path | None) -> Iterator[None]:
    """What is compiled inside is kept in this folder; where numba would put it, if None."""
    before = _settings.CACHE_DIR
    _settings.CACHE_DIR = before if folder is None else str(folder)
    try:
        yield
    finally:
        _settings.CACHE_DIR = before


@cache
def _private_folders() -> tuple[Path, ...]:
    """A folder of this user's own among the temporary files; none where there cannot be one.

    Nobody else may write to it: code that another user could have put there must not be run.
    """
    if not hasattr(os, "getuid"):
        return (Path(tempfile.gettempdir()) / "rsopt-compiled",)
    try:
        folder = Path(tempfile.gettempdir()) / f"rsopt-compiled-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
    except OSError:
        return ()
    own = stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o077
    return (folder,) if own else ()
