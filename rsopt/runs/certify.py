"""Model and data in, certified table out: a run with everything it leaves behind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsopt.errors import InvalidInputError
from rsopt.files import is_file
from rsopt.methods import soft_methods
from rsopt.runs.export import write_table
from rsopt.runs.folder import CERTIFICATES, PICTURES, STORE, TABLE
from rsopt.runs.inputs import Inputs
from rsopt.runs.pictures import hardest, save_pictures
from rsopt.runs.proofs import refuse_strangers, save_proofs, stored_certificates
from rsopt.runs.rows import Row
from rsopt.runs.run import Run, Watcher
from rsopt.runs.same_model import SameModel, as_begun
from rsopt.runs.soft_outputs import chosen_outputs
from rsopt.runs.store import Store
from rsopt.runs.task import Task
from rsopt.runs.workers.executors import ALONE, Workers, executor

if TYPE_CHECKING:
    from rsopt.smoothing import SmoothedClassifier


def certify(classifier: SmoothedClassifier, inputs: Inputs, task: Task, *, seed: int, output: Path, title: str = "",
            stop_on_failure: bool = True, watcher: Watcher | None = None, workers: Workers = ALONE) -> list[Row]:
    """Certifies inputs and leaves the store, the table, the certificates and some pictures in a folder.

    The folder may hold the same run, unfinished: it is then continued, and the result is bit for bit that of an
    uninterrupted one (but for the times), whoever does the work and however many threads torch is set to by now.

    Args:
        classifier: the smoothed classifier; its noise, fitted to the inputs, must be the task's.
        inputs: the data.
        task: what is certified, and when sampling stops; the dimension of the inputs is filled in.
        seed: seed of the noise.
        output: the folder.
        title: model and data in words, for reports; a run is known by what they answer and hold, not by this.
        stop_on_failure: whether an input that the model cannot take ends the run, or is a row of its own.
        watcher: is told of the progress.
        workers: who samples and proves; by default this process alone.

    Returns:
        one row an input, in the order of their numbers.

    Raises:
        InvalidInputError: task and classifier disagree, a label that is no class, a folder that holds proofs of other
            inputs, or as in `Run`.
        ModelError, StorageError, RsoptError: as in `Run.rows`.
        StorageError: the folder holds another run, or this one begun with another model.
        WorkerError, MissingDependencyError: as in `rsopt.runs.workers.executors.executor`.
    """
    question, dimension = task.question, 0
    sampler = classifier.under(question.noise).sampler(seed)
    for idx in inputs.chosen:
        image = inputs.images[idx]
        shape = tuple(np.shape(image))
        if (noise := classifier.noise.fitted(shape)) != question.noise:
            raise InvalidInputError(f"The task has {question.noise.title}, and the classifier has {noise.title} for "
                                    f"input {idx}.")
        if stop_on_failure:
            # What the noise cannot be applied to is refused before the first sample is paid for.
            sampler.prepared(image, idx)
        dimension = max(dimension, math.prod(shape))
    classifier, task = classifier.under(question.noise), replace(task, dimension=dimension)
    if not is_file(output / STORE):
        # A run that is there tells by itself whether it is this one.
        refuse_strangers(output / CERTIFICATES, inputs.chosen)
    labels = {idx: _label(inputs.labels[idx], idx, classifier.num_classes) for idx in inputs.chosen}
    with as_begun(output / STORE) as earlier:
        soft = None if task.soft is None else chosen_outputs(
            task.soft, classifier, inputs, n0=task.n0, n=task.policy.most_samples, alpha=question.alpha,
            functional=next(iter(soft_methods(question.noise).values())), seed=seed, store=output / STORE,
            stop_on_failure=stop_on_failure)
        task, simplex = replace(task, soft=soft), None if soft is None else soft.simplex_map()
        with executor(classifier, seed, lambda idx: inputs.images[idx], workers, simplex=simplex) as crew:
            model = SameModel(classifier.model, crew, inputs.chosen[0], crew.sampling, earlier)
            facts = {**run_facts(classifier, inputs, task, crew.sampling), **model.facts}
            with Store.open(output / STORE, facts, title=title) as store:
                model.refuse_another(store.path)
                rows = Run(labels, task, crew, store, stop_on_failure=stop_on_failure, watcher=watcher).rows()
                write_table(output / TABLE, rows)
                save_proofs(output / CERTIFICATES, stored_certificates(store))
                save_pictures(output / PICTURES, ((row.idx, inputs.images[row.idx]) for row in hardest(rows)),
                              question.noise)
    return rows


def run_facts(classifier: SmoothedClassifier, inputs: Inputs, task: Task,
              sampling: Mapping[str, object]) -> dict[str, object]:
    """What two sessions must agree on to work on one run: model, data, task, sampling conditions, version."""
    from rsopt.smoothing import fingerprint

    return {"rsopt": metadata.version("rsopt"), "model": fingerprint(classifier.model),
            "data": inputs.fingerprint(), "inputs": len(inputs.chosen), **task.facts(),
            **{f"sampling.{name}": value for name, value in sampling.items()}}


def _label(label: int | None, idx: int, classes: int) -> int | None:
    if label is not None and not 0 <= label < classes:
        raise InvalidInputError(f"Input {idx} has label {label}, which is no class: there are {classes}, numbered "
                                "from 0.")
    return label
