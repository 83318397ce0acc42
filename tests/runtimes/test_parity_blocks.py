"""Rows run in blocks give the report of rows run together; models to which that would matter are run on all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.core.errors import CheckFailed
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.compare import Tolerance
from mlpack_edge.runtimes.parity import RowGroup, RowsRefused, check_parity, in_blocks

SIGNATURE = Signature((TensorSpec("x", "float64", ("batch", 3)),), (TensorSpec("y", "float64", ("batch",)),))
ROWS = np.random.default_rng(3).normal(size=(50, 3))


class Model:
    """A function of all the rows it is given together; sizes: of the batches that it was run on."""

    signature = SIGNATURE

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.sizes: list[int] = []

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        self.sizes.append(len(feeds["x"]))
        return {"y": np.asarray(self.function(feeds["x"]))}


def _pairs(x: Any) -> Any:
    if len(x) % 2:
        raise RowsRefused("rows come in pairs")
    return x.sum(axis=1)


def _report(reference: Callable[[Any], Any], candidate: Callable[[Any], Any], block: int | None) -> Any:
    def tolerance(role: str, array: Any) -> Tolerance:
        return Tolerance(1e-3, 1e-3 * float(np.median(np.abs(array))))

    group = RowGroup("data", {"x": ROWS}, must_run=True, start=7, excusable=0.1, block=block)
    return check_parity(Model(reference), Model(candidate), [group], tolerance)


@pytest.mark.parametrize("block", [1, 2, 7, 10, 49, 50, 80])
def test_the_report_is_that_of_all_rows_together(block: int) -> None:
    def reference(x: Any) -> Any:
        return np.sin(x).sum(axis=1)

    def candidate(x: Any) -> Any:
        return np.sin(x).sum(axis=1) * np.where(x[:, 0] > 1.5, 1.01, 1.000001)

    whole = _report(reference, candidate, None)
    assert whole.outputs[0].max_abs > 0
    assert _report(reference, candidate, block).to_json() == whole.to_json()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x - x.mean(axis=0),  # of all rows, a part for each
        lambda x: x.mean(axis=0),
        lambda x: x.sum(),
        lambda x: x.sum(axis=0, keepdims=True),
        _pairs,
    ],
    ids=["centred", "mean", "number", "one row", "pairs"],
)
@pytest.mark.parametrize("block", [1, 2, 10, 25])
def test_models_that_mix_rows_agree_with_themselves(function: Callable[[Any], Any], block: int) -> None:
    report = _report(function, function, block)
    assert all(facts.max_abs == 0 for facts in report.outputs) and report.outputs


def test_where_only_one_of_the_two_can_be_run_in_blocks_neither_is() -> None:
    """The candidate takes pairs alone, and both subtract the mean of the rows they see together."""

    def centred(x: Any) -> Any:
        return (x - x.mean(axis=0)).sum(axis=1)

    def in_pairs(x: Any) -> Any:
        if len(x) % 2:
            raise CheckFailed("the candidate stopped", why="rows come in pairs")
        return centred(x)

    assert _report(centred, in_pairs, 7).outputs[0].max_abs == 0
    assert _report(in_pairs, centred, 7).outputs[0].max_abs == 0


@given(rows=st.integers(1, 60), block=st.integers(1, 60))
def test_blocks_are_of_about_the_size_asked_for_and_the_last_is_told_apart(rows: int, block: int) -> None:
    model = Model(lambda x: x.sum(axis=1))
    feeds = {"x": np.arange(3.0 * rows).reshape(rows, 3)}
    made = in_blocks(model, feeds, block)
    if made is None:
        assert rows <= block or rows <= 6
        return
    np.testing.assert_array_equal(made["y"], feeds["x"].sum(axis=1))
    assert sum(model.sizes) == rows and len({*model.sizes[:-1]}) == 1
    assert model.sizes[-1] < model.sizes[0] <= max(block, 7)


def test_an_output_of_the_size_of_a_block_is_no_part_of_each_row() -> None:
    assert in_blocks(Model(lambda x: np.ones(10)), {"x": ROWS}, 10) is None
    assert in_blocks(Model(lambda x: np.ones(1)), {"x": ROWS}, 1) is None


def test_a_refusal_is_that_of_the_rows_together() -> None:
    def never(x: Any) -> Any:
        raise RowsRefused(f"{len(x)} rows")

    group = RowGroup("data", {"x": ROWS}, block=10)
    with pytest.raises(Exception, match="takes none of the rows") as refusal:
        check_parity(Model(never), Model(never), [replace(group)], lambda role, array: Tolerance(0, 0))
    assert getattr(refusal.value, "why", "")


STATED = Signature(
    (TensorSpec("h", "float64", (2, "batch", 3)), TensorSpec("x", "float64", ("batch", 3))),
    (TensorSpec("y", "float64", ("batch",)),),
)
TABLED = Signature((TensorSpec("t", "float64", (2, 3)), *SIGNATURE.inputs), SIGNATURE.outputs)


def test_rows_are_those_of_the_open_batch_where_a_state_comes_first() -> None:
    class Recurrent(Model):
        signature = STATED

        def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
            assert feeds["h"].shape == (2, 50, 3), "the state goes whole"
            return {"y": (feeds["h"].sum(axis=0) + feeds["x"]).sum(axis=1)}

    feeds = {"h": np.ones((2, 50, 3)), "x": ROWS}
    recurrent = Recurrent(len)
    report = check_parity(recurrent, recurrent, [RowGroup("data", feeds)], lambda *_: Tolerance(0.0, 0.0))
    assert report.rows == 50 and report.groups == {"data": 50}


def test_blocks_cut_the_rows_and_no_table_beside_them() -> None:
    class Table(Model):
        signature = TABLED

        def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
            assert feeds["t"].shape == (2, 3)
            self.sizes.append(len(feeds["x"]))
            return {"y": (feeds["x"] @ feeds["t"].T).sum(axis=1)}

    model, feeds = Table(len), {"t": np.ones((2, 3)), "x": ROWS}
    made = in_blocks(model, feeds, 20)
    assert made is not None and len(model.sizes) == 3
    np.testing.assert_allclose(made["y"], 2 * ROWS.sum(axis=1))
