"""What people read of a quantization of which nothing was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlpack_edge.cli.quantize_latency import _left
from mlpack_edge.cli.quantize_text import candidates_text, quantize_text


def test_a_table_without_a_winner_still_says_what_was_lost_and_what_the_float_model_takes() -> None:
    slower: dict[str, Any] = {
        "label": "static U8S8", "bytes": 30_000, "metric": {"name": "accuracy", "drop": 0.002}, "verdict": "slower",
        "chosen": False, "broken": ["slower"], "flips": None,
        "latency": {"refused": None, "estimate": None, "ratio": 1.1, "after_ns": 88_000.0, "view": "isolated"},
    }  # fmt: skip
    document = {
        "float_ns": 80_000.0,
        "metric": None,
        "latency": None,
        "size": {"before": 100_000},
        "candidates": [slower],
    }
    head, float_row, _ = candidates_text(document).splitlines()
    assert "accuracy lost" in head and "80 us" in float_row


def _candidate(
    label: str, *broken: str, drop: float = 0.02, flips: float | None = 0.0, refused: str = ""
) -> dict[str, Any]:
    latency = {"refused": refused or None, "estimate": None, "ratio": None, "after_ns": None, "view": None}
    return {
        "label": label, "bytes": 30_000, "metric": {"name": "agreement", "drop": drop}, "verdict": "a long sentence",
        "chosen": False, "broken": list(broken), "flips": flips, "latency": latency if refused else None,
    }  # fmt: skip


def test_the_table_names_what_breaks_briefly_and_below_it_why_a_target_refuses() -> None:
    candidates = [
        _candidate("a", "max-drop", "slower"),
        _candidate("b", "max-drop", drop=0.031, flips=0.031),
        _candidate("c", "smaller", "max-size", "max-latency"),
        _candidate("d"),
        _candidate("e") | {"chosen": True},
        _candidate("f", "runs", refused="no kernel for LSTM"),
    ]
    lines = candidates_text({"float_ns": None, "size": {"before": 100_000}, "candidates": candidates}).splitlines()
    ends = [
        "loses too much (17 dB), slower",
        "loses too much (3.1 % of labels)",
        "not smaller, too large, not timed",
        "fits",
        "written",
    ]
    for line, end in zip(lines[2:], ends, strict=False):
        assert line.endswith(f"  {end}")
    assert lines[-1] == "f does not run: no kernel for LSTM"
    assert "a long sentence" not in "".join(lines)


def test_layers_that_compute_in_float_under_a_scheme_of_codes_are_told_without_verbose() -> None:
    def layer(operator: str, stored: bool) -> dict[str, Any]:
        return {"name": operator, "op_type": operator, "noise_db": None, "kept_float": False, "stored": stored}

    document: dict[str, Any] = {
        "output": None, "source": None, "float_ns": None, "size": {"before": 1}, "candidates": [], "scheme": "static", "kept_float": [],
        "layers": [layer("LSTM", True), layer("Gather", True), layer("LSTM", True), layer("Gemm", False)],
        "calibration": None, "recipe": None, "metric": None, "agreement": None, "parity": None,
        "time_limit": {"seconds": 300.0, "ended": False},
    }  # fmt: skip
    assert quantize_text(document, False).splitlines()[-1] == "3 layers compute in float (int8 weights): LSTM 2, Gather"
    assert "compute" not in quantize_text(document | {"scheme": "weights"}, False)


def test_a_paired_ratio_is_called_so_beside_the_median_it_may_contradict() -> None:
    latency = {"refused": None, "estimate": None, "ratio": 0.97, "after_ns": 52_500.0, "view": "experienced"}
    document = {
        "float_ns": 49_900.0, "size": {"before": 100_000}, "candidates": [_candidate("a") | {"latency": latency}]
    }  # fmt: skip
    assert "52.5 us, 0.97 of float (paired)" in candidates_text(document)


@pytest.mark.parametrize("left", [0, 2])
def test_cycles_that_leave_operators_out_are_of_the_npu_alone(left: int) -> None:
    estimate = {
        "cycles": 12_345, "cpu_operators": left, "left_on_cpu": [{"op": "SOFTMAX", "count": left, "reason": ""}] * bool(left)
    }  # fmt: skip
    latency = {"refused": None, "estimate": estimate, "ratio": None, "after_ns": None, "view": None}
    document = {"float_ns": None, "size": {"before": 100_000}, "candidates": [_candidate("a") | {"latency": latency}]}
    assert f"12,345 cycles{', NPU alone' if left else ''}  fits" in candidates_text(document)
    if left:
        said = _left(Path("a.tflite"), estimate)
        assert "2 operators (SOFTMAX)" in said and "of the NPU alone" in said
