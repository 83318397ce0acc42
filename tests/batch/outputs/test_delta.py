"""A Delta table is replaced or added to in one commit, once, and only where it is mlpack's."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest

from mlpack_edge.batch.incremental import divide
from mlpack_edge.batch.outputs.delta import RUN_KEY
from mlpack_edge.batch.outputs.delta_commit import delta_type
from mlpack_edge.batch.outputs.output import output_of
from mlpack_edge.batch.plan import Plan
from mlpack_edge.core.errors import BadInput, CheckFailed, OutputExists
from tests.batch.outputs.runs import input_file, plan_of, run


def _plan(table: Path, inputs: Sequence[Any], kept: Sequence[Any] = (), **options: Any) -> Plan:
    return plan_of(f"delta::{table}", inputs, kept, **options)


def _rows(table: Path) -> list[tuple[Any, ...]]:
    found = deltalake.DeltaTable(str(table)).to_pyarrow_table()
    return sorted(zip(*(found[name].to_pylist() for name in ("source_file", "source_row", "version")), strict=True))


def test_a_run_is_one_commit_that_carries_its_key(tmp_path: Path) -> None:
    table = tmp_path / "scores"
    for version in (1, 2):
        manifest, _ = run(_plan(table, [input_file("it's", 4, version=version)]))
    found = deltalake.DeltaTable(str(table))
    assert found.version() == 1
    assert found.history(1)[0][RUN_KEY] == manifest.run_key
    assert _rows(table) == [("it's", row, 2) for row in range(4)]
    assert output_of(f"delta::{table}").last() == manifest
    scores = found.to_pyarrow_table()["score"]
    assert scores.type == pa.list_(pa.field("element", pa.float32()))
    assert sorted(scores.to_pylist()) == [[float(row)] * 2 for row in range(4)]


def test_a_run_that_was_killed_after_its_commit_appends_nothing_twice(tmp_path: Path) -> None:
    table = tmp_path / "scores"
    first, _ = run(_plan(table, [input_file("a", 4)], incremental=True))
    division = divide(first, [input_file("a", 4), input_file("b", 2)])
    plan = _plan(table, division.scored, division.kept, incremental=True)
    for _ in range(2):
        manifest, _ = run(plan)
        assert len(_rows(table)) == 6
    assert deltalake.DeltaTable(str(table)).version() == 1
    deltalake.DeltaTable(str(table)).optimize.compact()  # moves rows and changes none
    assert output_of(f"delta::{table}").last() == manifest


def test_scores_of_another_model_are_not_left_beside_those_of_this_one(tmp_path: Path) -> None:
    """Also those of inputs that are gone: everything is scored again, and what cannot be is not kept."""
    table = tmp_path / "scores"
    run(_plan(table, [input_file(name, 4) for name in "ab"], incremental=True))
    manifest, _ = run(_plan(table, [input_file("b", 4)], model="m2", incremental=True))
    assert _rows(table) == [("b", row, 1) for row in range(4)]
    assert manifest.rows_out == 4
    assert set(deltalake.DeltaTable(str(table)).to_pyarrow_table()["model"].to_pylist()) == {"m2"}


def test_a_column_that_the_contract_calls_unique_is_so_in_the_whole_table(tmp_path: Path) -> None:
    """Not only among the rows that are added; rows that go in the same run do not count."""
    table = tmp_path / "scores"
    options: dict[str, Any] = {
        "incremental": True,
        "contract_text": "schema = 1\n[columns.source_row]\nunique = true\n",
    }
    kept = input_file("kept", 0)
    run(_plan(table, [input_file("a", 2), kept], **options))
    run(_plan(table, [input_file("a", 2, version=2)], [kept], **options))
    with pytest.raises(CheckFailed, match="'source_row' is unique; 2 values stand in several rows"):
        run(_plan(table, [input_file("b", 2)], [kept, input_file("a", 2, version=2)], **options))
    assert _rows(table) == [("a", row, 2) for row in range(2)]


def test_an_incremental_run_adds_replaces_and_keeps_in_one_commit(tmp_path: Path) -> None:
    table = tmp_path / "scores"
    first, _ = run(_plan(table, [input_file(name, 4) for name in "abc"], incremental=True))
    now = [input_file("a", 4), input_file("b", 2, version=2), input_file("c", 6, version=2), input_file("d", 1)]
    division = divide(first, now, lambda item, known, rows: rows if item.name == "c" else 0)
    manifest, _ = run(_plan(table, division.scored, division.kept, incremental=True))
    expected = [("a", row, 1) for row in range(4)] + [("b", row, 2) for row in range(2)]
    assert _rows(table) == expected + [("c", row, 1 if row < 4 else 2) for row in range(6)] + [("d", 0, 1)]
    assert deltalake.DeltaTable(str(table)).version() == 1
    assert manifest.rows_out == 13


def test_an_input_that_changes_back_is_scored_again(tmp_path: Path) -> None:
    table = tmp_path / "scores"
    for version in (1, 2, 1):
        run(_plan(table, [input_file("a", 2, version=version)]))
    assert _rows(table) == [("a", 0, 1), ("a", 1, 1)]


def test_a_table_of_others_and_rows_of_others_in_ours_are_refused(tmp_path: Path) -> None:
    foreign, ours, plain = tmp_path / "foreign", tmp_path / "ours", tmp_path / "plain"
    deltalake.write_deltalake(str(foreign), pa.table({"x": [1]}))
    with pytest.raises(OutputExists, match=r"version 0 mlpack did not write \(WRITE\)"):
        run(_plan(foreign, [input_file("a", 2)]))
    run(_plan(ours, [input_file("a", 2)]))
    deltalake.DeltaTable(str(ours)).delete("source_row = 1")
    with pytest.raises(OutputExists, match=r"version 1 mlpack did not write \(DELETE\)"):
        run(_plan(ours, [input_file("a", 2, version=2)]))
    plain.mkdir()
    (plain / "notes.txt").write_text("mine")
    with pytest.raises(OutputExists, match="no Delta table"):
        run(_plan(plain, [input_file("a", 2)]))
    with pytest.raises(BadInput, match="not on a local file system"):
        run(plan_of("delta::s3://bucket/table", [input_file("a", 2)]))
    with pytest.raises(BadInput, match="--partition-by"):
        run(_plan(ours, [input_file("a", 2)], partition_by="version"))


def test_without_its_record_an_incremental_run_is_refused_and_a_full_one_is_not(tmp_path: Path) -> None:
    table = tmp_path / "scores"
    run(_plan(table, [input_file("a", 2)], incremental=True))
    shutil.rmtree(tmp_path / ".scores.mlpack")
    with pytest.raises(BadInput, match="its record"):
        run(_plan(table, [input_file("b", 2)], incremental=True))
    run(_plan(table, [input_file("b", 2)]))
    assert {row[0] for row in _rows(table)} == {"b"}


def test_what_a_first_commit_left_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    table = tmp_path / "scores"
    work = tmp_path / ".scores.mlpack"
    table.mkdir()
    work.mkdir()
    (table / "part-00000-x.parquet").write_bytes(b"half")
    (work / "creating").touch()
    run(_plan(table, [input_file("a", 2)]))
    assert len(_rows(table)) == 2
    assert not (work / "creating").exists()


def test_an_old_log_that_was_cleaned_leaves_the_table_ours(tmp_path: Path) -> None:
    table = tmp_path / "scores"
    manifest, _ = run(_plan(table, [input_file("a", 2)]))
    found = deltalake.DeltaTable(str(table))
    found.alter.set_table_description("scores of the night")  # a commit without rows
    found = deltalake.DeltaTable(str(table))
    found.create_checkpoint()
    (table / "_delta_log" / f"{0:020d}.json").unlink()
    assert output_of(f"delta::{table}").last() == manifest
    run(_plan(table, [input_file("a", 2, version=2)]))
    assert _rows(table) == [("a", 0, 2), ("a", 1, 2)]


def test_a_key_must_be_unique_with_the_rows_that_stand_already(tmp_path: Path) -> None:
    table = tmp_path / "scores"
    first, _ = run(_plan(table, [input_file("a", 2)], key="source_row", incremental=True))
    division = divide(first, [input_file("a", 2), input_file("b", 2)])
    with pytest.raises(CheckFailed, match="2 values stand in several rows"):
        run(_plan(table, division.scored, division.kept, key="source_row", incremental=True))
    assert len(_rows(table)) == 2


def test_columns_become_what_delta_holds_or_are_refused_by_name() -> None:
    assert delta_type(pa.dictionary(pa.int32(), pa.large_string()), "c") == pa.string()
    assert delta_type(pa.list_(pa.list_(pa.float16(), 2), 3), "c") == pa.list_(pa.list_(pa.float32()))
    assert delta_type(pa.uint8(), "c") == pa.int16()  # deltalake makes int8 of it, and 200 does not fit
    assert delta_type(pa.timestamp("ns", "Europe/Vienna"), "c") == pa.timestamp("us", "UTC")
    with pytest.raises(BadInput, match="column 'c' is time64"):
        delta_type(pa.time64("us"), "c")
