"""``rsopt bound``: the proven bound for one vector of counts, or for each of many."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsopt.commands import options
from rsopt.errors import InvalidInputError

if TYPE_CHECKING:
    from rsopt.bound import Bound
    from rsopt.noise import Noise
    from rsopt.two_sided import MarginInterval

# A negative count is to be refused in our own words, not taken for an option.
CONTEXT = {"ignore_unknown_options": True}

STATISTIC, SOLVER = "studentized", "scipy"
NO_CERTIFICATE = ("none: this bound is a formula, every rounding to the safe side; 'rsopt verify' has nothing to "
                  "check, the same command computes it again")
FIRST = "the first count"
GIVEN = "--top"


@options.takes_noise
def bound(
    counts: Annotated[list[str] | None, typer.Argument(help="Votes per class; the first is the certified class unless "
                                                            "--top says otherwise.", metavar="COUNT...")] = None,
    top: Annotated[int | None, typer.Option(help="Number of the certified class among the counts, from 0.")] = None,
    functional: options.Functional = None,
    order: options.Order = None,
    statistic: options.Statistic = STATISTIC,
    alpha: options.Alpha = 1e-3,
    solver: options.Solver = SOLVER,
    *,
    said: options.SaidNoise,
    json_: options.Json = False,
    output: Annotated[Path | None, typer.Option(help="Save the certificate to this file; with --file the table, as "
                                                     "CSV.")] = None,
    rival: Annotated[int | None, typer.Option(help="Number of one other class, fixed without these votes, to bound the "
                                                   "margin against; by default all others.")] = None,
    two_sided: Annotated[bool, typer.Option("--two-sided", help="An interval, alpha/2 on each side. Without --rival "
                                                                "the upper limit pays for the choice of the "
                                                                "runner-up.")] = False,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="Bound every row of votes in this file instead: "
                                              "CSV, a column a class (c0, c1, … where it has a header, and 'top' for "
                                              "the certified class), .npy or .npz.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes to prove in, with --file.")] = os.cpu_count() or 1,
    anytime: Annotated[bool, typer.Option("--anytime", help="A bound that is valid however often you look at the "
                                                            "growing counts: draw more whenever it falls short, all "
                                                            "at one alpha.")] = False,
    selection: Annotated[str | None, typer.Option(metavar="COUNT,COUNT,…", help="With --anytime: votes of the separate "
                                                  "samples that chose the class. They sharpen the bound; say the same "
                                                  "at every look.")] = None,
) -> None:
    """Bound the margin of the certified class from its votes, with proof; with --file for many rows of votes.

    The certified class must be a known label or chosen on other samples, never the winner of these very counts.

    The bound is valid for a number of samples that was fixed in advance. To look at the counts and decide whether to
    draw more, use --anytime from the first look on: P(any of these bounds is ever wrong) <= alpha, for margin and
    probit. At one look it is smaller than the other bound; never take the larger of the two.
    """
    from rsopt.bounding import lower_bound
    from rsopt.counts import Counts, counts_in
    from rsopt.functionals import as_functional

    given = counts or []
    if unknown := [text for text in given if text.startswith("--")]:
        raise typer.BadParameter(f"No such option: {unknown[0]}.")
    if bool(given) == (file is not None):
        raise typer.BadParameter("Give the votes, one count a class, or --file with many rows of them.")
    asked = said.noise()
    if asked is not None:
        _refuse_beside("A radius needs the margin against all other classes", {"--rival": rival is not None})
        # What cannot become a radius is refused before anything is bounded.
        functional = functional or asked.functionals[0]
        asked.radius(as_functional(functional, order), 0.0)
    functional = functional or "probit"
    if selection is not None and not anytime:
        raise InvalidInputError("--selection centres the mixture of --anytime; without that option leave it out.")
    if anytime:
        _refuse_beside("--anytime is a formula without statistic, solver and certificate, for all rivals", {
            "--order": order is not None, "--statistic": statistic != STATISTIC, "--solver": solver != SOLVER,
            "--output": output is not None, "--rival": rival is not None, "--two-sided": two_sided,
            "--file": file is not None})
    if file is not None:
        from rsopt.commands.bound_file import bound_file

        _refuse_beside("--file gives the lower bound of each row against all other classes", {
            "--rival": rival is not None, "--two-sided": two_sided})
        bound_file(file, top, jobs=jobs, functional=functional, order=order, statistic=statistic, alpha=alpha,
                   solver=solver, noise=asked, json_=json_, output=output)
        return
    votes = Counts(counts_in(" ".join(given)), 0 if top is None else top, rival)
    chosen = FIRST if top is None else GIVEN
    if two_sided:
        from rsopt.two_sided import margin_interval

        _refuse_beside("--two-sided ends in two proofs, which rsopt.margin_interval gives in Python", {
            "--output": output is not None})
        both = margin_interval(votes, functional=functional, order=order, statistic=statistic, alpha=alpha,
                               solver=solver)
        found = both.lower_bound
    elif anytime:
        found = _anytime(list(votes.votes), votes.top, functional, alpha, selection)
    else:
        found = lower_bound(votes, functional=functional, order=order, statistic=statistic, alpha=alpha, solver=solver)
    radius = None if asked is None else found.radius(asked)
    if output is not None:
        found.certificate.save(output)
    if json_:
        content = as_json(found, None if anytime else solver, chosen, asked, radius)
        print(json.dumps(content | _two_sided_json(both) if two_sided else content))
    else:
        _print(found, chosen, asked, radius, output, both if two_sided else None)


def as_json(found: Bound, solver: str | None, chosen: str, noise: Noise | None, radius: float | None
            ) -> dict[str, Any]:
    """The bound, how its top was chosen, and the radius if a noise was given, as JSON values."""
    # The name that was asked for, which a program can compare; its fields beside it.
    content = {**found.to_dict(), "solver": solver, "solver_fields": found.solver, "top_chosen": chosen,
               "rival": found.counts.rival, "anytime": solver is None}
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


def _refuse_beside(why: str, given: dict[str, bool]) -> None:
    """Refuses the options that were given of those that have no meaning here."""
    if unused := [name for name, was_given in given.items() if was_given]:
        raise InvalidInputError(f"{why}; leave out {', '.join(unused)}.")


def _two_sided_json(both: MarginInterval) -> dict[str, Any]:
    """What an interval adds to its lower bound, whose alpha is half of the interval's."""
    said = both.upper_bound.to_dict()
    return {"interval_alpha": both.alpha, "upper": said["upper"], "upper_at_least": said["upper_at_least"],
            "rivals": said["rivals"], "upper_bound": said["exchanged"]}


def _print(found: Bound, chosen: str, noise: Noise | None, radius: float | None, output: Path | None,
           both: MarginInterval | None) -> None:
    from rsopt.commands.console import PlainConsole
    from rsopt.commands.tables import print_facts

    votes = found.counts
    second = "runner-up" if votes.rival is None else "rival"
    facts = [("certified class", f"{votes.top} (from {chosen}): {votes.x1:,} of {votes.n:,} votes; {second} "
                                 f"{votes.runner_up}: {votes.x2:,}; all others: {votes.n - votes.x1 - votes.x2:,}"),
             ("quantity", f"{found.functional.name}, {_how(found)}, alpha {found.alpha:g}"),
             ("lower bound", _lower(found))]
    if both is not None:
        facts.append(("upper bound", _upper(both)))
        facts.append(("both hold", f"with probability at least 1 - {both.alpha:g}, each at half of it"))
    if both is None and math.isfinite(found.lower_at_most):
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


def _upper(both: MarginInterval) -> str:
    upper = both.upper_bound
    paid = "" if upper.rivals == 1 else f"; the runner-up is one of {upper.rivals} rivals, who share the alpha"
    return f"{upper.upper:.6f}, {'proven' if upper.proven else 'not proven'}{paid}"
