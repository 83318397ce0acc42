"""Reading many reports of one spec at once: `wire.report.ReportFormat.decode` with array arithmetic.

Every step here only tells which reports are surely right; the others go through the reader of single reports, which names why
they are refused (or reads them: a report is never refused for being unusual). So both read alike, whatever the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.arrays.rice import NARROW, Layout, Streams, decode, ones
from mlpack_edge.profiles.profile import LIMIT, Profile, Window
from mlpack_edge.profiles.wire import cbor
from mlpack_edge.profiles.wire.frame import CRC, DIGEST, ITEMS, VERSION
from mlpack_edge.profiles.wire.refusal import ReportRefused
from mlpack_edge.profiles.wire.report import ReportFormat
from mlpack_edge.profiles.wire.rice import PARAMETERS

Array = NDArray[Any]
Ints = NDArray[np.int64]
#: Reports whose frames are read together, which is many calls on little.
TOGETHER = 512
#: Reports whose counters are read together: enough to share a call's cost among, few enough to stay in the cache.
BATCH = 128
#: Longer reports (counts of thousands of millions) go one by one: a batch of them would take a gigabyte.
_USUAL = 1 << 15
_COHORT = re.compile(rb"[a-z0-9._-]*")
_ARGUMENT = np.array([0] * 24 + [1, 2, 4, 8] + [0] * 4)
_LEAST = np.array([0] * 24 + [24, 1 << 8, 1 << 16, 1 << 32] + [1 << 62] * 4)
_NUMBERS = ("sequence", "start", "end", "rows", "predictions", "timed", "epsilon")


@dataclass(frozen=True, slots=True)
class Reports:
    """What reports of one spec hold, in the order given, without the refused.

    places: which of the given they are; ids, devices: 16 bytes each (a device may be empty); numbers: int64 `[reports]` by
    name (sequence, start, end in s, rows, predictions, timed, epsilon in millionths); counts `[reports, counters]`,
    int32, or int64 where that does not hold them; sums int64 `[reports, numeric features]`. carried: `Profile.carried`
    of each report with noise, by its place among the given. refused: place and reason of each of the others.
    """

    places: Ints
    ids: list[bytes]
    devices: list[bytes]
    cohorts: list[str]
    numbers: dict[str, Ints]
    counts: Array
    sums: Ints
    carried: dict[int, tuple[int, ...]]
    refused: list[tuple[int, ReportRefused]]


class ReportDecoder:
    """Reads the reports of one format."""

    def __init__(self, form: ReportFormat) -> None:
        self._form = form
        self._layout = Layout(form)
        digests = cbor.byte_string(form.digest) + cbor.byte_string(form.model)
        # glibc gives memory back, and asks for it again page by page, below the largest block ever freed: this one it never
        # touches. Without it a quarter of the time goes into page faults.
        np.empty(30 << 20, np.uint8)
        self._prefix = cbor.head(cbor.ARRAY, ITEMS) + cbor.head(cbor.UNSIGNED, VERSION) + digests

    def decode(self, reports: Sequence[bytes], sealed: Sequence[bool] | None = None) -> Reports:
        """Never raises for what a report holds. sealed: of which of them the checksum was found to be right; others are checked here."""
        known = [False] * len(reports) if sealed is None else sealed
        parts = [
            self._part(reports[at : at + TOGETHER], known[at : at + TOGETHER])
            for at in range(0, max(len(reports), 1), TOGETHER)
        ]
        if len(parts) == 1:
            return parts[0]
        return Reports(
            np.concatenate([part.places + number * TOGETHER for number, part in enumerate(parts)]),
            [one for part in parts for one in part.ids],
            [one for part in parts for one in part.devices],
            [one for part in parts for one in part.cohorts],
            {name: np.concatenate([part.numbers[name] for part in parts]) for name in _NUMBERS},
            np.concatenate([part.counts for part in parts]),
            np.concatenate([part.sums for part in parts]),
            {place + number * TOGETHER: of for number, part in enumerate(parts) for place, of in part.carried.items()},
            [(place + number * TOGETHER, why) for number, part in enumerate(parts) for place, why in part.refused],
        )

    def _part(self, reports: Sequence[bytes], sealed: Sequence[bool]) -> Reports:
        frames = _frames(reports, sealed, self._prefix, len(self._form.groups), len(self._form.spec.numeric))
        right = np.zeros(len(reports), bool)
        rows = np.flatnonzero(ones(frames.streams.unary) == self._layout.size)
        wide = (not self._layout.narrow) | (frames.streams.totals[rows].max(axis=1, initial=0) > NARROW)
        counts = np.empty((len(reports), self._layout.size), np.int64 if wide.any() else np.int32)
        for chosen, is_wide in ((rows[~wide], False), (rows[wide], True)):
            for at in range(0, len(chosen), BATCH):
                self._batch(frames, chosen[at : at + BATCH], is_wide, counts, right)
        return self._with_singles(reports, frames, counts, right)

    def _batch(self, frames: _Frames, rows: Ints, wide: bool, counts: Array, right: NDArray[np.bool_]) -> None:
        """Some rows of the frames: their counters to `counts`, and whether they are right to `right`, by their places."""
        places = frames.places[rows]
        first, last = int(places[0]), int(places[-1])
        if last - first == len(places) - 1 and counts.dtype == (np.int64 if wide else np.int32):
            here = slice(first, last + 1)
            right[here] = decode(self._layout, frames.streams.take(rows), wide=wide, out=counts[here])[1]
        else:
            counts[places], right[places] = decode(self._layout, frames.streams.take(rows), wide=wide)

    def _with_singles(
        self, reports: Sequence[bytes], frames: _Frames, counts: Array, right: NDArray[np.bool_]
    ) -> Reports:
        """The reports that are surely right, and what the single reader says of each of the others. Of `counts` only the rows of
        reports that are right mean something."""
        sums, numbers, devices, cohorts = frames.sums, frames.numbers, frames.devices, frames.cohorts
        if len(frames.places) < len(reports):
            sums = np.zeros((len(reports), len(self._form.spec.numeric)), np.int64)
            sums[frames.places] = frames.sums
            numbers = {name: np.zeros(len(reports), np.int64) for name in _NUMBERS}
            for name in _NUMBERS:
                numbers[name][frames.places] = frames.numbers[name]
            devices, cohorts = [b""] * len(reports), [""] * len(reports)
            for place, device, cohort in zip(frames.places.tolist(), frames.devices, frames.cohorts, strict=True):
                devices[place], cohorts[place] = device, cohort
        refused: list[tuple[int, ReportRefused]] = []
        carried: dict[int, tuple[int, ...]] = {}
        for place in np.flatnonzero(~right).tolist():
            try:
                profile = self._form.decode(reports[place])
            except ReportRefused as reason:
                refused.append((place, reason))
                continue
            right[place] = True
            if counts.dtype != np.int64 and max(map(abs, profile.counts)) > NARROW:
                counts = counts.astype(np.int64)
            counts[place], sums[place] = profile.counts, profile.sums
            if profile.carried:
                carried[place] = profile.carried
            devices[place], cohorts[place] = profile.device, profile.cohort
            for name, number in zip(_NUMBERS, _numbers_of(profile), strict=True):
                numbers[name][place] = number
        if refused:
            places = np.flatnonzero(right)
            kept = places.tolist()
            devices, cohorts = [devices[place] for place in kept], [cohorts[place] for place in kept]
            numbers = {name: found[places] for name, found in numbers.items()}
            sums, counts = sums[places], counts[places]
        else:
            places = np.arange(len(reports))
        return Reports(places, self._ids(devices, numbers), devices, cohorts, numbers, counts, sums, carried, refused)

    def _ids(self, devices: list[bytes], numbers: dict[str, Ints]) -> list[bytes]:
        """`frame.report_id` of each."""
        tails = np.stack([numbers[name] for name in ("start", "end", "sequence")], axis=1).astype(">u8").tobytes()
        common = self._form.model + self._form.digest
        return [
            sha256(device + common + tails[24 * at : 24 * at + 24]).digest()[:16] for at, device in enumerate(devices)
        ]


def _numbers_of(profile: Profile) -> tuple[int, ...]:
    window: Window = profile.window
    totals = (profile.rows, profile.predictions, profile.timed)
    return (window.sequence, window.start, window.end, *totals, profile.epsilon)


@dataclass(frozen=True, slots=True)
class _Frames:
    """The frames that are right in form and checksum, and where among the reports they are."""

    places: Ints
    devices: list[bytes]
    cohorts: list[str]
    numbers: dict[str, Ints]
    streams: Streams
    sums: Ints


class _Walk:
    """One position in each report, moved from item to item; `right` where every item so far is what it should be."""

    def __init__(self, data: bytes, begins: Ints, ends: Ints) -> None:
        self.bytes = np.frombuffer(data, np.uint8)
        self.words = np.ndarray((len(data) - 7,), ">u8", data, strides=(1,))
        self.at, self.ends = begins, ends
        self.right = np.ones(len(begins), bool)

    def item(self, major: int, most: int) -> Ints:
        """The argument of the item that begins here, up to `most`; then the position is behind its head."""
        first = self.bytes[self.at].astype(np.int64)
        short = first & 31
        length = _ARGUMENT[short]
        word = self.words[self.at + 1].astype(np.uint64)
        behind = (word >> (64 - 8 * length).astype(np.uint64)).astype(np.int64)
        argument = np.where(length, behind, short)
        self.right &= (first >> 5 == major) & (argument >= _LEAST[short]) & (argument <= most)
        argument = np.where(self.right, argument, 0)
        self._move(1 + length)
        return argument

    def content(self, major: int, most: int) -> tuple[Ints, Ints]:
        """Where the content of the string that begins here begins and ends; then the position is behind it."""
        length = self.item(major, most)
        begin = self.at
        self._move(length)
        return begin, np.where(self.right, begin + length, begin)

    def _move(self, by: Ints) -> None:
        at = self.at + by
        self.right &= at <= self.ends
        self.at = np.minimum(at, self.ends)


def _frames(reports: Sequence[bytes], sealed: Sequence[bool], prefix: bytes, groups: int, sums: int) -> _Frames:
    places = np.array(
        [
            place
            for place, (report, known) in enumerate(zip(reports, sealed, strict=True))
            if len(report) <= _USUAL and report.startswith(prefix) and (known or _checked(report))
        ],
        np.int64,
    )
    chosen = [reports[place] for place in places.tolist()]
    data = b"".join(chosen) + bytes(16)
    ends = np.cumsum([len(report) for report in chosen], dtype=np.int64)
    begins = np.concatenate([[0], ends[:-1]]).astype(np.int64)[: len(ends)]
    walk = _Walk(data, begins + len(prefix), ends)
    device = walk.content(cbor.BYTES, DIGEST)
    walk.right &= (device[1] == device[0]) | (device[1] - device[0] == DIGEST)
    cohort = walk.content(cbor.TEXT, 32)
    numbers = {name: walk.item(cbor.UNSIGNED, LIMIT - 1) for name in _NUMBERS}
    walk.right &= numbers["start"] <= numbers["end"]
    walk.right &= numbers["epsilon"] == 0  # with noise other items follow: the reader of single reports knows them
    packed, parameters, unary, low, crc = (walk.content(cbor.BYTES, _USUAL) for _ in range(5))
    walk.right &= (crc[1] - crc[0] == CRC) & (walk.at == ends) & (parameters[1] - parameters[0] == groups)
    widths = (packed[1] - packed[0]) // sums if sums else packed[1] - packed[0]
    walk.right &= (widths * sums == packed[1] - packed[0]) & (widths <= 8) & ((widths > 0) | (sums == 0))
    cohorts = _slices(data, cohort, range(len(chosen)))
    texts = {content: _COHORT.fullmatch(content) is not None for content in set(cohorts)}
    walk.right &= np.array([texts[content] for content in cohorts], bool)
    given = walk.bytes.take(parameters[0][:, None] + np.arange(groups), mode="clip")
    walk.right &= (given < PARAMETERS).all(axis=1)
    numbers_packed, held = _sums(walk, packed[0], widths, sums)
    walk.right &= held
    kept = np.flatnonzero(walk.right)
    totals = np.stack([numbers[name] for name in ("rows", "predictions", "timed")], axis=1)
    rows = kept.tolist()
    return _Frames(
        places[kept],
        _slices(data, device, rows),
        [cohorts[row].decode() for row in rows],
        {name: found[kept] for name, found in numbers.items()},
        Streams(
            totals[kept],
            given[kept],
            _slices(data, unary, rows),
            _slices(data, low, rows),
        ),
        numbers_packed[kept],
    )


def _checked(report: bytes) -> bool:
    return crc32(memoryview(report)[:-CRC]) == int.from_bytes(report[-CRC:], "big")


def _slices(data: bytes, bounds: tuple[Ints, Ints], rows: Iterable[int]) -> list[bytes]:
    begins, ends = bounds[0].tolist(), bounds[1].tolist()
    return [data[begins[row] : ends[row]] for row in rows]


def _sums(walk: _Walk, begins: Ints, widths: Ints, size: int) -> tuple[Ints, NDArray[np.bool_]]:
    """Two's complement numbers of `widths` bytes each, and whether no fewer bytes would hold them."""
    widths = np.where(walk.right & (widths > 0), widths, 1)
    at = begins[:, None] + widths[:, None] * np.arange(size)
    spare = (64 - 8 * widths)[:, None]
    found: Any = walk.words[np.minimum(at, len(walk.words) - 1)].astype(np.uint64).view(np.int64) >> spare
    fits_fewer = (found >> (8 * widths - 9).clip(0)[:, None] == found >> 63).all(axis=1) & (widths > 1)
    return found, ~fits_fewer | (size == 0)
