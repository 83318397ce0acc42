"""Where scores and labels come from: every output of mlpack score, every form of labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

from mlpack_edge.batch.plan import ModelFile
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature, TensorSpec
from tests.batch.evaluation.scored import judged, metric, model
from tests.batch.outputs.runs import input_file, plan_of, run

ROWS = 40
#: Of the tables that tests/batch/outputs/runs.py writes: each row says "m1" with scores that rise with its number.
TOLD = Signature(
    (TensorSpec("x", "float32", ("batch", 1)),),
    (
        TensorSpec("model", "string", ("batch",), "label"),
        TensorSpec("score", "float32", ("batch", 2), "scores"),
    ),
    classes=("m0", "m1"),
)  # fmt: skip


def _published(output: str, **options: Any) -> str:
    plan = plan_of(output, [input_file("a", ROWS)], **options)
    run(replace(plan, models=(ModelFile("m.onnx", "onnx", "m1", "", (), TOLD.dumps()),)))
    return output


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same labels in every form, backwards: the first half of the rows is m0."""
    folder = tmp_path_factory.mktemp("labels")
    rows = list(range(ROWS))[::-1]
    table = pyarrow.table({"source_file": ["a"] * ROWS, "source_row": rows, "truth": ["m1" if row >= 20 else "m0" for row in rows]})  # fmt: skip
    pyarrow.parquet.write_table(table.slice(0, 15), folder / "one.parquet")
    pyarrow.parquet.write_table(table.slice(15), folder / "two.parquet")
    pyarrow.feather.write_feather(table, folder / "labels.arrow")
    pyarrow.csv.write_csv(table, folder / "labels.csv")
    (folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    with duckdb.connect(str(folder / "labels.duckdb")) as connection:
        connection.register("given", table)
        connection.execute('CREATE TABLE "late labels" AS SELECT * FROM given')
    return {
        "parquet": str(folder / "*.parquet"), "arrow": str(folder / "labels.arrow"), "csv": str(folder / "labels.csv"),
        "jsonl": str(folder / "labels.jsonl"), "duckdb": f"{folder / 'labels.duckdb'}::late labels",
    }  # fmt: skip


def _half_right(report: dict[str, Any]) -> None:
    assert (report["rows"], report["labelled"], report["model_sha256"]) == (ROWS, ROWS, "m1")
    assert report["on"] == ["source_file", "source_row"] and report["labels"]["unmatched"] == 0
    assert metric(report["metrics"], "accuracy")["value"] == 0.5
    assert metric(report["metrics"], "auc")["value"] == 1.0


@pytest.mark.parametrize("form", ["parquet", "arrow", "csv", "jsonl", "duckdb"])
def test_labels_are_read_in_every_form(form: str, labels: dict[str, str], tmp_path: Path) -> None:
    _half_right(judged(scores=_published(str(tmp_path / "out")), labels=labels[form], label="truth"))


@pytest.mark.parametrize("output", ["{}/out", "{}/w.duckdb::scores", "{}/w.duckdb::main.scores", "delta::{}/table"])
def test_scores_are_read_from_every_output(output: str, labels: dict[str, str], tmp_path: Path) -> None:
    _half_right(judged(scores=_published(output.format(tmp_path)), labels=labels["parquet"], label="truth"))


def test_partitioned_scores_have_their_column(labels: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "k=1").mkdir()
    scores = _published(str(tmp_path / "k=1/out"), partition_by="source_file")
    report = judged(scores=scores, labels=labels["csv"], label="truth", segments=["source_file"])
    _half_right(report)
    assert [item["value"] for item in report["segments"]] == ["a"]


def test_scores_and_labels_may_lie_in_one_database(labels: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "w.duckdb"
    scores = _published(f"{file}::scores")
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"CREATE TABLE labels AS SELECT * FROM '{labels['parquet']}'")
    _half_right(judged(scores=scores, labels=f"{file}::labels", label="truth"))


def test_a_copy_without_a_record_needs_the_model(labels: dict[str, str], tmp_path: Path) -> None:
    _published(str(tmp_path / "out"))
    copy = (tmp_path / "out").rename(tmp_path / "copy")
    with pytest.raises(BadInput, match="does not say what its columns mean"):
        judged(scores=str(copy), labels=labels["parquet"], label="truth")
    found = judged(scores=str(copy), labels=labels["parquet"], label="truth", model=model(tmp_path / "m.onnx", TOLD))
    assert metric(found["metrics"], "accuracy")["value"] == 0.5


def test_another_model_than_the_one_that_scored_is_refused(labels: dict[str, str], tmp_path: Path) -> None:
    scores = _published(str(tmp_path / "out"))
    with pytest.raises(BadInput, match="was not scored by"):
        judged(scores=scores, labels=labels["parquet"], label="truth", model=model(tmp_path / "m.onnx", TOLD))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{}/none/*.parquet", "no file matches"),
        ("{}/mixed/*", "several formats: csv, parquet"),
        ("{}/text.txt", "neither Parquet, Arrow, CSV nor JSON lines"),
        ("{}/none.duckdb::labels", "there is no database"),
        ("{}/w.duckdb::labels", "has no table 'labels'"),
    ],
)
def test_labels_that_are_none_are_refused_by_name(source: str, said: str, tmp_path: Path) -> None:
    scores = _published(str(tmp_path / "out"))
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed/a.csv").write_text("source_row,truth\n")
    pyarrow.parquet.write_table(pyarrow.table({"x": [1]}), tmp_path / "mixed/b.parquet")
    (tmp_path / "text.txt").write_text("hello")
    duckdb.connect(str(tmp_path / "w.duckdb")).close()
    with pytest.raises(BadInput, match=said):
        judged(scores=scores, labels=source.format(tmp_path), label="truth")


def test_a_damaged_parquet_file_is_a_clear_error(labels: dict[str, str], tmp_path: Path) -> None:
    scores = _published(str(tmp_path / "out"))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 this is no footer PAR1")
    with pytest.raises(BadInput, match=r"broken\.parquet"):
        judged(scores=scores, labels=str(tmp_path / "broken.parquet"), label="truth")
