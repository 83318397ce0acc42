"""The log of a run: one JSON object a line, appended, for people with `jq` and for whatever collects logs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault

Sink = Callable[[str], None]


class RunLog:
    """Lines of one run. clock: gives the time with its zone. sink: takes a line without its end; None is no log."""

    def __init__(self, sink: Sink | None, clock: Callable[[], datetime]) -> None:
        self._sink = sink
        self._clock = clock
        self.run_key: str | None = None

    def write(self, event: str, **facts: Any) -> None:
        """A line with `time`, `event`, `run_key` (null until it is known) and the facts. Raises what the sink raises."""
        if self._sink is None:
            return
        time = self._clock().isoformat(timespec="milliseconds")
        record = {"time": time, "event": event, "run_key": self.run_key, **facts}
        # ASCII escapes: file names may hold bytes that are no UTF-8, and the line must be read all the same.
        self._sink(json.dumps(record, allow_nan=False, default=str))


def sink_of_file(path: Path) -> Sink:
    """A sink that appends to `path`, which is made where it is absent.

    The file is opened for each line: when it is rotated by renaming, the next line begins the new one. A line is one
    write(2) with O_APPEND, so the lines of two runs do not mix. BadInput where the file is something else than such a
    log, IoFault where it cannot be written.
    """
    try:
        if path.is_file() or not path.exists():  # a pipe or a terminal can be asked nothing
            _ready(path)
    except OSError as fault:
        raise io_fault(fault, f"the log {path} could not be written") from fault

    def append(line: str) -> None:
        data = line.encode() + b"\n"
        try:
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                written = os.write(handle, data)
                while written < len(data):
                    written += os.write(handle, data[written:])
            finally:
                os.close(handle)
        except OSError as fault:
            raise io_fault(fault, f"the log {path} could not be written") from fault

    return append


def _ready(path: Path) -> None:
    with path.open("a+b") as stream:
        stream.seek(0)
        first = stream.read(1)
        if first not in (b"", b"{"):
            raise BadInput(f"{path} is there and no log of mlpack score", "name another file with --log")
        if first and stream.seek(-1, os.SEEK_END) and stream.read(1) != b"\n":
            stream.write(b"\n")  # a full disk or a power cut ended the last line early
