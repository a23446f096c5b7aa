"""What every noise must do, ours and third parties': checked on an input.

Use it in the tests of your own noise:

    from rsopt.testing import check_noise

    def test_my_noise_conforms():
        check_noise(MyNoise(0.5), torch.rand(1, 4, 4))
"""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rsopt.arguments import checked_instance, checked_whole
from rsopt.errors import InvalidInputError, shown
from rsopt.functional import Functional
from rsopt.functionals import as_functional
from rsopt.noise import Additive, CoupledNoise, Noise, Source, Transformed, as_noise, noise_names
from rsopt.noise.registry import noise_class, noise_from_content

if TYPE_CHECKING:
    from torch import Tensor

Neighbour = Callable[["Tensor", int], "Tensor"]

ERROR = 1e-9
"""Probability with which a statement about draws fails by chance. Keys are fixed: what passes once passes always."""
MOST_ROWS = 10_000_000
_LEVELS = (-1.0, 0.0, 1e-12, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0 - 1e-12)
_SHIFTS = (1e-3, 0.05, 0.2, 0.5, 0.9)
_DISTANCES = (1, 2, 3)


def check_noise(noise: Noise, x: Tensor, *, neighbour: Neighbour | None = None, rows: int = 20_000) -> None:
    """Check everything that rsopt expects of a noise; raises at the first breach.

    1. It is a value: frozen, equal to what its JSON and its pickle give back, with words for reports; and its name, if
       it is registered, is that of its class.
    2. Draws are a function of their key alone: equal keys give equal draws, others other ones, rows differ, the batch
       and the global generators stay as they were.
    3. Radii are 0 for abstentions, rise with the bound, and functionals that do not fit are refused by name.
    4. Additive noise has its stated law in every coordinate, coordinates and rows are uncorrelated, and no radius
       exceeds the distance at which a half-space along an axis changes its class, which the first functional reaches.
    5. Under noise by coupling D(r) rises from 0, the radius is the largest r with 2 D(r) below the bound, and with
       `neighbour` the draws for inputs at distance r are told apart no better than D(r) allows.
    6. A transformation keeps its law phi(phi(x, a), b) = phi(x, a + b) on x.

    Whether `certified_radius` is a theorem no check can tell.

    Args:
        noise: an instance.
        x: an input that it can be applied to, small: it is drawn `rows` times.
        neighbour: (x, r) -> an input at distance r from x in the noise's norm, for noise by coupling.
        rows: draws for what is judged by frequencies.

    Raises:
        AssertionError: a breach; the text says which rule and what was found.
        InvalidInputError: a noise, an x or a number of rows that is none.
    """
    import torch

    noise = as_noise(noise)
    checked_instance(x, torch.Tensor, "x")
    if neighbour is not None and not callable(neighbour):
        raise InvalidInputError(f"neighbour must be a function (x, r) -> input; found {shown(neighbour)}.")
    rows = checked_whole("rows", rows, 2)
    if rows > MOST_ROWS:
        raise InvalidInputError(f"rows must be at most {MOST_ROWS:,}, which are drawn at once; found {rows}.")
    try:
        fitted = noise.fitted(tuple(x.shape))
        fitted.check_input(x)
    except InvalidInputError as error:
        raise AssertionError(f"{noise!r} refuses the input: {error}") from error
    _check_value(fitted)
    _check_draws(fitted, x)
    _check_radius(fitted)
    if isinstance(fitted, Additive):
        _check_law(fitted, x, rows)
        _check_half_spaces(fitted)
    if isinstance(fitted, Transformed):
        _check_law(fitted.noise, x.new_zeros(fitted.dimension), rows)
    if isinstance(fitted, CoupledNoise):
        _check_coupling(fitted)
        if neighbour is not None:
            _check_told_apart(fitted, x, neighbour, rows)


def _check_value(noise: Noise) -> None:
    content = json.loads(json.dumps(noise.to_dict()))
    for again, how in ((pickle.loads(pickle.dumps(noise)), "pickle"), (copy.deepcopy(noise), "copy")):
        _demand(again == noise and hash(again) == hash(noise), noise, f"is what its {how} gives back", repr(again))
    again = noise_from_content(type(noise), content)
    _demand(again.to_dict() == noise.to_dict(), noise, "is what its JSON gives back", f"{content} made {again!r}")
    named = noise_class(noise.name) if noise.name in noise_names() else type(noise)
    _demand(named is type(noise), noise, "is of the class that its name stands for", f"{noise.name!r} is {named!r}")
    declared: Any = noise
    first = fields(declared)[0].name
    try:
        setattr(declared, first, getattr(declared, first))
        _demand(False, noise, "is frozen", f"{first} could be set")
    except FrozenInstanceError:
        pass
    for name in ("name", "law", "action", "norm", "unit", "setting", "title", "radius_name", "within"):
        word = getattr(noise, name)
        _demand(isinstance(word, str) and word != "", noise, f"has {name} in words", repr(word))


def _check_draws(noise: Noise, x: Tensor) -> None:
    import torch

    rows = 32
    batch = x.expand(rows, *x.shape)
    before = batch.clone()
    state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002  (looked at, not drawn from)
    one, again = (noise.noisy(batch, Source(7, 11, x.device)) for _ in range(2))
    other = noise.noisy(batch, Source(8, 12, x.device))
    after = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    _demand(torch.equal(one, again), noise, "draws the same under the same key", "other draws")
    _demand(not torch.equal(one, other), noise, "draws something else under another key", "the same")
    _demand(len(one) == rows and bool(torch.isfinite(one).all()), noise, "draws a finite row for each row",
            f"shape {tuple(one.shape)}")
    _demand(bool((one[1:] != one[:1]).any()), noise, "draws each row anew", "equal rows")
    _demand(torch.equal(batch, before), noise, "leaves the batch as it is", "another batch")
    _demand(torch.equal(state[0], after[0]) and all(np.array_equal(a, b) for a, b in zip(state[1], after[1],
                                                                                        strict=True)),
            noise, "draws from the given numbers alone", "a global generator moved")


def _check_radius(noise: Noise) -> None:
    _demand(len(noise.functionals) > 0, noise, "names functionals that give a radius", repr(noise.functionals))
    for name in noise.functionals:
        g = as_functional(name)
        levels = [level for level in _LEVELS if level <= g.range[1]]
        radii = [noise.radius(g, level) for level in levels]
        _demand(radii == sorted(radii), noise, f"has radii that rise with the bound on {name!r}", repr(radii))
        _demand(noise.radius(g, -math.inf) == 0.0 and radii[:2] == [0.0, 0.0], noise, "has radius 0 for abstentions",
                repr(radii[:2]))
        _demand(_refused(partial(noise.radius, g, math.nan), "NaN"), noise, "refuses a bound that is NaN", name)
    _demand(_refused(lambda: noise.radius(_Strange(), 0.5), noise.functionals[0]) or _is_gaussian(noise), noise,
            "refuses a functional that does not fit and names those that do", "another answer")


def _check_law(noise: Additive, x: Tensor, rows: int) -> None:
    """Distribution of the noise in each coordinate, by a bound on the distance of the empirical one."""
    drawn = noise.noisy(x.expand(rows, *x.shape).float(), Source(21, 22, x.device)) - x.float()
    z = (drawn.flatten(1).double().cpu().numpy() / np.asarray(noise.spread)).T
    for place, values in (("all coordinates", z.ravel()), *((f"coordinate {k}", part) for k, part in enumerate(z))):
        n, ordered = values.size, np.sort(values)
        # On a grid all of a step counts, so that it is half a step further and at the last of equal values that the two
        # are compared.
        half = 0.0 if noise.grid is None else 0.5 * noise.grid / np.asarray(noise.spread)
        last = np.append(np.diff(ordered) > half, True)
        law = noise.cdf(ordered + half)
        over, under = np.arange(1, n + 1) / n - law, law - np.arange(n) / n
        apart = float(max(over[last].max(), under.max() if noise.grid is None else -over[last].min()))
        # Massart's constant; one statement for each coordinate, and one for all.
        allowed = math.sqrt(math.log(2.0 * (1 + len(z)) / ERROR) / (2.0 * n))
        _demand(apart <= allowed, noise, "draws its stated law",
                f"{place}: distribution functions are {apart:.3g} apart, chance allows {allowed:.3g}")
    grid = np.linspace(-30.0, 30.0, 601)
    law = noise.cdf(grid)
    _demand(bool((np.diff(law) >= 0.0).all()) and np.allclose(law + law[::-1], 1.0, atol=1e-15), noise,
            "has a symmetric law", "a distribution function that falls or is not symmetric")
    # Ranks have variance 1/12 and are bounded, so that Hoeffding's inequality bounds their products.
    ranks = noise.cdf(z) - 0.5
    pairs = [(ranks[0, :-1], ranks[0, 1:])] + ([(ranks[0], ranks[-1])] if len(z) > 1 else [])
    for one, other in pairs:
        allowed = 0.5 * math.sqrt(math.log(2.0 * len(pairs) / ERROR) / (2.0 * (rows // 2)))
        _demand(abs(float(np.mean(one * other))) <= allowed, noise, "draws coordinates and rows independently",
                f"a mean product of ranks of {np.mean(one * other):.3g}")


def _check_half_spaces(noise: Additive) -> None:
    """A half-space along an axis at distance t: p_A = G(t/s) and p_B = G(-t/s), and the class changes at t."""
    for share in _SHIFTS:
        shift = np.array(share)
        for name in noise.functionals:
            lower = float(as_functional(name).value(noise.cdf(shift), noise.cdf(-shift)))
            radius, least = noise.radius(name, lower), share * noise.measure
            _demand(radius <= least * (1.0 + 1e-9), noise, f"has no radius by {name!r} that is too large",
                    f"a half-space at distance {least:.6g} is certified to {radius:.6g}")
            _demand(name != noise.functionals[0] or radius >= least * (1.0 - 1e-6), noise,
                    f"reaches the half-space by {name!r}", f"{radius:.6g} of {least:.6g}")


def _check_coupling(noise: CoupledNoise) -> None:
    most = int(min(noise.largest, 20.0))
    differences = [noise.difference(r) for r in range(most + 1)]
    _demand(differences[0] == 0.0 and differences == sorted(differences) and differences[-1] <= 1.0, noise,
            "has D(r) that rises from 0 and is a probability", repr(differences))
    for level in _LEVELS:
        # Past the numbers that were looked at D(r) may still be small.
        expected = max(r for r in range(most + 1) if r == 0 or noise.survives(r, level))
        radius = noise.radius("margin", level)
        _demand(radius == expected or (radius > expected == most), noise, "has the largest radius that D(r) allows",
                f"{radius} at {level}, where {expected} holds")


def _check_told_apart(noise: CoupledNoise, x: Tensor, neighbour: Neighbour, rows: int) -> None:
    """Draws for two inputs, told apart by which was seen more often: the rule is made on one half, judged on another.
    """
    import torch

    for r in (r for r in _DISTANCES if r <= noise.largest):
        other = neighbour(x, r)
        drawn = [noise.noisy(point.expand(2 * rows, *point.shape), Source(31 + r, 41 + r, x.device)).flatten(1).cpu()
                 for point in (x, other)]
        width = max(part.shape[1] for part in drawn)
        filled = [torch.nn.functional.pad(part, (0, width - part.shape[1])) for part in drawn]
        _, outcome = torch.unique(torch.cat(filled), dim=0, return_inverse=True)
        mine, theirs = outcome[:2 * rows], outcome[2 * rows:]
        seen = [np.bincount(half[:rows].numpy(), minlength=int(outcome.max()) + 1) for half in (mine, theirs)]
        more = torch.from_numpy(seen[0] > seen[1])
        apart = float(more[mine[rows:]].double().mean() - more[theirs[rows:]].double().mean())
        # The difference of two means of `rows` indicators each, by Hoeffding's inequality.
        allowed = math.sqrt(math.log(len(_DISTANCES) / ERROR) / rows)
        _demand(apart <= noise.difference(r) + allowed, noise, f"keeps D({r})",
                f"draws are told apart by {apart:.4f}, and D({r}) = {noise.difference(r):.4f}; chance allows "
                f"{allowed:.4f} more")


class _Strange(Functional):
    """A functional that no noise knows."""

    name = "strange"

    @property
    def range(self) -> tuple[float, float]:
        """[-1, 1]."""
        return -1.0, 1.0

    def value(self, q1: npt.NDArray[np.float64], q2: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """q1 - q2."""
        return q1 - q2


def _is_gaussian(noise: Noise) -> bool:
    """Gaussian noise leaves it to a functional of one's own which radius it gives."""
    return (noise.noise if isinstance(noise, Transformed) else noise).name == "gaussian"


def _refused(call: Callable[[], object], word: str) -> bool:
    try:
        call()
    except InvalidInputError as error:
        return word in str(error)
    return False


def _demand(held: bool, noise: Noise, rule: str, found: str) -> None:
    if not held:
        raise AssertionError(f"{noise!r} breaks the rule that a noise {rule}: {found}.")
