"""Edits of a text that are survived: deletion of words, and a small classifier trained under it.

Passages of 60 words from Python's own documentation, which the standard library ships, and the chapter that each is
from. Most words of a passage are deleted at random; the radius counts insertions, deletions and substitutions of words.
Beside the exact bound stand the two-way Clopper–Pearson limits and the bound on one class alone, on the same votes.

    python examples/deletion_text.py --output pictures

From this folder the same classifier goes to the command line:

    rsopt certify --model deletion_text:trained --data deletion_text:passages --noise deletion --probability 0.9
"""

from __future__ import annotations

import argparse
import re
import tempfile
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

import rsopt
from rsopt import baselines
from rsopt.noise import Deletion, Source
from rsopt.smoothing import SmoothedClassifier

CHAPTERS = ("types", "compound", "string-methods", "debugger", "formatstrings")
LENGTH, EVERY, ALPHA, MANY = 60, 4, 1e-3, 50
PROBABILITIES = (0.8, 0.9, 0.95)
BOUNDS = {"rsopt": rsopt.lower_bound, "two-way Clopper–Pearson": baselines.two_way_clopper_pearson,
          "one class": baselines.cohen}
COLOURS = dict(zip(PROBABILITIES, ("#5b6472", "#0b5cad", "#d1662b"), strict=True))
STYLES = {"rsopt": "-", "two-way Clopper–Pearson": "--", "one class": ":"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=None, help="by default all passages that were held back")
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    texts, labels = (part[:options.inputs] for part in passages())
    found = {p: radii(Deletion(p), texts, labels.tolist(), options.n) for p in PROBABILITIES}

    print(f"{len(labels)} passages of {LENGTH} words, {len(CHAPTERS)} chapters, n {options.n:,}, alpha {ALPHA:g}")
    print(f"{'deleted':>7s}  {'bound':26s}{'r >= 1':>8s}{'mean r':>8s}{'largest':>9s}")
    for p, methods in found.items():
        for method, values in methods.items():
            print(f"{p:7.0%}  {method:26s}{(values > 0).mean():8.0%}{values.mean():8.2f}{values.max():9.0f}")
    folder = options.output or Path(tempfile.mkdtemp(prefix="rsopt-"))
    folder.mkdir(parents=True, exist_ok=True)
    draw(folder / "deletion.png", found, options.n)
    print(f"wrote {folder / 'deletion.png'}")

    if len(labels) >= MANY:
        # Each is the exact bound on its own statistic: on one input either may be ahead, on the whole it is ours.
        for methods in found.values():
            assert methods["rsopt"].mean() >= methods["two-way Clopper–Pearson"].mean()


@cache
def corpus() -> tuple[list[tuple[int, list[str]]], list[tuple[int, list[str]]], dict[str, int]]:
    """(chapter, words) of the passages to train on and of those held back, and the words that training knows.

    0 is padding and 1 any other word.
    """
    parts = []
    for chapter, name in enumerate(CHAPTERS):
        words = re.findall(r"[a-z_]+", topics[name].lower())
        parts += [(chapter, words[start:start + LENGTH]) for start in range(0, len(words) - LENGTH + 1, LENGTH)]
    train = [part for place, part in enumerate(parts) if place % EVERY]
    known = {word: 2 + place for place, word in enumerate(sorted({word for _, words in train for word in words}))}
    return train, parts[::EVERY], known


def passages(train: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Words as numbers, int64 (passages, LENGTH), and the chapters.

    Args:
        train: those to train on instead of those held back.
    """
    learnt, held_back, known = corpus()
    parts = learnt if train else held_back
    return (torch.tensor([[known.get(word, 1) for word in words] for _, words in parts]),
            torch.tensor([chapter for chapter, _ in parts]))


class Reader(nn.Module):
    """The mean of what the words of a passage stand for, in no order; padding counts for nothing.

    Args:
        known: how many words are known.
    """

    def __init__(self, known: int) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(known + 2, 64, mode="mean", padding_idx=0)
        self.answer = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, len(CHAPTERS)))

    def forward(self, passages: torch.Tensor) -> torch.Tensor:
        """Scores of the chapters, (rows, chapters)."""
        scores: torch.Tensor = self.answer(self.words(passages))
        return scores


def trained(probability: float = 0.9, epochs: int = 60) -> nn.Module:
    """A reader, trained under the deletions that it will see; a second."""
    torch.manual_seed(0)
    texts, labels = (part.repeat_interleave(4, dim=0) for part in passages(train=True))
    reader = Reader(len(corpus()[2]))
    optimizer = torch.optim.Adam(reader.parameters(), lr=3e-3, weight_decay=1e-4)
    for epoch in range(epochs):
        seen = Deletion(probability).noisy(texts, Source.of(epoch))
        for part in torch.randperm(len(labels)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(reader(seen[part]), labels[part]).backward()
            optimizer.step()
    return reader.eval()


def radii(noise: Deletion, texts: torch.Tensor, labels: list[int], n: int) -> dict[str, np.ndarray]:
    """Certified numbers of edits as the label, by method, (passages,)."""
    model = SmoothedClassifier(trained(noise.probability), noise, len(CHAPTERS), progress=False)
    votes = [model.counts(text, n, seed=0, index=index).tolist() for index, text in enumerate(texts)]
    return {method: np.array([bound(row, label, functional="margin", alpha=ALPHA).radius(noise)
                              for row, label in zip(votes, labels, strict=True)]) for method, bound in BOUNDS.items()}


def draw(path: Path, found: dict[float, dict[str, np.ndarray]], n: int) -> None:
    figure = Figure(figsize=(8.5, 4.4), layout="constrained")
    axes = figure.subplots()
    for p, methods in found.items():
        for method, values in methods.items():
            steps = np.arange(1, int(max(values.max() for values in methods.values())) + 2)
            axes.plot(steps, [(values >= r).mean() for r in steps], "o", markersize=3.5, color=COLOURS[p],
                      linestyle=STYLES[method], label=f"{p:.0%} deleted, {method}, mean {values.mean():.2f}")
    axes.set(xlabel=f"edit-distance radius: words of {LENGTH}", ylabel="share certified as the chapter",
             ylim=(0.0, 1.02), title=f"passages of Python's documentation under deletion, n {n:,}, alpha {ALPHA:g}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
