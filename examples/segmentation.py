"""Certified pixels: a network that segments small images, and one error for all pixels of an image.

Every image shows a disc and a square on a background, in noise and uneven light. A small convolutional network, trained
here in seconds under Gaussian noise, gives each pixel a class; its votes under noise are counted pixel by pixel, all
pixels from the same draws. The class of a pixel is chosen on separate draws. `rsopt.simultaneous` then certifies pixels
by Holm's step-down on proven p-values (theorem N5): with probability at least 1 - alpha every certified pixel of the
image keeps its class under any perturbation of the whole image up to the radius. Beside it stand Bonferroni's
correction of the same p-values, Holm's on the one-class p-values that published code for segmentation uses (binomial
tests of p_A <= Phi(r / sigma)), and each pixel for itself, which promises nothing about the image.

    python examples/segmentation.py --output pictures
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from scipy.special import betainc, ndtr
from torch import nn

import rsopt
from rsopt.step_down import holm

SIZE, SIGMA, ALPHA = 32, 0.5, 1e-3
CLASSES = ("background", "disc", "square")
COLOURS = ListedColormap(["#dfe6ee", "#0b5cad", "#d1662b", "#ffffff"])
NOT_CERTIFIED = len(CLASSES)
STEPS, BATCH, CHOOSING = 200, 32, 100
SHOWN_RADIUS = 0.25
MANY = 3

Whole = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Certified:
    """Which pixels of one image are certified at one radius, (pixels,) each."""

    ours: Mask
    bonferroni: Mask
    one_class: Mask
    alone: Mask


def scenes(number: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images, (number, 1, SIZE, SIZE) from about 0 to 1, and the class of each pixel, (number, SIZE, SIZE)."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[:SIZE, :SIZE]
    images, classes = np.zeros((number, 1, SIZE, SIZE), np.float32), np.zeros((number, SIZE, SIZE), np.int64)
    for image, label in zip(images[:, 0], classes, strict=True):
        (y, x), radius = rng.uniform(6, SIZE - 6, 2), rng.uniform(4, 8)
        (top, left), side = rng.uniform(0, SIZE - 12, 2), rng.uniform(7, 12)
        label[(down - y) ** 2 + (right - x) ** 2 < radius**2] = 1
        label[(down > top) & (down < top + side) & (right > left) & (right < left + side)] = 2
        light = rng.uniform(-0.1, 0.1, 2) @ np.stack([down.ravel(), right.ravel()]) / SIZE
        image += np.array([0.1, 0.5, 0.9])[label] + light.reshape(SIZE, SIZE) + rng.normal(0, 0.02, (SIZE, SIZE))
    return torch.from_numpy(images), torch.from_numpy(classes)


def trained(seed: int = 0) -> nn.Module:
    """The network: images (b, 1, SIZE, SIZE) -> scores (b, classes, SIZE, SIZE)."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for wide, dilation in ((1, 1), (16, 2), (16, 4), (16, 2)):
        layers += [nn.Conv2d(wide, 16, 3, padding=dilation, dilation=dilation), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Conv2d(16, len(CLASSES), 1))
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    generator = torch.Generator().manual_seed(seed)
    for step in range(STEPS):
        images, classes = scenes(BATCH, seed=1000 + step)
        noisy = images + SIGMA * torch.randn(images.shape, generator=generator)
        loss = nn.functional.cross_entropy(model(noisy), classes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


@torch.no_grad()
def votes(model: nn.Module, image: torch.Tensor, n: int, seed: int) -> Whole:
    """Votes of each pixel over n noisy copies of an image, (pixels, classes)."""
    generator = torch.Generator().manual_seed(seed)
    counts = np.zeros((SIZE * SIZE, len(CLASSES)), np.int64)
    for start in range(0, n, 100):
        rows = min(100, n - start)
        noisy = image + SIGMA * torch.randn((rows, *image.shape), generator=generator)
        chosen = model(noisy).argmax(dim=1).reshape(rows, -1).numpy()
        for number in range(len(CLASSES)):
            counts[:, number] += (chosen == number).sum(axis=0)
    return counts


def certified(counts: Whole, tops: Whole, radius: float) -> Certified:
    """The pixels that are certified at a radius, by our tests and by others."""
    level = rsopt.Question(SIGMA).level(radius)
    ours = rsopt.simultaneous(counts, tops, level, alpha=ALPHA)
    # P(Binomial(n, Phi(r / sigma)) >= x1), the p-value of "p_A <= Phi(r / sigma)".
    n, x1 = counts[0].sum(), counts[np.arange(len(tops)), tops]
    one = np.where(x1 > 0, betainc(np.maximum(x1, 1), n - x1 + 1, ndtr(radius / SIGMA)), 1.0)
    return Certified(ours.certified, ours.p_values * len(tops) <= ALPHA, holm(one) <= ALPHA,
                     ours.p_values <= ALPHA)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=3)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = trained()
    images, classes = scenes(options.images, seed=0)
    print(f"{options.images} images of {SIZE} x {SIZE} pixels, sigma {SIGMA:g}, n {options.n:,}, alpha {ALPHA:g} for "
          "all pixels of an image")
    print(f"  {'image':6s}{'radius':>7s}{'rsopt':>9s}{'Bonferroni':>12s}{'one class':>11s}{'each alone':>12s}"
          f"{'certified and right':>21s}{'seconds':>9s}")
    rows = []
    for number, (image, truth) in enumerate(zip(images, classes, strict=True)):
        tops = votes(model, image, CHOOSING, seed=2 * number).argmax(axis=1)
        counts = votes(model, image, options.n, seed=2 * number + 1)
        found = {}
        for radius in (0.0, SHOWN_RADIUS, 2.0 * SHOWN_RADIUS):
            started = time.perf_counter()
            found[radius] = each = certified(counts, tops, radius)
            right = (each.ours & (tops == truth.numpy().ravel())).mean()
            print(f"  {number:<6d}{radius:7.2f}{each.ours.mean():9.1%}{each.bonferroni.mean():12.1%}"
                  f"{each.one_class.mean():11.1%}{each.alone.mean():12.1%}{right:21.1%}"
                  f"{time.perf_counter() - started:9.2f}")
        rows.append((image[0].numpy(), truth.numpy(), tops, found))
    folder = options.output or Path(tempfile.mkdtemp(prefix="rsopt-"))
    folder.mkdir(parents=True, exist_ok=True)
    draw(folder / "segmentation.png", rows, options.n)
    print(f"wrote {folder / 'segmentation.png'}")

    for _, _, _, found in rows:
        for each in found.values():
            # Holm's step-down certifies what Bonferroni does, and no pixel that is not certified alone.
            assert np.all(each.bonferroni <= each.ours)
            assert np.all(each.ours <= each.alone)
    if options.images >= MANY and options.n >= 1000:
        assert sum(each.ours.sum() - each.one_class.sum() for *_, found in rows for each in found.values()) > 0


def draw(path: Path, rows: list[tuple[npt.NDArray[np.float32], Whole, Whole, dict[float, Certified]]], n: int) -> None:
    radii = list(rows[0][3])
    titles = ["image", "as the network sees it", "true classes", *[
        f"certified at radius {radius:g}" if radius else "certified, any radius" for radius in radii]]
    figure = Figure(figsize=(2.15 * len(titles), 2.25 * len(rows) + 0.9), layout="constrained")
    grid = figure.subplots(len(rows), len(titles), squeeze=False)
    for number, (line, (image, truth, tops, found)) in enumerate(zip(grid, rows, strict=True)):
        noisy = image + SIGMA * np.random.default_rng(number).normal(size=image.shape)
        for axes, picture in zip(line, (image, noisy), strict=False):
            axes.imshow(picture, cmap="gray", vmin=-0.3, vmax=1.3)
        line[2].imshow(truth, cmap=COLOURS, vmin=0, vmax=NOT_CERTIFIED)
        for axes, radius in zip(line[3:], radii, strict=True):
            shown = np.where(found[radius].ours, tops, NOT_CERTIFIED).reshape(SIZE, SIZE)
            axes.imshow(shown, cmap=COLOURS, vmin=0, vmax=NOT_CERTIFIED)
            axes.set_xlabel(f"{found[radius].ours.mean():.0%} of the pixels", fontsize=9)
        for axes in line:
            axes.set(xticks=[], yticks=[])
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=10)
    for number, name in enumerate((*CLASSES, "not certified")):
        figure.axes[0].plot([], [], "s", color=COLOURS(number), markeredgecolor="#777777", markersize=9, label=name)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    figure.suptitle(f"Pixels certified all at once, one error of {ALPHA:g} for an image; sigma {SIGMA:g}, n {n:,}",
                    fontsize=11)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
