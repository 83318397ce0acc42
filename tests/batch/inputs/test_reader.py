"""Rows of shards: all, in order, in batches of exactly the size asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import hypothesis.strategies as st
import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from pyarrow import feather

from mlpack_edge.batch import plan
from mlpack_edge.batch.inputs.reader import ShardReader
from mlpack_edge.batch.plan import Shard, cut_shards
from mlpack_edge.core.errors import BadInput
from tests.batch.inputs.found import find, read, write


@given(
    groups=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    batch_rows=st.integers(1, 50),
    shard_rows=st.integers(1, 60),
    skip=st.integers(0, 30),
    form=st.sampled_from(["parquet", "arrow"]),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_layout_gives_all_rows_in_order_and_exact_batches(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, groups: list[int], batch_rows: int,
    shard_rows: int, skip: int, form: str, order: object,
) -> None:  # fmt: skip
    """Also where shards come in any order, cut a group, join several, or begin behind rows that are left out."""
    folder = tmp_path_factory.mktemp("layout")
    total = sum(groups)
    columns = {
        "i": pa.array(range(total), pa.int64()),
        "t": pa.array([f"v{i % 7}" if i % 5 else None for i in range(total)]),
    }
    schema = pa.schema([("i", pa.int64()), ("t", pa.string())])
    path = folder / f"a.{form}"
    table, begin = pa.table(columns, schema), 0
    if form == "parquet":
        with pq.ParquetWriter(path, schema) as writer:
            for count in groups:
                writer.write_table(table.slice(begin, count))
                begin += count
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as stream:
            for count in groups:
                stream.write_batch(
                    pa.RecordBatch.from_arrays(
                        [each.slice(begin, count).combine_chunks() for each in table.columns], schema=schema
                    )
                )
                begin += count
    monkeypatch.setattr(plan, "SHARD_ROWS", shard_rows)
    found = find(folder / "staging", path)
    shards = list(cut_shards(found.groups, [skip]))
    for shuffled in (False, True):
        if shuffled:
            order.shuffle(shards)  # type: ignore[attr-defined]
        reader = ShardReader(found.files[0], found.schema, ["t", "i"], ["t"])
        seen: dict[int, list[object]] = {}
        for shard in shards:
            batches = list(reader.read(shard, batch_rows))
            assert all(batch.num_rows == batch_rows for batch in batches[:-1]) and batches[-1].num_rows <= batch_rows
            assert [name for batch in batches for name in batch.schema.names[:1]] == ["t"] * len(batches)
            assert pa.types.is_dictionary(batches[0].schema.field("t").type)
            read_rows = [each for batch in batches for each in batch.column("i").to_pylist()]
            assert read_rows == list(range(shard.start, shard.start + shard.rows))
            assert [each for batch in batches for each in batch.column("t").to_pylist()] == [
                f"v{i % 7}" if i % 5 else None for i in read_rows
            ]
            seen[shard.start] = list(read_rows)
        assert [row for start in sorted(seen) for row in seen[start]] == list(range(min(skip, total), total))


def test_a_shard_left_in_the_middle_does_not_disturb_the_next(tmp_path: Path) -> None:
    found = find(tmp_path / "staging", write(tmp_path / "a.parquet", {"i": list(range(100))}, row_group_size=50))
    reader = ShardReader(found.files[0], found.schema, ["i"], [])
    first, again = Shard(0, 0, 0, 30, (0,), 0), Shard(1, 0, 30, 20, (0,), 0)
    assert next(reader.read(first, 7)).column("i").to_pylist() == list(range(7))
    assert [i for batch in reader.read(again, 9) for i in batch.column("i").to_pylist()] == list(range(30, 50))
    assert [i for batch in reader.read(first, 9) for i in batch.column("i").to_pylist()] == list(range(30))


def test_shards_of_one_row_group_decode_it_once(tmp_path: Path) -> None:
    found = find(tmp_path / "staging", write(tmp_path / "a.parquet", {"i": list(range(4000))}))
    reader = ShardReader(found.files[0], found.schema, ["i"], [])
    opened = []
    pieces = reader._decoder.pieces  # type: ignore[union-attr]
    reader._decoder.pieces = lambda *given: (opened.append(given), pieces(*given))[1]  # type: ignore[union-attr,method-assign]
    for start in range(0, 4000, 1000):
        rows = [i for b in reader.read(Shard(0, 0, start, 1000, (0,), 0), 300) for i in b.column("i").to_pylist()]
        assert rows == list(range(start, start + 1000))
    assert len(opened) == 1


@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "RLE_DICTIONARY"])
@pytest.mark.parametrize("pages", ["1.0", "2.0"])
def test_text_in_every_encoding_of_parquet_comes_as_a_dictionary(tmp_path: Path, encoding: str, pages: str) -> None:
    values = ["a", None, "é", "a"] * 100
    coded = encoding == "RLE_DICTIONARY"
    path = write(
        tmp_path / "a.parquet", {"t": values}, data_page_version=pages, use_dictionary=coded,
        column_encoding=None if coded else {"t": encoding},
    )  # fmt: skip
    got = read(find(tmp_path / "staging", path), dictionary=["t"])
    assert got.schema.field("t").type == pa.dictionary(pa.int32(), pa.string()) and got["t"].to_pylist() == values


@pytest.mark.parametrize("options", ["PARQUET_VERSION v1", "PARQUET_VERSION v2", "COMPRESSION zstd"])
def test_files_that_duckdb_and_polars_write(tmp_path: Path, options: str) -> None:
    """With few different texts and with many: their encodings differ."""
    duckdb.sql("SELECT i, i * 0.5 AS x, 'v' || (i % 9) AS few, 'w' || i AS many FROM range(30_000) r(i)").write_parquet(
        str(tmp_path / "first.parquet")
    )
    source = tmp_path / "first.parquet"
    duckdb.sql(f"COPY (FROM '{source}') TO '{tmp_path}/duckdb.parquet' (FORMAT parquet, {options})")
    polars.read_parquet(source).write_parquet(tmp_path / "polars.parquet", row_group_size=7000)
    for path in tmp_path.glob("*.parquet"):
        got = read(find(tmp_path / "staging", path), dictionary=["few", "many"]).to_pydict()
        assert got["i"] == list(range(30_000)) and got["x"][-1] == 14_999.5
        assert got["few"][10:12] == ["v1", "v2"] and got["many"] == [f"w{index}" for index in range(30_000)]


def _damaged(path: Path, column: int, group: int) -> None:
    chunk = pq.read_metadata(path).row_group(group).column(column)
    begin = chunk.dictionary_page_offset or chunk.data_page_offset
    content = bytearray(path.read_bytes())
    for index in range(begin, begin + chunk.total_compressed_size):
        content[index] ^= 0x5A
    path.write_bytes(bytes(content))


def test_a_damaged_row_group_in_the_middle_is_refused_by_file_group_and_column(tmp_path: Path) -> None:
    columns = {"a b": np.random.default_rng(0).normal(size=3000), "t": [f"v{i}" for i in range(3000)]}
    path = write(tmp_path / "a.parquet", columns, row_group_size=1000)
    _damaged(path, 1, 1)
    found = find(tmp_path / "staging", path)
    reader = ShardReader(found.files[0], found.schema, ["a b", "t"], ["t"])
    with pytest.raises(BadInput, match=r"a\.parquet: column 't' of row group 1 cannot be read") as caught:
        list(reader.read(Shard(0, 0, 0, 3000, (0, 1, 2), 0), 700))
    assert caught.value.data == {"row_group": 1, "column": "t"}
    sound = [batch.num_rows for batch in reader.read(Shard(1, 0, 2000, 1000, (2,), 2000), 700)]
    assert sound == [700, 300]  # the reader is still good for the rest
    assert len(read(found, ["a b"])) == 3000  # and what is not asked for is not read


def test_a_flipped_bit_is_seen_where_the_writer_made_checksums(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.parquet",
        {"x": np.arange(1000.0)},
        compression="none",
        use_dictionary=False,
        write_page_checksum=True,
    )
    content = bytearray(path.read_bytes())
    content[content.index(np.float64(500.0).tobytes()) + 6] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(BadInput, match="column 'x' of row group 0"):
        read(find(tmp_path / "staging", path))


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"t": ["ok", "xx"]}, compression="none")
    path.write_bytes(path.read_bytes().replace(b"\x02\0\0\0xx", b"\x02\0\0\0\xff\xfe"))
    for dictionary in ([], ["t"]):
        with pytest.raises(BadInput, match="column 't' of row group 0 cannot be read"):
            read(find(tmp_path / "staging", path), dictionary=dictionary)


def test_offsets_of_an_arrow_file_that_point_nowhere_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.feather"
    feather.write_feather(pa.table({"t": ["aa", "bb", "cc"]}), path, compression="uncompressed")
    content = path.read_bytes()
    offsets = np.array([0, 2, 4, 6], np.int32).tobytes()
    assert offsets in content
    path.write_bytes(content.replace(offsets, np.array([0, 2, 2**30, 6], np.int32).tobytes()))
    with pytest.raises(BadInput, match="column 't' of record batch 0 cannot be read"):
        read(find(tmp_path / "staging", path))


def test_a_file_that_lost_rows_after_planning_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"x": list(range(10))})
    found = find(tmp_path / "staging", path)
    write(path, {"x": list(range(8))})
    with pytest.raises(BadInput, match="ends at row 8, before the rows that its footer counts"):
        read(found)


def test_a_column_that_vanished_after_planning_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"x": [1], "y": [2]})
    found = find(tmp_path / "staging", path)
    write(path, {"x": [1]})
    with pytest.raises(BadInput, match=r"a\.parquet has no column 'y' any more"):
        read(found)


@pytest.mark.parametrize("value", [None, "a"])
def test_nulls_inside_a_dictionary_become_nulls_of_rows(tmp_path: Path, value: str | None) -> None:
    odd = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int8()), pa.array([value, "b"]))
    feather.write_feather(pa.table({"t": odd}), tmp_path / "a.feather")
    coded = read(find(tmp_path / "staging", tmp_path / "a.feather"), dictionary=["t"])["t"]
    assert coded.to_pylist() == [value, "b", value]
    assert coded.null_count == (2 if value is None else 0)


_MEASURE = """
import sys
from pathlib import Path
import pyarrow as pa
pa.set_cpu_count(1)
from tests.batch.inputs.found import find, peak_megabytes
from mlpack_edge.batch.inputs.reader import ShardReader
from mlpack_edge.batch.plan import cut_shards
found = find(Path(sys.argv[1]) / "staging", sys.argv[2])
before = peak_megabytes()
reader = ShardReader(found.files[0], found.schema, found.schema.names, ["t"])
rows = sum(batch.num_rows for shard in cut_shards(found.groups) for batch in reader.read(shard, 65536))
print(rows, peak_megabytes() - before)
"""


def test_memory_does_not_follow_the_size_of_a_row_group(tmp_path: Path) -> None:
    """One group of 2,000,000 rows by 6 columns is 96 MB; reading it takes less than 70 MB more than starting did."""
    random = np.random.default_rng(0)
    columns = {f"x{index}": random.normal(size=2_000_000) for index in range(5)} | {"t": ["a", "b"] * 1_000_000}
    path = write(tmp_path / "a.parquet", columns, row_group_size=2_000_000)
    assert pq.read_metadata(path).num_row_groups == 1
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(tmp_path), str(path)], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    rows, grown = map(int, done.stdout.split())
    assert rows == 2_000_000 and grown < 70, grown
