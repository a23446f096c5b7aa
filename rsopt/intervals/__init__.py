"""Lower confidence bounds on the mean of bounded values: one file each, one signature for all.

Every interval is a function

    interval(rows, *, alpha, lo, hi, weights=None) -> float

`rows` are independent values, (n,), or rows, (n, k), whose value is ``row @ weights``; [lo, hi] is the range
that values cannot leave; the mean is at least the returned number except with probability alpha. A
time-uniform one holds at all sample sizes up to n at once. Names are looked up lazily, so that importing the
package compiles nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from rsopt.arguments import as_name
from rsopt.errors import UnknownNameError


class Interval(Protocol):
    """The signature that all intervals share."""

    def __call__(self, rows: object, *, alpha: float, lo: float, hi: float, weights: object = None) -> float:
        """A lower bound on the mean of the rows' values."""
        ...


#: name: (module within this package, function, time-uniform)
_TABLE = {
    "hoeffding": ("hoeffding", "hoeffding", False),
    "empirical-bernstein": ("empirical_bernstein", "empirical_bernstein", False),
    "prpi-eb-sequence": ("prpi_eb", "prpi_eb_sequence", True),
    "prpi-eb": ("prpi_eb", "prpi_eb", False),
    "hedged-capital": ("hedged_capital", "hedged_capital", True),
    "fast-betting": ("mean_betting", "fast_betting_mean", True),
    "digital-hedge": ("mean_betting", "digital_hedge_mean", True),
}


def names() -> list[str]:
    """Names of all intervals, from the oldest to the tightest."""
    return list(_TABLE)


def get(name: str) -> Interval:
    """The interval of that name.

    Raises:
        UnknownNameError: there is none; the nearest known name is suggested.
    """
    module, function, _ = _entry(name)
    return cast(Interval, getattr(import_module(f"{__name__}.{module}"), function))


def is_time_uniform(name: str) -> bool:
    """Whether the interval holds at all sample sizes up to n at once.

    Raises:
        UnknownNameError: there is no such interval.
    """
    return _entry(name)[2]


def _entry(name: str) -> tuple[str, str, bool]:
    if as_name(name) not in _TABLE:
        raise UnknownNameError.of("interval", name, names())
    return _TABLE[name]
