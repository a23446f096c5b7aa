"""Every error that rsopt raises on purpose: what was wrong, what was found, what to do."""

from __future__ import annotations

_MOST_SHOWN = 200


class RsoptError(Exception):
    """Base class of all errors raised by rsopt."""


class InvalidInputError(RsoptError, ValueError):
    """A value was given that has no meaning here (NaN, a negative count, alpha outside its range, …)."""


class UnknownNameError(RsoptError, LookupError):
    """A functional, statistic, solver or method was asked for by a name that nobody registered."""

    @classmethod
    def of(cls, kind: str, name: object, known: list[str]) -> UnknownNameError:
        """The error for an unknown name, with the nearest known one.

        Args:
            kind: what was looked up, for example ``"solver"``.
            name: what the caller asked for.
            known: every name that would have been understood.
        """
        import difflib

        near = difflib.get_close_matches(name if isinstance(name, str) else "", known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return cls(f"There is no {kind} named {shown(name)}.{hint} Known: {', '.join(sorted(known))}.")


class MissingDependencyError(RsoptError, ImportError):
    """A known part of rsopt needs a package that is not installed; the text holds the pip line."""

    @classmethod
    def of(cls, what: str, missing: str, extra: str) -> MissingDependencyError:
        """The error for a part of rsopt whose package is absent.

        Args:
            what: the part that cannot be used, for example ``"solver 'gpkit'"``.
            missing: the package whose import failed.
            extra: the extra of rsopt that brings it.
        """
        return cls(f"{what} needs the package {missing!r}, which is not installed. "
                   f"Install it with: pip install 'rsopt[{extra}]'")


class RefusedError(RsoptError):
    """A solver cannot take this problem; the text says why and which solvers can."""


class SolverFailedError(RsoptError, RuntimeError):
    """A solver raised, or returned something that is not an answer; its own error is the cause."""


class CertificateError(RsoptError, ValueError):
    """A certificate or transcript does not prove what it states; the text names the first thing that fails."""


class ModelError(RsoptError, ValueError):
    """A model returned NaN, the wrong shape, or rows that depend on the batch; the text names the input."""


class StorageError(RsoptError, OSError):
    """A result could not be written or read back: full disk, read-only folder, damaged or foreign file."""


class WorkerError(RsoptError, RuntimeError):
    """Workers cannot be had, keep dying, or would compute different results; the text says what to look at."""


def shown(value: object) -> str:
    """`value` as messages show it: its repr, in one line, cut where it is long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # an int of thousands of digits has no text, and objects of others may raise anything
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN - 1]}…"
