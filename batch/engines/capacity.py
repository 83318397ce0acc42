"""How many workers there are and what memory each may use.

Measured with 10 million flights and a one-hot pipeline (Linux, Python 3.11, pyarrow 26, ONNX Runtime 1.31): a worker holds
110 MB that no other process has, its address space for such memory (what RLIMIT_DATA counts) is 55 MB larger; 80 MB of
libraries are there once for all workers; the coordinating process holds 35 MB. A model is in memory up to three
times: as read, as the graph that is run, and with its weights laid out for the processor.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from mlpack_edge.batch.plan import ModelFile, Plan
from mlpack_edge.core.errors import BadInput
from mlpack_edge.runtimes.worker import physical_memory

#: Bytes: what all processes together hold but once, what each worker holds, and what its address space has beyond that.
SHARED, WORKER, UNUSED = 120_000_000, 120_000_000, 64_000_000
_MODEL_COPIES = 3


@dataclass(frozen=True, slots=True)
class Capacity:
    """workers: processes. divided: bytes that they may hold together."""

    workers: int
    divided: int

    @property
    def memory(self) -> int:
        """What one worker may hold in bytes, as its RLIMIT_DATA."""
        return self.divided // self.workers + UNUSED

    def fewer(self) -> Capacity:
        """One worker fewer, at least one."""
        return replace(self, workers=max(1, self.workers - 1))


def capacity_of(plan: Plan, shards: int) -> Capacity:
    """The least of `--workers` (else the cores this process may use), shards, and what memory allows.

    That is (memory - SHARED) / (WORKER + three times the models), memory being `--memory`, else 80 % of the machine's.
    Raises BadInput where `--memory` is less than one worker needs.
    """
    job = plan.job
    divided = (physical_memory() * 8 // 10 if job.memory is None else job.memory) - SHARED
    need = WORKER + _MODEL_COPIES * sum(_size(model) for model in plan.models)
    if job.memory is not None and divided < need:
        raise BadInput(
            f"--memory: {job.memory / 1e6:,.0f} MB are less than one worker needs with this model",
            f"give it {(SHARED + need) / 1e6:,.0f}MB or more",
        )
    workers = job.workers or len(os.sched_getaffinity(0))
    return Capacity(max(1, min(workers, shards, divided // need)), divided)


def _size(model: ModelFile) -> int:
    """Bytes of its files; 0 for one that is gone, which opening it will say."""
    paths = [Path(name) for name in (model.path, *model.external)]
    return sum(path.stat().st_size for path in paths if path.is_file())
