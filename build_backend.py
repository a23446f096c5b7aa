"""Wheels that bring their kernels compiled; editable installations and source distributions are setuptools' own.

A wheel is built by setuptools, then unpacked; a first bound, its check and the like are computed from it; and what
numba kept of that goes into the wheel, as `rsopt/ahead`, where `rsopt.compiled` looks first. Such a wheel is for one
version of Python and one platform, with any processor of its architecture.
`--config-settings compile-ahead=no` leaves the wheel as it was: for any Python and any machine. Where compiling ahead
fails, it is left so too, with a warning.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import zipfile
from importlib.metadata import distributions
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable", "build_sdist", "build_wheel", "get_requires_for_build_editable", "get_requires_for_build_sdist",
    "get_requires_for_build_wheel", "prepare_metadata_for_build_editable", "prepare_metadata_for_build_wheel",
]

ROOT = Path(__file__).parent

Settings = dict[str, str | list[str]] | None


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """What the package needs to run, besides setuptools: kernels are compiled by running it.

    numba takes nothing that another version of it has compiled, so that the version that is installed is asked for.
    """
    needed = build_meta.get_requires_for_build_wheel(config_settings)
    if not _ahead(config_settings):
        return needed
    # A build in isolation hides what is installed from imports, but not where it is.
    installed = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    needed += [f"numba=={found.version}" for found in distributions(name="numba", path=installed)][:1]
    return needed + tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """A wheel in the folder; its file name."""
    name = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    if not _ahead(config_settings):
        return name
    plain = Path(wheel_directory, name)
    with tempfile.TemporaryDirectory() as folder:
        try:
            brought = _compiled_ahead(plain, Path(folder).resolve())
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"WARNING: the kernels could not be compiled ahead ({error}). This wheel is complete without them; "
                  "the first bound after its installation will compile.", file=sys.stderr)
            return name
        made = _with_files(plain, brought)
    plain.unlink()
    return made.name


def _ahead(settings: Settings) -> bool:
    """Whether the settings leave compiling ahead on."""
    said = (settings or {}).get("compile-ahead", "yes")
    if said not in ("yes", "no"):
        raise SystemExit(f"compile-ahead is 'yes' (also without it) or 'no'; found {said!r}.")
    return said == "yes"


def _compiled_ahead(wheel: Path, folder: Path) -> dict[str, bytes]:
    """What numba keeps of a run of the package in a wheel: names within the wheel, and contents.

    Raises:
        CalledProcessError: it does not run.
        OSError: it does not run, or what it left is not found again from another place.
    """
    built, moved = folder / "built", folder / "moved"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(built)
    # Code for this machine's own processor may not run on another one, nor find Intel's vector functions there.
    _run(built, folder / "kept", NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="", NUMBA_DISABLE_INTEL_SVML="1")
    built.rename(moved)
    _run(moved, folder / "kept-again")
    if again := sorted(path.name for path in (folder / "kept-again").rglob("*.nbc")):
        raise OSError(f"compiled once more in another folder: {', '.join(again)}")
    ahead = moved / "rsopt" / "ahead"
    brought = {path.relative_to(moved).as_posix(): path.read_bytes() for path in sorted(ahead.rglob("*.nb[ci]"))}
    if not brought:
        raise OSError("numba kept nothing")
    return brought


def _run(tree: Path, kept: Path, **settings: str) -> None:
    """Computes `first_results` with the package in a tree, in a process of its own with these settings of numba's."""
    path = os.pathsep.join(filter(None, [str(tree), os.environ.get("PYTHONPATH")]))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    environment |= {"PYTHONPATH": path, "NUMBA_CACHE_DIR": str(kept), **settings}
    # -P: the folder of this file holds the sources, which are not what is to run.
    subprocess.run([sys.executable, "-P", __file__, str(tree)], check=True, env=environment, cwd=tree)


def _with_files(plain: Path, files: dict[str, bytes]) -> Path:
    """The wheel with more files, for this version of Python and this platform: a new file beside it."""
    version = f"cp{sys.version_info.major}{sys.version_info.minor}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    tag = f"{version}-{version}{getattr(sys, 'abiflags', '')}-{platform}"
    made = plain.with_name(f"{plain.name.removesuffix('.whl').rsplit('-', 3)[0]}-{tag}.whl")
    with zipfile.ZipFile(plain) as before, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as after:
        content = {info: before.read(info) for info in before.infolist()}
        (facts,) = (info for info in content if info.filename.endswith(".dist-info/WHEEL"))
        (record,) = (info for info in content if info.filename.endswith(".dist-info/RECORD"))
        lines = content[facts].decode().splitlines()
        kept = [line for line in lines if not line.startswith(("Root-Is-Purelib:", "Tag:"))]
        content[facts] = "\n".join([*filter(None, kept), "Root-Is-Purelib: false", f"Tag: {tag}", ""]).encode()
        for name, data in files.items():
            added = zipfile.ZipInfo(name, facts.date_time)
            added.external_attr, added.compress_type = facts.external_attr, zipfile.ZIP_DEFLATED
            content[added] = data
        content[record] = _record({info.filename: data for info, data in content.items()}, record.filename)
        for info, data in content.items():
            after.writestr(info, data)
    return made


def _record(files: dict[str, bytes], own: str) -> bytes:
    """A wheel's list of its files with their SHA-256 and sizes; of its own it gives neither."""
    lines = io.StringIO()
    rows = csv.writer(lines, lineterminator="\n")
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.writerow([name, "", ""] if name == own else [name, f"sha256={digest}", len(data)])
    return lines.getvalue().encode()


def first_results() -> None:
    """What a first `rsopt bound`, `rsopt certify` and `rsopt verify` compute, with every type of argument."""
    import numpy as np

    import rsopt
    from rsopt.functionals import FUNCTIONALS
    from rsopt.scores.lower_bound_scores import DRAWN, PROVEN
    from rsopt.statistics import STATISTICS

    for functional in FUNCTIONALS:
        for statistic in STATISTICS:
            bound = rsopt.lower_bound([900, 60, 40], top=0, functional=functional, statistic=statistic)
            rsopt.check_certificate(bound.certificate)
    rsopt.e_process_bound([900, 60, 40], 0)
    rows = np.random.default_rng(0).dirichlet([8.0, 1.0, 1.0], size=300)
    for scores in (rows, rows.astype(np.float32)):
        for method in PROVEN:
            found = rsopt.lower_bound_scores(scores, top=0, method=method, selection=scores[:50])
            if method == DRAWN:
                rsopt.check_certificate(found.certificate)
            else:
                rsopt.check_transcript(found.transcript)


def _gather(tree: Path) -> None:
    """Moves what numba kept, in folders named by the path of the sources, to where it is found wherever they lie."""
    from numba.extending import is_jitted

    functions = [value for name, module in sys.modules.items() if name.startswith("rsopt.")
                 for value in vars(module).values() if is_jitted(value)]
    package = tree / "rsopt"
    for kept, sources in {(function.stats.cache_path, Path(function.py_func.__code__.co_filename).parent)
                          for function in functions}:
        if Path(kept).is_dir():
            shutil.copytree(kept, package / "ahead" / sources.relative_to(package))


if __name__ == "__main__":
    first_results()
    if not Path(sys.argv[1], "rsopt", "ahead").exists():
        _gather(Path(sys.argv[1]))
