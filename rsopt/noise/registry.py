"""Noises by name: a table for our own, entry points of the group ``rsopt.noise`` for everyone else's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from importlib import metadata
from typing import Any

from rsopt.arguments import as_name
from rsopt.errors import InvalidInputError, UnknownNameError, shown
from rsopt.noise.ablation import Ablation
from rsopt.noise.coupled import Coupled
from rsopt.noise.deletion import Deletion
from rsopt.noise.flips import Flips
from rsopt.noise.gaussian import Gaussian, plain_sigma
from rsopt.noise.laplace import Laplace
from rsopt.noise.logistic import Logistic
from rsopt.noise.noise import Noise, fields_of
from rsopt.noise.transformed import Transformed
from rsopt.noise.uniform import Uniform
from rsopt.plugins import loaded, plugins
from rsopt.radius import checked_sigma

GROUP = "rsopt.noise"

_OWN: tuple[type[Noise], ...] = (Gaussian, Laplace, Logistic, Uniform, Ablation, Deletion, Flips, Transformed,
                                Coupled)
_BUILT_IN = {noise.name: noise for noise in _OWN}


def _others() -> dict[str, metadata.EntryPoint]:
    return plugins(GROUP, frozenset(_BUILT_IN))


def noise_names() -> list[str]:
    """The names of all known noises, ours first."""
    return [*_BUILT_IN, *sorted(_others())]


def noise_class(name: str) -> type[Noise]:
    """The class of that name.

    Raises:
        UnknownNameError: nobody registered it.
        InvalidInputError: a third party's that cannot be loaded, or is no noise.
    """
    if as_name(name) in _BUILT_IN:
        return _BUILT_IN[name]
    if as_name(name) not in _others():
        raise UnknownNameError.of("noise", name, noise_names())
    found = loaded("noise", _others()[name], InvalidInputError)
    if not is_dataclass(found) or not isinstance(found, type) or Noise not in found.__mro__:
        raise InvalidInputError(f"{name!r} is registered as {found!r}, which is no noise: a noise is a frozen "
                                "dataclass and a subclass of rsopt.noise.Noise.")
    noise: Any = found
    if noise.name != name:
        raise InvalidInputError(f"{noise.__name__} is registered as {name!r} and calls itself {noise.name!r}: a store "
                                "could not be read again. Give it one name.")
    checked: type[Noise] = noise
    return checked


def get_noise(name: str, **values: Any) -> Noise:
    """The noise of that name with the given fields, for example ``get_noise("laplace", scale=0.5)``.

    Raises:
        UnknownNameError, InvalidInputError: as in `noise_class`; a field that the noise does not have, or one that it
            needs and that is not given; a value without meaning.
    """
    return _made(noise_class(name), values)


def noise_from_dict(content: Mapping[str, Any]) -> Noise:
    """The noise that `Noise.to_dict` wrote; functions stay names until they are called.

    Raises:
        InvalidInputError, UnknownNameError: as in `get_noise`, or no name.
    """
    if not isinstance(content, Mapping) or not isinstance(content.get("name"), str):
        raise InvalidInputError(f"{shown(content)} is no noise: it has no name.")
    return noise_from_content(noise_class(content["name"]), content)


def noise_from_content(kind: type[Noise], content: Mapping[str, Any]) -> Noise:
    """A noise of this class from what `to_dict` wrote; errors as in `get_noise`."""
    return _made(kind, {name: _value(value) for name, value in content.items() if name != "name"})


def as_noise(noise: Any, sigma: Any = None) -> Noise:
    """A noise from a noise, or from a number, which is the standard deviation of Gaussian noise.

    Args:
        noise: the one or the other; None where `sigma` is given.
        sigma: the other spelling of Gaussian noise; None where `noise` is given.

    Raises:
        InvalidInputError: both or neither, or a number without meaning.
    """
    if noise is not None and sigma is not None:
        raise InvalidInputError("Give a noise or sigma, the standard deviation of Gaussian noise, not both.")
    if isinstance(noise, Noise):
        return noise
    if isinstance(noise, type) and issubclass(noise, Noise):
        raise InvalidInputError(f"{noise.__name__} is a class of noises: give one of them, with its fields.")
    return Gaussian(checked_sigma(sigma if noise is None else noise))


def noise_facts(noise: Noise) -> dict[str, Any]:
    """A noise as entries of a record that may hold others: Gaussian noise of one sigma as "sigma", any other as
    "noise".
    """
    said = plain_sigma(noise)
    return {"noise": noise.to_dict()} if said is None else {"sigma": said}


def noise_of_facts(facts: Mapping[str, Any]) -> Noise:
    """The noise that `noise_facts` wrote; errors as in `noise_from_dict`.

    Raises:
        KeyError: neither is there.
    """
    if "noise" not in facts:
        return Gaussian(facts["sigma"])
    if "sigma" in facts or not isinstance(facts["noise"], Mapping):
        raise InvalidInputError("The noise is said twice, or is none: expected \"sigma\", or \"noise\" with a name and "
                                "fields.")
    return noise_from_dict(facts["noise"])


def grid_of_facts(facts: Mapping[str, Any]) -> float | None:
    """The step of the grid of the noise that `noise_facts` wrote; None for noise that has none."""
    said = facts.get("noise")
    return said.get("grid") if isinstance(said, Mapping) else None


def _made(kind: type[Noise], values: Mapping[str, Any]) -> Noise:
    known = [field.name for field in fields_of(kind) if field.init]
    for given in values:
        if given not in known:
            raise InvalidInputError(f"The noise {kind.name!r} has no field {given!r}; it has "
                                    f"{', '.join(known) or 'none'}.")
    try:
        return kind(**values)
    except TypeError as error:
        raise InvalidInputError(f"The noise {kind.name!r} cannot be made of {shown(values)}: {error}.") from error


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return noise_from_dict(value)
    return tuple(_value(part) for part in value) if isinstance(value, list) else value
