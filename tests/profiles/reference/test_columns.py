"""A spec from columns: what its blocks counted is what the columns hold."""

import numpy as np
import pytest

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.arrays.counting import Coded, ColumnTally
from mlpack_edge.profiles.reference.blocks import Cutting
from mlpack_edge.profiles.reference.columns import spec_from_columns
from mlpack_edge.profiles.spec import INPUT, OUTPUT, Categorical, Numeric
from mlpack_edge.profiles.spec_file import spec_from_bytes, spec_text

ROWS = 3_000
MODEL = "cd" * 32


def _columns(rng: np.random.Generator) -> dict[str, np.ndarray | Coded]:
    return {
        "x": np.where(rng.random(ROWS) < 0.05, np.nan, rng.normal(size=ROWS)),
        "kind": Coded(rng.integers(-1, 4, ROWS), ("a", "b", "c", "d")),
        "count": rng.integers(0, 9, ROWS),
    }


def test_a_spec_holds_the_reference_and_its_blocks_in_order_whatever_the_order_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    given, blocks = _columns(rng), rng.permutation(np.repeat([7, 3, 5], [1_500, 500, 1_000]))
    outputs, sure = {"score": rng.random(ROWS)}, rng.dirichlet([1, 1], ROWS)
    spec = spec_from_columns(
        given, blocks, Cutting("day", "when"), model_sha256=MODEL, outputs=outputs, probabilities=sure
    )
    assert [(one.source.name, one.source.role, type(one)) for one in spec.features] == [
        ("x", INPUT, Numeric), ("kind", INPUT, Categorical), ("count", INPUT, Numeric), ("score", OUTPUT, Numeric),
    ]  # fmt: skip
    whole = ColumnTally(spec)
    whole.add(given, outputs, rows=ROWS, probabilities=sure)
    reference = spec.reference
    assert reference.counts == tuple(whole.counts.tolist()) and reference.sums == whole.sums
    assert (reference.blocks.first, reference.blocks.last, reference.blocks.rows) == ("3", "7", (500, 1_000, 1_500))
    assert spec.confidence and spec_from_bytes(spec_text(spec).encode()) == spec


def test_counts_and_sums_of_a_tally_are_those_of_its_profile_and_no_way_into_it() -> None:
    rng = np.random.default_rng(1)
    given = _columns(rng)
    tally = ColumnTally(spec_from_columns(given, np.arange(ROWS) // 500, Cutting("rows", ""), model_sha256=MODEL))
    tally.add(given, rows=ROWS)
    seen = tally.counts
    seen[:] = 0
    assert tally.counts.sum() == ROWS * 4  # three features and how rows ended
    assert len(tally.sums) == 2 and tally.sums != (0, 0)


def test_rows_of_few_devices_make_the_mean_grow() -> None:
    rng = np.random.default_rng(2)
    of = rng.integers(0, 10, ROWS)
    x = rng.normal(size=ROWS) + rng.normal(size=10)[of]
    devices = Coded(of, [f"d{at}" for at in range(10)])
    spec = spec_from_columns({"x": x}, np.arange(ROWS) // 500, Cutting("rows", ""), model_sha256=MODEL, devices=devices)
    assert spec.reference.devices == 10 and spec.reference.learned["x"].between_devices > 30


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"x": np.zeros(5)}, "'x' has 5 rows"),
        ({"x": np.array(["a"] * ROWS)}, "array of <U1"),
        ({"x": np.zeros((ROWS, 2))}, r"array of float64 \[3000, 2\]"),
        ({"latency": np.zeros(ROWS)}, "'latency' is there twice, or is a profile's own"),
        ({"score": np.zeros(ROWS)}, "'score' is there twice"),
    ],
)
def test_what_is_no_table_is_refused(change: dict[str, np.ndarray], said: str) -> None:
    given = _columns(np.random.default_rng(3)) | change
    with pytest.raises(BadInput, match=said):
        spec_from_columns(
            given, np.zeros(ROWS, int), Cutting("rows", ""), model_sha256=MODEL, outputs={"score": np.zeros(ROWS)}
        )


def test_no_rows_and_devices_or_probabilities_of_other_rows_are_refused() -> None:
    with pytest.raises(BadInput, match="no rows"):
        spec_from_columns({"x": np.zeros(0)}, np.zeros(0, int), Cutting("rows", ""), model_sha256=MODEL)
    with pytest.raises(BadInput, match="devices of 2 rows"):
        spec_from_columns(
            {"x": np.zeros(3)}, np.zeros(3, int), Cutting("rows", ""), model_sha256=MODEL,
            devices=Coded(np.zeros(2, int), ("d",)),
        )  # fmt: skip
    for wrong in (2, 4):
        with pytest.raises(BadInput, match=f"probabilities of {wrong} rows"):
            spec_from_columns(
                {"x": np.zeros(3)},
                np.zeros(3, int),
                Cutting("rows", ""),
                model_sha256=MODEL,
                probabilities=np.ones((wrong, 2)),
            )
