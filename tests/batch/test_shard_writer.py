"""Parts of a shard: bytes that follow from the rows alone, types as they were, folders as Hive names them."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.batch.inputs.partitions import NULL
from mlpack_edge.batch.partitioning import folder_name, unnameable
from mlpack_edge.batch.shard_writer import ShardWriter, group_rows
from mlpack_edge.core.errors import BadInput

SOURCE = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())


def rows(count: int, start: int = 0) -> pyarrow.RecordBatch:
    numbers = np.arange(start, start + count)
    vector = np.stack([numbers / 7, numbers % 13], axis=1).astype(np.float32)
    return pyarrow.record_batch({
        "source_file": pyarrow.DictionaryArray.from_arrays(pyarrow.array(np.zeros(count, np.int32)), ["a b/é.parquet"]),
        "source_row": pyarrow.array(numbers),
        "place": pyarrow.array([None if n % 11 == 0 else f"p{n % 5}" for n in numbers.tolist()]),
        "label": pyarrow.array(numbers % 3),
        "probabilities": pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vector.ravel()), 2),
    })  # fmt: skip


def written(folder: Path, batches: list[tuple[pyarrow.RecordBatch, Any]], partition: str = "") -> dict[str, bytes]:
    folder.mkdir()
    with ShardWriter(folder, batches[0][0].schema, partition) as writer:
        for batch, accepted in batches:
            writer.add(batch, accepted)
        writer.close()
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {part.path: (part.bytes, part.sha256) for part in writer.parts} == {
        name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in files.items()
    }
    return files


@pytest.mark.parametrize("partition", ["", "place"])
def test_bytes_do_not_depend_on_where_batches_end(tmp_path: Path, partition: str) -> None:
    whole = rows(300_000)
    accepted = np.random.default_rng(1).random(300_000) < 0.9
    one = written(tmp_path / "one", [(whole, accepted)], partition)
    cuts = [0, 1, 5, 4096, 100_000, 262_143, 262_145, 300_000]
    pieces = [(whole.slice(a, b - a), accepted[a:b]) for a, b in itertools.pairwise(cuts)]
    assert written(tmp_path / "many", pieces, partition) == one
    table = pyarrow.dataset.dataset(tmp_path / "one", format="parquet", partitioning="hive").to_table()
    assert table.num_rows == np.count_nonzero(accepted)
    assert set(table["source_row"].to_pylist()) == set(np.flatnonzero(accepted).tolist())


def test_a_row_group_is_a_fixed_number_of_input_rows(tmp_path: Path) -> None:
    schema = rows(1).schema
    size = group_rows(schema)
    accepted = np.ones(size + 10, bool)
    accepted[:100] = False
    written(tmp_path / "s", [(rows(size + 10), accepted)])
    footer = pyarrow.parquet.read_metadata(tmp_path / "s" / "part.parquet")
    assert [footer.row_group(group).num_rows for group in range(footer.num_row_groups)] == [size - 100, 10]


def test_wide_rows_make_small_row_groups() -> None:
    wide = pyarrow.schema([pyarrow.field("v", pyarrow.list_(pyarrow.float64(), 2000))])
    assert group_rows(rows(1).schema) == 1 << 18
    assert group_rows(wide) == 1 << 12


def test_readers_find_rows_and_types_as_they_were(tmp_path: Path) -> None:
    batch = rows(1000)
    written(tmp_path / "s", [(batch, None)])
    path = tmp_path / "s" / "part.parquet"
    assert pyarrow.parquet.read_table(path).equals(pyarrow.Table.from_batches([batch]))
    values = batch.column("probabilities").to_pylist()
    assert polars.read_parquet(path)["probabilities"].to_list() == values
    assert polars.read_parquet(path)["source_file"].cast(polars.String).to_list() == ["a b/é.parquet"] * 1000
    got = duckdb.sql(f"SELECT source_row, probabilities FROM '{path}' ORDER BY source_row").fetchall()
    assert [list(vector) for _, vector in got] == values


def test_a_shard_without_rows_is_a_file_with_columns_only(tmp_path: Path) -> None:
    batch = rows(3)
    files = written(tmp_path / "s", [(batch, np.zeros(3, bool))])
    assert list(files) == ["part.parquet"]
    table = pyarrow.parquet.read_table(tmp_path / "s" / "part.parquet")
    assert table.schema.equals(batch.schema)
    assert table.num_rows == 0


NAMES = ["a/b", "=", "x y", "é", "%41", "a:b", 'q"', "[1]", "{", "tab\there", "\u4e2d", "..", "a'b", "^", "h#h"]


def test_four_readers_take_the_names_of_folders_for_the_values(tmp_path: Path) -> None:
    values = [*NAMES, None]
    batch = pyarrow.record_batch({"source_row": pyarrow.array(range(len(values))), "p/ä": pyarrow.array(values)})
    written(tmp_path / "s", [(batch, None)], "p/ä")
    written(tmp_path / "t", [(batch.rename_columns(["source_row", "p"]), None)], "p")
    expected = sorted(enumerate(values))
    table = pyarrow.dataset.dataset(tmp_path / "s", format="parquet", partitioning="hive").to_table()
    assert table.num_rows == len(values)
    table = pyarrow.dataset.dataset(tmp_path / "t", format="parquet", partitioning="hive").to_table()
    assert sorted(zip(*table.to_pydict().values(), strict=True)) == expected
    frame = polars.read_parquet(tmp_path / "t" / "**/*.parquet", hive_partitioning=True)
    assert sorted(frame.select("source_row", "p").rows()) == expected
    got = duckdb.sql(f"SELECT source_row, p FROM read_parquet('{tmp_path}/t/**/*.parquet', hive_partitioning=true)")
    assert sorted(got.fetchall()) == expected


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (pyarrow.array([7, 7, -1], pyarrow.int8()), ["p=-1", "p=7"]),
        (pyarrow.array([True, False, True]), ["p=false", "p=true"]),
        (pyarrow.array([15_000, 0, 0], pyarrow.date32()), ["p=1970-01-01", "p=2011-01-26"]),
        (pyarrow.array(["b", "a", "b"]).dictionary_encode(), ["p=a", "p=b"]),
        (pyarrow.array([None, 3, 3], pyarrow.int64()), ["p=3", f"p={NULL}"]),
    ],
)
def test_each_value_has_a_folder(tmp_path: Path, values: pyarrow.Array, names: list[str]) -> None:
    batch = pyarrow.record_batch({"source_row": pyarrow.array(range(3)), "p": values})
    files = written(tmp_path / "s", [(batch, None)], "p")
    assert sorted(files) == [f"{name}/part.parquet" for name in names]


def test_rows_of_a_value_keep_their_order_over_row_groups(tmp_path: Path) -> None:
    count = 3 * (1 << 12) + 5
    vector = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(np.zeros(count * 2000)), 2000)
    batch = pyarrow.record_batch({
        "source_row": pyarrow.array(range(count)),
        "p": pyarrow.array([str(n % 2) for n in range(count)]),
        "v": vector,
    })  # fmt: skip
    written(tmp_path / "s", [(batch, None)], "p")
    assert pyarrow.parquet.read_table(tmp_path / "s/p=1/part.parquet")["source_row"].to_pylist() == list(
        range(1, count, 2)
    )
    assert not [path for path in (tmp_path / "s").iterdir() if path.name.startswith(".")]


def test_a_column_that_names_rows_makes_no_folders(tmp_path: Path) -> None:
    batch = pyarrow.record_batch({"source_row": pyarrow.array(range(5000)), "p": pyarrow.array(range(5000))})
    (tmp_path / "s").mkdir()
    with (
        pytest.raises(BadInput, match="more than 4096 values"),
        ShardWriter(tmp_path / "s", batch.schema, "p") as writer,
    ):
        writer.add(batch, None)
        writer.close()


def test_values_that_readers_would_take_for_others_are_found() -> None:
    values = pyarrow.array(["a", "", None, NULL, "x" * 300, "é" * 130])
    found = unnameable("p", values)
    assert [code and found.kinds[code - 1].reason.split()[0] for code in found.codes.tolist()] == [
        0, "an", 0, NULL, "the", "the",
    ]  # fmt: skip
    assert unnameable("p", pyarrow.array([1, 2, None])).codes.tolist() == [0, 0, 0]


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_a_folder_name_holds_one_value_and_no_path(text: str) -> None:
    from urllib.parse import unquote

    name = folder_name("c", text)
    assert "/" not in name
    assert "\0" not in name
    assert unquote(name.removeprefix("c=")) == text
