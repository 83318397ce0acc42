"""A table in a DuckDB database, replaced or added to in one transaction.

The table `mlpack_runs(table_name, run_key, manifest)` beside it says which tables are mlpack's, and what they hold; its
row is written in the same transaction, so a run that was killed right after it is known to be done. A table that it does
not name is never touched. The database is opened in a child process: it is a file that was not made here.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mlpack_edge.batch.counted import counted
from mlpack_edge.batch.disk import faults, write_whole
from mlpack_edge.batch.facts import RunFacts
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.ledger import RunFolder
from mlpack_edge.batch.manifest import Manifest, manifest_from_bytes
from mlpack_edge.batch.outputs import record
from mlpack_edge.batch.outputs.output import (
    adds,
    child_limits,
    refuse_changed_with_key,
    replaced,
    shard_files,
    unique_columns,
    work_folder,
)
from mlpack_edge.batch.plan import Plan
from mlpack_edge.core.errors import BadInput, IoFault
from mlpack_edge.runtimes.worker import run_isolated

Json = dict[str, Any]

RUNS = "mlpack_runs"
_SEEN = "seen.json"
_CHILD = "mlpack_edge.batch.outputs.duckdb_transaction"
#: Seconds to wait for another process that has the database open.
WAIT = 30.0


class DuckdbOutput:
    """What `Output` says, for `FILE.duckdb::TABLE`; TABLE may be SCHEMA.TABLE, of a schema that is there."""

    def __init__(self, database: str, table: str, wait: float = WAIT) -> None:
        self.name = f"{database}::{table}"
        self.path = Path(os.path.realpath(database))
        self.work = work_folder(self.path, table)
        schema, mark, inside = table.partition(".")
        self.schema, self.table = (schema, inside) if mark else ("main", table)
        self.wait = wait
        self._known: tuple[list[int] | None, Manifest | None, int | None] | None = None

    def refuse(self, job: Job) -> None:
        if not self.schema or not self.table or self.table == RUNS:
            raise BadInput(f"output {self.name}: this cannot be the table", "FILE.duckdb::TABLE")
        if job.partition_by:
            raise BadInput(
                "--partition-by makes directories, and a DuckDB table has none", "leave it out, or name a directory"
            )
        with faults(f"{self.path} could not be read"):
            if os.path.lexists(self.path) and not self.path.is_file():
                raise BadInput(f"{self.path} is no file", "name a DuckDB database, or one that is not there yet")
        if not self.path.parent.is_dir():
            raise IoFault(f"the directory {self.path.parent} does not exist", f"mkdir -p {self.path.parent}")
        for path in (self.path, self.path.parent):
            if path.exists() and not os.access(path, os.W_OK):
                raise IoFault(f"{path} cannot be written to", "check its permissions")

    def last(self) -> Manifest | None:
        """From the database; from the record where nothing wrote into the file since it was published.

        None too where the table has another number of rows than was published.
        """
        manifest, rows = self._look()
        return manifest if manifest is not None and manifest.rows_out == rows else None

    def prepare(self, plan: Plan, folder: RunFolder) -> None:
        self.refuse(plan.job)
        _, rows = self._look()  # refuses a table that is not mlpack's
        last = self.last()
        if plan.job.incremental and rows is not None and last is None:
            raise BadInput(
                f"{self.name} is not as it was published: it has {counted(rows, 'row')} now",
                "run once without --incremental, which makes the whole table anew",
            )
        refuse_changed_with_key(plan, last, self.name)

    def standing_files(self, plan: Plan) -> list[Path]:
        return []

    def publish(self, plan: Plan, facts: RunFacts, folder: RunFolder, collected: Json) -> Manifest:
        folder.settle()
        last = self.last()
        if last is not None and last.run_key == plan.run_key and (plan.job.incremental or not plan.job.fresh):
            self._note(folder, last)
            record.drop_other_records(folder, last)
            return last
        self.refuse(plan.job)
        refuse_changed_with_key(plan, last, self.name)
        manifest = record.write_record(plan, facts, folder, last, [], collected)
        payload = {
            "parts": [str(path) for path in shard_files(folder, facts)],
            "manifest": manifest.to_bytes().decode(),
            "run_key": plan.run_key,
            "add": adds(plan, last),
            "drop": replaced(plan, last),
            "key": plan.job.key,
            "unique": unique_columns(plan) if adds(plan, last) else [],
        }
        self._ask("publish", payload, plan.job.memory, folder.run)
        with faults(f"{self.path} could not be synced"):
            folder.disk.sync_folder(self.path.parent)
        self._note(folder, manifest)
        record.drop_other_records(folder, manifest)
        return manifest

    def rejected_file(self, manifest: Manifest) -> Path | None:
        return record.rejected_file(self.work, manifest)

    def _look(self) -> tuple[Manifest | None, int | None]:
        """The manifest that the database has for the table, and the table's rows; asked once as long as the file is the same.

        Raises OutputExists for a table that is not mlpack's.
        """
        if not self.path.is_file():
            return None, None
        stat = self._stat()
        if stat is None or self._known is None or self._known[0] != stat:
            seen = self._seen()
            if seen is not None:
                self._known = stat, seen, seen.rows_out
            else:
                state = self._ask("state", {})
                content, where = state["manifest"], f"the manifest of {self.name}"
                manifest = None if content is None else manifest_from_bytes(content.encode(), where)
                self._known = stat, manifest, state["rows"]
        return self._known[1], self._known[2]

    def _ask(self, function: str, more: Json, memory: int | None = None, run: Path | None = None) -> Json:
        """Call a function of the child's side."""
        payload = {
            "database": str(self.path), "schema": self.schema, "table": self.table, "wait": self.wait, "memory": memory,
            "spill": str(run / "spill") if run else "", **more,
        }  # fmt: skip
        return run_isolated(f"{_CHILD}:{function}", payload, child_limits(memory), str(self.path))

    def _stat(self) -> list[int] | None:
        """What changes when anything is written into the database; None while it has a write-ahead log."""
        if Path(f"{self.path}.wal").exists():
            return None
        found = self.path.stat()
        return [found.st_size, found.st_mtime_ns, found.st_ino]

    def _note(self, folder: RunFolder, manifest: Manifest) -> None:
        with faults(f"{self.work} could not be written"):
            content = {"stat": self._stat(), "digest": manifest.digest}
            write_whole(folder.disk, self.work / _SEEN, json.dumps(content).encode())

    def _seen(self) -> Manifest | None:
        with faults(f"{self.path} could not be read"):
            try:
                seen = json.loads((self.work / _SEEN).read_bytes())
                if seen["stat"] is None or seen["stat"] != self._stat():
                    return None
            except (FileNotFoundError, ValueError, KeyError, TypeError):
                return None  # it only saves asking the database
            digest = seen.get("digest")
        return record.newest(record.records(self.work), lambda known: known.digest == digest)
