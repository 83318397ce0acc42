"""The engine for Daft: its own runner on this machine, or Ray where the user has it (DAFT_RUNNER=ray)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from mlpack_edge.batch.engines.engine import Listener
from mlpack_edge.batch.engines.passes import run_in_passes
from mlpack_edge.batch.plan import Plan, Shard
from mlpack_edge.core.extensions import missing_extra


class DaftEngine:
    """A shard is a row of a frame; the task that gets it leaves the shard in the folder, which every task must see."""

    def run(self, plan: Plan, todo: Sequence[Shard], folder: Path, listener: Listener) -> None:
        """As `Engine.run`. Raises MissingExtra where daft is not there, WorkerFault where Daft gives up."""
        if not todo:
            return
        if find_spec("daft") is None:
            raise missing_extra("daft", "jobs with --engine daft")
        run_in_passes("mlpack_edge.batch.engines.daft_run:run", "daft", plan, todo, folder, listener)
