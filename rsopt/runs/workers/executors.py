"""Who carries out the work of a run: this process, processes beside it, or a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rsopt.errors import InvalidInputError
from rsopt.runs.workers.crew import CrewExecutor
from rsopt.runs.workers.local import LocalExecutor
from rsopt.runs.workers.recipe import ModelRecipe

if TYPE_CHECKING:
    from torch import Tensor

    from rsopt.smoothing import SimplexMap, SmoothedClassifier


@dataclass(frozen=True)
class Workers:
    """Who samples and proves; by default the calling process alone. Changes no result.

    Attributes:
        count: workers that hold the model. None for one, or on a cluster for as many as it has room for. One worker
            without a cluster is the calling process itself.
        cluster: None for this machine; otherwise "ray" or "ray://HOST:PORT" (`rsopt.runs.workers.cluster.connected`).
        device: type of the workers' devices ("cpu", "cuda", …), one device each; None for that of the model.

    Raises:
        InvalidInputError: fewer than one worker.
    """

    count: int | None = None
    cluster: str | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise InvalidInputError(f"A run needs at least one worker; found {self.count}.")

    @property
    def apart(self) -> bool:
        """Whether the work is done by other processes than the calling one."""
        return self.cluster is not None or (self.count or 1) > 1


ALONE = Workers()


@contextmanager
def executor(classifier: SmoothedClassifier, seed: int, image: Callable[[int], Tensor], workers: Workers = ALONE, *,
             simplex: SimplexMap | None = None) -> Iterator[LocalExecutor | CrewExecutor]:
    """An executor for the length of the block. Whichever it is, the results are the same, bit for bit.

    That holds for equal conditions of sampling: type of device, dtype, versions, threads. The workers take the number
    of threads and the precision settings of torch in this process as they are when the block is entered; the
    executor's `sampling` holds the conditions, for the record.

    Args:
        classifier: the smoothed classifier.
        seed: seed of the noise.
        image: number of an input -> the input, without a batch dimension.
        workers: who samples and proves.
        simplex: for a run on soft outputs, the map from the model's outputs into the simplex.

    Raises:
        InvalidInputError: a model that cannot be sent to other processes, or loaded there.
        MissingDependencyError: a cluster without Ray.
        WorkerError: the workers cannot be had, or differ.
    """
    if workers.cluster is not None:
        from rsopt.runs.workers.cluster import RayCrew, connected, ray_module

        recipe = ModelRecipe.of(classifier, seed, simplex=simplex, device=workers.device,
                                pickler=ray_module().cloudpickle)
        with connected(workers.cluster):
            on_host = recipe.device == "cpu"
            crew = RayCrew(recipe, processors=recipe.threads if on_host else 1, accelerators=0 if on_host else 1,
                           samplers=workers.count)
            with CrewExecutor(crew, image) as spread:
                yield spread
    elif workers.apart:
        from rsopt.runs.workers.processes import ProcessCrew

        recipe = ModelRecipe.of(classifier, seed, simplex=simplex, device=workers.device)
        count = workers.count or 1
        # Proofs would keep an accelerator waiting, so they get processes of their own.
        provers = 0 if recipe.device == "cpu" else max(1, min((os.cpu_count() or 1) - count, 2 * count))
        with CrewExecutor(ProcessCrew(recipe, samplers=count, provers=provers), image) as beside:
            yield beside
    else:
        with classifier.sampler(seed) as sampler:
            yield LocalExecutor(sampler, image, simplex)
