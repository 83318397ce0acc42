"""Operators of a TFLite model by LiteRT's own profiler, and in it XNNPACK's."""

from __future__ import annotations

import ctypes
import re
import time
from typing import Any, List, Tuple

from mlpack_edge.devices.targets.agent.frames import Json
from mlpack_edge.devices.targets.agent.litert_interface import (
    LitertCompiled,
    LitertLibrary,
    LitertRecord,
    no_litert_profiler,
)
from mlpack_edge.devices.targets.agent.models import Feeds, TfliteModel
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

#: Tag, type, start, duration [us], node, graph.
LitertEvent = Tuple[str, int, int, int, int, int]
#: litert/c/litert_profiler_event.h, LiteRtProfilerEventType.
_SPAN, _OPERATOR_EVENT, _DELEGATED = 1, 2, 8
#: What XNNPACK adds to an operator's name: the kind of kernel it chose.
_UKERNEL = re.compile(r" (I?GEMM|GEMV|Reduce2?|VMulCAddC|(?<=\) )Transpose|[A-Za-z0-9]*[Mm]icrokernel)$")
#: The operators of TFLite that run other graphs.
_CALLERS = ("WHILE", "IF", "CALL", "CALL_ONCE", "STABLEHLO_COMPOSITE")


def profile_tflite(path: str, feeds: Feeds, threads: int, calls: int = 1000) -> Json:
    """Profile a TFLite file with LiteRT's CompiledModel; the plain call is `Interpreter.invoke`. feeds: by place in the
    file. Rows: name, op, calls, ns, seen_ns, share, node, graph, delegate, part. Raises Refusal (missing-extra) where
    the target has no LiteRT whose profiler is known: cut-out operators are for those.

    delegate: "XNNPACK" for an operator of its graph, counted by `node` within it after its own fusing; else "", and
    `node` is the operator's place in `graph` of the file. Bodies of WHILE and IF are graphs of their own, counted there.
    """
    library = LitertLibrary()
    plain_model = TfliteModel(path, threads, False)
    ready, invoke = plain_model.calls([feeds], [plain_model.answer(feeds)])[0]
    if ready is not None:
        ready()
    model = LitertCompiled(library, path, [feeds[str(place)] for place in range(len(feeds))], threads)
    try:
        for _ in range(PROFILE_WARM_UP):
            invoke()
            model()
        library.call("StartProfiler", model.profiler)
        model()
        each = len(_litert_events(library, model.profiler))
        if each > MOST_EVENTS:
            raise too_many_events(each, 512 * 1024)
        calls = max(10, min(calls, 4 * EVENTS // each))
        plain, profiled = Stopwatch(invoke), Stopwatch(model)
        events: List[LitertEvent] = []
        start = time.monotonic()
        while profiled.wants(calls, start):
            plain.block(5, 100_000, BLOCK_S)
            library.call("StartProfiler", model.profiler)  # which forgets the events before
            profiled.block(1, min(calls - len(profiled.ns), max(1, EVENTS // each)), BLOCK_S)
            events += _litert_events(library, model.profiler)
    finally:
        model.close()
    return settled("LiteRT profiler", _litert_rows(events, len(profiled.ns)), profiled, plain)


def _litert_events(library: LitertLibrary, profiler: Any) -> List[LitertEvent]:
    """What happened since the profiler was started, in the order in which it began."""
    number = ctypes.c_int()
    library.call("GetNumProfilerEvents", profiler, ctypes.byref(number))
    if not number.value:
        raise no_litert_profiler("its profiler reports nothing")
    events = (LitertRecord * number.value)()
    library.call("GetProfilerEvents", profiler, number, events)
    return [
        (event.tag.decode("utf-8", "replace"), event.type, event.start, event.took, event.node, event.graph)
        for event in events
    ]


def _litert_rows(events: List[LitertEvent], calls: int) -> Rows:
    """A row an operator. A run begins with LiteRT's own event; an operator that calls graphs holds the events begun in it."""
    rows: Rows = {}
    call, part, last = -1, 0, -1
    owners: List[Tuple[int, Any, int, List[int]]] = []  # graph, key, took, [us inside, events inside]

    def close(until: int) -> None:
        """An event of a graph ends the operators that called from it."""
        while owners and until in [owner[0] for owner in owners]:
            _, key, took, inside = owners.pop()
            rows[key].add(call, *own_time(took, *inside))
            if owners:
                owners[-1][3][0] += inside[0]
                owners[-1][3][1] += inside[1]

    for tag, kind, _, took, node, graph in events:
        if kind == _SPAN:
            if tag.startswith("LiteRT::Run[buffer"):
                while owners:
                    close(owners[0][0])
                call, part, last = call + 1, 0, -1
            elif tag == "Invoke":
                part, last = 0, -1
        elif kind in (_OPERATOR_EVENT, _DELEGATED):
            close(graph)
            delegated = kind == _DELEGATED
            if delegated:  # several parts of a graph may be XNNPACK's, each counted from 0
                part += node <= last
                last = node
            key = (graph, delegated, part if delegated else 0, node, tag)
            if key not in rows:
                op = _UKERNEL.sub("", tag) if delegated else tag
                facts = {"name": "%s %d" % (tag, node), "op": op, "node": node, "graph": graph}
                rows[key] = Row(
                    calls,
                    not delegated,
                    delegate="XNNPACK" if delegated else "",
                    part=part if delegated else 0,
                    **facts,
                )
            if tag in _CALLERS and not delegated:
                owners.append((graph, key, took, [0, 0]))
                continue
            rows[key].add(call, took * 1e3, 1e3 if delegated else 0.0)
            if owners:
                owners[-1][3][0] += took
                owners[-1][3][1] += 1
    while owners:
        close(owners[0][0])
    return rows
