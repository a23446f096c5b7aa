"""``rsopt zoo``: the worst cases of the zoo as files, a benchmark for other people's solvers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rsopt.errors import MissingDependencyError, RefusedError
from rsopt.files import made_folder, write_text


def zoo(
    folder: Annotated[Path, typer.Argument(help="Folder to write to; it is made if need be.")],
    most_terms: Annotated[int, typer.Option(help="Write out only problems with at most so many monomials.")] = 20_000,
    nl: Annotated[bool, typer.Option(help="Write AMPL .nl files too (needs Pyomo).")] = True,
) -> None:
    """Write the zoo to a folder: index.json with every proven bracket, term lists as JSON, models as AMPL .nl.

    Beside each .nl lies the best point known (.p1.sol); index.csv holds sizes, convexity, primal and dual bounds.
    """
    from rsopt.commands.console import PlainConsole
    from rsopt.solving.exports import writable, write_terms
    from rsopt.testing.instance import write_index, write_instance
    from rsopt.testing.zoo import zoo as problems

    index, instances = [], []
    made_folder(folder)
    # Why there is no .nl of a problem: nothing that is missing is asked for twice, and a refusal is of one problem.
    missing, refused = "", dict[str, int]()
    for case in problems():
        counts, p = case.problem.counts, case.problem
        known = {"tail_at_least": case.bracket.at_least, "tail_at_most": case.bracket.at_most,
                 "point": case.bracket.point.tolist(), "place": case.place}
        entry: dict[str, object] = {
            "name": case.name, "n": counts.n, "x1": counts.x1, "x2": counts.x2, "functional": p.functional.name,
            "order": getattr(p.functional, "order", None), "statistic": p.statistic.name, "alpha": p.alpha,
            "least_q1": case.worst_case.domain.least_q1, "level": case.level,
            "monomials": case.worst_case.tail_set.size(), "known": known, "terms": None, "nl": None,
            "instance": None}
        if writable(case.worst_case, most_terms) is None:
            write_terms(case.worst_case, folder / f"{case.name}.json", known)
            entry["terms"] = f"{case.name}.json"
            if nl and not missing:
                try:
                    instances.append(write_instance(case, folder))
                    entry |= {"nl": f"{case.name}.nl", "instance": instances[-1].to_dict()}
                except MissingDependencyError as error:
                    missing = str(error)
                except RefusedError as error:
                    refused[str(error)] = refused.get(str(error), 0) + 1
        index.append(entry)
    write_text(folder / "index.json", json.dumps(index, indent=1, allow_nan=False) + "\n", "The index")
    if instances:
        write_index(instances, folder / "index.csv")
    written = [sum(entry[kind] is not None for entry in index) for kind in ("terms", "nl")]
    console = PlainConsole()
    console.print(f"{len(index)} problems in {folder}/index.json; {written[0]} as term lists, {written[1]} as .nl. "
                  f"Larger ones are stated by their counts alone.", soft_wrap=True)
    if instances:
        console.print(f"Beside each .nl lies the best point known, .p1.sol; sizes, primal and dual bounds are in "
                      f"{folder}/index.csv.", soft_wrap=True)
    if missing:
        console.print(missing, soft_wrap=True)
    for reason, problems_refused in refused.items():
        console.print(f"No .nl of {problems_refused}: {reason}", soft_wrap=True)
