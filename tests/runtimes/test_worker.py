"""A child process that crashes, hangs, eats memory or raises is one clear error here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlpack_edge.core.errors import BadInput, CheckFailed, WorkerFault
from mlpack_edge.runtimes.worker import Limits, WorkerBug, run_isolated

TASKS = "tests.runtimes.worker_tasks"


@pytest.fixture(autouse=True)
def _tests_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def test_modules_beside_the_model_are_not_importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_isolated(f"{TASKS}:echo", {})["cwd_on_path"] is False


def test_result_and_stages_come_back_whatever_is_printed() -> None:
    stages: list[str] = []
    result = run_isolated(f"{TASKS}:echo", {"a": [1, "ü"]}, on_stage=stages.append)
    assert result["got"] == {"a": [1, "ü"]}
    assert stages == ["echoing"]


def test_an_error_crosses_with_all_its_data() -> None:
    with pytest.raises(BadInput) as caught:
        run_isolated(f"{TASKS}:refuse", {})
    assert (caught.value.message, caught.value.hint, caught.value.why) == ("no", "do this", "that")
    assert caught.value.data == {"place": 3}


def test_a_crash_names_the_signal_and_the_stage() -> None:
    with pytest.raises(WorkerFault, match=r"model\.onnx: the child process died with SIGSEGV while reading byte 7"):
        run_isolated(f"{TASKS}:crash", {}, subject="model.onnx")


def test_a_hang_ends_at_the_time_limit() -> None:
    with pytest.raises(WorkerFault, match="no end after 1 s while waiting"):
        run_isolated(f"{TASKS}:hang", {}, Limits(seconds=1))


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA is enforced on Linux")
def test_memory_is_limited() -> None:
    with pytest.raises(WorkerFault, match="memory limit"):
        run_isolated(f"{TASKS}:eat", {}, Limits(seconds=60, memory_bytes=500_000_000))


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA is enforced on Linux")
@pytest.mark.parametrize("memory", [1, 20_000_000, 40_000_000, 50_000_000])
def test_a_limit_that_libraries_do_not_load_within_is_named(memory: int) -> None:
    """They fail in any way then: an ImportError, a SystemError without a reason."""
    with pytest.raises(WorkerFault, match=r"memory limit|died") as caught:
        run_isolated("mlpack_edge.runtimes.measuring.feeds:make_feeds", {"kind": "onnx"}, Limits(60, memory))
    assert "--memory-limit" in caught.value.hint


@pytest.mark.parametrize("how", ["stopped", "refused"])
@pytest.mark.parametrize(
    "said",
    [
        "bfc_arena.cc:440 void* onnxruntime::BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 8",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000000000000 bytes.",
        "std::bad_alloc",
    ],
)
def test_a_runtime_that_finds_no_memory_names_the_option_that_gives_it_more(how: str, said: str) -> None:
    with pytest.raises(WorkerFault, match=r"memory limit of .* was reached") as caught:
        run_isolated(f"{TASKS}:run_out", {"how": how, "said": said})
    assert "--memory-limit" in caught.value.hint and said in caught.value.why


def test_a_runtime_that_stops_for_another_reason_is_told_as_it_is() -> None:
    with pytest.raises(CheckFailed, match=r"inputs of \[9\]"):
        run_isolated(f"{TASKS}:run_out", {"how": "stopped", "said": "Gather: index 9 is out of bounds"})


def test_a_defect_keeps_its_traceback() -> None:
    with pytest.raises(WorkerBug, match="ZeroDivisionError"):
        run_isolated(f"{TASKS}:bug", {})


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_the_child_dies_with_its_parent() -> None:
    code = f"from mlpack_edge.runtimes.worker import run_isolated\nrun_isolated('{TASKS}:hang', {{}}, on_stage=print)"
    root = str(Path(__file__).parents[2])
    parent = subprocess.Popen(
        [sys.executable, "-u", "-c", code], env={**os.environ, "PYTHONPATH": root}, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    assert children
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while any(_alive(int(pid)) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(int(pid)) for pid in children)


def _alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
