"""Bounds on score rows beside those on votes: which map into the simplex, at which temperature, by which method."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from rsopt.errors import InvalidInputError, UnknownNameError
from rsopt.scores.lower_bound_scores import score_methods


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
        # Both functionals are bounded, so the method must have both.
        known = score_methods("probit")
        for method in (self.method, *self.methods):
            if method not in known:
                raise UnknownNameError.of("method for scores", method, known)
        if self.methods and not self.temperatures:
            raise InvalidInputError("A method is chosen together with a temperature; give temperatures to choose from "
                                    "too, or one method.")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise InvalidInputError(f"seed must be a nonnegative integer; found {self.seed!r}.")

    def draw_seed(self, idx: int) -> int:
        """Seed of the votes drawn for input `idx`, 64 bits; a hash, so inputs draw apart from each other."""
        return int.from_bytes(sha256(f"votes drawn for input {idx}, seed {self.seed}".encode()).digest()[:8], "big")
