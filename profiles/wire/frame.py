"""A report without its spec: what it is of, its streams, its checksum, its id."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

from mlpack_edge.profiles.profile import LIMIT, MANY, Window
from mlpack_edge.profiles.wire import cbor
from mlpack_edge.profiles.wire.refusal import (
    CHECKSUM,
    FUTURE,
    MALFORMED,
    OVERFLOW,
    TOO_LONG,
    TRAILING,
    TRUNCATED,
    ReportRefused,
)

VERSION = 1
#: Items of a report; bytes of a digest and of a device; of a checksum.
ITEMS, DIGEST, CRC = 17, 16, 4
#: No report is longer, in bytes: a reader can hold it, and what it decodes to.
LONGEST = 1 << 20
_COHORT = re.compile(rb"[a-z0-9._-]{0,32}")


@dataclass(frozen=True, slots=True)
class Frame:
    """A report whose checksum is right. epsilon in millionths; sums (with noise: carried), parameters, unary, low: as they were
    written."""

    spec: bytes
    model: bytes
    device: bytes
    cohort: str
    window: Window
    rows: int
    predictions: int
    timed: int
    epsilon: int
    sums: bytes
    parameters: bytes
    unary: bytes
    low: bytes

    @property
    def noisy(self) -> bool:
        """Noise was added to the counters (differential privacy): they may be negative, and of few groups."""
        return self.epsilon > 0

    @property
    def id(self) -> bytes:
        return report_id(self.device, self.model, self.spec, self.window)


def report_id(device: bytes, model: bytes, spec: bytes, window: Window) -> bytes:
    """16 bytes that are the same whenever the same window of the same device is delivered."""
    from hashlib import sha256  # 4 MB of OpenSSL, and a device only writes

    numbers = b"".join(number.to_bytes(8, "big") for number in (window.start, window.end, window.sequence))
    return sha256(device + model + spec + numbers).digest()[:16]


def write_frame(frame: Frame) -> bytes:
    """The report. Raises ReportRefused for what no reader would take."""
    window = frame.window
    numbers = (window.sequence, window.start, window.end, frame.rows, frame.predictions, frame.timed, frame.epsilon)
    made = b"".join(
        [
            cbor.head(cbor.ARRAY, ITEMS),
            cbor.head(cbor.UNSIGNED, VERSION),
            *map(cbor.byte_string, (frame.spec, frame.model, frame.device)),
            cbor.text(frame.cohort),
            *(cbor.head(cbor.UNSIGNED, _counted(number)) for number in numbers),
            *map(cbor.byte_string, (frame.sums, frame.parameters, frame.unary, frame.low)),
            cbor.head(cbor.BYTES, CRC),
        ]
    )
    made += crc32(made).to_bytes(CRC, "big")
    read_frame(made)
    return made


def _counted(number: int) -> int:
    if not 0 <= number < LIMIT:
        raise ReportRefused(OVERFLOW, f"a number of {number} is not between 0 and 2**48")
    return number


def read_frame(data: bytes) -> Frame:
    """The frame of a report of any spec. Raises ReportRefused, and nothing else, for whatever is none."""
    if len(data) > LONGEST:
        raise ReportRefused(TOO_LONG, f"{len(data)} bytes, and {LONGEST} are the most")
    try:
        frame, end = _read(data)
    except ReportRefused as refused:
        # What cannot be read was most often damaged on its way: say that, unless the checksum says it was written so.
        if refused.reason not in (TRUNCATED, FUTURE) and not _checked(data):
            raise ReportRefused(
                CHECKSUM, f"its checksum is not that of its bytes ({refused.reason}: {refused.said})"
            ) from refused
        raise
    if not _checked(data[:end]):
        raise ReportRefused(CHECKSUM, "its checksum is not that of its bytes")
    if end != len(data):
        raise ReportRefused(TRAILING, f"{len(data) - end} bytes follow the report")
    return _sound(frame)


def _checked(data: bytes) -> bool:
    return len(data) > CRC and crc32(data[:-CRC]) == int.from_bytes(data[-CRC:], "big")


def _read(data: bytes) -> tuple[Frame, int]:
    items, at = _read_array(data)
    version, at = cbor.read_unsigned(data, at)
    if version > VERSION:
        raise ReportRefused(FUTURE, f"version {version}, and this mlpack reads {VERSION}")
    if version != VERSION or items != ITEMS:
        raise ReportRefused(MALFORMED, f"version {version} with {items} items")
    spec, at = cbor.read_content(data, at)
    model, at = cbor.read_content(data, at)
    device, at = cbor.read_content(data, at)
    cohort, at = cbor.read_content(data, at, cbor.TEXT)
    numbers: list[int] = []
    for _ in range(7):
        number, at = cbor.read_unsigned(data, at)
        numbers.append(number)
    streams: list[bytes] = []
    for _ in range(5):
        stream, at = cbor.read_content(data, at)
        streams.append(stream)
    sequence, start, end, rows, predictions, timed, epsilon = numbers
    sums, parameters, unary, low, crc = streams
    if len(crc) != CRC:
        raise ReportRefused(MALFORMED, f"a checksum of {len(crc)} bytes, {CRC} are right")
    window = Window(sequence, start, end)
    text = cohort.decode("latin-1")  # `_sound` takes ASCII alone
    return Frame(
        spec, model, device, text, window, rows, predictions, timed, epsilon, sums, parameters, unary, low
    ), at  # fmt: skip


def _read_array(data: bytes) -> tuple[int, int]:
    major, items, at = cbor.read_head(data, 0)
    if major != cbor.ARRAY:
        raise ReportRefused(MALFORMED, "it is no CBOR array")
    return items, at


def _sound(frame: Frame) -> Frame:
    for name, digest in (("spec", frame.spec), ("model", frame.model)):
        if len(digest) != DIGEST:
            raise ReportRefused(MALFORMED, f"a {name} digest of {len(digest)} bytes, {DIGEST} are right")
    if frame.device != MANY and len(frame.device) != DIGEST:
        raise ReportRefused(MALFORMED, f"a device of {len(frame.device)} bytes, {DIGEST} or none are right")
    if not _COHORT.fullmatch(frame.cohort.encode("latin-1")):
        raise ReportRefused(MALFORMED, f"the cohort {frame.cohort!r} is not 0 to 32 of a-z 0-9 . _ -")
    if frame.noisy and any((frame.rows, frame.predictions, frame.timed)):
        raise ReportRefused(MALFORMED, "it has noise, and totals without")
    window = frame.window
    numbers = (window.sequence, window.start, window.end, frame.rows, frame.predictions, frame.timed, frame.epsilon)
    if max(numbers) >= LIMIT:
        raise ReportRefused(OVERFLOW, f"a number of {max(numbers)}")
    if window.end < window.start:
        raise ReportRefused(MALFORMED, f"its window ends at {window.end}, before it starts at {window.start}")
    return frame


def split(data: bytes) -> Iterator[bytes]:
    """The reports of a file, one after another (a CBOR sequence, RFC 8742), each to be read with `read_frame` before the next is
    asked for: a file of something else may hold a million of what is none. Reports of later versions are split as well. Raises
    ReportRefused where what follows cannot be told apart."""
    at = number = 0
    while at < len(data):
        try:
            end = cbor.end_of_item(data, at)
        except ReportRefused as refused:
            reason = f"behind {number} reports, at byte {at}: {refused.said}"
            raise ReportRefused(refused.reason, reason) from refused
        yield data[at:end]
        at, number = end, number + 1
