"""One run at a time for an output, and no lock outlives its holder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mlpack_edge.core.errors import IoFault
from mlpack_edge.core.lock import Lock

_HOLD = """
import sys, time
from pathlib import Path
from mlpack_edge.core.lock import Lock
lock = Lock(Path(sys.argv[1]), "scores", clock=lambda: 1_800_000_000.0)
print("locked", flush=True)
{then}
"""


def _holder(path: Path, then: str = "time.sleep(60)") -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-c", _HOLD.format(then=then), path], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"locked\n"
    return child


def test_the_second_run_is_told_who_holds_the_lock_and_since_when(tmp_path: Path) -> None:
    holder = _holder(tmp_path / "lock")
    try:
        with pytest.raises(IoFault) as fault:
            Lock(tmp_path / "lock", "scores")
        assert f"process {holder.pid} on " in fault.value.message
        assert "since 2027-01-15T08:00:00+00:00" in fault.value.message
        assert "another run is writing scores already" in fault.value.message
    finally:
        holder.kill()
        holder.communicate()


def test_a_lock_of_a_process_that_was_killed_is_no_obstacle(tmp_path: Path) -> None:
    holder = _holder(tmp_path / "lock")
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert json.loads((tmp_path / "lock").read_text())["pid"] == holder.pid  # it is left over
    with Lock(tmp_path / "lock", "scores"):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_a_lock_that_was_given_up_can_be_taken_again_and_names_nobody(tmp_path: Path) -> None:
    for _ in range(2):
        with Lock(tmp_path / "lock", "scores"):
            pass
        assert (tmp_path / "lock").read_bytes() == b""


def test_programs_and_forked_processes_do_not_keep_the_lock(tmp_path: Path) -> None:
    then = """
import os, subprocess
print(subprocess.Popen(["sleep", "30"]).pid, flush=True)
if os.fork() == 0:
    print(os.getpid(), flush=True)
time.sleep(30)
"""
    holder = _holder(tmp_path / "lock", then)
    assert holder.stdout is not None
    children = [int(holder.stdout.readline()) for _ in range(2)]
    try:
        with pytest.raises(IoFault):
            Lock(tmp_path / "lock", "scores")
        holder.kill()
        holder.wait()
        Lock(tmp_path / "lock", "scores").release()
        for child in children:
            os.kill(child, 0)  # they live on
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
        holder.stdout.close()


def test_of_many_that_start_at_once_exactly_one_runs(tmp_path: Path) -> None:
    """Each holder removes the file of the lock as a careless user might; the next still excludes all others."""
    inside, most, failures = 0, 0, 0
    guard = threading.Lock()
    path = tmp_path / "lock"

    def contend() -> None:
        nonlocal inside, most, failures
        for turn in range(40):
            try:
                lock = Lock(path, "scores")
            except IoFault:
                with guard:
                    failures += 1
                continue
            with guard:
                inside += 1
                most = max(most, inside)
            time.sleep(0.001)
            with guard:
                inside -= 1
            if turn % 2:
                path.unlink(missing_ok=True)
            lock.release()

    threads = [threading.Thread(target=contend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert failures > 0


def test_a_lock_file_that_was_removed_while_it_was_waited_for_is_not_what_is_held(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with Lock(path, "scores"):
        path.unlink()
        with Lock(path, "scores"):  # the file that is there now
            assert path.stat().st_size > 0


@pytest.mark.parametrize("obstacle", ["folder", "link"])
def test_what_cannot_be_a_lock_file_is_an_io_fault(tmp_path: Path, obstacle: str) -> None:
    if obstacle == "folder":
        (tmp_path / "lock").mkdir()
    else:
        (tmp_path / "lock").symlink_to("/dev/null")
    with pytest.raises(IoFault, match="could not be opened"):
        Lock(tmp_path / "lock", "scores")


def test_a_holder_that_has_not_yet_written_its_name_is_named_by_what_it_does(tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "lock"
    with path.open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(IoFault, match="another process is writing scores already"):
            Lock(path, "scores")
