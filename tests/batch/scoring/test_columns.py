"""Columns are matched to a model's inputs by name and type before the first row."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pytest

from mlpack_edge.batch.scoring.blocks import BLOCK_ROWS, blocks_of
from mlpack_edge.batch.scoring.columns import match, refusal
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Column, Signature, TensorSpec

AGE, CITY = Column("age", "numeric", "age"), Column("city", "categorical", "city", categories=("a", "b"), missing=True)
NAMED = Signature(
    (TensorSpec("age", "float32", ("batch", 1)), TensorSpec("city", "string", ("batch", 1))), (), (AGE, CITY)
)
SCHEMA = pa.schema({"city": pa.string(), "id": pa.int64(), "age": pa.float64()})


def matrix(width: int = 3, *columns: Column, shape: tuple[Any, ...] | None = None) -> Signature:
    return Signature((TensorSpec("X", "float32", shape or ("batch", width)),), (), columns)


def unnamed(width: int, word: str = "x") -> tuple[Column, ...]:
    return tuple(Column(f"{word}{place}", "numeric", "X", place, missing=place == 1) for place in range(width))


def names(signature: Signature, schema: pa.Schema, aside: tuple[str, ...] = ()) -> list[list[str]]:
    return [[cell.column for cell in item.cells] for item in match(signature, schema, aside)]


def test_columns_go_by_name_in_any_order_beside_others() -> None:
    assert names(NAMED, SCHEMA) == [["age"], ["city"]]


def test_the_key_may_be_a_column_of_the_model_too() -> None:
    assert names(NAMED, SCHEMA, ("age", "id")) == [["age"], ["city"]]


def test_every_missing_column_is_named_with_what_it_may_be_called() -> None:
    with pytest.raises(BadInput, match=r"lacks 2 columns of the model: 'age' \(is it 'ages'\?\), 'city'"):
        match(NAMED, pa.schema({"ages": pa.float64(), "x": pa.int8()}))


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(BadInput, match="several columns are named 'age'"):
        match(NAMED, pa.schema([("age", pa.int8()), ("age", pa.int8()), ("city", pa.string())]))


def test_a_type_that_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="column 'age' is string, the model takes float32 there: a text is no number"):
        match(NAMED, pa.schema({"age": pa.string(), "city": pa.string()}))


TEXTS = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.large_string())]
FITS: dict[str, list[pa.DataType]] = {
    "string": [*TEXTS, pa.null()],
    "bool": [pa.bool_(), pa.null()],
    "int32": [
        pa.bool_(),
        pa.int8(),
        pa.int64(),
        pa.uint64(),
        pa.dictionary(pa.int8(), pa.int16()),
        pa.null(),
    ],
    "float32": [
        pa.bool_(),
        pa.int8(),
        pa.int64(),
        pa.uint64(),
        pa.dictionary(pa.int8(), pa.int16()),
        pa.float16(),
        pa.float64(),
        pa.decimal128(9, 2),
        pa.decimal256(50, 2),
        pa.null(),
    ],
}
KINDS = [
    *TEXTS, pa.null(), pa.bool_(), pa.int8(), pa.int64(), pa.uint64(), pa.dictionary(pa.int8(), pa.int16()), pa.float16(),
    pa.float64(), pa.decimal128(9, 2), pa.decimal256(50, 2), pa.date32(), pa.timestamp("us"), pa.time64("us"),
    pa.duration("s"), pa.binary(), pa.list_(pa.int8()), pa.struct({"a": pa.int8()}), pa.map_(pa.string(), pa.int8()),
]  # fmt: skip


@pytest.mark.parametrize("dtype", FITS)
def test_what_feeds_what(dtype: str) -> None:
    assert [kind for kind in KINDS if refusal(kind, dtype) is None] == [kind for kind in KINDS if kind in FITS[dtype]]


def test_a_model_without_names_takes_exactly_its_width_in_the_tables_order() -> None:
    schema = pa.schema({"p": pa.int8(), "id": pa.int64(), "q": pa.int8(), "r": pa.float32()})
    assert names(matrix(3), schema, ("id",)) == [["p", "q", "r"]]
    with pytest.raises(BadInput, match="takes 3 columns and does not say their names; the table has 4"):
        match(matrix(3), schema)


@pytest.mark.parametrize("word", ["x", "Column_"])
def test_names_that_nobody_gave_count_only_where_the_table_has_them_all(word: str) -> None:
    signature = matrix(3, *unnamed(3, word))
    schema = pa.schema({f"{word}{place}": pa.int8() for place in (2, 1, 0, 3)})
    assert names(signature, schema) == [[f"{word}0", f"{word}1", f"{word}2"]]
    item = match(signature, pa.schema({"p": pa.int8(), "q": pa.int8(), "r": pa.int8()}))[0]
    assert [(cell.column, cell.missing) for cell in item.cells] == [("p", False), ("q", True), ("r", False)]


@pytest.mark.parametrize("word", ["x", "Column_"])
def test_one_column_of_another_name_among_them_is_none_of_the_models(word: str) -> None:
    """As many columns as the model takes, and the last is the answer: by order it would be taken for an input."""
    signature = matrix(3, *unnamed(3, word))
    with pytest.raises(BadInput, match=f"lacks 1 column of the model: '{word}2'"):
        match(signature, pa.schema({f"{word}0": pa.int8(), f"{word}1": pa.int8(), "y": pa.int8()}))
    kept = pa.schema({f"{word}0": pa.int8(), "p": pa.int8(), "q": pa.int8(), "r": pa.int8()})
    assert names(signature, kept, (f"{word}0",)) == [["p", "q", "r"]]


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32(), 6), pa.list_(pa.int8()), pa.list_(pa.list_(pa.float64(), 3), 2), pa.large_list(pa.int8())],
    ids=str,
)  # fmt: skip
def test_a_column_of_vectors_goes_by_the_inputs_name(kind: pa.DataType) -> None:
    item = match(matrix(shape=("batch", 2, 3)), pa.schema({"a": pa.int8(), "X": kind}))[0]
    assert (item.vector, item.width, [cell.column for cell in item.cells]) == (True, 6, ["X"])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (pa.list_(pa.float32(), 5), "its lists are 5, the input has the shape ['batch', 2, 3]"),
        (pa.list_(pa.list_(pa.list_(pa.int8(), 6), 1), 1), "its lists are 1 x 1 x 6, the input"),
        (pa.list_(pa.list_(pa.int8(), 2), 3), "its lists are 3 x 2, the input has the shape"),
        (pa.list_(pa.string(), 6), "a text is no number"),
        (pa.float32(), "lacks 1 column of the model: 'X'"),
    ],
    ids=str,
)
def test_a_column_of_other_vectors_is_refused(kind: pa.DataType, message: str) -> None:
    schema = pa.schema({"X" if pa.types.is_nested(kind) else "Y": kind})
    with pytest.raises(BadInput, match=re.escape(message)):
        match(matrix(shape=("batch", 2, 3)), schema)


def test_a_signature_with_holes_is_refused() -> None:
    with pytest.raises(BadInput, match="names 1 columns of the input 'X', which has 3"):
        match(matrix(3, Column("a", "numeric", "X", 1)), pa.schema({"a": pa.int8()}))


def test_sizes_that_vary_beside_the_batch_are_refused() -> None:
    with pytest.raises(BadInput, match="'X' has sizes that vary beside the batch: words"):
        match(matrix(shape=("batch", "words")), pa.schema({"X": pa.list_(pa.int64())}))


@pytest.mark.parametrize(
    ("shapes", "rows", "batch"),
    [
        ([("batch", 8)], BLOCK_ROWS, None),
        ([("batch", 2000)], 512, None),
        ([("batch", 3, 32, 32)], 256, None),
        ([("batch", 3, 224, 224)], 4, None),
        ([("batch", 3, 4096, 4096)], 1, None),
        ([(16, 4), (16,)], 16, 16),
        ([("batch",)], BLOCK_ROWS, None),
    ],
    ids=str,
)
def test_blocks_follow_from_the_signature(shapes: list[tuple[Any, ...]], rows: int, batch: int | None) -> None:
    specs = tuple(TensorSpec(f"x{place}", "float32", shape) for place, shape in enumerate(shapes))
    blocks = blocks_of(Signature(specs, ()))
    assert (blocks.rows, blocks.batch) == (rows, batch)
    assert blocks.fed % rows == 0
    assert blocks.fed >= rows


@pytest.mark.parametrize("shapes", [[()], [(4, 1), (5, 1)], [(4, 1), ("batch", 1)], [], [(0, 3)]], ids=str)
def test_inputs_without_a_batch_in_common_are_refused(shapes: list[tuple[Any, ...]]) -> None:
    specs = tuple(TensorSpec(f"x{place}", "float32", shape) for place, shape in enumerate(shapes))
    with pytest.raises(BadInput):
        blocks_of(Signature(specs, ()))
