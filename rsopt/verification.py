"""Saved proofs of every kind, told apart and handed to the checker of their kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rsopt.certify import CERTIFICATES
from rsopt.errors import CertificateError, InvalidInputError, StorageError, UnknownNameError

ARITHMETICS = ("double", "arb")


def proofs_in(path: Path) -> list[Path]:
    """The file itself, or the proofs of a run's folder, sorted.

    Raises:
        InvalidInputError: a folder without any.
    """
    if not path.is_dir():
        return [path]
    folder = path / CERTIFICATES
    found = sorted((folder if folder.is_dir() else path).glob("*.json"))
    if not found:
        raise InvalidInputError(f"{path} holds no proofs: neither {CERTIFICATES}/*.json nor *.json.")
    return found


def check_file(path: Path, arithmetic: str = "double") -> str:
    """Checks one saved proof, and says in a line what it proves.

    Args:
        path: a certificate of a bound on votes, or a transcript of a bound on scores.
        arithmetic: "double" or "arb", for certificates; a transcript has one arithmetic only.

    Raises:
        CertificateError: the proof does not hold, or the file is none.
        StorageError: the file cannot be read.
        UnknownNameError: an unknown arithmetic.
        MissingDependencyError: "arb" without python-flint.
    """
    if arithmetic not in ARITHMETICS:
        raise UnknownNameError.of("arithmetic", arithmetic, list(ARITHMETICS))
    content = _content(path)
    if str(content.get("format")).startswith("rsopt score transcript"):
        from rsopt.transcript_check import check_transcript

        proven = check_transcript(path)
        return (f"{proven.functional} of class {proven.top} on {proven.n:,} score rows is at least {proven.lower:.6f} at "
                f"alpha {proven.alpha:g} ({proven.method}, {proven.rivals} rivals)")
    from rsopt.checker import check_certificate

    report = check_certificate(content, arithmetic)
    return (f"{content['functional']} at votes {content['x1']:,} against {content['x2']:,} of {content['n']:,} is at "
            f"least {report.lower:.6f} at alpha {report.alpha:g} ({report.pieces} pieces, tail at most "
            f"{report.tail_at_most:.6g}, {report.arithmetic} arithmetic)")


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise CertificateError(f"It is no JSON file: {error}.") from error
    if not isinstance(content, dict):
        raise CertificateError("It holds no certificate: expected a JSON object.")
    return content
