"""Operator norms of convolutions, bounded from above through their transfer functions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rsopt.smoothing.lipschitz.spectral import spectral_norm_bounds, up

__all__ = ["convolution_norm_bound"]

_EXACT_TORUS = 48
"""A dimension whose torus is no longer than this has all its frequencies computed."""
_BLOCK_ENTRIES = 1 << 21
"""Complex numbers in memory at once."""


def convolution_norm_bound(weight: NDArray[np.float64], *, size: tuple[int, ...], stride: tuple[int, ...],
                           dilation: tuple[int, ...], padding: tuple[tuple[int, int], ...], circular: bool,
                           groups: int) -> float:
    """Upper bound on the l2 operator norm of a convolution, as a map between one image and its output.

    *Zero padding.* The padded image is put on a torus of its own size (or a little larger). On the positions
    that the layer computes, the circular convolution of the torus reads the same values, so the layer is that circular
    convolution between two norm-one maps (embed, restrict), and its norm is at most the circular one.

    *Stride s.* Splitting the torus into its s phases (an isometry) turns the strided convolution into one of stride
    1 with s times the channels: tap s a + r becomes tap a of phase r. This is exact on a torus divisible by s.

    *Circular convolution.* The discrete Fourier transform block-diagonalises it; its norm is the largest spectral norm
    of the matrices K(w) = sum over taps of weight[tap] exp(-i w tap), one per frequency of the torus.

    *Large tori.* f(w) = Re <u, K(w) v>, centred, is a bounded function of exponential type D = (taps - 1)/2 in each
    coordinate, so f'² <= D² (M² - f²) with M = sup |f| (Duffin & Schaeffer 1938): at distance d <= pi/(2 D) from a
    maximum f is at least M cos(D d). The maximum over G equidistant frequencies, divided by cos(D pi/G) for
    each dimension, therefore bounds every torus.

    Args:
        weight: (out, in / groups, *taps).
        size: the image, per spatial dimension.
        stride, dilation: per spatial dimension.
        padding: (before, after) per spatial dimension.
        circular: padding wraps around instead of zeros; the output must then not be larger than the image.
        groups: as in torch.

    Returns:
        the bound.

    Raises:
        InvalidInputError: a weight that is not finite.
        ValueError: circular padding that repeats outputs, which is no convolution on a torus.
    """
    torus = []
    steps = list(stride)
    for d, length in enumerate(size):
        reach = (weight.shape[2 + d] - 1) * dilation[d] + 1
        padded = length + sum(padding[d])
        if not circular:
            torus.append(-(-padded // steps[d]) * steps[d])
            continue
        if padded - reach + 1 > length:
            raise ValueError("circular padding by more than the kernel repeats outputs")
        torus.append(length)
        if length % steps[d]:
            # Leaving outputs out cannot raise the norm, and stride 1 fits every torus.
            steps[d] = 1
    kernel = _phases(_dilated(weight, dilation), tuple(steps))
    lengths = tuple(n // s for n, s in zip(torus, steps, strict=True))
    grid, factor = [], 1.0
    for length, taps in zip(lengths, kernel.shape[2:], strict=True):
        if length <= _EXACT_TORUS:
            grid.append(length)
            continue
        degree = (taps - 1) / 2
        grid.append(max(_EXACT_TORUS, math.ceil(16 * degree)))
        factor = up(factor / math.cos(degree * math.pi / grid[-1]) * (1.0 + 1e-14))
    out = kernel.shape[0] // groups
    largest = max(_circular_norm(kernel[g * out:(g + 1) * out], tuple(grid)) for g in range(groups))
    return up(largest * factor)


def _dilated(weight: NDArray[np.float64], dilation: tuple[int, ...]) -> NDArray[np.float64]:
    taps = weight.shape[2:]
    wide = np.zeros(weight.shape[:2] + tuple((k - 1) * d + 1 for k, d in zip(taps, dilation, strict=True)))
    wide[(slice(None), slice(None), *(slice(None, None, d) for d in dilation))] = weight
    return wide


def _phases(kernel: NDArray[np.float64], stride: tuple[int, ...]) -> NDArray[np.float64]:
    """(out, in, *taps) -> (out, in * product of strides, *ceil(taps / stride))."""
    taps = kernel.shape[2:]
    short = [-(-k // s) for k, s in zip(taps, stride, strict=True)]
    fill = [(0, 0), (0, 0)] + [(0, a * s - k) for k, s, a in zip(taps, stride, short, strict=True)]
    split = np.pad(kernel, fill).reshape(
        kernel.shape[:2] + tuple(itertools.chain.from_iterable(zip(short, stride, strict=True))))
    d = len(taps)
    order = [0, 1, *(3 + 2 * i for i in range(d)), *(2 + 2 * i for i in range(d))]
    return split.transpose(order).reshape(kernel.shape[0], -1, *short)


def _circular_norm(kernel: NDArray[np.float64], grid: tuple[int, ...]) -> float:
    out, into, *taps = kernel.shape
    positions = np.array(list(np.ndindex(*taps)))
    table = kernel.reshape(out * into, -1).T
    unit = 2.0**-53
    # Errors of the angles, of their exponentials and of the sums over taps, entry by entry, in Frobenius norm.
    error = 8.0 * (len(positions) + 16) * unit * math.sqrt(len(positions)) * float(np.linalg.norm(kernel))
    largest = 0.0
    for block in _frequencies(grid, max(1, _BLOCK_ENTRIES // (out * into))):
        # Whole turns are taken off in integers, so that the angle is as accurate for far taps as for near ones.
        turns = sum((np.outer(block[:, d], positions[:, d]) % n) / n for d, n in enumerate(grid))
        matrices = (np.exp(-2j * math.pi * turns) @ table).reshape(len(block), out, into)
        largest = max(largest, float(spectral_norm_bounds(matrices).max()))
    return (largest + error) * (1.0 + 4.0 * unit)


def _frequencies(grid: tuple[int, ...], block: int) -> Iterator[NDArray[np.int64]]:
    # Real kernels have conjugate matrices at opposite frequencies: half of the last dimension suffices.
    numbers = itertools.product(*(range(n) for n in grid[:-1]), range(grid[-1] // 2 + 1))
    while part := list(itertools.islice(numbers, block)):
        yield np.array(part, dtype=np.int64)
