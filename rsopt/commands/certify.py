"""``rsopt certify``: from a model and data to a certified table and its picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rsopt.commands import options

if TYPE_CHECKING:
    from rsopt.runs.soft_outputs import SoftOutputs

SELECTION_SAMPLES = 100


def certify(
    preset: options.Preset = None, model: options.Model = None, weights: options.Weights = None,
    data: options.Data = None, classes: options.Classes = None, inputs: options.Inputs = None, skip: options.Skip = 1,
    sigma: options.Sigma = None, noise: options.NoiseName = None, scale: options.Scale = None,
    keep: options.Keep = None, positions: options.Positions = None, probability: options.Deleted = None,
    add: options.Add = None, remove: options.Remove = None, grid: options.Grid = None, n: options.Samples = 2000,
    target_radius: options.TargetRadius = None, precision: options.Precision = None, spending: options.Spending = None,
    n0: options.SelectionSamples = None, label_mode: options.LabelMode = False, alpha: options.Alpha = 1e-3,
    functional: options.Functional = None,
    order: options.Order = None, statistic: options.Statistic = "studentized", solver: options.Solver = "scipy",
    scores: options.Scores = None, temperature: options.Temperature = None, score_method: options.ScoreMethod = None,
    seed: options.Seed = 0, device: options.Device = None, chunk: options.Chunk = None, batch: options.Batch = None,
    workers: options.WorkerCount = None, cluster: options.Cluster = None, keep_going: options.KeepGoing = False,
    output: options.Output = None,
) -> None:
    """Certify a model on data: sample it under noise, prove a radius for every input, write table, proofs and plot.

    Everything is kept as it is made. Interrupted, even killed, the same command goes on where it stopped.
    """
    from rsopt.commands.certifying import Sampling, certified, report
    from rsopt.commands.sources import Named
    from rsopt.commands.stopping import Asked
    from rsopt.noise import Gaussian
    from rsopt.noise.options import noise_of_options, with_grid
    from rsopt.noise.registry import grid_of_facts
    from rsopt.question import Question
    from rsopt.runs.folder import STORE
    from rsopt.runs.store import facts_of
    from rsopt.runs.task import Task
    from rsopt.runs.workers.executors import Workers

    apart = Workers(workers, cluster, device)
    # Workers take the device; the model of this process, which only sends it to them, stays where it is.
    named = Named(preset, model, weights, data, classes, None if apart.apart else device)
    output = output or named.folder
    said = noise_of_options(noise, {"sigma": sigma, "scale": scale, "keep": keep, "positions": positions,
                                    "probability": probability, "add": add, "remove": remove})
    given = with_grid(said or Gaussian(options.SIGMA), grid, None)
    source = named.load(given)
    begun = facts_of(output / STORE)
    if grid is None:
        # A run that is there goes on as it was begun.
        given = with_grid(given, None, grid_of_facts(begun) if begun else source.step)
    question = Question(given.fitted(tuple(source.data.images[0].shape)), functional, order, statistic=statistic,
                        alpha=alpha, solver=solver)
    asked = Asked(n, tuple(target_radius or ()), precision, spending, chunk or begun.get("sampling.chunk"))
    soft = soft_outputs(scores, temperature, score_method, seed)
    task = Task(question, asked.policy(question), selection_samples(n0, label_mode), soft)
    sampling = Sampling(seed, asked.rows, batch, stop_on_failure=not keep_going, workers=apart)
    report(source.name, certified(source, source.inputs(inputs, skip), task, sampling, output), task, output)


def soft_outputs(scores: str | None, temperature: str | None, method: str | None, seed: int) -> SoftOutputs | None:
    """What was asked about soft outputs; None for votes alone.

    Raises:
        InvalidInputError: options without --scores, or a temperature that is none.
        UnknownNameError: no such method.
    """
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
