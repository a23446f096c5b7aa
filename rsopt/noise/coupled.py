"""Anyone's own noise by coupling."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from rsopt.errors import InvalidInputError, shown
from rsopt.noise.coupling import CoupledNoise
from rsopt.noise.function import Draw, called
from rsopt.noise.source import Source

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Coupled(CoupledNoise):
    """A noise of one's own: a function that draws, and a table of D(r) (theorem N2).

    **Your obligation.** For any two inputs at distance at most r, as you define it, the draws for the two can be made
    on one probability space, each with the law of `draw`, such that they differ with probability at most D(r). rsopt
    cannot check this.

    Attributes:
        draw: (batch (rows, *shape), source) -> the rows, each under noise of its own, as a new tensor; at the top level
            of a module, so that a run can be stored and sent to other processes.
        differences: D(1), D(2), …: nondecreasing, each rounded up. Radii end with the table.
        norm: the distance, for example "l0".
        unit: what it counts.
        symbols: whether entries of inputs may be whole numbers that name something.

    Raises:
        InvalidInputError: no differences, or some that are no probabilities or fall.
    """

    name: ClassVar[str] = "coupled"
    law: ClassVar[str] = "coupled noise"
    action: ClassVar[str] = "the input is drawn under this noise"

    draw: Draw | str
    differences: tuple[float, ...]
    norm: str = "l0"
    unit: str = "positions"
    symbols: bool = False

    def __post_init__(self) -> None:
        if not callable(self.draw) and not isinstance(self.draw, str):
            raise InvalidInputError(f"draw must be a function of a batch and a source; found {shown(self.draw)}.")
        try:
            found = tuple(float(value) for value in self.differences)
        except (TypeError, ValueError):
            found = ()
        steps = (0.0, *found, 1.0)
        if not found or any(not before <= after for before, after in pairwise(steps)):
            raise InvalidInputError("differences must be the probabilities D(1), D(2), …, none smaller than the one "
                                    f"before; found {shown(self.differences)}.")
        object.__setattr__(self, "differences", found)

    @property
    def setting(self) -> str:
        """How far D(r) is known."""
        return f"D(1) = {self.differences[0]:g}, D({len(self.differences)}) = {self.differences[-1]:g}"

    @property
    def within(self) -> str:
        """As in `Noise`."""
        return f"change of the input of at most so many {self.unit} ({self.norm}) as the radius says"

    @property
    def largest(self) -> float:
        """The end of the table."""
        return len(self.differences)

    def difference(self, r: int) -> float:
        """D(r) from the table."""
        return self.differences[r - 1] if r else 0.0

    def noisy(self, batch: Tensor, source: Source) -> Tensor:
        """What `draw` draws."""
        return called(self.draw)(batch, source)
