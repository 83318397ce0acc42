"""`mlpack score --evaluate`: what people and programs are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpack_edge.batch.plan import ModelFile
from mlpack_edge.cli.score_evaluate import evaluate_outcome, evaluation_text
from mlpack_edge.core.errors import OutputExists
from tests.batch.evaluation.scored import judged, model, signature, table
from tests.batch.evaluation.test_sources import TOLD
from tests.batch.outputs.runs import input_file, plan_of, run
from tests.cli.mlpack import mlpack, mlpack_json


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A published table of 200 rows, and labels for the first 150 of them."""
    from dataclasses import replace

    folder = tmp_path_factory.mktemp("evaluate")
    plan = plan_of(str(folder / "scores"), [input_file("a", 200)])
    run(replace(plan, models=(ModelFile("m.onnx", "onnx", "m1", "", (), TOLD.dumps()),)))
    rows = np.arange(150)
    labels = {"source_file": ["a"] * 150, "source_row": rows, "truth": np.where(rows % 3 == 0, "m0", "m1"), "day": np.datetime64("2013-01-01") + rows // 50}  # fmt: skip
    return {"scores": str(folder / "scores"), "labels": table(folder / "labels.parquet", labels)}


def test_people_read_figures_with_intervals_then_days(tables: dict[str, str]) -> None:
    done = mlpack(
        "score", "--evaluate", tables["scores"], "--labels", tables["labels"], "--label", "truth", "--by", "day"
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert (
        lines[0] == "150 of 200 scored rows are labelled (joined on source_file, source_row); the positive class is m1"
    )
    assert lines[1].split() == ["metric", "value", "95%", "interval", "rows"]
    assert lines[2].split() == ["accuracy", "0.6667", "0.5879", "to", "0.7371", "150"]
    days = [line for line in lines if line.startswith("2013-01-")]
    assert [day.split()[:2] for day in days] == [["2013-01-01", "50"], ["2013-01-02", "50"], ["2013-01-03", "50"]]


def test_programs_read_one_document(tables: dict[str, str], tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    words = [
        "score",
        "--evaluate",
        tables["scores"],
        "--labels",
        tables["labels"],
        "--label",
        "truth",
        "-o",
        str(report),
    ]
    code, document = mlpack_json(*words)
    assert code == 0
    assert (document["command"], document["ok"], document["rows"], document["labelled"]) == ("score", True, 200, 150)
    first = document["metrics"][0]
    assert first["name"] == "accuracy" and first["ci95"][0] < first["value"] == 2 / 3 < first["ci95"][1]
    assert json.loads(report.read_text())["metrics"] == document["metrics"]
    assert document["model_sha256"] == "m1" and document["path"] == str(report)
    code, again = mlpack_json(*words)
    assert code == 1 and again["error"]["kind"] == "output-exists"


def test_an_error_names_the_column_and_writes_nothing(tables: dict[str, str], tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = mlpack(
        "score", "--evaluate", tables["scores"], "--labels", tables["labels"], "--label", "what", "-o", report
    )
    assert done.returncode == 1 and "--label" in done.stderr and "'what'" in done.stderr
    assert not report.exists()


def test_a_label_column_must_be_named(tables: dict[str, str]) -> None:
    done = mlpack("score", "--evaluate", tables["scores"], "--labels", tables["labels"])
    assert done.returncode == 2 and "--label" in done.stderr


def test_memory_is_bounded_as_asked(tables: dict[str, str]) -> None:
    words = ("score", "--evaluate", tables["scores"], "--labels", tables["labels"], "--label", "truth")
    done = mlpack(*words, "--memory", "500MB")
    assert done.returncode == 0, done.stderr


def test_the_report_is_kept_where_one_exists(tables: dict[str, str], tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("mine")
    options: dict[str, Any] = {"evaluate": tables["scores"], "labels": tables["labels"], "label": "truth", "document": report}  # fmt: skip
    with pytest.raises(OutputExists):
        evaluate_outcome(options)
    assert report.read_text() == "mine"
    evaluate_outcome({**options, "force": True})
    assert json.loads(report.read_text())["rows"] == 200


def test_a_table_without_a_record_asks_for_the_model(tmp_path: Path) -> None:
    scores = table(tmp_path / "s.parquet", {"label": [0, 1] * 20, "truth": [0, 1] * 20})
    words = ("score", "--evaluate", scores, "--label", "truth")
    done = mlpack(*words)
    assert done.returncode == 1 and "mlpack score MODEL --evaluate" in done.stderr
    done = mlpack("score", model(tmp_path / "m.onnx", signature("int64", classes=(0, 1))), *words[1:])
    assert done.returncode == 0 and done.stdout.splitlines()[2].split()[:2] == ["accuracy", "1"]


def test_two_models_stand_side_by_side(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 2, 300)
    made: dict[str, Any] = {"truth": truth, "half": np.arange(300) % 2}
    for prefix, share in (("", 0.3), ("challenger_", 0.1)):
        made[prefix + "label"] = np.where(generator.random(300) < share, 1 - truth, truth)
    told = model(tmp_path / "m.onnx", signature("int64", classes=(0, 1)))
    report = judged(scores=table(tmp_path / "s.parquet", made), label="truth", segments=["half"], model=told, challenger=told)  # fmt: skip
    lines = evaluation_text(report).splitlines()
    assert lines[1].split() == ["metric", "champion", "challenger", "difference", "95%", "interval"]
    accuracies = [(made[prefix + "label"] == truth).mean() for prefix in ("", "challenger_")]
    assert lines[2].split()[1:4] == [f"{accuracies[0]:.4g}", f"{accuracies[1]:.4g}", f"{accuracies[1] - accuracies[0]:+.4g}"]  # fmt: skip
    assert any("McNemar's p" in line for line in lines)
    assert lines[-3].split() == ["half", "labelled", "accuracy", "precision", "recall", "f1", "auc"]
    assert " / " in lines[-1]


def test_too_few_rows_are_said_where_figures_would_stand(tmp_path: Path) -> None:
    scores = table(tmp_path / "s.parquet", {"label": [0, 1] * 20, "truth": [0, 1] * 20, "site": [1] * 35 + [2] * 5})
    told = model(tmp_path / "m.onnx", signature("int64", classes=(0, 1)))
    few = evaluation_text(judged(scores=scores, label="truth", model=told, min_rows=50))
    assert "too few rows: 40 labelled rows; figures are given from 50 on (--min-rows)" in few
    text = evaluation_text(judged(scores=scores, label="truth", model=told, segments=["site"]))
    assert "too few rows" in text.splitlines()[-1] and "too few rows" not in text.splitlines()[-2]
