"""A directory of Parquet files that is replaced in one step.

The directory holds the parts and nothing else, so that every reader takes it as it is. Their names carry the run's key
(`part-00003-1f0c9a2b.parquet`): a reader that listed the old directory and opens files of the new one finds a name that
is not there, and never a mixture. A table is mlpack's where a record (outputs/record.py) names its files.

The order in which things reach the disk (each step is synced before the next begins): the shards; the new directory, whose
parts are second names of the shards' files; its record; the rename, or the exchange with the old directory; then the
old one is set aside and its record removed. A power cut leaves the old or the new table, and the next run removes the rest.

A directory that was replaced stays whole in the run's folder until the next run has its plan: a reader that opened it under
its old name and lists it now would else find some of its files, or none, and take that for the table.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

from mlpack_edge.batch.disk import Disk, faults, remove_tree, sync_tree
from mlpack_edge.batch.exchange import can_exchange
from mlpack_edge.batch.facts import RunFacts
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.ledger import RunFolder
from mlpack_edge.batch.manifest import Manifest, ManifestPart, stays
from mlpack_edge.batch.outputs import record
from mlpack_edge.batch.outputs.output import work_folder
from mlpack_edge.batch.plan import Plan
from mlpack_edge.core.errors import BadInput, IoFault, OutputExists

Json = dict[str, Any]

REPLACED = "replaced-"


class ParquetOutput:
    """What `Output` says, for a directory. A link to a directory is followed once, here."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = Path(os.path.realpath(name))
        self.work = work_folder(self.path)

    def refuse(self, job: Job) -> None:
        """Raises OutputExists where the directory holds anything that mlpack did not write; BadInput, IoFault."""
        with faults(f"{self.name} could not be read"):
            if os.path.lexists(self.path) and not self.path.is_dir():
                raise BadInput(f"{self.name} is a file", "name a directory that is not there yet")
            if not self.path.name or self.path.is_mount():
                raise BadInput(
                    f"{self.name} is where a file system is mounted, which cannot be renamed", "name a directory in it"
                )
        if not self.path.parent.is_dir():
            raise IoFault(f"the directory {self.path.parent} does not exist", f"mkdir -p {self.path.parent}")
        listed = self._listed()
        known = record.records(self.work)
        names = {part.path for manifest in known for part in manifest.parts}
        foreign = sorted(set(listed) - names)
        if foreign:
            raise OutputExists(
                f"{self.name} holds files that mlpack did not write there: "
                + ", ".join(foreign[:3]) + (f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""),
                "name another directory, or move them away",
            )  # fmt: skip
        if job.incremental and listed and self.last() is None:
            raise BadInput(
                f"{self.name} is not as it was published: {self._difference(known, listed)}",
                "run once without --incremental, which makes the whole table anew",
            )

    def last(self) -> Manifest | None:
        """The manifest whose parts are exactly the files that are there, by name and size."""
        if not self.path.is_dir():
            return None
        listed = self._listed()
        return record.newest(
            record.records(self.work), lambda known: {part.path: part.bytes for part in known.parts} == listed
        )

    def prepare(self, plan: Plan, folder: RunFolder) -> None:
        self.refuse(plan.job)
        self._clean(folder)
        self._drop_replaced(folder.disk)
        if not self._is_free():
            with faults(f"{self.work} could not be written"):
                if not can_exchange(self.work, folder.disk.exchange):
                    raise IoFault(
                        f"the file system of {self.name} cannot exchange two directories in one step "
                        "(renameat2 RENAME_EXCHANGE), so the table could not be replaced safely",
                        "name an output on a local disk (ext4, XFS, Btrfs), or a directory that is not there yet",
                    )
                if not os.access(self.path, os.W_OK):  # its entry ".." is written when it moves
                    raise IoFault(f"the directory {self.name} cannot be written to", "check its permissions")

    def standing_files(self, plan: Plan) -> list[Path]:
        keep, last = stays(plan), self.last()
        return [self.path / part.path for part in last.parts if part.input in keep] if last else []

    def publish(self, plan: Plan, facts: RunFacts, folder: RunFolder, collected: Json) -> Manifest:
        folder.settle()
        self.refuse(plan.job)
        disk, last = folder.disk, self.last()
        table = folder.run / "table"
        with faults(f"{self.name} could not be written"):
            remove_tree(disk, table)
            disk.make_folder(table)
            if self.path.is_dir():
                table.chmod(self.path.stat().st_mode & 0o7777)
            parts = [*self._kept(disk, plan, last, table), *_made(disk, plan, facts, folder, table)]
            sync_tree(disk, table)
            disk.sync_folder(folder.run)
        manifest = record.write_record(plan, facts, folder, last, parts, collected)
        self._drop_replaced(disk)
        with faults(f"{self.name} could not be put in place"):
            self._replace(disk, table)
            disk.sync_folder(self.path.parent)
            disk.sync_folder(folder.run)
            if table.is_dir():
                disk.rename(table, self.work / (REPLACED + plan.run_key[:16]))
        record.drop_other_records(folder, manifest)
        return manifest

    def rejected_file(self, manifest: Manifest) -> Path | None:
        return record.rejected_file(self.work, manifest)

    def _replace(self, disk: Disk, table: Path) -> None:
        if self._is_free():
            disk.rename(table, self.path)
            return
        disk.exchange(table, self.path)
        names = {part.path for manifest in record.records(self.work) for part in manifest.parts}
        strange = sorted(set(_files(table)) - names)
        if strange:  # somebody wrote into the old directory since `refuse` looked: it goes back
            disk.exchange(table, self.path)
            raise OutputExists(f"{self.name}: {strange[0]} appeared while the table was put in place", "move it away")

    def _is_free(self) -> bool:
        """Whether a rename will do: nothing is there, or an empty directory."""
        return not os.path.lexists(self.path) or next(self.path.iterdir(), None) is None

    def _listed(self) -> dict[str, int]:
        with faults(f"{self.name} could not be read"):
            return _files(self.path) if self.path.is_dir() else {}

    def _clean(self, folder: RunFolder) -> None:
        """Remove the records of tables that were never put in place, or are no more."""
        last = self.last()
        if last is not None:
            record.drop_other_records(folder, last)

    def _drop_replaced(self, disk: Disk) -> None:
        with faults(f"{self.work} could not be cleaned"):
            for entry in sorted(self.work.glob(REPLACED + "*")):
                remove_tree(disk, entry)

    def _difference(self, known: list[Manifest], listed: dict[str, int]) -> str:
        if not known:
            return f"its record in {self.work} is gone"
        sizes = {part.path: part.bytes for part in known[-1].parts}
        gone = sorted(set(sizes) - set(listed))
        if gone:
            return f"{gone[0]} is gone"
        return next((f"{name} has changed" for name in sorted(sizes) if sizes[name] != listed[name]), "it is a mixture")

    def _kept(self, disk: Disk, plan: Plan, last: Manifest | None, table: Path) -> list[ManifestPart]:
        """Second names for the parts of the last table that stay."""
        keep = stays(plan)
        if keep and last is None:
            raise BadInput(f"{self.name} is not as it was published", "run once without --incremental")
        parts = [part for part in last.parts if part.input in keep] if last else []
        for part in parts:
            _add(disk, self.path / part.path, table, part.path)
        return parts


def part_name(path: str, index: int, run_key: str) -> str:
    """The name in the table of a shard's file: `month=7/part.parquet` is `month=7/part-00003-1f0c9a2b.parquet`."""
    inside = PurePosixPath(path)
    return str(inside.with_name(f"{inside.stem}-{index:05d}-{run_key[:8]}{inside.suffix}"))


def _made(disk: Disk, plan: Plan, facts: RunFacts, folder: RunFolder, table: Path) -> list[ManifestPart]:
    """Second names for the files of the shards."""
    parts = []
    for place, shard in zip(plan.shards, facts.shards, strict=True):
        source = plan.inputs[place.file].name if plan.inputs else ""
        for part in shard.parts:
            name = part_name(part.path, shard.index, plan.run_key)
            _add(disk, folder.shard_folder(shard.index) / part.path, table, name)
            parts.append(ManifestPart(name, part.rows, part.bytes, part.sha256, source))
    return parts


def _add(disk: Disk, source: Path, table: Path, name: str) -> None:
    target = table / name
    missing = []
    above = target.parent
    while not above.is_dir():
        missing.append(above)
        above = above.parent
    for folder in reversed(missing):
        disk.make_folder(folder)
    disk.link(source, target)


def _files(root: Path) -> dict[str, int]:
    """Every file under a directory (links included, not followed): path from there to size in bytes."""
    found: dict[str, int] = {}
    pending = [""]
    while pending:
        inside = pending.pop()
        with os.scandir(root / inside) as entries:
            for entry in entries:
                name = f"{inside}/{entry.name}" if inside else entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append(name)
                else:
                    found[name] = entry.stat(follow_symlinks=False).st_size
    return found
