"""Thrift's compact protocol, as far as Parquet's footers and page headers need it (thrift/doc/specs/thrift-compact-protocol.md)."""

from __future__ import annotations

from collections.abc import Iterable

#: Kinds of fields.
TRUE, FALSE, BYTE, I32, I64, BINARY, LIST, STRUCT = 1, 2, 3, 5, 6, 8, 9, 12


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def i32(field: int, number: int) -> tuple[int, int, bytes]:
    return field, I32, varint(number << 1)  # zigzag; nothing here is negative


def i64(field: int, number: int) -> tuple[int, int, bytes]:
    return field, I64, varint(number << 1)


def byte(field: int, number: int) -> tuple[int, int, bytes]:
    return field, BYTE, bytes([number])


def truth(field: int, value: bool) -> tuple[int, int, bytes]:
    return field, TRUE if value else FALSE, b""


def text(field: int, content: str | bytes) -> tuple[int, int, bytes]:
    return field, BINARY, string(content)


def inner(field: int, content: bytes) -> tuple[int, int, bytes]:
    """content: of a `struct`."""
    return field, STRUCT, content


def listed(field: int, kind: int, items: Iterable[bytes]) -> tuple[int, int, bytes]:
    """items: as the kind is written: of structs, strings, `varint(number << 1)` of integers."""
    given = list(items)
    head = bytes([len(given) << 4 | kind]) if len(given) < 15 else bytes([0xF0 | kind]) + varint(len(given))
    return field, LIST, head + b"".join(given)


def string(content: str | bytes) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return varint(len(raw)) + raw


def struct(*fields: tuple[int, int, bytes]) -> bytes:
    """fields: in the order of their numbers, less than 16 apart."""
    found, before = bytearray(), 0
    for field, kind, content in fields:
        found.append(field - before << 4 | kind)
        found += content
        before = field
    return bytes(found) + b"\0"
