"""A nested certificate: the certificates of all radii that were proven one after the other (theorem N4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from rsopt import proof_file
from rsopt.certificate import Certificate
from rsopt.errors import CertificateError

NESTED_FORMAT = "rsopt nested certificate 1"
#: Radii that a file may prove.
MOST_RADII = 128


@dataclass(frozen=True)
class NestedCertificate(proof_file.ProofFile):
    """The claims "g_r(p) > 0" of the first radii r of a list, all true with probability at least 1 - alpha.

    Attributes:
        steps: the certificate of each radius, from the smallest on, of a level of at least 0.
    """

    steps: tuple[Certificate, ...] = field(repr=False)

    def _content(self) -> dict[str, Any]:
        return {"format": NESTED_FORMAT, "steps": [step.to_dict() for step in self.steps]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
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


def _step(content: object) -> Certificate:
    if not isinstance(content, Mapping):
        raise CertificateError("The nested certificate is malformed: its steps must be certificates; found "
                               f"{proof_file.shown(content)}.")
    return Certificate.from_dict(content)
