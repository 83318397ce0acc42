"""A Delta table, replaced or added to in one commit.

deltalake records the transactions of an application and does not enforce them: the same rows can be appended twice. So
each commit carries `mlpack.run_key`, and the log is looked through, under the run's lock, before the next. The log is
JSON (Delta protocol, "Delta Log Entries"), and is read here with the standard library; the commit itself happens in a
child process.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpack_edge.batch.disk import faults, write_whole
from mlpack_edge.batch.facts import RunFacts
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.ledger import RunFolder
from mlpack_edge.batch.manifest import Manifest
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
from mlpack_edge.core.errors import BadInput, IoFault, OutputExists
from mlpack_edge.core.extensions import missing_extra
from mlpack_edge.runtimes.worker import run_isolated

Json = dict[str, Any]

RUN_KEY, MANIFEST = "mlpack.run_key", "mlpack.manifest_sha256"
_SEEN = "seen.json"
#: Stands beside a directory that is about to get its first commit, and whatever is in it is mlpack's.
_CREATING = "creating"
_ENTRY = re.compile(r"(\d{20})\.json")


@dataclass(frozen=True, slots=True)
class Commit:
    """An entry of the log. info: its commitInfo. changes: whether it added or removed rows."""

    version: int
    info: Json
    changes: bool


class DeltaOutput:
    """What `Output` says, for a local directory with a Delta table in it."""

    def __init__(self, directory: str) -> None:
        self.name = f"delta::{directory}"
        self.remote = "://" in directory
        self.path = Path(os.path.realpath(directory))
        self.work = work_folder(self.path)

    def refuse(self, job: Job) -> None:
        if self.remote:
            raise BadInput(f"{self.name}: the table is not on a local file system", "name a directory")
        if importlib.util.find_spec("deltalake") is None:
            raise missing_extra("deltalake", "Delta tables")
        if job.partition_by:
            raise BadInput("--partition-by is for directories of Parquet", "leave it out, or name a directory")
        if not self.path.name or not self.path.parent.is_dir():
            raise IoFault(f"the directory {self.path.parent} does not exist", f"mkdir -p {self.path.parent}")
        with faults(f"{self.path} could not be read"):
            if os.path.lexists(self.path) and not self.path.is_dir():
                raise BadInput(f"{self.path} is a file", "name a directory that is not there yet")
            if not self.path.is_dir():
                return
            if not self._entries() and (self.work / _CREATING).exists():
                return  # what a first commit left behind that was killed
            if not self._log().is_dir() and next(self.path.iterdir(), None) is not None:
                raise OutputExists(f"{self.path} holds files and no Delta table", "name another directory")
        if not os.access(self.path, os.W_OK):
            raise IoFault(f"the directory {self.path} cannot be written to", "check its permissions")
        ours, other = self._newest()
        if ours is None and other is not None:
            raise OutputExists(
                f"{self.path} has a Delta table whose version {other.version} mlpack did not write "
                f"({other.info.get('operation', 'unknown operation')})",
                "name another directory: rows of others would be lost, or stand beside scores they do not belong to",
            )
        if job.incremental and self._entries() and self.last() is None:
            raise BadInput(
                f"what {self.name} was made from is not known: its record in {self.work} is gone",
                "run once without --incremental, which makes the whole table anew",
            )

    def last(self) -> Manifest | None:
        """The record that the newest commit of rows names."""
        ours, _ = self._newest()
        digest = ours.info.get(MANIFEST) if ours else None
        return record.newest(record.records(self.work), lambda known: known.digest == digest) if digest else None

    def prepare(self, plan: Plan, folder: RunFolder) -> None:
        self.refuse(plan.job)
        refuse_changed_with_key(plan, self.last(), self.name)

    def standing_files(self, plan: Plan) -> list[Path]:
        return []

    def publish(self, plan: Plan, facts: RunFacts, folder: RunFolder, collected: Json) -> Manifest:
        folder.settle()
        last = self.last()
        if last is not None and last.run_key == plan.run_key and (plan.job.incremental or not plan.job.fresh):
            self._note(folder, last)
            record.drop_other_records(folder, last)
            return last
        self.prepare(plan, folder)
        manifest = record.write_record(plan, facts, folder, last, [], collected)
        add = adds(plan, last)
        if not self._entries():
            with faults(f"{self.work} could not be written"):
                write_whole(folder.disk, self.work / _CREATING, b"")
        run_isolated(
            "mlpack_edge.batch.outputs.delta_commit:commit",
            {
                "directory": str(self.path),
                "parts": [str(path) for path in shard_files(folder, facts)],
                "metadata": {RUN_KEY: plan.run_key, MANIFEST: manifest.digest},
                "add": add,
                "drop": replaced(plan, last) if add else [],
                "whole": [item.name for item in plan.inputs if not item.skip],
                "grown": [[item.name, item.skip] for item in plan.inputs if item.skip],
                "key": plan.job.key,
                "unique": unique_columns(plan) if add else [],
                "memory": plan.job.memory,
                "spill": str(folder.run / "spill"),
            },
            child_limits(plan.job.memory),
            str(self.path),
        )
        with faults(f"{self.path} could not be synced"):
            for path in (self.path, self._log(), self.path.parent):
                folder.disk.sync_folder(path)
            (self.work / _CREATING).unlink(missing_ok=True)
        self._note(folder, manifest)
        record.drop_other_records(folder, manifest)
        return manifest

    def rejected_file(self, manifest: Manifest) -> Path | None:
        return record.rejected_file(self.work, manifest)

    def _log(self) -> Path:
        return self.path / "_delta_log"

    def _entries(self) -> list[int]:
        """Versions whose entry is there, the newest first."""
        with faults(f"{self._log()} could not be read"):
            if not self._log().is_dir():
                return []
            names = [_ENTRY.fullmatch(path.name) for path in self._log().iterdir()]
        return sorted((int(name[1]) for name in names if name), reverse=True)

    def _newest(self) -> tuple[Commit | None, Commit | None]:
        """(the newest commit of rows if it is mlpack's, else None; it if it is another's, else None).

        Old entries of a log are removed after a while; `seen.json` then says which version was ours.
        """
        known = self._seen()
        below = None
        for version in self._entries():
            if below is not None and version != below - 1:
                break  # a gap: what happened in between is not known
            below = version
            commit = self._read(version)
            if RUN_KEY in commit.info:
                return commit, None
            if commit.changes:
                return None, commit
        if below is None:
            return None, Commit(0, {}, True) if self._log().is_dir() else None
        if known is not None and known.version == below - 1:
            return known, None
        # No entry speaks of rows: a table that was only created, or whose history is gone.
        return None, Commit(below, {}, True)

    def _read(self, version: int) -> Commit:
        info: Json = {}
        changes = False
        path = self._log() / f"{version:020d}.json"
        with faults(f"{path} could not be read"):
            lines = path.read_bytes().splitlines()
        try:
            for line in lines:
                action = json.loads(line)
                info = action.get("commitInfo", info)
                for kind in ("add", "remove"):
                    changes = changes or bool(kind in action and action[kind].get("dataChange", True))
        except (ValueError, AttributeError, TypeError) as fault:
            raise BadInput(f"{path} is damaged", "repair the Delta table, or name another directory") from fault
        return Commit(version, info, changes)

    def _note(self, folder: RunFolder, manifest: Manifest) -> None:
        ours, _ = self._newest()
        if ours is not None:
            content = {"version": ours.version, "info": {RUN_KEY: manifest.run_key, MANIFEST: manifest.digest}}
            with faults(f"{self.work} could not be written"):
                write_whole(folder.disk, self.work / _SEEN, json.dumps(content).encode())

    def _seen(self) -> Commit | None:
        try:
            seen = json.loads((self.work / _SEEN).read_bytes())
            return Commit(int(seen["version"]), dict(seen["info"]), True)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None  # nothing, or nothing legible: the log decides alone
