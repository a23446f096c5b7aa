"""SmoothedClassifier: a torch model, its votes under Gaussian noise, and what they prove."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest
from torch import nn

from rsopt.bounding import lower_bound
from rsopt.errors import InvalidInputError
from rsopt.functional import Functional
from rsopt.smoothing.certified import CertifiedInput
from rsopt.smoothing.evaluation import Forward, input_dtype, model_device
from rsopt.smoothing.keys import Stream
from rsopt.smoothing.noise import noise_source
from rsopt.smoothing.progress import LongRun
from rsopt.smoothing.provenance import Provenance, record
from rsopt.smoothing.sampler import Sampler, ScoreBlock
from rsopt.smoothing.simplex import SimplexMap, simplex_map
from rsopt.solver import Solver
from rsopt.statistics import Statistic

__all__ = ["SmoothedClassifier"]


@dataclass(frozen=True, eq=False)
class SmoothedClassifier:
    """The classifier g(x) = argmax over c of P(model(x + noise) = c), noise ~ N(0, sigma² I).

    The model may be any `nn.Module` that maps a batch (rows, *shape) to scores (rows, num_classes), on any
    device; the vote of a row is its first largest score. For a run it is put in eval mode, every submodule
    gets its own mode back afterwards, and it is checked once per input shape that rows of a batch do not
    influence one another. Change the model's layers, and a new `SmoothedClassifier` is needed for the check
    to be made again.

    Noise is drawn and added in float32, whatever the precision of the model. The point that is certified is
    the input rounded to float32.

    Attributes:
        model: the base classifier.
        sigma: standard deviation of the noise, in the units of the input.
        num_classes: K >= 2, columns of the model's output.
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
    sigma: float
    num_classes: int
    chunk: int = 200
    batch: int = 800
    device: torch.device | str | None = None
    input_dtype: torch.dtype | None = None
    autocast: torch.dtype | None = None
    compile_backend: str | None = None
    progress: bool = True
    _checked: set[tuple[int, ...]] = field(default_factory=set, init=False, repr=False)
    _compiled: list[Callable[[torch.Tensor], object]] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        found: object = self.model
        if not isinstance(found, nn.Module):
            hint = " Give its module()." if isinstance(found, torch.export.ExportedProgram) else ""
            raise InvalidInputError(f"model must be a torch.nn.Module, got {type(found).__name__}.{hint}")
        if not (self.sigma > 0 and math.isfinite(self.sigma)):
            raise InvalidInputError(f"sigma must be positive and finite, got {self.sigma}.")
        for name, least in (("num_classes", 2), ("chunk", 1), ("batch", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InvalidInputError(f"{name} must be an integer of at least {least}, got {value!r}.")
        for name in ("input_dtype", "autocast"):
            dtype = getattr(self, name)
            if dtype is not None and not dtype.is_floating_point:
                raise InvalidInputError(f"{name} must be a floating-point dtype, got {dtype}.")

    def sampler(self, seed: int) -> Sampler:
        """Samples chunk by chunk, for runs that are stored, resumed or distributed; a context manager.

        Args:
            seed: any nonnegative integer.

        Raises:
            InvalidInputError: a negative seed, or a model that lies on several devices.
        """
        if operator.index(seed) < 0:
            raise InvalidInputError(f"seed must be a nonnegative integer, got {seed}.")
        device = model_device(self.model, self.device)
        dtype = self.input_dtype or input_dtype(self.model)
        provenance = record(seed=operator.index(seed), sigma=float(self.sigma), chunk=self.chunk,
                            num_classes=self.num_classes, noise=noise_source(device), device=device,
                            input_dtype=dtype, autocast=self.autocast, compile_backend=self.compile_backend)
        forward = Forward(self._called(), device, dtype, self.autocast, self.num_classes)
        return Sampler(self.model, forward, max(1, -(-self.batch // self.chunk)), provenance, self._checked)

    def provenance(self, seed: int) -> Provenance:
        """What the samples of a run with this seed depend on; errors as in `sampler`."""
        return self.sampler(seed).provenance

    def counts(self, x: torch.Tensor | ArrayLike, n: int, seed: int, *, index: int = 0,
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
        with self.sampler(seed) as sampler:
            return self._counts(sampler, x, n, index, stream)

    def predict(self, x: torch.Tensor | ArrayLike, n: int, seed: int, *, alpha: float = 1e-3,
                index: int = 0) -> int | None:
        """The smoothed class of x, or None to abstain; a wrong class has probability at most alpha.

        A two-sided binomial test of the winner against the runner-up on n selection samples (Cohen et al.
        2019, PREDICT and Proposition 1).

        Raises:
            InvalidInputError: alpha is not in (0, 1), or as in `counts`.
            ModelError: as in `counts`.
        """
        _check_alpha(alpha)
        counts = self.counts(x, n, seed, index=index, stream=Stream.SELECTION)
        winner = int(counts.argmax())
        first, second = int(counts[winner]), int(np.delete(counts, winner).max())
        return winner if binomtest(first, first + second, 0.5).pvalue <= alpha else None

    def certify(self, x: torch.Tensor | ArrayLike, *, n: int, alpha: float, seed: int,
                n0: int | None = None, label: int | None = None, functional: str | Functional = "probit",
                statistic: str | Statistic = "studentized", solver: str | Solver = "scipy",
                index: int = 0) -> CertifiedInput:
        """A class and a radius around x within which the smoothed classifier provably keeps it.

        The class must not be chosen on the samples that bound it, so exactly one of `n0` and `label` is
        given: with `n0` the class that wins n0 separate samples is certified (deployment), with `label` the
            known label
        (benchmarks; a bound that is not positive then means "not certified as this label").

        Args:
            x: the input, without a batch dimension.
            n: estimation samples.
            alpha: probability that the statement is false.
            seed: any nonnegative integer.
            n0: selection samples; excludes `label`.
            label: the class to certify; excludes `n0`.
            functional: what is bounded, a name or an instance; see `rsopt.lower_bound`.
            statistic: order of the evidence, likewise.
            solver: solver of the inner problem, likewise.
            index: number of the input; different numbers have different noise.

        Raises:
            InvalidInputError: both or neither of n0 and label, a label that is no class, or as in `counts`.
            ModelError: as in `counts`.
            RsoptError: as raised by `rsopt.lower_bound`.
        """
        _check_alpha(alpha)
        if label is not None and not 0 <= operator.index(label) < self.num_classes:
            raise InvalidInputError(f"label={label} is no class: there are {self.num_classes}, "
                                    "numbered from 0.")
        start = time.perf_counter()
        selection: NDArray[np.int64] | None = None
        with self.sampler(seed) as sampler:
            if label is not None and n0 is None:
                top = operator.index(label)
            elif n0 is not None and label is None:
                selection = self._counts(sampler, x, n0, index, Stream.SELECTION)
                top = int(selection.argmax())
            else:
                raise InvalidInputError(
                    "Give either n0 (the class is chosen on n0 separate samples) or label (the class is "
                    f"known), got n0={n0}, label={label}.")
            counts = self._counts(sampler, x, n, index, Stream.ESTIMATION)
        bound = lower_bound(counts.tolist(), top, functional=functional, statistic=statistic, alpha=alpha,
                            solver=solver)
        return CertifiedInput(
            index=index, predict=top, chosen="label" if selection is None else "selection",
            selection_counts=selection, counts=counts, alpha=alpha, bound=bound,
            radius=bound.radius(sigma=self.sigma), seconds=time.perf_counter() - start,
            provenance=sampler.provenance)

    def scores(self, x: torch.Tensor | ArrayLike, n: int, seed: int, *, simplex: str | SimplexMap = "softmax",
               index: int = 0, stream: Stream = Stream.ESTIMATION) -> Generator[ScoreBlock, None, None]:
        """Yields the score rows of n noisy copies of x, a chunk at a time, on the same noise as `counts`.

        Memory does not grow with n. The model stays in eval mode until the generator is exhausted or closed. Rows that
        are read twice go to a file: `write_score_file`.

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
        chosen = simplex_map(simplex)
        with self.sampler(seed) as sampler, LongRun(f"input {index}", n, self.progress) as bar:
            blocks = sampler.iter_scores(x, index, n, chosen, stream=stream)
            with closing(blocks):
                for block in blocks:
                    yield block
                    bar.advance(len(block.rows))

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
        with closing(chunks), LongRun(f"input {index}", n, self.progress) as bar:
            for done in chunks:
                total += done.counts
                bar.advance(done.rows)
        return total


def _check_alpha(alpha: float) -> None:
    if not 0.0 < alpha < 1.0:
        raise InvalidInputError(f"alpha must lie strictly between 0 and 1, got {alpha}.")
