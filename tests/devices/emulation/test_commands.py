"""The tools that setup runs: their children end with them."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlpack_edge.devices.emulation.commands import run

#: Like dpkg-deb: the tool waits while its child writes, and keeps writing when the tool alone is killed.
_WRITES_ON = "(while :; do date >>{file}; sleep 0.01; done) & wait"


def _interrupt_when(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.01)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _is_still(file: Path) -> bool:
    before = file.stat().st_size
    time.sleep(0.3)
    return file.stat().st_size == before


def test_ctrl_c_ends_the_children_of_a_tool_before_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "written"
    asked = threading.Thread(target=_interrupt_when, args=(file.exists,))
    asked.start()
    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", _WRITES_ON.format(file=file)])
    asked.join()
    assert _is_still(file)


def test_a_tool_that_takes_too_long_ends_with_its_children(tmp_path: Path) -> None:
    file = tmp_path / "written"
    done = run(["sh", "-c", _WRITES_ON.format(file=file)], seconds=0.3)
    assert done.code == -9
    assert _is_still(file)


def test_a_tool_that_takes_its_time_prints_all_that_it_prints() -> None:
    done = run(["sh", "-c", "echo first; sleep 1.2; echo last; echo wrong >&2"])
    assert (done.code, done.out, done.err) == (0, "first\nlast\n", "wrong\n")


def test_ctrl_c_that_came_before_the_wait_is_acted_on(tmp_path: Path) -> None:
    """Such a signal interrupts no system call: here, one that another thread took while the main thread waited."""
    file = tmp_path / "written"

    def elsewhere() -> None:
        while not file.exists():
            time.sleep(0.01)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    asked = threading.Thread(target=elsewhere)
    asked.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", _WRITES_ON.format(file=file)], seconds=60)
    asked.join()
    assert time.monotonic() - start < 30
    assert _is_still(file)


def test_a_tool_that_is_not_there_is_a_code_and_a_line() -> None:
    assert run(["no-such-tool"]).code == 127
