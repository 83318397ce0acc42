"""What registers under `mlpack_edge.engines`: something that runs the shards of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from mlpack_edge.batch.facts import ShardFacts
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.plan import Plan, Shard


class Listener(Protocol):
    """Told what happens, in the coordinating process and from one thread at a time."""

    def progress(self, rows: int) -> None:
        """So many more rows were read and scored."""
        ...

    def finished(self, facts: ShardFacts) -> None:
        """A shard lies complete under its final name."""
        ...

    def note(self, text: str) -> None:
        """Something that the user should know though the run goes on."""
        ...


class Engine(Protocol):
    """Registered as a class without arguments: `name = "package.module:Class"`.

    It calls `shard_job.ShardJob` for each shard wherever it likes, in any order; `folder` is reachable from there.
    """

    def run(self, plan: Plan, todo: Sequence[Shard], folder: Path, listener: Listener) -> None:
        """Leave each shard of `todo` as the folder `folder/NNNNN`, complete under that name or not there at all.

        Returns when all are there. Raises the MlpackError of a shard that cannot be done, and leaves the others that
        were finished; Interrupted at Ctrl-C. No process that it started outlives the call.
        """
        ...


@runtime_checkable
class Preparing(Protocol):
    """An Engine that can begin before the plan is there. Whoever calls `prepare` calls `close` when all is over."""

    def prepare(self, job: Job) -> None: ...

    def close(self) -> None: ...
