"""Damaged files of every format are read as other data or refused by name; nothing else is raised."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, feather

from mlpack_edge.core.errors import BadInput
from tests.batch.inputs.found import find, read

_DELTA = {"i": "DELTA_BINARY_PACKED", "t": "DELTA_BYTE_ARRAY", "x": "BYTE_STREAM_SPLIT"}
_WRITERS: dict[str, Callable[[Any, Path], Any]] = {
    "snappy.parquet": lambda table, path: pq.write_table(table, path, row_group_size=300),
    "plain.parquet": lambda table, path: pq.write_table(table, path, compression="none"),
    "delta.parquet": lambda table, path: pq.write_table(
        table, path, compression="zstd", data_page_version="2.0", use_dictionary=False, column_encoding=_DELTA
    ),
    "plain.feather": lambda table, path: feather.write_feather(table, path, compression="uncompressed"),
    "lz4.feather": lambda table, path: feather.write_feather(table, path, compression="lz4"),
    "a.csv": lambda table, path: csv.write_csv(table, path),
    "a.jsonl": lambda table, path: polars.DataFrame(table.to_pydict()).write_ndjson(path),
}


@pytest.mark.parametrize("name", list(_WRITERS))
def test_random_damage(tmp_path: Path, name: str) -> None:
    random_numbers = np.random.default_rng(0)
    rows = 900
    table = pa.table(
        {
            "x": random_numbers.normal(size=rows),
            "i": random_numbers.integers(0, 50, rows),
            "t": [f"v{index}" if index % 7 else None for index in random_numbers.integers(0, 90, rows)],
        }
    )
    path = tmp_path / name
    _WRITERS[name](table, path)
    good = path.read_bytes()
    assert read(find(tmp_path / "staging", path), dictionary=["t"]).num_rows == rows
    choose = random.Random(name)
    refused = 0
    for attempt in range(50):
        content = bytearray(good)
        for _ in range(choose.choice((1, 2, 8))):
            content[choose.randrange(len(content))] = choose.randrange(256)
        if attempt % 7 == 0:
            del content[choose.randrange(len(content)) :]
        path.write_bytes(content)
        try:
            read(find(tmp_path / "staging", path, wanted={"x": "number", "t": "text"}), dictionary=["t"])
        except BadInput as fault:
            assert str(path) in fault.message
            refused += 1
    assert refused > 5
