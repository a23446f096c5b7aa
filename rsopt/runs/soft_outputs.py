"""Bounds on score rows beside those on votes: which map into the simplex, at which temperature, by which method."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsopt.arguments import checked_seed
from rsopt.errors import InvalidInputError, ModelError, UnknownNameError
from rsopt.runs.inputs import Inputs
from rsopt.runs.model_failures import told_of_input
from rsopt.runs.store import facts_of
from rsopt.scores.lower_bound_scores import score_methods

if TYPE_CHECKING:
    from torch import Tensor

    from rsopt.smoothing import SimplexMap, SmoothedClassifier


@dataclass(frozen=True)
class SoftOutputs:
    """Bounds on score rows beside those on votes.

    Attributes:
        simplex: name of the map from outputs into the simplex, as in `rsopt.smoothing.simplex_map`.
        temperature: what the outputs are divided by before it, for softmax; None for 1.
        method: name of the bound, as in `rsopt.lower_bound_scores`.
        temperatures: of which one is chosen on the selection samples of the whole run; none where it is given.
        methods: of which one is chosen together with the temperature; none where it is given.
        seed: from which each input's votes are drawn, by the method that draws any; a nonnegative integer.

    Raises:
        UnknownNameError: a method that bounds no scores.
        InvalidInputError: methods to choose from without temperatures, or a seed that is none.
    """

    simplex: str
    temperature: float | None = None
    method: str = "digital-hedge"
    temperatures: tuple[float, ...] = ()
    methods: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        # The margin has methods of its own, and a run bounds other functionals too.
        known = score_methods("probit")
        for method in (self.method, *self.methods):
            if method not in known:
                raise UnknownNameError.of("method for scores", method, known)
        if self.methods and not self.temperatures:
            raise InvalidInputError("A method is chosen together with a temperature; give temperatures to choose from "
                                    "too, or one method.")
        object.__setattr__(self, "seed", checked_seed(self.seed))

    @property
    def to_choose(self) -> bool:
        """Whether the temperature is still to be chosen."""
        return bool(self.temperatures) and self.temperature is None

    def draw_seed(self, idx: int) -> int:
        """Seed of the votes drawn for input `idx`, 64 bits; a hash, so inputs draw apart from each other."""
        return int.from_bytes(sha256(f"votes drawn for input {idx}, seed {self.seed}".encode()).digest()[:8], "big")

    def simplex_map(self) -> SimplexMap:
        """The map.

        Raises:
            UnknownNameError: no such map.
            InvalidInputError: a temperature that the map does not have, or one that is not positive.
        """
        from rsopt.smoothing import simplex_map

        return simplex_map(self.simplex, self.temperature)


def chosen_outputs(soft: SoftOutputs, classifier: SmoothedClassifier, inputs: Inputs, *, n0: int | None, n: int,
                   alpha: float, functional: str, seed: int, store: Path, stop_on_failure: bool) -> SoftOutputs:
    """Temperature and method: as given, as an earlier session of the run chose them, or chosen now.

    Args:
        soft: what was asked for.
        classifier, inputs: what is certified.
        n0: selection samples of each input; None where it is certified as its label.
        n, alpha, functional: of the bounds to come; the temperature is chosen for those on this functional.
        seed: seed of the noise.
        store: where the run is, or will be, stored.
        stop_on_failure: whether an input that the model cannot take ends the run.

    Raises:
        InvalidInputError: a temperature is to be chosen, and there are no selection samples or the map has none.
        ModelError: the model cannot take an input, and the run stops on failures.
    """
    if not soft.to_choose:
        return soft
    from rsopt.scores.temperature import choose_temperature

    # An unknown map is refused by its name first.
    soft.simplex_map()
    if soft.simplex != "softmax":
        raise InvalidInputError(f"A temperature belongs to softmax; {soft.simplex!r} has none to choose.")
    if n0 is None:
        raise InvalidInputError("A temperature is chosen on selection samples, and a run on known labels draws none. "
                                "Give n0, or the temperature itself.")
    methods = soft.methods or (soft.method,)
    stored = facts_of(store).get("scores") or {}
    if (stored.get("temperatures"), stored.get("methods")) == (list(soft.temperatures), list(soft.methods)):
        # A method that was asked for stays, so that a run begun with another one is told apart from this one.
        method = stored["method"] if soft.methods else soft.method
        return replace(soft, temperature=stored["temperature"], method=method)
    rows = selection_rows(classifier, ((idx, inputs.images[idx]) for idx in inputs.chosen), n0=n0, seed=seed,
                          temperature=soft.temperatures[-1], stop_on_failure=stop_on_failure)
    first = next(rows, None)
    if first is None:
        # The model can take no input at all: nothing will be bounded, and every input is a row with its error.
        return replace(soft, temperature=soft.temperatures[-1], method=methods[0])
    choice = choose_temperature(chain([first], rows), n=n, alpha=alpha, temperatures=soft.temperatures, methods=methods,
                                functional=functional)
    return replace(soft, temperature=choice.temperature, method=choice.method)


def selection_rows(classifier: SmoothedClassifier, images: Iterable[tuple[int, Tensor]], *, n0: int, seed: int,
                   temperature: float, stop_on_failure: bool) -> Iterator[np.ndarray]:
    """The selection rows of numbered inputs at a temperature, from the samples that the run itself draws.

    Raises:
        ModelError, InvalidInputError: the model cannot take an input, and `stop_on_failure`; otherwise it is left out.
    """
    from rsopt.smoothing import Softmax, Stream

    simplex = Softmax(temperature)
    with classifier.sampler(seed) as sampler:
        for idx, image in images:
            try:
                with told_of_input(idx):
                    rows = np.concatenate([block.rows for block in sampler.iter_scores(image, idx, n0, simplex,
                                                                                       stream=Stream.SELECTION)])
                yield rows
            except (ModelError, InvalidInputError):
                if stop_on_failure:
                    raise
