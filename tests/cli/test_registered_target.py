"""The how-to for an own target, followed to the letter: its code, registered as a package registers it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.cli.mlpack import mlpack, mlpack_json
from tests.runtimes.model_files import tiny_onnx

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/how-to/register-a-target.md"


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the package acme, registered, its command `acme-console`, whose boards are this machine, and a model."""
    page = PAGE.read_text(encoding="utf-8")
    code = re.search(r"```python\n# acme/mlpack_target.py\n(.*?)```", page, re.DOTALL)
    points = re.search(r'```toml\n\[project.entry-points."(.*?)"\]\n(.*?)```', page, re.DOTALL)
    assert code and points
    package, metadata, programs = (tmp_path / name for name in ("site/acme", "site/acme-1.0.dist-info", "bin"))
    for folder in (package, metadata, programs):
        folder.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "mlpack_target.py").write_text(code[1])
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{points[1]}]\n{points[2].replace(chr(34), '')}\n")
    console = programs / "acme-console"
    console.write_text('#!/bin/sh\n[ "$2" = off ] && { echo "board is off" >&2; exit 7; }\nshift 2\nexec "$@"\n')
    console.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), str(ROOT)]))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (tmp_path / "m.onnx").write_bytes(tiny_onnx().SerializeToString())
    return tmp_path


def test_a_registered_target_is_listed_checked_and_measured(acme: Path) -> None:
    code, document = mlpack_json("target", "list")
    assert code == 0 and "console" in " ".join(one["target"] for one in document["targets"])
    options = ("--target-python", sys.executable)
    code, document = mlpack_json("target", "check", "console:board7", *options)
    assert code == 0 and document["runtimes"]["onnxruntime"]
    code, document = mlpack_json(
        "bench", acme / "m.onnx", "--target", "console:board7", *options, "--seconds", "0.2", "--processes", "2"
    )
    assert code == 0 and document["results"][0]["target"] == "console:board7"


def test_its_errors_are_its_own(acme: Path) -> None:
    done = mlpack("bench", acme / "m.onnx", "--target", "console:off")
    assert done.returncode == 1 and "console:off ended with code 7" in done.stderr and "board is off" in done.stderr
    done = mlpack("bench", acme / "m.onnx", "--target", "console:../up")
    assert done.returncode == 1 and "names no board" in done.stderr
