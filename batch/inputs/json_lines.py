"""JSON lines to Parquet in bounded memory: the file's own types, right or refused.

Read by Arrow in blocks of whole lines: it refuses a key that comes twice and a column that changes its type, which Polars 2.1
takes the last of and turns into text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from mlpack_edge.batch.inputs.cells import EMPTY
from mlpack_edge.batch.inputs.compressed import open_text
from mlpack_edge.batch.inputs.damage import FAULTS, as_bad_input, first_line
from mlpack_edge.batch.inputs.schemas import TEXT, is_text
from mlpack_edge.batch.inputs.staging import write_rows
from mlpack_edge.batch.inputs.wanted import NUMBERS
from mlpack_edge.core.errors import BadInput

_BLOCK, _LONGEST_LINE = 1 << 22, 1 << 26
#: From here on a float64 is a whole number, and not every whole number is a float64 (IEEE 754, 53 bits).
_EXACT = 2.0**53
_HINT = "one JSON object a line, each column of one type in all of them"
_NOT_BLANK = re.compile(r"\S")
_CHANGED = re.compile(
    r"Column\(/(?P<column>.*)\) (?:changed from (?P<old>\w+) to (?P<new>\w+)|was .*) in row (?P<row>\d+)"
)


def stage_json_lines(name: str, path: Path, target: Path, wanted: Mapping[str, str]) -> list[str]:
    """Write the file as Parquet `target`; what the user should know of it.

    Columns are what the file says: numbers int64 where all are whole, else float64; whole numbers are written out where
    the model wants text. A key that is absent is null. Raises BadInput, naming input, column and value, also where a whole
    number is none of its column's type (beyond int64, or beyond 2**53 beside fractions), and IoFault.
    """
    schema = _schema(name, path, first_only=True)
    try:
        _write(name, path, target, schema, wanted)
    except BadInput:  # what the first lines say does not hold for all: look at all, then at most one more pass
        _write(name, path, target, _schema(name, path, first_only=False), wanted)
    return []


def _write(name: str, path: Path, target: Path, schema: Any, wanted: Mapping[str, str]) -> None:
    kinds = {field.name: _target_type(field.type, wanted.get(field.name, "")) for field in schema}
    written = pa.schema(list(kinds.items()))

    def converted() -> Iterator[Any]:
        row = 0
        for block in _blocks(name, path):
            table = _parsed(name, block, row, schema)
            _refuse_rounded(name, block, row, table)
            row += table.num_rows
            yield from table.select(written.names).cast(written).to_batches()

    write_rows(target, written, converted())


def _schema(name: str, path: Path, *, first_only: bool) -> Any:
    """The columns of the first block, or of all."""
    agreed: Any = None
    row = 0
    for block in _blocks(name, path):
        table = _parsed(name, block, row, None)
        row += table.num_rows
        schema = pa.schema([pa.field(field.name, _own_type(field.type)) for field in table.schema])
        agreed = schema if agreed is None else _joined(name, agreed, schema, row)
        if first_only:
            break
    if agreed is None or not len(agreed):
        raise BadInput(f"{name} holds no JSON objects with columns", _HINT)
    return agreed


def _joined(name: str, agreed: Any, schema: Any, row: int) -> Any:
    try:
        return pa.unify_schemas([agreed, schema], promote_options="permissive")
    except FAULTS as fault:
        raise BadInput(f"{name}: a column changes its type before row {row}", _HINT, why=first_line(fault)) from fault


def _parsed(name: str, block: bytes, row: int, schema: Any) -> Any:
    """The rows of a block as a table; `row` is the first one's number. Raises BadInput."""
    try:
        table = arrow_json.read_json(
            pa.BufferReader(block),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(block) + 1),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=schema, newlines_in_values=False,
                unexpected_field_behavior="infer" if schema is None else "error",
            ),
        )  # fmt: skip
        table.validate(full=True)  # text that is not UTF-8
        return table
    except MemoryError:
        raise
    except FAULTS as fault:  # UnicodeDecodeError is a ValueError
        raise _bad_cell(name, block, row, fault) from fault


def _refuse_rounded(name: str, block: bytes, row: int, table: Any) -> None:
    """Raise BadInput where a whole number was read as a float64 that is another number. Lines are looked at again only where
    a float is so large; fractions and numbers with an exponent are the nearest float64, as everywhere."""
    large = [column for column in table.column_names if any(_beyond(chunk) for chunk in table[column].chunks)]
    if not large:
        return
    for inner, record in enumerate(_objects(block)):
        for column in large:
            for value in _whole_numbers(record.get(column)):
                if int(float(value)) != value:
                    raise BadInput(
                        f"{name}: column {column!r} holds {value} in row {row + inner} (counted from 0), which would be rounded: "
                        "it is beyond 64 bits, or stands beside fractions and is beyond 2**53",
                        "write such numbers as text, in quotes", column=column, row=row + inner,
                    )  # fmt: skip


def _beyond(array: Any) -> bool:
    """Whether an array holds a float of 2**53 and more, at any depth."""
    if pa.types.is_floating(array.type):
        largest = pc.max(pc.abs(array)).as_py()
        return largest is not None and largest >= _EXACT
    if pa.types.is_list(array.type) or pa.types.is_struct(array.type):
        parts = [array.flatten()] if pa.types.is_list(array.type) else array.flatten()
        return any(_beyond(part) for part in parts)
    return False


def _objects(block: bytes) -> Iterator[dict[str, Any]]:
    """The objects of a block that Arrow has read, in order; it takes several on one line."""
    decoder, text, at = json.JSONDecoder(), block.decode(), 0
    while (begin := _NOT_BLANK.search(text, at)) is not None:
        record, at = decoder.raw_decode(text, begin.start())
        yield record


def _whole_numbers(value: Any) -> Iterator[int]:
    """Those written without a point or an exponent, at any depth."""
    if isinstance(value, int) and not isinstance(value, bool):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _whole_numbers(inner)


def _bad_cell(name: str, block: bytes, row: int, fault: BaseException) -> BadInput:
    """The row and value, where Arrow says which."""
    why = first_line(fault)
    said = _CHANGED.search(why)
    if said is None:
        return BadInput(f"{name} cannot be read as JSON lines from row {row} on", _HINT, why=why)
    column, inner = said["column"], int(said["row"])
    value = _cell([line for line in block.splitlines() if line.strip()], inner, column)
    what = f"is {said['new']} and was {said['old']} before" if said["new"] else "comes twice in one object"
    return BadInput(
        f"{name}: column {column!r} {what} in row {row + inner} (counted from 0){value}",
        _HINT,
        column=column,
        row=row + inner,
    )


def _cell(lines: list[bytes], row: int, column: str) -> str:
    try:
        found = json.loads(lines[row])[column]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ""
    return f": {json.dumps(found, ensure_ascii=False)[:80]}"


def _blocks(name: str, path: Path) -> Iterator[bytes]:
    """Whole lines, about 4 MB at a time; blocks of blank lines alone are left out."""
    held = b""
    with as_bad_input(f"{name} cannot be read", "the file is damaged: make it again"), open_text(path) as stream:
        while block := stream.read(_BLOCK):
            held += block
            cut = held.rfind(b"\n") + 1
            if held[:cut].strip():
                yield held[:cut]
            held = held[cut:]
            if len(held) > _LONGEST_LINE:
                raise BadInput(f"{name} holds a line of more than {_LONGEST_LINE:,} bytes", _HINT)
    if held.strip():
        yield held


def _own_type(kind: Any) -> Any:
    """What the file says: Arrow reads text that looks like a time as one."""
    if pa.types.is_timestamp(kind) or is_text(kind):
        return TEXT
    if pa.types.is_list(kind):
        return pa.list_(_own_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _own_type(field.type)) for field in kind])
    return kind


def _target_type(kind: Any, wanted: str) -> Any:
    if wanted == "text" and (pa.types.is_integer(kind) or pa.types.is_null(kind)):
        return TEXT
    if wanted in NUMBERS and pa.types.is_null(kind):
        return EMPTY[wanted]
    return kind
