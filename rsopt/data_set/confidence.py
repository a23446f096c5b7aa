"""The confidence of a statement about a data set, and the error that it leaves."""

from __future__ import annotations

from rsopt.arguments import as_real
from rsopt.errors import InvalidInputError, shown

CONFIDENCE = 0.95
"""What reports and cards state."""
_MOST = 1.0 - 1e-9


def error_of(confidence: object) -> float:
    """Probability at most which a statement made with `confidence` is false; exact, since confidence is at least 1/2.

    Raises:
        InvalidInputError: no number from 1/2 to 1 - 1e-9.
    """
    number = as_real(confidence)
    if number is None or not 0.5 <= number <= _MOST:
        raise InvalidInputError("confidence must be a number from 0.5 to 0.999999999, for example 0.95; found "
                                f"{shown(confidence)}.")
    return 1.0 - number
