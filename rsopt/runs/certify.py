"""Model and data in, certified table out: a run with everything it leaves behind."""

from __future__ import annotations

import hashlib
import operator
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from rsopt.errors import InvalidInputError, StorageError
from rsopt.runs.records import CertificateRow, Outcome
from rsopt.runs.reports.pictures import PICTURES, hardest, save_pictures
from rsopt.runs.rows import Row, write_table
from rsopt.runs.run import Run, Watcher
from rsopt.runs.same_model import SameModel, as_begun
from rsopt.runs.store import Store
from rsopt.runs.task import Task
from rsopt.runs.work import OWN
from rsopt.runs.workers.executors import ALONE, Workers, executor

if TYPE_CHECKING:
    from torch import Tensor

    from rsopt.smoothing import SimplexMap, SmoothedClassifier

STORE = "run.sqlite"
TABLE = "table.tsv"
CERTIFICATES = "certificates"
PLOT = "certified_accuracy.png"


@dataclass(frozen=True, eq=False)
class Inputs:
    """What is certified.

    Attributes:
        images: the whole data set: images[i] is input number i, without a batch dimension.
        labels: its labels, or None for each that is unknown.
        chosen: the numbers of the inputs to certify. The number keys the noise, so an input gets the same samples
            whatever else is certified beside it.

    Raises:
        InvalidInputError: numbers of images and labels that differ, labels or input numbers that are no integers, no
            inputs, or a number outside the data set.
    """

    images: Sequence[Tensor] | Tensor
    labels: Sequence[int | None]
    chosen: Sequence[int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", [None if label is None else _integer(label, "label")
                                            for label in self.labels])
        object.__setattr__(self, "chosen", [_integer(idx, "number of an input") for idx in self.chosen])
        if len(self.images) != len(self.labels):
            raise InvalidInputError(f"There are {len(self.images)} images and {len(self.labels)} labels.")
        if not self.chosen:
            raise InvalidInputError("There are no inputs to certify.")
        if outside := [idx for idx in self.chosen if not 0 <= idx < len(self.images)]:
            raise InvalidInputError(f"Input {outside[0]} was asked for; the data set has {len(self.images)}, numbered "
                                    "from 0.")

    def fingerprint(self) -> str:
        """SHA-256 over the chosen inputs: numbers, labels, dtypes, shapes and bytes."""
        digest = hashlib.sha256()
        for idx in self.chosen:
            image = np.ascontiguousarray(np.asarray(self.images[idx]))
            digest.update(f"{idx} {self.labels[idx]} {image.dtype.str} {image.shape}\n".encode())
            digest.update(image.tobytes())
        return digest.hexdigest()


def certify(classifier: SmoothedClassifier, inputs: Inputs, task: Task, *, seed: int, output: Path,
            stop_on_failure: bool = True, watcher: Watcher | None = None, workers: Workers = ALONE) -> list[Row]:
    """Certifies inputs and leaves the store, the table, the certificates and some pictures in a folder.

    The folder may hold the same run, unfinished: it is then continued, and the result is bit for bit that of an
    uninterrupted one (but for the times), whoever does the work and however many threads torch is set to by now.

    Args:
        classifier: the smoothed classifier; its sigma must be the task's.
        inputs: the data.
        task: what is certified, and when sampling stops.
        seed: seed of the noise.
        output: the folder.
        stop_on_failure: whether an input that the model cannot take ends the run, or is a row of its own.
        watcher: is told of the progress.
        workers: who samples and proves; by default this process alone.

    Returns:
        one row an input, in the order of their numbers.

    Raises:
        InvalidInputError: task and classifier disagree, a label that is no class, or as in `Run`.
        ModelError, StorageError, RsoptError: as in `Run.rows`.
        StorageError: the folder holds another run, or this one begun with another model.
        WorkerError, MissingDependencyError: as in `rsopt.runs.workers.executors.executor`.
    """
    if classifier.sigma != task.sigma:
        raise InvalidInputError(f"The task has sigma {task.sigma} and the classifier {classifier.sigma}.")
    labels = {idx: _label(inputs.labels[idx], idx, classifier.num_classes) for idx in inputs.chosen}
    with as_begun(output / STORE) as earlier:
        task = with_choice(task, classifier, inputs, seed, output, stop_on_failure)
        with executor(classifier, seed, lambda idx: inputs.images[idx], workers, simplex=simplex_of(task)) as crew:
            model = SameModel(classifier.model, crew, inputs.chosen[0], crew.sampling, earlier)
            facts = {**run_facts(classifier, inputs, task, crew.sampling), **model.facts}
            with Store.open(output / STORE, facts) as store:
                model.refuse_another(store.path)
                rows = Run(labels, task, crew, store, stop_on_failure=stop_on_failure, watcher=watcher).rows()
                write_table(output / TABLE, rows)
                save_certificates(output / CERTIFICATES, stored_certificates(store))
                save_pictures(output / PICTURES, ((row.idx, inputs.images[row.idx]) for row in hardest(rows)),
                              task.sigma)
    return rows


def with_choice(task: Task, classifier: SmoothedClassifier, inputs: Inputs, seed: int, output: Path,
                stop_on_failure: bool) -> Task:
    """The task with its temperature and method: as given, as an earlier session of the run chose them, or chosen now.

    Raises:
        InvalidInputError: a temperature is to be chosen, and there are no selection samples or the map has none.
        ModelError: the model cannot take an input, and the run stops on failures.
    """
    soft = task.soft
    if soft is None or not soft.temperatures or soft.temperature is not None:
        return task
    from rsopt.scores.temperature import choose_temperature, selection_rows

    # An unknown map is refused by its name first.
    simplex_of(task)
    if soft.simplex != "softmax":
        raise InvalidInputError(f"A temperature belongs to softmax; {soft.simplex!r} has none to choose.")
    if task.n0 is None:
        raise InvalidInputError("A temperature is chosen on selection samples, and a run on known labels draws none. "
                                "Give n0, or the temperature itself.")
    methods = soft.methods or (soft.method,)
    stored = _earlier_choice(output / STORE)
    if (stored.get("temperatures"), stored.get("methods")) == (list(soft.temperatures), list(soft.methods)):
        # A method that was asked for stays, so that a run begun with another one is told apart from this one.
        method = stored["method"] if soft.methods else soft.method
        return replace(task, soft=replace(soft, temperature=stored["temperature"], method=method))
    rows = selection_rows(classifier, ((idx, inputs.images[idx]) for idx in inputs.chosen), n0=task.n0, seed=seed,
                          temperature=soft.temperatures[-1], stop_on_failure=stop_on_failure)
    first = next(rows, None)
    if first is None:
        # The model can take no input at all: nothing will be bounded, and every input is a row with its error.
        return replace(task, soft=replace(soft, temperature=soft.temperatures[-1], method=methods[0]))
    choice = choose_temperature(chain([first], rows), n=task.policy.most_samples, alpha=task.policy.alpha,
                                temperatures=soft.temperatures, methods=methods)
    return replace(task, soft=replace(soft, temperature=choice.temperature, method=choice.method))


def _earlier_choice(path: Path) -> dict[str, Any]:
    """What an earlier session stored about scores; empty where none got as far as storing it."""
    if not path.is_file():
        return {}
    try:
        with Store.read(path) as store:
            return dict(store.facts.get("scores") or {})
    except StorageError:
        # A file without tables is left by a process that died at its start. Whatever else is wrong with it is said
        # when it is opened for work.
        return {}


def simplex_of(task: Task) -> SimplexMap | None:
    """The map of a run on soft outputs, None for votes alone.

    Raises:
        UnknownNameError: no such map.
        InvalidInputError: a temperature that the map does not have, or one that is not positive.
    """
    if task.soft is None:
        return None
    from rsopt.smoothing import simplex_map

    return simplex_map(task.soft.simplex, task.soft.temperature)


def run_facts(classifier: SmoothedClassifier, inputs: Inputs, task: Task,
              sampling: Mapping[str, object]) -> dict[str, object]:
    """What two sessions must agree on to work on one run: model, data, task, sampling conditions, version."""
    from rsopt.smoothing import fingerprint

    return {"rsopt": metadata.version("rsopt"), "model": fingerprint(classifier.model),
            "data": inputs.fingerprint(), "inputs": len(inputs.chosen), **task.facts(),
            **{f"sampling.{name}": value for name, value in sampling.items()}}


def stored_proofs(store: Store) -> Iterator[tuple[str, str]]:
    """(name, JSON) of every proof in a store, one at a time: the input's number and, for soft bounds, the kind."""
    for outcome in store.all(Outcome):
        for row in store.of_input(CertificateRow, outcome.idx):
            name = f"{row.idx:06d}" if row.method == OWN else f"{row.idx:06d}-{row.method}"
            yield name, zlib.decompress(row.body).decode()


def stored_certificates(store: Store) -> dict[str, str]:
    """The certificates of the bounds on votes as JSON, by the input's number in six digits."""
    return {name: text for name, text in stored_proofs(store) if "-" not in name}


def save_certificates(folder: Path, proofs: Iterable[tuple[str, str]] | Mapping[str, str]) -> int:
    """Writes every proof as a file NAME.json of its own, and says how many there were.

    Raises:
        StorageError: a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        count = 0
        for name, text in proofs.items() if isinstance(proofs, Mapping) else proofs:
            target = folder / f"{name}.json"
            partial = target.with_name(target.name + ".partial")
            partial.write_text(text + "\n")
            partial.replace(target)
            count += 1
    except OSError as error:
        raise StorageError(f"The proofs in {folder} cannot be written: {error.strerror or error}.") from error
    return count


def _integer(value: SupportsIndex, what: str) -> int:
    """A plain integer: those of NumPy and torch would be stored as bytes."""
    try:
        return operator.index(value)
    except TypeError:
        raise InvalidInputError(f"A {what} must be an integer; found {value!r}.") from None


def _label(label: int | None, idx: int, classes: int) -> int | None:
    if label is not None and not 0 <= label < classes:
        raise InvalidInputError(f"Input {idx} has label {label}, which is no class: there are {classes}, numbered "
                                "from 0.")
    return label
