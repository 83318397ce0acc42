"""A directory of Parquet files is replaced in one step, and only where it is mlpack's."""

from __future__ import annotations

import json
import os
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow.dataset
import pyarrow.parquet
import pytest

from mlpack_edge.batch.incremental import divide
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.ledger import RunFolder
from mlpack_edge.batch.outputs.output import output_of
from mlpack_edge.batch.outputs.parquet import ParquetOutput, part_name
from mlpack_edge.core.errors import BadInput, IoFault, OutputExists
from tests.batch.outputs.runs import input_file, plan_of, run


def _rows(out: Path) -> list[tuple[str, int, int]]:
    table = pyarrow.dataset.dataset(out).to_table()
    return sorted(zip(*(table[name].to_pylist() for name in ("source_file", "source_row", "version")), strict=True))


def _job(out: Path, **options: bool) -> Job:
    return Job(model="m", inputs=(), output=str(out), **options)


def test_every_reader_takes_the_directory_as_it_is(tmp_path: Path) -> None:
    out = tmp_path / "scores über"
    run(plan_of(str(out), [input_file("a", 4), input_file("b", 3)]), reject=True)
    assert polars.read_parquet(out).shape == (7, 5)
    assert polars.scan_parquet(out).collect().height == 7
    assert pyarrow.dataset.dataset(out).to_table().num_rows == 7
    assert pyarrow.parquet.read_table(out).num_rows == 7
    assert len(pandas.read_parquet(out)) == 7
    assert duckdb.sql(f"SELECT count(*) FROM '{out}/**/*.parquet'").fetchall() == [(7,)]


def test_a_partitioned_table_keeps_its_hive_directories(tmp_path: Path) -> None:
    out = tmp_path / "scores"
    manifest, _ = run(plan_of(str(out), [input_file("a", 4), input_file("b", 2, version=7)], partition_by="version"))
    assert sorted({Path(part.path).parent.name for part in manifest.parts}) == ["version=1", "version=7"]
    assert polars.read_parquet(out)["version"].sort().to_list() == [1, 1, 1, 1, 7, 7]
    assert set(pandas.read_parquet(out)["version"].astype(int)) == {1, 7}
    assert duckdb.sql(f"SELECT version, count(*) FROM '{out}/**/*.parquet' GROUP BY 1 ORDER BY 1").fetchall() == [
        (1, 4),
        (7, 2),
    ]


def test_part_names_carry_the_run_and_the_shard() -> None:
    assert part_name("part.parquet", 3, "0123456789abcdef") == "part-00003-01234567.parquet"
    assert part_name("month=7/part.parquet", 12, "0123456789abcdef") == "month=7/part-00012-01234567.parquet"


def test_the_manifest_says_what_the_table_holds(tmp_path: Path) -> None:
    out = tmp_path / "scores"
    plan = plan_of(str(out), [input_file("a", 4), input_file("b", 3)])
    manifest, _ = run(plan, reject=True)
    output = output_of(str(out))
    assert output.last() == manifest
    assert manifest.run_key == plan.run_key
    assert manifest.identity == plan.identity()
    assert (manifest.rows_in, manifest.rows_out, manifest.rejected) == (7, 7, {"too strange": 7})
    assert [item.rows_in for item in manifest.inputs] == [4, 3]
    assert {part.path: part.bytes for part in manifest.parts} == {
        str(path.relative_to(out)): path.stat().st_size for path in out.iterdir()
    }
    rejected = output.rejected_file(manifest)
    assert rejected is not None
    lines = [json.loads(line) for line in rejected.read_text().splitlines()]
    assert [(line["file"], line["row"]) for line in lines] == [("a", row) for row in range(4)] + [
        ("b", row) for row in range(3)
    ]


def test_a_second_run_replaces_the_table_and_keeps_the_first_aside_until_the_third(tmp_path: Path) -> None:
    """A directory that a reader opened before it was replaced still holds all its files."""
    out, work = tmp_path / "scores", tmp_path / ".scores.mlpack"
    run(plan_of(str(out), [input_file("a", 6)]))
    listed = sorted(path.name for path in out.iterdir())
    opened = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    try:
        plan = plan_of(str(out), [input_file("a", 4, version=2)])
        manifest, _ = run(plan)
        assert sorted(os.listdir(opened)) == listed  # noqa: PTH208 (no path, a handle)
    finally:
        os.close(opened)
    assert _rows(out) == [("a", row, 2) for row in range(4)]
    replaced = f"replaced-{plan.run_key[:16]}"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".scores.mlpack", "scores"]
    assert sorted(path.name for path in work.iterdir()) == ["lock", f"published-{manifest.digest[:16]}", replaced]
    third = plan_of(str(out), [input_file("a", 4, version=3)])
    run(third)
    assert [path.name for path in work.glob("replaced-*")] == [f"replaced-{third.run_key[:16]}"]
    assert _rows(work / f"replaced-{third.run_key[:16]}") == [("a", row, 2) for row in range(4)]


def test_what_was_replaced_is_removed_before_the_rows_of_the_next_run(tmp_path: Path) -> None:
    out, work = tmp_path / "scores", tmp_path / ".scores.mlpack"
    for version in (1, 2):
        run(plan_of(str(out), [input_file("a", 4, version=version)]))
    assert len(list(work.glob("replaced-*"))) == 1
    output, plan = output_of(str(out)), plan_of(str(out), [input_file("a", 4, version=3)])
    with RunFolder.open(output) as folder:
        folder.lock()
        folder.begin(plan)
        output.prepare(plan, folder)
        assert not list(work.glob("replaced-*"))


def test_the_same_run_again_gives_the_same_files(tmp_path: Path) -> None:
    out = tmp_path / "scores"
    first, _ = run(plan_of(str(out), [input_file("a", 6)]), reject=True)
    second, _ = run(plan_of(str(out), [input_file("a", 6)]), reject=True)
    assert first == second == output_of(str(out)).last()


def test_an_empty_directory_and_a_link_to_one_are_taken(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    run(plan_of(str(tmp_path / "link"), [input_file("a", 4)]))
    assert (tmp_path / "link").is_symlink()
    assert len(_rows(tmp_path / "real")) == 4


def test_the_directory_keeps_its_permissions(tmp_path: Path) -> None:
    out = tmp_path / "scores"
    run(plan_of(str(out), [input_file("a", 4)]))
    out.chmod(0o2750)
    run(plan_of(str(out), [input_file("a", 4, version=2)]))
    assert out.stat().st_mode & 0o7777 == 0o2750


def test_a_directory_of_others_is_refused_by_name(tmp_path: Path) -> None:
    out = tmp_path / "scores"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutputExists, match=r"notes\.txt"):
        run(plan_of(str(out), [input_file("a", 4)]))
    assert (out / "notes.txt").read_text() == "mine"


def test_a_file_that_somebody_put_into_the_table_is_refused_by_name(tmp_path: Path) -> None:
    out = tmp_path / "scores"
    run(plan_of(str(out), [input_file("a", 4)]))
    (out / "sub").mkdir()
    (out / "sub" / "notes.txt").write_text("mine")
    with pytest.raises(OutputExists, match=r"sub/notes\.txt"):
        run(plan_of(str(out), [input_file("a", 4, version=2)]))
    assert len(_rows_of(out)) == 4


def _rows_of(out: Path) -> list[tuple[int]]:
    return duckdb.sql(f"SELECT source_row FROM '{out}/*.parquet'").fetchall()


def test_a_file_a_mount_point_and_a_missing_parent_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="is a file"):
        ParquetOutput(str(tmp_path / "file")).refuse(_job(tmp_path))
    with pytest.raises(BadInput, match="mounted"):
        ParquetOutput("/").refuse(_job(tmp_path))
    with pytest.raises(IoFault) as fault:
        ParquetOutput(str(tmp_path / "no" / "scores")).refuse(_job(tmp_path))
    assert fault.value.hint == f"mkdir -p {tmp_path / 'no'}"


def test_a_table_with_a_part_gone_is_no_finished_run_and_is_made_anew(tmp_path: Path) -> None:
    out = tmp_path / "scores"
    manifest, _ = run(plan_of(str(out), [input_file("a", 4)]))
    (out / manifest.parts[0].path).unlink()
    assert output_of(str(out)).last() is None
    with pytest.raises(BadInput, match="is gone"):
        ParquetOutput(str(out)).refuse(_job(out, incremental=True))
    run(plan_of(str(out), [input_file("a", 4)]))
    assert len(_rows(out)) == 4


def test_a_table_whose_record_was_removed_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "scores"
    manifest, _ = run(plan_of(str(out), [input_file("a", 4)]))
    (tmp_path / ".scores.mlpack" / f"published-{manifest.digest[:16]}" / "manifest.json").unlink()
    with pytest.raises(OutputExists, match="part-00000"):
        run(plan_of(str(out), [input_file("a", 4, version=2)]))
    assert len(_rows(out)) == 4


def test_an_incremental_run_keeps_unchanged_and_gone_inputs_and_replaces_changed_ones(tmp_path: Path) -> None:
    out = tmp_path / "scores"
    run(plan_of(str(out), [input_file(name, 4) for name in "abc"], incremental=True), reject=True)
    before = {path.name: path.stat().st_ino for path in out.iterdir()}
    last = output_of(str(out)).last()
    assert last is not None
    division = divide(last, [input_file("a", 4), input_file("c", 2, version=2), input_file("d", 2)])
    plan = plan_of(str(out), division.scored, division.kept, incremental=True)
    manifest, _ = run(plan, reject=True)
    expected = [(name, row, 1) for name in "ab" for row in range(4)] + [("c", row, 2) for row in range(2)]
    assert _rows(out) == [*expected, ("d", 0, 1), ("d", 1, 1)]
    after = {path.name: path.stat().st_ino for path in out.iterdir()}
    assert sum(before.get(name) == node for name, node in after.items()) == 4  # linked, not written again
    rejected = output_of(str(out)).rejected_file(manifest)
    assert rejected is not None
    files = [json.loads(line)["file"] for line in rejected.read_text().splitlines()]
    assert files == ["a"] * 4 + ["b"] * 4 + ["c"] * 2 + ["d"] * 2
    assert manifest.rows_rejected == 12
    assert [item.name for item in manifest.inputs] == ["a", "b", "c", "d"]


def test_of_an_input_that_grew_the_old_rows_stay_and_the_new_ones_follow(tmp_path: Path) -> None:
    out = tmp_path / "scores"
    run(plan_of(str(out), [input_file("a", 4), input_file("b", 2)], incremental=True))
    last = output_of(str(out)).last()
    assert last is not None
    now = [input_file("a", 7, version=2), input_file("b", 2)]
    division = divide(last, now, lambda item, known, rows: rows if item.name == "a" else 0)
    manifest, facts = run(plan_of(str(out), division.scored, division.kept, incremental=True))
    assert facts.rows_in == 3
    assert _rows(out) == [("a", row, 1 if row < 4 else 2) for row in range(7)] + [("b", 0, 1), ("b", 1, 1)]
    grown = manifest.inputs[0]
    assert (grown.rows_in, grown.rows_out, grown.file.skip) == (7, 7, 0)
    assert divide(manifest, now).scored == ()


def test_without_rows_the_table_is_there_with_its_columns(tmp_path: Path) -> None:
    out = tmp_path / "scores"
    manifest, _ = run(plan_of(str(out), [input_file("a", 0)]))
    assert manifest.rows_out == 0
    assert polars.read_parquet(out).columns == ["source_file", "source_row", "version", "model", "score"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_read_only_parent_is_an_io_fault(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(IoFault, match="could not be made"):
            run(plan_of(str(tmp_path / "scores"), [input_file("a", 4)]))
    finally:
        tmp_path.chmod(0o755)
