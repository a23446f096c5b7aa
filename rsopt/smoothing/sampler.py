"""Samples of a smoothed classifier, chunk by chunk: every chunk is reproducible alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from rsopt.errors import InvalidInputError, ModelError
from rsopt.smoothing.evaluation import checked_scores, eval_mode, forward_mode, unusable_rows, unusable_text
from rsopt.smoothing.independence import check_rows_independent, rounding_allowance
from rsopt.smoothing.keys import Stream
from rsopt.smoothing.noise import NoisyCopies
from rsopt.smoothing.provenance import Provenance
from rsopt.smoothing.simplex import SimplexMap

__all__ = ["ChunkCounts", "Sampler", "ScoreBlock"]

SIMPLEX_TOLERANCE = 1e-3
"""How far a row of scores may leave the simplex before the run stops."""


@dataclass(frozen=True, eq=False)
class ChunkCounts:
    """The votes of one chunk.

    Attributes:
        chunk: number of the chunk.
        rows: samples counted; the chunk size, except in a last, partial chunk.
        counts: votes per class, int64 (K,); they sum to rows.
    """

    chunk: int
    rows: int
    counts: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ScoreBlock:
    """The score rows of one chunk.

    Attributes:
        chunk: number of the chunk.
        rows: points of the simplex, float32 (rows, K): entries in [0, 1], sums 1 up to float32 rounding.
            Add them up in float64.
    """

    chunk: int
    rows: NDArray[np.float32]


@dataclass(eq=False)
class Sampler:
    """Draws samples of one model. Use it as a context manager: inside, the model is in eval mode.

    Made by `SmoothedClassifier.sampler`, which says what the fields mean. The forward batch is always one
    whole chunk, a last partial chunk included, because scores differ in their last digits with the batch
    size. So a chunk's samples depend on the `provenance`, the input, its index, the stream and the chunk's
    number, and on nothing else: not on what is in flight beside it, on the order of the inputs, or on the
    machine that draws it.
    """

    model: nn.Module
    forward: Callable[[torch.Tensor], object]
    device: torch.device
    dtype: torch.dtype
    autocast: torch.dtype | None
    in_flight: int
    provenance: Provenance
    checked: set[tuple[int, ...]]

    def __post_init__(self) -> None:
        self._stack = ExitStack()
        self._open = False

    def __enter__(self) -> Sampler:
        self._stack.enter_context(eval_mode(self.model))
        self._open = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._open = False
        self._stack.close()

    def chunks_of(self, n: int) -> int:
        """How many chunks n samples take."""
        return -(-n // self.provenance.chunk)

    def chunk_counts(self, x: torch.Tensor | ArrayLike, index: int, chunk: int, *,
                     stream: Stream = Stream.ESTIMATION, rows: int | None = None) -> NDArray[np.int64]:
        """Votes of a single chunk, int64 (K,): the unit of work of distributed runs.

        Args:
            x: the input, without a batch dimension; rounded to float32, which is the point that is certified.
            index: number of the input.
            chunk: number of the chunk.
            stream: what the samples are for.
            rows: count only the first `rows` samples of the chunk; None for all.

        Raises:
            InvalidInputError: x is not finite, or an argument outside its range.
            ModelError: the model returned NaN or a wrong shape, or mixes the rows of a batch.
        """
        size = self.provenance.chunk
        rows = size if rows is None else rows
        if not 1 <= rows <= size:
            raise InvalidInputError(f"rows must lie in [1, {size}], got {rows}.")
        (done,) = self.iter_counts(x, index, chunk * size + rows, stream=stream, first_chunk=chunk)
        return done.counts

    def iter_counts(self, x: torch.Tensor | ArrayLike, index: int, n: int, *,
                    stream: Stream = Stream.ESTIMATION,
                    first_chunk: int = 0) -> Generator[ChunkCounts, None, None]:
        """Yields the chunks of samples 0 … n - 1 in order, each as soon as it is surely finished.

        A run that was interrupted goes on with `first_chunk`; the sum over all chunks is the same.

        Args:
            x: the input, without a batch dimension.
            index: number of the input.
            n: samples in all, those of the chunks before `first_chunk` included.
            stream: what the samples are for.
            first_chunk: chunks before this one are left out.

        Raises:
            InvalidInputError: x is not finite, or an argument outside its range.
            ModelError: the model returned NaN or a wrong shape, or mixes the rows of a batch.
        """
        noise = self._noise(self.prepared(x, index), index, stream)
        for window in self._windows(n, first_chunk):
            scores = self._scores(noise, window)
            with torch.inference_mode():
                cells = _votes(scores).cpu().numpy()
            for (number, rows), row in zip(window, cells, strict=True):
                if row[-1]:
                    raise ModelError(unusable_text(index, int(row[-1]), f"chunk {number}"))
                yield ChunkCounts(number, rows, row[:-1].copy())

    def iter_scores(self, x: torch.Tensor | ArrayLike, index: int, n: int, simplex: SimplexMap, *,
                    stream: Stream = Stream.ESTIMATION,
                    first_chunk: int = 0) -> Generator[ScoreBlock, None, None]:
        """Yields the score rows of samples 0 … n - 1 in blocks, on the same noise as `iter_counts`.

        The map is computed in float32 at least, whatever the model's dtype; a row off the simplex by no
        more than 1e-3 (rounding in half precision) is put back on it. Memory does not grow with n.

        Args:
            x: the input, without a batch dimension.
            index: number of the input.
            n: samples in all, those of the chunks before `first_chunk` included.
            simplex: map from the model's outputs into the simplex; `Identity` where they lie in it already.
            stream: what the samples are for.
            first_chunk: chunks before this one are left out.

        Raises:
            InvalidInputError: x is not finite, or an argument outside its range.
            ModelError: NaN, a wrong shape, a row further than 1e-3 from the simplex, or rows that mix.
        """
        noise = self._noise(self.prepared(x, index), index, stream)
        for window in self._windows(n, first_chunk):
            scores = self._scores(noise, window)
            with torch.inference_mode():
                blocks = [_simplex_rows(block, simplex) for block in scores]
            for (number, _), (mapped, off) in zip(window, blocks, strict=True):
                _refuse_off_simplex(off.cpu().numpy(), index, number)
                yield ScoreBlock(number, mapped.cpu().numpy())

    def prepared(self, x: torch.Tensor | ArrayLike, index: int) -> torch.Tensor:
        """The input as float32 on the device.

        Raises:
            InvalidInputError: it is not numeric or not finite.
        """
        if not isinstance(x, torch.Tensor):
            array = np.asarray(x)
            if array.dtype.kind not in "fiub":
                raise InvalidInputError(f"Input {index} is not an array of real numbers ({array.dtype}).")
            x = torch.from_numpy(array.astype(np.float32))
        elif x.is_complex():
            raise InvalidInputError(f"Input {index} is not an array of real numbers ({x.dtype}).")
        tensor = x.detach().to(self.device, torch.float32)
        if not bool(torch.isfinite(tensor).all()):
            raise InvalidInputError(f"Input {index} holds NaN or infinite values.")
        return tensor

    def _windows(self, n: int, first_chunk: int) -> Iterator[list[tuple[int, int]]]:
        # (number, rows) of the chunks in flight together: between two windows the host waits for the device.
        last, size = self.chunks_of(n), self.provenance.chunk
        if n < 1 or not 0 <= first_chunk <= last:
            raise InvalidInputError(f"n must be positive and first_chunk within its {last} chunks, "
                                    f"got n={n}, first_chunk={first_chunk}.")
        for start in range(first_chunk, last, self.in_flight):
            yield [(number, min(size, n - number * size))
                   for number in range(start, min(start + self.in_flight, last))]

    def _noise(self, point: torch.Tensor, index: int, stream: Stream) -> NoisyCopies:
        record = self.provenance
        return NoisyCopies(point, record.sigma, record.chunk, record.seed, stream, index)

    def _scores(self, noise: NoisyCopies, window: list[tuple[int, int]]) -> list[torch.Tensor]:
        if not self._open:
            raise InvalidInputError("The sampler is closed. Use it inside "
                                    "'with classifier.sampler(seed) as sampler:'.")
        self._check(noise.x, noise.index)
        with forward_mode(self.device, self.autocast):
            return [self._forward(noise.draw(number), noise.index)[:rows] for number, rows in window]

    def _forward(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        try:
            output = self.forward(batch.to(self.dtype))
        except Exception as error:
            # Any exception of foreign code: passed on as it is, with the one fact it cannot know.
            error.add_note(f"The model was called for input {index}: {tuple(batch.shape)}, {self.dtype}.")
            raise
        return checked_scores(output, batch.shape[0], self.provenance.num_classes, index)

    def _check(self, point: torch.Tensor, index: int) -> None:
        if tuple(point.shape) in self.checked:
            return
        reduced = self.device.type == "cuda" and self.provenance.matmul != "highest"

        def allowance(scores: torch.Tensor) -> float:
            return rounding_allowance([scores.dtype, self.dtype, self.autocast or self.dtype], reduced)

        with forward_mode(self.device, self.autocast):
            check_rows_independent(lambda rows: self._forward(rows, index),
                                   self._noise(point, index, Stream.CHECK).draw(0),
                                   allowance=allowance, model=self.model, index=index)
        self.checked.add(tuple(point.shape))


def _votes(blocks: list[torch.Tensor]) -> torch.Tensor:
    """Votes of each block (rows, K) as one row of an int64 tensor (blocks, K + 1); only the last may be shorter.

    All blocks at once, in few operations, for small models. The last cell of a row counts copies without a vote; it is
    read later, since asking for them now would wait for the device.
    """
    scores = torch.cat(blocks)
    size, cells = blocks[0].shape[0], scores.shape[1] + 1
    largest, winner = scores.max(dim=1)
    vote = torch.where(torch.isfinite(largest), winner, cells - 1)
    vote += torch.arange(len(vote), device=vote.device).div_(size, rounding_mode="floor") * cells
    return torch.bincount(vote, minlength=len(blocks) * cells).reshape(len(blocks), cells)


def _simplex_rows(scores: torch.Tensor, simplex: SimplexMap) -> tuple[torch.Tensor, torch.Tensor]:
    exact = scores if scores.dtype in (torch.float32, torch.float64) else scores.float()
    rows = simplex(exact)
    off = torch.maximum((rows.sum(dim=1) - 1.0).abs(), -rows.amin(dim=1))
    off = torch.where(unusable_rows(scores), math.nan, off)
    rows = rows.clamp_min(0.0)
    return (rows / rows.sum(dim=1, keepdim=True)).float().clamp_max(1.0), off


def _refuse_off_simplex(off: NDArray[np.floating], index: int, number: int) -> None:
    if unusable := int(np.isnan(off).sum()):
        raise ModelError(unusable_text(index, unusable, f"chunk {number}"))
    if off.max() > SIMPLEX_TOLERANCE:
        raise ModelError(
            f"Input {index}: a row of scores leaves the simplex by {off.max():.3g} (chunk {number}); at most "
            f"{SIMPLEX_TOLERANCE:g} is put down to rounding. Probabilities must be nonnegative and sum to 1; "
            "for a model that returns scores use softmax or sparsemax.")
