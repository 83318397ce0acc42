"""The child: one model in one process, told by its parent what to do."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import sys
import time

from mlpack_edge.devices.targets.agent.arrays import packed, unpacked
from mlpack_edge.devices.targets.agent.clock import Clock, counted, peak_rss
from mlpack_edge.devices.targets.agent.cut_out_times import told_cut_outs
from mlpack_edge.devices.targets.agent.frames import Frames, Json, Refusal
from mlpack_edge.devices.targets.agent.models import FORMATS, missing
from mlpack_edge.devices.targets.agent.profiling import told_profile

_PR_SET_PDEATHSIG = 1


def child_main() -> None:
    """Read what to open, then do as told until the input ends."""
    frames = Frames(os.dup(0), os.dup(1))
    os.dup2(2, 1)  # what a library prints is no frame
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    first = frames.read()
    if first is None:
        return
    try:
        serve_child(frames, first[0])
    except Refusal as refusal:
        frames.write({"error": refusal.record})
    except MemoryError:
        frames.write(
            {"error": {"kind": "worker", "message": "the model needs more memory than there is", "why": "", "hint": ""}}
        )
    sys.stderr.flush()
    os._exit(0)  # libraries' exit handlers have crashed after the work was done


def serve_child(frames: Frames, job: Json) -> None:
    import gc

    try:
        import numpy  # noqa: F401 - what is imported here is not part of loading the model
    except ImportError as fault:
        raise missing("numpy", fault, job["format"]) from fault

    # Private memory: a model that wants more than there is ends alone, before the kernel chooses who else has to.
    most = job.get("memory") or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 8 // 10
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    try:
        if job["do"] == "cut_outs":
            frames.write({"ok": told_cut_outs(job)})
            return
        with open(job["feeds"], "rb") as stream:
            sets = unpacked(stream.read())
        if job["do"] == "profile":
            frames.write({"ok": told_profile(job, sets[0])})
            return
        opened = FORMATS[job["format"]](job["file"], job["threads"], job["spinning"], "", job.get("io", ""))
        start = time.perf_counter_ns()
        answers = [opened.answer(sets[0])]
        first_call = time.perf_counter_ns() - start
        answers += [opened.answer(feeds) for feeds in sets[1:]]
        if job["do"] == "outputs":
            frames.write({"ok": {"runtime": opened.runtime}}, packed(answers))
            return
        digest = hashlib.sha256(packed(answers)).hexdigest()
        steps = opened.calls(sets, answers)
        gc.collect()
        gc.freeze()
        gc.disable()
        if job["do"] == "count":
            frames.write(
                {
                    "ok": {
                        **counted(steps, job["calls"]),
                        "runtime": opened.runtime,
                        "output_digest": digest,
                        "io": opened.io,
                    }
                }
            )
            return
        clock = Clock(steps, job["threads"])
        calls, settled = clock.warm_up()
        frames.write({"ok": {
            "load_ns": opened.load_ns, "first_call_ns": first_call, "warm_up_calls": calls, "settled": settled,
            "output_digest": digest, "io": opened.io, "runtime": opened.runtime,
        }})  # fmt: skip
        while True:
            found = frames.read()
            if found is None:
                return
            if found[0]["do"] == "turn":
                frames.write({"ok": clock.turn(found[0]["seconds"], found[0]["keep"])})
            else:
                frames.write({"ok": {"peak_rss_bytes": peak_rss()}})
                return
    except (Refusal, MemoryError):
        raise
    except Exception as fault:
        # What a runtime raises has no base class; it is its answer to this model.
        raise Refusal(
            "check-failed", "the runtime on the target refuses the model", "%s: %s" % (type(fault).__name__, " ".join(str(fault).split())[:400]),
            "mlpack inspect says what it holds; mlpack target check says what the target runs",
        ) from fault  # fmt: skip
