"""A certificate: everything needed to prove a bound again, from the file alone."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Self

from rsopt import proof_file
from rsopt.errors import CertificateError

#: The first version says nothing of looks; the second has an entry "look" beside those of the first. The third is of
#: the margin after changes of bits, which are in its entry "flips"; its "look" may be null.
FORMATS = ("rsopt certificate 1", "rsopt certificate 2", "rsopt certificate 3")
FUNCTIONALS = ("margin", "probit", "taylor-probit", "laplace", "logit")
FLIP_MARGIN = "flip-margin"
STATISTICS = ("studentized", "clopper-pearson", "plugin")
CORNER, CONVEX = "corner", "convex"
#: Of the third version: the studentized statistic has no hull there that a checker could rebuild.
FLIP_STATISTICS = ("clopper-pearson", "plugin")
#: Additions and deletions together, and pairs of them; and the largest denominator of a probability.
MOST_CHANGED, MOST_CHANGES, LARGEST_DENOMINATOR = 128, 129, 1 << 64

_RATIONAL = re.compile(r"(0|[1-9][0-9]{0,19})/([1-9][0-9]{0,19})")


@dataclass(frozen=True)
class LookShare:
    """Where a bound stands among the looks that may be taken at one input.

    Attributes:
        number: of the look, from 1.
        of: looks that may be taken.
        alpha: probability that any bound at any of them is false; each has a share of it.
    """

    number: int
    of: int
    alpha: float


@dataclass(frozen=True)
class FlippedBits:
    """The noise and the changes of the input that a margin after changes of bits is about (theorem N4).

    Attributes:
        add, remove: probability that a 0 becomes a 1, and that a 1 becomes a 0, exactly.
        changes: (additions, deletions), one or more.
    """

    add: Fraction
    remove: Fraction
    changes: tuple[tuple[int, int], ...]

    @property
    def fits(self) -> bool:
        """Whether the format has room for them."""
        return (1 <= len(self.changes) <= MOST_CHANGES
                and all(min(pair) >= 0 and sum(pair) <= MOST_CHANGED for pair in self.changes)
                and all(0 <= p < 1 and p.denominator <= LARGEST_DENOMINATOR for p in (self.add, self.remove))
                and self.add + self.remove > 0)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"add": _ratio(self.add), "remove": _ratio(self.remove),
                "changes": [list(pair) for pair in self.changes]}

    @classmethod
    def from_dict(cls, content: object) -> FlippedBits:
        """What an entry says.

        Raises:
            CertificateError: it says something else.
        """
        entries = proof_file.Entries(content, "The certificate's flips")
        add, remove = _rational(entries.text("add")), _rational(entries.text("remove"))
        pairs = entries.items("changes")
        if len(pairs) > MOST_CHANGES:
            raise CertificateError(f"The certificate has {len(pairs):,} pairs of changes; at most {MOST_CHANGES} are "
                                   "allowed.")
        found = cls(add, remove, tuple(_pair(pair) for pair in pairs))
        entries.done()
        if not found.fits:
            raise CertificateError("The certificate's flips are none: probabilities from 0 to below 1, not both 0, and "
                                   f"pairs of whole numbers from 0 on with sums of at most {MOST_CHANGED} are allowed; "
                                   f"found {proof_file.shown(content)}.")
        return found


def _ratio(p: Fraction) -> str:
    return f"{p.numerator}/{p.denominator}"


def _rational(text: str) -> Fraction:
    """A fraction in its lowest terms, of which there is one spelling only."""
    match = _RATIONAL.fullmatch(text)
    found = None if match is None else Fraction(int(match[1]), int(match[2]))
    if found is None or _ratio(found) != text:
        raise CertificateError("A probability must be a fraction in its lowest terms, such as '1/20', of numbers of at "
                               f"most 20 digits; found {proof_file.shown(text)}.")
    return found


def _pair(content: object) -> tuple[int, int]:
    if not (isinstance(content, list | tuple) and len(content) == 2
            and all(isinstance(number, int) and not isinstance(number, bool) for number in content)):
        raise CertificateError("Changes must be pairs of whole numbers, additions and deletions; found "
                               f"{proof_file.shown(content)}.")
    return content[0], content[1]


@dataclass(frozen=True)
class Certificate(proof_file.ProofFile):
    """The claim "g(p) >= lower with probability at least 1 - alpha over the votes", with its proof.

    Attributes:
        n, x1, x2: draws, votes of the certified class, votes of the empirical runner-up.
        alpha: probability that the statement is false; of a look among several, its share.
        functional: name and, for a Taylor polynomial, order.
        statistic: name of the designated statistic.
        observed: its value at (x1, x2); None if that is infinite.
        third_cell: whether a third class exists.
        least_q1: smallest q1 of the nulls (0 but for the published Taylor route).
        lower: the proven bound; -inf needs no proof.
        lower_at_most: g at the witness: no larger value is the exact bound; None if no witness was needed.
        witness: (q1, q2, q3) where the tail reaches alpha; None likewise.
        cuts: q2 at which the level curve g = lower is cut, increasing.
        kinds: the bound used on each piece, "corner" or "convex" run-length coded as [kind, count] pairs.
        look: which of several looks the bound is one of; None for the only one.
        flips: of the functional "flip-margin", which it is; None for all others.
    """

    n: int
    x1: int
    x2: int
    alpha: float
    functional: str
    order: int | None
    statistic: str
    observed: float | None
    third_cell: bool
    least_q1: float
    lower: float
    lower_at_most: float | None
    witness: tuple[float, float, float] | None
    cuts: tuple[float, ...] = field(repr=False)  # hundreds of numbers: a bound that is printed stays readable
    kinds: tuple[tuple[str, int], ...] = field(repr=False)
    look: LookShare | None = None
    flips: FlippedBits | None = None

    def at_look(self, number: int, of: int, alpha: float) -> Certificate:
        """The same certificate, which says that it is of look `number` among `of`, at `alpha` for all of them."""
        return replace(self, look=LookShare(number, of, alpha))

    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = {
            "format": FORMATS[2 if self.flips is not None else self.look is not None], "n": self.n, "x1": self.x1,
            "x2": self.x2, "alpha": self.alpha, "functional": self.functional, "order": self.order,
            "statistic": self.statistic, "observed": self.observed, "third_cell": self.third_cell,
            "least_q1": self.least_q1,
            "lower": None if self.lower == -math.inf else self.lower, "lower_at_most": self.lower_at_most,
            "witness": None if self.witness is None else list(self.witness), "cuts": list(self.cuts),
            "kinds": [list(run) for run in self.kinds]}
        if self.look is not None:
            content["look"] = {"number": self.look.number, "of": self.look.of, "alpha": self.look.alpha}
        if self.flips is not None:
            content = {"look": None, **content, "flips": self.flips.to_dict()}
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The certificate in `content`; its hash and its form are checked, its proof is not (`rsopt.checks`).

        Raises:
            CertificateError: not a certificate, an unknown format, a hash that does not match, an entry that is
                missing, of another type, or unknown to the format.
        """
        bare = proof_file.unhashed(content, "certificate", FORMATS)
        entries = proof_file.Entries(bare, "The certificate")
        version = FORMATS.index(entries.text("format"))
        functionals, statistics = ((FLIP_MARGIN,), FLIP_STATISTICS) if version == 2 else (FUNCTIONALS, STATISTICS)
        witness = entries.numbers_or_none("witness")
        lower = entries.number_or_none("lower")
        found = cls(
            n=entries.whole("n"), x1=entries.whole("x1"), x2=entries.whole("x2"), alpha=entries.number("alpha"),
            functional=entries.text("functional", functionals), order=entries.whole_or_none("order"),
            statistic=entries.text("statistic", statistics), observed=entries.number_or_none("observed"),
            third_cell=entries.flag("third_cell"), least_q1=entries.number("least_q1"),
            lower=-math.inf if lower is None else lower, lower_at_most=entries.number_or_none("lower_at_most"),
            witness=None if witness is None else _three(witness), cuts=entries.numbers("cuts"),
            kinds=tuple((_kind(kind), count) for kind, count in entries.pairs("kinds")),
            look=_look(entries.take("look"), version) if version else None,
            flips=FlippedBits.from_dict(entries.take("flips")) if version == 2 else None)
        entries.done()
        return found


def _three(numbers: tuple[float, ...]) -> tuple[float, float, float]:
    if len(numbers) != 3:
        raise CertificateError(f"The certificate is malformed: 'witness' must be three numbers; found {len(numbers)}.")
    return numbers[0], numbers[1], numbers[2]


def _kind(kind: object) -> str:
    if kind not in (CORNER, CONVEX):
        raise CertificateError(f"The certificate names an unknown bound, {proof_file.shown(kind)}.")
    return str(kind)


def _look(content: object, version: int) -> LookShare | None:
    if content is None and version == 2:
        return None
    entries = proof_file.Entries(content, "The certificate's look")
    look = LookShare(entries.whole("number"), entries.whole("of"), entries.number("alpha"))
    entries.done()
    return look
