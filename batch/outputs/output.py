"""Where a table goes: the seam between a run and the forms of its output."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from mlpack_edge.batch.contract.contract import contract_of_plan
from mlpack_edge.batch.facts import RunFacts
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.ledger import RunFolder
from mlpack_edge.batch.manifest import Manifest, stays
from mlpack_edge.batch.plan import Plan
from mlpack_edge.core.errors import BadInput
from mlpack_edge.runtimes.worker import Limits

Json = dict[str, Any]

_DAY = 86_400.0
_RESERVED = 2_000_000_000


class Output(Protocol):
    """The order of calls: `refuse(job)`, `last()` (also before the lock, to see whether there is anything to do); with the
    folder locked and the run begun `prepare`; and once all shards are there `publish`."""

    #: As the user named it.
    name: str
    #: The run's folder, on the file system of the output.
    work: Path

    def refuse(self, job: Job) -> None:
        """Raise BadInput, OutputExists or IoFault where this job could not be published here. Fast; opens nothing."""
        ...

    def last(self) -> Manifest | None:
        """Of the table as it stands; None where there is none. Raises BadInput where the manifest is damaged."""
        ...

    def prepare(self, plan: Plan, folder: RunFolder) -> None:
        """Under the lock, before the first row: try what publishing will need. Raises as `refuse`."""
        ...

    def standing_files(self, plan: Plan) -> list[Path]:
        """Parquet files of the table that stay in it; [] where the output looks after the uniqueness of a key itself."""
        ...

    def publish(self, plan: Plan, facts: RunFacts, folder: RunFolder, collected: Json) -> Manifest:
        """Put the table in place in one step, and remove the old one. Raises the MlpackError of what went wrong; the
        table is then the old one. Publishing the same run again leaves the same table."""
        ...

    def rejected_file(self, manifest: Manifest) -> Path | None:
        """The rejected rows of the table as it stands, as JSON lines."""
        ...


def output_of(text: str) -> Output:
    """`DIRECTORY`, `FILE.duckdb::TABLE` (or `FILE::SCHEMA.TABLE`), or `delta::DIRECTORY`. Raises BadInput."""
    if not text.strip() or "\0" in text:
        raise BadInput("the output has no name", "name a directory, FILE.duckdb::TABLE, or delta::DIRECTORY")
    before, mark, after = text.partition("::")
    if not mark:
        from mlpack_edge.batch.outputs.parquet import ParquetOutput

        return ParquetOutput(text)
    if not before or not after:
        raise BadInput(f"output {text!r}: something is missing beside '::'", "FILE.duckdb::TABLE, or delta::DIRECTORY")
    if before == "delta":
        from mlpack_edge.batch.outputs.delta import DeltaOutput

        return DeltaOutput(after)
    from mlpack_edge.batch.outputs.duckdb_table import DuckdbOutput

    return DuckdbOutput(before, after)


def work_folder(path: Path, *more: str) -> Path:
    """The run folder beside an output: `.NAME.mlpack`."""
    label = ".".join((path.name, *(name.replace("/", "%2F") for name in more)))
    return path.parent / f".{label}.mlpack"


def child_limits(memory: int | None) -> Limits:
    """For a child that writes a table: as long as it takes, and what it may reserve.

    memory: bytes that the job may use, None is 80 % of the machine's. RLIMIT_DATA counts what allocators and thread
    stacks reserve and never touch, and deltalake waits for ever where a thread of it cannot be started: so the limit is
    a net far below; what is really used is kept within `memory` by DuckDB's own limit and by small batches.
    """
    return Limits(_DAY, None if memory is None else memory + _RESERVED)


def shard_files(folder: RunFolder, facts: RunFacts) -> Sequence[Path]:
    """The Parquet files of a run in the order of their rows."""
    return [folder.shard_folder(shard.index) / part.path for shard in facts.shards for part in shard.parts]


def adds(plan: Plan, last: Manifest | None) -> bool:
    """Whether rows of the table as it stands stay in it; else the table is made anew: no row of an input that is gone, of
    another model or other options may stand beside those of this run."""
    return last is not None and bool(stays(plan))


def replaced(plan: Plan, last: Manifest | None) -> list[str]:
    """Names of the inputs whose rows stand in the table and go."""
    keep = stays(plan)
    return [item.name for item in last.inputs if item.name not in keep] if last else []


def unique_columns(plan: Plan) -> list[str]:
    """What the contract calls unique: where rows stay in a table, it is looked at in the table as it will be."""
    contract = contract_of_plan(plan)
    return list(contract.unique) if contract else []


def refuse_changed_with_key(plan: Plan, last: Manifest | None, name: str) -> None:
    """Raise BadInput where rows of changed inputs would have to be found in a table that does not say where rows are from."""
    if adds(plan, last) and plan.job.key and (changed := replaced(plan, last)):
        raise BadInput(
            f"{changed[0]} has changed since it was scored, and {name} has the column {plan.job.key!r} in place of the "
            "file and row that its rows came from, so they cannot be found again",
            "run once without --incremental, or write a directory, whose files are kept by input",
        )
