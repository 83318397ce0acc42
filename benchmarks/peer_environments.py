"""Environments of peers: a virtual environment each, with fixed packages, kept between runs."""

from __future__ import annotations

import json
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path


def python_in(home: Path, packages: Sequence[str]) -> Path:
    """The interpreter of the environment `home`, installed if it is not there or holds other versions."""
    python, installed = home / "bin" / "python", home / "installed.json"
    wanted = json.dumps(packages)
    if not installed.exists() or installed.read_text() != wanted:
        venv.create(home, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)
        installed.write_text(wanted)
    return python
