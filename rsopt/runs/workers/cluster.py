"""A crew of Ray actors, on one machine or on a cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from rsopt.errors import InvalidInputError, MissingDependencyError, WorkerError
from rsopt.runs.workers.crew import LOG, Answered, Event, Lost, Ready, Refused
from rsopt.runs.workers.worker import Conditions, Place, Recipe, Worker, portable

SCHEME = "ray"

# A client server starts a process for each connection, and on a busy machine that process may die as it starts.
ATTEMPTS = 4


def ray_module() -> ModuleType:
    """The package ray.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError.of("A run on a cluster", "ray", "ray") from error
    module: ModuleType = ray
    return module


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Ray is connected inside the block; a connection that the caller has already is used and left as it is.

    Args:
        address: "ray" finds a cluster as Ray does (the variable RAY_ADDRESS, or one that ``ray start`` started on this
            machine) and otherwise starts one for this process alone, on this machine; "ray://HOST:PORT" is the address
            of a cluster's client server, for a machine that is no part of it.

    Raises:
        InvalidInputError: an address of another form.
        MissingDependencyError: ray is not installed, or not its client where an address is given.
        WorkerError: the cluster cannot be reached.
    """
    if address != SCHEME and not (address.startswith(f"{SCHEME}://") and address.removeprefix(f"{SCHEME}://")):
        raise InvalidInputError(f"A cluster is 'ray' or 'ray://HOST:PORT'; found {address!r}.")
    ray = ray_module()
    if address != SCHEME and find_spec("grpc") is None:
        raise MissingDependencyError.of(f"Ray's client for {address}", "grpcio", "ray")
    if ray.is_initialized():
        yield
        return
    try:
        _connect(ray, address)
    except (ConnectionError, ImportError, RuntimeError, ValueError, SystemExit) as error:
        # Where RAY_ADDRESS leads nowhere, Ray would end the process.
        reason = "Ray gave up" if isinstance(error, SystemExit) else _first_line(error)
        raise WorkerError(f"The cluster at {address} cannot be reached: {reason}. Check the address, that "
                          "the cluster runs, that Ray and Python have the same versions there, and that RAY_AUTH_MODE "
                          "and the token in ~/.ray/auth_token are the same on all machines.") from error
    try:
        yield
    finally:
        ray.shutdown()


def _connect(ray: ModuleType, address: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address != SCHEME:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                ray.init(address, **quiet)
                return
            except ConnectionAbortedError:
                if attempt == ATTEMPTS:
                    raise
                LOG.warning("The cluster at %s answered and could not start a session; trying again.", address)
    try:
        # Not "auto", which also joins what any other process has started for itself alone, and dies with it.
        ray.init(include_dashboard=False, **quiet)
    except ConnectionError:
        # A cluster that was started here and is gone.
        if os.environ.get("RAY_ADDRESS"):
            raise
        ray.init("local", include_dashboard=False, **quiet)


class RayCrew:
    """Workers as Ray actors. Ray must be connected.

    An actor that dies is replaced by a new one wherever the cluster has room; one that finds no room joins when there
    is some.

    Args:
        recipe: what a worker samples.
        processors: processor slots that a worker takes.
        accelerators: accelerators that a worker takes, 0 or 1.
        samplers: workers that hold the model; None for as many as the cluster has room for.

    Raises:
        InvalidInputError: fewer than one worker.
        WorkerError: the cluster has no room for a single worker.
    """

    def __init__(self, recipe: Recipe, *, processors: int = 1, accelerators: int = 0,
                 samplers: int | None = None) -> None:
        if samplers is not None and samplers < 1:
            raise InvalidInputError(f"A run needs at least one worker that samples; found {samplers}.")
        self._ray = ray_module()
        room = self._ray.cluster_resources()
        slots = int(room.get("GPU", 0.0)) if accelerators else int(room.get("CPU", 0.0)) // processors
        if slots < 1:
            raise WorkerError(f"The cluster has no room for a worker: it needs {processors} CPU and {accelerators} "
                              f"GPU; there are {room.get('CPU', 0):g} CPU and {room.get('GPU', 0):g} GPU in all.")
        self.samplers = slots if samplers is None else samplers
        if self.samplers > slots:
            LOG.warning("The cluster has room for %d workers; %d were asked for. The others join when there is room.",
                        slots, self.samplers)
        # Proofs would keep an accelerator waiting, so they get workers of their own where processors are to spare.
        spare = int(room.get("CPU", 0.0)) - self.samplers * processors
        self.size = self.samplers + (max(0, min(spare, 2 * self.samplers)) if accelerators else 0)
        self._recipe = self._ray.put(recipe)
        self._actor = self._ray.remote(RayWorker)
        self._needs = {"num_cpus": processors, "num_gpus": accelerators}
        self._actors: dict[int, Any] = {}
        self._pending: dict[Any, int] = {}

    def start(self, worker: int) -> None:
        """Asks for an actor and sends it the recipe."""
        samples = worker < self.samplers
        needs = self._needs if samples else {"num_cpus": 1, "num_gpus": 0}
        actor = self._actor.options(**needs, max_restarts=0, max_task_retries=0).remote()
        self._actors[worker] = actor
        self._pending[actor.open.remote(self._recipe, worker, samples)] = worker

    def give(self, worker: int, unit: bytes) -> None:
        """Hands over a unit."""
        self._pending[self._actors[worker].carry_out.remote(unit)] = worker

    def events(self, *, block: bool) -> list[Event]:
        """What the actors returned, and which are gone."""
        if block:
            self._ray.wait(list(self._pending), num_returns=1)
        finished, _ = self._ray.wait(list(self._pending), num_returns=len(self._pending), timeout=0)
        return [self._event(reference) for reference in finished]

    def close(self) -> None:
        """Kills the actors: whatever they are in the middle of is not wanted any more."""
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors.clear()
        self._pending.clear()

    def _event(self, reference: Any) -> Event:
        worker = self._pending.pop(reference)
        try:
            sent = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            # Also where Ray only cannot reach it for a moment: a worker that came back would do its unit for nothing.
            self._ray.kill(self._actors.pop(worker))
            return Lost(worker, _first_line(error))
        if isinstance(sent, bytes):
            return Answered(worker, sent)
        return Ready(worker, sent) if isinstance(sent, Conditions) else Refused(worker, sent)


class RayWorker:
    """A worker as a Ray actor."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def open(self, recipe: Recipe, number: int, samples: bool) -> Conditions | Exception:
        """Opens the bench: under which conditions, or why it cannot be."""
        try:
            self._worker = Worker(recipe, Place(number, samples))
            return self._worker.conditions()
        except Exception as error:
            # Loading a model runs anybody's code. The caller tells the error in its own process.
            return portable(error)

    def carry_out(self, unit: bytes) -> bytes:
        """As in `rsopt.runs.workers.worker.Worker`."""
        assert self._worker is not None, "units are given to workers that are ready"
        return self._worker.carry_out(unit)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
