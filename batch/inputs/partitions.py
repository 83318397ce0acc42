"""Columns that directory names say: `month=7/carrier=UA/part.parquet`, as Hive lays tables out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

import pyarrow as pa

from mlpack_edge.batch.inputs.schemas import TEXT
from mlpack_edge.batch.inputs.wanted import NUMBERS
from mlpack_edge.core.errors import BadInput

Value = str | int | None
NULL = "__HIVE_DEFAULT_PARTITION__"
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_CANONICAL = re.compile(r"0|-?[1-9][0-9]{0,18}")


def partition_of(path: str) -> dict[str, str | None]:
    """The `key=value` directories of a path, outermost first, percent-decoded; None is Hive's null.

    Raises BadInput where a key comes twice.
    """
    found: dict[str, str | None] = {}
    for part in path.split("/")[:-1]:
        key, mark, value = part.partition("=")
        if not mark or not key:
            continue
        key = unquote(key)
        if key in found:
            raise BadInput(f"{path}: two directories give the column {key!r}", "rename one of them")
        found[key] = None if value == NULL else unquote(value)
    return found


def typed_partitions(
    partitions: Sequence[Mapping[str, str | None]], wanted: Mapping[str, str]
) -> tuple[list[dict[str, Value]], dict[str, pa.DataType]]:
    """The values of each input with their types: int64 where every input has a whole number, else text.

    "07" is a whole number only where the model wants a number (`wanted`), so that no code loses its zeros.
    """
    keys = list(dict.fromkeys(key for partition in partitions for key in partition))
    whole = {key for key in keys if _all_whole([partition.get(key) for partition in partitions], wanted.get(key, ""))}
    values: list[dict[str, Value]] = [
        {key: int(value) if key in whole and value is not None else value for key, value in partition.items()}
        for partition in partitions
    ]
    return values, {key: pa.int64() if key in whole else TEXT for key in keys}


def _all_whole(values: Sequence[str | None], wanted: str) -> bool:
    texts = [value for value in values if value is not None]
    form = _WHOLE if wanted in NUMBERS else _CANONICAL
    return (
        wanted != "text"
        and bool(texts)
        and all(form.fullmatch(text) and -(2**63) <= int(text) < 2**63 for text in texts)
    )
