"""JOB.toml: read strictly, written so that it reads back as the same job."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.batch.job import Job
from mlpack_edge.batch.job_file import (
    KEY_OF,
    NOT_IN_A_FILE,
    Hooks,
    JobFile,
    job_file_from_text,
    job_file_text,
    read_job_file,
)
from mlpack_edge.core.errors import BadInput, IoFault

GOOD = """
schema = 1
model = "flights.onnx"
input = "flights/*.parquet"
output = "scores"
"""

WHOLE = """
schema = 1
model = "flights.onnx"
input = ["a/{{ ds }}.parquet", "b.csv"]
output = "delta::scores"
keep = ["origin", "dest"]
key = "flight"
partition_by = "month"
contract = "flights.contract.toml"
max_rejected = "0.1%"
challenger = "new.tflite"
label = "late"
incremental = true
engine = "local"
workers = 2
batch_rows = 4096
memory = "1GB"

[hooks]
on_success = ["touch", "done file"]
on_failure = "https://example.org/hook"
time_limit = "90s"

[log]
file = "-"

[metrics]
file = "score.prom"
name = "flights"
"""


def test_every_key_reaches_its_place() -> None:
    made = job_file_from_text(WHOLE, "night.toml")
    assert made == JobFile(
        Job(
            "flights.onnx", ("a/{{ ds }}.parquet", "b.csv"), "delta::scores", keep=("origin", "dest"), key="flight",
            partition_by="month", contract="flights.contract.toml", max_rejected=0.001, challenger="new.tflite",
            label="late", incremental=True, engine="local", workers=2, batch_rows=4096, memory=10**9,
        ),
        Hooks(("touch", "done file"), "https://example.org/hook", 90.0), "-", "score.prom", "flights",
    )  # fmt: skip


def test_the_smallest_job_has_the_defaults() -> None:
    assert job_file_from_text(GOOD, "night.toml") == JobFile(Job("flights.onnx", ("flights/*.parquet",), "scores"))


def test_every_field_of_a_job_has_a_key_or_is_left_out_on_purpose() -> None:
    assert {*KEY_OF, *NOT_IN_A_FILE} == {item.name for item in fields(Job)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "schema is missing"),
        ("schema = 2", "schema is 2"),
        ("schema = true", "schema is True"),
        ("schema = [", "is no TOML"),
        ("schema = 1\nschema = 1", "is no TOML"),
        ("a = " + "[" * 100_000, "is no TOML"),
        ("schema = 1\nmodel = 'm'", "output is missing"),
        (GOOD.replace("input =", "#"), "input is missing"),
        (GOOD + "inputs = 'x'", "inputs is no key"),
        (GOOD + "fresh = true", "fresh is no key"),
        (GOOD + "workers = 0", "workers is 0"),
        (GOOD + "workers = true", "workers is True"),
        (GOOD + "workers = 2.0", "workers is 2.0"),
        (GOOD + "max_rejected = 1.5", "max_rejected is 1.5"),
        (GOOD + "max_rejected = nan", "max_rejected is nan"),
        (GOOD + "max_rejected = '5'", "max_rejected: '5' is no percentage"),
        (GOOD + "memory = '1 TB'", "memory: '1 TB' is not a size"),
        (GOOD + "keep = []", "keep is []"),
        (GOOD + "keep = ['']", "keep is ['']"),
        (GOOD + "keep = [1]", "keep is [1]"),
        (GOOD + "key = ' '", "key is ' '"),
        (GOOD + "sql = 'a\\u0000b'".replace("'", '"'), "sql is"),
        (GOOD + "incremental = 'yes'", "incremental is 'yes'"),
        (GOOD + "log = 'x'", "log is no table"),
        (GOOD + "[log]\npath = 'x'", "log.path is no key"),
        (GOOD + "[metrics]\nname = 'x'", "metrics.file is missing"),
        (GOOD + "[hooks]\non_sucess = 'x'", "hooks.on_sucess is no key"),
        (GOOD + "[hooks]\non_success = 1", "hooks.on_success is 1"),
        (GOOD + "[hooks]\non_success = []", "hooks.on_success is []"),
        (GOOD + "[hooks]\ntime_limit = '0s'", "hooks.time_limit: '0s'"),
        (GOOD + "[hook]\non_success = 'x'", "hook is no key"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused_by_key(text: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        job_file_from_text(text, "night.toml")
    assert refused.value.message.startswith("night.toml") and said in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize(("key", "near"), [("inputs", "input"), ("batchrows", "batch_rows"), ("hook", "hooks")])
def test_the_nearest_key_is_proposed(key: str, near: str) -> None:
    with pytest.raises(BadInput) as refused:
        job_file_from_text(f"{GOOD}\n{key} = 'x'", "night.toml")
    assert refused.value.hint == f"is {near} meant?"


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IoFault, match=r"none.toml"):
        read_job_file(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes("schema = 1 # ä".encode("latin-1"))
    with pytest.raises(BadInput, match=r"UTF-8"):
        read_job_file(tmp_path / "latin.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(BadInput, match=r"larger"):
        read_job_file(tmp_path / "large.toml")


# Text that TOML can hold and that is a value: everything but NUL and half a surrogate pair, and not only blanks.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40).filter(
    lambda text: bool(text.strip())
)
names = st.lists(texts, min_size=1, max_size=3).map(tuple)
shares = st.none() | st.floats(0, 1)
hooks = st.builds(Hooks, st.just("") | texts | names, st.just("") | texts | names, st.floats(0.001, 86400))
jobs = st.builds(
    Job, model=texts, inputs=names, output=texts, sql=st.just("") | texts, keep=st.just(()) | names,
    key=st.just("") | texts, partition_by=st.just("") | texts, contract=st.just("") | texts, max_rejected=shares,
    challenger=st.just("") | texts, label=st.just("") | texts, incremental=st.booleans(), engine=texts,
    workers=st.none() | st.integers(1, 1000), batch_rows=st.integers(1, 2**31 - 1),
    memory=st.none() | st.integers(1, 2**62 - 1),
)  # fmt: skip


@given(st.builds(JobFile, jobs, hooks, st.just("") | texts, texts, st.just("") | texts))
@settings(max_examples=300, deadline=None)
def test_what_is_written_reads_back_as_the_same_job(job_file: JobFile) -> None:
    assert job_file_from_text(job_file_text(job_file), "x") == job_file


def test_a_query_of_several_lines_stays_one_to_read() -> None:
    job = Job("m.onnx", (), "out", sql='SELECT "a",\n  b\nFROM t\n')
    text = job_file_text(JobFile(job))
    assert 'sql = """\nSELECT \\"a\\",\n  b\nFROM t\n"""' in text
    assert job_file_from_text(text, "x").job == job


def test_what_is_as_by_default_is_left_away() -> None:
    assert job_file_text(JobFile(Job("m.onnx", ("a",), "out"))) == (
        'schema = 1\nmodel = "m.onnx"\ninput = "a"\noutput = "out"\n'
    )
    text = job_file_text(JobFile(Job("m.onnx", ("a", "b"), "out", max_rejected=0.001)))
    assert 'input = ["a", "b"]' in text and 'max_rejected = "0.1%"' in text


def test_a_name_that_is_no_utf_8_is_refused() -> None:
    with pytest.raises(BadInput, match=r"output: .* cannot stand in a job file"):
        job_file_text(JobFile(Job("m.onnx", ("a",), "out\udcff")))
