"""Reports on their way into the table: gathered by day, written as Parquet files that appear whole. numpy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.fleet.layout import CORRECTIONS, NO_SHARD, PART, REPORTS, STRAY, partition, table_schema
from mlpack_edge.fleet.parquet_file import Column, TableWriter
from mlpack_edge.fleet.placing import CLOCKS
from mlpack_edge.fleet.store import Store
from mlpack_edge.profiles.drift.clusters import shard_of

Ints = NDArray[np.int64]

#: Bytes of counters that are gathered before files are written: files of some thousand reports.
GATHERED = 96 << 20
#: Reports of a row group: what a reader holds at a time.
ROW_GROUP = 1024
_NUMBERS = ("sequence", "start", "end", "rows", "predictions", "timed", "epsilon")


@dataclass(frozen=True, slots=True)
class Rows:
    """Reports of one spec and one place, in the order in which they came. ids, devices: bytes each; numbers: by name, int64
    `[reports]`, among them "clock" (place in CLOCKS) and "checksum"; counts `[reports, counters]` of any integer type; sums
    int64 `[reports, numeric features]`; carried `[reports, groups]`, 0 without noise."""

    ids: list[bytes]
    devices: list[bytes]
    cohorts: list[str]
    numbers: dict[str, Ints]
    counts: NDArray[Any]
    sums: Ints
    carried: NDArray[Any]

    def take(self, rows: Ints) -> Rows:
        """Some of them, in order; the counters in the fewest bytes that surely hold them."""
        if len(rows) == len(self.ids):
            return Rows(
                self.ids,
                self.devices,
                self.cohorts,
                self.numbers,
                self.counts.astype(self._narrow()),
                self.sums,
                self.carried,
            )
        chosen = rows.tolist()
        some = Rows(
            [self.ids[row] for row in chosen],
            [self.devices[row] for row in chosen],
            [self.cohorts[row] for row in chosen],
            {name: numbers[rows] for name, numbers in self.numbers.items()},
            self.counts[rows],
            self.sums[rows],
            self.carried[rows],
        )
        return replace(some, counts=some.counts.astype(some._narrow()))

    def _narrow(self) -> type[np.integer[Any]]:
        """No counter is larger than the total that it is part of, unless noise was added."""
        most = max(int(self.numbers[name].max(initial=0)) for name in ("rows", "predictions", "timed"))
        return np.uint16 if most < 1 << 16 and not self.numbers["epsilon"].any() else np.int64


class Parts:
    """Gathers reports and writes them when there are enough, or when `flush` is called."""

    def __init__(self, store: Store, received: int) -> None:
        self._store, self._received = store, received
        self._gathered: dict[tuple[Path, str, str], list[Rows]] = {}
        self._bytes = 0
        self.written: list[Path] = []

    @property
    def full(self) -> bool:
        return self._bytes >= GATHERED

    def add(self, spec: bytes, model: str, day: int, late: bool, stray: bool, rows: Rows) -> None:
        """rows: as `Rows.take` gives them. model: digest in hexadecimal."""
        folder = partition(CORRECTIONS if late else REPORTS, spec, day)
        self._gathered.setdefault((folder, STRAY if stray else PART, model), []).append(rows)
        self._bytes += rows.counts.nbytes + rows.sums.nbytes + 400 * len(rows.ids)

    def flush(self) -> None:
        """Write and publish everything; it survives a power cut then. Raises OSError."""
        for (folder, kind, model), rows in sorted(self._gathered.items(), key=lambda item: item[0]):
            ids = b"".join(name for some in rows for name in some.ids)
            name = f"{kind}-{sha256(ids).hexdigest()[:16]}.parquet"
            draft = self._store.drafts / name
            self._write(draft, model, rows)
            self._store.publish(draft, folder / name)
            self.written.append(folder / name)
        self._gathered.clear()
        self._bytes = 0

    def _write(self, draft: Path, model: str, gathered: list[Rows]) -> None:
        schema = table_schema(
            *(cells.shape[1] for cells in (gathered[0].counts, gathered[0].sums, gathered[0].carried))
        )
        with TableWriter(draft, schema) as writer:
            for rows in _regrouped(gathered):
                writer.write(self._columns(model, rows))

    def _columns(self, model: str, rows: Rows) -> dict[str, Column]:
        """By name, more than the schema asks for where the spec has no number."""
        clocks = [clock.encode() for clock in CLOCKS]
        shards = [shard_of(device) if device else NO_SHARD for device in rows.devices]
        return {
            "report_id": rows.ids,
            "device": [device or None for device in rows.devices],
            "shard": np.array(shards),
            "cohort": [cohort.encode() for cohort in rows.cohorts],
            "model": [model.encode()] * len(rows.ids),
            **{name: rows.numbers[name] for name in _NUMBERS},
            "received": np.full(len(rows.ids), self._received),
            "clock": [clocks[clock] for clock in rows.numbers["clock"].tolist()],
            "checksum": rows.numbers["checksum"],
            "counts": rows.counts,
            "sums": rows.sums,
            "carried": rows.carried,
        }


def _regrouped(gathered: list[Rows]) -> Iterator[Rows]:
    """The same rows, ROW_GROUP at a time."""
    waiting: list[Rows] = []
    for rows in gathered:
        at = 0
        while at < len(rows.ids):
            space = ROW_GROUP - sum(len(part.ids) for part in waiting)
            waiting.append(_slice(rows, at, at + space))
            at += space
            if sum(len(part.ids) for part in waiting) == ROW_GROUP:
                yield _joined(waiting)
                waiting = []
    if waiting:
        yield _joined(waiting)


def _slice(rows: Rows, start: int, stop: int) -> Rows:
    if start == 0 and stop >= len(rows.ids):
        return rows
    part = slice(start, stop)
    numbers = {name: given[part] for name, given in rows.numbers.items()}
    return Rows(
        rows.ids[part],
        rows.devices[part],
        rows.cohorts[part],
        numbers,
        rows.counts[part],
        rows.sums[part],
        rows.carried[part],
    )


def _joined(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    return Rows(
        [name for part in parts for name in part.ids],
        [device for part in parts for device in part.devices],
        [cohort for part in parts for cohort in part.cohorts],
        {name: np.concatenate([part.numbers[name] for part in parts]) for name in parts[0].numbers},
        np.concatenate([part.counts for part in parts]),
        np.concatenate([part.sums for part in parts]),
        np.concatenate([part.carried for part in parts]),
    )
