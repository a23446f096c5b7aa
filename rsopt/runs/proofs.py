"""The proofs of a run: in its store, as files, and wherever they are to be checked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from rsopt.errors import InvalidInputError
from rsopt.files import is_file, is_folder, read_text, write_text
from rsopt.methods import OWN
from rsopt.proof_file import unpacked
from rsopt.runs.folder import CERTIFICATES, STORE
from rsopt.runs.records import CertificateRow, InputOutcome
from rsopt.runs.store import Store

Proof = tuple[str, str]
"""Name and JSON."""


def stored_proofs(store: Store) -> Iterator[Proof]:
    """Every proof in a store, one at a time; its name is the input's number and, for soft bounds, the method.

    Raises:
        CertificateError: one cannot be unpacked.
        StorageError: a record is damaged.
    """
    for outcome in store.all(InputOutcome):
        for row in store.of_input(CertificateRow, outcome.idx):
            name = f"{row.idx:06d}" if row.method == OWN else f"{row.idx:06d}-{row.method}"
            yield name, unpacked(row.body)


def stored_certificates(store: Store) -> Iterator[Proof]:
    """The certificates of the bounds on votes; their names are the inputs' numbers in six digits."""
    return ((name, text) for name, text in stored_proofs(store) if "-" not in name)


def refuse_strangers(folder: Path, numbers: Collection[int]) -> None:
    """Raises an error where a folder holds proofs of other inputs: those of two runs would be mixed in it.

    Raises:
        InvalidInputError: it does; the text names one.
    """
    known = set(numbers)
    for file in sorted(folder.glob("*.json")):
        number = file.stem.partition("-")[0]
        if number.isdecimal() and int(number) not in known:
            raise InvalidInputError(f"{folder} holds proofs of another run: {file.name} is of none of these inputs. "
                                    "Choose another folder, or remove what is in this one.")


def save_proofs(folder: Path, proofs: Iterable[Proof]) -> int:
    """Writes every proof as a file NAME.json of its own, and says how many there were.

    Raises:
        StorageError: a file cannot be written.
    """
    count = 0
    for name, text in proofs:
        write_text(folder / f"{name}.json", text + "\n", "The proof")
        count += 1
    return count


def proofs_in(path: Path) -> Iterator[Proof]:
    """The proofs in a file, in a run's folder (from its store) or in a folder of files.

    Raises:
        InvalidInputError: a folder without any.
        StorageError: something cannot be read.
    """
    if not is_folder(path):
        yield str(path), read_text(path, "The proof")
        return
    if is_file(path / STORE):
        with Store.read(path / STORE) as store:
            yield from stored_proofs(store)
        return
    folder = path / CERTIFICATES
    files = sorted((folder if is_folder(folder) else path).glob("*.json"))
    if not files:
        raise InvalidInputError(f"{path} holds no proofs: no {STORE}, no {CERTIFICATES}/*.json and no *.json.")
    for file in files:
        yield str(file), read_text(file, "The proof")
