"""Throughput of the sampler beside a bare loop of ``model(x + sigma * randn)`` at the same batch size.

``make bench_sampler`` prints samples a second and the ratio for three networks, chunk sizes and numbers of chunks in
flight, noise in float32 and on the grid of bytes, all taking turns in one run (ARGUMENTS="1 cuda" for one thread and
another device); ``pytest --benchmark-only tests/benchmarks/bench_sampler.py`` times single
calls.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import pytest
import torch
from torch import nn

from rsopt.noise import Gaussian
from rsopt.smoothing import SmoothedClassifier
from rsopt.smoothing.digits import digits_network

SIGMA = 0.25
NOISES = {"float32": Gaussian(SIGMA), "grid": Gaussian(SIGMA, grid=1 / 255)}


class Block(nn.Module):
    """A basic residual block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Input and output (rows, channels, height, width)."""
        return torch.relu(x + self.inner(x))


def plain() -> nn.Module:
    """Three convolutions on 32x32 colour images."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1, stride=2), nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def residual() -> nn.Module:
    """A small residual network on 32x32 colour images."""
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *(Block(16) for _ in range(3)),
                         nn.Conv2d(16, 32, 3, padding=1, stride=2), *(Block(32) for _ in range(3)),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "three convolutions, 3x32x32": (plain, (3, 32, 32), 1000),
    "residual network, 3x32x32": (residual, (3, 32, 32), 500),
    "digits preset, 1x8x8": (digits_network, (1, 8, 8), 10_000)}


def bare_loop(model: nn.Module, x: torch.Tensor, chunk: int, n: int) -> None:
    """Forward passes and nothing else: scores are thrown away."""
    with torch.inference_mode():
        for _ in range(n // chunk):
            model(x + SIGMA * torch.randn(chunk, *x.shape, device=x.device))


def ready(name: str, chunk: int, in_flight: int, noise: str,
          device: str = "cpu") -> tuple[SmoothedClassifier, torch.Tensor, int]:
    """A classifier that has passed its check, an input, and a number of samples."""
    make, shape, n = NETWORKS[name]
    torch.manual_seed(0)
    classifier = SmoothedClassifier(make().eval().to(device), NOISES[noise], 10, chunk=chunk, batch=in_flight * chunk,
                                    progress=False)
    x = (torch.randint(0, 256, shape) / 255).to(device)
    classifier.counts(x, chunk, 0)
    return classifier, x, max(n, 4 * chunk) if device == "cpu" else 40 * chunk


def ratios(name: str, chunk: int, in_flight: int, device: str = "cpu", rounds: int = 11) -> dict[str, float]:
    """Throughput of the sampler under each noise over that of the bare loop, medians of alternating rounds.

    Under "rate": samples a second of the bare loop.
    """
    classifiers = {noise: ready(name, chunk, in_flight, noise, device) for noise in NOISES}
    seconds: dict[str, list[float]] = {noise: [] for noise in ("bare", *NOISES)}
    for seed in range(rounds):
        for noise in seconds:
            classifier, x, n = classifiers["grid" if noise == "bare" else noise]
            start = time.perf_counter()
            if noise == "bare":
                bare_loop(classifier.model, x, chunk, n)
                if device != "cpu":
                    torch.cuda.synchronize()
            else:
                classifier.counts(x, n, seed)
            seconds[noise].append(time.perf_counter() - start)
    bare = statistics.median(seconds["bare"])
    return {"rate": n / bare, **{noise: bare / statistics.median(seconds[noise]) for noise in NOISES}}


@pytest.mark.parametrize("name", NETWORKS)
def test_bare_loop(benchmark, name):
    classifier, x, n = ready(name, 200, 4, "grid")
    benchmark.pedantic(bare_loop, (classifier.model, x, 200, n), rounds=7, warmup_rounds=1)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", NETWORKS)
def test_counts(benchmark, name, noise):
    classifier, x, n = ready(name, 200, 4, noise)
    benchmark.extra_info["throughput over the bare loop"] = ratios(name, 200, 4, rounds=7)[noise]
    benchmark.pedantic(classifier.counts, (x, n, 0), rounds=7, warmup_rounds=1)


def main() -> None:
    """Prints the table; the first argument (ARGUMENTS=1) is the number of threads torch may use, the second a device.
    """
    device = sys.argv[2] if len(sys.argv) > 2 else "cpu"
    if len(sys.argv) > 1:
        torch.set_num_threads(int(sys.argv[1]))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {device}")
    print(f"{'network':30} {'chunk':>5} {'in flight':>9} {'bare samples/s':>14}  over the bare loop: "
          + " ".join(f"{noise:>8}" for noise in NOISES))
    for name in NETWORKS:
        for chunk, in_flight in ((100, 4), (200, 1), (200, 4), (500, 4), *(() if device == "cpu" else ((1000, 4),))):
            found = ratios(name, chunk, in_flight, device)
            print(f"{name:30} {chunk:5d} {in_flight:9d} {found['rate']:14,.0f}  {'':19} "
                  + " ".join(f"{found[noise]:8.3f}" for noise in NOISES))


if __name__ == "__main__":
    main()
