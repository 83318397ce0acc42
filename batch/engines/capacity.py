"""How many workers there are and what memory each may use."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from mlpack_edge.batch.job import Job
from mlpack_edge.core.errors import BadInput
from mlpack_edge.runtimes.worker import physical_memory

#: What the coordinating process holds, and what a worker needs at least.
COORDINATOR = 64_000_000
NEEDED = 160_000_000


@dataclass(frozen=True, slots=True)
class Capacity:
    """workers: processes. shared: bytes of private memory (RLIMIT_DATA) of all of them together."""

    workers: int
    shared: int

    @property
    def memory(self) -> int:
        """Bytes of one worker."""
        return self.shared // self.workers

    def fewer(self) -> Capacity:
        """One worker fewer, at least one."""
        return replace(self, workers=max(1, self.workers - 1))


def capacity_of(job: Job, shards: int) -> Capacity:
    """min(--workers, cores this process may use, shards, memory / NEEDED); memory is --memory less COORDINATOR, else 80 % of
    the machine's. Raises BadInput where that is less than one worker needs.
    """
    shared = physical_memory() * 8 // 10 if job.memory is None else job.memory - COORDINATOR
    if shared < NEEDED:
        raise BadInput(
            f"--memory {job.memory or 0:,} is less than one worker needs",
            f"give it at least {(COORDINATOR + NEEDED) // 1_000_000} MB",
        )
    workers = job.workers or len(os.sched_getaffinity(0))
    return Capacity(max(1, min(workers, shards, shared // NEEDED)), shared)
