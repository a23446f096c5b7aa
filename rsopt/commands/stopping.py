"""When ``rsopt certify`` stops sampling: what the command line said, as a policy, and the policy in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rsopt.errors import InvalidInputError

if TYPE_CHECKING:
    from rsopt.question import Question
    from rsopt.runs.task import Task
    from rsopt.sequential.policy import StoppingPolicy

LOOKING_CHUNK = 50
"""Rows of one forward pass where sampling may stop early."""


@dataclass(frozen=True)
class Asked:
    """What the command line said about the number of samples.

    Attributes:
        n: samples of every input; with a target or a precision the most that an input may take.
        targets: target radii.
        precision: for example "5%".
        spending: name of a spending function.
        chunk: rows of one forward pass; None for the default.
        give_up: probability to call a target out of reach that is not; None for the default.

    Looks fall on whole chunks, so an input that one look decides costs a chunk at least.
    """

    n: int
    targets: tuple[float, ...] = ()
    precision: str | None = None
    spending: str | None = None
    chunk: int | None = None
    give_up: float | None = None

    @property
    def adaptive(self) -> bool:
        """Whether the number of samples may differ from input to input."""
        return bool(self.targets) or self.precision is not None

    @property
    def rows(self) -> int | None:
        """Rows of one forward pass; None for those of the library."""
        return self.chunk or (LOOKING_CHUNK if self.adaptive else None)

    def policy(self, question: Question) -> StoppingPolicy:
        """The policy.

        Raises:
            InvalidInputError: options that contradict each other, or a value without meaning.
            UnknownNameError: no such spending function.
        """
        from rsopt.sequential.adaptive import GIVE_UP, Precision, TargetRadii
        from rsopt.sequential.looks import Looks
        from rsopt.sequential.policy import FixedSamples
        from rsopt.sequential.spending import DEFAULT

        if self.give_up is not None and not self.targets:
            raise InvalidInputError("--give-up is the error with which a target radius is called out of reach: give "
                                    "--target-radius too, or leave it out.")
        if not self.adaptive:
            if self.spending is not None:
                raise InvalidInputError("--spending shares out the error of several looks, and a fixed --n is looked "
                                        "at once: give --target-radius or --precision too, or leave it out.")
            return FixedSamples(self.n, question.alpha)
        if self.targets and self.precision is not None:
            raise InvalidInputError("--target-radius and --precision ask different questions: give one of them.")
        looks = Looks(self.n, question.alpha, chunk=self.chunk or LOOKING_CHUNK, spending=self.spending or DEFAULT)
        if self.targets:
            return TargetRadii(self.targets, question, looks, GIVE_UP if self.give_up is None else self.give_up)
        assert self.precision is not None
        return Precision(parsed_share(self.precision), question, looks)


def parsed_share(text: str) -> float:
    """0.05 from "5%" or "0.05".

    Raises:
        InvalidInputError: no positive share.
    """
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        share = float(number) * (0.01 if percent else 1.0)
    except ValueError:
        share = 0.0
    if not 0.0 < share < 1.0:
        raise InvalidInputError(f"--precision is a share of the bound between 0 and 1, for example 5% or 0.05; found "
                                f"{text!r}.")
    return share


def described(task: Task) -> str:
    """When sampling stops, and from how many samples on anything can be certified: told before the first is drawn."""
    from rsopt.sequential.adaptive import Precision, TargetRadii

    policy = task.policy
    if isinstance(policy, TargetRadii):
        reach = ", ".join(f"{radius:g} from {policy.earliest(radius):,} samples on" for radius in policy.radii)
        return f"{len(policy.plan)} looks; radius {reach} at best"
    least = f"fewer than {task.least_samples:,} samples certify nothing at this alpha"
    if isinstance(policy, Precision):
        return f"{len(policy.plan)} looks, until the bound is known to {policy.share:.3g} of itself; {least}"
    return least
