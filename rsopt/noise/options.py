"""Noises as a command line says them: a name and one option a field."""

from __future__ import annotations

from dataclasses import MISSING
from fractions import Fraction

from rsopt.errors import InvalidInputError
from rsopt.named import load_named
from rsopt.noise.additive import Additive, on_grid
from rsopt.noise.gaussian import plain_sigma
from rsopt.noise.noise import Noise, fields_of
from rsopt.noise.registry import get_noise, noise_class

OPTIONS = {"sigma": ("sigma",), "scale": ("scale", "half_width"), "keep": ("keep",), "positions": ("positions",),
           "probability": ("probability",), "add": ("add",), "remove": ("remove",)}
"""The fields that an option gives, whichever of them the noise has."""


def noise_of_options(name: str | None, given: dict[str, float | int | None]) -> Noise | None:
    """The noise that the options say; None where they say nothing.

    Args:
        name: of the noise, or ``module:noise`` for one that is made in Python; None for Gaussian noise.
        given: values by option, as in `OPTIONS`; None for those that were not given.

    Raises:
        InvalidInputError: options that are missing or have no meaning for this noise.
        UnknownNameError: no noise is called so.
    """
    values = {option: value for option, value in given.items() if value is not None}
    if name is None and not values:
        return None
    if name is not None and ":" in name:
        return _made(name, values)
    name = name or "gaussian"
    chosen = noise_class(name)
    known = {field.name: option for field in fields_of(chosen) for option, targets in OPTIONS.items()
             if field.name in targets}
    if strange := [f"--{option}" for option in values if option not in known.values()]:
        options = " and ".join(f"--{option}" for option in known.values())
        raise InvalidInputError(f"{strange[0]} has no meaning for the noise {name!r}, which takes {options or 'none'}.")
    needed = [field.name for field in fields_of(chosen) if field.default is MISSING and field.init]
    if missing := [field for field in needed if known.get(field) not in values]:
        how = f"Give --{known[missing[0]]}" if missing[0] in known else (
            "Make it in Python and give --noise module:noise")
        raise InvalidInputError(f"The noise {name!r} needs {', '.join(missing)}. {how}.")
    return get_noise(name, **{field: values[option] for field, option in known.items() if option in values})


def with_grid(noise: Noise, said: str | None, step: float | None) -> Noise:
    """The noise on the grid that --grid says, by default on that of the data where one is known.

    Args:
        noise: as the other options say it, or as it was made in Python.
        said: a step as a number or a fraction of 1, for example "1/255", or "none"; None where nothing was said.
        step: the step of the grid on which all data lie; None for none.

    Raises:
        InvalidInputError: no step, or noise that has no grid.
    """
    if said is None:
        fits = isinstance(noise, Additive) and noise.grid is None and isinstance(noise.spread, float)
        try:
            return on_grid(noise, step) if fits and step is not None else noise
        except InvalidInputError as error:
            raise InvalidInputError(f"{error} The grid is that of the data; --grid says another one, and --grid none "
                                    "takes noise in float32.") from None
    if said == "none":
        return on_grid(noise, None)
    try:
        found = float(Fraction(said))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise InvalidInputError(f"--grid is the step of the grid that inputs lie on, for example 1/255 for bytes, or "
                                f"none; found {said!r}.") from None
    placed = on_grid(noise, found)
    if not isinstance(placed, Additive) or placed.grid is None:
        raise InvalidInputError(f"--grid has no meaning for the noise {noise.name!r}: gaussian, laplace, logistic and "
                                "uniform noise have one.")
    return placed


def options_of(noise: Noise) -> str:
    """The options that say this noise, apart from its grid; for one that they cannot say, a placeholder."""
    noise = on_grid(noise, None)
    if (sigma := plain_sigma(noise)) is not None:
        return f"--sigma {sigma:g}"
    said = [noise.name]
    for field in fields_of(noise):
        value = getattr(noise, field.name)
        option = next((option for option, targets in OPTIONS.items() if field.name in targets), None)
        if option is not None and isinstance(value, int | float):
            said.append(f"--{option} {value:g}")
        elif value != field.default:
            return "--noise MODULE:NOISE"
    return f"--noise {' '.join(said)}"


def _made(name: str, values: dict[str, float | int]) -> Noise:
    if values:
        raise InvalidInputError(f"--{next(iter(values))} has no meaning beside --noise {name}, which is a whole noise.")
    found = load_named(name)
    if not isinstance(found, Noise):
        raise InvalidInputError(f"{name!r} is {found!r}, which is no noise: it must be an instance of a subclass of "
                                "rsopt.noise.Noise.")
    return found
