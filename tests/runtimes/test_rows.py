"""Made rows go where conversions go wrong, and are the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.core.signature import MISSING_TEXT, Column, Signature, TensorSpec
from mlpack_edge.runtimes.rows import UNKNOWN_TEXT, ColumnHint, Hints, make_groups

MATRIX = Signature(
    (TensorSpec("X", "float32", ("batch", 2)),),
    (),
    (Column("a", "numeric", "X", 0, missing=True), Column("b", "numeric", "X", 1)),
)
EDGES = np.array([0.1, 1e9, -3.5])


def _groups(signature: Signature, hints: Hints | None = None, count: int = 1000) -> dict[str, dict[str, np.ndarray]]:  # type: ignore[type-arg]
    return {group.name: group.feeds for group in make_groups(signature, hints or Hints(), count)}


@given(st.integers(1, 3000))
def test_at_least_as_many_rows_as_asked_and_a_batch_of_one_and_none(count: int) -> None:
    groups = _groups(MATRIX, count=count)
    assert sum(len(feeds["X"]) for feeds in groups.values()) >= count
    assert len(groups["single"]["X"]) == 1 and len(groups["empty"]["X"]) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threshold_rows_lie_on_the_edge_and_one_unit_on_both_sides(dtype: str) -> None:
    signature = Signature((TensorSpec("X", dtype, ("batch", 1)),), (), (Column("a", "numeric", "X"),))
    rows = _groups(signature, Hints({("X", 0): ColumnHint(edges=EDGES)}))["threshold"]["X"]
    kind = np.dtype(dtype).type
    for edge in EDGES.astype(dtype):
        for value in (edge, np.nextafter(edge, kind(np.inf)), np.nextafter(edge, kind(-np.inf))):
            assert (rows == value).any(), (edge, value)


def test_missing_values_only_where_the_model_takes_them() -> None:
    rows = _groups(MATRIX)["missing"]["X"]
    assert np.isnan(rows[:, 0]).any() and not np.isnan(rows[:, 1]).any()
    assert np.isnan(rows[0, 0])


def test_extremes_go_a_thousand_million_times_out_and_stay_finite() -> None:
    rows = _groups(MATRIX)["extreme"]["X"]
    assert np.abs(rows).max() >= 1e9 and np.isfinite(rows).all()


def test_categories_unknown_ones_and_missing_text() -> None:
    signature = Signature(
        (TensorSpec("city", "string", ("batch", 1)),),
        (),
        (Column("city", "categorical", "city", 0, ("Köln", "Oslo"), missing=True),),
    )
    groups = _groups(signature)
    assert set(groups["ordinary"]["city"].ravel()) == {"Köln", "Oslo"}
    assert set(groups["unknown city"]["city"].ravel()) == {UNKNOWN_TEXT}
    assert MISSING_TEXT in groups["missing"]["city"]


def test_texts_of_every_script() -> None:
    signature = Signature((TensorSpec("note", "string", ("batch", 1)),), (), (Column("note", "text", "note"),))
    texts = "".join(_groups(signature)["unknown note"]["note"].ravel())
    assert all(letter in texts for letter in "éпテß🙂İ")


def test_nets_run_at_batch_1_2_7_and_sizes_that_vary() -> None:
    signature = Signature((TensorSpec("x", "int64", ("batch", "time")),), ())
    hints = Hints({("x", 0): ColumnHint(low=0, high=9)}, empty_batch=True)
    groups = list(make_groups(signature, hints, 100))
    assert [len(group.feeds["x"]) for group in groups[:4]] == [1, 2, 7, 0]
    assert len({group.feeds["x"].shape[1] for group in groups}) > 1
    assert max(group.feeds["x"].max() for group in groups if group.feeds["x"].size) == 9
    fixed = Signature((TensorSpec("x", "float32", (3, 4)),), ())
    assert {len(group.feeds["x"]) for group in make_groups(fixed, Hints(), 30)} == {3}


def test_the_same_rows_every_time() -> None:
    hints = Hints({("X", 0): ColumnHint(edges=EDGES)})
    for one, two in zip(make_groups(MATRIX, hints, 50), make_groups(MATRIX, hints, 50), strict=True):
        np.testing.assert_array_equal(one.feeds["X"], two.feeds["X"])
