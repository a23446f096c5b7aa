"""Who carries out the work of a run: this process, processes beside it, or a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rsopt.crew import CrewExecutor
from rsopt.errors import InvalidInputError
from rsopt.local import LocalExecutor
from rsopt.recipe import ModelRecipe

if TYPE_CHECKING:
    from torch import Tensor

    from rsopt.smoothing import SimplexMap, SmoothedClassifier


@contextmanager
def executor(classifier: SmoothedClassifier, seed: int, image: Callable[[int], Tensor], *,
             simplex: SimplexMap | None = None, workers: int | None = None, cluster: str | None = None,
             device: str | None = None) -> Iterator[LocalExecutor | CrewExecutor]:
    """An executor for the length of the block. Whichever it is, the results are the same, bit for bit.

    That holds for equal conditions of sampling: type of device, dtype, versions, threads. The workers take those of
    this process as they are when the block is entered; the executor's `sampling` holds them, for the record.

    Args:
        classifier: the smoothed classifier.
        seed: seed of the noise.
        image: number of an input -> the input, without a batch dimension.
        simplex: for a run on soft outputs, the map from the model's outputs into the simplex.
        workers: processes that sample; None for one, or on a cluster for as many as it has room for. One worker, and
            no cluster, is this process itself.
        cluster: None for this machine, otherwise as in `rsopt.cluster.connected`.
        device: type of the workers' devices ("cpu", "cuda", …), one each; None for that of the model.

    Raises:
        InvalidInputError: fewer than one worker, or a model that cannot be sent to other processes.
        MissingDependencyError: a cluster without Ray.
        WorkerError: the workers cannot be had, or differ.
    """
    if workers is not None and workers < 1:
        raise InvalidInputError(f"A run needs at least one worker; found {workers}.")
    if cluster is not None:
        from rsopt.cluster import RayCrew, connected, ray_module

        recipe = ModelRecipe.of(classifier, seed, simplex=simplex, device=device, pickler=ray_module().cloudpickle)
        with connected(cluster):
            on_host = recipe.device == "cpu"
            crew = RayCrew(recipe, processors=recipe.threads if on_host else 1, accelerators=0 if on_host else 1,
                           samplers=workers)
            with CrewExecutor(crew, image) as spread:
                yield spread
    elif workers is not None and workers > 1:
        from rsopt.processes import ProcessCrew

        recipe = ModelRecipe.of(classifier, seed, simplex=simplex, device=device)
        # Proofs would keep an accelerator waiting, so they get processes of their own.
        spare = 0 if recipe.device == "cpu" else max(1, min((os.cpu_count() or 1) - workers, 2 * workers))
        with CrewExecutor(ProcessCrew(recipe, samplers=workers, provers=spare), image) as beside:
            yield beside
    else:
        with classifier.sampler(seed) as sampler:
            yield LocalExecutor(sampler, image, simplex)
