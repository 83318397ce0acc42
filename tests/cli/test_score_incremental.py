"""`--incremental` scores what is new and nothing else, and the table is that of one run over everything."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import polars
import pytest

from tests.cli.mlpack import mlpack_json
from tests.cli.score_flights import rows, table_of, write_files, write_model

OLD, NEW = 2000, 300


@pytest.fixture
def job(tmp_path: Path) -> Path:
    write_model(tmp_path / "model.onnx")
    return tmp_path


def _score(folder: Path, *words: str, output: str = "out") -> tuple[int, int]:
    """(rows that were scored, rows of the table)."""
    code, said = mlpack_json("score", "model.onnx", *words, "--output", output, "--incremental", cwd=folder)
    assert code == 0, said
    return said["rows_in"], said["table_rows"]


def _whole(folder: Path, *words: str) -> polars.DataFrame:
    code, said = mlpack_json("score", "model.onnx", *words, "--output", "whole", cwd=folder)
    assert code == 0, said
    return table_of(folder / "whole")


def _database(path: Path, frame: polars.DataFrame, make: bool = False) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.register("frame", frame.to_arrow())
        connection.execute("CREATE TABLE flights AS FROM frame" if make else "INSERT INTO flights FROM frame")


def test_new_files_are_scored_and_files_that_are_gone_keep_their_rows(job):
    write_files(job / "in", 2, OLD)
    words = ["--input", "in/*.parquet"]
    assert _score(job, *words) == (2 * OLD, 2 * OLD)
    assert _score(job, *words) == (0, 2 * OLD)
    rows(NEW, 2 * OLD).write_parquet(job / "in" / "002.parquet")
    assert _score(job, *words) == (NEW, 2 * OLD + NEW)
    whole = _whole(job, *words).sort("source_file", "source_row")
    assert table_of(job / "out").sort("source_file", "source_row").equals(whole)
    (job / "in" / "000.parquet").unlink()
    rows(NEW, 3 * OLD).write_parquet(job / "in" / "003.parquet")
    assert _score(job, *words) == (NEW, 2 * OLD + 2 * NEW)


def test_a_file_that_changed_is_scored_anew_and_its_old_rows_go(job):
    write_files(job / "in", 2, OLD)
    words = ["--input", "in/*.parquet"]
    _score(job, *words)
    rows(NEW, 9 * OLD).write_parquet(job / "in" / "001.parquet")
    assert _score(job, *words) == (NEW, OLD + NEW)
    whole = _whole(job, *words).sort("source_file", "source_row")
    assert table_of(job / "out").sort("source_file", "source_row").equals(whole)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_of_a_file_of_lines_that_grew_the_new_lines_are_scored(job, suffix):
    path = job / f"in.{suffix}"

    def write(frame: polars.DataFrame, more: bool) -> None:
        text = frame.write_csv(include_header=not more) if suffix == "csv" else frame.write_ndjson()
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)

    write(rows(OLD), more=False)
    words = ["--input", path.name]
    assert _score(job, *words) == (OLD, OLD)
    write(rows(NEW, OLD), more=True)
    assert _score(job, *words) == (NEW, OLD + NEW)
    assert table_of(job / "out").sort("source_row").equals(_whole(job, *words).sort("source_row"))


@pytest.mark.parametrize("key", ["", "flight"])
@pytest.mark.parametrize("form", ["table", "query"])
def test_of_a_table_or_query_that_grew_the_new_rows_are_scored(job, form, key):
    _database(job / "in.duckdb", rows(OLD), make=True)
    words = ["--input", "in.duckdb::flights"]
    if form == "query":
        words = ["--sql", "SELECT * FROM flights WHERE distance >= 0", "--input", "in.duckdb"]
    words += ["--key", key] if key else []
    assert _score(job, *words) == (OLD, OLD)
    _database(job / "in.duckdb", rows(NEW, OLD))
    assert _score(job, *words) == (NEW, OLD + NEW)
    order = key or "source_row"
    assert table_of(job / "out").sort(order).equals(_whole(job, *words).sort(order))
    with duckdb.connect(str(job / "in.duckdb")) as connection:
        connection.execute("UPDATE flights SET distance = 1 WHERE flight = 7")
    assert _score(job, *words) == (OLD + NEW, OLD + NEW), "an old row changed: all of it is scored again"


def test_another_model_scores_everything_again(job):
    write_files(job / "in", 1, OLD)
    words = ["--input", "in/*.parquet"]
    _score(job, *words)
    write_model(job / "model.onnx", scale=0.5)
    rows(NEW, OLD).write_parquet(job / "in" / "001.parquet")
    assert _score(job, *words) == (OLD + NEW, OLD + NEW)


def test_a_database_table_takes_what_is_new(job):
    write_files(job / "in", 1, OLD)
    words = ["--input", "in/*.parquet"]
    assert _score(job, *words, output="out.duckdb::scores") == (OLD, OLD)
    rows(NEW, OLD).write_parquet(job / "in" / "001.parquet")
    assert _score(job, *words, output="out.duckdb::scores") == (NEW, OLD + NEW)
    with duckdb.connect(str(job / "out.duckdb"), read_only=True) as connection:
        count, distinct = connection.execute(
            "SELECT count(*), count(DISTINCT (source_file, source_row)) FROM scores"
        ).fetchall()[0]
    assert count == distinct == OLD + NEW
    shutil.rmtree(job / "in")
    code, said = mlpack_json("score", "model.onnx", *words, "--output", "out.duckdb::scores", "--incremental", cwd=job)
    assert code == 1 and "in/*.parquet" in said["error"]["message"], "no input at all is an error, not an empty night"
