"""A card proven again from its archive alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsopt import proof_file
from rsopt.checks.proof import checked_arithmetic
from rsopt.errors import CertificateError, MissingDependencyError, RsoptError
from rsopt.runs.archive import file_hashes, opened_archive
from rsopt.runs.card import card, card_differences, read_card
from rsopt.runs.folder import CARD, CARD_SUFFIX
from rsopt.runs.overview import Overview
from rsopt.runs.proofs import proofs_in
from rsopt.runs.verification import run_differences, verdicts


@dataclass(frozen=True, eq=False)
class CheckedCard:
    """What became of a card and its archive.

    Attributes:
        path: the archive.
        title: as the card says; the file's name where it says none.
        content: the card; None where it does not hold.
        run: the run in the archive; None where it does not hold.
        proofs: how many proofs were checked.
        differences: what does not hold, the first thing first; empty for a card that does.
    """

    path: Path
    title: str
    content: dict[str, Any] | None
    run: Overview | None
    proofs: int
    differences: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether everything was proven again."""
        return not self.differences

    def to_dict(self) -> dict[str, Any]:
        """What became of it, as JSON values."""
        return {"archive": str(self.path), "title": self.title, "holds": self.holds, "proofs": self.proofs,
                "differences": self.differences}


def check_card(path: Path, arithmetic: str = "double", workers: int = 1,
               told: Callable[[], None] | None = None) -> CheckedCard:
    """Proves a card again from its archive: every proof, the run against itself, and the card against the run.

    Args:
        path: the archive. A card NAME.json is looked for in NAME.zip beside it, and compared with the one in there.
        arithmetic: "double" or "arb", for certificates.
        workers: processes to use.
        told: is called after each proof.

    Raises:
        UnknownNameError, MissingDependencyError: as in `rsopt.runs.verification.verdicts`.
    """
    checked_arithmetic(arithmetic)
    archive = path.with_suffix(CARD_SUFFIX) if path.suffix == Path(CARD).suffix else path
    title, proofs = archive.name, 0
    try:
        with opened_archive(archive) as folder:
            content = proof_file.load(folder / CARD)
            title = str(content.get("title", title))
            found = list(run_differences(folder))
            run = None if found else _read(folder)
            if run is not None:
                found += _card_differences(content, run, folder)
            if path != archive:
                found += card_differences(proof_file.load(path), content, "the one in its archive")
            for name, holds, said in verdicts(proofs_in(folder), arithmetic, workers):
                proofs += 1
                found += [] if holds else [f"proof {name}: {said}"]
                if told is not None:
                    told()
    except MissingDependencyError:
        raise
    except RsoptError as error:
        return CheckedCard(archive, title, None, None, proofs, (_sentence(str(error)),))
    if found:
        return CheckedCard(archive, title, None, None, proofs, tuple(map(_sentence, found)))
    return CheckedCard(archive, title, content, run, proofs, ())


def _read(folder: Path) -> Overview:
    """The run in an unpacked archive.

    Raises:
        CertificateError: something in it that `run_differences` does not look at is not what a run writes.
    """
    try:
        return Overview.read(folder)
    except RsoptError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CertificateError(f"The run in the archive cannot be read: {error!r}.") from error


def _card_differences(content: dict[str, Any], run: Overview, folder: Path) -> list[str]:
    """Where a card is not that of the run beside it, or not as it was written."""
    try:
        again = card(run, str(content.get("title")), file_hashes(folder))
    except RsoptError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CertificateError(f"The run in the archive makes no card: {error!r}.") from error
    found = list(card_differences(content, again))
    if not found:
        read_card(content)
    return found


def _sentence(text: str) -> str:
    return " ".join(text.split()).removesuffix(".")
