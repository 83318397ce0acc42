"""A stored document, and the result in it that a new one is held against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlpack_edge.core.errors import BadInput, IoFault
from mlpack_edge.runtimes.measuring.baseline import partner_of, read_baseline, results_from_document
from mlpack_edge.runtimes.measuring.result import BenchResult
from tests.runtimes.measuring.simulated import launch, result


def _one(model: str, **fields: Any) -> BenchResult:
    return result([launch([[5, 6]], None, number) for number in (0, 1)], model=model, **fields)


def _document(*results: BenchResult, **changes: Any) -> dict[str, Any]:
    records = [one.to_json() for one in results]
    return {"command": "bench", "ok": True, "schema": 1, "results": records, "comparison": [], **changes}


def test_a_stored_document_is_read(tmp_path: Path) -> None:
    file = tmp_path / "main.json"
    file.write_text(json.dumps(_document(_one("a.onnx"), _one("b.tflite", format="tflite"))), encoding="utf-8")
    assert [(one.model, one.format) for one in read_baseline(file)] == [("a.onnx", "onnx"), ("b.tflite", "tflite")]


def test_a_document_whose_gate_failed_is_a_baseline_all_the_same() -> None:
    error = {"kind": "check-failed", "message": "slower", "hint": ""}
    text = json.dumps(_document(_one("a.onnx"), ok=False, error=error))
    assert len(results_from_document(text, "old.json")) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "old.json is no JSON document"),
        ("{", "old.json is no JSON document"),
        (b"\xff\xfe\x00", "old.json is no JSON document"),
        ("[" * 100_000, "old.json is no JSON document"),
        ('{"bytes": ' + "9" * 5000 + "}", "old.json is no JSON document"),
        ("[]", "old.json is not a JSON object"),
        ("{}", "old.json is damaged: 'command' is missing"),
        ('{"command": "check", "schema": 1}', "old.json holds the document of mlpack check, not of mlpack bench"),
        ('{"command": "bench", "schema": 2}', "old.json has schema 2"),
        ('{"command": "bench", "schema": 1}', "old.json is damaged: 'results' is missing"),
        ('{"command": "bench", "schema": 1, "results": []}', "old.json holds no result"),
        ('{"command": "bench", "schema": 1, "ok": false, "error": {}}', "old.json holds no result: that run failed"),
        ('{"command": "bench", "schema": 1, "results": [7]}', "the stored result is not a JSON object"),
    ],
    ids=range(13),
)
def test_what_is_no_baseline_is_refused(text: str | bytes, said: str) -> None:
    with pytest.raises(BadInput) as refusal:
        results_from_document(text, "old.json")
    assert refusal.value.message.startswith(said)
    assert refusal.value.hint


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no file"):
        read_baseline(tmp_path / "none.json")
    with pytest.raises(BadInput, match="is no file"):
        read_baseline(tmp_path)
    with pytest.raises(IoFault, match="could not be read"):
        read_baseline(tmp_path / ("x" * 5000))


def test_the_partner_is_of_the_same_name_and_format() -> None:
    stored = [_one("a.onnx"), _one("b.onnx"), _one("a.onnx", format="tflite")]
    assert partner_of(_one("b.onnx"), stored) is stored[1]
    assert partner_of(_one("a.onnx", format="tflite"), stored) is stored[2]


def test_folders_do_not_count_unless_they_must() -> None:
    stored = [_one("/ci/old/a.onnx"), _one("b.onnx"), _one("new/a.onnx")]
    assert partner_of(_one("out/b.onnx"), stored) is stored[1]
    assert partner_of(_one("new/a.onnx"), stored) is stored[2]


def test_a_new_name_is_held_against_the_only_one_of_its_format() -> None:
    stored = [_one("net-v1.onnx"), _one("net-v1.tflite", format="tflite")]
    assert partner_of(_one("net-v2.onnx"), stored) is stored[0]


def test_among_several_of_a_name_the_comparable_one_counts() -> None:
    stored = [_one("a.onnx", threads=4), _one("a.onnx", threads=1)]
    assert partner_of(_one("a.onnx"), stored) is stored[1]


def test_several_that_fit_equally_are_refused() -> None:
    with pytest.raises(BadInput, match=r"holds 2 results of a\.onnx"):
        partner_of(_one("a.onnx"), [_one("a.onnx"), _one("a.onnx")])


def test_no_partner_is_refused_with_what_there_is() -> None:
    with pytest.raises(BadInput, match=r"no result to compare c\.onnx \(onnx\) with") as refusal:
        partner_of(_one("c.onnx"), [_one("a.onnx"), _one("b.onnx")])
    assert refusal.value.why == "it holds a.onnx (onnx), b.onnx (onnx)"
    with pytest.raises(BadInput, match="no result to compare"):
        partner_of(_one("c.onnx"), [_one("c.tflite", format="tflite")])
