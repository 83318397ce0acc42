"""Data files are read by content, matched by name, and never bent to fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars
import pytest

from mlpack_edge.core.errors import BadInput, IoFault
from mlpack_edge.core.signature import Column, Signature, TensorSpec
from mlpack_edge.runtimes.data import feeds_from_table, read_table

FRAME = polars.DataFrame({"a": [1, 2, None], "b": [0.5, None, 2.0], "c": ["x", None, "ü"], "d": [True, False, True]})
SIGNATURE = Signature(
    (TensorSpec("b", "float64", ("batch", 1)), TensorSpec("c", "string", ("batch", 1))), (),
    (Column("b", "numeric", "b"), Column("c", "text", "c")),
)  # fmt: skip


@pytest.mark.parametrize("kind", ["parquet", "csv", "ipc"])
def test_tables_of_every_kind_give_the_same_columns(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.bin"  # the suffix says nothing
    getattr(FRAME, f"write_{kind}")(path)
    table = read_table(path)
    assert table.rows == 3
    np.testing.assert_array_equal(table.columns["a"], [1.0, 2.0, np.nan])
    assert table.columns["c"].tolist() == ["x", None, "ü"]
    assert table.columns["d"].dtype == bool


def test_columns_are_found_by_name_whatever_their_order(tmp_path: Path) -> None:
    FRAME.select("d", "c", "b", "a").write_parquet(tmp_path / "rows.parquet")
    feeds = feeds_from_table(read_table(tmp_path / "rows.parquet"), SIGNATURE)
    assert set(feeds) == {"b", "c"}
    assert feeds["c"].ravel().tolist() == ["x", "", "ü"]
    assert feeds["b"].shape == (3, 1)


def test_columns_called_as_ours_go_by_name_and_none_may_lack(tmp_path: Path) -> None:
    """x0, x1 are names that we gave. Where the data has them, another column beside them is none of the model's."""
    columns = tuple(Column(f"x{place}", "numeric", "X", place) for place in range(2))
    one = Signature((TensorSpec("X", "float32", ("batch", 2)),), (), columns)
    rows = polars.DataFrame({"x1": [1.0], "x0": [0.0], "y": [9.0]})
    for names, want in ((("x1", "x0"), [0, 1]), (("y", "x0"), None)):
        rows.select(names).write_parquet(tmp_path / "rows.parquet")
        table = read_table(tmp_path / "rows.parquet")
        if want is None:
            with pytest.raises(BadInput, match="no column 'x1'"):
                feeds_from_table(table, one)
        else:
            assert feeds_from_table(table, one)["X"].tolist() == [want]


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    FRAME.drop("b").write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(BadInput, match="no column 'b'"):
        feeds_from_table(read_table(tmp_path / "rows.parquet"), SIGNATURE)
    FRAME.with_columns(polars.col("c").alias("b")).write_parquet(tmp_path / "text.parquet")
    with pytest.raises(BadInput, match="'b' holds text"):
        feeds_from_table(read_table(tmp_path / "text.parquet"), SIGNATURE)
    whole = Signature((TensorSpec("b", "int64", ("batch", 1)),), (), (Column("b", "numeric", "b"),))
    FRAME.write_parquet(tmp_path / "fraction.parquet")
    with pytest.raises(BadInput, match="without loss"):
        feeds_from_table(read_table(tmp_path / "fraction.parquet"), whole)


def test_arrays_by_input_name_and_alone(tmp_path: Path) -> None:
    one = Signature((TensorSpec("X", "float32", ("batch", 2)),), ())
    np.save(tmp_path / "x.npy", np.zeros((4, 2)))
    assert feeds_from_table(read_table(tmp_path / "x.npy"), one)["X"].dtype == np.float32
    np.savez(tmp_path / "x.npz", X=np.zeros((4, 2), np.float32))
    assert feeds_from_table(read_table(tmp_path / "x.npz"), one)["X"].shape == (4, 2)
    np.save(tmp_path / "bad.npy", np.zeros(4))
    with pytest.raises(BadInput, match="shape"):
        feeds_from_table(read_table(tmp_path / "bad.npy"), one)


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(BadInput):
        read_table(tmp_path / "x.npy")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"\x93NUMPY", b"PK\x03\x04", b"ARROW1\0\0", b"\0\1\2", b"a,b\n"])
def test_what_is_no_data_is_one_clear_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(content)
    with pytest.raises(BadInput):
        read_table(path)
    with pytest.raises(IoFault):
        read_table(tmp_path / "none.csv")
