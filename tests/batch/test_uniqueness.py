"""Whether a key names every row once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpack_edge.batch.outputs.output import child_limits
from mlpack_edge.batch.uniqueness import Findings, check, refuse_key
from mlpack_edge.core.errors import CheckFailed
from mlpack_edge.runtimes.worker import run_isolated


def _payload(here: Path, tables: list[pa.Table], columns: list[str], memory: int | None = None) -> dict[str, Any]:
    parts = []
    for number, table in enumerate(tables):
        parts.append(str(here / f"part [{number}]=x.parquet"))
        pq.write_table(table, parts[-1])
    return {"parts": parts, "columns": columns, "memory": memory, "spill": str(here / "spill")}


def _check(here: Path, tables: list[pa.Table], columns: list[str]) -> Findings:
    return Findings(**check(_payload(here, tables, columns), lambda stage: None))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=6), min_size=1, max_size=3))
def test_repeated_values_and_nulls_are_counted(tmp_path: Path, parts: list[list[int | None]]) -> None:
    found = _check(tmp_path, [pa.table({"a key": pa.array(part, pa.int64())}) for part in parts], ["a key"])
    values = [value for part in parts for value in part]
    present = [value for value in values if value is not None]
    often = {value: present.count(value) for value in present if present.count(value) > 1}
    assert (found.repeated, found.rows, found.nulls) == (len(often), sum(often.values()), values.count(None))
    assert len(found.examples) == min(3, len(often))
    assert all(often[int(value)] == rows for value, rows in found.examples)
    assert found.unique == (not often and None not in values)


def test_a_key_of_several_columns_is_one_key(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 1, 2, 1], "b": ["x", "y", "x", "x"]})
    assert _check(tmp_path, [table.slice(0, 3)], ["a", "b"]).unique
    assert [*_check(tmp_path, [table], ["a", "b"]).examples] == [("1, x", 2)]


def test_the_column_of_a_partitioned_table_is_found_in_its_directories(tmp_path: Path) -> None:
    parts = []
    for month in ("01", "1"):
        (tmp_path / f"month={month}").mkdir()
        parts.append(str(tmp_path / f"month={month}" / "part.parquet"))
        pq.write_table(pa.table({"x": [5]}), parts[-1])
    payload = {"parts": parts, "columns": ["month"], "memory": None, "spill": str(tmp_path / "spill")}
    assert Findings(**check(payload, lambda stage: None)).unique  # texts, not numbers
    assert not Findings(**check({**payload, "columns": ["x"]}, lambda stage: None)).unique


def test_a_repeated_key_is_refused_with_examples() -> None:
    refuse_key(Findings(0, 0, 0, ()), "id")
    with pytest.raises(CheckFailed) as fault:
        refuse_key(Findings(1234, 3000, 2, (("a", 9), ("b", 2))), "id")
    assert fault.value.message == (
        "the key column 'id' does not name every row once: 1,234 values stand in several rows: a (9 rows), b (2 rows) "
        "and 1,232 more; it is NULL in 2 rows"
    )
    with pytest.raises(CheckFailed, match=r"1 value stands in several rows: a \(9 rows\); it is NULL in 1 row$"):
        refuse_key(Findings(1, 9, 1, (("a", 9),)), "id")


@pytest.mark.long
def test_more_keys_than_memory_holds_are_counted(tmp_path: Path) -> None:
    """Four million keys of 32 letters, 180 MB of text alone, in a child where DuckDB may use 80 MB."""
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 2**62, 4_000_000)
    keys[-1] = keys[0]
    table = pa.table({"id": pa.compute.binary_join_element_wise(pa.array(keys).cast(pa.string()), "x" * 12, "-")})
    payload = _payload(tmp_path, [table], ["id"], memory=160_000_000)
    found = Findings(**run_isolated("mlpack_edge.batch.uniqueness:check", payload, child_limits(160_000_000)))
    assert (found.repeated, found.rows, found.nulls) == (1, 2, 0)
