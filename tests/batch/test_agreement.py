"""What is said of a challenger while both models score."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlpack_edge.batch import agreement
from mlpack_edge.batch.agreement import Agreement, agreement_lines, agreement_report, exact_sum, merge_agreement
from mlpack_edge.batch.scoring.findings import Finding, found, no_findings

ROWS = 1000


def _outputs(seed: int = 3) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    first, second = generator.random((2, ROWS, 3)).astype(np.float32)
    second[:400] = first[:400]
    return {
        "label": pyarrow.array(np.array(["a", "b", "c"])[first.argmax(axis=1)]),
        "probabilities": _lists(first),
        "value": pyarrow.array(first[:, 0]),
        "challenger_label": pyarrow.array(np.array(["a", "b", "c"])[second.argmax(axis=1)]),
        "challenger_probabilities": _lists(second),
        "challenger_value": pyarrow.array(second[:, 0]),
    }


def _lists(values: Any) -> pyarrow.Array:
    return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(values.ravel()), values.shape[1])


def _state(outputs: dict[str, Any], cuts: list[int], accepted: Any = None) -> dict[str, Any]:
    """Over batches that end at `cuts`, through JSON."""
    collector = Agreement()
    kept = np.ones(ROWS, bool) if accepted is None else accepted
    for start, end in zip([0, *cuts], [*cuts, ROWS], strict=True):
        part = {name: array.slice(start, end - start) for name, array in outputs.items()}
        collector.update(None, part, found(end - start, [(Finding("type", "", ""), ~kept[start:end])]))
    return dict(json.loads(json.dumps(collector.state())))


def test_labels_are_counted_and_numbers_measured_against_numpy() -> None:
    outputs = _outputs()
    report = agreement_report(_state(outputs, []))
    found = {item["name"]: item for item in report["outputs"]}
    first, second = (np.asarray(outputs[name]) for name in ("label", "challenger_label"))
    assert (report["rows"], found["label"]["equal"]) == (ROWS, int((first == second).sum()))
    assert 0 < sum(flip["rows"] for flip in found["label"]["flips"]) == int((first != second).sum())
    flip = found["label"]["flips"][0]
    assert flip["rows"] == int(((first == flip["champion"]) & (second == flip["challenger"])).sum())
    for name in ("probabilities", "value"):
        sides = [outputs[prefix + name] for prefix in ("", "challenger_")]
        a, b = (np.asarray(s.flatten() if name == "probabilities" else s).astype(np.float64) for s in sides)
        assert found[name]["max_abs"] == np.abs(a - b).max()
        assert found[name]["mean_abs"] == pytest.approx(np.abs(a - b).mean(), rel=1e-14)
        assert found[name]["equal"] == 400


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, ROWS), max_size=4), st.lists(st.integers(0, ROWS), min_size=2, max_size=2),
)  # fmt: skip
def test_neither_batches_nor_shards_move_a_bit(batches: list[int], shards: list[int]) -> None:
    outputs = _outputs()
    whole = _state(outputs, [])
    assert _state(outputs, sorted(batches)) == whole
    low, high = sorted(shards)
    parts = []
    for start, end in ((0, low), (low, high), (high, ROWS)):
        collector = Agreement()
        part = {name: array.slice(start, end - start) for name, array in outputs.items()}
        collector.update(None, part, no_findings(end - start))
        parts.append(collector.state())
    left = merge_agreement(merge_agreement(parts[0], parts[1]), parts[2])
    right = merge_agreement(parts[0], merge_agreement(parts[1], parts[2]))
    assert left == right == whole


def test_rejected_rows_are_left_out() -> None:
    outputs = _outputs()
    accepted = np.arange(ROWS) < 400
    report = agreement_report(_state(outputs, [123], accepted))
    assert [item["share"] for item in report["outputs"]] == [1.0, 1.0, 1.0]
    assert report["rows"] == 400


def test_a_shard_without_rows_joins_any_other() -> None:
    whole = _state(_outputs(), [])
    assert merge_agreement(Agreement().state(), whole) == whole == merge_agreement(whole, Agreement().state())
    empty = {name: array.slice(0, 0) for name, array in _outputs().items()}
    collector = Agreement()
    collector.update(None, empty, no_findings(0))
    assert merge_agreement(collector.state(), whole) == whole
    assert agreement_lines(agreement_report(collector.state())) == [
        "label: equal in 0 of 0 rows", "probabilities: equal in 0 of 0 rows", "value: equal in 0 of 0 rows",
    ]  # fmt: skip


def test_outputs_of_other_types_or_widths_are_said_to_be_incomparable() -> None:
    outputs = _outputs()
    outputs["challenger_label"] = pyarrow.array(np.zeros(ROWS, np.int64))
    outputs["challenger_probabilities"] = _lists(np.zeros((ROWS, 2), np.float32))
    report = agreement_report(_state(outputs, [500]))
    assert [item["kind"] for item in report["outputs"]] == ["different", "different", "numbers"]
    assert "text" in agreement_lines(report)[0] and "x 2" in agreement_lines(report)[1]


def test_more_kinds_of_flips_than_are_named_are_still_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "MOST_FLIPS", 2)
    outputs = _outputs()
    whole = _state(outputs, [])
    assert _state(outputs, [10, 20, 30]) == whole
    found = agreement_report(whole)["outputs"][0]
    assert found["flips"] is None and found["equal"] < ROWS


@settings(max_examples=200, deadline=None)
@given(arrays.arrays(np.float64, st.integers(0, 40), elements=st.floats(0, allow_nan=False, allow_infinity=False)))
def test_the_sum_is_exact_for_any_floats(values: Any) -> None:
    expected = sum((Fraction(float(value)) for value in values), Fraction(0))
    assert Fraction(exact_sum(values), 1 << 1074) == expected


def test_labels_that_look_like_a_separator_stay_apart() -> None:
    collector = Agreement()
    a, b = pyarrow.array(["1:a", "", "x"]), pyarrow.array(["", "1:a", "x"])
    collector.update(None, {"label": a, "challenger_label": b}, no_findings(3))
    flips = agreement_report(collector.state())["outputs"][0]["flips"]
    assert {(flip["champion"], flip["challenger"]) for flip in flips} == {("1:a", ""), ("", "1:a")}
