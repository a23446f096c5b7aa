"""The archive of a card: a ZIP file that holds the card, the store of its run and the table, and nothing else."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rsopt.errors import CertificateError, StorageError
from rsopt.files import is_file, replaced
from rsopt.runs.folder import CARD, STORE, TABLE

MEMBERS = (CARD, STORE, TABLE)
_HASHED = (STORE, TABLE)
#: A store holds compressed proofs, and a table digits: what unpacks to more than this is none of ours.
_MOST_TIMES = 200
_SMALL = 1 << 20


def file_hashes(folder: Path) -> dict[str, str]:
    """Name -> SHA-256 of the files beside a card.

    Raises:
        StorageError: one cannot be read.
    """
    found = {}
    for name in _HASHED:
        try:
            with (folder / name).open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise StorageError(f"{folder / name} cannot be read: {error.strerror or error}.") from error
    return found


def write_archive(path: Path, folder: Path) -> None:
    """Packs card, store and table from a folder; equal files give equal archives.

    Raises:
        StorageError: the archive cannot be written.
    """
    with replaced(path, "The archive") as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in MEMBERS:
            # A date of its own would make every archive another one.
            with (folder / name).open("rb") as file, archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as out:
                shutil.copyfileobj(file, out)


@contextmanager
def opened_archive(path: Path) -> Iterator[Path]:
    """A folder with the files of an archive, for as long as the block lasts.

    Raises:
        StorageError: there is no such file, or it cannot be read.
        CertificateError: it is no archive of a card: no ZIP file, damaged, or with other files than these.
    """
    if not is_file(path):
        raise StorageError(f"There is no archive at {path}.")
    with TemporaryDirectory(prefix="rsopt-") as place:
        folder = Path(place)
        try:
            with zipfile.ZipFile(path) as archive:
                _refuse_others(archive)
                for name in MEMBERS:
                    with archive.open(name) as file, (folder / name).open("wb") as out:
                        shutil.copyfileobj(file, out)
        except CertificateError:
            raise
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise CertificateError(f"It is no archive of a card, or damaged: {error}.") from error
        except OSError as error:
            raise StorageError(f"{path} cannot be unpacked: {error.strerror or error}.") from error
        yield folder


def _refuse_others(archive: zipfile.ZipFile) -> None:
    names = [entry.filename for entry in archive.infolist()]
    if sorted(names) != sorted(MEMBERS):
        found = ", ".join(map(repr, names[:5])) or "nothing"
        raise CertificateError(f"It is no archive of a card: it holds {found}; expected {', '.join(MEMBERS)}, each "
                               "once.")
    for entry in archive.infolist():
        if entry.file_size > _MOST_TIMES * entry.compress_size + _SMALL:
            raise CertificateError(f"{entry.filename} in it would unpack to {entry.file_size:,} bytes, which no file "
                                   "of a run does.")
