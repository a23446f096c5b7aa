"""``rsopt certify``: from a model and data to a certified table and its picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsopt.commands.options import Alpha, Functional, Order, Output, Sigma, Solver, Statistic

if TYPE_CHECKING:
    from rich.console import Console

    from rsopt.commands.sources import Source
    from rsopt.runs.certify import Inputs
    from rsopt.runs.rows import Row
    from rsopt.runs.soft_outputs import SoftOutputs
    from rsopt.runs.task import Task
    from rsopt.runs.workers.executors import Workers

SELECTION_SAMPLES = 100


def certify(
    preset: Annotated[str | None, typer.Option(help="Ready model and data: digits (default without --model).")] = None,
    model: Annotated[str | None, typer.Option(help="module:callable that makes a torch model.")] = None,
    weights: Annotated[Path | None, typer.Option(help="State dict for --model; tensors only are loaded.")] = None,
    data: Annotated[str | None, typer.Option(help="module:callable giving (images, labels), or FILE.npz with these "
                                                  "arrays.")] = None,
    classes: Annotated[int | None, typer.Option(help="Columns of the model's output, if it cannot be asked.")] = None,
    inputs: Annotated[int | None, typer.Option(min=1, help="Certify so many inputs; by default all.")] = None,
    skip: Annotated[int, typer.Option(min=1, help="Take every SKIP-th input.")] = 1,
    sigma: Sigma = 0.25,
    n: Annotated[int, typer.Option("--n", help="Samples per input for the bound; with --target-radius or --precision "
                                               "the most an input may take.")] = 2000,
    target_radius: Annotated[list[float] | None, typer.Option(help="Stop as soon as this radius is certified or out of "
                                                                   "reach; may be repeated.")] = None,
    precision: Annotated[str | None, typer.Option(help="Stop as soon as the bound is known to this share of itself, "
                                                       "for example 5%.")] = None,
    spending: Annotated[str | None, typer.Option(help="How the looks of an adaptive run share out alpha: equal, "
                                                      "linear, power, pocock, open-ended or obrien-fleming.")] = None,
    n0: Annotated[int | None, typer.Option("--n0", help="Separate samples that choose the certified class; 100 unless "
                                                        "--label-mode.")] = None,
    label_mode: Annotated[bool, typer.Option("--label-mode", help="Certify the known label instead of a class chosen "
                                                                  "on n0 samples.")] = False,
    alpha: Alpha = 1e-3,
    functional: Functional = "probit",
    order: Order = None,
    statistic: Statistic = "studentized",
    solver: Solver = "scipy",
    scores: Annotated[str | None, typer.Option(help="Bound soft outputs too: softmax, sparsemax or hardmax of the "
                                                    "model's outputs.")] = None,
    temperature: Annotated[str | None, typer.Option(help="What the outputs are divided by before softmax; 'auto' "
                                                         "chooses one for all inputs on the n0 samples.")] = None,
    score_method: Annotated[str | None, typer.Option(help="How scores are bounded: digital-hedge, fast-betting, "
                                                          "drawn-votes, …; digital-hedge by default, and with "
                                                          "--temperature auto chosen together with it.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, …; by default where the model lies. With "
                                                    "workers its type, one device each.")] = None,
    chunk: Annotated[int | None, typer.Option(min=1, help="Rows of one forward pass; the samples depend on it. By "
                                                          "default 250; 50 where sampling may stop early.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Samples in flight; costs memory, changes no result.")] = 1000,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that sample and prove; changes no result. By "
                                                           "default one, on a cluster as many as it has room "
                                                           "for.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Work on Ray: 'ray' finds a cluster or starts one here; "
                                                     "ray://HOST:PORT.")] = None,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="An input that the model cannot take becomes a row "
                                                                  "with its error instead of ending the run.")] = False,
    output: Output = None,
) -> None:
    """Certify a model on data: sample it under noise, prove a radius for every input, write table, proofs and plot.

    Everything is kept as it is made. Interrupted, even killed, the same command goes on where it stopped.
    """
    from rich.console import Console

    from rsopt.commands.sources import Named
    from rsopt.commands.stopping import Asked, described
    from rsopt.runs.task import Task
    from rsopt.runs.workers.executors import Workers
    from rsopt.sequential.levels import Question

    apart = Workers(workers, cluster, device)
    # Workers take the device; the model of this process, which only sends it to them, stays where it is.
    named = Named(preset, model, weights, data, classes, None if apart.apart else device)
    soft = _soft(scores, temperature, score_method, seed)
    asked = Asked(n, alpha, tuple(target_radius or ()), precision, spending, chunk)
    policy = asked.policy(Question(sigma, functional, order))
    task = Task(sigma=sigma, policy=policy, n0=selection_samples(n0, label_mode), functional=functional, order=order,
                statistic=statistic, solver=solver, soft=soft)
    console = Console()
    output = output or named.folder
    source = named.load(sigma)
    chosen = _inputs(source, inputs, skip)
    if source.weights:
        console.print(source.weights, style="yellow", highlight=False, soft_wrap=True)
    console.print(f"[bold]{source.name}[/bold]: {len(chosen.chosen)} inputs, {source.classes} classes, sigma "
                  f"{sigma:g}, n {'at most ' if asked.adaptive else ''}{n:,}, alpha {alpha:g}; {describe(task)}; "
                  f"{described(task)}", highlight=False, soft_wrap=True)
    rows = _rows(console, source, chosen, task, seed=seed, chunk=asked.rows, batch=batch, output=output,
                 keep_going=keep_going, workers=apart)
    report(console, source.name, rows, task, output)


def _soft(scores: str | None, temperature: str | None, method: str | None, seed: int) -> SoftOutputs | None:
    from rsopt.errors import InvalidInputError
    from rsopt.runs.soft_outputs import SoftOutputs

    if scores is None:
        for option, value in (("--temperature", temperature), ("--score-method", method)):
            if value is not None:
                raise InvalidInputError(f"{option} belongs to --scores.")
        return None
    if temperature == "auto":
        from rsopt.scores.temperature import METHODS, TEMPERATURES

        return SoftOutputs(scores, None, method or SoftOutputs.method, TEMPERATURES, () if method else METHODS, seed)
    try:
        given = None if temperature is None else float(temperature)
    except ValueError:
        raise InvalidInputError(f"--temperature must be a positive number or 'auto'; got {temperature!r}.") from None
    return SoftOutputs(scores, given, method or SoftOutputs.method, seed=seed)


def selection_samples(n0: int | None, label_mode: bool) -> int | None:
    """n0 of the run, None in label mode.

    Raises:
        InvalidInputError: both were asked for.
    """
    from rsopt.errors import InvalidInputError

    if label_mode and n0 is not None:
        raise InvalidInputError("--label-mode certifies the known label and draws no selection samples; leave out --n0 "
                                "or --label-mode.")
    return None if label_mode else SELECTION_SAMPLES if n0 is None else n0


def describe(task: Task) -> str:
    """How the certified class is chosen, in words."""
    if task.n0 is None:
        return "the certified class is the known label"
    return f"the certified class is chosen on {task.n0:,} separate samples"


def _inputs(source: Source, limit: int | None, skip: int) -> Inputs:
    from rsopt.runs.certify import Inputs

    chosen = range(0, len(source.data.images), skip)[:limit]
    return Inputs(source.data.images, source.data.labels.tolist(), list(chosen))


def _rows(console: Console, source: Source, chosen: Inputs, task: Task, *, seed: int, chunk: int, batch: int,
          output: Path, keep_going: bool, workers: Workers) -> list[Row]:
    from rsopt.commands.progress import Bar
    from rsopt.runs.certify import certify
    from rsopt.smoothing import SmoothedClassifier

    classifier = SmoothedClassifier(source.model, task.sigma, source.classes, chunk=chunk, batch=batch, progress=False)
    with Bar(console, len(chosen.chosen)) as bar:
        try:
            return certify(classifier, chosen, task, seed=seed, output=output, stop_on_failure=not keep_going,
                           watcher=bar, workers=workers)
        except KeyboardInterrupt:
            typer.echo(f"\nrsopt: interrupted with {bar.rows_finished} of {len(chosen.chosen)} inputs finished. All "
                       f"samples drawn so far are kept in {output}; the same command goes on from there.", err=True)
            raise typer.Exit(130) from None


def _scores_used(output: Path) -> str:
    """Map, temperature and method of a run's bounds on scores, in words."""
    from rsopt.runs.certify import STORE
    from rsopt.runs.store import Store

    with Store.read(output / STORE) as store:
        used = store.facts["scores"]
    at = "" if used["temperature"] is None else f" at temperature {used['temperature']:g}"
    return f"{used['simplex']}{at}, bounded by {used['method']}"


def _choice_of(soft: SoftOutputs) -> str:
    """From what the selection samples chose."""
    if not soft.temperatures:
        return ""
    methods = f" and methods {', '.join(soft.methods)}" if soft.methods else ""
    return (f"; chosen on the selection samples from temperatures {', '.join(f'{t:g}' for t in soft.temperatures)}"
            f"{methods}")


def report(console: Console, name: str, rows: list[Row], task: Task, output: Path) -> None:
    """Prints the summary of a run, draws its plot, and says where everything lies."""
    from rsopt.runs.certify import CERTIFICATES, PLOT, STORE, TABLE
    from rsopt.runs.decisions import decided
    from rsopt.runs.reports.plots import save_plot
    from rsopt.runs.store import Store
    from rsopt.runs.tables import print_facts, print_savings, print_summary
    from rsopt.sequential.adaptive import TargetRadii
    from rsopt.sequential.policy import FixedSamples

    policy, alpha, functional = task.policy, task.policy.alpha, task.functional
    targets = []
    if isinstance(policy, TargetRadii):
        with Store.read(output / STORE) as store:
            targets = decided(store, policy)
    fixed = isinstance(policy, FixedSamples)
    print_summary(console, rows, alpha=alpha, functional=functional, radii=[target.radius for target in targets])
    if not fixed:
        print_savings(console, rows, targets)
    if failed := [row for row in rows if row.error]:
        console.print(f"{len(failed)} inputs failed, the first is {failed[0].idx}: {failed[0].error}", style="red")
    mode = "known labels" if task.n0 is None else f"class chosen on n0 = {task.n0}"
    used = "" if task.soft is None else _scores_used(output)
    below = f"\nscores: {used}" if used else ""
    save_plot(output / PLOT, rows, sigma=task.sigma, alpha=alpha, functional=functional,
              title=f"{name}: {len(rows)} inputs, sigma {task.sigma:g}, n {'' if fixed else 'at most '}"
                    f"{policy.most_samples:,}, alpha {alpha:g}, {mode}{below}")
    print_facts(console, [
        *([] if task.soft is None else [("scores", f"{used}{_choice_of(task.soft)}")]),
        ("table", str(output / TABLE)), ("plot", str(output / PLOT)),
        ("proofs", f"{output / CERTIFICATES} (check them again with: rsopt verify {output})")])
