"""Which line of a TOML text a key stands on: tomllib tells it for what is no TOML, not for what is no contract."""

from __future__ import annotations

import re
import tomllib
from typing import Any

_HEADER = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+|\s|\.)+?)\s*=""")


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """The line, from 1, of the key or table `path`; None where it is not found once (inline tables, texts that look so).

    A table that is never named itself (`[columns.a]` opens `columns` too) has the line of its first key.
    """
    table: tuple[str, ...] = ()
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            table = _keys(f"[{header[1]}]")
            if table[: len(path)] == path:
                found.append((table == path, number))
            continue
        key = _KEY.match(line)
        if key:
            full = (*table, *_keys(f"{key[1]} = 0"))
            if full[: len(path)] == path and table[: len(path)] != path:
                found.append((full == path, number))
    exact = [number for is_exact, number in found if is_exact]
    if exact:
        return exact[0] if len(exact) == 1 else None
    return found[0][1] if found else None


def _keys(snippet: str) -> tuple[str, ...]:
    """The dotted key of a header or of `key = 0`; () where it is none."""
    try:
        record: Any = tomllib.loads(snippet)
    except tomllib.TOMLDecodeError:
        return ()
    keys = []
    while isinstance(record, dict) and record:
        key, record = next(iter(record.items()))
        keys.append(key)
    return tuple(keys)
