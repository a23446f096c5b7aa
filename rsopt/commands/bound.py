"""``rsopt bound``: the proven bound for one vector of counts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsopt.commands import options
from rsopt.errors import InvalidInputError

if TYPE_CHECKING:
    from rsopt.bound import Bound
    from rsopt.noise import Noise

# A negative count is to be refused in our own words, not taken for an option.
CONTEXT = {"ignore_unknown_options": True}

STATISTIC, SOLVER = "studentized", "scipy"
NO_CERTIFICATE = ("none: this bound is a formula, every rounding to the safe side; 'rsopt verify' has nothing to "
                  "check, the same command computes it again")
FIRST = "the first count"
GIVEN = "--top"


@options.takes_noise
def bound(
    counts: Annotated[list[str], typer.Argument(help="Votes per class; the first is the certified class unless --top "
                                                     "says otherwise.", metavar="COUNT...")],
    top: Annotated[int | None, typer.Option(help="Number of the certified class among the counts, from 0.")] = None,
    functional: options.Functional = None,
    order: options.Order = None,
    statistic: options.Statistic = STATISTIC,
    alpha: options.Alpha = 1e-3,
    solver: options.Solver = SOLVER,
    *,
    said: options.SaidNoise,
    json_: options.Json = False,
    output: Annotated[Path | None, typer.Option(help="Save the certificate to this file.")] = None,
    anytime: Annotated[bool, typer.Option("--anytime", help="A bound that is valid however often you look at the "
                                                            "growing counts: draw more whenever it falls short, all "
                                                            "at one alpha.")] = False,
    selection: Annotated[str | None, typer.Option(metavar="COUNT,COUNT,…", help="With --anytime: votes of the separate "
                                                  "samples that chose the class. They sharpen the bound; say the same "
                                                  "at every look.")] = None,
) -> None:
    """Bound the margin of the certified class from its votes, with proof.

    The certified class must be a known label or chosen on other samples, never the winner of these very counts.

    The bound is valid for a number of samples that was fixed in advance. To look at the counts and decide whether to
    draw more, use --anytime from the first look on: P(any of these bounds is ever wrong) <= alpha, for margin and
    probit. At one look it is smaller than the other bound; never take the larger of the two.
    """
    from rsopt.bounding import lower_bound
    from rsopt.counts import counts_in
    from rsopt.functionals import as_functional

    if unknown := [text for text in counts if text.startswith("--")]:
        raise typer.BadParameter(f"No such option: {unknown[0]}.")
    asked = said.noise()
    if asked is not None:
        # What cannot become a radius is refused before anything is bounded.
        functional = functional or asked.functionals[0]
        asked.radius(as_functional(functional, order), 0.0)
    functional = functional or "probit"
    votes, certified = counts_in(" ".join(counts)), 0 if top is None else top
    if anytime:
        _refuse_unused(order, statistic, solver, output)
        found = _anytime(votes, certified, functional, alpha, selection)
    elif selection is not None:
        raise InvalidInputError("--selection centres the mixture of --anytime; without that option leave it out.")
    else:
        found = lower_bound(votes, top=certified, functional=functional, order=order, statistic=statistic, alpha=alpha,
                            solver=solver)
    chosen = FIRST if top is None else GIVEN
    radius = None if asked is None else found.radius(asked)
    if output is not None:
        found.certificate.save(output)
    if json_:
        print(json.dumps(as_json(found, None if anytime else solver, chosen, asked, radius)))
    else:
        _print(found, chosen, asked, radius, output)


def as_json(found: Bound, solver: str | None, chosen: str, noise: Noise | None, radius: float | None
            ) -> dict[str, Any]:
    """The bound, how its top was chosen, and the radius if a noise was given, as JSON values."""
    # The name that was asked for, which a program can compare; its fields beside it.
    content = {**found.to_dict(), "solver": solver, "solver_fields": found.solver, "top_chosen": chosen,
               "anytime": solver is None}
    if solver is None:
        content |= {"certificate": None, "why_no_certificate": NO_CERTIFICATE}
    if noise is not None:
        from rsopt.noise.registry import noise_facts

        content |= {**noise_facts(noise), "radius": radius, "norm": noise.norm}
    return content


def _anytime(votes: list[int], top: int, functional: str, alpha: float, selection: str | None) -> Bound:
    from rsopt.counts import counts_in
    from rsopt.sequential.e_process import DirichletMixture, e_process_bound

    centre = () if selection is None else tuple(counts_in(selection))
    return e_process_bound(votes, top, functional=functional, alpha=alpha, mixture=DirichletMixture(selection=centre))


def _refuse_unused(order: int | None, statistic: str, solver: str, output: Path | None) -> None:
    given = {"--order": order is not None, "--statistic": statistic != STATISTIC, "--solver": solver != SOLVER,
             "--output": output is not None}
    if unused := [name for name, was_given in given.items() if was_given]:
        raise InvalidInputError(f"--anytime is a formula without statistic, solver and certificate; leave out "
                                f"{', '.join(unused)}.")


def _print(found: Bound, chosen: str, noise: Noise | None, radius: float | None, output: Path | None) -> None:
    from rsopt.commands.console import PlainConsole
    from rsopt.commands.tables import print_facts

    votes = found.counts
    facts = [("certified class", f"{votes.top} (from {chosen}): {votes.x1:,} of {votes.n:,} votes; runner-up "
                                 f"{votes.runner_up}: {votes.x2:,}; all others: {votes.n - votes.x1 - votes.x2:,}"),
             ("quantity", f"{found.functional.name}, {_how(found)}, alpha {found.alpha:g}"),
             ("lower bound", _lower(found))]
    if math.isfinite(found.lower_at_most):
        facts.append(("at most", f"{found.lower_at_most:.6f}: a witness rules out any larger exact bound"))
    if noise is not None and radius is not None:
        said = f"{radius:.6f} ({noise.norm}, {noise.setting})" if radius > 0 else "0"
        facts.append(("radius", f"{said}: abstain" if found.abstain else said))
    if found.solver is None:
        facts.append(("certificate", NO_CERTIFICATE))
    else:
        facts.append(("solver",
                      f"{found.solver}; {found.evaluations:,} tail evaluations, {found.seconds * 1e3:.0f} ms"))
    if output is not None:
        facts.append(("certificate", f"{output} (check it with: rsopt verify {quote(str(output))})"))
    if found.message:
        facts.append(("note", found.message))
    print_facts(PlainConsole(), facts)


def _how(found: Bound) -> str:
    return found.method if found.statistic is None else f"statistic {found.statistic}"


def _lower(found: Bound) -> str:
    status = "proven" if found.proven else "not proven"
    if found.abstain:
        return f"{found.lower:.6f}, {status}: not positive, so abstain"
    return f"{found.lower:.6f}, {status}"
