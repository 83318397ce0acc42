"""Profiles of shards joined, and made the profile of a run: in the coordinating process, with the standard library alone."""

from __future__ import annotations

from typing import Any

from mlpack_edge.profiles.profile import MANY, Profile, Window
from mlpack_edge.profiles.spec import Spec
from mlpack_edge.profiles.spec_file import digest

Json = dict[str, Any]


def merge_profile(a: Json, b: Json) -> Json:
    """Two states of `ProfileCollector`: all counters added."""
    added: Json = {name: a[name] + b[name] for name in ("rows", "predictions", "timed")}
    return added | {name: [x + y for x, y in zip(a[name], b[name], strict=True)] for name in ("counts", "sums")}


def profile_from_state(spec: Spec, state: Json) -> Profile:
    """The profile that a state says, with "window" (sequence, start, end) beside it; of a run that scored no shard, which has the window
    alone, one without a row."""
    if "rows" not in state:
        empty = {"counts": [0] * len(spec.reference.counts), "sums": [0] * len(spec.numeric)}
        state = {"rows": 0, "predictions": 0, "timed": 0, **empty, "window": state["window"]}
    return Profile(
        digest(spec)[:16], bytes.fromhex(spec.model_sha256)[:16], MANY, "", Window(*state["window"]), state["rows"], state["predictions"],
        state["timed"], tuple(state["counts"]), tuple(state["sums"]),
    )  # fmt: skip
