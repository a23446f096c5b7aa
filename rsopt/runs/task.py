"""What is certified, for every input of a run alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from rsopt.counts import checked_alpha
from rsopt.errors import InvalidInputError
from rsopt.registry import as_solver
from rsopt.runs.soft_outputs import SoftOutputs
from rsopt.sequential.levels import Question
from rsopt.sequential.policy import StoppingPolicy
from rsopt.statistics import as_statistic


@dataclass(frozen=True)
class Task:
    """What is certified, for every input alike.

    Attributes:
        sigma: standard deviation of the noise, in the units of the input.
        policy: when to stop sampling, and at which error; looks before the last fall on whole chunks of the executor.
        n0: samples on which the certified class is chosen, separate from those that bound it; None: the certified
            class is the known label.
        functional, order, statistic, solver: as in `rsopt.lower_bound`.
        soft: bounds on the scores too; the executor then delivers score rows, whose first largest entry is the vote.

    Raises:
        InvalidInputError: a sigma without meaning, n0 below 1, an order that the functional does not have, an alpha
            that the statistic does not support, a policy that asks about something else, or one that stops before
            anything can be certified.
        UnknownNameError: an unknown functional, statistic or solver.
        MissingDependencyError: the solver's package is not installed.
    """

    sigma: float
    policy: StoppingPolicy
    n0: int | None = None
    functional: str = "probit"
    order: int | None = None
    statistic: str = "studentized"
    solver: str = "scipy"
    soft: SoftOutputs | None = None

    def __post_init__(self) -> None:
        if self.n0 is not None and self.n0 < 1:
            raise InvalidInputError(f"n0 must be at least 1, the samples on which the class is chosen; found "
                                    f"{self.n0}. To certify the known label, give no n0.")
        # Everything that can be refused is refused before the first sample is paid for.
        question = self.question
        checked_alpha(self.policy.alpha, as_statistic(self.statistic).largest_alpha)
        as_solver(self.solver)
        if self.policy.question not in (None, question):
            raise InvalidInputError(f"The stopping policy asks about {self.policy.question}, the task about "
                                    f"{question}.")
        if self.least_samples > self.policy.most_samples:
            raise InvalidInputError(
                f"At alpha {self.policy.alpha:g} nothing can be certified with fewer than {self.least_samples:,} "
                f"samples, even if all vote for the class; n is {self.policy.most_samples:,}. Use a larger n.")

    @property
    def question(self) -> Question:
        """What is bounded, and the noise that makes a radius of it."""
        return Question(self.sigma, self.functional, self.order)

    @property
    def least_samples(self) -> int:
        """Below this many samples no votes at all certify an input at the run's alpha: it could only abstain."""
        return self.question.least_samples(self.policy.alpha)

    def facts(self) -> dict[str, object]:
        """Everything above as JSON values: part of what two sessions of one run must agree on."""
        return {"sigma": self.sigma, "stopping": self.policy.facts(), "n0": self.n0, "functional": self.functional,
                "order": self.order, "statistic": self.statistic, "solver": self.solver,
                "certified class": "label" if self.n0 is None else "selection",
                "scores": None if self.soft is None else asdict(self.soft)}
