"""Texts become the index of their category and labels come back from theirs; nothing is coded that is no text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.core.errors import BadInput, CheckFailed
from mlpack_edge.runtimes.category_codes import MISSING, UNKNOWN, codes_from_text, labels_from_codes

TABLES = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=9, unique=True)


@given(TABLES, st.data())
def test_codes_lead_back_to_the_texts(table: list[str], data: st.DataObject) -> None:
    texts = np.array(data.draw(st.lists(st.sampled_from(table), min_size=1)), object)
    codes = codes_from_text(texts, table)
    assert codes.dtype == np.int64
    assert labels_from_codes(codes, table).tolist() == texts.tolist()


@given(TABLES, st.lists(st.text(max_size=4)))
def test_every_text_is_a_category_unknown_or_missing(table: list[str], values: list[str]) -> None:
    codes = codes_from_text(np.array(values, object), table)
    for value, code in zip(values, codes.tolist(), strict=True):
        assert code == (table.index(value) if value in table else MISSING if value == "" else UNKNOWN)


def test_a_missing_text_that_is_a_category_has_its_code() -> None:
    assert codes_from_text(np.array([["", "b"], ["a", "?"]], object), ("a", "")).tolist() == [[1, -1], [0, -1]]


@pytest.mark.parametrize("value", [None, np.nan, 1, b"a"])
def test_values_that_are_no_text_are_refused(value: object) -> None:
    with pytest.raises(BadInput, match="is no text"):
        codes_from_text(np.array(["a", value], object), ("a",))


def test_categories_that_are_numbers_are_not_matched_with_texts() -> None:
    with pytest.raises(BadInput, match="the category 1 is no text"):
        codes_from_text(np.array(["1"], object), (1, 2))


@pytest.mark.parametrize("code", [-1, 2])
def test_a_code_without_a_class_is_an_error(code: int) -> None:
    with pytest.raises(CheckFailed, match=f"label code {code}, and there are 2 classes"):
        labels_from_codes(np.array([0, code]), ("a", "b"))
