"""A run is gone on with by the model that began it, and computed as it was begun."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsopt.errors import StorageError
from rsopt.runs.records import LIKENESS, unpack_scores
from rsopt.runs.store import facts_of
from rsopt.runs.work import ChunkDone, Executor, SampleRequest

if TYPE_CHECKING:
    from torch import nn

    from rsopt.smoothing.likeness import Likeness

CODE, ATTRIBUTES, ANSWERS = "model.code", "model.attributes", "model.answers"


@contextmanager
def as_begun(store: Path) -> Iterator[dict[str, Any]]:
    """The facts of the run that is there, {} for none; inside, torch computes with as many threads as it had.

    Sums are split by threads, so that samples may depend on their number.
    """
    import torch

    facts = facts_of(store)
    mine = torch.get_num_threads()
    torch.set_num_threads(facts.get("sampling.threads", mine))
    try:
        yield facts
    finally:
        torch.set_num_threads(mine)


class SameModel:
    """The model of this session beside the one that began the run.

    Args:
        model: the model.
        executor: an executor with nothing to do; it is asked for a chunk of scores.
        idx: number of the input for whose noisy copies: the first of the run.
        sampling: what the samples depend on, as in the executor.
        earlier: facts of the run that is there; {} for none.
    """

    def __init__(self, model: nn.Module, executor: Executor, idx: int, sampling: Mapping[str, object],
                 earlier: Mapping[str, Any]) -> None:
        from rsopt.smoothing.likeness import Likeness

        executor.submit(SampleRequest(idx, LIKENESS, 0, executor.chunk))
        done = executor.wait()
        # An input that fails is told when the run comes to it.
        found = Likeness.of(model, unpack_scores(done.payload, done.rows) if isinstance(done, ChunkDone) else None)
        self._begun = _likeness(earlier)
        self._changes = [] if self._begun is None else found.changes(self._begun, _allowance(sampling))
        self._known = found if self._begun is None else self._begun
        self._comparable = not earlier or self._begun is not None

    @property
    def facts(self) -> dict[str, object]:
        """What is stored of the model: of the one that began the run, so that rounding makes no other run of it."""
        if not self._comparable:
            return {}
        return {CODE: self._known.code, ATTRIBUTES: self._known.attributes, ANSWERS: self._known.answers}

    def refuse_another(self, store: Path) -> None:
        """Raises what makes this another model; after everything else was found to agree.

        Raises:
            StorageError: it is another model.
        """
        if self._changes:
            raise StorageError(f"{store} was begun with another model. The weights are the same, but "
                               f"{'; '.join(self._changes)}. Go on with the model that began it, or choose another "
                               "output folder.")


def _likeness(facts: Mapping[str, Any]) -> Likeness | None:
    from rsopt.smoothing.likeness import Likeness

    if ANSWERS not in facts:
        return None
    return Likeness(facts[CODE], facts[ATTRIBUTES], facts[ANSWERS])


def _allowance(sampling: Mapping[str, object]) -> float:
    import torch

    from rsopt.smoothing.rounding import rounding_allowance

    names = [str(sampling[name]) for name in ("input_dtype", "autocast") if sampling[name] is not None]
    reduced = str(sampling["device"]).startswith("cuda") and sampling["matmul"] != "highest"
    return rounding_allowance([getattr(torch, name) for name in names], reduced)
