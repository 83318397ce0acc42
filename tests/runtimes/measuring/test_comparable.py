"""Which results may stand side by side."""

from __future__ import annotations

from typing import Any

import pytest

from mlpack_edge.runtimes.measuring.comparable import notes, why_not_comparable
from mlpack_edge.runtimes.measuring.result import BenchResult
from tests.runtimes.measuring.simulated import MACHINE, launch, result


def _on(machine: dict[str, Any] | None = None, **fields: Any) -> BenchResult:
    launches = [launch([[5]], None, number) for number in (0, 1)] if "instructions" not in fields else []
    return result(launches, **{"environment": {**MACHINE, **(machine or {})}, **fields})


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (_on({"cpu": "Cortex-A76"}), "CPU Cortex-A72 against Cortex-A76"),
        (_on({"cpu": None}), "CPU Cortex-A72 against unknown"),
        (_on({"arch": "armv7l"}), "architecture aarch64 against armv7l"),
        (_on({"emulated": "qemu-user"}), "emulation none against qemu-user"),
        (_on({"machine_id": "another"}), "measured on different machines"),
        (_on({"machine_id": None}), "not both say which machine they were measured on"),
        (_on(target="ssh://pi@board"), "target local against ssh"),
        (_on(threads=2), "threads 1 against 2"),
        (_on(batch=8), "batch 1 against 8"),
        (_on(instructions={"total": 5}), "of net.onnx there is time, of net.onnx instructions"),
    ],
)
def test_results_that_are_not_compared(other: BenchResult, why: str) -> None:
    assert why_not_comparable(_on(), other) == why


def test_all_that_differs_is_said_at_once() -> None:
    assert why_not_comparable(_on(), _on({"cpu": "x"}, batch=2)) == "CPU Cortex-A72 against x; batch 1 against 2"


def test_the_same_machine_under_another_host_name_is_the_same() -> None:
    assert why_not_comparable(_on(target="ssh://pi@board"), _on(target="ssh://pi@10.0.0.7:22")) is None


def test_two_results_without_a_machine_may_be_of_two() -> None:
    assert why_not_comparable(_on({"machine_id": None}), _on({"machine_id": None})) is not None


def test_counts_do_not_depend_on_who_emulates_but_on_what() -> None:
    def counted(machine: str, board: str) -> BenchResult:
        return _on({"machine_id": machine}, instructions={"total": 5}, target=f"emulated:{board}")

    assert why_not_comparable(counted("a", "pi4"), counted("b", "pi4")) is None
    assert why_not_comparable(counted("a", "pi4"), counted("a", "pi5")) == "target emulated:pi4 against emulated:pi5"


@pytest.mark.parametrize(
    ("other", "note"),
    [
        (_on({"governor": "performance"}), "frequency governor ondemand against performance"),
        (_on({"kernel": "6.12"}), "kernel 6.6 against 6.12"),
        (_on({"python": "3.12.1"}), "Python 3.11.7 against 3.12.1"),
        (
            _on({"runtime": {"name": "onnxruntime", "version": "1.32.0"}}),
            "runtime onnxruntime 1.31.1 against onnxruntime 1.32.0",
        ),
        (_on(io="run"), "io binding against run"),
        (_on(input_digest="99" * 32), "inputs differ: digest cdcdcdcdcdcd against 999999999999"),
        (_on({"throttled": True}), "net.onnx ran while the machine was throttled"),
        (_on({"throttled": "0x50005"}), "net.onnx ran while the machine was throttled"),
        (_on({"throttled": "3 became 4"}), "net.onnx ran while the machine was throttled"),
        (_on({"throttled": "severe"}), "net.onnx ran while the machine was throttled"),
        (_on({"runtime": None}), "runtime onnxruntime 1.31.1 against unknown"),
    ],
)
def test_what_is_noted_and_compared_all_the_same(other: BenchResult, note: str) -> None:
    assert why_not_comparable(_on(), other) is None
    assert notes(_on(), other) == (note,)


@pytest.mark.parametrize("said", [None, False, "0", "12", "0x0", "0x50000"])
def test_a_machine_that_was_throttled_before_or_never_was_not_while_it_measured(said: object) -> None:
    """Counters and a Raspberry Pi's upper bits are of the time since boot."""
    assert notes(_on({"throttled": said}), _on({"throttled": said})) == ()


def test_spinning_is_noted_where_both_say_it() -> None:
    """A target that cannot tell says nothing."""
    assert notes(_on(spinning=False), _on(spinning=True)) == ("spinning False against True",)
    assert notes(_on(spinning=None), _on(spinning=True)) == ()


def test_two_formats_have_two_runtimes_and_two_inputs_and_that_is_no_news() -> None:
    other = _on(
        {"runtime": {"name": "litert", "version": "2.3.0"}}, format="tflite", io="invoke", input_digest="99" * 32
    )
    assert why_not_comparable(_on(), other) is None
    assert notes(_on(), other) == ()


def test_weak_results_are_named() -> None:
    unsettled = result([launch([[5]], None, number, settled=number > 0) for number in (0, 1, 2)], model="b.onnx")
    assert notes(_on(), unsettled) == ("b.onnx had not settled after warming up in 1 of 3 launches",)
    assert notes(_on(), result(model="c.onnx")) == ("c.onnx is unstable: no sample",)
