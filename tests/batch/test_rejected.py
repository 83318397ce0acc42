"""The quarantine of a shard."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow

from mlpack_edge.batch.rejected import RejectedRows
from mlpack_edge.batch.scoring.findings import Finding, Findings, no_findings


def test_a_rejected_row_stands_there_with_its_rule_and_the_models_inputs(tmp_path: Path) -> None:
    batch = pyarrow.record_batch({
        "id": pyarrow.array(["k0", "k1", "k2"]),
        "a": pyarrow.array([1.0, float("nan"), float("-inf")]),
        "ü b": pyarrow.array(["x", None, "é"]),
        "other": pyarrow.array([1, 2, 3]),
    })  # fmt: skip
    kinds = (Finding("missing", "a", "NaN"), Finding("infinity", "a", "infinity"))
    with RejectedRows(tmp_path / "r.jsonl", "in ä.parquet", "id", ["a", "ü b"]) as rejected:
        rejected.add(batch, 100, Findings(np.array([0, 1, 2], np.int32), kinds))
        rejected.add(batch, 103, no_findings(3))
        rejected.add(batch, 106, Findings(np.array([2, 0, 0], np.int32), kinds))
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text("utf-8").splitlines()]
    assert lines == [
        {"file": "in ä.parquet", "row": 101, "key": "k1", "rule": "missing", "column": "a", "reason": "NaN",
         "values": {"a": "NaN", "ü b": None}},
        {"file": "in ä.parquet", "row": 102, "key": "k2", "rule": "infinity", "column": "a", "reason": "infinity",
         "values": {"a": "-Infinity", "ü b": "é"}},
        {"file": "in ä.parquet", "row": 106, "key": "k0", "rule": "infinity", "column": "a", "reason": "infinity",
         "values": {"a": 1.0, "ü b": "x"}},
    ]  # fmt: skip
    assert rejected.counts == {"a: NaN": 1, "a: infinity": 2}
    assert rejected.rows == 3


def test_no_file_where_no_row_is_rejected(tmp_path: Path) -> None:
    with RejectedRows(tmp_path / "r.jsonl", "f", "", []) as rejected:
        rejected.add(pyarrow.record_batch({"a": pyarrow.array([1])}), 0, no_findings(1))
    assert not (tmp_path / "r.jsonl").exists()
    assert rejected.counts == {}


def test_values_that_json_does_not_have_become_text(tmp_path: Path) -> None:
    batch = pyarrow.record_batch({
        "when": pyarrow.array([datetime.datetime(2013, 1, 2, 3, 4, 5)]),
        "day": pyarrow.array([datetime.date(2013, 1, 2)]),
        "much": pyarrow.array([Decimal("1.50")]),
        "raw": pyarrow.array([b"\xff\x00"]),
        "many": pyarrow.array([[1.0, float("inf"), None]]),
        "coded": pyarrow.array(["x"]).dictionary_encode(),
        "yes": pyarrow.array([True]),
        "parts": pyarrow.array([{"a": float("nan")}]),
    })  # fmt: skip
    with RejectedRows(tmp_path / "r.jsonl", "f", "", batch.schema.names) as rejected:
        rejected.add(batch, 0, Findings(np.array([1], np.int32), (Finding("rule", "", "why"),)))
    assert json.loads((tmp_path / "r.jsonl").read_text())["values"] == {
        "when": "2013-01-02T03:04:05", "day": "2013-01-02", "much": "1.50", "raw": "/wA=", "many": [1.0, "Infinity", None],
        "coded": "x", "yes": True, "parts": {"a": "NaN"},
    }  # fmt: skip
    assert rejected.counts == {"why": 1}
