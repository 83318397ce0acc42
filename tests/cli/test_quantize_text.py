"""What people read of a quantization of which nothing was written."""

from __future__ import annotations

from typing import Any

from mlpack_edge.cli.quantize_text import candidates_text


def test_a_table_without_a_winner_still_says_what_was_lost_and_what_the_float_model_takes() -> None:
    slower: dict[str, Any] = {
        "label": "static U8S8", "bytes": 30_000, "metric": {"name": "accuracy", "drop": 0.002}, "verdict": "slower",
        "latency": {"refused": None, "estimate": None, "ratio": 1.1, "after_ns": 88_000.0, "view": "isolated"},
    }  # fmt: skip
    document = {
        "float_ns": 80_000.0,
        "metric": None,
        "latency": None,
        "size": {"before": 100_000},
        "candidates": [slower],
    }
    head, float_row, _ = candidates_text(document).splitlines()
    assert "accuracy lost" in head and "80 us" in float_row
