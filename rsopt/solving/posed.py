"""What a posed problem answers to those who solve or write it, whatever it is made from."""

from __future__ import annotations

from typing import Protocol

from rsopt.family import TestFamily
from rsopt.solving.curve import LevelCurve
from rsopt.solving.forms import Form
from rsopt.solving.meter import Meter


class Posed(Protocol):
    """Maximise P_q(X in W) over the q of the family's domain with g(q) <= level."""

    @property
    def family(self) -> TestFamily:
        """Tail set, functional, domain and alpha."""
        ...

    @property
    def level(self) -> float:
        """L."""
        ...

    @property
    def curve(self) -> LevelCurve:
        """The level curve inside the domain."""
        ...

    def form(self, kind: type[Form], meter: Meter | None = None) -> Form:
        """The problem in a form that a solver accepts."""
        ...

    def lacks(self, kind: type[Form]) -> str | None:
        """Why the problem does not offer this form, or None if it does."""
        ...
