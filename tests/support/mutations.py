"""Seeded mutations of text, bytes, JSON values and Python values, for fuzzing."""

from __future__ import annotations

import collections
import copy
import math
import os
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

COUNT = int(os.environ.get("FUZZ", "0"))
"""Inputs a target by hand: FUZZ=10000 python -m pytest tests/fuzz. 0 takes each target's own few."""
SEED = int(os.environ.get("FUZZ_SEED", "0"))

TEXTS = ["", "x", "-1", "0", "1", "1.5", "1e400", "nan", "inf", "-inf", "NaN", "1_0", "٣", "9" * 40, "0x10", "None",
         "true", " 7 ", "1e3", "1,2", "é", "\x00", "../..", "[1, 2]", "{}", "--n", "margin", "probit", "a" * 300]
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 10**30, -10**30, 0.0, 0.5, 1.0, -0.5, 1e-300, math.nan, math.inf, -math.inf,
    "", "x", "nan", "margin", "studentized", b"", b"9,1", [], [1], [90, 6, 4], [90.5, 1], [-1, 2], [math.nan, 1],
    (1, 2, 3), {}, {"a": 1}, {1, 2}, collections.Counter({0: 9, 1: 1}), np.array([]), np.array([9, 1]),
    np.array([[9, 1]]), np.array([9.0, math.nan]), np.float32(0.25), np.int64(3), np.array(0.25), Decimal("0.5"),
    Fraction(1, 2), object(), int, ValueError, iter([1]), range(3), 1 + 2j, Path("nowhere"), np.nan, "scipy",
    np.array(["a", "b"]), np.array([True, False]), [None, 1], [[1, 2], [3]], np.zeros((2, 3)), -0.0, 1 << 70]


def seeded(name: str, few: int) -> Iterator[np.random.Generator]:
    """A generator for each input of a target: input k of a seed is the same however many are asked for."""
    for k in range(COUNT or few):
        yield np.random.default_rng([SEED, k, *name.encode()])


def pick(rng: np.random.Generator, choices: Any) -> Any:
    """One of the choices."""
    return choices[int(rng.integers(len(choices)))]


def mutated_bytes(rng: np.random.Generator, content: bytes) -> bytes:
    """The bytes cut, doubled, reordered, overwritten, or with something put in."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        i, j = sorted(int(k) for k in rng.integers(0, len(data) + 1, size=2))
        kind = int(rng.integers(7))
        if kind == 0:
            del data[i:]
        elif kind == 1:
            del data[i:min(j, i + 40)]
        elif kind == 2:
            data[i:i] = data[i:min(j, i + 200)]
        elif kind == 3 and data:
            data[i % len(data)] = int(rng.integers(256))
        elif kind == 4:
            data[i:i] = pick(rng, TEXTS).encode("utf-8")
        elif kind == 5 and data:
            data[i % len(data)] ^= 1 << int(rng.integers(8))
        else:
            data[:] = data[i:] + data[:i]
    return bytes(data)


def mutated_lines(rng: np.random.Generator, text: str, separator: str) -> str:
    """A table with cells, lines or columns changed, doubled, reordered or left out; or as bytes."""
    if rng.random() < 0.2:
        return mutated_bytes(rng, text.encode()).decode("utf-8", "replace")
    table = [line.split(separator) for line in text.split("\n")]
    for _ in range(int(rng.integers(1, 4))):
        row = int(rng.integers(len(table)))
        column = int(rng.integers(len(table[row]) or 1))
        kind = int(rng.integers(8))
        if kind <= 1 and table[row]:
            table[row][column] = pick(rng, TEXTS)
        elif kind == 2:
            table.insert(row, list(table[row]))
        elif kind == 3 and len(table) > 1:
            table.pop(row)
        elif kind == 4 and table[row]:
            table[row].pop(column)
        elif kind == 5:
            table[row].insert(column, pick(rng, TEXTS))
        elif kind == 6:
            other = int(rng.integers(len(table)))
            table[row], table[other] = table[other], table[row]
        else:
            for line in table:
                if len(line) > 1:
                    line[column % len(line)], line[0] = line[0], line[column % len(line)]
    return "\n".join(separator.join(line) for line in table)


def mutated_json(rng: np.random.Generator, content: Any) -> Any:
    """A JSON value with one entry retyped, left out, doubled or moved somewhere inside."""
    found = copy.deepcopy(content)
    places = list(_places(found))
    for _ in range(int(rng.integers(1, 3))):
        holder, key = pick(rng, places)
        kind = int(rng.integers(5))
        try:
            if kind == 0:
                holder[key] = pick(rng, [None, True, False, 0, 1, -1, 1e308, 1e-320, 0.5, "", "x", "0.5", [], {}, [[]],
                                         10**30, 2**53 + 1, "NaN"])
            elif kind == 1:
                del holder[key]
            elif kind == 2 and isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
                holder[key] = holder[key] * pick(rng, [1.0 + 1e-12, 0.999, 2, -1, 1e10])
            elif kind == 3 and isinstance(holder, list):
                holder.insert(int(rng.integers(len(holder) + 1)), copy.deepcopy(holder[key]))
            elif kind == 4 and isinstance(holder, dict):
                holder[pick(rng, TEXTS)] = holder[key]
        except (KeyError, IndexError):
            continue  # an earlier mutation took the place away
    return found


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    items: Any = (content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list)
                  else ())
    for key, value in items:
        yield content, key
        yield from _places(value)


def outcome(call: Callable[[], Any], allowed: type[BaseException] | tuple[type[BaseException], ...]) -> Any:
    """What the call returns, or None where it ends in an error of ours; any other error is a finding and is raised.

    What a model itself raises comes through to whoever wrote it, with a note on what the model was called with.
    """
    try:
        return call()
    except allowed:
        return None
    except Exception as error:
        if not any("The model was called for input" in note for note in getattr(error, "__notes__", ())):
            raise
        return None
