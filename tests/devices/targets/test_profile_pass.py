"""The profile of a model as the host asks for it; the agent's parts answer in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpack_edge.core.errors import BadInput, MissingExtra
from mlpack_edge.devices.targets.agent.cut_out_times import told_cut_outs
from mlpack_edge.devices.targets.agent.profiling import told_profile
from mlpack_edge.devices.targets.profile_pass import profile_rows_of
from mlpack_edge.runtimes.measuring.prepared import PreparedModel
from mlpack_edge.runtimes.measuring.profile import CUT_OUT
from tests.devices.targets.profile_models import onnx_chain, tflite_chain, tflite_loop

Json = dict[str, Any]


def _rows(path: Path, kind: str, feeds: dict[str, np.ndarray], profiler: bool = True) -> list[Json]:
    model = PreparedModel(str(path), path, kind, "", path.stat().st_size, (), 1, (feeds,), "")
    job = {"file": str(path), "format": kind, "threads": 1, "spinning": False, "profile": str(path.parent / "events")}

    def by_runtime() -> Json:
        if not profiler:
            raise MissingExtra("the TFLite runtime on the target gives no profile", "")
        return told_profile(job, feeds)

    def time_models(blob: bytes) -> list[Json]:
        file = path.with_suffix(".feeds")
        file.write_bytes(blob)
        timed: list[Json] = told_cut_outs({**job, "feeds": str(file)})["timed"]
        return timed

    return profile_rows_of(model, by_runtime, time_models)


def test_onnx_rows_say_what_fused_operators_stand_for(tmp_path: Path) -> None:
    rows = _rows(onnx_chain(tmp_path), "onnx", {"x": np.ones((64, 512), np.float32), "small": np.ones(8, np.float32)})
    assert rows[0]["op"] == "MatMul"
    assert all("stands_for" not in row or row["stands_for"] for row in rows)
    assert {row["method"] for row in rows} == {"onnxruntime profiler"}


def test_long_operators_are_told_by_the_profiler(tmp_path: Path) -> None:
    feeds = {"0": np.ones((8, 512), np.float32), "1": np.ones((1, 8), np.float32), "2": np.zeros((1, 4), np.int32)}
    rows = _rows(tflite_chain(tmp_path), "tflite", feeds)
    assert {row["method"] for row in rows} == {"LiteRT profiler"}


def test_short_operators_are_told_by_cutting_out_also_in_loops(tmp_path: Path) -> None:
    rows = _rows(tflite_loop(tmp_path, 200), "tflite", {"0": np.ones((1, 128), np.float32)})
    assert rows[0]["op"] == "FULLY_CONNECTED"
    assert {row["method"] for row in rows} == {CUT_OUT}


def test_without_a_profiler_operators_are_cut_out(tmp_path: Path) -> None:
    feeds = {"0": np.ones((8, 512), np.float32), "1": np.ones((1, 8), np.float32), "2": np.zeros((1, 4), np.int32)}
    rows = _rows(tflite_chain(tmp_path), "tflite", feeds, profiler=False)
    assert {row["method"] for row in rows} == {CUT_OUT}
    assert len(rows) == 5
    assert rows[0]["op"] == "FULLY_CONNECTED"


def test_without_a_profiler_a_loop_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be timed one by one"):
        _rows(tflite_loop(tmp_path, 5), "tflite", {"0": np.ones((1, 128), np.float32)}, profiler=False)
