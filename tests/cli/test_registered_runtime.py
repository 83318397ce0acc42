"""The how-to for an own runtime, followed to the letter: its code, registered as a package registers it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.mlpack import mlpack_json
from tests.cli.registered import ROOT, register_as_told
from tests.runtimes.model_files import tiny_onnx, tiny_tflite


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the package acme, registered, and two models."""
    register_as_told(tmp_path, monkeypatch, "docs/how-to/register-a-runtime.md", "acme/mlpack_runtime.py")
    (tmp_path / "m.onnx").write_bytes(tiny_onnx().SerializeToString())
    (tmp_path / "m.tflite").write_bytes(tiny_tflite())
    return tmp_path


def test_inspect_asks_a_registered_runtime_about_files_of_its_format(acme: Path) -> None:
    _, document = mlpack_json("inspect", acme / "m.onnx")
    assert document["loads"] == {"onnxruntime": True, "reference": True}
    _, document = mlpack_json("inspect", acme / "m.tflite")
    assert "reference" not in document["loads"] and document["loads"]["litert"] is True


@pytest.mark.long
def test_it_passes_the_conformance_suite(acme: Path) -> None:
    line = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", "reference"]
    suite = ROOT / "tests/runtimes/test_runtime_conformance.py"
    done = subprocess.run([*line, str(suite)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]  # 5 where nothing was tried
