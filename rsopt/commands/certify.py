"""``rsopt certify``: from a model and data to a certified table and its picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from rsopt.commands import options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rsopt.noise import Noise
    from rsopt.runs.soft_outputs import SoftOutputs

T = TypeVar("T")

SELECTION_SAMPLES = 100
N, ALPHA, STATISTIC, SOLVER = 2000, 1e-3, "studentized", "scipy"

Sigmas = Annotated[list[str] | None, typer.Option("--sigma", help="Standard deviation of Gaussian noise, in the units "
                                                                  "of the input. Several, as in --sigma .12,.25,.5 or "
                                                                  "--sigma .12 --sigma .25, are a sweep: a run for "
                                                                  "each, one table and one picture for all.")]


@options.takes_noise
def certify(
    preset: options.Preset = None, model: options.Model = None, weights: options.Weights = None,
    data: options.Data = None, classes: options.Classes = None, inputs: options.Inputs = None, skip: options.Skip = 1,
    sigma: Sigmas = None, *, said: options.SaidNoise, grid: options.Grid = None, n: options.Samples = N,
    target_radius: options.TargetRadius = None, precision: options.Precision = None, spending: options.Spending = None,
    give_up: options.GiveUp = None,
    n0: options.SelectionSamples = None, label_mode: options.LabelMode = False, alpha: options.Alpha = ALPHA,
    functional: options.Functional = None,
    order: options.Order = None, statistic: options.Statistic = STATISTIC, solver: options.Solver = SOLVER,
    scores: options.Scores = None, temperature: options.Temperature = None, score_method: options.ScoreMethod = None,
    seed: options.Seed = 0, device: options.Device = None, chunk: options.Chunk = None, batch: options.Batch = None,
    workers: options.WorkerCount = None, cluster: options.Cluster = None, keep_going: options.KeepGoing = False,
    json_: options.Json = False, output: options.Output = None,
) -> None:
    """Certify a model on data: sample it under noise, prove a radius for every input, write table, proofs and plot.

    Everything is kept as it is made. Interrupted, even killed, the same command goes on where it stopped.
    """
    from rsopt.commands.certifying import Asking, Sampling, certify_all
    from rsopt.commands.folders import default_folder, number
    from rsopt.commands.sources import Named
    from rsopt.commands.stopping import Asked
    from rsopt.noise import Gaussian
    from rsopt.runs.workers.executors import Workers

    apart = Workers(workers, cluster, device)
    # Workers take the device; the model of this process, which only sends it to them, stays where it is.
    named = Named(preset, model, weights, data, classes, None if apart.apart else device)
    sigmas: list[float | None] = [*sigmas_in(sigma or [])]
    noises = [said.at(one).noise() or Gaussian(options.SIGMA) for one in sigmas or [None]]
    asking = Asking(functional, order, statistic, alpha, solver, selection_samples(n0, label_mode),
                    soft_outputs(scores, temperature, score_method, seed))
    stopping = Asked(n, tuple(target_radius or ()), precision, spending, chunk, give_up)
    # What is left at its default says nothing, but for the noise and n, which are always looked for.
    folder = output or default_folder(named.title, {
        **said_noise(said.name, noises, said.values), "grid": grid,
        "n": n, "alpha": _unless(alpha, ALPHA), "n0": n0, "label-mode": label_mode,
        "target": None if not target_radius else "-".join(map(number, target_radius)),
        "precision": precision, "spending": spending, "give-up": give_up, "functional": functional, "order": order,
        "statistic": _unless(statistic, STATISTIC), "solver": _unless(solver, SOLVER), "scores": scores,
        "temperature": temperature, "score-method": score_method, "seed": _unless(seed, 0), "inputs": inputs,
        "skip": _unless(skip, 1), "chunk": chunk, "device": device})
    sampling = Sampling(seed, chunk, batch, stop_on_failure=not keep_going, workers=apart)
    certify_all(named, noises, grid, asking, stopping, sampling, (inputs, skip), folder, json_)


def sigmas_in(texts: list[str]) -> list[float]:
    """The numbers in a repeated option, each time one or several with commas between them.

    Raises:
        InvalidInputError: something that is no number, or one that is there twice.
    """
    from rsopt.errors import InvalidInputError

    found: list[float] = []
    for part in (part for text in texts for part in text.replace(",", " ").split() or [text]):
        try:
            value = float(part)
        except ValueError:
            raise InvalidInputError(f"--sigma takes a number, or several with commas between them; found {part!r}."
                                    ) from None
        if value in found:
            raise InvalidInputError(f"--sigma names {value:g} more than once.")
        found.append(value)
    return found


def said_noise(name: str | None, noises: Sequence[Noise], fields: Mapping[str, object]) -> dict[str, object]:
    """The noise, or the noises of a sweep, as words of a folder's name."""
    from rsopt.commands.folders import number
    from rsopt.noise.gaussian import plain_sigma

    sigmas = [sigma for noise in noises if (sigma := plain_sigma(noise)) is not None]
    if len(sigmas) == len(noises):
        return {"sigma": "-".join(map(number, sigmas))}
    return {"noise": name, **fields}


def _unless(value: T, usual: T) -> T | None:
    return None if value == usual else value


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
