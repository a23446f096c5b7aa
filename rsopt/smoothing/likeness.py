"""Is this the model that began a run? What can be seen of it beside its weights: code, attributes, answers."""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType, MethodType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rsopt.smoothing.provenance import tensor_bytes

__all__ = ["Answers", "Likeness"]

ROWS = 8
"""Answers to so many noisy copies of an input are kept as numbers, those to the others in a digest."""
DIGITS = 6
_DEPTH = 6


@dataclass(frozen=True)
class Likeness:
    """What a model is known by beside the weights in its `fingerprint`.

    Covered are the Python functions of its modules' classes (not those of torch, whose version is recorded, and only
    as long as the version of Python stays), the public attributes of its modules that are plain values or arrays, and
    its scores for a chunk of noisy copies of one input. The scores see whatever else decides: a session of another
    runtime, a forest, a function in C. Not covered is what changes none of those scores and is neither code nor
    weights.

    Attributes:
        code: digest of the functions, with the version of Python that compiled them.
        attributes: digest of the attributes.
        answers: the scores (`Answers.text`); "" where the model gave none.
    """

    code: str
    attributes: str
    answers: str

    @classmethod
    def of(cls, model: nn.Module, scores: NDArray[np.float32] | None) -> Likeness:
        """What a model is known by.

        Args:
            model: the model.
            scores: its scores for noisy copies of an input, (rows, K); None where it takes none.
        """
        return cls(f"{_digest(*_functions(model))} (Python {platform.python_version().rpartition('.')[0]})",
                   _digest(*_attributes(model)), "" if scores is None else Answers.of(scores).text())

    def changes(self, earlier: Likeness, allowance: float) -> list[str]:
        """What makes this another model than an earlier one, in words; empty where it is the same.

        Scores may differ by rounding, since other processors compute in another order, as long as nothing else has
        changed. Attributes may change as long as no score does to the last bit: they hold paths and counters too.

        Args:
            earlier: the model that it is compared with.
            allowance: relative difference of scores that is put down to rounding (`rounding_allowance`).
        """
        told = []
        same_python = self.code.partition(" ")[2] == earlier.code.partition(" ")[2]
        if same_python and self.code != earlier.code:
            told.append("the code of its modules is another")
        if self.answers == earlier.answers:
            return told
        if self.attributes != earlier.attributes:
            told.append("attributes of its modules are others")
        if self.answers and earlier.answers:
            mine, theirs = Answers.read(self.answers), Answers.read(earlier.answers)
            told += mine.difference(theirs, 0.0 if told else allowance)
        return told


@dataclass(frozen=True)
class Answers:
    """Scores of a model for noisy copies of one input, cut down to what fits into a line.

    Attributes:
        digest: of all scores, to the last bit of float32.
        votes: votes of the first rows.
        largest: their largest scores, to six digits.
    """

    digest: str
    votes: tuple[int, ...]
    largest: tuple[float, ...]

    @classmethod
    def of(cls, scores: NDArray[np.float32]) -> Answers:
        """The answers in a table of scores (rows, K)."""
        rows = np.nan_to_num(scores[:ROWS].astype(np.float32), nan=-1.0, posinf=1e30, neginf=-1e30)
        return cls(_digest(np.ascontiguousarray(scores, dtype="<f4").tobytes()),
                   tuple(int(vote) for vote in rows.argmax(axis=1)),
                   tuple(float(f"{top:.{DIGITS}g}") for top in rows.max(axis=1)))

    def text(self) -> str:
        """One line: the digest, then vote:score for each row."""
        pairs = zip(self.votes, self.largest, strict=True)
        return " ".join([self.digest, *(f"{vote}:{top:.{DIGITS}g}" for vote, top in pairs)])

    @classmethod
    def read(cls, text: str) -> Answers:
        """The inverse of `text`."""
        digest, *pairs = text.split()
        votes, tops = zip(*(pair.split(":") for pair in pairs), strict=True)
        return cls(digest, tuple(map(int, votes)), tuple(map(float, tops)))

    def difference(self, other: Answers, allowance: float) -> list[str]:
        """How the answers differ by more than rounding, in words; empty if they do not."""
        mine, theirs = np.array(self.largest), np.array(other.largest)
        away = np.abs(theirs - np.median(theirs))
        apart = np.abs(mine - theirs)
        votes = sum(one != two for one, two in zip(self.votes, other.votes, strict=True))
        beyond = apart > allowance * np.maximum(away, np.median(away)) + 2.0 * 10.0 ** -DIGITS * np.abs(theirs)
        if allowance and votes <= 1 and not bool(beyond.any()):
            return []
        return [f"its scores for {len(apart)} noisy copies of the first input differ by up to {apart.max():.2g}, and "
                f"{votes} of its votes"]


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]


def _functions(model: nn.Module) -> Iterator[bytes]:
    """The Python functions of a model's modules: names and compiled code, without line numbers and docstrings."""
    seen: set[type] = set()
    for name, module in model.named_modules():
        for kind in type(module).__mro__:
            if kind not in seen and kind is not object and kind.__module__.partition(".")[0] != "torch":
                seen.add(kind)
                yield f"class {kind.__qualname__}".encode()
                for key, value in sorted(vars(kind).items()):
                    if function := _function(value):
                        yield f"{key} {_compiled(function.__code__, function.__doc__)} {_defaults(function)}".encode()
        for key, value in sorted(vars(module).items()):
            if function := _function(value):
                yield f"{name}.{key} {_compiled(function.__code__, function.__doc__)} {_defaults(function)}".encode()


def _function(value: object) -> FunctionType | None:
    if isinstance(value, staticmethod | classmethod | MethodType):
        value = value.__func__
    elif isinstance(value, property):
        value = value.fget
    elif isinstance(value, functools.cached_property | functools.partial):
        value = value.func
    return value if isinstance(value, FunctionType) else None


def _compiled(code: CodeType, doc: str | None = None) -> str:
    # Without a docstring None stands in its place.
    constants = [_compiled(constant) if isinstance(constant, CodeType) else
                 repr(sorted(constant, key=repr)) if isinstance(constant, frozenset) else repr(constant)
                 for constant in code.co_consts if constant is not None and constant != doc]
    return f"{code.co_code.hex()} {code.co_names} {constants}"


def _defaults(function: FunctionType) -> str:
    given = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    return " ".join(filter(None, (_text(value, _DEPTH) for value in given)))


def _attributes(model: nn.Module) -> Iterator[bytes]:
    """The public attributes of a model's modules that are plain values or arrays; whether it is in train mode is not
    one."""
    for name, module in model.named_modules():
        for key, value in sorted(vars(module).items()):
            if not key.startswith("_") and key != "training" and (text := _text(value, _DEPTH)) is not None:
                yield f"{name}.{key}={text}".encode()


def _text(value: object, depth: int) -> str | None:
    """A plain value as text that is the same in every process; None for anything else."""
    if isinstance(value, bool | int | float | complex | str | bytes | torch.dtype | np.generic | None):
        return repr(value)
    if isinstance(value, torch.Tensor):
        return f"{value.dtype}{tuple(value.shape)}{_digest(tensor_bytes(value))}"
    if isinstance(value, np.ndarray) and value.dtype.hasobject is False:
        return f"{value.dtype}{value.shape}{_digest(np.ascontiguousarray(value).tobytes())}"
    if depth and isinstance(value, tuple | list):
        return f"[{', '.join(str(_text(part, depth - 1)) for part in value)}]"
    if depth and isinstance(value, dict):
        return _text([part for pair in value.items() for part in pair], depth)
    if depth and isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(str(_text(part, depth - 1)) for part in value))}}}"
    return None
