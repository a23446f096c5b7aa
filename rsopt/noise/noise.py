"""What a noise is: how inputs are drawn under it, and which radius a bound on votes under it gives."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from typing import TYPE_CHECKING, Any, ClassVar

from rsopt.errors import InvalidInputError, shown
from rsopt.functional import Functional
from rsopt.functionals import FUNCTIONALS, as_functional
from rsopt.noise.norms import Conversion, conversion
from rsopt.noise.source import Source

if TYPE_CHECKING:
    from torch import Tensor


class Noise(ABC):
    """Noise under which a classifier is smoothed. Everything downstream takes what it needs to know from it.

    Subclass it as a frozen dataclass whose fields are numbers, strings, tuples of them, other noises, or functions at
    the top level of a module; with `name`, `functionals`, `norm`, `unit`, `setting`, `noisy` and `certified_radius`.
    `rsopt.testing.check_noise` checks what can be checked; that `certified_radius` is a theorem is yours to prove.

    Attributes:
        name: in stores and on the command line.
        law: in sentences, for example "Laplace noise".
        action: what is done to an input, in a sentence that begins with "when".
    """

    name: ClassVar[str]
    law: ClassVar[str]
    action: ClassVar[str]

    @property
    @abstractmethod
    def functionals(self) -> tuple[str, ...]:
        """Names of the functionals whose bounds give a radius; the first is the one taken by default."""

    @property
    @abstractmethod
    def norm(self) -> str:
        """The norm of the certificate: "l1", "l2", "l0", "edit", "parameter", …"""

    @property
    @abstractmethod
    def unit(self) -> str:
        """What radii are counted in, for example "units of the input"."""

    @property
    @abstractmethod
    def setting(self) -> str:
        """The fields in words, for example "scale 0.5"."""

    @abstractmethod
    def noisy(self, batch: Tensor, source: Source) -> Tensor:
        """The rows of a batch (rows, *shape), each under noise of its own: a new tensor (rows, *shape').

        A function of the arguments alone; float32 for float32. What is drawn must be at least as wide as the fields
        say, in float32 too, since radii are computed from the fields.
        """

    @abstractmethod
    def certified_radius(self, functional: Functional, lower: float) -> float:
        """The radius that the bound `lower` on a fitting functional gives, rounded down; 0 for an abstention.

        It must be nondecreasing in `lower`.
        """

    @property
    def symbols(self) -> bool:
        """Whether the entries of an input may be whole numbers that name something, such as tokens."""
        return False

    @property
    def title(self) -> str:
        """For example "Laplace noise, scale 0.5"."""
        return f"{self.law}, {self.setting}"

    @property
    def radius_name(self) -> str:
        """For example "l1 radius"."""
        return f"{self.norm} radius"

    @property
    def within(self) -> str:
        """Which changes a radius speaks of, after "no "."""
        return f"change of the input by less than the radius, in the {self.norm} norm and {self.unit},"

    def rule(self, functional: Functional) -> str:
        """How a radius follows from a bound, after "the radius is"."""
        return "what the noise makes of the bound"

    def total_variation(self, n: int, dimension: int) -> float:
        """Upper bound on the total variation between n draws for an input and n draws of the law that radii are for.

        An event has at most this much more probability for the draws than for the law: it is part of alpha. 0 for
        draws that are of the law, or of which nothing is proven.

        Args:
            n: draws of the whole input.
            dimension: coordinates of the input.
        """
        return 0.0

    def fitted(self, shape: Sequence[int]) -> Noise:
        """The noise for inputs of this shape, where fields may be left to the shape; itself otherwise.

        Raises:
            InvalidInputError: the noise cannot be applied to such inputs.
        """
        return self

    def check_input(self, x: Tensor) -> None:
        """Refuses an input that cannot be certified under this noise.

        Raises:
            InvalidInputError: the text says why.
        """
        self.fitted(tuple(x.shape))

    def fitting(self, functional: str | Functional) -> Functional:
        """The functional, once it is sure that bounds on it give a radius under this noise.

        Raises:
            InvalidInputError: they do not; the text names those that do.
            UnknownNameError: a name that nobody registered.
        """
        chosen = as_functional(functional)
        if chosen.name not in self.functionals:
            raise InvalidInputError(f"{self.law}, {self.setting}, has no radius by bounds on {chosen.name!r}: bound "
                                    f"{' or '.join(map(repr, self.functionals))}.")
        return chosen

    def radius(self, functional: str | Functional, lower: float, *, norm: str | None = None,
               dimension: int | None = None) -> float:
        """The certified radius that a bound on a functional gives, rounded down; 0 for an abstention.

        Args:
            functional: g, or its name.
            lower: a lower bound on g.
            norm: None for the noise's own; or one in which a radius follows by an inequality between norms.
            dimension: number of coordinates, where that inequality needs it.

        Raises:
            InvalidInputError: a functional that does not fit, a bound that is NaN, or a norm that does not follow.
        """
        chosen = self.fitting(functional)
        if math.isnan(lower):
            raise InvalidInputError("The bound is NaN; no radius can be made of it.")
        found = self.certified_radius(chosen, lower)
        if norm is not None and not isinstance(norm, str):
            raise InvalidInputError(f"norm must be the name of a norm; found {shown(norm)}.")
        return found if norm in (None, self.norm) else self.conversion(norm, dimension).of(found)

    def conversion(self, norm: str, dimension: int | None = None) -> Conversion:
        """How a radius in another norm follows from this noise's, in a form that prints as a sentence.

        Raises:
            InvalidInputError: it does not, or `dimension` is needed.
        """
        return conversion(self.norm, norm, dimension)

    def to_dict(self) -> dict[str, Any]:
        """The name and the fields as JSON values; `rsopt.noise.noise_from_dict` gives the noise back."""
        return {"name": self.name, **{field.name: _plain(getattr(self, field.name)) for field in fields_of(self)}}


def fields_of(noise: Noise | type[Noise]) -> tuple[Field[Any], ...]:
    """The fields of a noise, or of a class of noises."""
    declared: Any = noise
    return fields(declared)


def _plain(value: Any) -> Any:
    if isinstance(value, Noise):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return function_name(value) if callable(value) else value


def function_name(function: Callable[..., object] | str) -> str:
    """``module:function``, by which a noise is stored and sent.

    Raises:
        InvalidInputError: the function has no place of its own in a module.
    """
    if isinstance(function, str):
        return function
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "<")
    if module is None or "<" in name:
        raise InvalidInputError(f"{function!r} cannot be found again by name. Define it at the top level of a module.")
    return f"{module}:{name}"


def shipped(functional: Functional) -> bool:
    """Whether a functional is one of rsopt's own, which says by its name for which noise it is made."""
    return type(functional) is FUNCTIONALS.get(functional.name)
