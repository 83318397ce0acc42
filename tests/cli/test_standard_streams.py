"""Standard streams that are closed or take nothing more: one clear message, never a traceback."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.mlpack import LINE
from tests.cli.score_flights import write_files, write_model


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


@pytest.mark.parametrize("way", ["> /dev/full", "--json > /dev/full", "| true", "--json | true"])
def test_a_table_that_is_published_is_said_to_be_where_its_summary_cannot_be_printed(way: str, tmp_path: Path) -> None:
    write_model(tmp_path / "model.onnx")
    write_files(tmp_path / "in", 1, 20)
    words = f'"$@" score model.onnx --input in/000.parquet --output out {way}'
    done = _shell(f"set -o pipefail; {words}", tmp_path)
    assert done.returncode == 1 and (tmp_path / "out").is_dir()
    assert "standard output could not be written; the table out is published" in done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_the_reader_of_a_list_may_leave_without_a_word(tmp_path: Path) -> None:
    done = _shell('set -o pipefail; "$@" target list | true', tmp_path)
    assert done.returncode == 1 and done.stderr == ""
