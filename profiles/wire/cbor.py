"""The part of CBOR that reports are made of: unsigned integers, byte strings, texts, and arrays of known length.

RFC 8949, 4.2.1 (core deterministic encoding): every head as short as it can be. What is longer is refused.
"""

from __future__ import annotations

from mlpack_edge.profiles.wire.refusal import MALFORMED, NEGATIVE, NOT_CANONICAL, TRUNCATED, ReportRefused

UNSIGNED, NEGATIVE_INTEGER, BYTES, TEXT, ARRAY = range(5)
#: Lengths of the argument behind a head of 24 to 27, and the least number that needs them.
_LENGTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_LEAST = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}
_NAMES = ("an unsigned integer", "a negative integer", "a byte string", "a text", "an array")
#: What holds other items: arrays, maps (two for each entry), tags (one).
_MAP, _TAG = 5, 6
_HOLDING = (ARRAY, _MAP, _TAG)
#: How deep items of a later version may lie in one another and still be passed over.
_DEEPEST = 8


def head(major: int, argument: int) -> bytes:
    """The first bytes of an item. argument: the integer, or the length."""
    if argument < 24:
        return bytes([major << 5 | argument])
    short = next(short for short, least in reversed(_LEAST.items()) if argument >= least)
    return bytes([major << 5 | short]) + argument.to_bytes(_LENGTHS[short], "big")


def byte_string(content: bytes) -> bytes:
    return head(BYTES, len(content)) + content


def text(content: str) -> bytes:
    encoded = content.encode("utf-8", "surrogatepass")  # what is no text is for the reader to refuse
    return head(TEXT, len(encoded)) + encoded


def read_head(data: bytes, at: int, *, canonical: bool = True) -> tuple[int, int, int]:
    """Major type, argument, and where the head ends. Raises ReportRefused."""
    if at >= len(data):
        raise ReportRefused(TRUNCATED, f"it ends at byte {at}, before an item")
    major, short = data[at] >> 5, data[at] & 31
    if short < 24:
        return major, short, at + 1
    length = _LENGTHS.get(short)
    if length is None:
        raise ReportRefused(MALFORMED, f"byte {at} begins an item of no stated length")
    stop = at + 1 + length
    if stop > len(data):
        raise ReportRefused(TRUNCATED, f"it ends at byte {len(data)}, within the head of an item")
    argument = int.from_bytes(data[at + 1 : stop], "big")
    if canonical and argument < _LEAST[short]:
        raise ReportRefused(NOT_CANONICAL, f"byte {at} writes {argument} in more bytes than it needs")
    return major, argument, stop


def read_unsigned(data: bytes, at: int) -> tuple[int, int]:
    """The number, and where its item ends."""
    major, argument, stop = read_head(data, at)
    if major == NEGATIVE_INTEGER:
        raise ReportRefused(NEGATIVE, f"the number at byte {at} is {-1 - argument}")
    _expect(UNSIGNED, major, at)
    return argument, stop


def read_content(data: bytes, at: int, kind: int = BYTES) -> tuple[bytes, int]:
    """What a byte string (or the UTF-8 of a text) holds, and where its item ends."""
    major, length, start = read_head(data, at)
    _expect(kind, major, at)
    if start + length > len(data):
        raise ReportRefused(TRUNCATED, f"it ends at byte {len(data)}, within {_NAMES[kind]} of {length} bytes")
    return data[start : start + length], start + length


def _expect(kind: int, major: int, at: int) -> None:
    if major != kind:
        found = _NAMES[major] if major < len(_NAMES) else f"major type {major}"
        raise ReportRefused(MALFORMED, f"byte {at} begins {found} where {_NAMES[kind]} belongs")


def end_of_item(data: bytes, at: int) -> int:
    """Where the item at `at` ends, whatever it is. Raises ReportRefused where that cannot be told."""
    waiting, around = 1, list[int]()  # items still to come: of the innermost array, of each around it
    while True:
        while not waiting:
            if not around:
                return at
            waiting = around.pop()
        waiting -= 1
        if at < len(data) and data[at] & 31 < 24:  # most heads are one byte
            major, argument, at = data[at] >> 5, data[at] & 31, at + 1
        else:
            major, argument, at = read_head(data, at, canonical=False)
        if major in (BYTES, TEXT):
            at += argument
            if at > len(data):
                raise ReportRefused(TRUNCATED, f"it ends at byte {len(data)}, within an item of {argument} bytes")
        elif major in _HOLDING:
            around.append(waiting)
            waiting = {ARRAY: argument, _MAP: 2 * argument}.get(major, 1)
            if len(around) >= _DEEPEST:
                raise ReportRefused(MALFORMED, f"items lie more than {_DEEPEST} deep in one another at byte {at}")
