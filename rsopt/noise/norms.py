"""What a radius in one norm says in another."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rsopt.arguments import as_whole
from rsopt.errors import InvalidInputError, shown
from rsopt.radius import rounded_down

# (from, to): the power of the dimension that the radius is divided by, from the inequalities between norms.
_POWERS = {("l2", "l1"): 0.0, ("l2", "linf"): 0.5, ("l1", "l2"): 0.5, ("l1", "linf"): 1.0}


@dataclass(frozen=True)
class Conversion:
    """A radius in one norm from one in another, by an inequality between the norms.

    Attributes:
        source, target: the norms.
        scale: what the radius is multiplied by before: the least scale of a weighted norm, 1 otherwise.
        power: of the dimension, which the radius is divided by.
        dimension: d, the number of coordinates; None where the power is 0.
    """

    source: str
    target: str
    scale: float
    power: float
    dimension: int | None

    def __str__(self) -> str:
        """For example "linf radius = l1 radius / d, d = 784"."""
        factor = "" if self.scale == 1.0 else f" · {self.scale:g}"
        share = {0.0: "", 0.5: f" / sqrt(d), d = {self.dimension}", 1.0: f" / d, d = {self.dimension}"}[self.power]
        return f"{self.target} radius = {self.source} radius{factor}{share}"

    def of(self, radius: float) -> float:
        """The radius, rounded down."""
        divisor = {0.0: 1.0, 0.5: math.sqrt(self.dimension or 1), 1.0: float(self.dimension or 1)}[self.power]
        return rounded_down(radius * self.scale / divisor)


def conversion(source: str, target: str, dimension: int | None, scale: float = 1.0) -> Conversion:
    """How a radius in the norm `source` becomes one in the norm `target`.

    Args:
        source: "l1" or "l2", or one of these weighted ("weighted l1").
        target: "l1", "l2" or "linf".
        dimension: d, the number of coordinates; needed where the inequality has it.
        scale: the least scale of a weighted norm.

    Raises:
        InvalidInputError: no inequality leads from the one to the other, or no dimension where one is needed.
    """
    own = source.removeprefix("weighted ")
    power = 0.0 if own == target else _POWERS.get((own, target))
    if power is None or (own == target and own == source):
        known = [to for start, to in _POWERS if start == own]
        also = f"; from it follow radii in {' and '.join(sorted(known))}" if known else ""
        raise InvalidInputError(f"No {target} radius follows from this one, which is in {source}{also}.")
    d = as_whole(dimension)
    if power and (d is None or d < 1):
        raise InvalidInputError(f"An {target} radius from one in {source} needs the number of coordinates: give "
                                f"dimension, a whole number from 1 on; found {shown(dimension)}.")
    return Conversion(source, target, scale, power, d if power else None)
