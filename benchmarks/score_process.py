"""Run a command and know its wall time, and what all its processes together held in memory."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Seconds between two looks at the memory; a look at three processes costs less than a millisecond.
SAMPLE = 0.05


@dataclass(frozen=True, slots=True)
class Ran:
    """seconds: from start to end, Python's own start included. cpu_seconds: of all its processes.

    peak_bytes: the largest sum of proportional set sizes (PSS) over the processes at one look; 0 where nobody looked.
    (`ru_maxrss` is of no use: it counts what the process that starts them holds, and every child before them.)
    """

    seconds: float
    cpu_seconds: float
    stdout: str
    peak_bytes: int = 0


def run(line: Sequence[str], threads: int = 1, memory: bool = False, folder: Path | None = None) -> Ran:
    """Run to the end. Raises SystemExit with what it printed when it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    environment["PYTHONWARNINGS"] = "ignore"
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begin = time.perf_counter()
        process = subprocess.Popen(list(line), stdout=out, stderr=err, env=environment, cwd=folder)
        peak = _watch(process) if memory else 0
        process.wait()
        seconds = time.perf_counter() - begin
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "replace"))
    if process.returncode:
        raise SystemExit(f"{' '.join(line)}\nended with {process.returncode}\n{texts[0][-2000:]}{texts[1][-4000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ran(seconds, cpu, texts[0], peak)


def _watch(process: subprocess.Popen[bytes]) -> int:
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(pss(pid) for pid in tree(process.pid)))
        time.sleep(SAMPLE)
    return peak


def tree(root: int) -> list[int]:
    """`root` and all that descend from it, now."""
    parents = dict(_parents())
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text()
                yield int(entry.name), int(stat[stat.rindex(")") + 2 :].split()[1])


def pss(pid: int) -> int:
    """Bytes: private pages, and a share of those that others map too. 0 where the process is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def killed_after(line: Sequence[str], seconds: float) -> bool:
    """Start it, and `kill -9` it with all it started after so many seconds. False where it had ended before."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(list(line), start_new_session=True, **quiet)
    try:
        process.wait(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        for pid in tree(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        return True
