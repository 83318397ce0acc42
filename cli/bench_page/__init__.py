"""The page of `mlpack bench --html`: one file that a browser shows without network and without scripts."""

from __future__ import annotations

from mlpack_edge.cli.bench_page.page import render

__all__ = ["render"]
