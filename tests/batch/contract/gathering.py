"""Rows gathered as a shard gathers them, and judged as a run judges them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from mlpack_edge.batch.contract.contract import contract_from_text
from mlpack_edge.batch.contract.judging import judge
from mlpack_edge.batch.contract.merging import merge_statistics
from mlpack_edge.batch.contract.statistics import ContractStatistics
from mlpack_edge.batch.facts import RunFacts
from mlpack_edge.batch.scoring.findings import Finding, found

ROOT = Path(__file__).parents[3]
NOW = datetime(2013, 1, 3, 2, tzinfo=UTC)
FLIGHTS = """
[rows]
min = 5_000
max = 50_000
within = "50%"
[freshness]
column = "departed_at"
max_age = "36h"
max_ahead = "1h"
[columns.carrier]
nulls = "1%"
categories = ["9E", "AA", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "UA", "US", "VX", "WN", "AS", "YV", "OO"]
unseen = "1%"
max_categories = 20
[columns.origin]
categories = ["EWR", "JFK", "LGA"]
unseen = "allow"
max_categories = 6
constant = false
[columns.dep_delay]
nulls = "5%"
max_zero_share = "50%"
constant = false
[scores.label]
shares = { "0" = ["10%", "90%"] }
[scores.probabilities]
min = -0.001
max = 1.001
constant = false
[scores.expected]
max_zero_share = "50%"
constant = false
"""


def contract(text: str) -> Any:
    return contract_from_text("schema = 1\n" + text, "c.toml")


def gathered(
    text: str, batches: Sequence[pyarrow.RecordBatch], outputs: Sequence[dict[str, Any]] | None = None,
    accepted: Sequence[Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The state over all batches, after a journey as JSON."""
    collector = ContractStatistics(contract(text), batches[0].schema)
    for place, batch in enumerate(batches):
        taken = np.ones(batch.num_rows, np.bool_) if accepted is None else np.asarray(accepted[place], np.bool_)
        findings = found(batch.num_rows, [(Finding("type", "", ""), ~taken)])
        collector.update(batch, outputs[place] if outputs else {}, findings)
    state: dict[str, Any] = json.loads(json.dumps(collector.state(), allow_nan=False))
    return state


def reasons(text: str, state: dict[str, Any], **given_too: Any) -> list[str]:
    facts = RunFacts(given_too.pop("rows", state.get("rows", 0)), 0, 0, {}, ())
    previous = given_too.pop("previous", None)
    verdict = judge(contract(text), state, facts, previous, given_too.pop("now", NOW), **given_too)
    assert verdict.passed == (not verdict.reasons)
    return list(verdict.reasons)


def column_reasons(rules: str, array: Any) -> list[str]:
    """Of a table with the one column `x`."""
    text = f"[columns.x]\n{rules}"
    return reasons(text, gathered(text, [pyarrow.record_batch({"x": array})]))


def score_reasons(rules: str, array: Any) -> list[str]:
    text = f"[scores.s]\n{rules}"
    batch = pyarrow.record_batch({"x": pyarrow.nulls(len(array))})
    return reasons(text, gathered(text, [batch], [{"s": array}]))


def two_days() -> pyarrow.Table:
    """Two days' worth of rows, and scores as a model would give them."""
    table = pyarrow.parquet.read_table(ROOT / "cli/demo_data/flights.parquet").slice(0, 10_000)
    begin = datetime(2013, 1, 1)
    times = [begin + timedelta(seconds=17 * place) for place in range(len(table))]
    chances = np.linspace(0.01, 0.9, len(table), dtype=np.float32)
    both = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(np.stack([1 - chances, chances], 1).ravel()), 2)
    return (
        table.append_column("departed_at", pyarrow.array(times, pyarrow.timestamp("us")))
        .append_column("label", pyarrow.array((chances > 0.5).astype(np.int64)))
        .append_column("probabilities", both)
        .append_column("expected", pyarrow.array(chances.astype(np.float64) * 100))
    )


def judged(table: pyarrow.Table, **given_too: Any) -> list[str]:
    """The reasons against a table of flights, gathered in shards of several batches each."""
    states = []
    for start in range(0, len(table), 3_000):
        batches = table.slice(start, 3_000).combine_chunks().to_batches(max_chunksize=1_024)
        outputs = [{name: batch.column(name) for name in ("label", "probabilities", "expected")} for batch in batches]
        states.append(gathered(FLIGHTS, batches, outputs))
    return reasons(FLIGHTS, reduce(merge_statistics, states, {}), **given_too)


def changed(table: pyarrow.Table, name: str, values: Any) -> pyarrow.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)
