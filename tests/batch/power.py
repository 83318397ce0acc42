"""A disk that loses power: operations are recorded as they happen, and any moment can be replayed with what was not
synced lost, kept, or kept in part.

The rules are POSIX's at their least kind: the bytes of a file are sure after `fsync` of it; a name that was made, linked,
renamed or removed is sure after `fsync` of every directory it touched; a rename or an exchange happens as a whole or not;
what is not sure may have happened in any selection that is possible in order.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mlpack_edge.batch.disk import Disk

Place = tuple[int, str]  # a directory's number, a name in it


@dataclass
class _Node:
    """A directory (content None) or a file."""

    content: bytes | None
    synced: bool = True


@dataclass
class _Step:
    """kind: "add" (node at places[0]), "remove", "move" or "exchange" (names), "sync" (of a directory), "bytes" (synced)."""

    kind: str
    places: list[Place] = field(default_factory=list)
    node: int = -1


class RecordingDisk(Disk):
    """Does everything for real under `root`, and remembers it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.steps: list[_Step] = []
        self._nodes: list[_Node] = [_Node(None)]
        self._start: dict[Place, int] = {}
        self._now: dict[Place, int] = {}
        self._guard = threading.Lock()
        self._take(root, 0)
        self._start = dict(self._now)

    def make_folder(self, path: Path, mode: int = 0o777) -> None:
        with self._guard:
            super().make_folder(path, mode)
            self._add(path, _Node(None))

    def write(self, path: Path, blocks: Iterable[bytes]) -> None:
        content = b"".join(blocks)
        with self._guard:
            super().write(path, [content])
            self._add(path, _Node(content, synced=False))

    def link(self, source: Path, name: Path) -> None:
        with self._guard:
            super().link(source, name)
            self._step(_Step("add", [self._place(name)], self._now[self._place(source)]))

    def rename(self, source: Path, name: Path) -> None:
        with self._guard:
            super().rename(source, name)
            self._step(_Step("move", [self._place(source), self._place(name)]))

    def exchange(self, a: Path, b: Path) -> None:
        with self._guard:
            super().exchange(a, b)
            self._step(_Step("exchange", [self._place(a), self._place(b)]))

    def sync_file(self, path: Path) -> None:
        with self._guard:
            super().sync_file(path)
            self._step(_Step("bytes", node=self._now[self._place(path)]))

    def sync_folder(self, path: Path) -> None:
        with self._guard:
            super().sync_folder(path)
            self._step(_Step("sync", node=self._number(path)))

    def remove_file(self, path: Path) -> None:
        with self._guard:
            super().remove_file(path)
            self._step(_Step("remove", [self._place(path)]))

    def remove_folder(self, path: Path) -> None:
        with self._guard:
            super().remove_folder(path)
            self._step(_Step("remove", [self._place(path)]))

    def after_power_loss(self, moment: int, chance: random.Random | None, target: Path, keep: float = 0.5) -> None:
        """Write to `target` what is on the disk when the power goes before step `moment`.

        chance: None loses everything that is not sure; else each such step is kept with probability `keep`.
        """
        done = self.steps[:moment]
        names = dict(self._start)
        for number, step in enumerate(done):
            if step.kind in ("sync", "bytes"):
                continue
            folders = {folder for folder, _ in step.places}
            synced = {later.node for later in done[number:] if later.kind == "sync"}
            if folders <= synced or (chance is not None and chance.random() < keep):
                _apply(names, step)
        sure = {step.node for step in done if step.kind == "bytes"}
        self._write_out(names, 0, target, sure, chance)

    def _write_out(
        self, names: dict[Place, int], number: int, target: Path, sure: set[int], chance: random.Random | None
    ) -> None:
        for (folder, name), inside in names.items():
            if folder != number:
                continue
            node = self._nodes[inside]
            if node.content is None:
                (target / name).mkdir()
                self._write_out(names, inside, target / name, sure, chance)
                continue
            content = node.content
            if not node.synced and inside not in sure:
                kept = 0.0 if chance is None else chance.choice([0.0, 0.5, 1.0])
                content = content[: int(len(content) * kept)]
            (target / name).write_bytes(content)

    def _take(self, path: Path, number: int) -> None:
        """What is there at the beginning is sure."""
        for entry in sorted(path.iterdir()):
            self._nodes.append(_Node(None if entry.is_dir() else entry.read_bytes()))
            inside = len(self._nodes) - 1
            self._now[(number, entry.name)] = inside
            if entry.is_dir():
                self._take(entry, inside)

    def _add(self, path: Path, node: _Node) -> None:
        self._nodes.append(node)
        self._step(_Step("add", [self._place(path)], len(self._nodes) - 1))

    def _step(self, step: _Step) -> None:
        self.steps.append(step)
        if step.kind not in ("sync", "bytes"):
            _apply(self._now, step)

    def _number(self, folder: Path) -> int:
        number = 0
        for name in Path(os.path.relpath(folder, self.root)).parts:
            number = self._now[(number, name)]
        return number

    def _place(self, path: Path) -> Place:
        return self._number(path.parent), path.name


def _apply(names: dict[Place, int], step: _Step) -> None:
    """A step on names; one whose names are not there did not happen either."""
    first, second = step.places[0], step.places[-1]
    if step.kind == "add":
        names.setdefault(first, step.node)
    elif step.kind == "remove":
        names.pop(first, None)
    elif step.kind == "move" and first in names:
        names[second] = names.pop(first)
    elif step.kind == "exchange" and first in names and second in names:
        names[first], names[second] = names[second], names[first]
