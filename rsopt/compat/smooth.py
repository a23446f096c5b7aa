"""The interface of Cohen et al.'s scripts: ``Smooth(base_classifier, num_classes, sigma)``."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar

import torch
from numpy.typing import ArrayLike
from torch import nn

from rsopt.arguments import Real, Whole, checked_whole
from rsopt.question import checked_draws
from rsopt.smoothing.classifier import SmoothedClassifier

__all__ = ["Smooth"]


@dataclass(frozen=True, eq=False)
class Smooth:
    """A smoothed classifier with the interface of the code of Cohen et al. (2019), and the radius of `rsopt`.

    Every call draws noise of its own. The seed is taken from torch's generator when the object is made, so that
    ``torch.manual_seed`` repeats a script. Everything else is `rsopt.smoothing.SmoothedClassifier`, which sampling,
    checks of the model and proofs come from; use it where proofs, transcripts or runs that go on are wanted.

    Attributes:
        base_classifier: any `nn.Module` from a batch (rows, *shape) to class scores (rows, num_classes). It is called
            in eval mode, on the device where it lies.
        num_classes: K >= 2.
        sigma: standard deviation of the Gaussian noise, in the units of the input.
        seed: of the noise, any nonnegative integer; drawn where it is not given.

    Raises:
        InvalidInputError: a value outside its range, or no module.
    """

    ABSTAIN: ClassVar[int] = -1
    """The class of an abstention."""

    base_classifier: nn.Module
    num_classes: Whole
    sigma: Real
    seed: Whole | None = None
    _calls: count[int] = field(default_factory=count, init=False, repr=False)
    _by_chunk: dict[int, SmoothedClassifier] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.seed is None:
            object.__setattr__(self, "seed", int(torch.randint(2**62, ())))
        # Refused here, not at the first input of a long loop.
        self._sampled_in(1, 1).provenance(self._seed)

    def certify(self, x: torch.Tensor | ArrayLike, n0: Whole, n: Whole, alpha: Real, batch_size: Whole
                ) -> tuple[int, float]:
        """The class that wins n0 samples, and an l2 radius within which the smoothed classifier provably keeps it.

        Args:
            x: the input, without a batch dimension.
            n0: samples that choose the class.
            n: samples of their own that bound its radius.
            alpha: probability that the radius is false.
            batch_size: rows of a forward pass.

        Returns:
            (class, radius); (ABSTAIN, 0.0) where nothing is certified.

        Raises:
            InvalidInputError, ModelError, RsoptError: as in `SmoothedClassifier.certify`.
        """
        chosen, bounded = checked_draws("n0", n0), checked_draws("n", n)
        found = self._sampled_in(batch_size, max(chosen, bounded)).certify(
            x, n=bounded, n0=chosen, alpha=alpha, seed=self._seed, index=next(self._calls))
        return (self.ABSTAIN, 0.0) if found.abstain else (found.predict, found.radius)

    def predict(self, x: torch.Tensor | ArrayLike, n: Whole, alpha: Real, batch_size: Whole) -> int:
        """The smoothed class of x, or ABSTAIN; a wrong class has probability at most alpha.

        Args:
            x: the input, without a batch dimension.
            n: samples.
            alpha: probability of a wrong class.
            batch_size: rows of a forward pass.

        Raises:
            InvalidInputError, ModelError: as in `SmoothedClassifier.predict`.
        """
        samples = checked_draws("n", n)
        found = self._sampled_in(batch_size, samples).predict(x, samples, self._seed, alpha=alpha,
                                                              index=next(self._calls))
        return self.ABSTAIN if found is None else found

    @property
    def _seed(self) -> Whole:
        assert self.seed is not None, "it was drawn when the object was made"
        return self.seed

    def _sampled_in(self, batch_size: Whole, samples: int) -> SmoothedClassifier:
        """The classifier that samples in such batches: one for each size, since the model is checked in each."""
        chunk = min(checked_whole("batch_size", batch_size, 1), samples)
        if chunk not in self._by_chunk:
            self._by_chunk[chunk] = SmoothedClassifier(self.base_classifier, self.sigma, self.num_classes, chunk=chunk,
                                                       batch=chunk)
        return self._by_chunk[chunk]
