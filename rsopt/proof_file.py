"""Files that hold a proof: JSON with a content hash, read strictly by the published format or refused.

What a checker accepts must not depend on how a lenient reader understands a file: a key that stands twice or that the
format does not know, text or true where a number belongs, numbers that are none, and files too large to be a proof are
errors, before anything is computed from them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from rsopt.errors import CertificateError, StorageError
from rsopt.files import read_text, write_text

#: The largest proofs are transcripts of a thousand rivals, about 100 MB.
MOST_BYTES = 1 << 29
_MOST_SHOWN = 60


def content_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of `content`: sorted keys, no spaces, floats in their shortest form.

    Raises:
        CertificateError: something in it is no JSON value, or a number that is none.
    """
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise CertificateError(f"The proof holds something that is no JSON value: {error}.") from error
    return hashlib.sha256(text.encode()).hexdigest()


def hashed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content with its hash under "sha256"."""
    return {**content, "sha256": content_hash(content)}


def unhashed(content: Mapping[str, Any], kind: str, formats: Sequence[str]) -> dict[str, Any]:
    """The content without its hash, once format and hash were found right.

    Args:
        content: what a file held.
        kind: what it is to be, for the texts: "certificate" or "transcript".
        formats: the formats that are understood.

    Raises:
        CertificateError: another format, or a hash that does not match.
    """
    found = content.get("format")
    if not isinstance(found, str) or found not in formats:
        raise CertificateError(f"This is no {kind} of this version: its format is {shown(found)}, expected "
                               f"{' or '.join(map(repr, formats))}.")
    bare = {key: value for key, value in content.items() if key != "sha256"}
    if content.get("sha256") != content_hash(bare):
        raise CertificateError(f"The {kind} was changed after it was written: its content hash does not match.")
    return bare


def parsed(text: str, name: str) -> dict[str, Any]:
    """The object in a JSON text; `name` says in the error texts whose text it is.

    Raises:
        CertificateError: no JSON, no object, a key that stands twice, or a number that is none.
    """
    if len(text) > MOST_BYTES:
        raise CertificateError(f"{name} is too large for a proof: {len(text):,} characters, at most {MOST_BYTES:,}.")
    try:
        content = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite)
    except CertificateError as error:
        raise CertificateError(f"{name} cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise CertificateError(f"{name} is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise CertificateError(f"{name} holds no proof: expected a JSON object.")
    return content


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        StorageError: the file cannot be read, or is no text.
        CertificateError: as in `parsed`, or it is too large.
    """
    size = 0
    with contextlib.suppress(OSError, ValueError):
        # What cannot be looked at cannot be read either, which is said below.
        size = Path(path).stat().st_size
    if size > MOST_BYTES:
        raise CertificateError(f"{path} is too large for a proof: {size:,} bytes, at most {MOST_BYTES:,}.")
    try:
        text = read_text(path, "The proof")
    except ValueError as error:
        raise StorageError(f"The proof {shown(str(path))} cannot be read: {error}.") from error
    return parsed(text, str(path))


def unpacked(body: bytes) -> str:
    """The text of a proof that was compressed for a store.

    Raises:
        CertificateError: it cannot be unpacked, or is too large.
    """
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(body, MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise CertificateError(f"The proof is too large: more than {MOST_BYTES:,} bytes.")
        if not reader.eof or reader.unused_data:
            raise CertificateError("The proof cannot be unpacked: it is cut short, or something follows it.")
        return text.decode()
    except (zlib.error, UnicodeDecodeError, TypeError) as error:
        raise CertificateError(f"The proof cannot be unpacked: {error}.") from error


def as_json(content: Mapping[str, Any]) -> str:
    """The content with its hash as one line of JSON.

    Raises:
        CertificateError: as in `content_hash`.
    """
    return json.dumps(hashed(content), separators=(",", ":"), allow_nan=False)


def save(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write content, with its hash, as one line of JSON; the file appears whole or not at all.

    Raises:
        StorageError: the file cannot be written.
    """
    write_text(path, as_json(content) + "\n", "The proof")


class Entries:
    """The entries of one object of a proof, taken out by type; whatever is not asked for is refused by `done`.

    Args:
        content: the object.
        where: what it is, for the error texts.
    """

    def __init__(self, content: object, where: str) -> None:
        if not isinstance(content, Mapping):
            raise CertificateError(f"{where} is malformed: expected an object; found {shown(content)}.")
        self._left = dict(content)
        self._where = where

    def take(self, name: str) -> Any:
        """The entry, whatever it is."""
        if name not in self._left:
            raise CertificateError(f"{self._where} is incomplete: {name!r} is missing.")
        return self._left.pop(name)

    def text(self, name: str, known: Sequence[str] | None = None) -> str:
        """A text, one of `known` where they are given."""
        value = self.take(name)
        if not isinstance(value, str):
            raise self._wrong(name, "text", value)
        if known is not None and value not in known:
            raise CertificateError(f"{self._where}: unknown {name} {shown(value)}. Known: {', '.join(known)}.")
        return value

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self.take(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def whole(self, name: str) -> int:
        """A whole number, written as one."""
        return self._whole(name, self.take(name))

    def whole_or_none(self, name: str) -> int | None:
        """A whole number, or None."""
        value = self.take(name)
        return None if value is None else self._whole(name, value)

    def number(self, name: str) -> float:
        """A finite number."""
        return self._number(name, self.take(name))

    def number_or_none(self, name: str) -> float | None:
        """A finite number, or None."""
        value = self.take(name)
        return None if value is None else self._number(name, value)

    def numbers_or_none(self, name: str) -> tuple[float, ...] | None:
        """A list of finite numbers, or None."""
        value = self.take(name)
        return None if value is None else tuple(self._number(name, entry) for entry in self._items(name, value))

    def numbers(self, name: str) -> tuple[float, ...]:
        """A list of finite numbers."""
        return tuple(self._number(name, value) for value in self.items(name))

    def wholes(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers."""
        return tuple(self._whole(name, value) for value in self.items(name))

    def rows(self, name: str) -> tuple[tuple[float, ...], ...]:
        """A list of lists of finite numbers."""
        return tuple(tuple(self._number(name, value) for value in self._items(name, row)) for row in self.items(name))

    def pairs(self, name: str) -> Iterator[tuple[Any, int]]:
        """A list of pairs of anything and a positive whole number."""
        for pair in self.items(name):
            entries = self._items(name, pair)
            if len(entries) != 2:
                raise self._wrong(name, "pairs of a value and how often it stands", pair)
            count = self._whole(name, entries[1])
            if count < 1:
                raise self._wrong(name, "positive numbers of repetitions", count)
            yield entries[0], count

    def items(self, name: str) -> Sequence[Any]:
        """A list of anything."""
        return self._items(name, self.take(name))

    def done(self) -> None:
        """Refuse entries that were not asked for."""
        if self._left:
            raise CertificateError(f"{self._where} holds entries that the format does not know: "
                                   f"{', '.join(shown(name) for name in self._left)}.")

    def _items(self, name: str, value: object) -> Sequence[Any]:
        if not isinstance(value, list | tuple):
            raise self._wrong(name, "a list", value)
        return value

    def _whole(self, name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(name, "a whole number", value)
        if abs(value) >= 1 << 63:
            raise self._wrong(name, "a whole number of at most 63 bits", value)
        return int(value)

    def _number(self, name: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, "a number", value)
        if isinstance(value, int) and abs(value) > 1 << 53:
            raise self._wrong(name, "a number that double precision can hold", value)
        if not math.isfinite(value):
            raise self._wrong(name, "a finite number", value)
        # As it was written: a whole number stays one, so that the hash stays the same.
        return value

    def _wrong(self, name: str, expected: str, value: object) -> CertificateError:
        return CertificateError(f"{self._where} is malformed: {name!r} must be {expected}; found {shown(value)}.")


def shown(value: object) -> str:
    """A value for an error text, cut short."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        # Python refuses to print whole numbers of thousands of digits.
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "…"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        left = set(content)
        for name, _ in pairs:
            if name not in left:
                raise CertificateError(f"the key {shown(name)} stands twice.")
            left.discard(name)
    return content


def _no_number(name: str) -> float:
    raise CertificateError(f"{name} is no JSON value.")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise CertificateError(f"{shown(text)} is beyond double precision.")
    return value


class ProofFile(ABC):
    """A proof that is kept as JSON with its content hash."""

    def to_dict(self) -> dict[str, Any]:
        """The proof as JSON-ready values, with its content hash. Floats survive the round trip exactly."""
        return hashed(self._content())

    def to_json(self) -> str:
        """The proof as one line of JSON."""
        return as_json(self._content())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the proof as JSON; the file appears whole or not at all.

        Raises:
            StorageError: the file cannot be written.
        """
        save(path, self._content())

    @abstractmethod
    def _content(self) -> dict[str, Any]:
        """The entries of the published format, without the hash."""

    @classmethod
    @abstractmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The proof in `content`; its hash and its form are checked, what it proves is not (`rsopt.checks`).

        Raises:
            CertificateError: another format, a hash that does not match, or an entry that the format does not have so.
        """

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The proof in a JSON file.

        Raises:
            StorageError: the file cannot be read.
            CertificateError: as in `from_dict`, or the file is not JSON.
        """
        return cls.from_dict(load(path))
