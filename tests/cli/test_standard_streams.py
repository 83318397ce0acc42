"""Standard streams that are closed or take nothing more: one clear message, never a traceback."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.mlpack import LINE


def _shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command, "bash", *LINE], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("arguments", ["target list", "target list --json", "bench absent.onnx --json"])
def test_a_full_disk_behind_standard_output_is_told_on_standard_error(arguments: str, tmp_path: Path) -> None:
    done = _shell(f'"$@" {arguments} > /dev/full', tmp_path)
    assert done.returncode == 1
    assert "standard output could not be written" in done.stderr and "No space left" in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_closed_streams_are_no_reason_to_fail(closed: str, tmp_path: Path) -> None:
    """A stream that is closed gets no file in its place: the document stays one document."""
    done = _shell(f'"$@" target list --json {closed}', tmp_path)
    assert done.returncode == 0 and json.loads(done.stdout)["ok"] is True
    failed = _shell(f'"$@" bench absent.onnx --json {closed}', tmp_path)
    assert failed.returncode == 1 and json.loads(failed.stdout)["error"]["kind"]


def test_closed_standard_output_leaves_files_alone(tmp_path: Path) -> None:
    done = _shell('"$@" target list >&-', tmp_path)
    assert done.returncode == 0 and not done.stderr and not list(tmp_path.iterdir())
