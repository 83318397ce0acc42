"""The record of a published table, in the run's folder: its manifest and the rows that were rejected.

A record has its own digest in its name (`published-<16>/`), and is written and synced before the table it describes is
put in place; those of other tables are removed after it. So the table that stands always has its record.

It does not lie in the table's directory: Polars 2 reads no directory that holds any file but Parquet, Daft neither.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mlpack_edge.batch.disk import faults, remove_tree
from mlpack_edge.batch.facts import Part, RunFacts
from mlpack_edge.batch.ledger import RunFolder
from mlpack_edge.batch.manifest import Manifest, ManifestPart, manifest_from_bytes, manifest_of, stays
from mlpack_edge.batch.plan import Plan
from mlpack_edge.core.artifact import sha256_of_file
from mlpack_edge.core.errors import BadInput

Json = dict[str, Any]

PREFIX = "published-"
MANIFEST, REJECTED = "manifest.json", "rejected.jsonl"
_BLOCK = 1 << 20


def records(work: Path) -> list[Manifest]:
    """Every whole record, the oldest first. Raises IoFault, and BadInput for one of a later mlpack.

    A folder whose name is not its manifest's digest is of a run that was killed while it wrote it: left out.
    """
    found = []
    with faults(f"{work} could not be read"):
        for folder in work.glob(PREFIX + "*"):
            path = folder / MANIFEST
            if path.is_file():
                content = path.read_bytes()
                if folder.name == PREFIX + hashlib.sha256(content).hexdigest()[:16]:
                    found.append((path.stat().st_mtime_ns, folder.name, manifest_from_bytes(content, str(path))))
    return [manifest for _, _, manifest in sorted(found, key=lambda item: item[:2])]


def folder_of(work: Path, manifest: Manifest) -> Path:
    return work / (PREFIX + manifest.digest[:16])


def rejected_file(work: Path, manifest: Manifest) -> Path | None:
    """The rejected rows of a recorded table, None where it has none."""
    return folder_of(work, manifest) / REJECTED if manifest.quarantine else None


def write_record(
    plan: Plan, facts: RunFacts, folder: RunFolder, last: Manifest | None, parts: list[ManifestPart], collected: Json
) -> Manifest:
    """Write and sync the record of a table that is about to be put in place. last: of the table as it stands."""
    disk, work = folder.disk, folder.root
    draft = work / (PREFIX + "draft")
    with faults(f"the record of {folder.subject} could not be written"):
        remove_tree(disk, draft)
        disk.make_folder(draft)
        rows, size, digest = 0, 0, hashlib.sha256()

        def counted(blocks: Iterator[bytes]) -> Iterator[bytes]:
            nonlocal rows, size
            for block in blocks:
                rows, size = rows + block.count(b"\n"), size + len(block)
                digest.update(block)
                yield block

        disk.write(draft / REJECTED, counted(_rejected(plan, facts, folder, last)))
        quarantine = Part(REJECTED, rows, size, digest.hexdigest()) if rows else None
        if quarantine:
            disk.sync_file(draft / REJECTED)
        else:
            disk.remove_file(draft / REJECTED)
        manifest = manifest_of(plan, facts, last, parts, quarantine, collected)
        disk.write(draft / MANIFEST, [manifest.to_bytes()])
        disk.sync_file(draft / MANIFEST)
        disk.sync_folder(draft)
        final = folder_of(work, manifest)
        if _is_whole(final, manifest):  # of the same table, published before: the same bytes
            remove_tree(disk, draft)
        elif (final / MANIFEST).exists():  # it may be the record of the table that stands
            disk.exchange(draft, final)
            remove_tree(disk, draft)
        else:
            remove_tree(disk, final)
            disk.rename(draft, final)
        disk.sync_folder(work)
    return manifest


def drop_other_records(folder: RunFolder, manifest: Manifest) -> None:
    """Remove the records of tables that are no more."""
    with faults(f"{folder.root} could not be cleaned"):
        for entry in sorted(folder.root.glob(PREFIX + "*")):
            if entry != folder_of(folder.root, manifest):
                remove_tree(folder.disk, entry)


def _is_whole(final: Path, manifest: Manifest) -> bool:
    files = {MANIFEST: manifest.digest, **({REJECTED: manifest.quarantine.sha256} if manifest.quarantine else {})}
    return all((final / name).is_file() and sha256_of_file(final / name) == digest for name, digest in files.items())


def _rejected(plan: Plan, facts: RunFacts, folder: RunFolder, last: Manifest | None) -> Iterator[bytes]:
    """The rejected rows that stay, in their order, then those of this run, in the order of the shards; whole lines."""
    keep = stays(plan)
    old = rejected_file(folder.root, last) if last and keep else None
    if old is not None:
        if not old.is_file():
            raise BadInput(
                f"{old} is gone, which holds the rejected rows of inputs that are not scored again",
                "run once without --incremental",
            )
        all_stay = last is not None and keep >= {item.name for item in last.inputs}
        with old.open("rb") as stream:
            for line in stream:
                if all_stay or json.loads(line)["file"] in keep:
                    yield line
    for shard in facts.shards:
        if shard.quarantine:
            with (folder.shard_folder(shard.index) / shard.quarantine.path).open("rb") as stream:
                while block := stream.read(_BLOCK):
                    yield block


def newest(found: list[Manifest], fits: Callable[[Manifest], bool]) -> Manifest | None:
    """The last of the records that fits."""
    return next((manifest for manifest in reversed(found) if fits(manifest)), None)
