"""Finished shards are brought to the disk beside the work, in the order in which they were finished."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

from mlpack_edge.batch.disk import Disk, faults, sync_tree


class Syncing:
    """A thread that syncs shard folders one after the other. `add` and `end` raise the IoFault of an earlier one."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._folders: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._fault: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="mlpack-sync", daemon=True)
        self._thread.start()

    def add(self, folder: Path) -> None:
        self._raise()
        self._folders.put(folder)

    def end(self) -> None:
        """Every folder that was added is on the disk when this returns."""
        self._folders.put(None)
        self._thread.join()
        self._raise()

    def abandon(self) -> None:
        """Stop after the shard that is being synced; what was not synced is verified by digest when it is taken up."""
        while not self._folders.empty():
            self._folders.get()
        self._folders.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (folder := self._folders.get()) is not None:
            try:
                sync_tree(self._disk, folder)
                self._disk.sync_folder(folder.parent)
            except OSError as fault:
                self._fault = fault
                return

    def _raise(self) -> None:
        if self._fault is not None:
            with faults("a finished shard could not be brought to the disk"):
                raise self._fault
