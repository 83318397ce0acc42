"""The agent: answers the host, and starts a child for each model and launch."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import random
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from mlpack_edge.devices.targets.agent.facts import emulation, environment, runtimes
from mlpack_edge.devices.targets.agent.frames import Frames, Json, Refusal
from mlpack_edge.devices.targets.agent.models import IDENTITY, TINY

#: A turn is about this long: the caches belong to the model for most of it, and it is short against a machine's moods.
TURN_S = 0.04
#: Where one call is longer than a launch should take: how often the wanted seconds may be overrun for its least calls.
OVERRUN = 10


class Child:
    """A process that holds one model."""

    def __init__(self, agent: Agent, job: Json) -> None:
        self._agent, self.label = agent, job["label"]
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        environment = {**os.environ, "OMP_NUM_THREADS": str(job["threads"]), "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            [*agent.launch, agent.file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._noise, env=environment,
        )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._frames = Frames(self._process.stdout.fileno(), self._process.stdin.fileno())
        self._limit = job["time_limit"]
        self._job = job

    def ask(self, record: Optional[Json] = None) -> Tuple[Json, bytes]:
        """Its answer, while the input of the agent is watched: a host that has gone ends everything."""
        with contextlib.suppress(BrokenPipeError):
            self._frames.write(self._job if record is None else record)
        deadline = time.monotonic() + self._limit
        while True:
            ready, _, _ = select.select(
                [self._frames.reading, *self._agent.watched()], [], [], max(0.0, deadline - time.monotonic())
            )
            if not ready:
                self.end()
                raise Refusal(
                    "worker", "%s gave no answer within %g s and was stopped" % (self.label, self._limit), "",
                    "give it longer with --time-limit",
                )  # fmt: skip
            if self._frames.reading in ready:
                break
            self._agent.look()
        found = self._frames.read()
        if found is None:
            raise self._death()
        if "error" in found[0]:
            self.end()
            raise Refusal(**found[0]["error"])
        return found[0]["ok"], found[1]

    def _death(self) -> Refusal:
        code = self._process.wait()
        self._noise.seek(0)
        lines = [line for line in self._noise.read().decode("utf-8", "replace").splitlines() if line.strip()]
        name = signal.Signals(-code).name if code < 0 and -code in set(signal.Signals) else "exit code %d" % code
        hint = (
            "the model may need more memory than the target has"
            if code == -signal.SIGKILL
            else ("the runtime on the target has a defect with this model, or its packages do not go together")
        )
        return Refusal(
            "worker",
            "%s ended its process on the target with %s" % (self.label, name),
            lines[-1][:400] if lines else "",
            hint,
        )

    def end(self) -> None:
        """Leave nothing running."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._noise):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        self._agent.children.discard(self)


class Agent:
    """Answers the host."""

    def __init__(self, source: bytes, launch: List[str]) -> None:
        self.children: Set[Child] = set()
        self._frames = Frames(os.dup(0), os.dup(1))
        os.dup2(2, 1)
        self._gone = False
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="mlpack-agent-"))
        self.file = os.path.join(self.folder, "agent.py")
        self.launch = launch
        self._source = source

    def serve(self) -> None:
        try:
            with open(self.file, "wb") as stream:
                stream.write(self._source)
            while not self._gone:
                found = self._frames.read()
                if found is None or found[0]["do"] == "bye":
                    return
                self._answer(*found)
        finally:
            for child in list(self.children):
                child.end()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _answer(self, asked: Json, payload: bytes) -> None:
        try:
            answer, block = getattr(self, "do_" + asked["do"])(asked, payload)
            self._frames.write({"ok": answer}, block)
        except Refusal as refusal:
            self._frames.write({"error": refusal.record})
        except OSError as fault:
            full = "free some space on the target: its folder for temporary files is " + tempfile.gettempdir()
            self._frames.write({"error": {
                "kind": "io", "message": "the target could not use %s" % (fault.filename or "a file"), "why": fault.strerror or str(fault),
                "hint": full if fault.errno in (28, 122) else "check the permissions on the target",
            }})  # fmt: skip

    def watched(self) -> List[int]:
        return [] if self._gone else [self._frames.reading]

    def look(self) -> None:
        """The host says something while it is being answered: nothing but its end is expected."""
        if not os.read(self._frames.reading, 1):
            raise SystemExit(1)
        raise SystemExit(2)

    def do_hello(self, asked: Json, payload: bytes) -> Tuple[Json, bytes]:
        return {
            "python": platform.python_version(), "executable": sys.executable, "runtimes": runtimes(), "environment": environment(),
            "folder": self.folder,
        }, b""  # fmt: skip

    def do_put(self, asked: Json, payload: bytes) -> Tuple[Json, bytes]:
        """Write a file into the agent's folder."""
        path = os.path.realpath(os.path.join(self.folder, asked["name"]))
        if not path.startswith(self.folder + os.sep):
            raise Refusal("bad-input", "%s lies outside the agent's folder" % asked["name"])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(payload)
        if hashlib.sha256(payload).hexdigest() != asked["sha256"]:
            raise Refusal("io", "%s arrived damaged on the target" % asked["name"], "", "try again")
        return {"file": path}, b""

    def do_outputs(self, asked: Json, payload: bytes) -> Tuple[Json, bytes]:
        with self._child({**asked, "do": "outputs"}) as child:
            return child.ask()

    def do_profile(self, asked: Json, payload: bytes) -> Tuple[Json, bytes]:
        with self._child({**asked, "do": "profile", "profile": os.path.join(self.folder, "profile")}) as child:
            return child.ask()

    def do_count(self, asked: Json, payload: bytes) -> Tuple[Json, bytes]:
        with self._child({**asked, "do": "count"}) as child:
            return child.ask()

    def do_measure(self, asked: Json, payload: bytes) -> Tuple[Json, bytes]:
        """Launches of all models, round by round. A model that fails is left out of what follows."""
        found = emulation()
        if found:
            raise Refusal(
                "check-failed", "the target runs under emulation (%s), where time says nothing" % found, "",
                "ask for outputs (mlpack check --target) or instructions (--target emulated:pi4), or measure on the board itself",
            )  # fmt: skip
        plan, order = asked["plan"], random.Random(asked["plan"]["seed"])
        launches: List[List[Json]] = [[] for _ in asked["models"]]
        faults: List[Optional[Json]] = [None] * len(asked["models"])
        for number in range(plan["processes"]):
            self._frames.write({"stage": "measuring: process %d of %d" % (number + 1, plan["processes"])})
            self._round(number, asked["models"], plan, order, launches, faults)
        kinds = {(model["format"], own[0]["io"]) for model, own in zip(asked["models"], launches) if own}
        floors = {"%s %s" % kind: self._floor(*kind, plan=plan) for kind in sorted(kinds)}
        return {"launches": launches, "faults": faults, "floors": floors, "environment": environment()}, b""

    def _floor(self, format: str, io: str, plan: Json) -> float:
        """The median of calls of a model that does nothing, in the same loop: what measuring itself costs."""
        identity = IDENTITY if format == "onnx" else TINY
        name, shape = ("x", [1]) if format == "onnx" else ("0", [2])
        packing = json.dumps([[{"name": name, "dtype": "<f4", "shape": shape, "bytes": 4 * shape[0]}]]).encode()
        paths = [os.path.join(self.folder, "floor." + suffix) for suffix in (format, "feeds")]
        for path, block in zip(paths, (identity, packing + b"\n" + struct.pack("<%df" % shape[0], *[1.0] * shape[0]))):
            with open(path, "wb") as stream:
                stream.write(block)
        job = {
            **plan,
            "file": paths[0],
            "feeds": paths[1],
            "format": format,
            "label": "the identity model",
            "io": io,
            "memory": None,
        }
        with self._child({**job, "do": "measure"}) as child:
            child.ask()
            samples = [
                number
                for _ in range(5)
                for number in child.ask({"do": "turn", "seconds": TURN_S, "keep": 2000})[0]["samples_ns"]
            ]
        return float(statistics.median(samples))

    def _round(
        self,
        number: int,
        models: List[Json],
        plan: Json,
        order: random.Random,
        launches: List[List[Json]],
        faults: List[Optional[Json]],
    ) -> None:
        places = [place for place in range(len(models)) if faults[place] is None]
        order.shuffle(places)
        alive: Dict[int, Tuple[Child, Json]] = {}
        with contextlib.ExitStack() as stack:
            for place in places:
                try:
                    child = stack.enter_context(self._child({**plan, **models[place], "do": "measure"}))
                    alive[place] = (child, {**child.ask()[0], "round": number, "blocks": []})
                except Refusal as refusal:
                    faults[place] = refusal.record
            left = {place: plan["seconds"] * 1e9 * models[place].get("share", 1.0) for place in alive}
            made = dict.fromkeys(alive, 0)
            while left:
                turn = list(left)
                order.shuffle(turn)
                for place in turn:
                    child, launch = alive[place]
                    try:
                        block = child.ask({"do": "turn", "seconds": plan["turn"], "keep": plan["keep"]})[0]
                    except Refusal as refusal:
                        faults[place] = refusal.record
                        del left[place]
                        continue
                    launch["blocks"].append(block)
                    made[place] += len(block["samples_ns"])
                    left[place] -= block.pop("spent_ns")
                    done = made[place] >= plan["least_calls"] or left[place] <= -OVERRUN * plan["seconds"] * 1e9
                    if left[place] <= 0 and done:
                        launches[place].append({**launch, **child.ask({"do": "end"})[0]})
                        del left[place]

    @contextlib.contextmanager
    def _child(self, job: Json) -> Iterator[Child]:
        child = Child(self, job)
        self.children.add(child)
        try:
            yield child
        finally:
            child.end()


def main(source: bytes) -> None:
    """Serve the host. The arguments start Python for children, where that is not this one."""

    def stop(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, stop)
    with contextlib.suppress(BrokenPipeError):
        Agent(source, sys.argv[1:] or [sys.executable]).serve()
