"""Results of `mlpack bench` for people."""

from __future__ import annotations

from typing import Any

from mlpack_edge.cli.outcome import size_text, table
from mlpack_edge.runtimes.measuring.profile import grouped

Json = dict[str, Any]
_PROFILE_ROWS = 10
#: What a table has room for; the document has all classes.
_CLASSES = ("total", "simd", "multiply_add", "dot_product", "loads", "stores")


def bench_text(document: Json) -> str:
    """The figures of each model, what differs, operators, and what they were measured on."""
    results = document["results"]
    if not results:
        return ""
    parts = [
        _counts(results)
        if results[0]["instructions"]
        else _estimates(results)
        if results[0]["estimate"]
        else _times(results)
    ]
    parts += [_comparison(one) for one in document["comparison"]]
    parts += [_profile(result) for result in results if result["profile"]]
    parts.append(_environment(results[0]))
    return "\n".join(parts)


def duration(ns: float | None) -> str:
    """Three digits and a unit."""
    if ns is None:
        return "-"
    for unit, size in (("ns", 1.0), ("us", 1e3), ("ms", 1e6)):
        if ns < 999.5 * size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns / 1e9:.3g} s"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f}%"


def _size(count: int | None) -> str:
    return "-" if count is None else size_text(count)


def _times(results: list[Json]) -> str:
    rows = []
    for result in results:
        seen = result["latency_ns"] or dict.fromkeys(("p50", "p90", "p99"))
        alone = result["isolated_ns"] or {"p50": None}
        low, high = result["ci95_ns"] or (None, None)
        rows.append((
            result["model"], duration(seen["p50"]), duration(seen["p90"]), duration(seen["p99"]), duration(alone["p50"]),
            f"{duration(low)} to {duration(high)}", _percent(result["clean_share"]), duration(result["first_call_ns"]),
            duration(result["load_ns"]), _size(result["peak_rss_bytes"]), size_text(result["bytes"]), result["verdict"],
        ))  # fmt: skip
    head = (
        "model",
        "p50",
        "p90",
        "p99",
        "isolated",
        "95% interval",
        "clean",
        "first",
        "load",
        "memory",
        "file",
        "verdict",
    )
    return table(rows, head)


def _counts(results: list[Json]) -> str:
    names = [name for name in _CLASSES if name in results[0]["instructions"]]
    rows = [
        (result["model"], *(f"{result['instructions'][name]:,.0f}" for name in names), size_text(result["bytes"]))
        for result in results
    ]
    text = "instructions per inference\n" + table(rows, ("model", *(name.replace("_", " ") for name in names), "file"))
    for result in results:
        if result["calibrated_ns"]:
            found = result["calibrated_ns"]
            text += (
                f"\n{result['model']}: {duration(found['low'])} to {duration(found['high'])} on {found['board']}, "
                f"by its calibration of {found['date']} (spread {found['spread']:.3g})"
            )
    return text


def _estimates(results: list[Json]) -> str:
    names = [name for name, value in results[0]["estimate"].items() if isinstance(value, int | float)]
    rows = [
        (result["model"], *(f"{result['estimate'][name]:,}" for name in names), result["estimate"]["covers"])
        for result in results
    ]
    return "estimates of a simulator\n" + table(rows, ("model", *(name.replace("_", " ") for name in names), "covers"))


def _comparison(one: Json) -> str:
    said = f"{one['b']} against {one['a']}: "
    if one["ratio"] is None:
        return said + "unclear, there is no figure"
    low, high = one["ci95"]
    if one["view"] in ("instructions", "cycles"):
        words = {"slower": f"more {one['view']}", "faster": f"fewer {one['view']}"}
        return said + f"{words.get(one['verdict'], one['verdict'])}, {one['ratio']:.4f} times as many"
    seen = "" if one["view"] == "isolated" else ", as experienced"
    spread = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return said + f"{one['verdict']}, {one['ratio']:.3f} times its time{spread}{seen}"


def _profile(result: Json) -> str:
    """By operator type; the page and the document have each operator."""
    groups = grouped(result["profile"])
    rows = [
        (
            "-" if group["share"] is None else f"{100 * group['share']:.1f}%",
            duration(group["ns"]),
            str(group["operators"]),
            group["op"],
        )
        for group in groups[:_PROFILE_ROWS]
    ]
    more = len(groups) - len(rows)
    text = f"{result['model']}, by operator ({result['profile'][0]['method']})\n"
    text += table(rows, ("share", "time", "count", "operator"))
    return text + (f"\nand {more} other kinds" if more > 0 else "")


def _environment(result: Json) -> str:
    found = result["environment"]
    runtime = found.get("runtime") or {}
    facts = [
        result["target"], str(found.get("cpu") or ""), f"{runtime.get('name', '')} {runtime.get('version', '')}".strip(),
        f"{result['threads']} thread{'s' if result['threads'] > 1 else ''}", f"batch {result['batch']}",
    ]  # fmt: skip
    if result["harness_floor_ns"]:
        facts.append(f"measuring costs {duration(result['harness_floor_ns'])}")
    if found.get("load_before") and found.get("load_after") and not result["instructions"]:
        facts.append(f"load {found['load_before'][0]:.2g} before, {found['load_after'][0]:.2g} after")
    return "on " + ", ".join(fact for fact in facts if fact)
