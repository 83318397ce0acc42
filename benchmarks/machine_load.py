"""A machine loaded on purpose: processes that compute in bursts, and sleep between them.

    with Load(2) as load:
        ...  # load.description says what runs

A process copies and adds 16 MB arrays (which empties the caches that it shares with others), multiplies matrices, and
hashes, in bursts of 5 to 80 ms with pauses of 1 to 30 ms, so that whoever measures beside it is preempted now and not
then, at times that repeat for nobody. Each ends with its parent.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

_PR_SET_PDEATHSIG = 1
BURST_S = (0.005, 0.08)
PAUSE_S = (0.001, 0.03)


class Load:
    """`processes` busy ones, from entering to leaving; none at all where it is 0."""

    def __init__(self, processes: int) -> None:
        self._count = processes
        self._running: list[subprocess.Popen[bytes]] = []
        self.description = {
            "processes": processes,
            "work": "copies and sums of 16 MB, matrix products of 256, sha256 of 1 MB",
            "burst_s": BURST_S,
            "pause_s": PAUSE_S,
        }

    def __enter__(self) -> Self:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._running = [
            subprocess.Popen([sys.executable, __file__, str(number)], env=environment) for number in range(self._count)
        ]
        if self._count:
            time.sleep(1.0)  # until they have imported numpy
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running:
            process.kill()
        for process in self._running:
            process.wait()


def busy(seed: int) -> None:
    """Never returns."""
    import numpy as np

    draw = random.Random(seed)
    source, target = np.ones(2 << 20), np.ones(2 << 20)
    square = np.ones((256, 256), np.float32)
    block = bytes(1 << 20)
    works = (
        lambda: np.copyto(target, source),
        lambda: source.sum(),
        lambda: square @ square,
        lambda: hashlib.sha256(block),
    )
    while True:
        until = time.perf_counter() + draw.uniform(*BURST_S)
        work = draw.choice(works)
        while time.perf_counter() < until:
            work()
        time.sleep(draw.uniform(*PAUSE_S))


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    busy(int(sys.argv[1]))
