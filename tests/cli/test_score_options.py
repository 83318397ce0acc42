"""What may be asked of `mlpack score`, and how a job file and options become one job."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpack_edge.batch.job import Job
from mlpack_edge.batch.job_file import JobFile, job_file_from_text
from mlpack_edge.cli.score_request import moved, moved_job
from tests.cli.mlpack import mlpack, mlpack_json

RUN = ("m.onnx", "--input", "a.parquet", "--output", "out")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Missing argument"),
        (["m.onnx", "--output", "out"], "--input"),
        (["m.onnx", "--input", "a"], "--output"),
        ([*RUN, "--fresh", "--resume"], "--fresh and --resume"),
        ([*RUN, "--by", "day"], "--by goes with --evaluate"),
        ([*RUN, "-o", "x"], "-o goes with --print-job and --draft-contract and --evaluate"),
        ([*RUN, "--max-rejected", "5"], "'5' is no percentage"),
        ([*RUN, "--max-rejected", "101%"], "more than all"),
        ([*RUN, "--date", "2026-02-30"], "no 2026-02-30 in the calendar"),
        ([*RUN, "--memory", "lots"], "is not a size"),
        ([*RUN, "--workers", "0"], "whole number from 1 up"),
        ([*RUN, "--keep", "a,,b"], "names an empty column"),
        ([*RUN, "--keep", "a,a"], "names a column twice"),
        ([*RUN, "--keep", 'a,"b'], "is no list of columns"),
        (["m.onnx", "--input", "a", "--input", "b", "--sql", "SELECT 1", "--output", "o"], "--sql takes one database"),
        (["m.onnx", "--input", "a", "--output", "o.duckdb::t", "--partition-by", "p"], "--partition-by goes with a directory"),
        ([*RUN, "--print-job", "--draft-contract"], "--print-job and --draft-contract"),
        ([*RUN, "--print-job", "--date", "2026-01-01"], "--date does not go with --print-job"),
        ([*RUN, "--print-job", "--fresh"], "--fresh does not go with --print-job"),
        ([*RUN, "--print-job", "--force"], "--force goes with -o"),
        (["m.onnx", "--draft-contract", "--input", "a", "--output", "o"], "--output does not go with --draft-contract"),
        (["--evaluate", "out", "--output", "o"], "--output does not go with --evaluate"),
        (["--evaluate", "out", "--labels", "late.csv"], "--evaluate goes with --label"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_are_wrong_usage(words: list[str], said: str, tmp_path: Path) -> None:
    done = mlpack("score", *words, cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert not list(tmp_path.iterdir())


def test_a_job_is_printed_so_that_it_reads_back_as_the_options(tmp_path: Path) -> None:
    words = [
        "m.onnx", "--input", "in/{{ ds }}/*.parquet", "--input", "b.csv", "--output", "out", "--keep", 'a,"b,c"',
        "--key", "id", "--partition-by", "month", "--contract", "c.toml", "--max-rejected", "0.1%", "--engine", "local",
        "--workers", "2", "--batch-rows", "4096", "--memory", "1GB", "--incremental", "--challenger", "n.onnx", "--label",
        "late", "--log", "-", "--metrics", "score.prom", "--print-job",
    ]  # fmt: skip
    done = mlpack("score", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = JobFile(
        Job(
            "m.onnx", ("in/{{ ds }}/*.parquet", "b.csv"), "out", keep=("a", "b,c"), key="id", partition_by="month",
            contract="c.toml", max_rejected=0.001, engine="local", workers=2, batch_rows=4096, memory=10**9,
            incremental=True, challenger="n.onnx", label="late",
        ), log="-", metrics="score.prom",
    )  # fmt: skip
    assert job_file_from_text(done.stdout, "printed") == expected
    (tmp_path / "job.toml").write_text(done.stdout)
    code, document = mlpack_json("score", "job.toml", "--print-job", cwd=tmp_path)
    assert code == 0 and document["toml"] == done.stdout and document["job"] == expected.job.to_json()


def test_an_option_goes_over_what_the_job_file_says(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text('schema = 1\nmodel = "m.onnx"\ninput = "a"\noutput = "out"\nkeep = ["x"]\n')
    done = mlpack("score", "job.toml", "--keep", "*", "--input", "b", "--print-job", cwd=tmp_path)
    job = job_file_from_text(done.stdout, "printed").job
    assert job == Job("m.onnx", ("b",), "out", keep=("*",))


def test_a_job_written_to_another_folder_means_the_same_files(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    done = mlpack("score", *RUN, "--log", "score.log", "--print-job", "-o", "jobs/night.toml", cwd=tmp_path)
    assert done.returncode == 0
    made = job_file_from_text((tmp_path / "jobs/night.toml").read_text(), "night")
    assert made == JobFile(Job("../m.onnx", ("../a.parquet",), "../out"), log="../score.log")
    again = mlpack("score", *RUN, "--print-job", "-o", "jobs/night.toml", cwd=tmp_path)
    assert again.returncode == 1 and "--force" in again.stderr


def test_a_path_of_the_command_line_starts_where_the_command_is_typed(tmp_path: Path) -> None:
    """Those of the job file start at the job file."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/job.toml").write_text('schema = 1\nmodel = "m.onnx"\ninput = "a"\noutput = "out"\n')
    done = mlpack("score", "jobs/job.toml", "--output", "here", "--print-job", cwd=tmp_path)
    assert job_file_from_text(done.stdout, "printed").job == Job("m.onnx", ("a",), "../here")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a/*.parquet", "../a/*.parquet"),
        ("jobs/a.csv", "a.csv"),
        ("/data/a", "/data/a"),
        ("s3://bucket/{{ ds }}/*", "s3://bucket/{{ ds }}/*"),
        ("w.duckdb::flights", "../w.duckdb::flights"),
        ("delta::scores", "delta::../scores"),
        ("delta::/scores", "delta::/scores"),
    ],
)
def test_a_place_is_the_same_place_from_another_folder(before: str, after: str, tmp_path: Path) -> None:
    assert moved({"output": before, "key": "a/b"}, tmp_path, tmp_path / "jobs") == {"output": after, "key": "a/b"}


def test_a_path_through_a_link_and_back_is_not_shortened(tmp_path: Path) -> None:
    """`link/../a` lies beside what the link points to, not beside the link."""
    made = moved({"output": "link/../a"}, tmp_path, tmp_path / "jobs")["output"]
    assert made == f"{tmp_path.resolve()}/link/../a"
    assert moved_job(JobFile(Job("m", ("a",), "o")), tmp_path, tmp_path) == JobFile(Job("m", ("a",), "o"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('schema = 1\nmodle = "m"', "modle is no key of a job file"),
        ('schema = 1\nmodel = "m"\ninput = "a"\noutput = "o.duckdb::t"\npartition_by = "l"', "partition_by goes with"),
        ('schema = 1\nmodel = "m"\ninput = "{{ dss }}"\noutput = "o"', "job.toml: input: the template '{{ dss }}'"),
    ],
)
def test_a_job_file_that_is_wrong_is_exit_code_1_and_names_the_key(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(text)
    done = mlpack("score", "job.toml", cwd=tmp_path)
    assert done.returncode == 1 and said in done.stderr, done.stderr


def test_an_option_over_a_job_file_that_does_not_go_with_it_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text('schema = 1\nmodel = "m"\ninput = "a"\noutput = "o.duckdb::t"')
    done = mlpack("score", "job.toml", "--partition-by", "month", cwd=tmp_path)
    assert done.returncode == 2 and "partition_by goes with a directory" in done.stderr


def test_a_column_of_any_name_is_printed_so_that_it_can_be_read(tmp_path: Path) -> None:
    """What does not print is escaped, not replaced."""
    done = mlpack("score", *RUN, "--key", 'ze\u200bro\x7f \\ "', "--print-job", cwd=tmp_path)
    assert "\\U0000200B" in done.stdout
    assert job_file_from_text(done.stdout, "printed").job.key == 'ze\u200bro\x7f \\ "'


@pytest.mark.parametrize(("given", "missing"), [("--profile", "--profile-spec"), ("--profile-spec", "--profile")])
def test_a_profile_needs_its_spec(given: str, missing: str) -> None:
    done = mlpack("score", *RUN, given, "x")
    assert done.returncode == 2 and f"{given} goes with {missing}" in done.stderr


def test_doctor_lists_the_extras_of_batches() -> None:
    code, document = mlpack_json("doctor")
    assert code in (0, 3) and {"delta", "remote", "spark", "daft"} <= set(document["extras"])
    assert "java" in document["programs"], "Spark needs one"
