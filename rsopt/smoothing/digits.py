"""The preset: scikit-learn's handwritten digits and a small convolutional network trained on them with noise."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from torch import nn

from rsopt.arguments import as_real, checked_instance, checked_whole
from rsopt.errors import InvalidInputError, MissingDependencyError, shown
from rsopt.files import replaced
from rsopt.noise import Noise, Source, as_noise
from rsopt.noise.additive import on_grid
from rsopt.noise.gaussian import plain_sigma
from rsopt.noise.noise import fields_of
from rsopt.smoothing.dataset import Dataset

__all__ = ["DigitsRecipe", "cache_folder", "digits_data", "digits_model", "digits_network"]

TEST_IMAGES = 500
STEP = 1 / 16
"""Step of the grid of the images, which have 17 grey levels."""


@dataclass(frozen=True)
class DigitsRecipe:
    """How the network is trained. Equal recipes give equal weights on one machine and version of torch.

    Attributes:
        sigma: standard deviation of the training noise, in the units of the images (0 to 1).
        epochs: passes over the training images.
        batch: images per step.
        peak_rate: largest learning rate of the one-cycle schedule (Adam).
        seed: of the initial weights, the order of the images and the noise.
        noise: other noise than Gaussian, to train under instead.

    Raises:
        InvalidInputError: a field that is none of these, or outside its range.
    """

    sigma: float = 0.25
    epochs: int = 30
    batch: int = 64
    peak_rate: float = 4e-3
    seed: int = 0
    noise: Noise | None = None

    @classmethod
    def under(cls, noise: Noise) -> DigitsRecipe:
        """The recipe for a network that is to be certified under this noise; training takes no grid."""
        noise = on_grid(noise, None)
        sigma = plain_sigma(noise)
        return cls(noise=noise) if sigma is None else cls(sigma=sigma)

    def __post_init__(self) -> None:
        sigma, rate = as_real(self.sigma), as_real(self.peak_rate)
        if sigma is None or not 0.0 <= sigma < math.inf:
            raise InvalidInputError(f"sigma must be finite and not negative, got {shown(self.sigma)}.")
        if rate is None or not 0.0 < rate < math.inf:
            raise InvalidInputError(f"peak_rate must be positive and finite, got {shown(self.peak_rate)}.")
        values = {"noise": None if self.noise is None else as_noise(self.noise),
                  "sigma": sigma, "peak_rate": rate, "epochs": checked_whole("epochs", self.epochs, 1),
                  "batch": checked_whole("batch", self.batch, 1), "seed": checked_whole("seed", self.seed, 0)}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def channels(self) -> int:
        """Channels of what the network sees: one more where the noise says what it hides."""
        shown = torch.zeros((1, 1, 8, 8))
        return 1 if self.noise is None else int(self.noise.noisy(shown, Source.of(0)).shape[1])

    @property
    def lasting(self) -> bool:
        """Whether the recipe says the same in another process: not where the noise holds functions, whose names do not
        tell what they do.
        """
        return self.noise is None or not any(isinstance(value, str) or callable(value) for value in (
            getattr(self.noise, field.name) for field in fields_of(self.noise)))

    def fingerprint(self) -> str:
        """Names the cached weights: recipe, architecture and version of torch, hashed."""
        channels = self.channels
        with torch.device("meta"):
            architecture = repr(digits_network(channels))
        text = f"{self!r} {architecture} {torch.__version__}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def digits_data(train: bool = False) -> Dataset:
    """The digits: images float32 (n, 1, 8, 8) in [0, 1], labels 0 to 9; a fixed split, 500 for the test, 1297 to train.

    Args:
        train: the training part instead of the test part.

    Raises:
        InvalidInputError: `train` is neither True nor False.
        MissingDependencyError: scikit-learn is not installed.
    """
    checked_instance(train, bool, "train")
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingDependencyError.of("The preset 'digits'", "scikit-learn", "digits") from error
    bunch = load_digits()
    # Neighbours in the file were written by one hand, so the split is drawn at random, once and for all.
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(bunch.target))
    part = order[TEST_IMAGES:] if train else order[:TEST_IMAGES]
    images = torch.from_numpy(bunch.images[part].astype(np.float32) * STEP)[:, None]
    return Dataset(images, torch.from_numpy(bunch.target[part].astype(np.int64)))


def digits_network(channels: int = 1) -> nn.Sequential:
    """The architecture, with random weights: two convolutions and two linear layers."""
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1, stride=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 10))


def digits_model(recipe: DigitsRecipe | None = None, *, folder: Path | None = None) -> nn.Sequential:
    """The trained network, in eval mode on the CPU: from the cache, or trained in a few seconds and cached.

    Under a noise with functions of one's own it is trained each time.

    Args:
        recipe: how it is trained; None for the default.
        folder: where weights are kept; None for `cache_folder()`. A folder that cannot be written costs the
            training each time, nothing else; a damaged file is trained anew.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    recipe = recipe or DigitsRecipe()
    path = (folder or cache_folder()) / f"digits-{recipe.fingerprint()}.pt" if recipe.lasting else None
    # The caller's random state stays as it was, and inference mode would make tensors that cannot be trained.
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = digits_network(recipe.channels)
        if path is None:
            _train(network, recipe)
            return network.eval()
        try:
            network.load_state_dict(torch.load(path, weights_only=True))
        except (OSError, RuntimeError, UnpicklingError, EOFError, TypeError):
            _train(network, recipe)
            with contextlib.suppress(OSError):
                _save(network, path)
    return network.eval()


def cache_folder() -> Path:
    """Where weights are cached: $RSOPT_CACHE, or the folder `rsopt` in the user's cache folder."""
    if own := os.environ.get("RSOPT_CACHE"):
        return Path(own)
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "rsopt"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "rsopt"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "rsopt"


def _save(network: nn.Module, path: Path) -> None:
    with replaced(path, "The trained network") as partial:
        torch.save(network.state_dict(), partial)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    # Sums split over another number of threads round differently, and training would magnify it.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _train(network: nn.Sequential, recipe: DigitsRecipe) -> None:
    data = digits_data(train=True)
    source = torch.Generator().manual_seed(recipe.seed)
    with _one_thread():
        steps = len(data.labels) // recipe.batch
        optimizer = torch.optim.Adam(network.parameters(), lr=recipe.peak_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.peak_rate, total_steps=recipe.epochs * steps)
        network.train()
        draws = 0
        for _ in range(recipe.epochs):
            order = torch.randperm(len(data.labels), generator=source)
            for step in range(steps):
                part = order[step * recipe.batch:(step + 1) * recipe.batch]
                clean = data.images[part]
                noisy = (clean + recipe.sigma * torch.randn(clean.shape, generator=source) if recipe.noise is None else
                         recipe.noise.noisy(clean, Source.of(recipe.seed << 32 | draws)))
                draws += 1
                optimizer.zero_grad()
                torch.autograd.backward(nn.functional.cross_entropy(network(noisy), data.labels[part]))
                optimizer.step()
                schedule.step()
