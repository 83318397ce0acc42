"""Plain values as TOML 1.0 text: the standard library reads it, and writes none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlpack_edge.core.errors import BadInput


def toml_text(top: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]]) -> str:
    """`top` as keys, then each of `tables` under its name; keys and names are bare keys of TOML.

    Values: text, bool, int, finite float, and tuples or lists of text. BadInput for text that is no UTF-8.
    """
    lines = [f"{key} = {_value(value, key)}" for key, value in top.items()]
    for name, values in tables.items():
        lines += ["", f"[{name}]"]
        lines += [f"{key} = {_value(value, f'{name}.{key}')}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any, key: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _lines(value, key) if "\n" in value else _quoted(value, key)
    return "[" + ", ".join(_quoted(item, key) for item in value) + "]"


def _quoted(text: str, key: str) -> str:
    """A basic string: JSON's escapes are TOML's. What does not print is escaped too: a terminal would not show it."""
    try:
        text.encode()
    except UnicodeEncodeError as fault:
        raise BadInput(
            f"{key}: {text!r} cannot stand in a job file", "rename the file", why="TOML is UTF-8, and this is not"
        ) from fault
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08X}" for letter in quoted)


def _lines(text: str, key: str) -> str:
    """A multi-line basic string, so that a query looks like one. Quotes stay escaped: three of them would end it."""
    body = "\n".join(_quoted(line, key)[1:-1] for line in text.split("\n"))
    return f'"""\n{body}"""'
