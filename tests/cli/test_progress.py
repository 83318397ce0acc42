"""What is shown of the work while it goes on, on a terminal."""

from __future__ import annotations

import os
import subprocess
import sys


def test_a_stage_that_a_target_tells_moves_no_cursor_and_takes_one_line() -> None:
    """It comes from another machine, or holds the name of a foreign file."""
    here, there = os.openpty()
    script = r"from mlpack_edge.cli.outcome import show_stage; show_stage('\x1b]0;owned\x07one\ntwo\x1b[2J')"
    try:
        subprocess.run([sys.executable, "-c", script], stderr=there, check=True)
        shown = os.read(here, 4096).decode()
    finally:
        os.close(here)
        os.close(there)
    assert shown.startswith("\r\x1b[K") and shown.endswith(" ...")
    assert "one two" in shown and "\x1b" not in shown[len("\r\x1b[K") :] and "\x07" not in shown and "\n" not in shown
