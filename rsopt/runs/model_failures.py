"""What a model raises, as what a run tells of the input: foreign exceptions must not end a run that is to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rsopt.errors import ModelError, RsoptError


@contextmanager
def told_of_input(idx: int) -> Iterator[None]:
    """Turns whatever a model raises for input `idx` into a `ModelError`; our own errors pass.

    Raises:
        ModelError: the model raised something; that is the cause.
    """
    try:
        yield
    except RsoptError:
        raise
    except Exception as error:
        if not (notes := getattr(error, "__notes__", ())):
            # Only what comes from inside the model carries a note on what it was called with.
            raise
        text = " ".join(str(error).split())
        raise ModelError(f"Input {idx}: the model raised {type(error).__name__}{f': {text}' if text else ''}. "
                         f"{notes[-1]}") from error
