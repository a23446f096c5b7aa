"""What ``rsopt certify`` does once it is clear what was asked: it samples and proves, and says what came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from rsopt.commands.console import PlainConsole
from rsopt.commands.folders import number
from rsopt.commands.progress import Bar
from rsopt.commands.sources import Named, Source
from rsopt.commands.stopping import Asked, described
from rsopt.commands.tables import print_facts, print_savings, print_summary, print_sweep
from rsopt.commands.terminal import warn
from rsopt.noise import Noise
from rsopt.noise.gaussian import the_sigma
from rsopt.noise.options import with_grid
from rsopt.noise.registry import grid_of_facts
from rsopt.question import Question
from rsopt.runs.certify import certify
from rsopt.runs.decisions import Decided, decided
from rsopt.runs.folder import CERTIFICATES, PLOT, STORE, SWEEP_PLOT, SWEEP_TABLE, TABLE
from rsopt.runs.inputs import Inputs
from rsopt.runs.reports.plots import save_plot, save_sweep_plot
from rsopt.runs.results import Results
from rsopt.runs.rows import Row
from rsopt.runs.soft_outputs import SoftOutputs
from rsopt.runs.store import Store, facts_of
from rsopt.runs.sweep import Sweep
from rsopt.runs.task import VARIATION, Task
from rsopt.runs.workers.executors import Workers
from rsopt.sequential.adaptive import TargetRadii
from rsopt.sequential.policy import FixedSamples
from rsopt.smoothing.classifier import BATCH, CHUNK, SmoothedClassifier

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Asking:
    """What is asked of every run of a command, whatever its noise.

    Attributes:
        functional, order, statistic, alpha, solver: as in `Question`.
        n0, soft: as in `Task`.
    """

    functional: str | None
    order: int | None
    statistic: str
    alpha: float
    solver: str
    n0: int | None
    soft: SoftOutputs | None

    def task(self, noise: Noise, shape: tuple[int, ...], stopping: Asked) -> Task:
        """The task of the run under one noise, for inputs of this shape; errors as in `Question` and `Task`."""
        question = Question(noise.fitted(shape), self.functional, self.order, statistic=self.statistic,
                            alpha=self.alpha, solver=self.solver)
        return Task(question, stopping.policy(question), self.n0, self.soft)


@dataclass(frozen=True)
class Sampling:
    """How a model is sampled.

    Attributes:
        seed: seed of the noise.
        chunk, batch: as in `SmoothedClassifier`; None for its own.
        stop_on_failure: whether an input that the model cannot take ends the run.
        workers: who samples and proves.
    """

    seed: int
    chunk: int | None
    batch: int | None
    stop_on_failure: bool
    workers: Workers


def certify_all(named: Named, noises: Sequence[Noise], grid: str | None, asking: Asking, stopping: Asked,
                sampling: Sampling, chosen: tuple[int | None, int], folder: Path, as_json: bool) -> None:
    """A run under each noise, in `folder` or, where there are several, in one folder below it each; all are told of.

    Everything that can be refused is refused for all of them before the first is begun.

    Args:
        named: model and data.
        noises: the noises; the digits network is trained under each.
        grid: as the option says it; None for that of the run which is continued, else that of the data.
        asking: what is asked.
        stopping: when sampling stops.
        sampling: how the model is sampled.
        chosen: at most so many inputs, every so many-th.
        folder: where to.
        as_json: whether stdout gets one JSON object; what is said on the way then goes to stderr.

    Raises:
        RsoptError: as in `rsopt.runs.certify.certify` and `Named.load`.
    """
    console = PlainConsole(stderr=as_json)
    if grid is not None:
        # Refused, where it has no meaning, before anything is loaded.
        noises = [with_grid(noise, grid, None) for noise in noises]
    source = named.load(noises[0])
    several = len(noises) > 1
    # Only Gaussian noise is swept over.
    folders = [folder / f"sigma-{number(the_sigma(noise))}" if several else folder for noise in noises]
    # A run that is there goes on as it was begun.
    begun = [facts_of(place / STORE) for place in folders]
    asked = [replace(stopping, chunk=stopping.chunk or facts.get("sampling.chunk")) for facts in begun]
    steps = [grid_of_facts(facts) if facts else source.step for facts in begun]
    tasks = [asking.task(noise if grid is not None else with_grid(noise, None, step), source.shape, one)
             for noise, step, one in zip(noises, steps, asked, strict=True)]
    told, found = [], []
    for noise, task, one, place in zip(noises, tasks, asked, folders, strict=True):
        source = named.under(noise, source)
        rows = certified(console, source, source.inputs(*chosen), task, replace(sampling, chunk=one.rows), place)
        results = Results(rows, task.question)
        found.append(results)
        told.append(report(None if as_json or several else console, source.name, results, task, place))
    if several:
        sweep = Sweep(found)
        sweep.write(folder / SWEEP_TABLE)
        save_sweep_plot(folder / SWEEP_PLOT, sweep, f"{source.name}: {len(found[0].rows)} inputs, n {_most(tasks[0])}, "
                                                    f"alpha {found[0].alpha:g}")
        if not as_json:
            print_sweep(console, sweep)
            print_facts(console, [
                *((run.noise.setting, f"{place} (check its proofs again with: rsopt verify {quote(str(place))})")
                  for run, place in zip(found, folders, strict=True)),
                ("curves", str(folder / SWEEP_TABLE)), ("picture", str(folder / SWEEP_PLOT))])
    if as_json:
        print(json.dumps({"runs": told, "table": str(folder / SWEEP_TABLE), "plot": str(folder / SWEEP_PLOT),
                          "sweep": sweep.to_dict()} if several else told[0], allow_nan=False))


def certified(console: Console, source: Source, inputs: Inputs, task: Task, sampling: Sampling, output: Path
              ) -> list[Row]:
    """Says what will be done, and does it under a bar; errors as in `rsopt.runs.certify.certify`."""
    question = task.question
    if source.weights:
        console.print(source.weights, style="yellow", soft_wrap=True)
    what = (f": {len(inputs.chosen)} inputs, {source.classes} classes, {question.noise.title}, n {_most(task)}, "
            f"alpha {question.alpha:g}; {_class_chosen(task)}; {described(task)}")
    console.print(Text.assemble((source.name, "bold"), what), soft_wrap=True)
    classifier = SmoothedClassifier(source.model, question.noise, source.classes, chunk=sampling.chunk or CHUNK,
                                    batch=sampling.batch or BATCH, progress=False)
    with Bar(console, len(inputs.chosen), f"{source.name}, {question.noise.setting}") as bar:
        try:
            return certify(classifier, inputs, task, seed=sampling.seed, output=output, title=source.name,
                           stop_on_failure=sampling.stop_on_failure, watcher=bar, workers=sampling.workers)
        except KeyboardInterrupt:
            warn(f"\nrsopt: interrupted with {bar.rows_finished} of {len(inputs.chosen)} inputs finished. All "
                 f"samples drawn so far are kept in {output}; the same command goes on from there.")
            raise typer.Exit(130) from None


def report(console: Console | None, name: str, results: Results, task: Task, output: Path) -> dict[str, Any]:
    """Draws the plot of a run, prints its summary and where everything lies, and returns the same as JSON values.

    Args:
        console: where to print; None for nowhere.
        name: model and data in words.
        results: the table.
        task: what was asked.
        output: the folder of the run.
    """
    policy, targets = task.policy, list[Decided]()
    if isinstance(policy, TargetRadii):
        with Store.read(output / STORE) as store:
            targets = decided(store, policy)
    mode = "known labels" if task.n0 is None else f"class chosen on n0 = {task.n0}"
    used = "" if task.soft is None else _scores_used(output)
    below = f"\nscores: {used}" if used else ""
    save_plot(output / PLOT, results, f"{name}: {len(results.rows)} inputs, {results.noise.title}, n {_most(task)}, "
                                      f"alpha {results.alpha:g}, {mode}{below}")
    radii = [target.radius for target in targets]
    if console is not None:
        print_summary(console, results, radii)
        if not isinstance(policy, FixedSamples):
            print_savings(console, results.rows, targets)
        if failed := [row for row in results.rows if row.error]:
            console.print(f"{len(failed)} inputs failed, the first is {failed[0].idx}: {failed[0].error}", style="red")
        print_facts(console, [
            *_noise_facts(output),
            *([] if task.soft is None else [("scores", f"{used}{_choice_of(task.soft)}")]),
            ("table", str(output / TABLE)), ("plot", str(output / PLOT)),
            ("proofs", f"{output / CERTIFICATES} (check them again with: rsopt verify {quote(str(output))})")])
    return {"name": name, "folder": str(output), "table": str(output / TABLE), "plot": str(output / PLOT),
            "certificates": str(output / CERTIFICATES), "n": policy.most_samples, "n0": task.n0,
            "scores": used or None, "targets": [asdict(target) for target in targets], **results.to_dict(radii)}


def _noise_facts(output: Path) -> list[tuple[str, str]]:
    """What the draws take of alpha, where they take any."""
    taken = facts_of(output / STORE).get(VARIATION, 0.0)
    return [] if taken == 0.0 else [("noise", f"whole steps, drawn exactly but for {taken:.2g} in total variation over "
                                              "all draws for an input, which is subtracted from alpha")]


def _most(task: Task) -> str:
    return f"{'' if isinstance(task.policy, FixedSamples) else 'at most '}{task.policy.most_samples:,}"


def _class_chosen(task: Task) -> str:
    return ("the certified class is the known label" if task.n0 is None else
            f"the certified class is chosen on {task.n0:,} separate samples")


def _scores_used(output: Path) -> str:
    """Map, temperature and method of a run's bounds on scores, in words."""
    used = facts_of(output / STORE)["scores"]
    at = "" if used["temperature"] is None else f" at temperature {used['temperature']:g}"
    return f"{used['simplex']}{at}, bounded by {used['method']}"


def _choice_of(soft: SoftOutputs) -> str:
    """From what the selection samples chose."""
    if not soft.temperatures:
        return ""
    methods = f" and methods {', '.join(soft.methods)}" if soft.methods else ""
    return (f"; chosen on the selection samples from temperatures {', '.join(f'{t:g}' for t in soft.temperatures)}"
            f"{methods}")
