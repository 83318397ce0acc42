"""The folder a run works in, beside its output: which shards are complete, whatever happened to the run that made them.

```
.scores.mlpack/
    lock                        held while a run writes here
    last.json                   what the last run came to
    staging/                    inputs that had to be turned into Parquet
    run-<16 of its key>/        plan.json, shards/NNNNN/, table/ (being built)
    published-<16 of digest>/   manifest.json and rejected.jsonl of the table as it stands
```
A shard is complete when its folder has its final name and every file in it has the size and SHA-256 that its facts.json
says: workers do not sync, so after a power cut a name can be there without its bytes. The standard library alone.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mlpack_edge.batch.disk import Disk, faults, remove_tree, write_whole
from mlpack_edge.batch.facts import Part, ShardFacts, facts_from_json
from mlpack_edge.batch.plan import Plan, changes, plan_from_json
from mlpack_edge.batch.shard_folder import FACTS, shard_folder
from mlpack_edge.batch.syncing import Syncing
from mlpack_edge.core.artifact import sha256_of_file
from mlpack_edge.core.errors import IoFault
from mlpack_edge.core.lock import Lock

if TYPE_CHECKING:
    from mlpack_edge.batch.manifest import Manifest
    from mlpack_edge.batch.outputs.output import Output

Json = dict[str, Any]
_TRIES = 50
_SHARD = re.compile(r"\d{5,}")


@dataclass(frozen=True, slots=True)
class Begun:
    """resumed: whether an earlier run of the same key was here. changed: in words, why an unfinished other run was dropped."""

    resumed: bool
    changed: tuple[str, ...] = ()


class RunFolder:
    """Nothing is made before `lock`. Leave it through `with`: it ends the syncing and gives up the lock; after an error, a
    folder in which nothing was staged, begun or published goes too."""

    def __init__(self, root: Path, subject: str, disk: Disk | None = None) -> None:
        """root: `.scores.mlpack`. subject: the output, for messages."""
        self.root = root
        self.subject = subject
        self.disk = disk or Disk()
        self._run: Path | None = None
        self._lock: Lock | None = None
        self._syncing: Syncing | None = None

    @classmethod
    def open(cls, output: Output, disk: Disk | None = None) -> Self:
        return cls(output.work, output.name, disk)

    def lock(self, clock: Callable[[], float] = time.time) -> None:
        """Make the folder where it is not there, and keep other runs out until the end of the `with` block.

        Raises IoFault where another run holds it, or the folder cannot be written to.
        """
        parent = self.root.parent
        if not parent.is_dir():
            raise IoFault(f"the directory {parent} does not exist", f"mkdir -p {parent}")
        for left in reversed(range(_TRIES)):
            with faults(f"{self.root} could not be made, in which a run keeps its state beside the output"):
                if not self.root.is_dir():
                    with contextlib.suppress(FileExistsError):  # another run, at the same time
                        self.disk.make_folder(self.root)
                    self.disk.sync_folder(parent)
            try:
                self._lock = Lock(self.root / "lock", self.subject, clock)
                return
            except IoFault as fault:
                if not left or not isinstance(fault.__cause__, FileNotFoundError):
                    raise  # else another run, which was refused, has removed the folder meanwhile

    def begin(self, plan: Plan, fresh: bool = False) -> Begun:
        """Take up the run of this key, or begin it; what other runs left is removed. fresh: begin it anew in any case.

        Raises IoFault.
        """
        assert self._lock is not None, "lock the folder first"
        self._run = self.root / f"run-{plan.run_key[:16]}"
        with faults(f"{self.root} could not be written"):
            known = self._known(plan)
            if known is None or fresh:
                remove_tree(self.disk, self._run)
            changed = self._drop_others(plan)
            self._drop_drafts()
            if known is None or fresh:
                self.disk.make_folder(self._run)
                self.disk.make_folder(self.shards_path)
                write_whole(self.disk, self._run / "plan.json", _json(plan.to_json()))
                self.disk.sync_folder(self.root)
                return Begun(False, changed)
        return Begun(True, changed)

    @property
    def run(self) -> Path:
        assert self._run is not None, "begin a run first"
        return self._run

    @property
    def shards_path(self) -> Path:
        return self.run / "shards"

    @property
    def staging(self) -> Path:
        """Where inputs are staged, the same for all runs: it is needed before a run has its key."""
        path = self.root / "staging"
        with faults(f"{path} could not be made"):
            path.mkdir(exist_ok=True)
        return path

    def shard_folder(self, index: int) -> Path:
        return shard_folder(self.shards_path, index)

    def complete_shards(self, plan: Plan) -> list[ShardFacts]:
        """The shards that need not be done again, in order; what else lies among them is removed. Raises IoFault."""
        found = []
        with faults(f"{self.shards_path} could not be read"):
            wanted = {self.shard_folder(shard.index).name: shard for shard in plan.shards}
            for entry in sorted(self.shards_path.iterdir()):
                shard = wanted.get(entry.name)
                facts = _verified(entry) if shard else None
                if shard and facts and (facts.index, facts.rows_in) == (shard.index, shard.rows):
                    found.append(facts)
                else:
                    remove_tree(self.disk, entry)
        return found

    def finished(self, facts: ShardFacts) -> None:
        """Sync a shard that got its name, in the background. Raises the IoFault of an earlier one."""
        if self._syncing is None:
            self._syncing = Syncing(self.disk)
        self._syncing.add(self.shard_folder(facts.index))

    def settle(self) -> None:
        """Every finished shard is on the disk when this returns. Raises IoFault."""
        if self._syncing is not None:
            syncing, self._syncing = self._syncing, None
            syncing.end()

    def finish(self) -> None:
        """Remove the run, now that its table is published. Raises IoFault."""
        with faults(f"{self.root} could not be cleaned"):
            for entry in sorted(self.root.iterdir()):
                if entry.name.startswith("run-") or entry.name == "staging":
                    remove_tree(self.disk, entry)

    def remember(self, record: Json) -> None:
        """Write last.json: a small account of what the run came to. Raises IoFault."""
        with faults(f"{self.root / 'last.json'} could not be written"):
            write_whole(self.disk, self.root / "last.json", _json(record))

    def remembered(self) -> Json | None:
        """What `remember` wrote; None where there is nothing, or nothing legible (it decides nothing)."""
        return _read(self.root / "last.json")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._syncing is not None:
                syncing, self._syncing = self._syncing, None
                syncing.abandon()
        finally:
            if self._lock is not None:
                unused = error is not None and self._remove_unused()
                self._lock.release()
                self._lock = None
                if unused:
                    with contextlib.suppress(OSError):  # another run works in it by now
                        self.disk.remove_folder(self.root)

    def _remove_unused(self) -> bool:
        """Remove what a run made that ended before it had anything: an empty staging folder and the lock file. Whoever waits
        for that file sees that it has lost its name. Where it cannot be done it stays, and does no harm."""
        with contextlib.suppress(OSError):
            if {entry.name for entry in self.root.iterdir()} <= {"lock", "staging"}:
                if (self.root / "staging").is_dir():
                    self.disk.remove_folder(self.root / "staging")  # fails where something is staged
                self.disk.remove_file(self.root / "lock")
                return True
        return False

    def _known(self, plan: Plan) -> Plan | None:
        """The plan of this key that a run was begun with."""
        old = _plan(self.run)
        return old if old is not None and old.run_key == plan.run_key and self.shards_path.is_dir() else None

    def _drop_others(self, plan: Plan) -> tuple[str, ...]:
        changed: list[str] = []
        for entry in sorted(self.root.glob("run-*")):
            if entry == self.run:
                continue
            old = _plan(entry)
            if old is not None:
                changed = changes(old.identity(), plan.identity())
            remove_tree(self.disk, entry)
        return tuple(changed)

    def _drop_drafts(self) -> None:
        """Shards and tables in the making when a run was killed, and a table that was about to be removed."""
        remove_tree(self.disk, self.run / "table")
        if self.shards_path.is_dir():
            for entry in sorted(self.shards_path.iterdir()):
                if not _SHARD.fullmatch(entry.name):
                    remove_tree(self.disk, entry)


def finish_killed(output: Output, last: Manifest) -> None:
    """Remove what a run left that was killed between publishing and cleaning; `last` is its table. What other runs left stays.

    Nothing is said where that cannot be done (another run is at work, the folder is read-only): it does no harm there.
    """
    left = output.work / f"run-{last.run_key[:16]}"
    if not left.exists():
        return
    with contextlib.suppress(IoFault), RunFolder.open(output) as folder:
        folder.lock()
        with faults(f"{left} could not be removed"):
            remove_tree(folder.disk, left)
            if not any(output.work.glob("run-*")):
                remove_tree(folder.disk, output.work / "staging")


def _verified(folder: Path) -> ShardFacts | None:
    """The facts of a shard all of whose files are what they say."""
    record = _read(folder / FACTS)
    if record is None:
        return None
    try:
        facts = facts_from_json(record)
        files = [*facts.parts, *([facts.quarantine] if facts.quarantine else [])]
        return facts if all(_is(folder, part) for part in files) else None
    except (KeyError, TypeError, ValueError):
        return None


def _is(folder: Path, part: Part) -> bool:
    path = folder / part.path
    if ".." in Path(part.path).parts or not path.is_file() or path.stat().st_size != part.bytes:
        return False
    return sha256_of_file(path) == part.sha256


def _plan(run: Path) -> Plan | None:
    record = _read(run / "plan.json")
    if record is None:
        return None
    try:
        return plan_from_json(record)
    except (KeyError, TypeError, ValueError):
        return None  # an earlier version's


def _read(path: Path) -> Json | None:
    """A JSON object; None where there is none. Raises OSError for what is there and cannot be read."""
    try:
        record = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _json(record: Json) -> bytes:
    return json.dumps(record, sort_keys=True).encode() + b"\n"
