"""Tables of a profile: grouped by operator, held against the whole, and made from operators that were cut out.

A row is {name, op, calls, ns, share, method}, the time of one inference; `seen_ns`, where there is one, is what the
runtime's profiler said before it was made to agree with the plain call. calls, ns and share are None of an operator that
could not be timed; `why` says so, and shares are then of the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from mlpack_edge.core.errors import CheckFailed
from mlpack_edge.runtimes.litert.cut_out import Cut, CutOut

Json = dict[str, Any]

CUT_OUT = "cut-out operators"
#: A profiler that sees less than this share of a whole call, or more than its inverse, tells too little of it; so does one
#: whose operators take less than this, for it is wrong by up to half of it each.
SEEN_ENOUGH, LEAST_NS = 0.7, 2000.0


def grouped(rows: Iterable[Json]) -> list[Json]:
    """One row an operator type, the longest first: {op, operators, calls, ns, share}; None where none of it was timed."""
    made: dict[str, Json] = {}
    for row in rows:
        group = made.setdefault(row["op"], {"op": row["op"], "operators": 0, "calls": None, "ns": None, "share": None})
        group["operators"] += 1
        for name in ("calls", "ns", "share"):
            if row[name] is not None:
                group[name] = (group[name] or 0.0) + row[name]
    return sorted(made.values(), key=lambda group: -(group["ns"] or 0.0))


def coverage(rows: Iterable[Json], whole_ns: float) -> float:
    """The time of all operators over that of a plain call: below 1 by what a call takes around them, above where an
    operator alone takes longer than in its place. NaN where there is no whole.
    """
    return math.fsum(row["ns"] or 0.0 for row in rows) / whole_ns if whole_ns > 0 else math.nan


def clock_too_coarse(answer: Json) -> bool:
    """Whether a profiler's answer {rows, seen_ns, whole_ns} leaves much of the time to be guessed: its operators take less
    than two of the microseconds that it counts in, on the whole, or what it says is far from the plain call. Cut-out
    operators then tell more.
    """
    events = math.fsum(row["calls"] for row in answer["rows"])
    seen = answer["seen_ns"] / answer["whole_ns"]
    return bool(answer["whole_ns"] < LEAST_NS * events) or not SEEN_ENOUGH <= seen <= 1 / SEEN_ENOUGH


def timings_wanted(cut: Cut) -> list[tuple[bytes, tuple[Any, ...]]]:
    """The models to be timed on the target, with their inputs: each cut-out once, and again with its repeats."""
    wanted = []
    for piece in cut.cut_outs:
        wanted.append((piece.one, piece.feeds))
        if piece.repeats > 1:
            wanted.append((piece.many, piece.feeds))
    return wanted


def rows_from_cut_outs(cut: Cut, timed: Sequence[Json]) -> tuple[list[Json], float]:
    """(rows, what a call takes beside its operators [ns]), from {"ns", "why"} for each of `timings_wanted`.

    An operator takes (many - one) / (repeats - 1): what a call costs falls out. One that is too large to be repeated
    takes its call less the median of that cost over the others. Raises CheckFailed where nothing ran alone.
    """
    answers = iter(timed)
    single: list[tuple[CutOut, float, float | None]] = []
    refused: list[tuple[str, str, str]] = list(cut.left_out)
    for piece in cut.cut_outs:
        alone = next(answers)
        many = next(answers) if piece.repeats > 1 else None
        if alone["ns"] is None:
            refused.append((piece.op, piece.names[0], alone["why"]))
            continue
        each = None
        if many is not None and many["ns"] is not None:
            each = max(0.0, (many["ns"] - alone["ns"]) / (piece.repeats - 1))
        single.append((piece, alone["ns"], each))
    if not single:
        raise CheckFailed(
            "no operator of the model runs alone on the target", "profile it where ai-edge-litert 2.2 or newer runs",
            why="; ".join(f"{op}: {why}" for op, _, why in refused[:3]),
        )  # fmt: skip
    costs = sorted(one - each for _, one, each in single if each is not None)
    cost = costs[len(costs) // 2] if costs else 0.0
    rows: list[Json] = []
    for piece, one, each in single:
        ns = max(0.0, one - cost) if each is None else each
        rows += [
            {"name": name, "op": piece.op, "calls": count, "ns": ns * count, "method": CUT_OUT}
            for name, count in zip(piece.names, piece.counts, strict=True)
        ]
    total = math.fsum(row["ns"] for row in rows)
    for row in rows:
        row["share"] = row["ns"] / total if total else 1 / len(rows)
    rows.sort(key=lambda row: -row["ns"])
    untimed = {"calls": None, "ns": None, "share": None, "method": CUT_OUT}
    return rows + [{"name": name, "op": op, **untimed, "why": why} for op, name, why in refused], cost


def runs_of_graphs(rows: Iterable[Json]) -> dict[int, float]:
    """How often each graph of a TFLite file runs in one inference, from the rows of LiteRT's profiler: `cut` needs it
    where operators run other graphs.
    """
    made: dict[int, float] = {}
    for row in rows:
        made[row["graph"]] = max(made.get(row["graph"], 0.0), float(row["calls"]))
    return made
