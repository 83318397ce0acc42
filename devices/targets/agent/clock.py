"""Times calls one by one."""

from __future__ import annotations

import contextlib
import os
import resource
import statistics
import sys
import time
from typing import Callable, List, Tuple

from mlpack_edge.devices.targets.agent.facts import _text
from mlpack_edge.devices.targets.agent.frames import Json
from mlpack_edge.devices.targets.agent.models import Step

#: The first part of a turn warms the caches again and is not counted.
LEAD_SHARE = 0.1
#: Warm means that the median of a window of calls is within this share of the one before.
SETTLED = 0.02
WARM_UP_S = 2.0
#: Calls shorter than this share a probe of the processor.
PROBE_EVERY_NS = 200_000
#: Marks around what a counting emulator counts: it sees these calls of close(2), which fail and do nothing.
BEGIN, END = -7001, -7002


class Clock:
    """Times calls one by one, and sees whether the thread (all threads, where there are several) lost the processor.

    At one thread a sample is clean without any context switch. Several threads wait for each other, which are switches
    of their own will: only those against it count there (getrusage(2), ru_nvcsw and ru_nivcsw).
    """

    def __init__(self, steps: List[Step], threads: int) -> None:
        self._steps, self._at = steps, 0
        self._probe = processor_probe()
        self._alone = threads == 1 and hasattr(resource, "RUSAGE_THREAD")
        self._who = resource.RUSAGE_THREAD if self._alone else resource.RUSAGE_SELF

    def warm_up(self) -> Tuple[int, bool]:
        """Call until the median of a window is that of the one before: (calls, whether that came to be)."""
        calls, previous, start = 0, 0.0, time.perf_counter_ns()
        while True:
            samples, _, _ = self._run(0.02, 5)
            calls += len(samples)
            median = statistics.median(samples)
            if previous and abs(median - previous) <= SETTLED * previous and calls >= 15:
                return calls, True
            if time.perf_counter_ns() - start > WARM_UP_S * 1e9:
                return calls, False
            previous = median

    def turn(self, seconds: float, keep: int) -> Json:
        """One turn's samples, thinned evenly to `keep`; its first part is not counted unless a call is long."""
        start = time.perf_counter_ns()
        if self._last < seconds * 1e9 / 4:
            self._run(seconds * LEAD_SHARE, 1)
        samples, clean, probes = self._run(seconds, 1)
        spent = time.perf_counter_ns() - start
        if len(samples) > keep:
            places = [place * len(samples) // keep for place in range(keep)]
            samples, probes = [samples[place] for place in places], [probes[place] for place in places]
            clean = [clean[place] for place in places]
        return {
            "samples_ns": samples,
            "clean": "".join("1" if one else "0" for one in clean),
            "probes_ns": probes,
            "spent_ns": spent,
        }

    def _run(self, seconds: float, least: int) -> Tuple[List[int], List[bool], List[int]]:
        now, usage, who, alone, probe = time.perf_counter_ns, resource.getrusage, self._who, self._alone, self._probe
        steps, at, count = self._steps, self._at, len(self._steps)
        samples: List[int] = []
        clean: List[bool] = []
        probes: List[int] = []
        until = now() + int(seconds * 1e9)
        stop = 0
        probed, asked = probe(), now()
        while stop < until or len(samples) < least:
            ready, call = steps[at]
            at = at + 1 if at + 1 < count else 0
            if ready is not None:
                ready()
            before = usage(who)
            start = now()
            call()
            stop = now()
            after = usage(who)
            samples.append(stop - start)
            clean.append(after.ru_nivcsw == before.ru_nivcsw and (not alone or after.ru_nvcsw == before.ru_nvcsw))
            if stop - asked > PROBE_EVERY_NS:
                probed, last = probe(), probed
                probes += [max(last, probed)] * (len(samples) - len(probes))
                asked = now()
        last, probed = probed, probe()
        probes += [max(last, probed)] * (len(samples) - len(probes))
        self._at, self._last = at, samples[-1]
        return samples, clean, probes


def processor_probe() -> Callable[[], int]:
    """A fixed piece of work of a few us, timed: what slows the core itself slows it, whatever model runs."""
    import numpy

    left, right, out = (numpy.ones((64, 64), numpy.float32) for _ in range(3))
    multiply, now = numpy.matmul, time.perf_counter_ns

    def probe() -> int:
        multiply(left, right, out)  # its own caches first
        start = now()
        multiply(left, right, out)
        return now() - start

    return probe


def peak_rss() -> int:
    """Bytes. The kernel's mark for this program alone; ru_maxrss would remember the parent's before exec."""
    for line in _text("/proc/self/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def counted(steps: List[Step], most: int) -> Json:
    """Mark regions for an emulator's counter: for each set of inputs, no more than `most`, first nothing, then one call.

    What a mark and a call of Python cost is in both, so that the difference is the model's own.
    """
    steps = steps[:most]
    for ready, call in steps * 3:  # memory is planned and filled by the first calls
        if ready is not None:
            ready()
        call()
    for ready, call in steps:
        if ready is not None:
            ready()
        for work in (_nothing, call):
            with contextlib.suppress(OSError):
                os.close(BEGIN)
            work()
            with contextlib.suppress(OSError):
                os.close(END)
    return {"regions": ["nothing", "model"] * len(steps)}


def _nothing() -> None:
    pass
