"""What ``rsopt certify`` does once it is clear what was asked: it samples and proves, and says what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import typer
from rich.text import Text

from rsopt.commands.console import PlainConsole
from rsopt.commands.progress import Bar
from rsopt.commands.sources import Source
from rsopt.commands.stopping import described
from rsopt.commands.tables import print_facts, print_savings, print_summary
from rsopt.commands.terminal import warn
from rsopt.runs.certify import certify
from rsopt.runs.decisions import decided
from rsopt.runs.folder import CERTIFICATES, PLOT, STORE, TABLE
from rsopt.runs.inputs import Inputs
from rsopt.runs.reports.plots import save_plot
from rsopt.runs.results import Results
from rsopt.runs.rows import Row
from rsopt.runs.soft_outputs import SoftOutputs
from rsopt.runs.store import Store, facts_of
from rsopt.runs.task import VARIATION, Task
from rsopt.runs.workers.executors import Workers
from rsopt.sequential.adaptive import TargetRadii
from rsopt.sequential.policy import FixedSamples
from rsopt.smoothing.classifier import BATCH, CHUNK, SmoothedClassifier


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


def certified(source: Source, inputs: Inputs, task: Task, sampling: Sampling, output: Path) -> list[Row]:
    """Says what will be done, and does it under a bar; errors as in `rsopt.runs.certify.certify`."""
    console, question = PlainConsole(), task.question
    if source.weights:
        console.print(source.weights, style="yellow", soft_wrap=True)
    what = (f": {len(inputs.chosen)} inputs, {source.classes} classes, {question.noise.title}, n {_most(task)}, "
            f"alpha {question.alpha:g}; {_class_chosen(task)}; {described(task)}")
    console.print(Text.assemble((source.name, "bold"), what), soft_wrap=True)
    classifier = SmoothedClassifier(source.model, question.noise, source.classes, chunk=sampling.chunk or CHUNK,
                                    batch=sampling.batch or BATCH, progress=False)
    with Bar(console, len(inputs.chosen)) as bar:
        try:
            return certify(classifier, inputs, task, seed=sampling.seed, output=output, title=source.name,
                           stop_on_failure=sampling.stop_on_failure, watcher=bar, workers=sampling.workers)
        except KeyboardInterrupt:
            warn(f"\nrsopt: interrupted with {bar.rows_finished} of {len(inputs.chosen)} inputs finished. All "
                 f"samples drawn so far are kept in {output}; the same command goes on from there.")
            raise typer.Exit(130) from None


def report(name: str, rows: list[Row], task: Task, output: Path) -> None:
    """Prints the summary of a run, draws its plot, and says where everything lies."""
    console, policy, results = PlainConsole(), task.policy, Results(rows, task.question)
    targets = []
    if isinstance(policy, TargetRadii):
        with Store.read(output / STORE) as store:
            targets = decided(store, policy)
    print_summary(console, results, [target.radius for target in targets])
    if not isinstance(policy, FixedSamples):
        print_savings(console, rows, targets)
    if failed := [row for row in rows if row.error]:
        console.print(f"{len(failed)} inputs failed, the first is {failed[0].idx}: {failed[0].error}", style="red")
    mode = "known labels" if task.n0 is None else f"class chosen on n0 = {task.n0}"
    used = "" if task.soft is None else _scores_used(output)
    below = f"\nscores: {used}" if used else ""
    save_plot(output / PLOT, results, f"{name}: {len(rows)} inputs, {results.noise.title}, n {_most(task)}, alpha "
                                      f"{results.alpha:g}, {mode}{below}")
    print_facts(console, [
        *_noise_facts(output),
        *([] if task.soft is None else [("scores", f"{used}{_choice_of(task.soft)}")]),
        ("table", str(output / TABLE)), ("plot", str(output / PLOT)),
        ("proofs", f"{output / CERTIFICATES} (check them again with: rsopt verify {quote(str(output))})")])


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
