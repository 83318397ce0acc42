"""The target at the end of a loopback sshd."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from mlpack_edge.core.errors import MlpackError
from mlpack_edge.devices.targets.ssh import SshTarget
from mlpack_edge.devices.targets.target import TargetOptions
from tests.devices.targets.loopback import PYTHON

#: Closed by the fixture, also after a test that failed.
OPENED: list[SshTarget] = []


def board(
    python: str = PYTHON,
    time_limit: float = 20.0,
    address: str = "//board",
    stage: Callable[[str], None] = lambda stage: None,
) -> SshTarget:
    target = SshTarget(address, TargetOptions(python=python, time_limit=time_limit, stage=stage))
    OPENED.append(target)
    return target


def refusal(target: SshTarget, kind: type[MlpackError], within: float = 40.0) -> MlpackError:
    """The error of the first thing that is asked."""
    start = time.monotonic()
    try:
        with pytest.raises(kind) as caught:
            target.describe()
    finally:
        target.close()
    assert time.monotonic() - start < within
    assert caught.value.hint and "{" not in caught.value.message + caught.value.hint
    return caught.value
