"""Runs of one question under several noises: their curves side by side, and the envelope over all of them."""

from __future__ import annotations

import csv
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsopt.files import replaced
from rsopt.methods import OWN
from rsopt.runs.results import Results, radius_grid

ENVELOPE = ("The envelope is not one classifier: at every radius it is the best of these curves, and each curve is of "
            "a classifier of its own. No input may be given the largest of its radii.")
COLUMNS = 7
"""At most so many radii in a table."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """The results of runs that differ in their noise.

    Attributes:
        runs: the results, in the order in which they were asked for.
    """

    runs: Sequence[Results]

    @property
    def radii(self) -> list[float]:
        """The columns of the table: round steps up to the largest radius of all."""
        return radius_grid(max(run.largest for run in self.runs), COLUMNS)

    def envelope(self, radius: float) -> float:
        """The largest certified share at a radius, over all runs."""
        return max(run.share(radius) for run in self.runs)

    def envelope_curve(self) -> tuple[list[float], list[float]]:
        """(radii, shares): the envelope falls behind each of these radii."""
        return _highest(self.runs)

    def to_dict(self) -> dict[str, Any]:
        """Every run and the envelope at the same radii, as JSON values."""
        grid = self.radii
        return {"radii": grid, "runs": [run.to_dict(grid) for run in self.runs],
                "envelope": [self.envelope(radius) for radius in grid], "note": ENVELOPE}

    def write(self, path: Path) -> None:
        """Writes the curves as TSV: for each run and method its radius and share at every step, and the envelope.

        Raises:
            StorageError: it cannot be written.
        """
        with replaced(path, "The table") as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(("noise", "method", "radius", "share"))
            for run in self.runs:
                for method in run.methods:
                    writer.writerows((run.noise.setting, method, repr(radius), repr(share))
                                     for radius, share in zip(*_highest([run], method), strict=True))
            writer.writerows(("envelope", OWN, repr(radius), repr(share))
                             for radius, share in zip(*self.envelope_curve(), strict=True))


def _highest(runs: Sequence[Results], method: str = OWN) -> tuple[list[float], list[float]]:
    """Every radius that one of the runs certifies, from 0 on, and the largest certified share there."""
    ordered = [sorted(run.radii(method)) for run in runs]
    steps = sorted({0.0, *(radius for radii in ordered for radius in radii)})
    return steps, [max((len(radii) - bisect_left(radii, step)) / len(run.rows)
                       for run, radii in zip(runs, ordered, strict=True)) for step in steps]
