"""The table of operators that TensorFlow Lite's `benchmark_model` writes."""

from __future__ import annotations

from typing import Any

from mlpack_edge.core.errors import MlpackError, WorkerFault

Json = dict[str, Any]


def profile_rows(text: str) -> list[Json]:
    """The table of `--op_profiling_output_mode=csv`: [{name, op, calls, ns, share, within}], in order of execution.

    ns: mean of a run; share: of the whole run, 0 to 1. `within`: None for a node of the model's graph, "delegate" for
    what a delegate ran inside its own node, which counts twice with it. Columns go by their headings: versions differ.
    Initialisation and the tables sorted otherwise are left out. Raises WorkerFault where there is no such table.
    """
    rows: list[Json] = []
    inside, table, heading = None, False, list[str]()
    _, divided, body = text.rpartition("Operator-wise Profiling Info for Regular Benchmark Runs:")
    for line in body.splitlines() if divided else ():
        line = line.strip()
        if line.startswith("====="):
            table, heading = "Run Order" in line, []
        elif line.startswith("Delegate internal"):
            inside = "delegate"
        elif not line:
            table = False
        elif table and not heading:
            heading = [word.strip().lower() for word in line.split(",")]
        elif table:
            rows.append(
                {**_profile_row(dict(zip(heading, _cells(line, len(heading)), strict=False))), "within": inside}
            )
    if not rows:
        raise WorkerFault(
            "benchmark_model wrote no table of operators", "take a benchmark_model of TensorFlow Lite 2.2 or newer",
            output=text[-2000:],
        )  # fmt: skip
    return rows


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
            "share": float(cells["%"].rstrip("%")) / 100,
        }
    except (KeyError, ValueError) as fault:
        raise _unknown_table(cells) from fault


def _unknown_table(cells: dict[str, str]) -> MlpackError:
    return WorkerFault(
        "benchmark_model's table of operators is in no form known here",
        "take the benchmark_model of TensorFlow Lite 2.2 or newer", why=f"a row of it reads as {cells}",
    )  # fmt: skip
