"""The process that coordinates a run opens no foreign file, so it loads nothing that could."""

from __future__ import annotations

import subprocess
import sys

import pytest

_HEAVY = [
    "numpy",
    "pyarrow",
    "pandas",
    "polars",
    "duckdb",
    "deltalake",
    "onnx",
    "onnxruntime",
    "ai_edge_litert",
    "pyspark",
    "daft",
    "jinja2",
]


@pytest.mark.parametrize(
    "module",
    [
        "batch.run", "batch.outputs.parquet", "batch.outputs.duckdb_table", "batch.outputs.delta", "batch.engines.local",
        "batch.engines.spark", "batch.engines.daft", "cli.score", "cli.score_run", "cli.score_draft", "cli.score_evaluate",
    ],
)  # fmt: skip
def test_no_heavy_library_is_loaded(module: str) -> None:
    """A start costs a tenth of a second, and a nightly job that has nothing to do ends before half a second is over."""
    script = (
        f"import sys, mlpack_edge.{module}\n"
        f"found = sorted(set({_HEAVY!r}) & set(sys.modules))\n"
        "sys.exit(', '.join(found) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
