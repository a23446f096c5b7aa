"""The samples that any sequential rule needs at least, beside those that adaptive looks take.

    python examples/sequential_limit.py [--streams 50] [--inputs 8] [--alpha 0.001] [--seed 0] [--output FOLDER]

Let a rule draw votes for as long as it likes and then certify a radius or give up. If it certifies a radius that is too
large with probability at most alpha, whatever the classifier, and this radius with probability at least 1 - beta under
p, then

    E_p[samples] >= kl(1 - beta, alpha) / inf {KL(p, q) : g(q) <= L},

kl the divergence of two coins, L the level of the radius (Wald 1945; Garivier & Kaufmann 2016; docs/how-far.md has the
proof). Prints the limit for up to eight inputs and three radii each, beside the mean over seeded streams of
`rsopt.adaptive_bound`, which promises to give up a true radius with probability at most beta, and beside the least
fixed number of samples that certifies it with probability 1 - beta. Draws sequential_limit.png.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import geometric_mean

import numpy as np
import numpy.typing as npt
from power_envelope import INPUTS
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize_scalar
from scipy.special import ndtr, ndtri, rel_entr

import rsopt

Array = npt.NDArray[np.float64]

SHARES = (0.0, 0.5, 0.75)  # target radii, as shares of the true one; 0 asks for any radius
GIVE_UP = 0.05  # beta
MOST = 100_000
OTHERS = 8  # classes that share the votes which go neither to the class nor to its rival
MARKS = {0.0: "o", 0.5: "s", 0.75: "^"}


@dataclass(frozen=True)
class Row:
    """One input and target: the limit, and what was needed."""

    name: str
    share: float
    radius: float
    divergence: float
    limit: float
    samples: Array
    certified: float
    fixed: dict[str, int | None]

    @property
    def mean(self) -> float:
        """Mean samples of the looks."""
        return float(self.samples.mean())

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return float(self.samples.std(ddof=1) / np.sqrt(self.samples.size))


def nearest_null(p: Array, level: float) -> tuple[Array, float]:
    """The q with ndtri(q1) - ndtri(q2) <= level that is nearest to p, and KL(p, q); p itself where it is such a q.

    Elsewhere it lies on the level curve: KL(p, q) is convex in q, so from a q inside a step towards p comes nearer.
    Every q of the curve gives a valid limit on samples: a minimum that is missed can only make the limit smaller.

    Args:
        p: three cells, positive.
        level: L.
    """
    if ndtri(p[0]) - ndtri(p[1]) <= level:
        return p, 0.0
    end = float(ndtr(-0.5 * level))

    def on_curve(share: float) -> Array:
        q1 = ndtr(level + ndtri(share * end))
        return np.array([q1, share * end, max(1.0 - q1 - share * end, 0.0)])

    def divergence(share: float) -> float:
        return float(rel_entr(p, on_curve(share)).sum())

    shares = np.linspace(0.0, 1.0, 402)
    best = int(np.argmin([divergence(share) for share in shares[1:-1]]))
    found = minimize_scalar(divergence, bounds=(shares[best], shares[best + 2]), method="bounded",
                            options={"xatol": 1e-12})
    return on_curve(found.x), float(found.fun)


def coins(a: float, b: float) -> float:
    """kl(a, b), the divergence of a coin with chance a from one with chance b."""
    return float(rel_entr(a, b) + rel_entr(1.0 - a, 1.0 - b))


def needed(number: int, share: float, alpha: float, streams: int, seed: int) -> Row:
    """The limit of one input and target, and the samples that looks and single looks take."""
    name, (p_a, p_j) = list(INPUTS.items())[number]
    truth = float(ndtri(p_a) - ndtri(p_j))
    # At sigma = 1: radii are half the probit margin.
    radius = 0.5 * share * truth
    _, divergence = nearest_null(np.array([p_a, p_j, 1.0 - p_a - p_j]), share * truth)
    classes = np.array([p_a, p_j, *[(1.0 - p_a - p_j) / OTHERS] * OTHERS])
    policy = rsopt.TargetRadii((radius,), rsopt.Question(sigma=1.0), rsopt.Looks(MOST, alpha), give_up=GIVE_UP)
    samples, certified = [], []
    for stream in range(streams):
        rng = np.random.default_rng([seed, number, round(100 * share), stream])
        found = rsopt.adaptive_bound(partial(rng.multinomial, pvals=classes), policy, top=0)
        samples.append(found.n)
        certified.append(found.bound.radius(sigma=1.0) >= max(radius, np.nextafter(0.0, 1.0)))
    votes = np.round(1e6 * classes).astype(int).tolist()
    planned = rsopt.plan(votes, radius, sigma=1.0, alpha=alpha, top=0, chance=1.0 - GIVE_UP)
    return Row(name, share, radius, divergence, coins(1.0 - GIVE_UP, alpha) / divergence, np.array(samples, float),
               float(np.mean(certified)), {need.method: need.n_at_shares for need in planned.needs})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--inputs", type=int, default=len(INPUTS), help="so many, the easiest first")
    parser.add_argument("--alpha", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    rows = [needed(number, share, options.alpha, options.streams, options.seed)
            for number in range(options.inputs) for share in SHARES]
    report(rows, options.alpha, options.streams)
    folder = options.output or Path(tempfile.mkdtemp(prefix="rsopt-"))
    folder.mkdir(parents=True, exist_ok=True)
    draw(folder / "sequential_limit.png", rows, options.alpha)
    print(f"wrote {folder / 'sequential_limit.png'}")

    for row in rows:
        assert row.mean + 4.0 * row.error >= row.limit, f"fewer samples than any rule can take: {row}"
        assert row.certified >= 1.0 - GIVE_UP - 4.0 * np.sqrt(GIVE_UP / options.streams), row


def report(rows: list[Row], alpha: float, streams: int) -> None:
    table = Table(title=f"Samples to certify a radius with probability {1.0 - GIVE_UP:g}, alpha = {alpha:g}",
                  title_justify="left", title_style="bold")
    table.add_column("input", no_wrap=True)
    for column in ("target\nradius", "share of\nthe true", "KL to the\nnearest null", "at least,\nany rule",
                   "looks: mean\n± its error", "times the\nlimit", "certi-\nfied", "one look,\nrsopt",
                   "Clopper–\nPearson", "Cohen\n2019"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        fixed = [f"{n:,}" if n is not None else "never" for n in row.fixed.values()]
        table.add_row(row.name if row.share == SHARES[0] else "", f"{row.radius:.4f}", f"{row.share:.0%}",
                      f"{row.divergence:.5f}", f"{row.limit:,.1f}", f"{row.mean:,.0f} ± {row.error:,.0f}",
                      f"{row.mean / row.limit:.2f}", f"{row.certified:.0%}", *fixed,
                      end_section=row.share == SHARES[-1])
    console = Console(width=140)
    console.print(table)
    for share in SHARES:
        taken = [(row.mean, row.fixed["rsopt"], row.limit) for row in rows if row.share == share]
        looks = [mean / limit for mean, _, limit in taken]
        single = [n / limit for _, n, limit in taken if n is not None]
        console.print(f"target {share:.0%} of the true radius: looks take {min(looks):.2f} to {max(looks):.2f} times "
                      f"the limit, {geometric_mean(looks):.2f} in the geometric mean; one look of known size "
                      f"{geometric_mean(single):.2f}", highlight=False)
    console.print(f"Radii are in units of sigma; {streams} streams each, at most {MOST:,} samples. One look: the least "
                  "round n, with alpha spent on it alone.", highlight=False)


def draw(path: Path, rows: list[Row], alpha: float) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 5.0), layout="constrained")
    axes = figure.subplots()
    shown: dict[str, tuple[str, Sequence[float | None]]] = {
        "adaptive looks, mean": ("#0b5cad", [row.mean for row in rows]),
        "one look, rsopt": ("#35a27a", [row.fixed["rsopt"] for row in rows]),
        "one look, Clopper–Pearson": ("#d1662b", [row.fixed["two-way-clopper-pearson"] for row in rows])}
    for column, (label, (colour, taken)) in enumerate(shown.items()):
        axes.plot([], [], linestyle="none", marker="D", color=colour, label=label)
        for row, n in zip(rows, taken, strict=True):
            if n is not None:
                # Side by side, so that marks at one limit can be told apart.
                axes.plot(row.limit * 1.035 ** (column - 1), n / row.limit, linestyle="none", marker=MARKS[row.share],
                          color=colour, markersize=7, markeredgecolor="white", markeredgewidth=0.6)
    for share, mark in MARKS.items():
        axes.plot([], [], linestyle="none", marker=mark, color="#777777",
                  label=f"target: {share:.0%} of the true radius" if share else "target: any radius")
    axes.axhline(1.0, color="black", linewidth=1.6)
    axes.text(0.995, 1.0, "no valid rule takes fewer", ha="right", va="bottom", fontsize=9,
              transform=axes.get_yaxis_transform())
    axes.set(xscale="log", ylim=(0.0, None), xlabel="samples that any rule needs at least",
             ylabel="samples taken, times that",
             title=f"Samples to certify a radius with probability {1.0 - GIVE_UP:g}, alpha = {alpha:g}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="lower center", ncols=2)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
