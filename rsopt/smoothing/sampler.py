"""Samples of a smoothed classifier, chunk by chunk: every chunk is reproducible alone."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from rsopt.arguments import checked_whole
from rsopt.errors import InvalidInputError, ModelError
from rsopt.noise import Noise
from rsopt.smoothing.evaluation import (
    Forward,
    eval_mode,
    undecided,
    undecided_text,
    unusable_rows,
    unusable_text,
)
from rsopt.smoothing.independence import check_rows_independent
from rsopt.smoothing.keys import CHUNK_LIMIT, Stream
from rsopt.smoothing.noise import NoisyCopies
from rsopt.smoothing.provenance import Provenance
from rsopt.smoothing.simplex import SimplexMap, simplex_map

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
    noise: Noise
    forward: Forward
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
        return -(-checked_whole("n", n) // self.provenance.chunk)

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
        rows = size if rows is None else checked_whole("rows", rows)
        if not 1 <= rows <= size:
            raise InvalidInputError(f"rows must lie in [1, {size}], got {rows}.")
        number = checked_whole("chunk", chunk)
        (done,) = self.iter_counts(x, index, number * size + rows, stream=stream, first_chunk=number)
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
                cells = _votes(scores, window[-1][1]).cpu().numpy()
            for (number, rows), row in zip(window, cells, strict=True):
                votes, unusable, tied = row[:-2], int(row[-2]), bool(row[-1])
                if unusable:
                    raise ModelError(unusable_text(index, unusable, f"chunk {number}"))
                if tied:
                    raise ModelError(undecided_text(index, f"chunk {number}"))
                yield ChunkCounts(number, rows, votes.copy())

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
        simplex = simplex_map(simplex)
        noise = self._noise(self.prepared(x, index), index, stream)
        for window in self._windows(n, first_chunk):
            scores = self._scores(noise, window)
            with torch.inference_mode():
                tied = undecided(torch.stack(scores))
                blocks = [_simplex_rows(block[:rows], simplex)
                          for block, (_, rows) in zip(scores, window, strict=True)]
            for (number, _), (mapped, off), nothing in zip(window, blocks, tied.tolist(), strict=True):
                _refuse_off_simplex(off.cpu().numpy(), index, number)
                if nothing:
                    raise ModelError(undecided_text(index, f"chunk {number}"))
                yield ScoreBlock(number, mapped.cpu().numpy())

    def answers(self, x: torch.Tensor | ArrayLike, index: int) -> NDArray[np.float32]:
        """Scores for a chunk of noisy copies that no count uses, the same for every seed, float32 (chunk, K).

        Raises:
            InvalidInputError: x is not floating point, or not finite.
            ModelError: the model returned a wrong shape, or mixes the rows of a batch.
        """
        noise = replace(self._noise(self.prepared(x, index), index, Stream.LIKENESS), seed=0)
        (scores,) = self._scores(noise, [(0, 0)])
        return scores.float().cpu().numpy()

    def prepared(self, x: torch.Tensor | ArrayLike, index: int) -> torch.Tensor:
        """The input on the device: as float32, or whole numbers as they are where the noise takes them for names.

        Raises:
            InvalidInputError: it is not floating point, not finite, or nothing that the noise can be applied to.
        """
        if isinstance(x, torch.Tensor):
            kind, real, floating = str(x.dtype), not x.is_complex(), x.is_floating_point()
        else:
            try:
                x = np.asarray(x)
            except ValueError as error:
                raise InvalidInputError(f"Input {index} is no array of numbers of one shape: {error}") from error
            kind, real, floating = str(x.dtype), x.dtype.kind in "fiub", x.dtype.kind == "f"
        if not real:
            raise InvalidInputError(f"Input {index} is not an array of real numbers ({kind}).")
        if not floating and not (self.noise.symbols and kind.rpartition(".")[2] != "bool"):
            raise InvalidInputError(f"Input {index} must be floating point, found {kind}. Scale it to the units in "
                                    "which sigma is given, for bytes usually x / 255.")
        if not isinstance(x, torch.Tensor):
            x = torch.from_numpy(x.astype(np.float32 if floating else np.int64))
        tensor = x.detach().to(self.forward.device, torch.float32 if floating else torch.int64)
        if not bool(torch.isfinite(tensor).all()):
            raise InvalidInputError(f"Input {index} holds NaN or infinite values.")
        try:
            self.noise.check_input(tensor)
        except InvalidInputError as error:
            raise InvalidInputError(f"Input {index}: {error}") from error
        return tensor

    def _windows(self, n: int, first_chunk: int) -> Iterator[list[tuple[int, int]]]:
        # (number, rows) of the chunks in flight together: between two windows the host waits for the device.
        last, size = self.chunks_of(n), self.provenance.chunk
        if last > CHUNK_LIMIT:
            raise InvalidInputError(f"n must be at most {CHUNK_LIMIT * size:,}, got n={n}.")
        if n < 1 or not 0 <= checked_whole("first_chunk", first_chunk) <= last:
            raise InvalidInputError(f"n must be positive and first_chunk within its {last} chunks, "
                                    f"got n={n}, first_chunk={first_chunk}.")
        for start in range(first_chunk, last, self.in_flight):
            yield [(number, min(size, n - number * size))
                   for number in range(start, min(start + self.in_flight, last))]

    def _noise(self, point: torch.Tensor, index: int, stream: Stream) -> NoisyCopies:
        record = self.provenance
        return NoisyCopies(point, self.noise, record.chunk, record.seed, stream, index)

    def _scores(self, noise: NoisyCopies, window: list[tuple[int, int]]) -> list[torch.Tensor]:
        """The scores of whole chunks, (chunk, K) each."""
        if not self._open:
            raise InvalidInputError("The sampler is closed. Use it inside "
                                    "'with classifier.sampler(seed) as sampler:'.")
        self._check(noise.x, noise.index)
        return [self.forward(noise.draw(number), noise.index) for number, _ in window]

    def _check(self, point: torch.Tensor, index: int) -> None:
        if tuple(point.shape) in self.checked:
            return
        forward = self.forward
        noise = self._noise(point, index, Stream.CHECK)
        check_rows_independent(lambda rows: forward(rows, index), torch.stack([noise.draw(0), noise.draw(1)]), point,
                               dtypes=[forward.dtype, forward.autocast or forward.dtype],
                               reduced=forward.device.type == "cuda" and self.provenance.matmul != "highest",
                               model=self.model, index=index)
        self.checked.add(tuple(point.shape))


def _votes(blocks: list[torch.Tensor], last: int) -> torch.Tensor:
    """Votes of each chunk (chunk, K) as one row of an int64 tensor (blocks, K + 2); of the last, `last` rows count.

    All chunks at once, in few operations, for small models. The last cells of a row tell how many of the copies that
    count have no vote and whether the chunk is undecided; they are read later, since asking for them now would wait
    for the device.
    """
    scores = torch.stack(blocks)
    count, _, classes = scores.shape
    cells = classes + 2
    largest, vote = scores.max(dim=2)
    vote = torch.where(torch.isfinite(largest), vote, classes)
    vote[-1, last:] = classes + 1
    vote += torch.arange(count, device=vote.device)[:, None] * cells
    table = torch.bincount(vote.flatten(), minlength=count * cells).reshape(count, cells)
    table[:, -1] = undecided(scores)
    return table


def _simplex_rows(scores: torch.Tensor, simplex: SimplexMap) -> tuple[torch.Tensor, torch.Tensor]:
    exact = scores if scores.dtype in (torch.float32, torch.float64) else scores.float()
    unusable = unusable_rows(scores)
    # The map may work in place, on scores that nobody else looks at.
    rows = simplex(exact)
    off = torch.maximum((rows.sum(dim=1) - 1.0).abs(), -rows.amin(dim=1))
    off = torch.where(unusable, math.nan, off)
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
