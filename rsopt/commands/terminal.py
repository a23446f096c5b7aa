"""The terminal, or the pipe or file in its place: whatever encoding it has, no text ends a command."""

from __future__ import annotations

import codecs
import io
import sys

# What our texts hold beyond ASCII. Everything else, such as the name of a file, is written as its escape.
_PLAIN = {"≥": ">=", "≤": "<=", "–": "-", "…": "...", "×": "x", "²": "^2", "•": "*"}
_HANDLER = "rsopt-plain"


def prepare() -> None:
    """Lets stdout and stderr write what their encodings have no character for in ASCII."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def written(text: str, encoding: str) -> str:
    """`text` as a stream of this encoding shows it, so that tables are laid out for what will stand there."""
    return text.encode(encoding, _HANDLER).decode(encoding)


def warn(text: str) -> None:
    """Prints a line on stderr."""
    print(text, file=sys.stderr)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start:error.end]
    return "".join(_PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in found), error.end


codecs.register_error(_HANDLER, _plain)
