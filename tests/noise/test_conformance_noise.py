"""Every noise passes the conformance check, a stranger's too, and the check finds what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import own_noise
import pytest
import torch
from torch import Tensor

import rsopt
from rsopt.errors import InvalidInputError
from rsopt.noise import (
    Ablation,
    Coupled,
    Deletion,
    Flips,
    Gaussian,
    Laplace,
    Logistic,
    Noise,
    Transformed,
    Uniform,
    get_noise,
    noise_from_dict,
    noise_names,
)
from rsopt.plugins import plugins
from rsopt.testing import check_noise

IMAGE = torch.rand((1, 3, 3), generator=torch.Generator().manual_seed(1))
TOKENS = torch.tensor([3, 1, 2, 2, 1, 3])


def replaced(x: Tensor, r: int) -> Tensor:
    """r positions have another value."""
    other = x.clone()
    other.view(-1)[:r] += 1
    return other


def flipped(x: Tensor, r: int) -> Tensor:
    """r bits have the other value."""
    other = x.clone()
    other[:r] = 1 - other[:r]
    return other


def edited(x: Tensor, r: int) -> Tensor:
    """One token less, one more at the end, and the others of r replaced."""
    tokens = x.tolist()[1:]
    tokens += [1] if r > 1 else []
    tokens[:max(r - 2, 0)] = [4] * max(r - 2, 0)
    return torch.tensor(tokens)


@pytest.mark.parametrize("noise", [
    Gaussian(0.25), Laplace(0.5), Logistic(0.3), Uniform(2.0), Gaussian(np.linspace(0.1, 0.9, 9)),
    Laplace(np.linspace(0.1, 0.9, 9)), Logistic([0.5] * 9), Uniform(np.full((1, 3, 3), 0.5)),
    Transformed(Gaussian(0.3), own_noise.brighter, 1), Transformed(Laplace(2.0), own_noise.rolled, 1, step=1.0)])
def test_our_noises_on_an_image(noise: Noise) -> None:
    check_noise(noise, IMAGE)


@pytest.mark.parametrize(("noise", "x"), [
    (Ablation(2), IMAGE), (Ablation(4, null=-1), IMAGE), (Ablation(2, null=-1), torch.arange(6)),
    (own_noise.one_of(6, 5), torch.arange(6))])
def test_our_noises_on_positions(noise: Noise, x: Tensor) -> None:
    check_noise(noise, x, neighbour=replaced)


@pytest.mark.parametrize("noise", [Flips(0.1, 0.4), Flips(0.5, 0.5), Flips(0.0, 0.7)])
def test_our_noises_on_bits(noise: Noise) -> None:
    check_noise(noise, torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0, 0.0]), neighbour=flipped)


@pytest.mark.parametrize("probability", [0.3, 0.5, 0.9])
def test_our_noises_on_sequences(probability: float) -> None:
    check_noise(Deletion(probability), TOKENS, neighbour=edited)


@pytest.mark.parametrize(("noise", "x", "text"), [
    (own_noise.Narrow(0.5), IMAGE, "draws its stated law: all coordinates: distribution functions are 0.02"),
    (own_noise.Restless(0.5), IMAGE, "a global generator moved"),
    (own_noise.Repeating(0.5), IMAGE, "draws each row anew"),
    (own_noise.Wide(0.5), IMAGE, "no radius by 'margin' that is too large: a half-space at distance"),
    (Coupled(own_noise.shown, (0.1, 0.2, 0.3), symbols=True), torch.arange(6), "keeps D(1): draws are told apart by"),
    (Transformed(Gaussian(0.3), own_noise.brighter_and_clipped, 1), IMAGE, "breaks the law phi(phi(x, a), b)"),
    (Transformed(Gaussian(2.0), own_noise.rolled, 1), IMAGE, "breaks the law phi(phi(x, a), b)"),
    (Ablation(10), IMAGE, "keep=10 positions of 9 cannot be shown")])
def test_what_is_wrong_is_found(noise: Noise, x: Tensor, text: str) -> None:
    with pytest.raises(AssertionError) as error:
        check_noise(noise, x, neighbour=replaced)
    assert text in str(error.value)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A distribution that registers `own_noise.Triangular`, and some that are broken, by entry points."""
    folder = tmp_path / "triangular-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: triangular\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[rsopt.noise]\ntriangular = own_noise:Triangular\nbroken = no_such_module:Noise\nplain = own_noise:Plain\n"
        "other = own_noise:Triangular\nlaplace = own_noise:Narrow\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.cache_clear()
    yield "triangular"
    monkeypatch.undo()
    plugins.cache_clear()


def test_a_third_party_noise_registers_and_conforms(installed: str) -> None:
    assert installed in noise_names()
    noise = get_noise(installed, width=0.5)
    assert noise == own_noise.Triangular(0.5)
    check_noise(noise, IMAGE)
    assert noise_from_dict({"name": "triangular", "width": 0.5}) == noise
    bound = rsopt.lower_bound([900, 60, 40], top=0, functional="margin")
    assert bound.radius(noise) == noise.radius("margin", bound.lower) > 0.0


def test_a_broken_noise_hurts_only_itself(installed: str) -> None:
    assert get_noise("laplace", scale=0.5) == Laplace(0.5)
    for name, text in (("broken", "is registered as 'no_such_module:Noise' and cannot be loaded: ModuleNotFound"),
                       ("plain", "which is no noise: a noise is a frozen dataclass"),
                       ("other", "Triangular is registered as 'other' and calls itself 'triangular'")):
        with pytest.raises(InvalidInputError) as error:
            get_noise(name)
        assert text in str(error.value)
