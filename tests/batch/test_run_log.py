"""The log of a run: JSON lines in a file."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlpack_edge.batch.run_log import RunLog, sink_of_file
from mlpack_edge.core.errors import BadInput, IoFault


def clock() -> datetime:
    return datetime(2026, 3, 1, 4, 5, 6, 789_000, tzinfo=UTC)


def test_a_line_is_a_json_object_with_time_event_and_run(tmp_path: Path) -> None:
    log = RunLog(sink_of_file(tmp_path / "score.log"), clock)
    log.write("start", output="Köln\udcff")
    log.run_key = "abc"
    log.write("shard", shard=0, rows_in=10)
    lines = [json.loads(line) for line in (tmp_path / "score.log").read_text().splitlines()]
    assert lines == [
        {"time": "2026-03-01T04:05:06.789+00:00", "event": "start", "run_key": None, "output": "Köln\udcff"},
        {"time": "2026-03-01T04:05:06.789+00:00", "event": "shard", "run_key": "abc", "shard": 0, "rows_in": 10},
    ]


def test_without_a_sink_nothing_is_written() -> None:
    RunLog(None, clock).write("start")


def test_the_next_run_appends_and_a_torn_line_does_not_swallow_its_first(tmp_path: Path) -> None:
    path = tmp_path / "score.log"
    path.write_text('{"event": "start"}\n{"event": "sha')
    RunLog(sink_of_file(path), clock).write("start")
    lines = path.read_text().splitlines()
    assert lines[1] == '{"event": "sha' and json.loads(lines[2])["event"] == "start"


def test_a_rotated_log_is_begun_anew(tmp_path: Path) -> None:
    log = RunLog(sink_of_file(tmp_path / "score.log"), clock)
    log.write("start")
    (tmp_path / "score.log").rename(tmp_path / "score.log.1")
    log.write("published")
    assert "published" in (tmp_path / "score.log").read_text()
    assert "published" not in (tmp_path / "score.log.1").read_text()


def test_what_is_no_log_is_not_appended_to(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07")
    with pytest.raises(BadInput, match=r"no log"):
        sink_of_file(tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == b"\x08\x07"


def test_a_log_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(IoFault, match=r"score\.log"):
        sink_of_file(tmp_path / "none" / "score.log")
    with pytest.raises(IoFault, match=r"could not be written"):
        sink_of_file(tmp_path)("{}")


def test_a_disk_that_is_full_later_is_said(tmp_path: Path) -> None:
    path = tmp_path / "score.log"
    sink = sink_of_file(path)
    path.unlink()
    path.symlink_to("/dev/full")
    with pytest.raises(IoFault) as said:
        sink("{}")
    assert "score.log" in said.value.message and "space" in said.value.hint


def test_lines_of_runs_at_once_do_not_mix(tmp_path: Path) -> None:
    code = (
        "import sys; from datetime import UTC, datetime; from pathlib import Path\n"
        "from mlpack_edge.batch.run_log import RunLog, sink_of_file\n"
        "log = RunLog(sink_of_file(Path(sys.argv[1])), lambda: datetime.now(UTC))\n"
        "for i in range(500): log.write('shard', shard=i, filler='x' * 500)\n"
    )
    path = tmp_path / "score.log"
    both = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    shards = [json.loads(line)["shard"] for line in path.read_text().splitlines()]
    assert sorted(shards) == sorted([*range(500)] * 2)
