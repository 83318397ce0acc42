"""What people read of a batch."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.cli.score_text import duration_text, progress_line, result_text

RESULT: dict[str, Any] = {
    "status": "done", "output": "scores", "run_key": "ab" * 32, "rows_in": 1240, "rows_out": 1234, "table_rows": 1234, "rows_rejected": 6,
    "rejected": {"month is missing": 4, "score is not finite": 2}, "rejected_file": ".scores.mlpack/published-ab/rejected.jsonl",
    "shards": {"done": 3, "reused": 0, "total": 3}, "seconds": 2.5, "rows_per_second": 496, "changed": [],
}  # fmt: skip


def test_a_run_is_told_in_a_few_lines() -> None:
    assert result_text(RESULT).splitlines() == [
        "scores  1,234 rows scored, 6 of 1,240 rejected",
        "  4 rows: month is missing",
        "  2 rows: score is not finite",
        "rejected  .scores.mlpack/published-ab/rejected.jsonl",
        "time      2.5 s, 496 rows/s",
        "shards    3 scored",
        "run       abababababababab",
    ]


def test_what_was_taken_over_what_changed_and_a_longer_table_are_told() -> None:
    shards = {"done": 1, "reused": 2, "total": 3}
    text = result_text({**RESULT, "shards": shards, "changed": ["input a.csv changed"], "table_rows": 5000})
    assert "1 scored, 2 taken over from a run that was stopped" in text
    assert "changed   input a.csv changed" in text
    assert "1,234 rows scored, the table holds 5,000, 6 of" in text


def test_nothing_to_do_says_what_is_there() -> None:
    text = result_text({**RESULT, "status": "nothing to do", "rows_in": 0, "rows_rejected": 0, "rejected": {}})
    assert "nothing to do" in text and "1,234 rows" in text


def test_many_reasons_are_summed() -> None:
    rejected = {f"column c{i} is missing": 20 - i for i in range(8)}
    text = result_text({**RESULT, "rejected": rejected})
    assert "c4 is missing" in text and "c5 is missing" not in text and "3 other reasons" in text
    assert "42 rows" in text  # 15 + 14 + 13


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (1e-9, "under 1 ms"),
        (0.0423, "0.042 s"),
        (9.9, "9.9 s"),
        (9.97, "10 s"),
        (59.4, "59 s"),
        (185, "3 min 5 s"),
        (7440, "2 h 4 min"),
    ],
)
def test_a_duration_for_people(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_progress_tells_share_rows_speed_and_time_left() -> None:
    line = progress_line(4_200_000, 10_000_000, 2.0)
    assert line == "scoring  42%  4,200,000 of 10,000,000 rows  2,100,000 rows/s  3 s left"
    assert progress_line(0, 10, 0.0) == "scoring   0%  0 of 10 rows"


@given(st.integers(0, 10**12), st.integers(1, 10**12), st.floats(0, 1e6))
def test_progress_never_passes_its_end(done: int, total: int, seconds: float) -> None:
    """A shard that is done again is counted again."""
    line = progress_line(done, total, seconds)
    assert 0 <= int(line.split("%")[0].split()[-1]) <= 100 and "\n" not in line and "-" not in line


def test_progress_is_one_line_on_a_terminal_and_nothing_elsewhere() -> None:
    script = (
        "import sys; from mlpack_edge.cli.score_text import Progress, shows_progress\n"
        "now = iter([0.0, 0.0, 1.0, 1.05, 2.0])\n"
        "bar = Progress(shows_progress(), lambda: next(now)); bar.begin(100)\n"
        "bar.advance(10); bar.advance(10); bar.advance(30)"
    )
    here, there = os.openpty()
    try:
        subprocess.run([sys.executable, "-c", script], stderr=there, check=True)
        shown = os.read(here, 4096).decode()
    finally:
        os.close(here)
        os.close(there)
    pictures = shown.split("\r\x1b[K")
    assert pictures == [
        "",
        "scoring  10%  10 of 100 rows  10 rows/s  9 s left",
        "scoring  50%  50 of 100 rows  25 rows/s  2 s left",
    ]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stderr == b"" and done.stdout == b""
