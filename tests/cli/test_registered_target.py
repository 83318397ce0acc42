"""The how-to for an own target, followed to the letter: its code, registered as a package registers it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.cli.mlpack import mlpack, mlpack_json
from tests.cli.registered import register_as_told
from tests.runtimes.model_files import tiny_onnx


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the package acme, registered, its command `acme-console`, whose boards are this machine, and a model."""
    register_as_told(tmp_path, monkeypatch, "docs/how-to/register-a-target.md", "acme/mlpack_target.py")
    programs = tmp_path / "bin"
    programs.mkdir()
    console = programs / "acme-console"
    console.write_text('#!/bin/sh\n[ "$2" = off ] && { echo "board is off" >&2; exit 7; }\nshift 2\nexec "$@"\n')
    console.chmod(0o755)
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
