"""Where in a file one report ends and the next begins, also where some of it was damaged. Standard library alone.

A flipped bit in a length would make a reader skip over sound reports that follow. So a piece is trusted where its checksum is right;
after one whose checksum is not, the next thing that looks like the head of a report is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from zlib import crc32

from mlpack_edge.profiles.wire import cbor
from mlpack_edge.profiles.wire.frame import CRC, DIGEST, ITEMS, LONGEST, VERSION
from mlpack_edge.profiles.wire.refusal import ReportRefused

#: The first bytes of a report of this version: the array, its version, the spec, the model, a device or none.
HEAD = cbor.head(cbor.ARRAY, ITEMS) + cbor.head(cbor.UNSIGNED, VERSION) + cbor.head(cbor.BYTES, DIGEST)
_BYTES_16 = re.escape(cbor.head(cbor.BYTES, DIGEST))
_BEGINS = re.compile(
    re.escape(HEAD)
    + b".{16}"
    + _BYTES_16
    + b".{16}(?:"
    + _BYTES_16
    + b"|"
    + re.escape(cbor.head(cbor.BYTES, 0))
    + b")",
    re.DOTALL,
)
#: Seven unsigned integers, then so many byte strings.
_NUMBERS = re.compile(rb"(?:[\x00-\x17]|\x18.|\x19..|\x1a.{4}|\x1b.{8}){7}", re.DOTALL)
STREAMS = 5
#: Bytes that must lie ahead of a piece before it is judged, unless the file ends: the longest report and a head behind it.
AHEAD = LONGEST + 64


def pieces(data: bytes, ends: bool) -> Iterator[tuple[int, int, bool]]:
    """(start, stop, sealed) of every piece of `data`, one after another, none left out; sealed: its last four bytes are the checksum
    of all before them. ends: nothing follows `data`; else the pieces stop
    where fewer than AHEAD bytes are left, and the rest is to be given again with what follows.

    A piece is a report with a right checksum, an item of another version, or a stretch of damaged bytes of at most LONGEST.
    """
    at, size = 0, len(data)
    view = memoryview(data)
    while at < size and (ends or size - at >= AHEAD):
        stop = _report_end(data, at) or _item_end(data, at)
        sealed = _sealed(view, at, stop)
        if not sealed:
            stop = _damaged_end(data, at, stop)
        yield at, stop, sealed
        at = stop


def _sealed(view: memoryview, at: int, stop: int) -> bool:
    return stop - at > CRC and crc32(view[at : stop - CRC]) == int.from_bytes(view[stop - CRC : stop], "big")


def _damaged_end(data: bytes, at: int, stop: int) -> int:
    """Of a piece whose checksum is wrong. stop: where it says that it ends, 0 where it does not say."""
    found = _BEGINS.search(data, at + 1, min(len(data), at + LONGEST + 64))
    following = found.start() if found else 0
    if following and (not stop or following < stop):
        return following
    if stop and (stop == len(data) or stop == following or data.startswith(HEAD, stop)):
        return stop
    if stop and data[at] >> 5 == cbor.ARRAY and not data.startswith(HEAD, at):
        return stop  # of another version, whose checksum may lie elsewhere
    return following or min(len(data), at + LONGEST)


def _item_end(data: bytes, at: int) -> int:
    """Where the item ends, 0 where that cannot be told."""
    try:
        stop = cbor.end_of_item(data, at)
    except ReportRefused:
        return 0
    return stop if stop - at <= LONGEST else 0


def _report_end(data: bytes, at: int) -> int:
    """As `_item_end`, of a report of this version, four times as fast; 0 where it is none."""
    start = at
    if not data.startswith(HEAD, at):
        return 0
    at += len(HEAD) + DIGEST + 1 + DIGEST
    try:
        for _ in range(2):  # the device and the cohort, which are short
            short = data[at] & 31
            at += 1 + short if short < 24 else 2 + data[at + 1]
        numbers = _NUMBERS.match(data, at)
        if numbers is None:
            return 0
        at = numbers.end()
        for _ in range(STREAMS):
            short = data[at] & 31
            if short < 24:
                at += 1 + short
            elif short == 24:
                at += 2 + data[at + 1]
            elif short == 25:
                at += 3 + (data[at + 1] << 8 | data[at + 2])
            else:
                at += 5 + int.from_bytes(data[at + 1 : at + 5], "big")
    except IndexError:
        return 0
    return at if at <= len(data) and at - start <= LONGEST else 0
