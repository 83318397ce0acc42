"""A machine to reach over SSH."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devices.targets.loopback import MISSING, Loopback
from tests.devices.targets.ssh_board import OPENED


@pytest.fixture
def loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """Not started yet. `ssh` on PATH is the one that reads the test's configuration."""
    if MISSING:
        pytest.skip(f"not installed: {MISSING}")
    machine = Loopback(tmp_path)
    monkeypatch.setenv("PATH", machine.path)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    yield machine
    while OPENED:
        OPENED.pop().close()
    machine.stop()
