"""The table of operators that TensorFlow Lite's `benchmark_model` writes."""

from __future__ import annotations

from typing import Any

from mlpack_edge.core.errors import MlpackError, WorkerFault

Json = dict[str, Any]


def profile_rows(text: str) -> list[Json]:
    """The table of `--op_profiling_output_mode=csv`: [{name, op, calls, ns, share}], the longest first.

    ns: mean of a run; share: of all of a run, 0 to 1. Where a delegate tells what it ran inside its own node, that stands
    in the node's place, with what is left of the node's time under the node's name: nothing counts twice. Columns go by
    their headings: versions differ. Raises WorkerFault where there is no such table.
    """
    nodes: list[Json] = []
    inner: list[Json] = []
    rows, table, heading = nodes, False, list[str]()
    _, divided, body = text.rpartition("Operator-wise Profiling Info for Regular Benchmark Runs:")
    for line in (line.strip() for line in body.splitlines() if divided):
        if line.startswith("====="):
            table, heading = "Run Order" in line, []
        elif line.startswith("Delegate internal"):
            rows = inner
        elif not line:
            table = False
        elif table and not heading:
            heading = [word.strip().lower() for word in line.split(",")]
        elif table:
            rows.append(_profile_row(dict(zip(heading, _cells(line, len(heading)), strict=False))))
    whole = sum(row["ns"] for row in nodes)
    if not whole:
        raise WorkerFault(
            "benchmark_model wrote no table of operators", "take a benchmark_model of TensorFlow Lite 2.2 or newer",
            output=text[-2000:],
        )  # fmt: skip
    found = [{**row, "share": row["ns"] / whole} for row in _opened(nodes, inner)]
    return sorted(found, key=lambda row: -float(row["ns"]))


def _opened(nodes: list[Json], inner: list[Json]) -> list[Json]:
    """The nodes, those of delegates replaced by what ran inside them, which may lie in several of them."""
    delegated = [node for node in nodes if "delegate" in node["op"].lower()]
    left = sum(node["ns"] for node in delegated) - sum(row["ns"] for row in inner)
    if not inner or not delegated or left < 0:
        return nodes
    rest = {**delegated[0], "calls": sum(node["calls"] for node in delegated), "ns": left}
    return [node for node in nodes if node not in delegated] + inner + ([rest] if left else [])


def _cells(line: str, count: int) -> list[str]:
    """A row, which has no quoting: tabs stand for the commas of the name, which is last; those of the type are left."""
    return [cell.strip() for cell in line.rsplit(",", count - 1)]


def _profile_row(cells: dict[str, str]) -> Json:
    try:
        return {
            "name": cells["name"].replace("\t", ","),
            "op": cells["node type"],
            "calls": int(cells["times called"]),
            "ns": float(cells["avg_ms"]) * 1e6,
        }
    except (KeyError, ValueError) as fault:
        raise _unknown_table(cells) from fault


def _unknown_table(cells: dict[str, str]) -> MlpackError:
    return WorkerFault(
        "benchmark_model's table of operators is in no form known here",
        "take the benchmark_model of TensorFlow Lite 2.2 or newer", why=f"a row of it reads as {cells}",
    )  # fmt: skip
