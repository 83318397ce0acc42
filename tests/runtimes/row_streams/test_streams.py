"""A stream of a file gives what reading it whole gives, whatever the batches; errors name column and row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpack_edge.core.errors import BadInput, IoFault
from mlpack_edge.core.signature import Column, Signature, TensorSpec
from mlpack_edge.runtimes.data import feeds_from_table, read_table
from mlpack_edge.runtimes.row_streams.head import head_of
from mlpack_edge.runtimes.row_streams.stream import Batch, open_rows

ROWS = 23
#: What is missing is missing at the end: no piece of the start tells that the column is one of floats.
FRAME = polars.DataFrame(
    {
        "whole": [*range(2**24, 2**24 + ROWS - 1), None],
        "number": [0.5 * row for row in range(ROWS)],
        "text": [None if row == 20 else f"ü{row}" for row in range(ROWS)],
        "flag": [row % 3 == 0 for row in range(ROWS)],
        "holed": [True] * (ROWS - 1) + [None],
        "truth": [row % 2 for row in range(ROWS)],
    }
)
SIGNATURE = Signature(
    (TensorSpec("numbers", "float32", ("batch", 3)), TensorSpec("texts", "string", ("batch", 2))), (),
    (
        Column("number", "numeric", "numbers", 0), Column("whole", "numeric", "numbers", 1, missing=True),
        Column("flag", "numeric", "numbers", 2),
        Column("text", "text", "texts", 0), Column("holed", "categorical", "texts", 1),
    ),
)  # fmt: skip
UNNAMED = Signature((TensorSpec("X", "float32", ("batch", 3)),), ())
IMAGES = Signature((TensorSpec("x", "float32", ("batch", 3, 4)),), ())


def joined(batches: list[Batch], name: str) -> Any:
    return np.concatenate([batch.feeds[name] for batch in batches])


@pytest.mark.parametrize("kind", ["parquet", "csv", "ipc"])
@pytest.mark.parametrize("size", [1, 7, ROWS, 1000, None])
def test_a_table_in_batches_is_the_table_read_whole(kind: str, size: int | None, tmp_path: Path) -> None:
    path = tmp_path / "rows"  # the suffix says nothing
    getattr(FRAME, f"write_{kind}")(path)
    whole = feeds_from_table(read_table(path), SIGNATURE)
    stream = open_rows(path, SIGNATURE, "truth")
    for _ in range(2):  # as often as wanted
        batches = list(stream.batches(size))
        assert [len(batch.feeds["texts"]) for batch in batches][:-1] == [size] * (len(batches) - 1)
        assert [batch.start for batch in batches] == [place * (size or ROWS) for place in range(len(batches))]
        for name, array in whole.items():
            np.testing.assert_array_equal(joined(batches, name), array)
        labels = [batch.labels for batch in batches if batch.labels is not None]
        assert np.concatenate(labels).tolist() == FRAME["truth"].to_list()
    assert stream.rows == ROWS


@pytest.mark.parametrize("statistics", [True, False])
def test_parquet_of_other_writers(statistics: bool, tmp_path: Path) -> None:
    """Dictionaries, names with dots, several row groups, footers that do not count what is missing."""
    table = FRAME.to_arrow()
    table = table.set_column(2, "text", table.column("text").cast(pa.string()).dictionary_encode())
    table = table.rename_columns(["whole", "number", "text", "flag.of", "holed", "truth"])
    columns = tuple(replace(c, name="flag.of") if c.name == "flag" else c for c in SIGNATURE.columns)
    pq.write_table(table, tmp_path / "rows", row_group_size=9, write_statistics=statistics)
    signature = replace(SIGNATURE, columns=columns)
    whole = feeds_from_table(read_table(tmp_path / "rows"), signature)
    batches = list(open_rows(tmp_path / "rows", signature).batches(4))
    for name, array in whole.items():
        np.testing.assert_array_equal(joined(batches, name), array)


@pytest.mark.parametrize("kind", ["parquet", "csv", "ipc"])
def test_columns_without_names_are_all_but_the_label(kind: str, tmp_path: Path) -> None:
    getattr(FRAME.select("flag", "truth", "number", "whole"), f"write_{kind}")(tmp_path / "rows")
    batches = list(open_rows(tmp_path / "rows", UNNAMED, "truth").batches(5))
    np.testing.assert_array_equal(joined(batches, "X")[:, 1], FRAME["number"].to_numpy())
    with pytest.raises(BadInput, match="4 columns"):
        open_rows(tmp_path / "rows", UNNAMED)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 40), st.integers(1, 50), st.sampled_from([np.save, np.savez, np.savez_compressed]),
    st.sampled_from(["<f4", ">f8", "<i2", "|b1"]), st.sampled_from([np.ascontiguousarray, np.asfortranarray]),
)  # fmt: skip
def test_arrays_in_batches_are_the_arrays_read_whole(
    tmp_path: Path, rows: int, size: int, save: Callable[..., None], dtype: str, order: Callable[[Any], Any]
) -> None:
    array = order((np.arange(rows * 12).reshape(rows, 3, 4) % 30).astype(dtype))
    path = tmp_path / ("x.npy" if save is np.save else "x.npz")
    if save is np.save:
        np.save(path, array)
    else:
        save(path, x=array, unused=np.zeros(3))
    batches = list(open_rows(path, IMAGES).batches(size))
    assert [len(batch.feeds["x"]) for batch in batches][:-1] == [size] * (len(batches) - 1)
    np.testing.assert_array_equal(joined(batches, "x"), feeds_from_table(read_table(path), IMAGES)["x"])


def test_single_numbers_and_states_go_whole_with_every_batch(tmp_path: Path) -> None:
    signature = Signature(
        (
            TensorSpec("rate", "int64", ()), TensorSpec("state", "float32", (2, 1, 8)),
            TensorSpec("x", "float32", ("n", 5)), TensorSpec("lengths", "int32", ("n",)),
        ), (),
    )  # fmt: skip
    state = np.random.default_rng(0).random((2, 1, 8), np.float32)
    x, lengths = np.arange(35.0).reshape(7, 5), np.arange(7)
    np.savez(tmp_path / "x.npz", rate=np.int64(16_000), state=state, x=x, lengths=lengths)
    stream = open_rows(tmp_path / "x.npz", signature)
    batches = list(stream.batches(3))
    assert stream.rows == 7
    for batch in batches:
        assert batch.feeds["rate"] == 16_000
        np.testing.assert_array_equal(batch.feeds["state"], state)
    np.testing.assert_array_equal(joined(batches, "x"), x)
    np.testing.assert_array_equal(joined(batches, "lengths"), lengths)


def test_a_model_fixed_to_a_batch_gets_whole_batches_and_the_user_hears_of_the_rest(tmp_path: Path) -> None:
    fixed = Signature((TensorSpec("x", "float32", (4, 3)),), ())
    np.save(tmp_path / "x.npy", np.arange(33.0).reshape(11, 3))
    stream = open_rows(tmp_path / "x.npy", fixed)
    assert [batch.feeds["x"].shape for batch in stream.batches(100)] == [(4, 3), (4, 3)]
    assert stream.rows == 8
    assert "the last 3 rows are left out" in stream.warnings[0]
    np.save(tmp_path / "few.npy", np.zeros((3, 3)))
    with pytest.raises(BadInput, match="3 rows, the model takes batches of 4"):
        open_rows(tmp_path / "few.npy", fixed)


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("kind", ["parquet", "npz"])
def test_every_nth_row_apart_and_each_knows_its_place_in_the_file(held: bool, kind: str, tmp_path: Path) -> None:
    if kind == "npz":
        np.savez(tmp_path / "rows", x=np.arange(46.0).reshape(ROWS, 2), truth=np.arange(ROWS))
    else:
        frame = {"a": range(0, 2 * ROWS, 2), "b": range(1, 2 * ROWS, 2), "truth": range(ROWS)}
        polars.DataFrame(frame).write_parquet(tmp_path / "rows.npz")
    signature = Signature((TensorSpec("x", "float32", ("n", 2)),), ())
    stream = open_rows(tmp_path / "rows.npz", signature, "truth").take(5, held)
    places = [row for row in range(ROWS) if (row % 5 == 4) == held]
    assert stream.rows == len(places)
    assert [stream.place(row) for row in range(stream.rows)] == places
    batches = list(stream.batches(3))
    assert [len(batch.feeds["x"]) for batch in batches][:-1] == [3] * (len(batches) - 1)
    assert joined(batches, "x")[:, 0].tolist() == [2 * place for place in places]
    assert np.concatenate([batch.labels for batch in batches if batch.labels is not None]).tolist() == places


def test_too_few_rows_to_hold_one_out_are_told_as_what_the_file_holds(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3, 2)))
    stream = open_rows(tmp_path / "x.npy", Signature((TensorSpec("x", "float32", ("n", 2)),), ()))
    with pytest.raises(BadInput, match="holds 3 rows: of each 5 one is held out") as refusal:
        stream.take(5, held=True)
    assert "at least 5 rows" in (refusal.value.hint or "")
    assert stream.take(5, held=False).rows == 3


def test_a_value_that_does_not_fit_is_named_with_its_row(tmp_path: Path) -> None:
    signature = Signature((TensorSpec("n", "int8", ("batch", 1)),), (), (Column("n", "numeric", "n"),))
    values = [1.0] * 50
    values[37] = 1.5
    polars.DataFrame({"n": values}).write_parquet(tmp_path / "rows")
    np.savez(tmp_path / "rows.npz", n=np.array(values)[:, None])
    for path in (tmp_path / "rows", tmp_path / "rows.npz"):
        stream = open_rows(path, signature)
        with pytest.raises(BadInput, match=r"'n'.*1\.5 in row 37 \(counted from 0\)"):
            list(stream.batches(10))


def test_what_is_not_there_is_named_at_opening(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "rows")
    with pytest.raises(BadInput, match="no column 'class'; it has whole, number"):
        open_rows(tmp_path / "rows", SIGNATURE, "class")
    with pytest.raises(BadInput, match="'text' is an input"):
        open_rows(tmp_path / "rows", SIGNATURE, "text")
    FRAME.drop("flag").write_parquet(tmp_path / "less")
    with pytest.raises(BadInput, match="no column 'flag'"):
        open_rows(tmp_path / "less", SIGNATURE)
    FRAME.with_columns(number=polars.col("text")).write_parquet(tmp_path / "text")
    with pytest.raises(BadInput, match="'number' holds text"):
        open_rows(tmp_path / "text", SIGNATURE)
    FRAME.with_columns(holed=polars.col("flag")).write_parquet(tmp_path / "flags")
    with pytest.raises(BadInput, match="'holed' holds numbers"):
        open_rows(tmp_path / "flags", SIGNATURE)
    np.savez(tmp_path / "x.npz", y=np.zeros((3, 3, 4)), z=np.zeros(4))
    with pytest.raises(BadInput, match="no array 'x'; it has y, z"):
        open_rows(tmp_path / "x.npz", IMAGES)
    np.savez(tmp_path / "shape.npz", x=np.zeros((3, 4, 4)))
    with pytest.raises(BadInput, match=r"'x' has the shape \['rows', 4, 4\]"):
        open_rows(tmp_path / "shape.npz", IMAGES)
    np.savez(tmp_path / "rows.npz", x=np.zeros((3, 3, 4)), truth=np.zeros(4))
    with pytest.raises(BadInput, match="different numbers of rows: 'x' 3, 'truth' 4"):
        open_rows(tmp_path / "rows.npz", IMAGES, "truth")
    np.save(tmp_path / "x.npy", np.zeros((3, 3, 4)))
    with pytest.raises(BadInput, match="one array without names"):
        open_rows(tmp_path / "x.npy", IMAGES, "truth")


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"\x93NUMPY", b"PK\x03\x04", b"ARROW1\0\0", b"\0\1\2", b"a,b\n", b"\x93NUMPY\x07\0v\0{}"]
)
def test_what_is_no_data_is_one_clear_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(content)
    for opened in (lambda path: open_rows(path, IMAGES), head_of):
        with pytest.raises(BadInput):
            opened(tmp_path / "rows")
        with pytest.raises(IoFault):
            opened(tmp_path / "none")


def test_a_file_that_is_cut_off_is_said_so(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((100, 3, 4))
    np.save(tmp_path / "x.npy", images)
    np.savez_compressed(tmp_path / "x.npz", x=images)
    FRAME.write_parquet(tmp_path / "rows.parquet")
    for path in (tmp_path / "x.npy", tmp_path / "x.npz", tmp_path / "rows.parquet"):
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(BadInput):
            open_rows(path, IMAGES)


def test_damage_in_the_middle_is_an_error_and_not_other_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((1000, 3, 4)))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(BadInput, match="could not be read"):  # the checksum of the archive
        list(open_rows(tmp_path / "x.npz", IMAGES).batches(10))


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(BadInput, match="could run code"):
        open_rows(tmp_path / "x.npy", IMAGES)


@pytest.mark.parametrize("kind", ["parquet", "csv", "ipc"])
def test_the_head_of_a_table_has_the_types_of_all_of_it(kind: str, tmp_path: Path) -> None:
    getattr(FRAME, f"write_{kind}")(tmp_path / "rows")
    whole, head = read_table(tmp_path / "rows"), head_of(tmp_path / "rows", 4)
    assert head.rows == 4
    for name, column in whole.columns.items():
        assert head.columns[name].dtype == column.dtype
        np.testing.assert_array_equal(head.columns[name], column[:4])


def test_the_head_of_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", rate=np.float32(3), x=np.arange(30).reshape(10, 3))
    head = head_of(tmp_path / "x.npz", 2)
    assert head.arrays["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert head.arrays["rate"] == 3


def test_the_head_of_large_rows_is_a_few_of_them(tmp_path: Path) -> None:
    rows = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (50, 1 << 20))
    rows[:, 0] = np.arange(50)
    head = head_of(tmp_path / "x.npy")
    assert head.arrays[""][:, 0].tolist() == [0, 1, 2, 3]
    np.savez(tmp_path / "x.npz", x=rows, state=np.zeros((7, 2), np.float32))
    both = head_of(tmp_path / "x.npz").arrays
    assert len(both["x"]) == 4 and both["state"].shape == (7, 2)
