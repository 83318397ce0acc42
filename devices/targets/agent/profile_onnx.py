"""Operators of an ONNX model by ONNX Runtime's own profiler, which writes a line of JSON for each event."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from typing import Any, Callable, Dict, Iterator, List, Tuple

from mlpack_edge.devices.targets.agent.frames import Json, Refusal
from mlpack_edge.devices.targets.agent.models import Call, Feeds, OnnxModel
from mlpack_edge.devices.targets.agent.profile_table import (
    BLOCK_S,
    EVENTS,
    MOST_EVENTS,
    PROFILE_WARM_UP,
    Row,
    Rows,
    Stopwatch,
    own_time,
    settled,
    too_many_events,
)

#: The operators whose bodies are reported beside them.
CONTROL_FLOW = ("If", "Loop", "Scan", "SequenceMap")
#: Name, operator ("" for a run of the model), start, duration [us], place among the nodes of its graph.
OnnxEvent = Tuple[str, str, int, int, int]
_EVENT = re.compile(
    r'^\{"cat" : "(Node|Session)",.*?"dur" :(\d+),"ts" :(\d+),"ph" : "X","name" :("(?:[^"\\]|\\.)*"),"args" : (\{.*\})\},?$'
)
_OPERATOR = re.compile(r'"op_name" : "([^"]*)"')
_NODE = re.compile(r'"node_index" : "(\d+)"')
_SUFFIX = "_kernel_time"


def profile_onnx(path: str, feeds: Feeds, threads: int, spinning: bool, prefix: str, calls: int = 1000) -> Json:
    """Profile an ONNX file. prefix: of the file that ONNX Runtime writes, which is removed. Times are ns per inference;
    rows: name, op, calls, ns, seen_ns, share, node, parent.

    name, op: as ONNX Runtime has them after its own fusing. parent: the If, Loop or Scan in whose body it ran, else "";
    an operator that holds others has their time taken off. Fewer than `calls` where they would fill the profiler.
    """
    _, plain_call = _onnx_call(path, feeds, threads, spinning, "")
    for _ in range(PROFILE_WARM_UP):
        plain_call()
    with _profiling(path, feeds, threads, spinning, prefix) as (call, end):
        call()
        call()
        events = _onnx_events(end())
    runs = [place for place, event in enumerate(events) if not event[1]]
    if len(runs) < 2 or runs[-1] - runs[-2] > MOST_EVENTS:
        raise too_many_events(len(events), 1_000_000)
    plain = Stopwatch(plain_call)
    with _profiling(path, feeds, threads, spinning, prefix) as (call, end):
        for _ in range(PROFILE_WARM_UP):
            call()
        profiled = Stopwatch(call)
        most = max(10, min(calls, EVENTS // (runs[-1] - runs[-2])))
        start = time.monotonic()
        while profiled.wants(most, start):  # by turns, so that both meet the same load
            plain.block(5, 100_000, BLOCK_S)
            profiled.block(5, most - len(profiled.ns), BLOCK_S)
        events = _onnx_events(end())
    return settled("onnxruntime profiler", _onnx_rows(events, len(profiled.ns)), profiled, plain)


def _onnx_call(path: str, feeds: Feeds, threads: int, spinning: bool, prefix: str) -> Tuple[Any, Call]:
    model = OnnxModel(path, threads, spinning, prefix)
    return model, model.calls([feeds], [model.answer(feeds)])[0][1]


@contextlib.contextmanager
def _profiling(
    path: str, feeds: Feeds, threads: int, spinning: bool, prefix: str
) -> Iterator[Tuple[Call, Callable[[], str]]]:
    """A call, and what ends the profiling and names its file; which is gone afterwards, whatever happens."""
    model, call = _onnx_call(path, feeds, threads, spinning, prefix)
    ended: List[str] = []

    def end() -> str:
        if not ended:
            ended.append(model.session.end_profiling())
        return ended[0]

    try:
        yield call, end
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(end())


def _onnx_events(path: str) -> List[OnnxEvent]:
    """Each operator and each run of the model, as they ended. Read by the line: parsed whole it would not fit a board."""
    found: List[OnnxEvent] = []
    last = ""
    with open(path, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            last = line.strip() or last
            match = _EVENT.match(last)
            if match is None:
                continue
            kind, took, start, quoted, rest = match.groups()
            name = json.loads(quoted)
            if kind == "Session" and name == "model_run":
                found.append((name, "", int(start), int(took), -1))
            elif kind == "Node" and name.endswith(_SUFFIX):
                op, node = _OPERATOR.search(rest), _NODE.search(rest)
                if op is None or node is None:
                    raise _unread("an event of an operator names none")
                found.append((name[: -len(_SUFFIX)], op.group(1), int(start), int(took), int(node.group(1))))
    if last != "]":  # ONNX Runtime does not tell when it could not write: half the events would be half the time
        raise Refusal(
            "io", "the profile that ONNX Runtime wrote on the target is cut off", "the file system that holds %s may be full" % os.path.dirname(path),
            "free some space there, or have TMPDIR name another folder",
        )  # fmt: skip
    if not found:
        raise _unread("no line of it is an event as ONNX Runtime 1.31 writes it")
    return found


def _unread(why: str) -> Refusal:
    return Refusal(
        "unsupported", "the profile that this ONNX Runtime writes could not be read", why, "mlpack doctor names the releases that go together"
    )  # fmt: skip


def _onnx_rows(events: List[OnnxEvent], calls: int) -> Rows:
    """A row an operator, over the last `calls` runs. What ends within an operator with a body belongs to that body.

    Start and end are cut to microseconds, so an operator that ended in the microsecond in which a body's owner began may
    be taken for part of it; it is then 0 us long, and where most calls say is where it is listed.
    """
    runs = [place for place, event in enumerate(events) if not event[1]]
    first = runs[-calls - 1] + 1 if len(runs) > calls else 0
    rows: Rows = {}
    parents: Dict[Any, Dict[str, int]] = {}
    call, pending = 0, []  # type: Tuple[int, List[Tuple[int, int, Any]]]
    for name, op, start, took, node in events[first:]:
        if not op:
            call, pending = call + 1, []
            continue
        key, inside, bodies = (name, op, node), 0, 0
        if key not in rows:
            rows[key] = Row(calls, True, name=name, op=op, node=node, parent="")
        if op in CONTROL_FLOW:
            while pending and pending[-1][0] >= start:
                _, inner, child = pending.pop()
                inside, bodies = inside + inner, bodies + 1
                votes = parents.setdefault(child, {})
                votes[name] = votes.get(name, 0) + 1
        rows[key].add(call, *own_time(took, inside, bodies))
        pending.append((start, took, key))
    for key, votes in parents.items():
        name, count = max(votes.items(), key=lambda item: item[1])
        if 2 * count > sum(rows[key].events):
            rows[key].facts["parent"] = name
    return rows
