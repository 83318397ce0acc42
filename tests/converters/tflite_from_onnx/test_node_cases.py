"""The standard's own operator cases, made by the generators that the installed onnx holds."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from onnx import numpy_helper

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "benchmarks" / "onnx_node_tests.py"


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the benchmark says of the cases it lists, from a folder laid out as in onnx's wheel."""
    from onnx.backend.test.case.node import collect_testcases

    folder = tmp_path_factory.mktemp("cases")
    wanted = set(json.loads(SCRIPT.with_name("onnx_node_cases.json").read_text()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the generators divide by zero on purpose
        cases = collect_testcases(None)
    for case in cases:
        if case.name in wanted:
            _write(folder / case.name, case)
    out = folder / "score.json"
    line = [sys.executable, str(SCRIPT), "--cases", str(folder), "--out", str(out)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=500)
    assert out.exists(), done.stderr
    result: dict[str, Any] = json.loads(out.read_text())
    return result


def _write(folder: Path, case: Any) -> None:
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    inputs, outputs = case.data_sets[0]
    for kind, values, infos in (
        ("input", inputs, case.model.graph.input), ("output", outputs, case.model.graph.output)
    ):  # fmt: skip
        for place, (value, info) in enumerate(zip(values, infos, strict=True)):
            tensor = numpy_helper.from_array(value, info.name)
            (data / f"{kind}_{place}.pb").write_bytes(tensor.SerializeToString())


@pytest.mark.long
def test_no_case_is_silently_wrong(scored: dict[str, Any]) -> None:
    """A case is right or refused; a file that is written loads, does not abort and gives the case's numbers."""
    assert scored["failures"] == {}
    assert scored["silent"] == scored["bugs"] == 0


@pytest.mark.long
def test_most_cases_are_right(scored: dict[str, Any]) -> None:
    assert scored["cases"] == 1224
    assert scored["right"] >= 1100, scored["refusals"]
