"""``rsopt plan``: from the votes of a pilot run, the samples that a radius takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from rsopt.commands import options

if TYPE_CHECKING:
    from rsopt.sequential.planning import Need, Plan


@options.takes_noise
def plan(
    counts: Annotated[str, typer.Option(metavar="COUNT,COUNT,…", help="Votes of the pilot, one a class; the first is "
                                                                      "the class to be certified unless --top says "
                                                                      "otherwise.")],
    radius: Annotated[float, typer.Option(help="Target radius, in the norm and units of the noise; 0 asks for any.")],
    top: Annotated[int, typer.Option(help="Number of the class to be certified, from 0.")] = 0,
    *,
    said: options.SaidNoise,
    alpha: options.Alpha = 1e-3,
    functional: options.Functional = None,
    order: options.Order = None,
    statistic: options.Statistic = "studentized",
    chance: Annotated[float, typer.Option(help="Chance that the radius is reached.")] = 0.9,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws that the chances are judged by.")] = 0,
    json_: options.Json = False,
) -> None:
    """Plan how many samples a radius takes, for this bound and for the baselines.

    The pilot only judges what is likely: its votes do not enter the bound, which is made on new samples alone. They
    may therefore choose the class, and the plan may be ignored, without harm.
    """
    from rsopt.counts import counts_in
    from rsopt.sequential.planning import plan as planned

    found = planned(counts_in(counts), radius, said.noise() or options.SIGMA, alpha, top=top, functional=functional,
                    order=order, statistic=statistic, chance=chance, seed=seed)
    if json_:
        print(json.dumps(found.to_dict()))
    else:
        _print(found)


def _print(found: Plan) -> None:
    from rich.table import Table

    from rsopt.commands.console import PlainConsole
    from rsopt.commands.tables import print_facts
    from rsopt.methods import TITLES

    pilot, own = found.counts, found.needs[0]
    table = Table(title=f"Samples that reach radius {found.radius:g} with probability {found.chance:.0%}",
                  title_justify="left", title_style="bold")
    table.add_column("method", no_wrap=True)
    for name in ("at least", "samples", "chance then", "if the shares\nwere exact"):
        table.add_column(name, justify="right")
    for need in found.needs:
        table.add_row(TITLES[need.method], f"{need.least:,}", _samples(need.n), _chance(need),
                      _samples(need.n_at_shares), style="bold" if need is own else "")
    console = PlainConsole()
    print_facts(console, [
        ("pilot", f"class {pilot.top}: {pilot.x1:,} of {pilot.n:,} votes; runner-up {pilot.runner_up}: {pilot.x2:,}"),
        ("question", f"{found.noise.radius_name} {found.radius:g} under {found.noise.title}; {found.functional}, alpha "
                     f"{found.alpha:g}"),
        ("all abstain", f"below {found.least_to_certify:,} samples, even if all vote for the class"),
        *([("out of reach", f"radius {found.radius:g}, below {own.least:,} samples, even if all vote for the class")]
          if found.radius > 0.0 else [])])
    console.print(table)
    console.print(_verdict(found))


def _samples(n: int | None) -> str:
    return "–" if n is None else f"{n:,}"


def _chance(need: Need) -> str:
    return f"{need.chance:.1%}" if need.n is not None else f"≤ {need.chance:.1%}"


def _verdict(found: Plan) -> str:
    from rsopt.sequential.planning import MOST

    own = found.needs[0]
    if own.n is not None:
        return (f"Draw {own.n:,} new samples. The chance counts in that a pilot of {found.counts.n:,} votes leaves the "
                "class probabilities uncertain; the last column does not.")
    if own.chance >= found.chance:
        why = ("The baselines reach it: choose another --statistic." if any(need.n for need in found.needs) else
               "It is too close to the limit of what these votes allow.")
        return (f"Radius {found.radius:g} cannot be planned for: no number of samples up to {MOST:,} reaches it with "
                f"probability {found.chance:.0%}. {why}")
    largest = "" if own.n_at_shares is None else (f" If the pilot's shares are right, {own.n_at_shares:,} samples do; "
                                                  "a larger pilot would tell.")
    return (f"Radius {found.radius:g} cannot be reached with probability {found.chance:.0%} by any number of "
            f"samples: going by the pilot, the class probabilities allow it with probability "
            f"{own.chance:.1%}.{largest}")
