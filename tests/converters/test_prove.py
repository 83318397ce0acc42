"""What a proof asks for: columns judged each by its own size, whole numbers exactly, as many rows as promised."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpack_edge.converters.prove import Allowed, prove
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.data import Table
from mlpack_edge.runtimes.parity import RowsRefused
from mlpack_edge.runtimes.rows import Hints


class Model:
    """A function of X [batch, 2] as a model."""

    def __init__(self, function: Any, dtype: str = "float64", shape: tuple[int | str, ...] = ("batch", 2)) -> None:
        self.function = function
        output = TensorSpec("y", dtype, shape, "value")
        self.signature = Signature((TensorSpec("X", "float64", ("batch", 2)),), (output,))

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        return {"y": self.function(feeds["X"])}


def _passes(reference: Model, candidate: Model, family: str = "tabular") -> bool:
    return prove(reference, candidate, Hints(), None, 1000, Allowed(family), lambda feeds: None).verdict.passed


@pytest.mark.parametrize("family", ["tabular", "net"])
def test_a_small_column_beside_a_big_one_counts(family: str) -> None:
    def wide(x: Any) -> Any:
        return np.stack([1e9 + x[:, 0], np.tanh(x[:, 1])], axis=1)

    def wrong(x: Any) -> Any:
        return np.stack([1e9 + x[:, 0], 1 - np.tanh(x[:, 1])], axis=1)

    assert _passes(Model(wide), Model(wide), family)
    assert not _passes(Model(wide), Model(wrong), family)


def test_ids_are_whole_numbers_and_exact() -> None:
    ids = Model(lambda x: 20_000 + (x[:, 0] > 0), "int64", ("batch",))
    next_ids = Model(lambda x: 20_001 + (x[:, 0] > 0), "int64", ("batch",))
    assert _passes(ids, ids, "net")
    assert not _passes(ids, next_ids, "net")


def test_fewer_rows_than_asked_for_is_no_proof() -> None:
    def picky(x: Any) -> Any:
        if (x[:, 0] > -1).any():
            raise RowsRefused("only small numbers")
        return x

    with pytest.raises(BadInput, match="1000 were asked for") as caught:
        _passes(Model(picky), Model(lambda x: x))
    assert "--data" in caught.value.hint and "only small numbers" in caught.value.why


def test_a_column_of_a_net_near_zero_has_the_roundings_of_the_others() -> None:
    """A regression says what its columns are, and a small one counts for itself."""
    values = np.tile(np.array([[1.0, 1e-6]], np.float32), (40, 1))
    net, regression = (Allowed("net").tolerance(role, values).atol for role in ("", "value"))
    assert np.asarray(net)[1] > 1e-8
    assert np.asarray(regression)[1] < 1e-10


def test_a_number_near_zero_is_no_small_column_where_there_is_one_row() -> None:
    """A net that is fixed to one row: its sums of 512 numbers differ by their rounding, not by their own size."""
    one, many = (np.tile(np.array([[1.0, 1.0, 1e-6]], np.float32), (rows, 1)) for rows in (1, 40))
    of_one, of_many = (np.asarray(Allowed("lowered").tolerance("", values).atol) for values in (one, many))
    assert of_one[2] == pytest.approx(10 * of_many[2])


def test_a_few_rows_without_a_stable_answer_do_not_spoil_a_proof_on_single_rows() -> None:
    """One row in 32 may be put down to itself; a net that takes one row at a time has its rows counted together."""

    def wild_within(width: float, moved: float) -> Model:
        model = Model(lambda x: np.where(np.abs(x) < width, np.sin(x * (1e20 + moved)), x))
        model.signature = Signature((TensorSpec("X", "float64", (1, 2)),), model.signature.outputs)
        return model

    assert _passes(wild_within(0.002, 0.0), wild_within(0.002, 1e6))
    with pytest.raises(BadInput, match="1000 were asked for"):
        _passes(wild_within(0.1, 0.0), wild_within(0.1, 1e6))


def _seen(shape: tuple[int | str, ...], rows: int, family: str) -> list[int]:
    """The sizes in which a model is run on DATA of 8 KB a row."""
    sizes: list[int] = []
    width = 1000

    class Seen:
        signature = Signature(
            (TensorSpec("X", "float64", (*shape, width)),), (TensorSpec("y", "float64", (*shape,), "value"),)
        )

        def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
            sizes.append(len(feeds["X"]))
            return {"y": feeds["X"].sum(axis=1)}

    data = Table(Path("rows.npy"), {}, {"": np.random.default_rng(0).normal(size=(rows, width))})
    proof = prove(Seen(), Seen(), Hints(), data, 1, Allowed(family), lambda feeds: None)
    assert proof.report.groups["data"] == rows
    return [size for size in sizes if size > 7]


def test_a_net_is_run_on_data_in_blocks_of_bounded_bytes_and_a_table_at_once() -> None:
    assert max(_seen(("batch",), 400, "net")) <= 33
    assert max(_seen(("batch",), 400, "tabular")) == 400
    assert max(_seen((16,), 400, "net")) == 400  # its runner cuts batches of 16 itself


@pytest.mark.parametrize(("first", "rows"), [("batch", 65), (16, 16)])
def test_the_first_step_to_diverge_is_looked_for_in_a_block_of_the_rows(first: int | str, rows: int) -> None:
    """The outputs of all steps on all rows may be hundreds of times the rows. The row is numbered as in the report."""
    values = np.random.default_rng(0).normal(size=(400, 1000)).astype(np.float32)
    values[333, 0] = 100.0
    specs = TensorSpec("X", "float32", (first, 1000)), TensorSpec("y", "float32", (first,))
    sizes: list[int] = []

    class Sum:
        signature = Signature(specs[:1], specs[1:])

        def __init__(self, factor: float) -> None:
            self.factor = factor

        def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
            return {"y": np.where(feeds["X"][:, 0] == 100, self.factor, 1) * feeds["X"].sum(axis=1)}

    def step_of(feeds: Mapping[str, Any]) -> dict[str, Any]:
        sizes.append(len(feeds["X"]))
        return {"step": "s", "row": int(feeds["X"][:, 0].argmax())}

    data = Table(Path("rows.npy"), {}, {"": values})
    proof = prove(Sum(1), Sum(2), Hints(), data, 1, Allowed("net"), step_of)
    assert not proof.verdict.passed and sizes == [rows]
    assert proof.report.outputs[0].worst is not None and proof.report.outputs[0].worst.row == 333
    assert proof.first_divergence == {"step": "s", "row": 333}
