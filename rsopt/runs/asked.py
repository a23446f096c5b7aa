"""What the facts of a run ask: the question, when sampling stopped, how classes were chosen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rsopt.errors import InvalidInputError
from rsopt.noise import Gaussian, Noise, noise_from_dict
from rsopt.noise.registry import noise_of_facts
from rsopt.question import Question
from rsopt.runs.task import DIMENSION, VARIATION
from rsopt.sequential.adaptive import Precision, TargetRadii
from rsopt.sequential.looks import Looks
from rsopt.sequential.policy import FixedSamples, PlannedLook, StoppingPolicy


@dataclass(frozen=True, eq=False)
class Asked:
    """The facts of a run as what they mean.

    Attributes:
        question: what was bounded, at the error of the run.
        policy: when sampling stopped; None for one that only its maker knows.
        plan: all looks that could be taken; empty for such a policy.
        most: the most samples of an input.
        n0: selection samples; None in label mode.
        scores: name of the method for scores; None for votes alone.
        inputs: how many inputs the run was for.
        classes: of the classifier; None where the facts do not say.
        dimension: coordinates of the largest input; 0 where the facts do not say, because nothing depends on it.
    """

    question: Question
    policy: StoppingPolicy | None
    plan: tuple[PlannedLook, ...]
    most: int
    n0: int | None
    scores: str | None
    inputs: int
    classes: int | None
    dimension: int

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Asked:
        """What `Task.facts` and the facts of sampling say.

        Raises:
            InvalidInputError, KeyError, TypeError, ValueError, LookupError: one is missing, has no meaning, or is not
                what the others make it.
        """
        stopping, scores, n0 = facts["stopping"], facts["scores"], facts["n0"]
        question = Question(noise_of_facts(facts), facts["functional"], facts["order"], statistic=facts["statistic"],
                            alpha=stopping["alpha"])
        policy = _policy(stopping, question)
        if policy is not None and (again := policy.facts()) != stopping:
            name = next(name for name in {**stopping, **again} if stopping.get(name) != again.get(name))
            raise InvalidInputError(f"the stopping policy's {name!r} is {stopping.get(name)!r}, and the others make it "
                                    f"{again.get(name)!r}")
        if facts["certified class"] != ("label" if n0 is None else "selection") or not (n0 is None or _whole(n0)):
            raise InvalidInputError(f"the certified class is said to be by {facts['certified class']!r}, with n0 = "
                                    f"{n0!r}")
        if not _whole(stopping["n"]) or not _whole(facts["inputs"]):
            raise InvalidInputError(f"n = {stopping['n']!r} or inputs = {facts['inputs']!r} is no number of samples or "
                                    "inputs")
        if (drawn := _drawn_under(facts)) not in (None, question.noise):
            raise InvalidInputError(f"samples were drawn under {drawn.title}, and {question.noise.title} is said of "
                                    "the run")
        dimension = facts.get(DIMENSION, 0)
        if not _whole(dimension) and DIMENSION in facts:
            raise InvalidInputError(f"dimension = {dimension!r} is no number of coordinates")
        variation = question.noise.total_variation(stopping["n"], dimension or 1)
        if facts.get(VARIATION, 0.0) != variation:
            raise InvalidInputError(f"the total variation of the draws is said to be {facts.get(VARIATION, 0.0)!r}, "
                                    f"and {question.noise.title} makes it {variation!r}")
        question.left_of(question.alpha, stopping["n"], dimension)
        fixed = () if policy is None else (PlannedLook(policy.most_samples, policy.alpha),)
        return cls(question, policy, tuple(getattr(policy, "plan", fixed)), stopping["n"], n0,
                   None if scores is None else str(scores["method"]), facts["inputs"],
                   facts.get("sampling.num_classes"), dimension)

    def error_of(self, spent: float) -> float:
        """The error of a bound on which a look may spend so much (`Question.left_of`)."""
        return self.question.left_of(spent, self.most, self.dimension)


def _drawn_under(facts: Mapping[str, Any]) -> Noise | None:
    """The noise that the conditions of sampling say; None where they say none."""
    if (law := facts.get("sampling.law")) is not None:
        return noise_from_dict(json.loads(law))
    return None if (sigma := facts.get("sampling.sigma")) is None else Gaussian(sigma)


def _policy(stopping: Mapping[str, Any], question: Question) -> StoppingPolicy | None:
    """The policy that these facts are of; None for one that rsopt does not have, or whose spending it cannot repeat."""
    kind = stopping["policy"]
    if kind == "fixed":
        return FixedSamples(stopping["n"], stopping["alpha"])
    if kind not in ("target-radii", "precision") or not isinstance(stopping["looks"]["spending"], str):
        return None
    looks = Looks(**stopping["looks"])
    if kind == "target-radii":
        return TargetRadii(tuple(stopping["radii"]), question, looks, stopping["give_up"])
    return Precision(stopping["share"], question, looks, stopping["upper_alpha"])


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
