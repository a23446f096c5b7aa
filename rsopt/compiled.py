"""How compiled functions are kept: until any source that they were made from changes, and wherever there is a place.

numba keeps what it compiles on disk and makes it anew when the function's own file has changed. A function holds the
code of those that it calls, in other files too, so that by this rule an edited or updated link would go on living in
the proofs that were compiled with it: bounds proven of something else. Here everything in a folder is made anew when
a file of that folder or of the kernels has changed. And where neither the installation nor the home folder can be
written, numba raises "no locator available"; here a private folder among the temporary files takes their place, and
where there is none either, functions are compiled in each process.

A wheel may bring what was compiled when it was built (see `build_backend.py`), in the folder `ahead`. It is looked at
first, and taken under the same condition: that not a byte of the sources differs from those that it was made from.
numba adds its own: that its version, the version of Python and the types are the same. And it must have been compiled
for the general processor of this kind of machine, so that it runs on every one. What is not taken is compiled, for the
processor that is there, and kept as ever.
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
from numba.core import caching, event

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = Path(__file__).parent
_KERNELS = _PACKAGE / "kernels"
_AHEAD = _PACKAGE / "ahead"

# numba types neither its settings nor its events nor functions that are decorated without a signature.
_njit: Any = numba.njit
_register: Any = event.register
_settings: Any = numba.config
_Cache: Any = caching.FunctionCache
_CacheFiles: Any = caching.CompileResultCacheImpl

# numba's name and features of a processor that has what all processors of its architecture have, and no more.
_ANY_PROCESSOR = ("generic", "")


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
    if _Ahead(function).folder.is_dir():
        with suppress(RuntimeError):  # locators of somebody's own, by NUMBA_CACHE_LOCATOR_CLASSES, are all there are
            made._cache = _AheadFirst(function, made._cache)
    result: F = made
    return result


def raising(function: F) -> F:
    """`compiled`, with division by 0 an error."""
    return compiled(function, error_model="python")


class _Ahead:
    """Where a wheel brings what was compiled of a function, in the words of numba's locators; nothing is written there.

    Attributes:
        folder: in `ahead` as the function's file is in the package; one that does not exist for files of others.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._line = function.__code__.co_firstlineno
        self._sources = Path(function.__code__.co_filename).parent
        ours = self._sources.is_relative_to(_PACKAGE)
        self.folder = _AHEAD / (self._sources.relative_to(_PACKAGE) if ours else "none")

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> _Ahead:
        """The place of a function."""
        return cls(function)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(self.folder)

    def get_source_stamp(self) -> str:
        """What the sources must be for anything in the folder to be taken."""
        return _digest(self._sources)

    def get_disambiguator(self) -> str:
        """The line, which tells functions of one name apart, as with numba's own."""
        return str(self._line)


# numba has no types: its classes are Any to a checker.


class _AheadFiles(_CacheFiles):  # type: ignore[misc]
    """Names and contents of files as numba's own, in other places."""

    _locator_classes = (_Ahead,)


class _AheadFirst(_Cache):  # type: ignore[misc]
    """Takes what a wheel brought, and else what is kept; keeps what was in neither."""

    _impl_class = _AheadFiles

    def __init__(self, function: Callable[..., Any], kept: Any) -> None:
        super().__init__(function)
        self._kept = kept

    @property
    def cache_path(self) -> str | None:
        """Where things are kept."""
        path: str | None = self._kept.cache_path
        return path

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled of the function for these types, or None."""
        brought = super().load_overload(sig, target_context)
        return self._kept.load_overload(sig, target_context) if brought is None else brought

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        """What an entry of a wheel's index must be for: these types and this code, on any processor."""
        types, (machine, *_), code = super()._index_key(sig, codegen)
        return types, (machine, *_ANY_PROCESSOR), code

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keeps what was compiled."""
        self._kept.save_overload(sig, data)

    def flush(self) -> None:
        """Forgets what is kept."""
        self._kept.flush()


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
    """Of the sources of a folder, of the kernels and of this file, wherever they lie."""
    content = hashlib.sha256()
    for path in sorted({*folder.glob("*.py"), *_KERNELS.glob("*.py"), Path(__file__)}):
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
