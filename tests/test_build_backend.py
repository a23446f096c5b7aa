"""Wheels that bring compiled kernels: whole, marked for where they run, and plain where that fails.

That a real one compiles nothing when it is installed takes minutes to build: CONTRIBUTING.md says how to check it.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import zipfile
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
from packaging.tags import sys_tags
from places import ROOT

INFO = "rsopt-1.dist-info"
PLAIN = "rsopt-1-py3-none-any.whl"


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """With setuptools replaced by something that builds a wheel whose package cannot even be imported."""
    pytest.importorskip("setuptools.build_meta")
    spec = importlib.util.spec_from_file_location("build_backend", ROOT / "build_backend.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def build_wheel(folder: str, settings: object = None, metadata: object = None) -> str:
        with zipfile.ZipFile(Path(folder, PLAIN), "w") as wheel:
            wheel.writestr("rsopt/__init__.py", "raise RuntimeError('of no use')\n")
            wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n\n")
            wheel.writestr(f"{INFO}/RECORD", f"rsopt/__init__.py,,\n{INFO}/WHEEL,,\n{INFO}/RECORD,,\n")
        return PLAIN

    monkeypatch.setattr(module.build_meta, "build_wheel", build_wheel)
    monkeypatch.setattr(module.build_meta, "get_requires_for_build_wheel", lambda settings=None: ["something"])
    return module


def test_what_is_compiled_ahead_still_runs(backend: ModuleType) -> None:
    """It would fail in a build only, and there with a warning that nobody reads."""
    backend.first_results()


def test_a_wheel_lists_what_it_brings_and_says_where_it_runs(backend: ModuleType, tmp_path: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    brought = {"rsopt/ahead/kernels/f-1.py311.nbi": b"index", "rsopt/ahead/kernels/f-1.py311.1.nbc": b"\x00code"}
    monkeypatch.setattr(backend, "_compiled_ahead", lambda wheel, folder: brought)
    name = backend.build_wheel(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    tag = name.removesuffix(".whl").removeprefix("rsopt-1-")
    assert tag in map(str, sys_tags())
    with zipfile.ZipFile(tmp_path / name) as wheel:
        assert wheel.read(f"{INFO}/WHEEL").decode().split("\n") == [
            "Wheel-Version: 1.0", "Root-Is-Purelib: false", f"Tag: {tag}", ""]
        assert {path: wheel.read(path) for path in brought} == brought
        rows = list(csv.reader(wheel.read(f"{INFO}/RECORD").decode().splitlines()))
        assert [row[0] for row in rows] == wheel.namelist()
        for path, digest, size in rows:
            content = wheel.read(path)
            if not path.endswith("RECORD"):
                hashed = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
                assert (digest, size) == (f"sha256={hashed}", str(len(content)))


def test_a_wheel_is_plain_where_its_kernels_cannot_be_compiled(backend: ModuleType, tmp_path: Path,
                                                               capfd: pytest.CaptureFixture[str]) -> None:
    assert backend.build_wheel(str(tmp_path)) == PLAIN
    assert [path.name for path in tmp_path.iterdir()] == [PLAIN]
    said = capfd.readouterr().err
    assert "RuntimeError: of no use" in said
    assert "WARNING: the kernels could not be compiled ahead" in said


def test_a_plain_wheel_on_demand(backend: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert backend.build_wheel(str(tmp_path), {"compile-ahead": "no"}) == PLAIN
    assert capfd.readouterr().err == ""
    with pytest.raises(SystemExit, match="found 'never'"):
        backend.build_wheel(str(tmp_path), {"compile-ahead": "never"})


def test_only_wheels_with_kernels_need_more_to_be_built(backend: ModuleType) -> None:
    needed = backend.get_requires_for_build_wheel()
    assert needed[:2] == ["something", f"numba=={version('numba')}"]
    assert {"numpy", "scipy", "numba", "lazy-loader"} <= {line.partition(">")[0] for line in needed}
    assert backend.get_requires_for_build_wheel({"compile-ahead": "no"}) == ["something"]
    assert "numba" not in "".join(backend.get_requires_for_build_editable())
