"""From counted instructions to a range of time, by what a board of that kind measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.core.artifact import sha256_of_file
from mlpack_edge.core.errors import BadInput
from mlpack_edge.devices.calibration import (
    Calibration,
    Timed,
    calibration_from_results,
    read_calibration,
    refuse_other_board,
    time_range,
)
from mlpack_edge.devices.calibration_models import write_models
from mlpack_edge.devices.emulation.boards import profile_named
from mlpack_edge.runtimes.measuring.result import BenchResult, Launch

PI4: dict[str, Any] = {"cpu": "Raspberry Pi 4 Model B Rev 1.4, implementer 0x41 part 0xd08", "emulated": None}


def _calibration(*times: float, runtime: str = "onnxruntime 1", board: dict[str, Any] = PI4) -> Calibration:
    models = tuple(Timed(f"m{place}", "onnx", f"{place}", each, runtime) for place, each in enumerate(times))
    return Calibration("2026-11-22", board, models)


@given(
    times=st.lists(st.floats(1, 1e9), min_size=2, max_size=5), counts=st.lists(st.floats(1e3, 1e9), min_size=5, max_size=5),
    total=st.floats(1e3, 1e10),
)  # fmt: skip
def test_the_range_is_between_the_cheapest_and_the_dearest_instruction(
    times: list[float], counts: list[float], total: float
) -> None:
    """Of a model that was itself timed there, the range holds the time that was measured."""
    counted = {str(place): count for place, count in enumerate(counts)}
    found = time_range(total, "onnxruntime 1", "onnx", _calibration(*times), counted)
    each = [time / count for time, count in zip(times, counts, strict=False)]
    assert found["low"] == pytest.approx(min(each) * total) and found["high"] == pytest.approx(max(each) * total)
    assert found["spread"] >= 1 and found["date"] == "2026-11-22"
    own = time_range(counts[0], "onnxruntime 1", "onnx", _calibration(*times), counted)
    assert own["low"] <= times[0] * (1 + 1e-9) and times[0] <= own["high"] * (1 + 1e-9)


def test_other_versions_other_models_and_other_formats_are_refused() -> None:
    counted = {"0": 1e6, "1": 1e6}
    for calibration, format, said in (
        (_calibration(1e6, 1e6, runtime="onnxruntime 2"), "onnx", "onnxruntime 2"),
        (_calibration(1e6), "onnx", "no models"),
        (_calibration(1e6, 1e6), "tflite", "no models for tflite"),
    ):
        with pytest.raises(BadInput, match=said):
            time_range(1e6, "onnxruntime 1", format, calibration, counted)


@pytest.mark.parametrize(
    "board",
    [
        {**PI4, "cpu": "Raspberry Pi 3, implementer 0x41 part 0xd03"}, {**PI4, "cpu": "AMD EPYC"}, {**PI4, "emulated": "qemu-user"},
        {},
    ],
)  # fmt: skip
def test_a_board_with_another_processor_is_refused(board: dict[str, Any]) -> None:
    refuse_other_board(_calibration(1e6, 1e6), profile_named("pi4"))
    with pytest.raises(BadInput, match="pi4"):
        refuse_other_board(_calibration(1e6, 1e6, board=board), profile_named("pi4"))


def _result(clean: bool) -> BenchResult:
    block = np.full(100, 2_000_000, np.uint64)
    launch = Launch((block,), (np.full(100, clean),), 1, 1, 1, 1, True, 0)
    return BenchResult(
        "m.onnx", "onnx", "0" * 64, 1, "local", 1, 1, (launch, launch), 1.0,
        {"cpu": "x", "runtime": {"name": "onnxruntime", "version": "1"}}, "", "", "binding",
    )  # fmt: skip


def test_only_a_stable_measurement_calibrates() -> None:
    found = calibration_from_results([_result(True)], "2026-11-22")
    assert found.models[0].p50_ns == 2_000_000 and found.models[0].runtime == "onnxruntime 1"
    with pytest.raises(BadInput, match=r"m\.onnx could not be measured well enough"):
        calibration_from_results([_result(False)], "2026-11-22")


def test_a_file_is_read_as_it_was_written_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    written = _calibration(1e6, 2e6)
    path.write_text(json.dumps(written.to_json()))
    assert read_calibration(path) == written
    for change in ({"kind": "other"}, {"schema": 2}, {"models": [{"name": "x"}]}, {"models": 3}, {"date": None}):
        path.write_text(json.dumps({**written.to_json(), **change}))
        with pytest.raises(BadInput):
            read_calibration(path)
    path.write_text("[]")
    with pytest.raises(BadInput):
        read_calibration(path)


def test_the_models_are_the_same_bytes_each_time_and_run(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = write_models(tmp_path / "a"), write_models(tmp_path / "b")
    assert [sha256_of_file(path) for path in one] == [sha256_of_file(path) for path in two]
    for path in one:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        entry = session.get_inputs()[0]
        made = session.run(
            None, {entry.name: np.arange(np.prod(entry.shape), dtype=np.float32).reshape(entry.shape) % 7}
        )[0]
        assert np.isfinite(made).all() and made.std() > 0
