"""SmoothedClassifier: a torch model, its votes under noise, and what they prove."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest
from torch import nn

from rsopt.arguments import Real, Whole, as_whole, checked_whole
from rsopt.bounding import lower_bound
from rsopt.counts import checked_alpha
from rsopt.errors import InvalidInputError, shown
from rsopt.functionals import FunctionalLike
from rsopt.noise import Noise, as_noise
from rsopt.noise.gaussian import the_sigma
from rsopt.question import Question, checked_draws, left_of_alpha
from rsopt.smoothing.adapters.recognised import as_module
from rsopt.smoothing.certified import CertifiedInput
from rsopt.smoothing.datasets import as_dataset
from rsopt.smoothing.evaluation import Forward, input_dtype, model_device
from rsopt.smoothing.keys import Stream
from rsopt.smoothing.noise import noise_source
from rsopt.smoothing.progress import progress_bar
from rsopt.smoothing.provenance import Provenance, record
from rsopt.smoothing.sampler import Sampler, ScoreBlock
from rsopt.smoothing.simplex import SimplexMap, simplex_map
from rsopt.solver import SolverLike
from rsopt.statistics import StatisticLike

__all__ = ["BATCH", "CHUNK", "SmoothedClassifier"]

CHUNK = 200
"""Rows of one forward pass where nothing else is said, from Python and on the command line: one seed, one sample."""
BATCH = 4 * CHUNK
"""Samples in flight where nothing else is said."""


@dataclass(frozen=True, eq=False, init=False)
class SmoothedClassifier:
    """The classifier g(x) = argmax over c of P(model(x under noise) = c), by default Gaussian: x + N(0, sigma² I).

    The model may be any `nn.Module` that maps a batch (rows, *shape) to scores (rows, num_classes), on any
    device; the vote of a row is its first largest score. For a run it is put in eval mode, every submodule
    gets its own mode back afterwards, and it is checked once per input shape that rows of a batch do not
    influence one another. Change the model's layers, and a new `SmoothedClassifier` is needed for the check
    to be made again.

    Noise is drawn and added in float32, whatever the precision of the model, or on a grid from whole numbers. The point
    that is certified is the input rounded to float32, or its multiple of the grid's step; where the noise takes whole
    numbers for names, such as tokens, they stay whole.

    Attributes:
        model: the base classifier; a classifier of the Adversarial Robustness Toolbox is wrapped by
            `rsopt.smoothing.adapters.ArtModel`.
        noise: a `rsopt.noise.Noise`; a number is the standard deviation of Gaussian noise, in the units of the input.
            ``sigma=`` is another spelling of that.
        num_classes: K >= 2, columns of the model's output; where it is not given, what the model calls so, as adapters
            do.
        chunk: rows of every forward pass. Samples depend on it.
        batch: samples in flight, rounded up to whole chunks. Costs memory; samples do not depend on it.
        device: only for a model without parameters; any other is called where it lies.
        input_dtype: dtype the noisy input is cast to; None: that of the model's parameters.
        autocast: dtype of torch.autocast (torch.bfloat16, torch.float16), or None.
        compile_backend: backend of torch.compile ("inductor", …), or None for the plain model.
        progress: whether long runs on a terminal show a bar.

    Raises:
        InvalidInputError: a field outside its range, or a model that lies on several devices.
    """

    model: nn.Module
    noise: Noise
    num_classes: int
    chunk: int
    batch: int
    device: torch.device | str | None
    input_dtype: torch.dtype | None
    autocast: torch.dtype | None
    compile_backend: str | None
    progress: bool
    _checked: set[tuple[int, ...]] = field(repr=False)
    _compiled: list[Callable[[torch.Tensor], object]] = field(repr=False)

    def __init__(self, model: nn.Module | Any, noise: Noise | Real | None = None, num_classes: Whole | None = None,
                 chunk: Whole = CHUNK, batch: Whole = BATCH, device: torch.device | str | None = None,
                 input_dtype: torch.dtype | None = None, autocast: torch.dtype | None = None,
                 compile_backend: str | None = None, progress: bool = True, *, sigma: Real | None = None) -> None:
        model = as_module(model)
        if num_classes is None:
            num_classes = as_whole(getattr(model, "num_classes", None))
        for name, dtype in (("input_dtype", input_dtype), ("autocast", autocast)):
            if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
                raise InvalidInputError(f"{name} must be a floating-point dtype, got {shown(dtype)}.")
        values = {"model": model, "noise": as_noise(noise, sigma),
                  "num_classes": checked_whole("num_classes", num_classes, 2),
                  "chunk": checked_whole("chunk", chunk, 1), "batch": checked_whole("batch", batch, 1),
                  "device": device, "input_dtype": input_dtype, "autocast": autocast,
                  "compile_backend": compile_backend, "progress": progress, "_checked": set(), "_compiled": []}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def sigma(self) -> float:
        """Standard deviation of Gaussian noise, in the units of the input.

        Raises:
            InvalidInputError: the noise is another one.
        """
        return the_sigma(self.noise)

    def under(self, noise: Noise) -> SmoothedClassifier:
        """The same model under another noise; itself under its own."""
        law = as_noise(noise)
        return self if law == self.noise else self._but(law, self.device)

    def on(self, device: torch.device | str) -> SmoothedClassifier:
        """The same classifier, its model called on another device if the model itself lies nowhere."""
        return self._but(self.noise, None if self.device is None else device)

    def _but(self, noise: Noise, device: torch.device | str | None) -> SmoothedClassifier:
        return SmoothedClassifier(self.model, noise, self.num_classes, self.chunk, self.batch, device, self.input_dtype,
                                  self.autocast, self.compile_backend, self.progress)

    def sampler(self, seed: Whole) -> Sampler:
        """Samples chunk by chunk, for runs that are stored, resumed or distributed; a context manager.

        Args:
            seed: any nonnegative integer.

        Raises:
            InvalidInputError: a negative seed, or a model that lies on several devices.
        """
        seed = checked_whole("seed", seed, 0)
        device = model_device(self.model, self.device)
        dtype = self.input_dtype or input_dtype(self.model)
        provenance = record(seed=seed, law=self.noise, chunk=self.chunk,
                            num_classes=self.num_classes, noise=noise_source(device, self.noise), device=device,
                            input_dtype=dtype, autocast=self.autocast, compile_backend=self.compile_backend)
        forward = Forward(self._called(), device, dtype, self.autocast, self.num_classes)
        return Sampler(self.model, self.noise, forward, max(1, -(-self.batch // self.chunk)), provenance, self._checked)

    def provenance(self, seed: Whole) -> Provenance:
        """What the samples of a run with this seed depend on; errors as in `sampler`."""
        return self.sampler(seed).provenance

    def counts(self, x: torch.Tensor | ArrayLike, n: Whole, seed: Whole, *, index: Whole = 0,
               stream: Stream = Stream.ESTIMATION) -> NDArray[np.int64]:
        """Votes of n noisy copies of x, int64 (K,).

        Bit-identical whatever `batch` is, in whatever order inputs come and wherever an earlier run
        stopped, under equal `provenance`. Nothing of size n is kept.

        Args:
            x: the input, without a batch dimension.
            n: samples, at least 1.
            seed: any nonnegative integer.
            index: number of the input; different numbers have different noise.
            stream: what the samples are for; different streams have different noise.

        Raises:
            InvalidInputError: x is not finite, or an argument outside its range.
            ModelError: the model returned NaN or a wrong shape, or mixes the rows of a batch.
        """
        samples, number = checked_draws("n", n), checked_whole("index", index, 0)
        with self.sampler(seed) as sampler:
            return self._counts(sampler, x, samples, number, stream)

    def predict(self, x: torch.Tensor | ArrayLike, n: Whole, seed: Whole, *, alpha: Real = 1e-3,
                index: Whole = 0) -> int | None:
        """The smoothed class of x, or None to abstain; a wrong class has probability at most alpha.

        A two-sided binomial test of the winner against the runner-up on n selection samples (Cohen et al.
        2019, PREDICT and Proposition 1).

        Raises:
            InvalidInputError: alpha is not in (0, 1/2), or as in `counts`.
            ModelError: as in `counts`.
        """
        shape, samples = _shape(x), checked_draws("n", n)
        alpha = left_of_alpha(self.noise.fitted(shape), checked_alpha(alpha), samples, math.prod(shape))
        counts = self.counts(x, samples, seed, index=index, stream=Stream.SELECTION)
        winner = int(counts.argmax())
        first, second = int(counts[winner]), int(np.delete(counts, winner).max())
        return winner if binomtest(first, first + second, 0.5).pvalue <= alpha else None

    def certify(self, x: torch.Tensor | ArrayLike, *, n: Whole, alpha: Real, seed: Whole,
                n0: Whole | None = None, label: Whole | None = None, functional: FunctionalLike | None = None,
                statistic: StatisticLike = "studentized", solver: SolverLike = "scipy",
                index: Whole = 0) -> CertifiedInput:
        """A class and a radius around x within which the smoothed classifier provably keeps it.

            smoothed = SmoothedClassifier(model, sigma=0.25, num_classes=10)
            found = smoothed.certify(image, n0=100, n=10_000, alpha=0.001, seed=0)
            print(found.predict, found.radius)

        The class must not be chosen on the samples that bound it, so exactly one of `n0` and `label` is given: with
        `n0` the class that wins n0 separate samples is certified (deployment), with `label` the known label
        (benchmarks; a bound that is not positive then means "not certified as this label"). Whatever can be refused is
        refused before the first sample is drawn. `rsopt certify` draws the same samples for the same seed.

        Args:
            x: the input, without a batch dimension; the point that is certified is x rounded to float32.
            n: estimation samples.
            alpha: probability that the statement is false; the bound is made at what the noise leaves of it.
            seed: any nonnegative integer.
            n0: selection samples; excludes `label`.
            label: the class to certify; excludes `n0`.
            functional: what is bounded, a name or an instance; by default what the noise needs, see `rsopt.Question`.
            statistic: order of the evidence, likewise.
            solver: solver of the inner problem, likewise.
            index: number of the input; different numbers have different noise.

        Raises:
            InvalidInputError: both or neither of n0 and label, a label that is no class, a value outside its range, an
                alpha that the statistic does not support, a functional without a radius, or an x that is not finite.
            UnknownNameError: an unknown functional, statistic or solver.
            MissingDependencyError: the solver's package is not installed.
            ModelError: the model returned NaN or a wrong shape, or mixes the rows of a batch.
            RsoptError: as raised by `rsopt.lower_bound`.
        """
        shape = _shape(x)
        noise, dimension = self.noise.fitted(shape), math.prod(shape)
        question = Question(noise, functional, statistic=statistic, alpha=alpha, solver=solver)
        samples = question.checked_samples(n)
        if (n0 is None) == (label is None):
            raise InvalidInputError("Give either n0 (the class is chosen on n0 separate samples) or label (the class "
                                    f"is known), got n0={n0}, label={label}.")
        top = None if label is None else self._class(label)
        selecting, number = None if n0 is None else checked_draws("n0", n0), checked_whole("index", index, 0)
        left = question.left_of(question.alpha, samples, dimension)
        start = time.perf_counter()
        with self.sampler(seed) as sampler:
            selection = None if selecting is None else self._counts(sampler, x, selecting, number, Stream.SELECTION)
            counts = self._counts(sampler, x, samples, number, Stream.ESTIMATION)
        certified = top if selection is None else int(selection.argmax())
        bound = lower_bound(counts.tolist(), certified, functional=question.functional, statistic=question.statistic,
                            alpha=left, solver=question.solver)
        return CertifiedInput(number, bound, noise, question.radius(bound.lower), selection,
                              time.perf_counter() - start, sampler.provenance, question.alpha,
                              noise.total_variation(samples, dimension))

    def certify_each(self, data: object, *, n: Whole, alpha: Real, seed: Whole, n0: Whole | None = None,
                     functional: FunctionalLike | None = None, statistic: StatisticLike = "studentized",
                     solver: SolverLike = "scipy") -> Generator[CertifiedInput, None, None]:
        """Certifies the inputs of a data set one after the other; each is read when its turn comes, and none is kept.

            for found in smoothed.certify_each(loader, n0=100, n=10_000, alpha=0.001, seed=0):
                print(found.index, found.predict, found.radius)

        Each statement holds with probability 1 - alpha by itself. `rsopt certify` does the same, keeps everything and
        goes on where it was interrupted.

        Args:
            data: whatever `rsopt.smoothing.as_dataset` takes: a data set or DataLoader of torch, a list of pairs,
                arrays, a folder of images, an ``.npz`` or ``.pt`` file.
            n, alpha, seed, functional, statistic, solver: as in `certify`.
            n0: selection samples; None to certify every input as its label.

        Raises:
            InvalidInputError: data of another kind, an input without a label where n0 is None, or as in `certify`.
            RsoptError: as in `certify`.
        """
        source = as_dataset(data)
        for idx in range(len(source.images)):
            label = None if n0 is not None else source.labels[idx]
            if n0 is None and label is None:
                raise InvalidInputError(f"Input {idx} has no label. Give n0, and the class is chosen on n0 separate "
                                        "samples.")
            yield self.certify(source.images[idx], n=n, alpha=alpha, seed=seed, n0=n0,
                               label=None if label is None else int(label), functional=functional, statistic=statistic,
                               solver=solver, index=idx)

    def scores(self, x: torch.Tensor | ArrayLike, n: Whole, seed: Whole, *, simplex: str | SimplexMap = "softmax",
               index: Whole = 0, stream: Stream = Stream.ESTIMATION) -> Generator[ScoreBlock, None, None]:
        """Yields the score rows of n noisy copies of x, a chunk at a time, on the same noise as `counts`.

        Memory does not grow with n. The model stays in eval mode until the generator is exhausted or closed. Rows that
        are read twice may go to a memory-mapped file (``numpy.lib.format.open_memmap``), which every bound takes.

        Args:
            x: the input, without a batch dimension.
            n: samples, at least 1.
            seed: any nonnegative integer.
            simplex: map from scores into the simplex, a name or an instance (`Softmax(temperature)`).
            index: number of the input.
            stream: what the samples are for.

        Raises:
            UnknownNameError: nobody registered the simplex map.
            InvalidInputError: x is not finite, or an argument outside its range.
            ModelError: the model returned NaN, a wrong shape or rows off the simplex, or mixes the rows of a batch.
        """
        chosen, samples, number = simplex_map(simplex), checked_draws("n", n), checked_whole("index", index, 0)
        with self.sampler(seed) as sampler, progress_bar(f"input {number}", samples, self.progress) as advance:
            blocks = sampler.iter_scores(x, number, samples, chosen, stream=stream)
            with closing(blocks):
                for block in blocks:
                    yield block
                    advance(len(block.rows))

    def _called(self) -> Callable[[torch.Tensor], object]:
        if self.compile_backend is None:
            return self.model
        if not self._compiled:
            self._compiled.append(torch.compile(self.model, backend=self.compile_backend, dynamic=False))
        return self._compiled[0]

    def _counts(self, sampler: Sampler, x: torch.Tensor | ArrayLike, n: int, index: int,
                stream: Stream) -> NDArray[np.int64]:
        total = np.zeros(self.num_classes, dtype=np.int64)
        chunks = sampler.iter_counts(x, index, n, stream=stream)
        with closing(chunks), progress_bar(f"input {index}", n, self.progress) as advance:
            for done in chunks:
                total += done.counts
                advance(done.rows)
        return total

    def _class(self, label: Whole) -> int:
        top = checked_whole("label", label)
        if not 0 <= top < self.num_classes:
            raise InvalidInputError(f"label={top} is no class: there are {self.num_classes}, numbered from 0.")
        return top


def _shape(x: torch.Tensor | ArrayLike) -> tuple[int, ...]:
    try:
        return tuple(np.shape(x))
    except ValueError as error:
        raise InvalidInputError(f"The input is no array of numbers of one shape: {error}") from error
