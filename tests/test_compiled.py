"""Compiled code is never older than what it was made from, and is had wherever Python runs."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core import caching, event
from places import ROOT

from rsopt import compiled as module
from rsopt.compiled import _Told, compiled, raising
from rsopt.kernels.normal import ndtr

CALLEE = "from rsopt.compiled import compiled\n\n@compiled\ndef slope(x):\n    return {factor} * x\n"
CALLER = ("from callee import slope\nfrom rsopt.compiled import compiled\n\n"
          "@compiled\ndef twice(x):\n    return 2.0 * slope(x)\n")


def test_a_callee_that_changed_changes_its_callers(tmp_path: Path) -> None:
    """In another file, which has not changed, kept from an earlier process: numba alone would answer as before."""
    (tmp_path / "caller.py").write_text(CALLER)
    kept = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    for factor in (3.0, 5.0, 5.0):
        (tmp_path / "callee.py").write_text(CALLEE.format(factor=factor))
        answer = subprocess.run([sys.executable, "-c", "import caller; print(caller.twice(1.0))"], env=kept, cwd=ROOT,
                                check=True, capture_output=True, text=True)
        assert float(answer.stdout) == 2.0 * factor
    assert list((tmp_path / "kept").rglob("*.nbc"))


BROUGHT = """
import sys
from pathlib import Path
from numba.core import caching
from rsopt import compiled as module
package = Path(sys.argv[1])
module._PACKAGE, module._AHEAD = package, package / "ahead"
if "nowhere" in sys.argv:
    caching.CacheImpl._locator_classes = []
    module._private_folders = tuple
import caller
answer, facts = caller.twice(1.0), caller.twice.stats
print(answer, sum(facts.cache_misses.values()), facts.cache_path)
"""


def test_what_a_wheel_brought_is_taken_on_every_machine_and_only_while_it_is_right(tmp_path: Path) -> None:
    """A package of two files and what was compiled of them elsewhere."""
    def twice(package: Path, kept: str, *more: str, **environment: str) -> tuple[float, int, str]:
        run = subprocess.run([sys.executable, "-c", BROUGHT, str(package), *more], cwd=ROOT, check=True, text=True,
                             env={**os.environ, **environment, "NUMBA_CACHE_DIR": str(tmp_path / kept),
                                  "PYTHONPATH": str(package / "sources")}, capture_output=True)
        answer, misses, path = run.stdout.split()
        return float(answer), int(misses), path

    def files(folder: Path) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in folder.rglob("*.nb[ci]")}

    built, package = tmp_path / "built", tmp_path / "elsewhere" / "installed"
    (built / "sources").mkdir(parents=True)
    (built / "sources" / "caller.py").write_text(CALLER)
    (built / "sources" / "callee.py").write_text(CALLEE.format(factor=3.0))
    # What was compiled for one processor is for nobody else: it might not run there.
    *made, path = twice(built, "own")
    assert made == [6.0, 1]
    shutil.copytree(path, built / "ahead" / "sources")
    *made, path = twice(built, "general", NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")
    assert made == [6.0, 1]
    shutil.rmtree(built / "ahead")
    shutil.copytree(path, built / "ahead" / "sources")
    package.parent.mkdir()
    built.rename(package)
    brought = files(package)
    assert len(brought) == 4

    assert twice(package, "kept")[:2] == (6.0, 0)
    assert twice(package, "kept", "nowhere") == (6.0, 0, "None")
    assert files(tmp_path / "kept") == {}
    # Another callee, in a file of the same length.
    (package / "sources" / "callee.py").write_text(CALLEE.format(factor=5.0))
    assert twice(package, "kept", "nowhere") == (10.0, 1, "None")
    assert files(package) == brought


def test_without_any_place_to_keep_it_a_function_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    monkeypatch.setattr(module, "_private_folders", tuple)

    @compiled
    def halves(x: float) -> float:
        return x / 2.0

    assert halves(3.0) == 1.5
    assert type(halves._cache) is caching.NullCache  # type: ignore[attr-defined]


def test_where_nothing_else_can_be_written_the_temporary_files_take_it(tmp_path: Path,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only installation and no home: only a folder that is asked for by name can be written."""
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [caching.UserProvidedCacheLocator])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    module._private_folders.cache_clear()
    try:
        @compiled
        def thirds(x: float) -> float:
            return x / 3.0

        assert thirds(3.0) == 1.0
        (private,) = tmp_path.iterdir()
        assert private.stat().st_mode & 0o777 == 0o700
        assert list(private.rglob("*.nbc"))
        # A folder that others can write to is no place for code.
        private.chmod(0o777)
        module._private_folders.cache_clear()
        assert module._private_folders() == ()
    finally:
        module._private_folders.cache_clear()


def test_division_by_zero_as_it_was_asked_for() -> None:
    @compiled
    def inverse(x: float) -> float:
        return 1.0 / x

    @raising
    def checked_inverse(x: float) -> float:
        return 1.0 / x

    assert inverse(0.0) == np.inf
    with pytest.raises(ZeroDivisionError):
        checked_inverse(0.0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_hears_once_that_kernels_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    listener, terminal = _Told(), Terminal()
    ours, other = (event.Event("numba:compile", event.EventStatus.START, {"dispatcher": function}) for function in (
        ndtr, compiled(lambda x: x)))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    listener.on_start(ours)
    assert sys.stderr.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", terminal)
    listener.on_start(other)
    assert terminal.getvalue() == ""
    for _ in range(2):
        listener.on_start(ours)
        listener.on_end(ours)
    assert terminal.getvalue() == "rsopt compiles its kernels: once after an installation, for up to a minute.\n"
