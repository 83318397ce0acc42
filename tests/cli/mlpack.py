"""Run the command as a user does: a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

LINE = [sys.executable, "-m", "mlpack_edge.cli.main"]


def mlpack(*words: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """The finished process; a traceback or a stray draft fails the test at once, whatever it asks."""
    line = [*LINE, *(str(word) for word in words)]
    done = subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert "Traceback" not in done.stderr, done.stderr
    if cwd:
        assert not list(cwd.rglob("*.part")), "a draft was left behind"
    return done


def mlpack_json(*words: str | Path, cwd: Path | None = None) -> tuple[int, dict[str, Any]]:
    """(exit code, the one JSON document on standard output)."""
    done = mlpack(*words, "--json", cwd=cwd)
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["schema"] == 1 and document["ok"] == (done.returncode == 0)
    if done.returncode:
        assert set(document["error"]) >= {"kind", "message", "hint"}
    return done.returncode, document
