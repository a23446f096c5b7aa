"""The transcript of a betting bound: what a checker needs to prove the bound again, from the file alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from rsopt import proof_file
from rsopt.errors import CertificateError

FORMATS = ("rsopt score transcript 2", "rsopt score transcript 3")
#: Version 3: a rival that is predicted to be neither among the CLOSEST nor within so many scales of the closest one is
#: asked about every EVERY-th null of the grid only, and about the last. Where there is none, version 2 says the same.
CLOSEST, DISTANT, EVERY = 32, 8.0, 16
FUNCTIONALS = ("margin", "probit", "laplace", "logit")
METHODS = ("digital-hedge", "fast-betting")
#: Rows of a run, and classes of a row, that a transcript may speak of.
MOST_ROWS, MOST_CLASSES = 10**12, 10**7
#: The smallest alpha; below, 1/alpha overflows.
SMALLEST_ALPHA = 1e-300

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class StatedGrid:
    """Where the grid of nulls was placed after the first stage.

    Attributes:
        centre, scale: the bound that was expected and its standard error, in units of the null.
        slope: b; 0 for the margin.
        high, low: the two values of x that stand for its law.
        lows, doubt: rows of the low value that were expected in the whole run, give or take the doubt.
        index: of the reported null on the grid, from 0.
    """

    centre: float
    scale: float
    slope: float
    high: float
    low: float
    lows: float
    doubt: float
    index: int


@dataclass(frozen=True)
class RivalRecord:
    """One rival's, or group's, part.

    Attributes:
        classes: the rival, or the members of the group.
        prior: sums over the selection sample: of x, x², x³ for the margin; of u, v, u², uv, v², u³, u²v, uv², v³ for
            the others.
        slopes: runs of (slope, blocks).
        sums: the same sums over each block; of the first powers only where a block is one row, whose powers they fix.
        folded: of each block [rows, mean, smallest, P2, …, P6] of the rows folded into power sums about their mean,
            or nothing.
        kept: of each block the x of the other rows; nothing where a block is one row.
        bets: against the reported null, block by block.
        log_capital: after the last bet.
        step: 1 where the rival is asked about every null, EVERY where about every EVERY-th; the bets are then against
            the first of these from the reported null on.
    """

    classes: tuple[int, ...]
    prior: tuple[float, ...] = field(repr=False)
    slopes: tuple[tuple[float, int], ...] = field(repr=False)
    sums: Rows = field(repr=False)
    folded: Rows = field(repr=False)
    kept: Rows = field(repr=False)
    bets: tuple[float, ...] = field(repr=False)
    log_capital: float
    step: int = 1


@dataclass(frozen=True)
class Transcript(proof_file.ProofFile):
    """The statement, the bets that prove it, and the block statistics that fixed the bets and their outcome.

    A bet proves something only if it was fixed before its rows were seen, and no list of numbers shows that. So the
    file holds every quantity that the published rule computes bets and slopes from, block by block: sums of the columns
    up to third order (for the bets), power sums and kept rows (for the capital). The checker derives each slope, each
    bet, the grid of nulls and the capital of every null up to the reported one from *earlier* blocks and compares. What
    the file cannot show is that its statistics are those of the rows; give the checker the rows for that.

    Attributes:
        method, functional, alpha, top: as in `rsopt.scores.score_bound.ScoreBound`.
        n: rows that the run was planned for.
        first_stage, prior: rows of the first stage, and of the selection sample.
        classes: columns of a row.
        lower: the bound; None for -inf.
        null: the largest null that is rejected, in units of the bets; None if none is.
        grid: where the nulls lie; None where none is rejected, and for fast betting, which needs no grid.
        rivals: every class but `top`, alone or in groups; none where no null is rejected. A rival's blocks end where
            every needed null is rejected.
    """

    method: str
    functional: str
    alpha: float
    n: int
    first_stage: int
    prior: int
    classes: int
    top: int
    lower: float | None
    null: float | None
    grid: StatedGrid | None
    rivals: tuple[RivalRecord, ...]

    @property
    def format(self) -> str:
        """The oldest format that can say it."""
        return FORMATS[any(rival.step != 1 for rival in self.rivals)]

    def _content(self) -> dict[str, Any]:
        return {"format": self.format, "method": self.method, "functional": self.functional, "alpha": self.alpha,
                "n": self.n, "first_stage": self.first_stage, "prior": self.prior, "classes": self.classes,
                "top": self.top, "lower": self.lower, "null": self.null,
                "grid": None if self.grid is None else asdict(self.grid),
                "rivals": [_of_rival(rival, self.format) for rival in self.rivals]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The transcript in `content`; its hash and its form are checked, its proof is not (`rsopt.checks`).

        Raises:
            CertificateError: not a transcript, another format, a hash that does not match, an entry that is missing,
                of another type, or unknown to the format.
        """
        entries = proof_file.Entries(proof_file.unhashed(content, "transcript", FORMATS), "The transcript")
        stepped = entries.text("format") == FORMATS[1]
        grid = entries.take("grid")
        found = cls(
            method=entries.text("method", METHODS), functional=entries.text("functional", FUNCTIONALS),
            alpha=entries.number("alpha"), n=entries.whole("n"), first_stage=entries.whole("first_stage"),
            prior=entries.whole("prior"), classes=entries.whole("classes"), top=entries.whole("top"),
            lower=entries.number_or_none("lower"), null=entries.number_or_none("null"),
            grid=None if grid is None else _grid(grid),
            rivals=tuple(_rival(rival, number, stepped)
                         for number, rival in enumerate(entries.items("rivals"), start=1)))
        entries.done()
        if found.format != content["format"]:
            raise CertificateError(f"The transcript says no more than {found.format!r} can, and calls itself "
                                   f"{content['format']!r}.")
        return found


def _of_rival(rival: RivalRecord, version: str) -> dict[str, Any]:
    content = {"classes": list(rival.classes), "prior": list(rival.prior),
               "slopes": [list(run) for run in rival.slopes], "sums": [list(row) for row in rival.sums],
               "folded": [list(row) for row in rival.folded], "kept": [list(row) for row in rival.kept],
               "bets": list(rival.bets), "log_capital": rival.log_capital}
    return content if version == FORMATS[0] else {**content, "step": rival.step}


def _grid(content: object) -> StatedGrid:
    entries = proof_file.Entries(content, "The transcript's grid")
    found = StatedGrid(
        centre=entries.number("centre"), scale=entries.number("scale"), slope=entries.number("slope"),
        high=entries.number("high"), low=entries.number("low"), lows=entries.number("lows"),
        doubt=entries.number("doubt"), index=entries.whole("index"))
    entries.done()
    return found


def _rival(content: object, number: int, stepped: bool) -> RivalRecord:
    where = f"Part {number} of the transcript"
    entries = proof_file.Entries(content, where)
    slopes = tuple((_slope(slope, where), count) for slope, count in entries.pairs("slopes"))
    found = RivalRecord(classes=entries.wholes("classes"), prior=entries.numbers("prior"), slopes=slopes,
                        sums=entries.rows("sums"), folded=entries.rows("folded"), kept=entries.rows("kept"),
                        bets=entries.numbers("bets"), log_capital=entries.number("log_capital"),
                        step=entries.whole("step") if stepped else 1)
    entries.done()
    blocks = len(found.sums)
    if not sum(count for _, count in slopes) == blocks == len(found.folded) == len(found.kept):
        raise CertificateError(f"{where}: its lists are of different lengths.")
    if found.step not in (1, EVERY):
        raise CertificateError(f"{where}: its step is {found.step}, expected 1 or {EVERY}.")
    if len(found.bets) > blocks:
        raise CertificateError(f"{where}: it has more bets than blocks.")
    return found


def _slope(value: object, where: str) -> float:
    return proof_file.Entries({"slopes": value}, where).number("slopes")
