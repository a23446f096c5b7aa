"""Options of the commands, so that those that several share are spelt and explained alike."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rsopt.noise import Noise

Functional = Annotated[str | None, typer.Option(help="Quantity that is bounded: probit, margin or taylor-probit, "
                                                     "laplace or logit; by default what the noise needs, probit under "
                                                     "Gaussian noise.", show_default=False)]
Order = Annotated[int | None, typer.Option(help="Order of the Taylor polynomial, with --functional taylor-probit.")]
Statistic = Annotated[str, typer.Option(help="Designated statistic: studentized, clopper-pearson or plugin.")]
Alpha = Annotated[float, typer.Option(help="Probability that the statement is false.")]
Solver = Annotated[str, typer.Option(help="Solver that proposes; rsopt proves. See 'rsopt solvers'. With "
                                                "fields: ipopt:tolerance=1e-10:verbose=true.")]
Grid = Annotated[str | None, typer.Option(help="Step of the grid that inputs lie on, such as 1/255 for bytes: noise is "
                                               "then whole steps, drawn exactly. By default that of the data: bytes "
                                               "scaled to [0, 1], and the digits preset. 'none' for noise in float32.",
                                          show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Output = Annotated[Path | None, typer.Option(help="Folder of the run: store, table, certificates, plot; by default one "
                                                  "in runs/ whose name says what was asked.")]

# What rsopt certify takes, from where, and how much of it.
Preset = Annotated[str | None, typer.Option(help="Ready model and data: digits (default without --model).")]
Model = Annotated[str | None, typer.Option(help="module:callable that makes a torch model.")]
Weights = Annotated[Path | None, typer.Option(help="State dict for --model; tensors only are loaded.")]
Data = Annotated[str | None, typer.Option(help="FILE.npz or FILE.pt with arrays images and labels, a folder of images, "
                                               "or module:callable giving such arrays, a data set or a DataLoader.")]
Classes = Annotated[int | None, typer.Option(help="Columns of the model's output, if it cannot be asked.")]
Inputs = Annotated[int | None, typer.Option(min=1, help="Certify so many inputs; by default all.")]
Skip = Annotated[int, typer.Option(min=1, help="Take every SKIP-th input.")]

# How it samples.
Samples = Annotated[int, typer.Option("--n", help="Samples per input for the bound; with --target-radius or "
                                                  "--precision the most an input may take.")]
TargetRadius = Annotated[list[float] | None, typer.Option(help="Stop as soon as this radius is certified or out of "
                                                               "reach; may be repeated.")]
Precision = Annotated[str | None, typer.Option(help="Stop as soon as the bound is known to this share of itself, for "
                                                    "example 5%.")]
Spending = Annotated[str | None, typer.Option(help="How the looks of an adaptive run share out alpha: equal, linear, "
                                                   "power, pocock, open-ended or obrien-fleming.")]
GiveUp = Annotated[float | None, typer.Option(help="Probability to call a target radius out of reach that the true "
                                                   "margin allows; 0.05 by default. Giving up ends sampling early and "
                                                   "makes no certificate wrong.")]
SelectionSamples = Annotated[int | None, typer.Option("--n0", help="Separate samples that choose the certified class; "
                                                                   "100 unless --label-mode.")]
LabelMode = Annotated[bool, typer.Option("--label-mode", help="Certify the known label instead of a class chosen on n0 "
                                                              "samples.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the noise.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, …; by default where the model lies. With workers "
                                                 "its type, one device each.")]
Chunk = Annotated[int | None, typer.Option(min=1, help="Rows of one forward pass; the samples depend on it. By default "
                                                       "that of the run which is continued, else 200; 50 where "
                                                       "sampling may stop early.")]
Batch = Annotated[int | None, typer.Option(min=1, help="Samples in flight, by default 800; costs memory, changes no "
                                                       "result.")]

# Bounds on soft outputs.
Scores = Annotated[str | None, typer.Option(help="Bound soft outputs too: softmax, sparsemax or hardmax of the model's "
                                                 "outputs.")]
Temperature = Annotated[str | None, typer.Option(help="What the outputs are divided by before softmax; 'auto' chooses "
                                                      "one for all inputs on the n0 samples.")]
ScoreMethod = Annotated[str | None, typer.Option(help="How scores are bounded: digital-hedge, fast-betting, "
                                                      "drawn-votes, …; digital-hedge by default, and with "
                                                      "--temperature auto chosen together with it.")]

# Who does the work.
WorkerCount = Annotated[int | None, typer.Option(min=1, help="Processes that sample and prove; changes no result. By "
                                                            "default one, on a cluster as many as it has room for.")]
Cluster = Annotated[str | None, typer.Option(help="Work on Ray: 'ray' finds a cluster or starts one here; "
                                                  "ray://HOST:PORT.")]
KeepGoing = Annotated[bool, typer.Option("--keep-going", help="An input that the model cannot take becomes a row with "
                                                              "its error instead of ending the run.")]

# The noise: its name and an option a field, in one place for every command.
_NOISE = {
    "sigma": Annotated[float | None, typer.Option(help="Standard deviation of Gaussian noise, in the units of the "
                                                       "input.")],
    "noise": Annotated[str | None, typer.Option(help="gaussian, laplace, logistic, uniform, ablation, deletion, flips, "
                                                     "or module:noise for one made in Python; gaussian by default.")],
    "scale": Annotated[float | None, typer.Option(help="Scale of laplace or logistic noise, half width of uniform "
                                                       "noise, in the units of the input.")],
    "keep": Annotated[int | None, typer.Option(help="Positions that ablation shows.")],
    "positions": Annotated[int | None, typer.Option(help="Positions of an input, for ablation; by default those of the "
                                                         "data.")],
    "probability": Annotated[float | None, typer.Option(help="With which deletion deletes a token.")],
    "add": Annotated[float | None, typer.Option(help="Probability with which flips make 1 of 0.")],
    "remove": Annotated[float | None, typer.Option(help="Probability with which flips make 0 of 1.")],
}

SIGMA = 0.25
"""Standard deviation where nothing is said about the noise."""


@dataclass(frozen=True)
class SaidNoise:
    """The options of the noise as they were given.

    Attributes:
        name: that of --noise; None where it was not given.
        values: by option; None for those that were not given.
    """

    name: str | None
    values: dict[str, float | int | None]

    def at(self, sigma: float | None) -> SaidNoise:
        """The same with this standard deviation."""
        return replace(self, values={**self.values, "sigma": sigma})

    def noise(self) -> Noise | None:
        """The noise that they say; None where they say nothing. Errors as in `rsopt.noise.options.noise_of_options`."""
        from rsopt.noise.options import noise_of_options

        return noise_of_options(self.name, self.values)


def takes_noise(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of the noise in the place of its parameter `said`, a `SaidNoise`.

    An option that the command has itself stays its own.
    """
    signature = inspect.signature(command, eval_str=True)
    taken = {option: annotation for option, annotation in _NOISE.items() if option not in signature.parameters}
    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        parameters += [parameter] if name != "said" else [
            inspect.Parameter(option, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation)
            for option, annotation in taken.items()]

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        values = {option: given.pop(option) for option in taken}
        command(**given, said=SaidNoise(values.pop("noise"), values))

    # typer reads both.
    shown: Any = wrapped
    shown.__signature__ = signature.replace(parameters=parameters)
    shown.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapped
