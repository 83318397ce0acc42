"""Workers that die: what of, and on which row."""

from __future__ import annotations

import json
import math
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpack_edge.batch.engines.worker import Worker
from mlpack_edge.batch.plan import Plan, Shard
from mlpack_edge.batch.row_budget import rows_that_may_fail
from mlpack_edge.core.errors import CheckFailed, error_from_json
from mlpack_edge.runtimes.worker import WorkerBug

Json = dict[str, Any]

#: Beside the folder of the shards: rows that end the process, so that a run taken up again does not look for them again.
POISONED = "poisoned.jsonl"
#: Pieces that one probing process tries one after the other.
_PIECES = 64
_NO_MEMORY = ("bad_alloc", "MemoryError", "Cannot allocate memory", "Out of memory", "out of memory")


@dataclass(frozen=True, slots=True)
class Death:
    """how: "was ended by SIGSEGV", "left with code 3"."""

    how: str
    of_memory: bool


def death(code: int, words: str) -> Death:
    """From an exit code (negative: a signal) and the last line a process printed."""
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return Death(f"was ended by {name}", -code == signal.SIGKILL or any(word in words for word in _NO_MEMORY))
    return Death(f"left with code {code}", any(word in words for word in _NO_MEMORY))


class Poisoned:
    """The rows that end the process, by shard; kept beside `folder`, that of the shards."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._path = folder.parent / POISONED
        self._most = rows_that_may_fail(plan)
        self._rows: dict[int, dict[int, str]] = {}
        if self._path.exists():
            for line in self._path.read_bytes().splitlines():
                try:
                    record = json.loads(line)
                except ValueError:  # the last line of a run that was killed
                    continue
                self._rows.setdefault(record["shard"], {})[record["row"]] = record["why"]

    def of(self, shard: Shard) -> dict[int, str]:
        """Rows (numbers in the input) and why they are left out."""
        return self._rows.get(shard.index, {})

    def add(self, shard: Shard, row: int, why: str) -> None:
        """Raises CheckFailed where there are more than a model that is fit for use would have."""
        self._rows.setdefault(shard.index, {})[row] = why
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"shard": shard.index, "row": row, "why": why}) + "\n")
        found = sum(len(rows) for rows in self._rows.values())
        if found > self._most:
            raise CheckFailed(
                f"the model ends its process on {found} rows, and there may be more",
                "look at these rows and at the model; --max-rejected says how many rows may be left out",
                why=why, rows=sorted(self._rows[shard.index]),
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Culprit:
    """A row (its number in the input), and how the process ended on it."""

    row: int
    death: Death


class CrashSearch:
    """Finds the row of a shard that ends the process: each probing process tries pieces of the rows one after the other, the
    one it dies on is cut up for the next."""

    def __init__(self, plan: Json, folder: Path, memory: int, shard: Shard, poisoned: dict[int, str]) -> None:
        self._plan = plan
        self._folder = folder
        self._memory = memory
        self._shard = shard
        self._poisoned = poisoned

    def culprit(self, first: int, rows: int, block_rows: int) -> Culprit | None:
        """Among `rows` rows from `first` on; None where the process lives on, or would die on any row."""
        if not rows:  # it died while it wrote
            return None
        begin, end = first, first + rows
        pieces = max(1, math.ceil(rows / block_rows))
        while (died := self._dies_on(first, rows, pieces)) is not None:
            first, rows, how = died
            if rows == 1:
                lacks_memory = how.of_memory and self._dies_elsewhere(first, begin, end)
                return None if lacks_memory else Culprit(first, how)
            pieces = min(rows, _PIECES)
        return None

    def _dies_elsewhere(self, row: int, begin: int, end: int) -> bool:
        """Whether a row far from `row` ends the process too: then it is the block that needs so much memory, not the row."""
        other = begin if row - begin > end - 1 - row else end - 1
        return other != row and self._dies_on(other, 1, 1) is not None

    def _dies_on(self, first: int, rows: int, pieces: int) -> tuple[int, int, Death] | None:
        """The first row and the rows of the piece that it dies on, and how; None where it lives, or dies elsewhere."""
        worker = Worker()
        trying: tuple[int, int] | None = None
        try:
            worker.open(self._plan, self._folder, self._memory)
            worker.probe(self._shard, first, rows, pieces, self._poisoned)
            while (answers := worker.receive()) is not None:
                for answer in answers:
                    if "trying" in answer:
                        trying = answer["trying"]
                    elif "probed" in answer:
                        return None
                    elif "memory" in answer:
                        return trying and (*trying, Death("ran out of memory", True))
                    elif "error" in answer:
                        raise error_from_json(answer["error"])
                    elif "bug" in answer:
                        raise WorkerBug(answer["bug"])
            code = worker.end()
            return trying and (*trying, death(code, worker.last_words()))
        finally:
            worker.kill()
            worker.close()
