"""The how-to for an own runtime, followed to the letter: its code, registered as a package registers it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.mlpack import mlpack_json
from tests.runtimes.model_files import tiny_onnx, tiny_tflite

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/how-to/register-a-runtime.md"


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the package acme, registered, and two models."""
    page = PAGE.read_text(encoding="utf-8")
    code = re.search(r"```python\n# acme/mlpack_runtime.py\n(.*?)```", page, re.DOTALL)
    points = re.search(r'```toml\n\[project.entry-points."(.*?)"\]\n(.*?)```', page, re.DOTALL)
    assert code and points
    package, metadata = tmp_path / "site" / "acme", tmp_path / "site" / "acme-1.0.dist-info"
    package.mkdir(parents=True)
    metadata.mkdir()
    (package / "__init__.py").touch()
    (package / "mlpack_runtime.py").write_text(code[1])
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{points[1]}]\n{points[2].replace(chr(34), '')}\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), str(ROOT)]))
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
