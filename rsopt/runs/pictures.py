"""Inputs as pictures: small PNG files beside a run, so that its report can show them without the data."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rsopt.files import replaced
from rsopt.methods import OWN
from rsopt.noise import Noise, Source
from rsopt.runs.rows import Row

Pixels = npt.NDArray[np.uint8]

HARDEST = 12
"""So many inputs are kept as pictures."""
LARGEST = 256
"""Pictures are thinned to at most so many pixels a side."""


def save_pictures(folder: Path, images: Iterable[tuple[int, Any]], noise: Noise) -> None:
    """Writes inputs as NNNNNN.png, and beside each a noisy copy, NNNNNN-noisy.png; what is no picture is left out.

    Args:
        folder: where to.
        images: (number, input); a picture is (H, W), (1, H, W) or (3, H, W).
        noise: that of the run.

    Raises:
        StorageError: a file cannot be written.
    """
    for idx, image in images:
        values = np.asarray(image, dtype=np.float64)
        if not _is_picture(values):
            continue
        noisy = _noisy(image, noise, idx)
        # Both in the scale of the clean one: its own range, unless it lies in that of pictures.
        low, high = min(values.min(), 0.0), max(values.max(), 1.0)
        for name, content in ((f"{idx:06d}.png", values), (f"{idx:06d}-noisy.png", noisy)):
            if not _is_picture(content):
                continue
            with replaced(folder / name, "The picture") as partial:
                partial.write_bytes(png(_pixels((content - low) / (high - low))))


def hardest(rows: Sequence[Row], count: int = HARDEST) -> list[Row]:
    """The inputs on which the smoothed classifier is furthest from being certified right, worst first.

    Their order is that of the lower bound; where another class than the label was certified, of its negative: the more
    certain the wrong class, the worse. Failed inputs are left out.
    """
    def standing(row: Row) -> float:
        lower = row.bounds[OWN].lower
        return -lower if row.label is not None and row.top != row.label else lower

    return sorted((row for row in rows if not row.error), key=lambda row: (standing(row), row.idx))[:count]


def png(pixels: Pixels) -> bytes:
    """An 8-bit PNG file of pixels (H, W) or (H, W, 3)."""
    height, width = pixels.shape[:2]
    colour = 0 if pixels.ndim == 2 else 2
    lines = pixels.reshape(height, -1)
    # Every line begins with the number of its filter, 0 for none.
    raw = np.concatenate([np.zeros((height, 1), np.uint8), lines], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b"")))


def _noisy(image: Any, noise: Noise, seed: int) -> npt.NDArray[np.float64]:
    """A noisy copy; without the channel that says what is hidden, where the noise appends one."""
    import torch

    batch = torch.as_tensor(np.asarray(image))[None]
    copy = noise.noisy(batch.float() if batch.is_floating_point() else batch, Source.of(seed))[0].double().numpy()
    channels = np.asarray(image).shape[0]
    return np.asarray(copy[:channels] if copy.ndim == 3 and len(copy) == channels + 1 else copy)


def _is_picture(values: npt.NDArray[np.float64]) -> bool:
    return (values.ndim == 2 or (values.ndim == 3 and values.shape[0] in (1, 3))) and min(values.shape[-2:]) >= 2 \
        and bool(np.isfinite(values).all())


def _pixels(values: npt.NDArray[np.float64]) -> Pixels:
    if values.ndim == 3:
        values = values[0] if values.shape[0] == 1 else np.moveaxis(values, 0, -1)
    step = -(-max(values.shape[:2]) // LARGEST)
    return np.rint(np.clip(values[::step, ::step], 0.0, 1.0) * 255.0).astype(np.uint8)
