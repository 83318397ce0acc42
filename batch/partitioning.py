"""Folders that say the value of a column, as Apache Hive names them: `COL=value/`.

Hive's FileUtils.escapePathName: the characters below, and control characters, as `%XX` of their byte; all else stands as
it is, in UTF-8. A null is `__HIVE_DEFAULT_PARTITION__`. Spark, DuckDB, Polars and pyarrow read these names back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow
from numpy.typing import NDArray

from mlpack_edge.batch.inputs.partitions import NULL
from mlpack_edge.batch.scoring.findings import Finding, Findings
from mlpack_edge.core.errors import BadInput

_ESCAPED = frozenset("\"#%'*/:=?\\{[]^\x7f")
#: Bytes that a name in a directory may have on Linux file systems.
_LONGEST = 255
#: Folders of one shard; a column with more values than this names rows, not groups of them.
MOST = 4096


def folder_name(column: str, value: Any) -> str:
    """`column=value`; value: a text, whole number, truth value or date, or None."""
    return f"{_escaped(column)}={NULL if value is None else _escaped(_text(value))}"


def check_partition(column: str, kind: pyarrow.DataType) -> None:
    """Raise BadInput where the values of a column cannot name folders."""
    kind = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    types = pyarrow.types
    texts = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    if not (texts or types.is_integer(kind) or types.is_boolean(kind) or types.is_date32(kind)):
        raise BadInput(
            f"--partition-by {column}: a column of type {kind} cannot name folders",
            "partition by a column of texts, whole numbers, truth values or days",
        )


def unnameable(column: str, values: pyarrow.Array) -> Findings:
    """Rows whose value cannot name a folder: an empty text (readers take it for a null), one that is too long, and the name
    of the null itself."""
    codes = np.zeros(len(values), np.int32)
    kinds = (
        Finding("partition", column, "an empty text cannot name a folder"),
        Finding("partition", column, f"the name of its folder would be longer than {_LONGEST} bytes"),
        Finding("partition", column, f"{NULL} is the name of the folder of nulls"),
    )
    encoded = encode(values)
    for place, value in enumerate(encoded.dictionary.to_pylist()):
        if not isinstance(value, str):
            break
        found = 1 if value == "" else 2 if len(folder_name(column, value).encode()) > _LONGEST else 3 * (value == NULL)
        if found:
            codes[_codes(encoded) == place] = found
    return Findings(codes, kinds)


def encode(values: pyarrow.Array | pyarrow.ChunkedArray) -> pyarrow.DictionaryArray:
    """As a dictionary of the values that occur, in the order in which they come first."""
    if isinstance(values, pyarrow.ChunkedArray):
        values = values.combine_chunks()
    if pyarrow.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return values.dictionary_encode()


def groups(values: pyarrow.ChunkedArray) -> tuple[NDArray[np.int64], list[tuple[Any, int, int]]]:
    """The order that brings equal values together, rows of each in their order, and (value, first place, rows) of each."""
    encoded = encode(values)
    codes = _codes(encoded)
    order = np.argsort(codes, kind="stable")
    present, first = np.unique(codes[order], return_index=True)
    names = encoded.dictionary.to_pylist()
    ends = [*first[1:].tolist(), len(codes)]
    found = zip(present.tolist(), first.tolist(), ends, strict=True)
    return order, [(None if code < 0 else names[code], start, end - start) for code, start, end in found]


def _codes(encoded: pyarrow.DictionaryArray) -> NDArray[np.int32]:
    """The place of each value in the dictionary, -1 for nulls."""
    return np.asarray(encoded.indices.fill_null(-1), np.int32)


def _escaped(text: str) -> str:
    return "".join(f"%{ord(sign):02X}" if sign in _ESCAPED or sign < " " else sign for sign in text)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)
