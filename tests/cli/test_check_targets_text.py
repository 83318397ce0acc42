"""What people read of two machines."""

from __future__ import annotations

from typing import Any

import pytest

from mlpack_edge.cli.check_targets_text import architectures_text, bits_text

Json = dict[str, Any]


def _output(**facts: Any) -> Json:
    blank = {"name": "y", "different": 0, "max_ulp": None, "max_steps": None, "one_sided_nan": 0, "label_flips": None}
    return {**blank, "max_abs": 0.0, "max_rel": 0.0, **facts}


def _item(*outputs: Json, **facts: Any) -> Json:
    different = sum(output["different"] for output in outputs)
    blank = {
        "target": "emulated:pi4", "arch": "aarch64", "cpu": "Cortex-A72", "emulated": "qemu-user", "hint": "", "notes": [],
        "runtime": {"name": "onnxruntime", "version": "1.31.1"}, "rows": 6936, "values": 13872, "different": different,
        "bit_identical": not different, "outputs": list(outputs), "ill_conditioned": 0, "passed": True, "reasons": [],
    }  # fmt: skip
    return {**blank, **facts}


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ([_output(max_ulp=0)], "same bits on 6,936 rows"),
        ([_output(different=12, max_ulp=4)], "4 ULP at most, 12 of 13,872 values differ on 6,936 rows"),
        ([_output(different=1, max_ulp=0)], "0 ULP at most, 1 of 13,872 values differ on 6,936 rows"),
        ([_output(different=2, max_steps=1)], "1 step at most, 2 of 13,872 values differ on 6,936 rows"),
        (
            [_output(different=2, max_ulp=7, one_sided_nan=1), _output(max_steps=0), _output(different=3)],
            "7 ULP at most, 1 are NaN on one side, 5 of 13,872 values differ on 6,936 rows",
        ),
    ],
)
def test_the_bits_are_told_in_one_line(outputs: list[Json], text: str) -> None:
    assert bits_text(_item(*outputs)) == text


def test_the_outputs_are_shown_where_they_differ_alone() -> None:
    same, apart = _item(_output(max_ulp=0)), _item(_output(different=1, max_ulp=3, max_abs=1e-7), passed=False)
    text = architectures_text({"architectures": [same, apart], "left_out": {"unknown city": "no such city"}})
    assert text.count("max ULP") == 1
    assert "emulated:pi4 (Cortex-A72, aarch64, qemu-user, onnxruntime 1.31.1): same\n" in text
    assert "onnxruntime 1.31.1): NOT the same\n" in text
    assert text.endswith("left out: unknown city rows (no such city)")


def test_a_machine_without_answers_has_a_line_of_its_own() -> None:
    item = _item(passed=False, arch=None, cpu=None, emulated=None, runtime=None, ill_conditioned=0)
    assert architectures_text({"architectures": [item], "left_out": {}}) == "emulated:pi4: NOT the same"
