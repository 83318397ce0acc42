"""The agent: answers the host, and starts a child for each model and launch."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import random
import resource
import signal
import statistics
import struct
import sys
from typing import Any, Iterator, List, Optional, Set, Tuple

from mlpack_edge.devices.targets.agent.facts import emulation, environment, runtimes
from mlpack_edge.devices.targets.agent.folder import ENDINGS, Folder, remove_abandoned
from mlpack_edge.devices.targets.agent.frames import Frames, Json, Refusal
from mlpack_edge.devices.targets.agent.models import IDENTITY, TINY
from mlpack_edge.devices.targets.agent.process import Child
from mlpack_edge.devices.targets.agent.turns import Alive, ProbeFloor, take_turns

#: Of the model that does nothing.
FLOOR_TURNS = 10
#: The file system has no room, or none for this user.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Agent:
    """Answers the host."""

    def __init__(self, source: bytes, launch: List[str]) -> None:
        self.children: Set[Child] = set()
        self._frames = Frames(os.dup(0), os.dup(1))
        os.dup2(2, 1)
        self.launch = launch
        self._source = source
        self.path = self.file = ""

    def serve(self) -> None:
        """Until the input ends, or the host says bye."""
        folder = Folder()
        try:
            self.path = folder.make()
            self.file = os.path.join(self.path, "agent.py")
            remove_abandoned()
            with open(self.file, "wb") as stream:
                stream.write(self._source)
            self._converse()
        except OSError as fault:
            # Before the first question, or while the host is no longer there to read of it.
            with contextlib.suppress(OSError):
                self._frames.write({"error": self._unusable(fault)})
        finally:
            for number in ENDINGS:
                signal.signal(number, signal.SIG_IGN)  # the cleaning is not to be broken off
            for child in list(self.children):
                child.end()
            folder.remove()

    def _converse(self) -> None:
        while True:
            asked = self._frames.head()
            if asked is None or asked["do"] == "bye":
                return
            try:
                answer, block = getattr(self, "do_" + asked["do"])(asked)
                self._frames.write({"ok": answer}, block)
            except Refusal as refusal:
                self._frames.write({"error": refusal.record})
            except MemoryError:
                self._frames.write({"error": _no_memory()})
            except EOFError:
                return
            except OSError as fault:
                self._frames.write({"error": self._unusable(fault)})

    def _unusable(self, fault: OSError) -> Json:
        where = self.path or os.environ.get("TMPDIR", "/tmp")
        hint = "check the permissions on the target"
        if fault.errno in NO_ROOM or not self.path:
            hint = "free some space on the target: its folder for temporary files is %s (TMPDIR names another)" % (
                os.path.dirname(where) if self.path else where
            )
        return {
            "kind": "io", "message": "the target could not use %s" % (fault.filename or "its folder for temporary files"),
            "why": fault.strerror or str(fault), "hint": hint,
        }  # fmt: skip

    def do_hello(self, asked: Json) -> Tuple[Json, bytes]:
        return {
            "python": platform.python_version(), "executable": sys.executable, "runtimes": runtimes(), "environment": environment(),
            "folder": self.path,
        }, b""  # fmt: skip

    def do_put(self, asked: Json) -> Tuple[Json, bytes]:
        """Write a file into the agent's folder, piece by piece as it comes; all of it is read, also where it cannot be."""
        blocks, digest = self._frames.blocks(asked), hashlib.sha256()
        path = os.path.realpath(os.path.join(self.path, asked["name"]))
        try:
            if not path.startswith(self.path + os.sep):
                raise Refusal("bad-input", "%s lies outside the agent's folder" % asked["name"])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as stream:
                for block in blocks:
                    stream.write(block)
                    digest.update(block)
        except OSError as fault:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise OSError(fault.errno, fault.strerror, path) from fault
        finally:
            for _ in blocks:
                pass
        if digest.hexdigest() != asked["sha256"]:
            raise Refusal("io", "%s arrived damaged on the target" % asked["name"], "", "try again")
        return {"file": path}, b""

    def do_outputs(self, asked: Json) -> Tuple[Json, bytes]:
        with self._child({**asked, "do": "outputs"}) as child:
            return child.ask()

    def do_profile(self, asked: Json) -> Tuple[Json, bytes]:
        self._refuse_time()
        with self._child({**asked, "do": "profile", "profile": os.path.join(self.path, "profile")}) as child:
            return child.ask()

    def do_cut_outs(self, asked: Json) -> Tuple[Json, bytes]:
        """Time the operators that the host cut out of a model, each a model of its own."""
        self._refuse_time()
        with self._child({**asked, "do": "cut_outs"}) as child:
            return child.ask()

    def do_count(self, asked: Json) -> Tuple[Json, bytes]:
        with self._child({**asked, "do": "count"}) as child:
            return child.ask()

    def _refuse_time(self) -> None:
        found = emulation()
        if found:
            raise Refusal(
                "check-failed", "the target runs under emulation (%s), where time says nothing" % found, "",
                "ask for outputs (mlpack check --target) or instructions (--target emulated:pi4), or measure on the board itself",
            )  # fmt: skip

    def do_measure(self, asked: Json) -> Tuple[Json, bytes]:
        """Launches of all models, round by round. A model that fails is left out of what follows."""
        self._refuse_time()
        plan, order = asked["plan"], random.Random(asked["plan"]["seed"])
        launches: List[List[Json]] = [[] for _ in asked["models"]]
        faults: List[Optional[Json]] = [None] * len(asked["models"])
        floor = ProbeFloor()
        for number in range(plan["processes"]):
            self._frames.write({"stage": "measuring: process %d of %d" % (number + 1, plan["processes"])})
            self._round(number, asked["models"], plan, order, launches, faults, floor)
        kinds = {(model["format"], own[0]["io"]) for model, own in zip(asked["models"], launches) if own}
        floors = {"%s %s" % kind: self._floor(*kind, plan=plan, floor=floor) for kind in sorted(kinds)}
        around = environment()
        if kinds:
            within = floor.mark([launch for own in launches for launch in own])
            around.update(probe_ns=floor.ns(), quiet_within=within)
        return {"launches": launches, "faults": faults, "floors": floors, "environment": around}, b""

    def _floor(self, format: str, io: str, plan: Json, floor: ProbeFloor) -> float:
        """The median of calls of a model that does nothing, in the same loop: what measuring itself costs."""
        identity = IDENTITY if format == "onnx" else TINY
        name, shape = ("x", [1]) if format == "onnx" else ("0", [2])
        packing = json.dumps([[{"name": name, "dtype": "<f4", "shape": shape, "bytes": 4 * shape[0]}]]).encode()
        paths = [os.path.join(self.path, "floor." + suffix) for suffix in (format, "feeds")]
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
        samples: List[int] = []
        with self._child({**job, "do": "measure"}) as child:
            child.ask()
            for _ in range(FLOOR_TURNS):
                turn = child.ask({"do": "turn", "seconds": plan["turn"], "keep": 2000})[0]
                floor.see(turn)
                samples += [one for one, quiet in zip(turn["samples_ns"], floor.quiet(turn)) if quiet == "1"]
        return float(statistics.median(samples or turn["samples_ns"]))

    def _round(
        self,
        number: int,
        models: List[Json],
        plan: Json,
        order: random.Random,
        launches: List[List[Json]],
        faults: List[Optional[Json]],
        floor: ProbeFloor,
    ) -> None:
        places = [place for place in range(len(models)) if faults[place] is None]
        order.shuffle(places)
        alive: Alive = {}
        with contextlib.ExitStack() as stack:
            for place in places:
                try:
                    child = stack.enter_context(self._child({**plan, **models[place], "do": "measure"}))
                    alive[place] = (child, {**child.ask()[0], "round": number, "blocks": []})
                except Refusal as refusal:
                    faults[place] = refusal.record
            take_turns(alive, plan, order, floor, faults)
            for place, (child, launch) in alive.items():
                try:
                    launches[place].append({**launch, **child.ask({"do": "end"})[0]})
                except Refusal as refusal:
                    faults[place] = refusal.record

    @contextlib.contextmanager
    def _child(self, job: Json) -> Iterator[Child]:
        child = Child([*self.launch, self.file], self.path, self._frames, job)
        self.children.add(child)
        try:
            yield child
        finally:
            child.end()
            self.children.discard(child)


def _no_memory() -> Json:
    return {"kind": "worker", "message": "the target has too little memory for this", "why": "", "hint": ""}


def main(source: bytes) -> None:
    """Serve the host. The arguments start Python for children, where that is not this one."""

    def stop(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    for number in ENDINGS:
        signal.signal(number, stop)
    # A model that kills its process leaves no core file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    launch = sys.argv[1:] or [sys.executable]
    if os.sep in launch[0]:
        launch[0] = os.path.abspath(launch[0])  # children start in another folder
    Agent(source, launch).serve()
