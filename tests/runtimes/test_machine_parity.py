"""What one file gave on two machines: bits, tolerances, labels, rows that have no stable answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlpack_edge.core.errors import CheckFailed
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.compare import Tolerance, judge
from mlpack_edge.runtimes.machine_parity import (
    Answers,
    MachineReport,
    Recorded,
    compare_machines,
    refuse_other_tensors,
)
from mlpack_edge.runtimes.parity import RowGroup

Array = NDArray[Any]


class Net:
    """Probabilities of two classes by a logistic curve, float32, with or without the label of the higher one."""

    def __init__(self, labels: bool = False, role: str = "probabilities") -> None:
        outputs = (TensorSpec("p", "float32", ("batch", 2), role),)
        if labels:
            outputs = (TensorSpec("label", "int64", ("batch",), "label"), *outputs)
        self.signature = Signature((TensorSpec("x", "float32", ("batch", 1)),), outputs)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        high = 1 / (1 + np.exp(-feeds["x"][:, 0].astype(np.float32)))
        made = {"p": np.stack([1 - high, high], axis=1).astype(np.float32)}
        made["label"] = made["p"].argmax(axis=1)
        return {spec.name: made[spec.name] for spec in self.signature.outputs}


ROWS = {"x": np.linspace(-3, 3, 21, dtype=np.float32).reshape(-1, 1) + np.float32(0.01)}


def _report(net: Net, there: Mapping[str, Array], excusable: float = 0.0, feeds: Any = None) -> MachineReport:
    group = RowGroup("ordinary", feeds or ROWS, excusable=excusable)
    here = net.run(group.feeds)
    recorded = [Recorded(group, Answers(here, here), Answers(there, there))]
    return compare_machines(net, recorded, lambda role, array: Tolerance(1e-4, 1e-5))


def _changed(net: Net, row: int, change: Any, name: str = "p") -> dict[str, Array]:
    made = {key: array.copy() for key, array in net.run(ROWS).items()}
    made[name][row] = change(made[name][row])
    return made


def test_the_same_bits_are_said_to_be_the_same() -> None:
    report = _report(Net(), Net().run(ROWS))
    document = report.to_json()
    assert document["bit_identical"] and document["different"] == 0
    assert (document["rows"], document["values"]) == (21, 42)
    assert [output["name"] for output in document["outputs"]] == ["p"]
    assert judge(report.parity.outputs).passed


def test_one_rounding_is_counted_and_passes() -> None:
    there = _changed(Net(), 4, lambda p: np.nextafter(p, np.float32(2)))
    report = _report(Net(), there)
    (output,) = report.to_json()["outputs"]
    assert (output["different"], output["max_ulp"], output["label_flips"]) == (2, 1, 0)
    assert not report.is_bit_identical and judge(report.parity.outputs).passed


def test_a_number_beyond_the_tolerance_fails() -> None:
    report = _report(Net(), _changed(Net(), 4, lambda p: p + np.float32(0.01)))
    verdict = judge(report.parity.outputs)
    assert not verdict.passed and "row 4 of the ordinary rows" in verdict.reasons[0]


def test_nan_against_a_number_fails_and_nan_on_both_sides_does_not() -> None:
    there = _changed(Net(), 4, lambda p: p * np.float32(np.nan))
    report = _report(Net(), there)
    assert report.bits["p"].one_sided_nan == 2
    assert not judge(report.parity.outputs).passed
    both = {"x": np.array([[np.nan], [1.0]], np.float32)}
    assert _report(Net(), Net().run(both), feeds=both).is_bit_identical


def test_without_a_label_the_highest_column_counts_as_one() -> None:
    """Half a thousandth moves the label of a row at the border, though every number is within a tolerance of 0.1."""
    net, group = Net(), RowGroup("data", {"x": np.array([[0.001], [2.0]], np.float32)})
    here = net.run(group.feeds)
    there = {"p": here["p"][:, ::-1].copy()}
    there["p"][1] = here["p"][1]
    recorded = [Recorded(group, Answers(here, here), Answers(there, there))]
    report = compare_machines(net, recorded, lambda role, array: Tolerance(0.1, 0.1))
    (output,) = report.to_json()["outputs"]
    assert output["label_flips"] == 1 and output["name"] == "p"
    verdict = judge(report.parity.outputs)
    assert verdict.reasons[0].startswith("output 'highest column of p': 1 of 2 labels differ")


def test_with_a_label_the_label_alone_counts() -> None:
    there = _changed(Net(labels=True), 4, lambda label: 1 - label, "label")
    report = _report(Net(labels=True), there)
    by_name = {output["name"]: output for output in report.to_json()["outputs"]}
    assert by_name["label"]["label_flips"] == 1 and by_name["label"]["max_steps"] is None
    assert by_name["p"]["label_flips"] is None
    assert not judge(report.parity.outputs).passed


def test_numbers_without_a_role_have_no_labels() -> None:
    (output,) = _report(Net(role=""), Net(role="").run(ROWS)).to_json()["outputs"]
    assert output["label_flips"] is None


class Edge(Net):
    """A step at 1: one rounding of the input is the whole answer."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        high = (feeds["x"][:, 0] > np.float32(1)).astype(np.float32)
        made = {"p": np.stack([1 - high, high], axis=1), "label": high.astype(np.int64)}
        return {spec.name: made[spec.name] for spec in self.signature.outputs}


@pytest.mark.parametrize("labels", [False, True])
def test_a_row_where_the_file_itself_moves_as_much_is_counted_apart(labels: bool) -> None:
    """The other machine is held to what this one gives a rounding beside the row; only where rows may be excused."""
    net = Edge(labels)
    feeds = {"x": np.array([[1.0], *[[3.0]] * 30], np.float32)}
    there = {name: array.copy() for name, array in net.run(feeds).items()}
    there["p"][0] = [0, 1]
    if labels:
        there["label"][0] = 1
    excused = _report(net, there, 0.1, feeds)
    assert excused.parity.ill_conditioned == 1 and judge(excused.parity.outputs).passed
    assert excused.bits["p"].different == 2, "the bits are told all the same"
    assert not judge(_report(net, there, 0.0, feeds).parity.outputs).passed


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({"y": np.zeros((3, 1), np.float32)}, "float32 [3, 2] here, float32 [3, 1] there, on the data rows"),
        ({"y": np.zeros((3, 2), np.float64)}, "float32 [3, 2] here, float64 [3, 2] there"),
        ({"y": np.full((3, 2), "a", object)}, "text [3, 2] there"),
        ({}, "nothing there"),
        ({"y": np.zeros((3, 2), np.float32), "z": np.zeros(1)}, "nothing here, float64 [1] there"),
    ],
)
def test_another_tensor_is_refused_before_anything_is_compared(there: dict[str, Array], said: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        refuse_other_tensors([{"y": np.zeros((3, 2), np.float32)}], [there], "data")
    assert said in caught.value.why
