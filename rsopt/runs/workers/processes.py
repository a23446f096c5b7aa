"""A crew of processes on this machine."""

from __future__ import annotations

import pickle
import signal
from multiprocessing import current_process, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from rsopt.errors import InvalidInputError, WorkerError
from rsopt.runs.workers.crew import Answered, Event, Lost, Ready, Refused
from rsopt.runs.workers.worker import Place, Recipe, Worker, portable


class ProcessCrew:
    """Workers as processes of this machine, started afresh so that nothing of the caller's state comes along.

    Args:
        recipe: what a worker samples.
        samplers: workers that hold the model.
        provers: workers beside them that only prove; 0 where those that sample prove as well.

    Raises:
        InvalidInputError: no workers, or a recipe that cannot be sent to another process.
        SystemExit: this process is itself a worker that is being started and imports the script that starts workers.
    """

    def __init__(self, recipe: Recipe, *, samplers: int, provers: int = 0) -> None:
        if getattr(current_process(), "_inheriting", False):
            # The caller tells the error; each of its workers would only add a traceback.
            raise SystemExit(_NO_GUARD)
        if samplers < 1 or provers < 0:
            raise InvalidInputError(f"A run needs at least one worker that samples; found {samplers}.")
        self.samplers = samplers
        self.size = samplers + provers
        self._recipe = pickle.dumps(recipe, pickle.HIGHEST_PROTOCOL)
        self._context = get_context("spawn")
        self._processes: dict[int, BaseProcess] = {}
        self._pipes: dict[Connection, int] = {}

    def start(self, worker: int) -> None:
        """Starts the process; it gets the recipe once it listens, so that a large model does not hold up the caller."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, Place(worker, worker < self.samplers)),
                                        name=f"rsopt worker {worker}", daemon=True)
        process.start()
        # Only the worker may hold its end: otherwise its death would not close the pipe.
        theirs.close()
        self._processes[worker] = process
        self._pipes[ours] = worker

    def give(self, worker: int, unit: bytes) -> None:
        """Hands over a unit; that the worker has died meanwhile will be told by `events`."""
        pipe = next(pipe for pipe, owner in self._pipes.items() if owner == worker)
        self._send(pipe, unit)

    def events(self, *, block: bool) -> list[Event]:
        """What the workers sent, and who is gone."""
        found = (self._event(pipe) for pipe in wait(list(self._pipes), timeout=None if block else 0.0)
                 if isinstance(pipe, Connection))
        return [event for event in found if event is not None]

    def close(self) -> None:
        """Kills the processes: whatever they are in the middle of is not wanted any more."""
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.join()
        for pipe in self._pipes:
            pipe.close()
        self._processes.clear()
        self._pipes.clear()

    def _event(self, pipe: Connection) -> Event | None:
        worker = self._pipes[pipe]
        try:
            sent = pipe.recv_bytes()
        except (EOFError, OSError):
            return self._lost(pipe, worker)
        if sent == _LISTENING:
            self._send(pipe, self._recipe)
            return None
        event: Event = Answered(worker, sent[1:]) if sent[:1] == _ANSWER else pickle.loads(sent[1:])
        return event

    def _lost(self, pipe: Connection, worker: int) -> Lost | Refused:
        del self._pipes[pipe]
        pipe.close()
        process = self._processes.pop(worker)
        process.join()
        code = process.exitcode or 0
        if code == _NO_GUARD:
            return Refused(worker, WorkerError(
                "Every worker imports the script that starts it, and this script starts workers when it is imported. "
                "Put what it does, not its classes and functions, under  if __name__ == '__main__':"))
        reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return Lost(worker, f"process {process.pid} ended with {reason}")

    @staticmethod
    def _send(pipe: Connection, content: bytes) -> None:
        try:
            pipe.send_bytes(content)
        except OSError:
            # The worker is gone; its end of the pipe says so to `events`, with the reason.
            return


_NO_GUARD = 85
"""Exit status of a worker whose start would start workers."""
_LISTENING = b"l"
_ANSWER = b"a"
_EVENT = b"e"


def _work(pipe: Connection, place: Place) -> None:
    """Life of a worker: until its pipe is closed, which the death of the caller does too."""
    # Ctrl-C goes to every process of the terminal; the one that runs the crew decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pipe.send_bytes(_LISTENING)
        with Worker(pickle.loads(pipe.recv_bytes()), place) as worker:
            _send_event(pipe, Ready(place.number, worker.conditions()))
            while True:
                pipe.send_bytes(_ANSWER + worker.carry_out(pipe.recv_bytes()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:
        # Loading a model runs anybody's code. The caller tells the error in its own process.
        _send_event(pipe, Refused(place.number, portable(error)))


def _send_event(pipe: Connection, event: Event) -> None:
    pipe.send_bytes(_EVENT + pickle.dumps(event))
