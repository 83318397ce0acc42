"""What --time-limit left undone, for the JSON and for people."""

from __future__ import annotations

from typing import Any

from mlpack_edge.cli.bench_text import duration
from mlpack_edge.cli.quantize_weighing import Weighed

Json = dict[str, Any]


def limit_of(seconds: float, made: Json, weighed: Weighed) -> Json:
    """{seconds, ended, not_tried, unfinished, not_measured, not_sure, calibrated}: labels of what was not begun, of searches
    that were cut, of candidates that were not timed, or not for long enough to say whether they are slower. calibrated: of so many
    rows where calibration was cut, else null. ended: whether there is any of these."""
    search, calibration = made["search"], made["calibration"]
    found: Json = {
        "not_tried": [one["label"] for one in search["left_out"] if one["reason"] == "time-limit"],
        "unfinished": search["unfinished"],
        "not_measured": [point.label for point in weighed.not_measured],
        "not_sure": [weighed.unsure.label] if weighed.unsure is not None else [],
        "calibrated": calibration["rows"] if calibration and not calibration["complete"] else None,
    }
    return {"seconds": seconds, "ended": any(found.values()), **found}


def limit_text(limit: Json) -> str:
    """`--time-limit 1 s ended the search; not tried: dynamic, fp16`; nothing where there was time for all."""
    if not limit["ended"]:
        return ""
    parts = [f"--time-limit {duration(limit['seconds'] * 1e9)} ended the search"]
    if limit["calibrated"] is not None:
        parts.append(f"calibrated on {limit['calibrated']:,} rows and no more")
    return "; ".join([*parts, *undone(limit)])


def undone(limit: Json) -> list[str]:
    """What more time would be for, a phrase each."""
    return [f"{said}: {', '.join(limit[name])}" for name, said in _SAID.items() if limit[name]]


_SAID = {
    "not_tried": "not tried", "unfinished": "not searched to the end", "not_measured": "speed not measured",
    "not_sure": "measured too briefly to say whether it is slower",
}  # fmt: skip
