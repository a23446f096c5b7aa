"""A smoothed classifier on its way to the processes that sample it."""

from __future__ import annotations

import io
import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rsopt.errors import InvalidInputError
from rsopt.runs.work import ChunkDone, SampleRequest
from rsopt.runs.workers.local import drawn
from rsopt.runs.workers.worker import Place

if TYPE_CHECKING:
    from rsopt.smoothing import Sampler, SimplexMap, SmoothedClassifier


@dataclass(frozen=True)
class ModelBench:
    """An open sampler in a worker; with a simplex map it delivers score rows."""

    sampler: Sampler
    simplex: SimplexMap | None

    @property
    def sampling(self) -> dict[str, object]:
        """The sampler's provenance."""
        return dict(self.sampler.provenance.as_dict())

    def chunks(self, request: SampleRequest, image: Any) -> Iterator[ChunkDone]:
        """As in `rsopt.runs.workers.worker.Bench`."""
        return drawn(self.sampler, request, image, self.simplex)


@dataclass(frozen=True)
class ModelRecipe:
    """Opens one sampler a worker, under the settings of torch that the run was begun with.

    Attributes:
        classifier: the classifier, saved by torch.
        seed: seed of the noise.
        device: type of the device, "cpu", "cuda", …; a worker takes the one of its number among those it sees.
        threads: threads torch computes with on the host: samples may depend on it, so it is the same everywhere.
        matmul: precision of float32 products.
        tf32: whether cuDNN may use TF32.
        folder: working folder of the process that packed the classifier; the model's own module may lie in it.
        simplex: for a run on soft outputs, the map from the model's outputs into the simplex.
    """

    classifier: bytes
    seed: int
    device: str
    threads: int
    matmul: str
    tf32: bool
    folder: str
    simplex: SimplexMap | None = None

    @classmethod
    def of(cls, classifier: SmoothedClassifier, seed: int, *, simplex: SimplexMap | None = None,
           device: str | None = None, pickler: ModuleType = pickle) -> ModelRecipe:
        """Packs a classifier.

        Args:
            classifier: the classifier.
            seed: seed of the noise.
            simplex: for a run on soft outputs, the map from the model's outputs into the simplex.
            device: type of the workers' devices; None for that of the model.
            pickler: a module with the interface of `pickle`, for classes that plain pickle cannot name.

        Raises:
            InvalidInputError: the model cannot be pickled, or no device is called so.
        """
        import torch

        from rsopt.smoothing.evaluation import model_device

        try:
            kind = (model_device(classifier.model, classifier.device) if device is None else torch.device(device)).type
        except RuntimeError as error:
            raise InvalidInputError(f"There is no device {device!r}: {str(error).splitlines()[0]}") from error
        if kind == "meta":
            raise InvalidInputError("The device 'meta' holds shapes and no numbers. Give the workers another one, such "
                                    "as 'cpu'.")
        body = io.BytesIO()
        try:
            # A copy of the fields alone: compiled code stays behind and is made again where it runs.
            torch.save(classifier.on(classifier.device or "cpu"), body, pickle_module=pickler)
        except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as error:
            # torch raises RuntimeError for modules made by torch.jit.
            reason = str(error).rstrip(".!")
            raise InvalidInputError(f"The model cannot be sent to other processes: {reason}. Define its classes and "
                                    "functions in a module, not inside a function, or use one worker.") from error
        return cls(body.getvalue(), seed, kind,
                   torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32,
                   os.getcwd(), simplex)

    @contextmanager
    def open(self, place: Place) -> Iterator[ModelBench]:
        """The bench of the worker at `place`; sets torch of this process as it was where the run was begun.

        Raises:
            InvalidInputError: there is no such device here, or the model cannot be loaded.
        """
        import torch

        torch.set_num_threads(self.threads)
        torch.set_float32_matmul_precision(self.matmul)
        torch.backends.cudnn.allow_tf32 = self.tf32
        device = _device(self.device, place.number)
        if self.folder not in sys.path:
            sys.path.append(self.folder)
        try:
            # Our own bytes, from the process that asked for this worker.
            packed = torch.load(io.BytesIO(self.classifier), map_location=device, weights_only=False)
        except (ImportError, AttributeError) as error:
            raise InvalidInputError(f"The model cannot be loaded in a worker: {error}. Its module must be importable "
                                    "there.") from error
        classifier: SmoothedClassifier = packed.on(device)
        with classifier.sampler(self.seed) as sampler:
            yield ModelBench(sampler, self.simplex)


def _device(kind: str, number: int) -> str:
    import torch

    if kind in ("cpu", "mps"):
        return kind
    found = torch.get_device_module(kind).device_count()
    if not found:
        raise InvalidInputError(f"A worker was to sample on a device of type {kind!r}, and sees none.")
    return f"{kind}:{number % found}"
