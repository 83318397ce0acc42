"""The table's files are Parquet like any other: three readers agree on what they hold."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.fleet import parquet_file
from mlpack_edge.fleet.layout import table_schema
from mlpack_edge.fleet.parquet_file import TableWriter
from mlpack_edge.fleet.thrift import varint

TYPES = [np.uint16, np.int32, np.int64]


@st.composite
def groups_of_rows(draw: st.DrawFn, counters: int, numbers: int, groups: int) -> dict[str, Any]:
    rows = draw(st.integers(1, 9))
    whole = st.integers(0, 2**48 - 1)
    kind = draw(st.sampled_from(TYPES))
    limits = np.iinfo(kind)

    def cells(width: int, dtype: Any, least: int, most: int) -> np.ndarray:
        flat = draw(st.lists(st.integers(least, most), min_size=rows * width, max_size=rows * width))
        return np.array(flat, dtype).reshape(rows, width)

    columns: dict[str, Any] = {
        "report_id": draw(st.lists(st.binary(min_size=16, max_size=16), min_size=rows, max_size=rows)),
        "device": draw(st.lists(st.none() | st.binary(min_size=16, max_size=16), min_size=rows, max_size=rows)),
        "shard": np.array(draw(st.lists(st.integers(0, 255), min_size=rows, max_size=rows))),
        "checksum": np.array(draw(st.lists(st.integers(0, 2**32 - 1), min_size=rows, max_size=rows))),
        "counts": cells(counters, kind, int(limits.min), int(limits.max)),
        "sums": cells(numbers, np.int64, -(2**63), 2**63 - 1),
        "carried": cells(groups, np.uint16, 0, 9),
    }
    for name in ("cohort", "model", "clock"):
        columns[name] = [text.encode() for text in draw(st.lists(st.text(max_size=5), min_size=rows, max_size=rows))]
    for name in ("sequence", "start", "end", "rows", "predictions", "timed", "epsilon", "received"):
        columns[name] = np.array(draw(st.lists(whole, min_size=rows, max_size=rows)))
    return columns


def wanted(schema: Any, given: list[dict[str, Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for field in schema:
        for columns in given:
            column = columns[field.name]
            values = column.tolist() if isinstance(column, np.ndarray) else list(column)
            if pyarrow.types.is_string(field.type):
                values = [value.decode() for value in values]
            found.setdefault(field.name, []).extend(values)
    return found


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_pyarrow_polars_and_duckdb_read_what_was_written(data: st.DataObject) -> None:
    """Any values, any nulls, several row groups and pages, lists of one value and of many."""
    sizes = data.draw(st.tuples(st.integers(1, 40), st.integers(0, 3), st.integers(1, 3)))
    schema = table_schema(*sizes)
    given_ = data.draw(st.lists(groups_of_rows(*sizes), min_size=1, max_size=3))
    parquet_file._PAGE = data.draw(st.sampled_from([1, 50, 1 << 19]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.parquet"
        with TableWriter(path, schema) as writer:
            for columns in given_:
                writer.write(columns)
        expected = wanted(schema, given_)
        with pyarrow.parquet.ParquetFile(path) as file:
            table = file.read()
            assert file.metadata.num_row_groups == len(given_)
        assert table.schema.equals(schema)
        table.validate(full=True)
        assert table.to_pydict() == expected
        frame = polars.read_parquet(path)
        assert frame.to_dict(as_series=False) == expected
        assert frame.schema["counts"] == polars.Array(polars.Int64, sizes[0])
        with duckdb.connect() as connection:
            read = connection.execute("select * from read_parquet(?)", [str(path)])
            names = [name for name, *_ in read.description]
            columns_read = dict(zip(names, map(list, zip(*read.fetchall(), strict=True)), strict=True))
        assert {name: [list(value) if isinstance(value, tuple) else value for value in column] for name, column in columns_read.items()} == expected  # fmt: skip
    parquet_file._PAGE = 1 << 19


def test_bytes_that_no_counter_has_are_compressed_once(tmp_path: Path) -> None:
    """Six of eight bytes of a counter below 65,536 are zero: they are a frame of their own, the same on every page."""
    compressed = []

    class Watched:
        def __init__(self, codec: Any) -> None:
            self._codec = codec

        def compress(self, body: bytes, asbytes: bool) -> bytes:
            compressed.append(len(body))
            packed: bytes = self._codec.compress(body, asbytes=asbytes)
            return packed

    counts = np.arange(400_000, dtype=np.uint32).astype(np.uint16).reshape(100, 4000)
    schema = pyarrow.schema([field for field in table_schema(4000, 0, 1) if field.name == "counts"])
    with TableWriter(tmp_path / "part.parquet", schema) as writer:
        writer._codec = Watched(writer._codec)
        for _ in range(5):
            writer.write({"counts": counts})
    assert sum(compressed) < 5 * 2.1 * counts.size + 6 * counts.size
    read = np.array(pyarrow.parquet.read_table(tmp_path / "part.parquet")["counts"].to_pylist())
    assert np.array_equal(read, np.vstack([counts] * 5))
    assert np.array_equal(polars.read_parquet(tmp_path / "part.parquet")["counts"].to_numpy(), read)


def test_a_file_without_rows_is_a_table(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "part.parquet", table_schema(3, 1, 2)):
        pass
    assert pyarrow.parquet.read_table(tmp_path / "part.parquet").num_rows == 0


def test_a_draft_that_fails_is_no_parquet_file(tmp_path: Path) -> None:
    with pytest.raises(KeyError), TableWriter(tmp_path / "part.parquet", table_schema(3, 1, 2)) as writer:
        writer.write({"report_id": [bytes(16)]})
    with pytest.raises(pyarrow.ArrowInvalid):
        pyarrow.parquet.read_table(tmp_path / "part.parquet")


@pytest.mark.parametrize(("number", "written"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02"), (1 << 35, b"\x80\x80\x80\x80\x80\x01")])  # fmt: skip
def test_numbers_are_written_seven_bits_a_byte(number: int, written: bytes) -> None:
    assert varint(number) == written
