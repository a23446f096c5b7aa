"""A nested certificate: the certificates of all radii that were proven one after the other (theorem N4)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rsopt import proof_file
from rsopt.certificate import Certificate
from rsopt.errors import CertificateError

NESTED_FORMAT = "rsopt nested certificate 1"
#: Radii that a file may prove.
MOST_RADII = 128


@dataclass(frozen=True)
class NestedCertificate:
    """The claims "g_r(p) > 0" of the first radii r of a list, all true with probability at least 1 - alpha.

    Attributes:
        steps: the certificate of each radius, from the smallest on, of a level of at least 0.
    """

    steps: tuple[Certificate, ...] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The certificate as JSON-ready values, with its content hash."""
        return proof_file.hashed(self._content())

    def to_json(self) -> str:
        """The certificate as one line of JSON."""
        return proof_file.as_json(self._content())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the certificate as JSON; the file appears whole or not at all.

        Raises:
            StorageError: the file cannot be written.
        """
        proof_file.save(path, self._content())

    def _content(self) -> dict[str, Any]:
        return {"format": NESTED_FORMAT, "steps": [step.to_dict() for step in self.steps]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> NestedCertificate:
        """The certificate in `content`; hashes and form are checked, the proofs are not (`rsopt.checks`).

        Raises:
            CertificateError: as in `Certificate.from_dict`, or no radius or too many.
        """
        entries = proof_file.Entries(proof_file.unhashed(content, "nested certificate", (NESTED_FORMAT,)),
                                     "The nested certificate")
        entries.take("format")
        steps = entries.items("steps")
        if not 1 <= len(steps) <= MOST_RADII:
            raise CertificateError(f"The nested certificate is of {len(steps):,} radii; 1 to {MOST_RADII} are allowed.")
        entries.done()
        return cls(tuple(_step(step) for step in steps))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> NestedCertificate:
        """The certificate in a JSON file.

        Raises:
            StorageError: the file cannot be read.
            CertificateError: as in `from_dict`, or the file is not JSON.
        """
        return cls.from_dict(proof_file.load(path))


def _step(content: object) -> Certificate:
    if not isinstance(content, Mapping):
        raise CertificateError("The nested certificate is malformed: its steps must be certificates; found "
                               f"{proof_file.shown(content)}.")
    return Certificate.from_dict(content)
