"""How a breach of a rule of conformance is told."""

from __future__ import annotations


def demand(kept: bool, thing: object, kind: str, rule: str, found: str) -> None:
    """Raises unless a rule is kept.

    Args:
        kept: whether it is.
        thing: what is checked.
        kind: what it claims to be, for example "solver".
        rule: what every such thing does.
        found: what this one does.

    Raises:
        AssertionError: it is not.
    """
    if not kept:
        raise AssertionError(f"{thing!r} breaks the rule of conformance that a {kind} {rule}. Found: {found}")
