"""What a first pass keeps is the same wherever batches end, bounded, and like the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.arrays.counting import Coded
from mlpack_edge.profiles.reference.cells_of import numeric_feature, text_feature
from mlpack_edge.profiles.reference.samples import SAMPLED, TEXTS, NumberSample, TextCounts, row_hashes
from mlpack_edge.profiles.reference.slots import Slot
from mlpack_edge.profiles.spec import Categorical, Presence, Source

SLOT = Slot(Source("x", "input"), False)


def _sample(values: np.ndarray[tuple[int], np.dtype[np.float64]], batch: int) -> NumberSample:
    sample, hashes = NumberSample(), row_hashes(0, len(values))
    for start in range(0, len(values), batch):
        sample.update(values[start : start + batch], hashes[start : start + batch])
    return sample


@given(st.integers(0, 2**40), st.integers(1, 50))
def test_the_hash_of_a_row_is_its_own(first: int, rows: int) -> None:
    assert row_hashes(first, rows)[-1] == row_hashes(first + rows - 1, 1)[0]


def test_all_values_are_kept_as_long_as_they_are_few() -> None:
    values = np.random.default_rng(1).normal(size=SAMPLED)
    assert (_sample(values, 1000).values == values).all()


def test_of_many_a_fixed_number_is_kept_whatever_the_batches() -> None:
    values = np.random.default_rng(1).normal(size=5 * SAMPLED)
    values[::7] = np.nan
    large, small = _sample(values, 300_000).values, _sample(values, 10_007).values
    assert len(large) == SAMPLED
    assert (large == small).all()
    for share in (0.001, 0.1, 0.5, 0.999):
        split = np.quantile(large, share)
        assert abs((values[~np.isnan(values)] < split).mean() - share) < 0.005


def test_few_distinct_values_are_all_there_however_rare() -> None:
    values = np.zeros(3 * SAMPLED)
    values[12345] = 7.0
    assert set(_sample(values, 50_000).values) == {0.0, 7.0}
    made = numeric_feature(SLOT, _sample(values, 50_000))
    cells = np.searchsorted(made.edges, [0.0, 7.0], side="right")  # type: ignore[union-attr]
    assert cells[0] != cells[1]


def test_a_column_without_a_number_is_presence() -> None:
    made = numeric_feature(SLOT, _sample(np.full(10, np.nan), 10))
    assert isinstance(made, Presence) and "no finite number" in made.note


def _texts(values: list[object]) -> TextCounts:
    seen = TextCounts()
    distinct = list(dict.fromkeys(values))
    codes = np.array([-1 if value is None else distinct.index(value) for value in values], np.int64)
    seen.update(Coded(codes, distinct))
    return seen


def test_what_has_no_text_is_missing_and_not_present() -> None:
    seen = TextCounts()
    seen.update(Coded(np.array([0, 0, 1, -7, 2]), [None, "a", float("nan")]))
    assert (seen.present, seen.missing, seen.counts) == (1, 4, {"a": 1})


@pytest.mark.parametrize(("dtype", "values"), [(np.int8, 128), (np.uint8, 256)])
def test_codes_as_narrow_as_they_can_be_are_all_seen(dtype: type[np.integer], values: int) -> None:
    seen = TextCounts()
    seen.update(Coded(np.arange(values).astype(dtype), [f"v{place}" for place in range(values)]))
    assert (seen.present, seen.missing, len(seen.counts or {})) == (values, 0, values)


def test_a_code_beyond_the_dictionary_is_refused() -> None:
    with pytest.raises(BadInput, match="code 2 into a dictionary of 2"):
        TextCounts().update(Coded(np.array([0, 2]), ["a", "b"]))


def test_frequent_categories_come_first_and_the_models_own_are_known() -> None:
    slot = Slot(Source("c", "input"), True, ("z", "a"), True)
    made = text_feature(slot, _texts(["b"] * 600 + ["a"] * 399 + ["r"] + [None]))
    assert isinstance(made, Categorical)
    assert made.categories == ("b", "a") and made.known == ("r", "z")


def test_numbers_as_categories_are_looked_up_as_texts() -> None:
    made = text_feature(SLOT, _texts([1, 1, 2.5]))
    assert isinstance(made, Categorical) and set(made.categories) == {"1", "2.5"}


def test_a_declared_category_of_too_many_values_is_not_called_an_identifier() -> None:
    slot = Slot(Source("c", "output"), True, tuple(str(number) for number in range(1000)), True)
    made = text_feature(slot, _texts(["1", "2"]))
    assert isinstance(made, Presence) and made.note == "a category of 1,000 values, more than the 500 that a spec holds"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([f"id {number}" for number in range(40)], "most of its values come once"),
        ([f"id {number}" for number in range(600)] * 3, "600 values differ"),
        ([f"id {number}" for number in range(TEXTS + 1)], "tens of thousands"),
        (["word " * 3000, "other " * 3000], "its values are long"), ([None, None], "no value"),
    ],
)  # fmt: skip
def test_identifiers_and_free_text_leave_no_text_behind(values: list[object], said: str) -> None:
    made = text_feature(SLOT, _texts(values))
    assert isinstance(made, Presence) and said in made.note
