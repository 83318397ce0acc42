"""The one Arrow schema that all inputs of a run are read as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from mlpack_edge.core.errors import BadInput

#: Text of Parquet and Arrow in all its layouts is read as this one, or as a dictionary of it.
TEXT = pa.string()
CODED_TEXT = pa.dictionary(pa.int32(), TEXT)


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is text that is not dictionary-encoded."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def plain_type(kind: Any) -> Any:
    """The type with layouts of the same values made one: dictionaries by their values, text as `TEXT`."""
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    return TEXT if is_text(kind) else kind


def plain_schema(name: str, schema: Any) -> Any:
    """The schema of input `name` with plain types and no metadata. Raises BadInput for a name that is there twice."""
    seen: set[str] = set()
    for column in schema.names:
        if column in seen:
            raise BadInput(f"{name}: two columns are named {column!r}", "rename one of them")
        seen.add(column)
    return pa.schema([pa.field(field.name, plain_type(field.type)) for field in schema])


def with_constants(name: str, schema: Any, constants: Mapping[str, Any]) -> Any:
    """The schema with the columns that directories say, by their Arrow types, after the file's own."""
    return pa.schema([*schema, *(pa.field(column, kind) for column, kind in constants.items())])


def common_schema(inputs: Sequence[tuple[str, Any]]) -> Any:
    """The schema of the first input with integers and floats as wide as some input has them.

    inputs: names with their plain schemas. Raises BadInput, naming input and column, where a column is missing somewhere
    or two inputs hold it as types of which neither holds all values of the other.
    """
    first, agreed = inputs[0]
    kinds = {field.name: field.type for field in agreed}
    origin = dict.fromkeys(kinds, first)
    for name, schema in inputs[1:]:
        if schema.equals(agreed):
            continue
        _require_columns(name, set(schema.names), first, kinds)
        for field in schema:
            wider = _wider(kinds[field.name], field.type)
            if wider is None:
                raise BadInput(
                    f"column {field.name!r} is {field.type} in {name} and {kinds[field.name]} in {origin[field.name]}",
                    "write both with one type, or score them in two runs",
                )
            if wider != kinds[field.name]:
                kinds[field.name], origin[field.name] = wider, name
    return pa.schema(list(kinds.items()))


def _require_columns(name: str, columns: set[str], first: str, kinds: Mapping[str, Any]) -> None:
    for column in kinds:
        if column not in columns:
            raise BadInput(
                f"{name} has no column {column!r}, which {first} has", "all inputs of a run must have the same columns"
            )
    for column in sorted(columns - set(kinds)):
        raise BadInput(
            f"{first} has no column {column!r}, which {name} has", "all inputs of a run must have the same columns"
        )


def _wider(a: Any, b: Any) -> Any:
    """The type that holds the values of both, or None. Whole numbers beyond 2**53 are checked as they are read as floats."""
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    if pa.types.is_integer(a) and pa.types.is_integer(b):
        return _wider_integer(a, b)
    if _is_number(a) and _is_number(b):
        exact = {(pa.float16(), pa.float32()): pa.float32(), (pa.float32(), pa.float16()): pa.float32()}
        return exact.get((a, b), pa.float64())
    return None


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _wider_integer(a: Any, b: Any) -> Any:
    signed_a, signed_b = pa.types.is_signed_integer(a), pa.types.is_signed_integer(b)
    if signed_a == signed_b:
        return a if a.bit_width >= b.bit_width else b
    signed, unsigned = (a, b) if signed_a else (b, a)
    bits = max(signed.bit_width, 2 * unsigned.bit_width)
    return {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}.get(bits)
