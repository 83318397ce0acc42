"""What goes wrong at night: after each fault nothing is lost, nothing is there twice, and message and exit code say it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import polars
import pyarrow
import pyarrow.parquet
import pytest

from tests.cli.mlpack import LINE, mlpack_json
from tests.cli.score_flights import rows, table_of, write_files, write_model

ROWS = 3000
WORDS = ("score", "model.onnx", "--input", "in/*.parquet", "--output", "out")


@pytest.fixture
def job(tmp_path: Path) -> Path:
    write_model(tmp_path / "model.onnx")
    write_files(tmp_path / "in", 2, ROWS)
    return tmp_path


def _untouched(folder: Path) -> None:
    """No table, and nothing of one beside its name."""
    assert not (folder / "out").exists()
    assert [path.name for path in folder.glob("out*")] == []


def test_a_run_is_done_once(job):
    code, first = mlpack_json(*WORDS, cwd=job)
    assert (code, first["status"], first["rows_out"]) == (0, "done", 2 * ROWS)
    parts = {path.name: path.stat().st_mtime_ns for path in (job / "out").iterdir()}
    code, second = mlpack_json(*WORDS, cwd=job)
    assert (code, second["status"]) == (0, "nothing to do")
    assert second["shards"] == {"done": 0, "reused": 0, "total": 0}
    assert {path.name: path.stat().st_mtime_ns for path in (job / "out").iterdir()} == parts
    code, third = mlpack_json(*WORDS, "--fresh", cwd=job)
    assert (code, third["status"], third["shards"]["done"]) == (0, "done", 2)


@pytest.mark.parametrize("change", ["input", "model", "option", "one more input"])
def test_another_input_model_or_option_makes_another_run_and_is_named(job, change):
    assert mlpack_json(*WORDS, cwd=job)[0] == 0
    words, said = list(WORDS), ""
    if change == "input":
        rows(ROWS + 1).write_parquet(job / "in" / "000.parquet")
        said = "input in/000.parquet changed"
    elif change == "model":
        write_model(job / "model.onnx", scale=0.5)
        said = "model model changed"
    elif change == "option":
        words += ["--keep", "carrier"]
        said = "option keep changed"
    else:
        rows(5).write_parquet(job / "in" / "002.parquet")
        said = "input in/002.parquet is new"
    code, again = mlpack_json(*words, cwd=job)
    assert code == 0 and again["status"] == "done" and said in again["changed"]


def test_two_runs_at_once_make_one_table(job):
    write_model(job / "model.onnx", layers=8)
    write_files(job / "in", 8, 4096)
    with (
        subprocess.Popen([*LINE, *WORDS], cwd=job, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as one,
        subprocess.Popen([*LINE, *WORDS], cwd=job, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as two,
    ):
        ended = sorted((run.wait(120), run.stderr.read() if run.stderr else "") for run in (one, two))
    assert ended[0][0] == 0
    assert ended[1][0] == 0 or "another run" in ended[1][1], ended
    assert table_of(job / "out")["source_row"].len() == 8 * 4096


def test_a_full_disk_stops_the_run_and_says_so(job):
    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs root")
    small = job / "small"
    small.mkdir()
    write_files(job / "in", 2, 30_000)
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40k", "none", small], check=False, capture_output=True
    ).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        code, said = mlpack_json(*WORDS[:-1], "small/out", cwd=job)
        assert code == 1 and "No space left" in said["error"]["why"], said
        assert not (small / "out").exists()
        subprocess.run(["mount", "-o", "remount,size=20m", small], check=True)
        code, said = mlpack_json(*WORDS[:-1], "small/out", cwd=job)
        assert code == 0 and table_of(small / "out").height == 60_000
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        code, said = mlpack_json(*WORDS[:-1], "small/other", cwd=job)
        assert code == 1 and "small" in said["error"]["message"] and "read-only" in json.dumps(said["error"]).lower()
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.parametrize("how", ["changes", "vanishes"])
def test_an_input_that_changes_during_the_run_publishes_nothing(job, how):
    write_model(job / "model.onnx", layers=12)
    write_files(job / "in", 8, 8192)
    log = job / "log.jsonl"
    with subprocess.Popen(
        [*LINE, *WORDS, "--log", log, "--json"], cwd=job, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        last = job / "in" / "007.parquet"
        while '"planned"' not in (log.read_text() if log.exists() else ""):
            assert run.poll() is None
            time.sleep(0.01)
        if how == "changes":
            rows(8192, 5).write_parquet(last)
        else:
            last.unlink()
        said = json.loads(run.communicate(timeout=120)[0])
    assert run.returncode == 1
    assert "in/007.parquet" in said["error"]["message"]
    _untouched(job)


def test_a_corrupt_row_group_in_the_middle_is_named_and_the_rest_is_not_scored_again(job):
    frame = pyarrow.table(rows(ROWS * 4).to_arrow())
    path = job / "in" / "001.parquet"
    pyarrow.parquet.write_table(frame, path, row_group_size=ROWS, compression="snappy")
    column = pyarrow.parquet.ParquetFile(path).metadata.row_group(2).column(1)
    content = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    content[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(content)
    code, said = mlpack_json(*WORDS, cwd=job)
    assert code == 1 and "in/001.parquet" in said["error"]["message"], said
    _untouched(job)
    pyarrow.parquet.write_table(frame, path, row_group_size=ROWS, compression="snappy")
    code, said = mlpack_json(*WORDS, cwd=job)
    assert code == 0 and said["rows_out"] == 5 * ROWS


def test_missing_and_infinite_values_go_to_quarantine_within_the_budget(job):
    frame = rows(ROWS)
    distance = frame["distance"].to_list()
    distance[10], distance[20], distance[30] = float("nan"), float("inf"), None
    carrier = frame["carrier"].to_list()
    carrier[40] = None
    frame.with_columns(
        distance=polars.Series(distance, dtype=polars.Float32), carrier=polars.Series(carrier)
    ).write_parquet(job / "in" / "000.parquet")
    code, said = mlpack_json(*WORDS, cwd=job)
    assert code == 3 and said["error"]["message"].startswith("4 of ") and said["rows_rejected"] == 4
    _untouched(job)
    code, said = mlpack_json(*WORDS, "--max-rejected", "0.1%", cwd=job)
    assert code == 0 and (said["rows_out"], said["rows_rejected"]) == (2 * ROWS - 4, 4)
    assert said["shards"]["reused"] >= 1, "a larger budget goes on with the finished shards"
    lines = [json.loads(line) for line in Path(said["rejected_file"]).read_text().splitlines()]
    assert [(line["file"], line["row"]) for line in lines] == [("in/000.parquet", row) for row in (10, 20, 30, 40)]
    assert {line["column"] for line in lines} == {"distance", "carrier"}
    clean = job / "clean"
    clean.mkdir()
    write_files(clean / "in", 2, ROWS)
    shutil.copy(job / "model.onnx", clean)
    assert mlpack_json(*WORDS, cwd=clean)[0] == 0
    whole, made = table_of(clean / "out"), table_of(job / "out")
    kept = whole.filter(
        ~((polars.col("source_file") == "in/000.parquet") & polars.col("source_row").is_in([10, 20, 30, 40]))
    )
    assert made["score"].to_list() == kept["score"].to_list(), "a bad row moved another's score"


@pytest.mark.parametrize("count", [0, 1])
def test_no_row_and_one_row_are_tables_too(job, count):
    shutil.rmtree(job / "in")
    write_files(job / "in", 1, count)
    code, said = mlpack_json(*WORDS, cwd=job)
    assert code == 0 and said["rows_out"] == count
    made = table_of(job / "out")
    assert made.height == count and made.columns == ["source_file", "source_row", "score"]


def test_names_with_spaces_and_letters_of_any_script(tmp_path):
    folder = tmp_path / "Flüge im März"
    write_files(folder / "in put", 2, 100)
    write_model(folder / "mödel ✈.onnx")
    for path in sorted((folder / "in put").iterdir()):
        polars.read_parquet(path).rename({"flight": "flight n° ✈"}).write_parquet(path)
    code, said = mlpack_json(
        "score",
        "mödel ✈.onnx",
        "--input",
        "in put/*.parquet",
        "--output",
        "ergebnis öäü",
        "--key",
        "flight n° ✈",
        cwd=folder,
    )
    assert code == 0, said
    assert table_of(folder / "ergebnis öäü")["flight n° ✈"].to_list() == list(range(200))


def test_two_thousand_columns_and_a_nested_one_beside_those_that_are_read(job):
    frame = rows(ROWS)
    wide = {f"extra {number}": pyarrow.array(np.zeros(ROWS, np.float32)) for number in range(2000)}
    nested = pyarrow.array([{"a": [1, 2]}] * ROWS)
    table = pyarrow.table({**wide, **{name: frame[name].to_arrow() for name in frame.columns}, "nested": nested})
    for path in (job / "in").iterdir():
        pyarrow.parquet.write_table(table, path)
    code, said = mlpack_json(*WORDS, cwd=job)
    assert code == 0 and said["rows_out"] == 2 * ROWS
    code, said = mlpack_json(*WORDS[:-1], "other", "--keep", "nested", cwd=job)
    assert code in (0, 1) and ("nested" in said["error"]["message"] if code else True)


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("distance", ["far"] * 10, "distance"),
        ("carrier", list(range(10)), "carrier"),
        ("distance", [{"km": 1.0}] * 10, "distance"),
        ("carrier", None, "carrier"),
    ],
    ids=["text for a number", "numbers for text", "a nested type", "a missing column"],
)
def test_columns_that_do_not_fit_are_refused_by_name_before_the_first_row(job, column, values, said):
    shutil.rmtree(job / "in")
    (job / "in").mkdir()
    frame = rows(10).drop(column)
    (frame if values is None else frame.with_columns(polars.Series(column, values))).write_parquet(
        job / "in" / "a.parquet"
    )
    code, answer = mlpack_json(*WORDS, cwd=job)
    assert code == 1 and repr(said) in answer["error"]["message"], answer
    _untouched(job)


def test_a_directory_that_mlpack_did_not_write_is_never_replaced(job):
    (job / "out").mkdir()
    (job / "out" / "thesis.tex").write_text("years of work")
    code, said = mlpack_json(*WORDS, "--fresh", cwd=job)
    assert code == 1 and "thesis.tex" in said["error"]["message"]
    assert (job / "out" / "thesis.tex").read_text() == "years of work"


def test_scores_are_the_same_bits_whatever_the_workers_and_batches(job):
    write_model(job / "model.onnx", layers=3)
    write_files(job / "in", 2, 20_000)
    tables = []
    for number, (workers, batch) in enumerate([(1, 65_536), (2, 4096), (2, 1)]):
        code, _ = mlpack_json(
            *WORDS[:-1], f"out{number}", "--workers", str(workers), "--batch-rows", str(batch), cwd=job
        )
        assert code == 0
        tables.append({path.name: path.read_bytes() for path in (job / f"out{number}").iterdir()})
    assert tables[0] == tables[1] == tables[2]
