"""Whole runs of `mlpack score`: the table, and the log, metrics and hooks beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.mlpack import LINE, mlpack, mlpack_json
from tests.cli.score_jobs import write_job, write_model, write_rows

KEYS = {"rows_in", "rows_out", "rows_rejected", "shards", "seconds", "rows_per_second", "model_sha256", "profile"}


def table(path: Path) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = pyarrow.dataset.dataset(path, format="parquet").to_table().to_pydict()
    return columns


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def metrics(path: Path) -> dict[str, float]:
    """Value by name and the value of its second label, by Prometheus' parser."""
    found = {}
    for family in text_string_to_metric_families(path.read_text()):
        for sample in family.samples:
            assert sample.labels.pop("name") == "night"
            found[" ".join([sample.name.removeprefix("mlpack_score_"), *sample.labels.values()])] = sample.value
    return found


def test_a_batch_is_scored_once_and_told_as_json(tmp_path: Path) -> None:
    write_model(tmp_path / "model.onnx")
    write_rows(tmp_path / "rows.parquet", 100)
    words = ("score", "model.onnx", "--input", "rows.parquet", "--output", "scores", "--keep", "a")
    code, first = mlpack_json(*words, cwd=tmp_path)
    assert code == 0 and set(first) >= KEYS and first["profile"] is None
    assert (first["status"], first["rows_in"], first["rows_out"]) == ("done", 100, 100)
    assert first["shards"] == {"done": 1, "reused": 0, "total": 1}
    made = table(tmp_path / "scores")
    assert list(made) == ["source_file", "source_row", "a", "score"]
    assert made["score"] == [row + 1.0 for row in range(100)]
    code, second = mlpack_json(*words, cwd=tmp_path)
    assert code == 0 and second["status"] == "nothing to do" and second["run_key"] == first["run_key"]
    assert (second["rows_in"], second["rows_out"], second["table_rows"]) == (0, 0, 100) and second["shards"][
        "done"
    ] == 0
    again = mlpack(*words, "--keep", "a,b", cwd=tmp_path)
    assert again.returncode == 0 and "keep" in again.stdout and "changed" in again.stdout, again.stdout


def test_a_job_file_runs_from_anywhere_for_the_date_it_is_given(tmp_path: Path) -> None:
    """Relative paths start at its folder; the hook finds the run in its variables and its input."""
    hook = '\n[hooks]\non_success = "env | grep ^MLPACK_ | sort > variables; cat > document"\n'
    job = write_job(tmp_path, hook)
    write_rows(tmp_path / "in/2028-02-29/rows.parquet", 10)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = mlpack("score", job, "--date", "2028-02-29", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert table(tmp_path / "scores/2028-02-29")["id"] == list(range(10))
    variables = dict(line.split("=", 1) for line in (tmp_path / "jobs/variables").read_text().splitlines())
    variables.pop("MLPACK_DATA_DIR", None)  # of the emulated boards, which other tests share
    document = json.loads((tmp_path / "jobs/document").read_text())
    assert document["ok"] and document["rows_out"] == 10 and "10 rows scored" in document["text"]
    assert variables == {
        "MLPACK_STATUS": "done", "MLPACK_EXIT_CODE": "0", "MLPACK_NAME": "night", "MLPACK_JOB": str(job),
        "MLPACK_DATE": "2028-02-29", "MLPACK_MODEL": "../model.onnx", "MLPACK_OUTPUT": "../scores/2028-02-29",
        "MLPACK_RUN_KEY": document["run_key"], "MLPACK_ROWS_IN": "10", "MLPACK_ROWS_OUT": "10",
        "MLPACK_ROWS_REJECTED": "0", "MLPACK_REJECTED_FILE": "",
    }  # fmt: skip
    log = events(tmp_path / "score.log")
    assert [line["event"] for line in log] == ["start", "planned", "shard", "published"]
    assert log[0]["date"] == "2028-02-29" and {line["run_key"] for line in log[1:]} == {document["run_key"]}
    found = metrics(tmp_path / "score.prom")
    assert found["rows_total out"] == 10 and found["last_run_success"] == 1
    assert not list(elsewhere.iterdir())


def test_too_many_rejected_rows_are_exit_code_3_and_call_the_other_hook(tmp_path: Path) -> None:
    hooks = """
[hooks]
on_success = "echo $MLPACK_STATUS >> told"
on_failure = "echo $MLPACK_STATUS $MLPACK_EXIT_CODE $MLPACK_ERROR_KIND $MLPACK_ROWS_REJECTED >> told"
"""
    job = write_job(tmp_path, hooks)
    write_rows(tmp_path / "in/2028-01-01/rows.parquet", 10)
    write_rows(tmp_path / "in/2028-01-02/rows.parquet", 10, missing=4)
    assert mlpack("score", job, "--date", "2028-01-01").returncode == 0
    succeeded = metrics(tmp_path / "score.prom")["last_success_timestamp_seconds"]
    code, document = mlpack_json("score", job, "--date", "2028-01-02")
    assert code == 3 and document["error"]["kind"] == "check-failed" and document["rows_rejected"] == 4
    assert not (tmp_path / "scores/2028-01-02").exists()
    assert (tmp_path / "jobs/told").read_text() == "done\nfailed 3 check-failed 4\n"
    last = events(tmp_path / "score.log")[-1]
    assert (last["event"], last["kind"], last["exit_code"]) == ("failed", "check-failed", 3)
    found = metrics(tmp_path / "score.prom")
    assert found["last_success_timestamp_seconds"] == succeeded < found["last_run_timestamp_seconds"]
    assert found["last_run_exit_code"] == 3 and found["last_run_rows rejected"] == 4 and found["rows_total in"] == 10
    done = mlpack("score", job, "--date", "2028-01-02", "--max-rejected", "40%")
    assert done.returncode == 0 and "4 of 10 rejected" in done.stdout
    assert "taken over" in done.stdout, "the shard was scored again though only the budget changed"


def test_a_hook_that_fails_is_exit_code_1_though_the_table_is_there_and_is_tried_again(tmp_path: Path) -> None:
    job = write_job(tmp_path, '\n[hooks]\non_success = "echo said; echo $MLPACK_STATUS >> told; test -e ready"\n')
    write_rows(tmp_path / "in/2028-01-01/rows.parquet", 10)
    code, document = mlpack_json("score", job, "--date", "2028-01-01")
    assert code == 1 and "is published, but the hook on_success" in document["error"]["message"]
    assert document["rows_out"] == 10 and len(table(tmp_path / "scores/2028-01-01")["id"]) == 10
    assert metrics(tmp_path / "score.prom")["last_run_exit_code"] == 1
    (tmp_path / "jobs/ready").touch()
    assert mlpack("score", job, "--date", "2028-01-01").returncode == 0
    assert (tmp_path / "jobs/told").read_text() == "done\nnothing to do\n"
    assert metrics(tmp_path / "score.prom")["last_run_success"] == 1


def test_a_failing_failure_hook_does_not_hide_what_went_wrong(tmp_path: Path) -> None:
    job = write_job(tmp_path, '\n[hooks]\non_failure = ["/nonexistent/page-me"]\n')
    done = mlpack("score", job, "--date", "2028-01-01")
    error = done.stderr.index("error: ")
    assert done.returncode == 1 and "2028-01-01" in done.stderr[error:]
    assert "page-me" in done.stderr[:error] and "page-me" not in done.stderr[error:]
    assert [line["event"] for line in events(tmp_path / "score.log")] == ["start", "failed"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("../score.log", "../model.onnx", "no log of mlpack score"),
        ("../score.log", "../scores/{{ ds }}/score.log", "lies in the output"),
        ("../score.prom", "../score.txt", "score.prom"),
        ("../scores/{{ ds }}", "../scores/{{ day }}", "names 'day'"),
    ],
)
def test_what_could_not_be_written_at_the_end_is_refused_at_the_beginning(
    before: str, after: str, said: str, tmp_path: Path
) -> None:
    """And the failure hook is told: a night that did not run is one to wake up for."""
    job = write_job(tmp_path, '\n[hooks]\non_failure = "touch called"\n')
    job.write_text(job.read_text().replace(before, after))
    write_rows(tmp_path / "in/2028-01-01/rows.parquet", 10)
    done = mlpack("score", job, "--date", "2028-01-01")
    assert done.returncode == 1 and said in done.stderr, done.stderr
    assert (tmp_path / "jobs/called").exists() and not list((tmp_path / "scores").iterdir())


def test_the_log_goes_to_standard_error_and_hooks_print_there_too(tmp_path: Path) -> None:
    job = write_job(tmp_path, '\n[hooks]\non_success = "echo from the hook"\n')
    write_rows(tmp_path / "in/2028-01-01/rows.parquet", 10)
    done = mlpack("score", job, "--date", "2028-01-01", "--log", "-", "--json")
    *lines, printed = done.stderr.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["start", "planned", "shard", "published"]
    assert printed == "from the hook" and json.loads(done.stdout)["ok"]


@pytest.mark.long
def test_a_polite_kill_calls_the_hook_and_the_next_run_goes_on(tmp_path: Path) -> None:
    job = write_job(tmp_path, '\n[hooks]\non_failure = "echo $MLPACK_ERROR_KIND > told"\n')
    write_rows(tmp_path / "in/2028-01-01/rows.parquet", 2_000_000)
    words = ["score", str(job), "--date", "2028-01-01", "--workers", "1"]
    child = subprocess.Popen([*LINE, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    log = tmp_path / "score.log"
    until = time.monotonic() + 60
    while "shard" not in (log.read_text() if log.exists() else "").replace('"shards"', ""):
        assert child.poll() is None and time.monotonic() < until, "the run ended before it could be killed"
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGTERM)
    said, _ = child.communicate(timeout=60)
    assert child.returncode == 1 and "interrupted" in said and "Traceback" not in said
    assert (tmp_path / "jobs/told").read_text() == "interrupted\n"
    assert events(log)[-1]["kind"] == "interrupted" and not (tmp_path / "scores/2028-01-01").exists()
    code, document = mlpack_json(*words)
    assert code == 0 and document["shards"]["reused"] >= 1 and document["rows_out"] == 2_000_000
    assert events(log)[-1]["event"] == "published"


def test_a_terminal_shows_progress_and_no_line_of_it_stays(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    write_rows(tmp_path / "in/2028-01-01/rows.parquet", 1000)
    here, there = os.openpty()
    try:
        words = [*LINE, "score", str(job), "--date", "2028-01-01"]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=there, text=True, check=False)
        shown = os.read(here, 1 << 16).decode()
    finally:
        os.close(here)
        os.close(there)
    assert done.returncode == 0, shown
    assert "scoring 100%  1,000 of 1,000 rows" in shown and shown.endswith("\r\x1b[K") and "\n" not in shown


def test_a_drafted_contract_stops_a_night_that_is_not_like_its_reference(tmp_path: Path) -> None:
    write_model(tmp_path / "model.onnx")
    write_rows(tmp_path / "good.parquet", 500)
    write_rows(tmp_path / "bad.parquet", 500, missing=400)
    done = mlpack("score", "model.onnx", "--draft-contract", "--input", "good.parquet", "-o", "c.toml", cwd=tmp_path)
    assert done.returncode == 0 and "500 reference rows" in done.stdout, done.stderr
    words = ("score", "model.onnx", "--contract", "c.toml", "--output", "scores")
    assert mlpack(*words, "--input", "good.parquet", cwd=tmp_path).returncode == 0
    assert mlpack(*words, "--input", "bad.parquet", cwd=tmp_path).returncode == 3
    assert len(table(tmp_path / "scores")["score"]) == 500, "the good night's table must stand"
    assert mlpack("score", "model.onnx", "--draft-contract", "-o", "c.toml", cwd=tmp_path).returncode == 1


def test_stored_scores_are_evaluated_when_labels_arrive(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    write_model(tmp_path / "model.onnx")
    write_rows(tmp_path / "rows.parquet", 200)
    words = ("score", "model.onnx", "--input", "rows.parquet", "--output", "scores", "--key", "id")
    assert mlpack(*words, cwd=tmp_path).returncode == 0
    labels = pa.table({"id": pa.array(range(200), pa.int64()), "truth": [row + 1.5 for row in range(200)]})
    pyarrow.parquet.write_table(labels, tmp_path / "labels.parquet")
    words = ("score", "--evaluate", "scores", "--labels", "labels.parquet", "--label", "truth", "-o", "report.json")
    code, document = mlpack_json(*words, cwd=tmp_path)
    assert code == 0, document
    errors = {metric["name"]: metric["value"] for metric in document["metrics"]}
    assert errors["mae"] == pytest.approx(0.5) and document["labelled"] == 200
    assert json.loads((tmp_path / "report.json").read_text())["labelled"] == 200


def test_a_challenger_is_scored_in_the_same_read_and_judged_where_labels_are(tmp_path: Path) -> None:
    write_model(tmp_path / "model.onnx")
    write_model(tmp_path / "new.onnx", factor=4.0)
    write_rows(tmp_path / "rows.parquet", 100)
    words = ("score", "model.onnx", "--input", "rows.parquet", "--output", "scores", "--challenger", "new.onnx")
    done = mlpack(*words, "--label", "a", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "score: equal in 0 of 100 rows" in done.stdout and "largest difference 1" in done.stdout
    assert "champion" in done.stdout and "mae" in done.stdout
    made = table(tmp_path / "scores")
    assert made["score"] == [row + 1.0 for row in range(100)]
    assert made["challenger_score"] == [row + 2.0 for row in range(100)]
