"""A real Ray cluster that other processes join: by its address, and through its client server; the plain result."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import PATIENCE, wait_until

from rsopt.errors import MissingDependencyError, WorkerError
from rsopt.runs.compare import compare_runs
from rsopt.runs.overview import Overview
from rsopt.runs.workers.cluster import ATTEMPTS, connected

BIN = Path(sys.executable).parent
TOKEN = "0123456789abcdef" * 4
RUN = ["certify", "--preset", "digits", "--inputs", "5", "--n", "500", "--n0", "50"]


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def environment() -> dict[str, str]:
    """One thread a worker, a token, as newer Ray asks for, and more patience to reach it than Ray has.

    GRPC must not meddle with forks: on a crowded machine the process of a client's session died of that as it started.
    """
    return {**os.environ, "OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN,
            "RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
            "RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S": "20", "RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S": "60",
            "GRPC_ENABLE_FORK_SUPPORT": "0"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[int, int]]:
    """Ports of the head and of its client server."""
    port, client = free_port(), free_port()
    # Paths of sockets have little room: not pytest's own folder.
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        head = subprocess.Popen(
            [BIN / "ray", "start", "--head", "--block", f"--port={port}", f"--ray-client-server-port={client}",
             "--node-ip-address=127.0.0.1", "--num-cpus=2", "--include-dashboard=false", f"--temp-dir={folder}"],
            env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            wait_until(lambda: head.poll() is not None or listens(client), f"something listens on port {client}")
            assert head.poll() is None
            yield port, client
        finally:
            # Ray ends its processes when it is told to; what is left of the session then is ended for it.
            head.terminate()
            try:
                head.wait(timeout=PATIENCE)
            finally:
                os.killpg(head.pid, signal.SIGKILL) if head.poll() is None else None


def listens(port: int) -> bool:
    with socket.socket() as knocking:
        return knocking.connect_ex(("127.0.0.1", port)) == 0


def certify(folder: Path, *options: str, **extra: str) -> None:
    done = subprocess.run([BIN / "rsopt", *RUN, "--output", folder, *options], env={**environment(), **extra},
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


def test_the_ways_in_lead_to_the_plain_result(cluster: tuple[int, int], tmp_path: Path) -> None:
    port, client = cluster
    certify(tmp_path / "plain")
    certify(tmp_path / "member", "--cluster", "ray", RAY_ADDRESS=f"127.0.0.1:{port}")
    certify(tmp_path / "client", "--cluster", f"ray://127.0.0.1:{client}", "--workers", "1")
    plain = Overview.read(tmp_path / "plain")
    for name in ("member", "client"):
        found = compare_runs(plain, Overview.read(tmp_path / name))
        assert found.identical
        assert found.common == 5


def test_what_another_process_started_for_itself_is_left_alone() -> None:
    code = ("import ray; ray.init('local', num_cpus=1, include_dashboard=False, log_to_driver=False); "
            "print('address', ray.get_runtime_context().gcs_address, flush=True); input()")
    other = subprocess.Popen([sys.executable, "-c", code], env=environment(), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert other.stdout is not None
    try:
        theirs = next(line.split()[1] for line in other.stdout if line.startswith("address"))
        with connected("ray"):
            import ray

            assert ray.get_runtime_context().gcs_address != theirs
    finally:
        other.communicate("\n", timeout=PATIENCE)


@pytest.mark.parametrize("error", [SystemExit(1), ConnectionError("no answer.\nTry again."), RuntimeError("versions")])
def test_a_cluster_that_does_not_answer(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray takes minutes to give up, and then does it in one of these ways; the errors are its own, the wait is not."""
    class Silent:
        @staticmethod
        def is_initialized() -> bool:
            return False

        @staticmethod
        def init(*address: str, **options: object) -> None:
            raise error

    monkeypatch.setattr("rsopt.runs.workers.cluster.ray_module", Silent)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(WorkerError, match=r"cannot be reached: [^.]*[^.]\. Check the address.*RAY_AUTH_MODE"), \
            connected("ray"):
        pass


def test_a_session_that_dies_as_it_starts_is_asked_for_again(monkeypatch: pytest.MonkeyPatch,
                                                             caplog: pytest.LogCaptureFixture) -> None:
    class Busy:
        failures = 0
        asked = 0

        @staticmethod
        def is_initialized() -> bool:
            return False

        @classmethod
        def init(cls, address: str, **options: object) -> None:
            cls.asked += 1
            if cls.asked <= cls.failures:
                raise ConnectionAbortedError("Initialization failure from server:\nStarting Ray client server failed.")

        @staticmethod
        def shutdown() -> None:
            pass

    monkeypatch.setattr("rsopt.runs.workers.cluster.ray_module", lambda: Busy)
    Busy.failures = ATTEMPTS - 1
    with connected("ray://127.0.0.1:10001"):
        assert Busy.asked == ATTEMPTS
    assert caplog.messages == ["The cluster at ray://127.0.0.1:10001 answered and could not start a session; trying "
                               "again."] * Busy.failures
    Busy.asked, Busy.failures = 0, ATTEMPTS
    with pytest.raises(WorkerError, match="cannot be reached: Initialization failure from server"), \
            connected("ray://127.0.0.1:10001"):
        pass
    assert Busy.asked == ATTEMPTS


def test_the_client_is_a_package_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsopt.runs.workers.cluster.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"needs the package 'grpcio'.*pip install 'rsopt\[ray\]'"), \
            connected("ray://127.0.0.1:10001"):
        pass
