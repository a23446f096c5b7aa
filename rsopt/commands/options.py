"""Options that several commands share, so that they are spelt and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Functional = Annotated[str, typer.Option(help="Quantity that is bounded: probit, margin or taylor-probit.")]
Order = Annotated[int | None, typer.Option(help="Order of the Taylor polynomial, with --functional taylor-probit.")]
Statistic = Annotated[str, typer.Option(help="Designated statistic: studentized, clopper-pearson or plugin.")]
Alpha = Annotated[float, typer.Option(help="Probability that the statement is false.")]
Solver = Annotated[str, typer.Option(help="Solver that proposes; rsopt proves. See 'rsopt solvers'.")]
Sigma = Annotated[float, typer.Option(help="Standard deviation of the noise, in the units of the input.")]
MaybeSigma = Annotated[float | None, typer.Option(help="Standard deviation of the noise: prints the radius too.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Output = Annotated[Path | None, typer.Option(help="Folder of the run: store, table, certificates, plot; by default "
                                                  "runs/NAME.")]
