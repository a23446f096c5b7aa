"""What is certified, for every input of a run alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from rsopt.errors import InvalidInputError
from rsopt.functionals import FUNCTIONALS, as_functional, score_functionals
from rsopt.methods import soft_methods
from rsopt.noise.registry import noise_facts
from rsopt.question import Question, checked_draws
from rsopt.runs.soft_outputs import SoftOutputs
from rsopt.sequential.policy import StoppingPolicy
from rsopt.statistics import STATISTICS, as_statistic

DIMENSION, VARIATION = "dimension", "total variation"
"""Facts of a run whose noise takes part of alpha: coordinates of the largest input, and how much."""


@dataclass(frozen=True)
class Task:
    """What is certified, for every input alike.

    Attributes:
        question: what is bounded, under which noise, at the error that the policy shares out (see `Question.spent_by`).
            A run is stored by names, so functional and statistic must be what their names give back.
        policy: when to stop sampling; looks before the last fall on whole chunks of the executor.
        n0: samples on which the certified class is chosen, separate from those that bound it; None: the certified
            class is the known label.
        soft: bounds on the scores too; the executor then delivers score rows, whose first largest entry is the vote.
        dimension: coordinates of the largest input, for noise of which the bounds must know them; `certify` counts
            them.

    Raises:
        InvalidInputError: n0 below 1, a functional, statistic or noise without a name of its own, scores under a
            noise under which none of their bounds gives a radius, a policy that asks about something else or at
            another error, or one that stops before anything can be certified.
    """

    question: Question
    policy: StoppingPolicy
    n0: int | None = None
    soft: SoftOutputs | None = None
    dimension: int = 0

    def __post_init__(self) -> None:
        # Everything that can be refused is refused before the first sample is paid for.
        question, policy = self.question.spent_by(self.policy.alpha), self.policy
        object.__setattr__(self, "question", question)
        if self.n0 is not None and self.n0 < 1:
            raise InvalidInputError(f"n0 must be at least 1, the samples on which the class is chosen; found "
                                    f"{self.n0}. To certify the known label, give no n0.")
        if self.n0 is not None:
            object.__setattr__(self, "n0", checked_draws("n0", self.n0))
        g, statistic = question.functional, question.statistic
        if (g.name not in FUNCTIONALS or g != as_functional(g.name, question.order)
                or statistic.name not in STATISTICS or statistic != as_statistic(statistic.name)):
            raise InvalidInputError(f"A run is stored by names, and these are not what their names give back: {g!r}, "
                                    f"{statistic!r}. Bound the votes with rsopt.lower_bound instead.")
        noise_facts(question.noise)
        if self.soft is not None and not soft_methods(question.noise):
            raise InvalidInputError(f"Bounds on scores are of {', '.join(map(repr, score_functionals()))}, and none of "
                                    f"them gives a radius under {question.noise.title}. Leave out the scores: votes "
                                    "are bounded under any noise.")
        question.checked_samples(policy.most_samples)
        self.error_of(policy.alpha)
        if policy.question not in (None, question):
            raise InvalidInputError(f"The stopping policy asks about {policy.question}, the task about {question}.")
        if self.least_samples > policy.most_samples:
            raise InvalidInputError(
                f"At alpha {question.alpha:g} nothing can be certified with fewer than {self.least_samples:,} "
                f"samples, even if all vote for the class; n is {policy.most_samples:,}. Use a larger n.")

    @property
    def least_samples(self) -> int:
        """Below this many samples no votes at all certify an input at the run's alpha: it could only abstain."""
        return self.question.least_samples()

    @property
    def total_variation(self) -> float:
        """What the draws for one input take of its alpha (`Noise.total_variation`)."""
        return self.question.noise.total_variation(self.policy.most_samples, self.dimension)

    def error_of(self, spent: float) -> float:
        """The error of a bound on which a look may spend so much (`Question.left_of`)."""
        return self.question.left_of(spent, self.policy.most_samples, self.dimension)

    def facts(self) -> dict[str, object]:
        """Everything above as JSON values: part of what two sessions of one run must agree on."""
        asked = self.question
        # The order that the name alone gives back is not said.
        order = None if asked.functional == as_functional(asked.functional.name) else asked.order
        return {**noise_facts(asked.noise), "stopping": self.policy.facts(), "n0": self.n0,
                "functional": asked.functional.name, "order": order, "statistic": asked.statistic.name,
                "solver": asked.solver if isinstance(asked.solver, str) else repr(asked.solver),
                "certified class": "label" if self.n0 is None else "selection",
                "scores": None if self.soft is None else asdict(self.soft),
                **({} if self.total_variation == 0.0 else {DIMENSION: self.dimension,
                                                           VARIATION: self.total_variation})}
