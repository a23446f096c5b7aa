"""The smoothed classifiers of the Adversarial Robustness Toolbox, with radii that are proven."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsopt.arguments import Real, Whole
from rsopt.compat.smooth import Smooth
from rsopt.errors import MissingDependencyError
from rsopt.smoothing.adapters import ArtModel

try:
    from art.estimators.certification import randomized_smoothing as toolbox
except ImportError as error:
    raise MissingDependencyError.of("rsopt.compat's smoothing of the Adversarial Robustness Toolbox",
                                    "adversarial-robustness-toolbox", "adapters") from error

__all__ = ["NumpyRandomizedSmoothing", "PyTorchRandomizedSmoothing"]


class _Base:
    """The classifier below a smoothing of the toolbox, as `ArtModel` takes one: `predict` without noise."""

    def __init__(self, smoothing: Any) -> None:
        self._smoothing = smoothing

    def predict(self, x: NDArray[np.float32], batch_size: int) -> Any:
        return self._smoothing._predict_classifier(x, batch_size, False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._smoothing, name)


class _Proven:
    """`certify` of the toolbox's smoothings with the radius of `rsopt`."""

    scale: Real
    alpha: Real
    sample_size: Whole
    nb_classes: int

    def certify(self, x: NDArray[Any], n: Whole, batch_size: Whole = 32
                ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Classes, each chosen on `sample_size` samples, and l2 radii within which they provably stay.

        Args:
            x: inputs (rows, *shape), in the range and the layout of the classifier.
            n: samples that bound each radius.
            batch_size: rows of a forward pass.

        Returns:
            (classes, radii); class -1 and radius 0 where nothing is certified.

        Raises:
            InvalidInputError, ModelError, RsoptError: as in `rsopt.smoothing.SmoothedClassifier.certify`.
        """
        smooth = self._smooth()
        found = [smooth.certify(point, self.sample_size, n, self.alpha, batch_size) for point in np.asarray(x)]
        return (np.array([top for top, _ in found], dtype=np.int64),
                np.array([radius for _, radius in found], dtype=np.float64))

    def _smooth(self) -> Smooth:
        """Made once for each scale: the toolbox lets it be changed."""
        kept: tuple[Real, Smooth] | None = getattr(self, "_kept", None)
        if kept is None or kept[0] != self.scale:
            # The toolbox draws its noise from NumPy, and its scripts seed that.
            seed = int(np.random.randint(2**62))  # noqa: NPY002
            kept = self.scale, Smooth(ArtModel(_Base(self), identity=""), self.nb_classes, self.scale, seed)
            self._kept = kept
        return kept[1]


# The toolbox has no types: its classes are Any to a checker, which no class can be made from unseen.


class PyTorchRandomizedSmoothing(_Proven, toolbox.PyTorchRandomizedSmoothing):  # type: ignore[misc]
    """The toolbox's class of this name, with `certify` by rsopt; everything else is the toolbox's own.

    Arguments as there: ``sample_size`` samples choose the class, ``scale`` is sigma, ``alpha`` the probability that a
    radius is false. ``np.random.seed`` repeats a script.
    """


class NumpyRandomizedSmoothing(_Proven, toolbox.NumpyRandomizedSmoothing):  # type: ignore[misc]
    """The toolbox's class of this name, around any of its classifiers, with `certify` by rsopt."""
