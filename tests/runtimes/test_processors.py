"""Which processors saturate int8 sums, and what is advised."""

from __future__ import annotations

from typing import Any

import pytest

from mlpack_edge.runtimes.processors import next_step, saturates

VNNI = {"arch": "x86_64", "features": ["avx2", "avx512f", "avx512_vnni"], "emulated": None}
LAPTOP = {"arch": "x86_64", "features": ["avx", "avx2"], "emulated": None}
GUEST = VNNI | {"emulated": "qemu-user"}
BOARD = {"arch": "aarch64", "features": ["asimd"], "emulated": None}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (VNNI, False),
        (LAPTOP, True),
        (LAPTOP | {"features": ["avx2", "avx_vnni"]}, False),
        (GUEST, True),  # it reads the features of the machine below it
        (LAPTOP | {"features": ["sse4_2"]}, False),
        (BOARD, False),
        ({}, False),
    ],
)
def test_avx2_without_vnni_saturates(environment: dict[str, Any], expected: bool) -> None:
    assert saturates(environment) is expected


def test_the_advice_names_the_machine_that_saturates() -> None:
    text = next_step("onnx", True, {"this machine": LAPTOP, "ssh://pi@rack": BOARD})
    assert "(this machine)" in text and "reduce_range" in text and "u8u8" in text


def test_other_advice_where_nothing_saturates() -> None:
    places = {"this machine": VNNI, "ssh://pi@rack": BOARD}
    assert "reduce_range" not in next_step("onnx", True, places)
    assert "reduce_range" not in next_step("onnx", False, {"this machine": LAPTOP, "ssh://pi@rack": BOARD})
    assert "BUILTIN_REF" in next_step("tflite", True, places)
    assert "--rtol" in next_step("tflite", False, places)
