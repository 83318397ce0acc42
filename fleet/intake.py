"""From report files to the table: read, verify, judge, store. numpy, pyarrow.

Every sound report ends up in the table exactly once, whenever a run ends and however often files are delivered: a report is only
added where its id is not in the store, files appear in the table whole, and nothing that was read is removed before what it
held is on the disk. So a run that was killed is simply run again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.fleet import sources
from mlpack_edge.fleet.cutting import HEAD
from mlpack_edge.fleet.known import NEW, OTHER, Known
from mlpack_edge.fleet.layout import CORRECTIONS, PART, REPORTS, STRAY, partition
from mlpack_edge.fleet.parts import Parts, Rows
from mlpack_edge.fleet.placing import DAY, LATE_AFTER, OK, Rules, earliest, place
from mlpack_edge.fleet.quarantine import CONFLICT, Quarantine, Rejected
from mlpack_edge.fleet.sources import SETTLED, Source, Unreadable
from mlpack_edge.fleet.store import KnownSpec, Store
from mlpack_edge.fleet.table_file import stored_index
from mlpack_edge.profiles.arrays.decoding import ReportDecoder, Reports
from mlpack_edge.profiles.wire.frame import DIGEST, read_frame
from mlpack_edge.profiles.wire.refusal import WRONG_SPEC, ReportRefused
from mlpack_edge.profiles.wire.report import ReportFormat

Ints = NDArray[np.int64]

#: Reports, and bytes of them, that are verified together.
TOGETHER, BYTES_TOGETHER = 512, 32 << 20
#: Files after which everything is on the disk, and they may be removed.
FILES_TOGETHER = 4096


@dataclass(frozen=True, slots=True)
class Policy:
    """late_after: days after which a report is a correction; settled: seconds without a change after which a file is complete; not_before:
    seconds since 1970 before which no device counted, None for what each spec says; remove: what was read and stored."""

    late_after: int = LATE_AFTER
    settled: float = SETTLED
    not_before: int | None = None
    remove: bool = False


@dataclass(slots=True)
class Taken:
    """What a run did. reports: new in the table, of them `late` (corrections) and `strays` (with a clock that cannot be right, by what is
    said of it); repeated: delivered before; rejected: by reason, new in the quarantine `quarantined`; waiting: pieces left in
    files that changed a moment ago; unreadable: files that could not be read, and why; parts: files of the table, relative to the store."""

    files: int = 0
    bytes: int = 0
    reports: int = 0
    rows: int = 0
    late: int = 0
    strays: int = 0
    repeated: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0
    waiting: int = 0
    unreadable: list[str] = field(default_factory=list)
    removed: int = 0
    parts: list[Path] = field(default_factory=list)


class _Reader:
    """What belongs to one spec."""

    def __init__(self, store: Store, known: KnownSpec, policy: Policy) -> None:
        self.form = ReportFormat(known.spec, known.digest)
        self.decoder = ReportDecoder(self.form)
        first = policy.not_before if policy.not_before is not None else earliest(known.spec)
        self.rules = Rules(policy.late_after, first)
        strays = (store.root / REPORTS / f"spec={known.digest.hex()}").glob(f"day=*/{STRAY}-*.parquet")
        self.known = Known(
            lambda day: stored_index(_parts_of_day(store, known.digest, day)), lambda: stored_index(sorted(strays))
        )


def _parts_of_day(store: Store, spec: bytes, day: int) -> list[Path]:
    try:
        folders = [store.root / partition(tree, spec, day) for tree in (REPORTS, CORRECTIONS)]
    except (OverflowError, ValueError):  # no day of the calendar: its reports are all strays
        return []
    return sorted(path for folder in folders for path in folder.glob(f"{PART}-*.parquet"))


@dataclass(slots=True)
class _Piece:
    source: Source
    offset: int
    raw: bytes
    sealed: bool


class Intake:
    """One run over files. The store must be open for writing (`store.writing`)."""

    def __init__(self, store: Store, policy: Policy, now: float) -> None:
        """now: seconds since 1970, the time at which everything is received."""
        self._store, self._policy, self._now = store, policy, now
        self._readers = {known.digest: _Reader(store, known, policy) for known in store.specs}
        self._parts, self._quarantine = Parts(store, int(now)), Quarantine(store, int(now))
        self._rejected: list[Rejected] = []
        self._refused = 0  # bytes of them
        self._finished: list[Source] = []
        self._pieces: list[_Piece] = []
        self._held = 0
        self.taken = Taken()

    def run(self, given: Sequence[Path], progress: Callable[[Taken], None] = lambda _: None) -> Taken:
        """Take in the files and those below the directories. Raises BadInput, IoFault, OSError; what was stored until then stays."""
        named = set(given)
        for path in sources.files(given, self._store.root):
            source = Source(path)
            try:
                self._read(source, path in named)
            except Unreadable as fault:
                self.taken.unreadable.append(f"{fault.message}: {fault.why}")
                continue
            self.taken.files += 1
            self._finished.append(source)
            if len(self._finished) >= FILES_TOGETHER:
                self._commit()
                progress(self.taken)
        self._commit()
        return self.taken

    def _read(self, source: Source, named: bool) -> None:
        for offset, raw, sealed in sources.read(source, self._now, self._policy.settled, named):
            self._pieces.append(_Piece(source, offset, raw, sealed))
            self._held += len(raw)
            self.taken.bytes += len(raw)
            if len(self._pieces) >= TOGETHER or self._held >= BYTES_TOGETHER:
                self._verify()

    def _commit(self) -> None:
        """Everything that was read is on the disk afterwards; only then files are removed."""
        self._verify()
        self._store_all()
        if self._policy.remove:
            inside = self._store.root.resolve()
            for source in self._finished:
                if inside not in source.path.resolve().parents:
                    self.taken.removed += sources.remove(source)
        self._finished.clear()

    def _store_all(self) -> None:
        self._parts.flush()
        self.taken.parts = self._parts.written
        self.taken.quarantined += self._quarantine.add(self._rejected)
        self._rejected, self._refused = [], 0

    def _verify(self) -> None:
        """Judge the pieces that are held; each spec's together."""
        groups: dict[bytes, list[_Piece]] = {}
        for piece in self._pieces:
            digest = piece.raw[len(HEAD) : len(HEAD) + DIGEST] if piece.raw.startswith(HEAD) else b""
            groups.setdefault(digest if digest in self._readers else b"", []).append(piece)
        self._pieces, self._held = [], 0
        for piece in groups.pop(b"", []):
            self._reject(piece, self._strange(piece.raw))
        for digest, pieces in groups.items():
            reader = self._readers[digest]
            found = reader.decoder.decode([piece.raw for piece in pieces], [piece.sealed for piece in pieces])
            for place_, reason in found.refused:
                self._reject(pieces[place_], reason)
            if found.ids:
                self._store_rows(reader, [pieces[row] for row in found.places.tolist()], found)
        if self._parts.full or self._refused >= BYTES_TOGETHER:
            self._store_all()

    def _strange(self, raw: bytes) -> ReportRefused:
        """Why a piece is no report of a spec that is known here."""
        try:
            frame = read_frame(raw)
        except ReportRefused as refused:
            return refused
        return ReportRefused(WRONG_SPEC, f"it counts by {frame.spec.hex()}, which this store does not know")

    def _store_rows(self, reader: _Reader, pieces: list[_Piece], found: Reports) -> None:
        checksums = [int.from_bytes(piece.raw[-4:], "big") for piece in pieces]
        rows = self._new(reader, pieces, found, checksums)
        if not len(rows):
            return
        numbers = {**found.numbers, "checksum": np.array(checksums, np.int64)}
        device = np.array([bool(device) for device in found.devices])
        places = place(numbers["start"], numbers["end"], device, int(self._now), reader.rules)
        numbers["clock"] = places.clock
        carried = np.zeros((len(pieces), len(reader.form.groups)), np.uint16)
        if found.carried:
            of = [found.carried.get(given, ()) for given in found.places.tolist()]
            carried = np.array([each or (0,) * carried.shape[1] for each in of], np.int64)
        everything = Rows(found.ids, found.devices, found.cohorts, numbers, found.counts, found.sums, carried)
        stray = places.clock != OK
        keys = np.stack([places.day, places.late, stray], axis=1)[rows]
        unique, inverse = np.unique(keys, axis=0, return_inverse=True)
        for key, (day, late, astray) in enumerate(unique.tolist()):
            chosen = rows[inverse.reshape(-1) == key]
            self._parts.add(
                reader.form.digest, reader.form.model.hex(), day, bool(late), bool(astray), everything.take(chosen)
            )
        self.taken.reports += len(rows)
        self.taken.rows += int(numbers["rows"][rows].sum())
        self.taken.late += int(places.late[rows].sum())
        self.taken.strays += int(stray[rows].sum())

    def _new(self, reader: _Reader, pieces: list[_Piece], found: Reports, checksums: list[int]) -> Ints:
        """The rows that are not in the store."""
        days = found.numbers["start"] // DAY
        chosen: list[int] = []
        for day in np.unique(days).tolist():
            rows = np.flatnonzero(days == day).tolist()
            verdicts = reader.known.judge(day, [found.ids[row] for row in rows], [checksums[row] for row in rows])
            for row, verdict in zip(rows, verdicts, strict=True):
                if verdict == NEW:
                    chosen.append(row)
                elif verdict == OTHER:
                    why = (
                        f"{found.ids[row].hex()} is stored with other counters: one device sends the same window twice"
                    )
                    self._reject(pieces[row], ReportRefused(CONFLICT, why))
                else:
                    self.taken.repeated += 1
        return np.array(sorted(chosen), np.int64)

    def _reject(self, piece: _Piece, refused: ReportRefused) -> None:
        if piece.source.young and refused.reason != CONFLICT:  # which is whole, and will be no other
            self.taken.waiting += 1
            piece.source.whole = False
            return
        self.taken.rejected[refused.reason] = self.taken.rejected.get(refused.reason, 0) + 1
        self._refused += len(piece.raw)
        self._rejected.append(
            Rejected(refused.reason, refused.message, str(piece.source.path), piece.offset, piece.raw)
        )
