"""Texts of Arrow as a model takes them, and tables of what follows from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.batch.scoring import text_tables
from mlpack_edge.batch.scoring.text_tables import STOPS, TextTable, objects
from mlpack_edge.batch.scoring.texts import text_faults, texts
from mlpack_edge.core.errors import CheckFailed

VALUES = ["", "a", "b\0c", "é", "日本", None, "a", None]
BAD = pa.Array.from_buffers(
    pa.string(), 3, [None, pa.array([0, 1, 3, 4], pa.int32()).buffers()[1], pa.py_buffer(b"a\xff\xfeb")]
)


def faults(array: pa.Array, missing: bool = False) -> list[str]:
    said = [""] * len(array)
    for rule, mask in text_faults(array, missing):
        for row in np.flatnonzero(mask):
            said[row] = said[row] or rule
    return said


def dictionary_with_null(values: list[str | None]) -> pa.Array:
    distinct = list(dict.fromkeys(values))
    return pa.DictionaryArray.from_arrays(pa.array([distinct.index(value) for value in values]), pa.array(distinct))


FORMS: dict[str, Any] = {
    "string": lambda values: pa.array(values, pa.string()),
    "large_string": lambda values: pa.array(values, pa.large_string()),
    "string_view": lambda values: pa.array(values, pa.string_view()),
    "dictionary": lambda values: pa.array(values, pa.string()).dictionary_encode(),
    "dictionary of large_string": lambda values: pa.array(values, pa.large_string()).dictionary_encode(),
    "null in the dictionary": dictionary_with_null,
    "slice": lambda values: pa.array(["?", *values, None], pa.string()).slice(1, len(values)),
    "slice of a dictionary": lambda values: pa.array(["?", *values, None]).dictionary_encode().slice(1, len(values)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_text_is_the_same(form: str) -> None:
    array = FORMS[form](VALUES)
    assert texts(array).tolist() == [value or "" for value in VALUES]
    assert faults(array) == ["missing" if value is None else "" for value in VALUES]
    assert faults(array, missing=True) == [""] * len(VALUES)
    codes, (table,) = TextTable(lengths).look_up(array)
    assert table[codes].tolist() == [[len(value or "")] for value in VALUES]


def test_nothing_known_is_missing() -> None:
    assert texts(pa.nulls(2)).tolist() == ["", ""]
    assert faults(pa.nulls(2)) == ["missing"] * 2
    codes, (table,) = TextTable(lengths).look_up(pa.nulls(2))
    assert table[codes].tolist() == [[0], [0]]


@pytest.mark.parametrize("coded", [False, True])
def test_text_that_is_no_utf8_is_named_row_by_row(coded: bool) -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([2, 1, 0, 1, None]), BAD) if coded else BAD
    assert faults(array, missing=True) == (["", "encoding", "", "encoding", ""] if coded else ["", "encoding", ""])
    assert texts(array).tolist() == (["b", "", "a", "", ""] if coded else ["a", "", "b"])


def lengths(values: Any) -> tuple[Any, ...]:
    return (np.array([[len(value)] for value in values], np.int64),)


@settings(deadline=None)
@given(st.lists(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=20), max_size=8))
def test_tables_give_each_row_what_its_text_gives_alone(batches: list[list[str | None]]) -> None:
    table = TextTable(lambda values: (*lengths(values), np.array([hash(value) % 7 for value in values], np.int32)))
    for values in batches:
        codes, (one, two) = table.look_up(pa.array(values, pa.string()))
        assert one[codes].tolist() == [[len(value or "")] for value in values]
        assert two[codes].tolist() == [hash(value or "") % 7 for value in values]


def test_texts_that_give_the_same_share_a_row_of_the_table() -> None:
    _, (table,) = TextTable(lengths).look_up(pa.array([f"{number:05d}" for number in range(1000)]))
    assert table.tolist() == [[0], [5]]


def test_a_table_that_forgets_still_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_tables, "REMEMBERED", 5)
    monkeypatch.setattr(text_tables, "COMPUTED", 3)
    asked: list[str] = []

    def compute(values: Any) -> tuple[Any, ...]:
        asked.extend(values)
        return lengths(values)

    table = TextTable(compute)
    for _ in range(3):
        for values in (["a", "bb", "ccc"], ["dddd", "a", "eeeee", "ffffff"]):
            codes, (made,) = table.look_up(pa.array(values))
            assert made[codes].ravel().tolist() == [len(value) for value in values]
    assert asked.count("a") > 1


def test_a_dictionary_at_the_address_of_an_earlier_one_is_another() -> None:
    table = TextTable(lengths)
    for round_ in range(200):
        values = ["x" * (round_ % 7), "y" * (round_ % 5)]
        codes, (made,) = table.look_up(pa.array(values).dictionary_encode())
        assert made[codes].ravel().tolist() == [len(value) for value in values]


def test_a_text_on_which_the_model_stops_is_in_no_table_and_spares_the_others() -> None:
    def compute(values: Any) -> tuple[Any, ...]:
        if "bad" in values:
            raise CheckFailed("no")
        return lengths(values)

    codes, (made,) = TextTable(compute).look_up(pa.array(["a", "bad", "ccc"]))
    assert codes[1] == STOPS
    assert made[codes[[0, 2]]].ravel().tolist() == [1, 3]


def test_objects_are_never_fixed_width_texts() -> None:
    assert objects(["a", "bb"]).dtype == object
