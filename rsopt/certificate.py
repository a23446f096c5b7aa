"""A certificate: everything needed to prove a bound again, from the file alone."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsopt.errors import CertificateError, StorageError

FORMAT = "rsopt certificate 1"


@dataclass(frozen=True)
class Certificate:
    """The claim "g(p) >= lower with probability at least 1 - alpha over the votes", with its proof.

    Attributes:
        n, x1, x2: draws, votes of the certified class, votes of the empirical runner-up.
        alpha: probability that the statement is false.
        functional: name and, for a Taylor polynomial, order.
        statistic: name of the designated statistic.
        observed: its value at (x1, x2); None if that is infinite.
        third_cell: whether a third class exists.
        least_q1: smallest q1 of the nulls (0 but for the published Taylor route).
        lower: the proven bound; -inf needs no proof.
        lower_at_most: g at the witness: no larger value is the exact bound; None if no witness was needed.
        witness: (q1, q2, q3) where the tail reaches alpha; None likewise.
        cuts: q2 at which the level curve g = lower is cut, increasing.
        kinds: the bound used on each piece, "corner" or "convex" run-length coded as [kind, count] pairs.
    """

    n: int
    x1: int
    x2: int
    alpha: float
    functional: str
    order: int | None
    statistic: str
    observed: float | None
    third_cell: bool
    least_q1: float
    lower: float
    lower_at_most: float | None
    witness: tuple[float, float, float] | None
    cuts: tuple[float, ...] = field(repr=False)  # hundreds of numbers: a bound that is printed stays readable
    kinds: tuple[tuple[str, int], ...] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The certificate as JSON-ready values, with its content hash. Floats survive the round trip exactly."""
        content: dict[str, Any] = {
            "format": FORMAT, "n": self.n, "x1": self.x1, "x2": self.x2, "alpha": self.alpha,
            "functional": self.functional, "order": self.order, "statistic": self.statistic,
            "observed": self.observed, "third_cell": self.third_cell, "least_q1": self.least_q1,
            "lower": None if math.isinf(self.lower) else self.lower, "lower_at_most": self.lower_at_most,
            "witness": list(self.witness) if self.witness else None, "cuts": list(self.cuts),
            "kinds": [list(run) for run in self.kinds]}
        return {**content, "sha256": content_hash(content)}

    def to_json(self) -> str:
        """The certificate as one line of JSON."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the certificate as JSON; the file appears whole or not at all.

        Raises:
            StorageError: the file cannot be written.
        """
        target = Path(path)
        partial = target.with_name(target.name + ".partial")
        try:
            partial.write_text(self.to_json() + "\n")
            partial.replace(target)
        except OSError as error:
            raise StorageError(f"The certificate could not be written to {target}: {error.strerror}.") from error

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Certificate:
        """The certificate in `content`; its hash is checked, its proof is not (see `rsopt.checks.certificate`).

        Raises:
            CertificateError: not a certificate, an unknown format, a missing entry, or a hash that does not match.
        """
        if content.get("format") != FORMAT:
            raise CertificateError(f"This is no certificate of this version: its format is {content.get('format')!r}, "
                                   f"expected {FORMAT!r}.")
        try:
            digest = content_hash({key: value for key, value in content.items() if key != "sha256"})
        except (TypeError, ValueError) as error:
            raise CertificateError(f"The certificate holds something that is no JSON value: {error}.") from error
        if digest != content.get("sha256"):
            raise CertificateError("The certificate was changed after it was written: its content hash does not match.")
        try:
            lower = content["lower"]
            witness = content["witness"]
            return cls(
                n=content["n"], x1=content["x1"], x2=content["x2"], alpha=content["alpha"],
                functional=content["functional"], order=content["order"], statistic=content["statistic"],
                observed=_number(content["observed"]),
                third_cell=content["third_cell"], least_q1=float(content["least_q1"]),
                lower=-math.inf if lower is None else float(lower), lower_at_most=_number(content["lower_at_most"]),
                witness=None if witness is None else (float(witness[0]), float(witness[1]), float(witness[2])),
                cuts=tuple(float(cut) for cut in content["cuts"]),
                kinds=tuple((str(kind), int(count)) for kind, count in content["kinds"]))
        except (KeyError, TypeError, IndexError, ValueError, OverflowError) as error:
            raise CertificateError(f"The certificate is incomplete: {error!r}.") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Certificate:
        """The certificate in a JSON file.

        Raises:
            StorageError: the file cannot be read.
            CertificateError: as in `from_dict`, or the file is not JSON.
        """
        try:
            content = json.loads(Path(path).read_text())
        except OSError as error:
            raise StorageError(f"The certificate {path} could not be read: {error.strerror}.") from error
        except ValueError as error:
            raise CertificateError(f"{path} is not JSON: {error}.") from error
        if not isinstance(content, dict):
            raise CertificateError(f"{path} holds no certificate: expected a JSON object.")
        return cls.from_dict(content)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def content_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of `content`."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
