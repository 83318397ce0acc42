"""Parquet and Arrow inputs, directories that say columns, and the one schema of all."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from mlpack_edge.core.errors import BadInput
from tests.batch.inputs.found import find, read, rows, write


def test_parquet_is_read_where_it_lies_by_its_row_groups(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"x": list(range(10)), "t": ["a", None] * 5}, row_group_size=4)
    found = find(tmp_path / "staging", path)
    (file,) = found.files
    assert (file.name, file.path, file.format, file.rows, file.staged) == (str(path), str(path), "parquet", 10, False)
    assert found.groups == ((4, 4, 2),)
    assert found.schema == pa.schema([("x", pa.int64()), ("t", pa.string())])
    assert rows(found) == {"x": list(range(10)), "t": ["a", None] * 5}


def test_text_in_every_layout_and_writer_is_one_type(tmp_path: Path) -> None:
    text = ["a", None, "ö", "a"]
    kinds = {
        "s": pa.string(),
        "l": pa.large_string(),
        "v": pa.string_view(),
        "d": pa.dictionary(pa.int8(), pa.string()),
    }
    for name, kind in kinds.items():
        write(
            tmp_path / f"{name}.parquet",
            {"t": pa.array(text).cast(kind) if name != "d" else pa.array(text).dictionary_encode()},
        )
    pl.DataFrame({"t": pl.Series(text, dtype=pl.Categorical)}).write_parquet(tmp_path / "polars.parquet")
    found = find(tmp_path / "staging", tmp_path)
    assert found.schema == pa.schema([("t", pa.string())])
    assert rows(found)["t"] == text * 5
    coded = read(found, dictionary=["t"])
    assert coded.schema.field("t").type == pa.dictionary(pa.int32(), pa.string())
    assert coded["t"].to_pylist() == text * 5


def test_arrow_files_are_read_by_record_batches(tmp_path: Path) -> None:
    table = pa.table({"a b": range(10), "t": pa.array(["x", None] * 5).dictionary_encode(), "é": [0.5] * 10})
    for name, compression in (("plain", "uncompressed"), ("lz4", "lz4"), ("zstd", "zstd")):
        feather.write_feather(table, tmp_path / f"{name}.feather", compression=compression, chunksize=4)
    found = find(tmp_path / "staging", tmp_path / "*.feather")
    assert {file.format for file in found.files} == {"arrow"} and found.groups == ((4, 4, 2),) * 3
    assert rows(found) == {"a b": list(range(10)) * 3, "t": ["x", None] * 15, "é": [0.5] * 30}
    assert read(found, ["é", "t"], ["t"]).column_names == ["é", "t"]


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    path = write(tmp_path / "data.csv", {"x": [1]})
    assert find(tmp_path / "staging", path).files[0].format == "parquet"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.parquet", b"x,y\n1,2\n", "no Parquet file, whatever its name says"),
        ("a.feather", b"FEA1....", "Feather file of version 1"),
        ("a.parquet", b"PARE....PARE", "encrypted"),
        ("a.csv", b"", "empty file"),
        ("a.bin", b"\0\1\2", "no data file"),
        ("a.parquet", b"PAR1" + b"\x07" * 100 + b"\x64\0\0\0PAR1", "the Parquet footer cannot be read"),
        ("a.arrow", b"ARROW1\0\0" + b"\xff" * 100, "the Arrow file cannot be read"),
    ],
)
def test_what_is_no_data_is_refused_by_name(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadInput, match=said) as caught:
        find(tmp_path / "staging", path)
    assert str(path) in caught.value.message


def test_every_byte_of_a_footer_may_be_damaged(tmp_path: Path) -> None:
    """Refused, or read as another footer: nothing else is raised."""
    path = write(tmp_path / "a.parquet", {"x": [1, 2], "t": ["a", "b"]})
    good = path.read_bytes()
    length = int.from_bytes(good[-8:-4], "little")
    refused = 0
    for index in range(len(good) - 8 - length, len(good) - 8, 3):
        path.write_bytes(good[:index] + bytes([good[index] ^ 0x5A]) + good[index + 1 :])
        try:
            find(tmp_path / "staging", path)
        except BadInput as fault:
            assert str(path) in fault.message
            refused += 1
    assert refused > 10


def test_directories_give_columns(tmp_path: Path) -> None:
    write(tmp_path / "t/month=7/carrier=A%2FB/a.parquet", {"x": [1, 2]})
    write(tmp_path / "t/month=12/carrier=__HIVE_DEFAULT_PARTITION__/b.parquet", {"x": [3]})
    found = find(tmp_path / "staging", tmp_path / "t")
    assert found.schema == pa.schema([("x", pa.int64()), ("month", pa.int64()), ("carrier", pa.string())])
    assert rows(found) == {"x": [3, 1, 2], "month": [12, 7, 7], "carrier": [None, "A/B", "A/B"]}
    coded = read(found, ["carrier", "month"], ["carrier"])  # no column of the file itself
    assert coded["carrier"].to_pylist() == [None, "A/B", "A/B"] and coded["month"].to_pylist() == [12, 7, 7]


@pytest.mark.parametrize(
    ("values", "wanted", "kind"),
    [
        (("7", "12"), "", pa.int64()),
        (("7", "12"), "text", pa.string()),
        (("07", "12"), "", pa.string()),
        (("07", "12"), "number", pa.int64()),
        (("7", "x"), "number", pa.string()),
        (("7", str(2**70)), "number", pa.string()),
        (("-7", "0"), "", pa.int64()),
    ],
)
def test_a_directory_column_is_whole_where_all_its_values_are(
    tmp_path: Path, values: tuple[str, ...], wanted: str, kind: Any
) -> None:
    for value in values:
        write(tmp_path / f"k={value}/a.parquet", {"x": [1]})
    found = find(tmp_path / "staging", tmp_path / "*/*.parquet", wanted={"k": wanted} if wanted else {})
    assert found.schema.field("k").type == kind
    assert set(rows(found)["k"]) == ({int(each) for each in values} if kind == pa.int64() else set(values))


def test_a_files_own_column_wins_over_its_directory_and_that_is_said(tmp_path: Path) -> None:
    write(tmp_path / "x=5/a.parquet", {"x": [1]})
    found = find(tmp_path / "staging", tmp_path / "**/*.parquet")
    assert rows(found) == {"x": [1]}
    assert "column 'x' is the file's own" in found.notes[0]


def test_a_directory_column_that_not_all_files_have_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", {"x": [1]})
    write(tmp_path / "k=1/a.parquet", {"x": [1]})
    with pytest.raises(BadInput, match=r"a\.parquet has no column 'k'|a\.parquet has no column 'k', which"):
        find(tmp_path / "staging", tmp_path / "**/*.parquet")


def test_columns_of_other_files_may_stand_in_another_order_and_be_narrower(tmp_path: Path) -> None:
    write(
        tmp_path / "1.parquet", {"i": pa.array([1], pa.int16()), "f": pa.array([0.5], pa.float32()), "n": pa.nulls(1)}
    )
    write(tmp_path / "2.parquet", {"n": ["a"], "f": pa.array([3], pa.int64()), "i": pa.array([2**40])})
    write(
        tmp_path / "3.parquet", {"f": [1e300], "n": pa.array(["b"], pa.large_string()), "i": pa.array([9], pa.uint8())}
    )
    found = find(tmp_path / "staging", tmp_path / "*.parquet")
    assert found.schema == pa.schema([("i", pa.int64()), ("f", pa.float64()), ("n", pa.string())])
    assert rows(found) == {"i": [1, 2**40, 9], "f": [0.5, 3.0, 1e300], "n": [None, "a", "b"]}


def test_a_whole_number_that_the_common_float_does_not_hold_is_refused_when_read(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", {"x": [0.5]})
    write(tmp_path / "2.parquet", {"x": [2**53 + 1]})
    found = find(tmp_path / "staging", tmp_path / "*.parquet")
    with pytest.raises(BadInput, match=r"2\.parquet: column 'x' holds a value that double does not hold"):
        read(found)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"x": ["a"]}, r"column 'x' is string in .*2\.parquet and int64 in .*1\.parquet"),
        ({"x": pa.array([1], pa.uint64())}, "column 'x' is uint64"),
        ({"x": [True]}, "column 'x' is bool"),
        ({"y": [1]}, r"2\.parquet has no column 'x'"),
        ({"x": [1], "y": [1]}, r"1\.parquet has no column 'y', which .*2\.parquet has"),
    ],
)
def test_inputs_that_do_not_agree_are_refused_by_file_and_column(
    tmp_path: Path, other: dict[str, Any], said: str
) -> None:
    write(tmp_path / "1.parquet", {"x": [1]})
    write(tmp_path / "2.parquet", other)
    with pytest.raises(BadInput, match=said):
        find(tmp_path / "staging", tmp_path / "*.parquet")


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table([[1], [2]], names=["x", "x"]), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="two columns are named 'x'"):
        find(tmp_path / "staging", tmp_path / "a.parquet")


def test_files_without_rows_are_fine_and_without_columns_not(tmp_path: Path) -> None:
    write(tmp_path / "0.parquet", {"x": pa.array([], pa.int64())})
    write(tmp_path / "1.parquet", {"x": [1]})
    found = find(tmp_path / "staging", tmp_path / "*.parquet")
    assert [file.rows for file in found.files] == [0, 1] and rows(found) == {"x": [1]}
    write(tmp_path / "none/a.parquet", {})
    with pytest.raises(BadInput, match="no columns"):
        find(tmp_path / "staging", tmp_path / "none")


def test_no_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no input"):
        find(tmp_path / "staging")


def test_names_with_spaces_dots_and_every_script(tmp_path: Path) -> None:
    columns = {"a b": [1], "数": ["é"], "s.x": [2.5], "s": [{"x": 1}]}
    found = find(tmp_path / "staging", write(tmp_path / "Überflüge 数据.parquet", columns))
    assert rows(found) == {"a b": [1], "数": ["é"], "s.x": [2.5], "s": [{"x": 1}]}
    assert read(found, ["s"]).to_pydict() == {"s": [{"x": 1}]}


def test_two_thousand_columns_in_twenty_files_are_a_matter_of_footers(tmp_path: Path) -> None:
    columns = {f"c{index}": [1.0, 2.0] for index in range(2000)}
    for index in range(20):
        write(tmp_path / f"{index:02}.parquet", columns)
    begin = time.process_time()
    found = find(tmp_path / "staging", tmp_path)
    assert time.process_time() - begin < 5
    assert len(found.schema) == 2000 and len(found.files) == 20
    assert read(found, ["c1999", "c0"]).shape == (40, 2)


def test_a_stream_of_arrow_is_called_one(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2]})
    with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(BadInput, match=r"t\.arrow is a stream of Arrow's"):
        find(tmp_path / "staging", tmp_path / "t.arrow")
