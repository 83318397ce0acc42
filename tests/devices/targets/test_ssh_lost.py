"""A connection or a machine that goes away: one error, and what was there is cleared, at once or by the next run."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from mlpack_edge.core.errors import (
    MlpackError,
    WorkerFault,
)
from mlpack_edge.runtimes.measuring.plan import Plan
from tests.devices.targets.loopback import PYTHON, Loopback, script, wait_until
from tests.devices.targets.models import SHORT, onnx_layer
from tests.devices.targets.ssh_board import board


def _cutting_proxy(path: Path, port: int, after: int) -> Path:
    return script(path, f"""#!{PYTHON} -IS
import os, select, socket
far, left = socket.create_connection(("127.0.0.1", {port})), {after}
while left > 0:
    for ready in select.select([0, far], [], [])[0]:
        if ready == 0:
            block = os.read(0, 65536)
            if not block:
                raise SystemExit
            far.sendall(block)
        else:
            block = far.recv(left)
            left -= len(block) or left
            os.write(1, block)
""")  # fmt: skip


@pytest.mark.parametrize("after", [0, 10, 1000, 2500, 3500, 5000, 8000, 12000])
def test_a_connection_that_is_cut(loopback: Loopback, tmp_path: Path, after: int) -> None:
    """After so many bytes of the far side: in the greeting, in the exchange of keys, in a measurement."""
    loopback.start()
    loopback.configure(f"ProxyCommand {_cutting_proxy(tmp_path / 'proxy', loopback.port, after)}")
    model = onnx_layer(tmp_path / "layer.onnx")
    target = board()
    start = time.monotonic()
    with pytest.raises(MlpackError) as caught:
        for _ in range(100):
            target.bench([model], SHORT)
    target.close()
    assert time.monotonic() - start < 60
    assert isinstance(caught.value, WorkerFault) and "ssh://board" in caught.value.message and caught.value.hint
    loopback.must_be_clean()


def test_a_machine_that_falls_silent_is_noticed(loopback: Loopback, tmp_path: Path) -> None:
    """Its sshd is stopped: the sign of life that ssh asks for does not come."""
    loopback.start()
    loopback.configure("ServerAliveInterval 1", "ServerAliveCountMax 2")
    target, model = board(), onnx_layer(tmp_path / "layer.onnx")
    target.describe()
    for pid in loopback.sessions():
        os.kill(pid, signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(WorkerFault) as caught:
        target.outputs(model, SHORT)
    assert time.monotonic() - start < 40  # the limits of the configuration, not those of TCP
    assert "lost in the middle" in caught.value.message and "not responding" in caught.value.why
    target.close()
    for pid in loopback.sessions():
        os.kill(pid, signal.SIGCONT)
    loopback.must_be_clean()


def test_a_machine_that_goes_down_in_a_measurement(loopback: Loopback, tmp_path: Path) -> None:
    """Everything there is killed, as at the end of a shutdown; the next run removes the folder."""
    loopback.start()
    model = onnx_layer(tmp_path / "layer.onnx")

    def down(stage: str) -> None:
        if stage.startswith("measuring: process 2"):
            for pid in [*loopback.sessions(), *loopback.running()]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    target = board(stage=down)
    with pytest.raises(WorkerFault, match="lost in the middle") as caught:
        target.bench([model], Plan(processes=50, seconds=20))
    assert "closed" in caught.value.why or "reset" in caught.value.why or "disconnect" in caught.value.why
    target.close()
    wait_until(lambda: not loopback.running(), 5, "processes stay")
    again = board()
    again.describe()
    again.close()
    loopback.must_be_clean(0)
