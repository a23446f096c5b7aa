"""The proofs of a run checked, by several processes where asked, and the run held against itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

from rsopt.checks.proof import check_text as check_text
from rsopt.checks.proof import checked_arithmetic, verdict
from rsopt.files import is_file
from rsopt.runs.claims import differences, table_differences
from rsopt.runs.folder import STORE, TABLE
from rsopt.runs.proofs import Proof
from rsopt.runs.store import Store

Verdict = tuple[str, bool, str]
"""A proof's name, whether it holds, and what it proves or why it does not."""

#: Proofs that are read ahead for each process.
_AHEAD = 8


def verdicts(proofs: Iterable[Proof], arithmetic: str = "double", workers: int = 1) -> Iterator[Verdict]:
    """Checks proofs, in their order.

    Args:
        proofs: names and texts, read as they are needed.
        arithmetic: "double" or "arb", for certificates.
        workers: processes to use.

    Raises:
        UnknownNameError: an unknown arithmetic.
        MissingDependencyError: "arb" without python-flint.
    """
    checked_arithmetic(arithmetic)
    if workers == 1:
        yield from (verdict(proof, arithmetic) for proof in proofs)
        return
    waiting: deque[Future[Verdict]] = deque()
    # Spawned, not forked: the caller may have threads of its own (a progress bar) that a fork would cut off.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for proof in proofs:
            waiting.append(pool.submit(verdict, proof, arithmetic))
            if len(waiting) > _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def run_differences(path: Path) -> list[str]:
    """For the folder of a run, where its store contradicts itself, or its table the store; otherwise nothing.

    Raises:
        StorageError: something cannot be read.
    """
    if not is_file(path / STORE):
        return []
    with Store.read(path / STORE) as store:
        found = list(differences(store))
        table = path / TABLE
        # A table of what contradicts itself says nothing more.
        return found or list(chain.from_iterable([table_differences(store, table)] if is_file(table) else []))
