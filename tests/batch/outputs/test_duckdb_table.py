"""A DuckDB table is replaced or added to in one transaction, and only where it is mlpack's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlpack_edge.batch.incremental import divide
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.outputs.duckdb_table import DuckdbOutput
from mlpack_edge.batch.outputs.output import output_of
from mlpack_edge.batch.plan import Plan
from mlpack_edge.core.errors import BadInput, CheckFailed, IoFault, OutputExists
from tests.batch.outputs.runs import input_file, plan_of, run


def _rows(database: Path, query: str) -> list[Any]:
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute(query).fetchall()


def _all(database: Path) -> list[Any]:
    return _rows(database, 'SELECT source_file, source_row, version FROM "the scores" ORDER BY ALL')


def _plan(database: Path, inputs: Sequence[Any], kept: Sequence[Any] = (), **options: Any) -> Plan:
    return plan_of(f"{database}::the scores", inputs, kept, **options)


def test_the_table_holds_the_rows_in_their_order_and_vectors_as_arrays(tmp_path: Path) -> None:
    database = tmp_path / "day=3 [x].duckdb"
    run(_plan(database, [input_file("b", 3), input_file("a", 4)]))
    found = _rows(database, 'SELECT source_file, source_row, score FROM "the scores"')
    assert found == [
        (name, row, (float(row), float(row))) for name, rows in (("b", 3), ("a", 4)) for row in range(rows)
    ]
    kinds = dict(row[:2] for row in _rows(database, 'DESCRIBE "the scores"'))
    assert kinds == {
        "source_file": "VARCHAR", "source_row": "BIGINT", "version": "BIGINT", "model": "VARCHAR", "score": "FLOAT[2]",
    }  # fmt: skip


def test_the_second_run_replaces_the_first_and_the_manifest_stands_in_the_database(tmp_path: Path) -> None:
    database = tmp_path / "d.duckdb"
    run(_plan(database, [input_file("a", 4)]))
    manifest, _ = run(_plan(database, [input_file("a", 2, version=2)]), reject=True)
    assert _all(database) == [("a", 0, 2), ("a", 1, 2)]
    assert _rows(database, "SELECT table_name, run_key FROM mlpack_runs") == [("the scores", manifest.run_key)]
    output = output_of(f"{database}::the scores")
    assert output.last() == manifest
    (output.work / "seen.json").unlink()
    assert output.last() == manifest  # asked of the database
    rejected = output.rejected_file(manifest)
    assert rejected is not None
    assert len(rejected.read_text().splitlines()) == 2


def test_another_writer_in_the_file_is_noticed_and_the_manifest_asked_again(tmp_path: Path) -> None:
    database = tmp_path / "d.duckdb"
    manifest, _ = run(_plan(database, [input_file("a", 4)]))
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE TABLE other AS SELECT range AS x FROM range(100000)")
    assert output_of(f"{database}::the scores").last() == manifest
    with duckdb.connect(str(database)) as connection:
        connection.execute('DELETE FROM "the scores" WHERE source_row = 1')
    assert output_of(f"{database}::the scores").last() is None
    run(_plan(database, [input_file("a", 4)]))
    assert len(_all(database)) == 4
    assert _rows(database, "SELECT count(*) FROM other") == [(100000,)]


def test_scores_of_another_model_are_not_left_beside_those_of_this_one(tmp_path: Path) -> None:
    """Also those of inputs that are gone: everything is scored again, and what cannot be is not kept."""
    database = tmp_path / "d.duckdb"
    run(_plan(database, [input_file(name, 4) for name in "ab"], incremental=True))
    manifest, _ = run(_plan(database, [input_file("b", 4)], model="m2", incremental=True))
    assert _all(database) == [("b", row, 1) for row in range(4)]
    assert _rows(database, 'SELECT DISTINCT model FROM "the scores"') == [("m2",)]
    assert manifest.rows_out == 4


def test_with_a_key_another_model_makes_the_whole_table_anew(tmp_path: Path) -> None:
    database = tmp_path / "d.duckdb"
    options = {"key": "source_row", "incremental": True}
    run(_plan(database, [input_file("a", 4)], **options))
    run(_plan(database, [input_file("b", 4)], model="m2", **options))
    assert _rows(database, 'SELECT DISTINCT model FROM "the scores"') == [("m2",)]


def test_a_column_that_the_contract_calls_unique_is_so_in_the_whole_table(tmp_path: Path) -> None:
    """Not only among the rows that are added; rows that go in the same run do not count."""
    table = tmp_path / "d.duckdb"
    options: dict[str, Any] = {
        "incremental": True,
        "contract_text": "schema = 1\n[columns.source_row]\nunique = true\n",
    }
    kept = input_file("kept", 0)
    run(_plan(table, [input_file("a", 2), kept], **options))
    run(_plan(table, [input_file("a", 2, version=2)], [kept], **options))
    with pytest.raises(CheckFailed, match="'source_row' is unique; 2 values stand in several rows"):
        run(_plan(table, [input_file("b", 2)], [kept, input_file("a", 2, version=2)], **options))
    assert _all(table) == [("a", row, 2) for row in range(2)]


def test_what_mlpack_did_not_write_is_refused_by_name(tmp_path: Path) -> None:
    database = tmp_path / "d.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute('CREATE TABLE "the scores"(x INTEGER)')
        connection.execute("CREATE VIEW seen AS SELECT 1")
    with pytest.raises(OutputExists, match="table 'the scores' that mlpack did not write"):
        run(_plan(database, [input_file("a", 4)]))
    with pytest.raises(OutputExists, match="view 'seen'"):
        run(plan_of(f"{database}::SEEN", [input_file("a", 4)]))
    with pytest.raises(BadInput, match="no schema 'nowhere'"):
        run(plan_of(f"{database}::nowhere.scores", [input_file("a", 4)]))
    with pytest.raises(BadInput, match="cannot be the table"):
        run(plan_of(f"{database}::mlpack_runs", [input_file("a", 4)]))
    with pytest.raises(BadInput, match="--partition-by"):
        run(_plan(database, [input_file("a", 4)], partition_by="version"))
    (tmp_path / "text.duckdb").write_text("no database" * 1000)
    with pytest.raises(IoFault, match="no DuckDB database"):
        run(_plan(tmp_path / "text.duckdb", [input_file("a", 4)]))


def test_a_table_in_another_schema_is_written_there(tmp_path: Path) -> None:
    database = tmp_path / "d.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE SCHEMA nightly")
    run(plan_of(f"{database}::nightly.scores", [input_file("a", 4)]))
    assert _rows(database, "SELECT count(*) FROM nightly.scores") == [(4,)]


def test_a_database_that_another_process_has_open_is_named(tmp_path: Path) -> None:
    database = tmp_path / "d.duckdb"
    plan = _plan(database, [input_file("a", 4)])
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import duckdb; c = duckdb.connect({str(database)!r}); print('open', flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(IoFault, match="is open in another process") as fault:
            run(plan, output=DuckdbOutput(str(database), "the scores", wait=0.2))
        assert str(holder.pid) in fault.value.why
    finally:
        holder.communicate(b"\n")
    run(plan)
    assert len(_all(database)) == 4


def test_an_incremental_run_adds_replaces_and_keeps(tmp_path: Path) -> None:
    database = tmp_path / "d.duckdb"
    first, _ = run(_plan(database, [input_file(name, 4) for name in "abc"], incremental=True))
    now = [input_file("a", 4), input_file("b", 2, version=2), input_file("c", 6, version=2), input_file("d", 1)]
    division = divide(first, now, lambda item, known, rows: rows if item.name == "c" else 0)
    plan = _plan(database, division.scored, division.kept, incremental=True)
    manifest, _ = run(plan)
    expected = [("a", row, 1) for row in range(4)] + [("b", row, 2) for row in range(2)]
    expected += [("c", row, 1 if row < 4 else 2) for row in range(6)] + [("d", 0, 1)]
    assert _all(database) == expected
    assert manifest.rows_out == 13
    assert divide(manifest, now).scored == ()


def test_a_run_that_was_killed_after_its_commit_adds_nothing_twice(tmp_path: Path) -> None:
    database = tmp_path / "d.duckdb"
    first, _ = run(_plan(database, [input_file("a", 4)], incremental=True))
    division = divide(first, [input_file("a", 4), input_file("b", 2)])
    plan = _plan(database, division.scored, division.kept, incremental=True)
    run(plan)
    run(plan)
    assert len(_all(database)) == 6


def test_an_input_that_changes_back_is_scored_again(tmp_path: Path) -> None:
    database = tmp_path / "d.duckdb"
    for version in (1, 2, 1):
        run(_plan(database, [input_file("a", 2, version=version)]))
    assert _all(database) == [("a", 0, 1), ("a", 1, 1)]


def test_a_key_that_is_not_unique_leaves_the_old_table(tmp_path: Path) -> None:
    database = tmp_path / "d.duckdb"
    run(_plan(database, [input_file("a", 2)], key="source_row"))
    with pytest.raises(CheckFailed, match=r"2 values stand in several rows: 0 \(2 rows\), 1 \(2 rows\)"):
        run(_plan(database, [input_file("b", 2), input_file("c", 2)], key="source_row"))
    assert [row[0] for row in _all(database)] == ["a", "a"]


def test_a_changed_input_cannot_be_replaced_where_rows_have_only_a_key(tmp_path: Path) -> None:
    database = tmp_path / "d.duckdb"
    kept = input_file("kept", 0)
    run(_plan(database, [input_file("a", 2), kept], key="source_row", incremental=True))
    with pytest.raises(BadInput, match="a has changed since it was scored"):
        run(_plan(database, [input_file("a", 2, version=2)], [kept], key="source_row", incremental=True))


_CHILD = """
import json, sys
from mlpack_edge.batch.outputs.duckdb_transaction import publish
print("begun", flush=True)
publish(json.loads(sys.argv[1]), lambda stage: None)
print("done", flush=True)
"""


def test_killed_at_any_moment_of_the_transaction_the_table_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    """The child's side is killed at moments spread over the time that one publication took."""
    database = tmp_path / "d.duckdb"
    run(_plan(database, [input_file("a", 2)]))
    rows = 200_000
    part = tmp_path / "part.parquet"
    pq.write_table(pa.table({"source_row": range(rows), "version": np.full(rows, 2)}), part)
    query = 'SELECT version, count(*) FROM "the scores" GROUP BY ALL'
    payload = {
        "database": str(database), "schema": "main", "table": "the scores", "wait": 5, "memory": None,
        "spill": str(tmp_path / "spill"), "parts": [str(part)] * 20, "manifest": "{}", "run_key": "k", "add": False,
        "drop": [], "key": "", "unique": [],
    }  # fmt: skip

    def publication() -> subprocess.Popen[bytes]:
        child = subprocess.Popen([sys.executable, "-c", _CHILD, json.dumps(payload)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
        return child

    shutil.copy(database, tmp_path / "before")
    started = time.monotonic()
    publication().communicate()
    took = time.monotonic() - started
    old, new = [(1, 2)], [(2, rows * 20)]
    assert _rows(database, query) == new
    seen = []
    for moment in range(10):
        shutil.copy(tmp_path / "before", database)
        child = publication()
        time.sleep(took * (moment + 1) / 12)
        child.kill()
        child.communicate()
        seen.append(_rows(database, query))
        assert seen[-1] in (old, new)
    assert old in seen
    publication().communicate()
    assert _rows(database, query) == new


def test_the_job_is_looked_at_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(IoFault, match="does not exist"):
        output_of(f"{tmp_path}/no/d.duckdb::t").refuse(Job(model="m", inputs=(), output=""))
    assert list(tmp_path.iterdir()) == []
