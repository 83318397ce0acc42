"""Which row a label belongs to: what is counted, and what is refused because it would be counted wrongly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpack_edge.core.errors import BadInput
from tests.batch.evaluation.scored import judged, metric, model, signature, table

ROWS = 100


@pytest.fixture
def scored(tmp_path: Path) -> dict[str, Any]:
    """A hundred rows with text keys `r00` ..., all predicted "a" but the last ten."""
    columns = {
        "key": [f"r{row:02d}" for row in range(ROWS)],
        "number": np.arange(ROWS),
        "part": np.arange(ROWS) // 50,
        "label": ["a"] * 90 + ["b"] * 10,
    }
    told = model(tmp_path / "m.onnx", signature("string", classes=("a", "b")))
    return {"scores": table(tmp_path / "s.parquet", columns), "model": told, "label": "truth", "on": ["key"]}


def _labels(path: Path, keys: list[Any], truth: list[Any], **more: Any) -> str:
    return table(path / "labels.parquet", {"key": keys, "truth": truth, **more})


def _keys(rows: range) -> list[str]:
    return [f"r{row:02d}" for row in rows]


def test_rows_without_labels_are_counted_and_left_out(tmp_path: Path, scored: dict[str, Any]) -> None:
    truth: list[str | None] = ["a"] * 40
    truth[:5] = [None] * 5
    report = judged(**scored, labels=_labels(tmp_path, [*_keys(range(38)), "x1", None], truth))
    assert (report["rows"], report["labelled"], report["unlabelled"]) == (100, 33, 67)
    assert report["labels"] == {"rows": 40, "unmatched": 1, "empty": 5, "without_key": 1}
    assert metric(report["metrics"], "accuracy")["rows"] == 33
    assert any("no key" in note for note in report["notes"]) and any(
        "no scored row" in note for note in report["notes"]
    )


@pytest.mark.parametrize("side", ["labels", "scores"])
def test_a_key_that_comes_twice_would_count_twice(tmp_path: Path, scored: dict[str, Any], side: str) -> None:
    labels = _labels(tmp_path, [*_keys(range(60)), *(["r07", "r07", "r03"] if side == "labels" else [])], ["a"] * (63 if side == "labels" else 60))  # fmt: skip
    if side == "labels":
        with pytest.raises(BadInput, match=r"2 keys come more than once, such as key='r03' \(2 times\)"):
            judged(**scored, labels=labels)
        return
    labels = table(tmp_path / "parts.parquet", {"part": [0, 1], "truth": ["a", "b"]})
    with pytest.raises(BadInput, match=r"s.parquet: 2 keys come more than once, such as part=0 \(50 times\)"):
        judged(**{**scored, "on": ["part"]}, labels=labels)


def test_two_columns_may_name_a_row(tmp_path: Path, scored: dict[str, Any]) -> None:
    labels = table(tmp_path / "l.parquet", {"part": [0] * 50, "number": np.arange(50), "truth": ["a"] * 50})
    report = judged(**{**scored, "on": ["part", "number"]}, labels=labels)
    assert report["labelled"] == 50


@pytest.mark.parametrize(
    ("column", "keys", "said"),
    [
        ("key", list(range(60)), "VARCHAR in .* and BIGINT in"),
        ("number", [str(row) for row in range(60)], "BIGINT in .* and VARCHAR in"),
        ("number", [float(row) for row in range(60)], "is of type DOUBLE"),
    ],
)
def test_keys_of_another_type_are_refused(tmp_path: Path, scored: dict[str, Any], column: str, keys: list[Any], said: str) -> None:  # fmt: skip
    labels = table(tmp_path / "l.parquet", {column: keys, "truth": ["a"] * 60})
    with pytest.raises(BadInput, match=said):
        judged(**{**scored, "on": [column]}, labels=labels)


def test_keys_of_csv_are_read_as_the_scores_have_them(tmp_path: Path, scored: dict[str, Any]) -> None:
    """`007` is a text, not seven."""
    keys = [f"{row:03d}" for row in range(ROWS)]
    scores = table(tmp_path / "t.parquet", {"key": keys, "label": ["a"] * ROWS})
    (tmp_path / "l.csv").write_text("key,truth\n" + "".join(f"{key},a\n" for key in keys[:50]))
    report = judged(**{**scored, "scores": scores}, labels=str(tmp_path / "l.csv"))
    assert report["labelled"] == 50


def test_labels_of_another_type_are_refused(tmp_path: Path, scored: dict[str, Any]) -> None:
    with pytest.raises(
        BadInput, match=r"the labels in 'truth' of .* are of type BIGINT; the model's classes are texts"
    ):
        judged(**scored, labels=_labels(tmp_path, _keys(range(60)), [0] * 60))


def test_a_csv_whose_numbers_are_none_names_the_value(tmp_path: Path) -> None:
    scores = table(tmp_path / "s.parquet", {"number": np.arange(60), "value": np.arange(60, dtype=np.float32)})
    (tmp_path / "l.csv").write_text("number,truth\n" + "".join(f"{row},{row if row != 55 else 'late'}\n" for row in range(60)))  # fmt: skip
    with pytest.raises(BadInput, match="cannot be read") as fault:
        judged(scores=scores, labels=str(tmp_path / "l.csv"), label="truth", on=["number"], model=model(tmp_path / "m.onnx", signature(value=True)))  # fmt: skip
    assert "late" in fault.value.why


def test_classes_that_the_model_does_not_know_count_as_wrong_and_are_named(tmp_path: Path, scored: dict[str, Any]) -> None:  # fmt: skip
    report = judged(**scored, labels=_labels(tmp_path, _keys(range(60)), ["a"] * 50 + ["c"] * 7 + ["A"] * 3))
    assert metric(report["metrics"], "accuracy")["value"] == pytest.approx(50 / 60)
    assert "10 labels are no class of the model and count as wrong: 'c' (7), 'A' (3)" in report["notes"]


def test_labels_of_which_none_is_a_class_are_refused(tmp_path: Path, scored: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"no label in 'truth' is a class of the model: 'A' \(60\)"):
        judged(**scored, labels=_labels(tmp_path, _keys(range(60)), ["A"] * 60))


def test_labels_that_meet_no_row_are_refused(tmp_path: Path, scored: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"no label .* belongs to a scored row"):
        judged(**scored, labels=_labels(tmp_path, [f"R{row:02d}" for row in range(60)], ["a"] * 60))


def test_no_labels_at_all_is_no_error(tmp_path: Path, scored: dict[str, Any]) -> None:
    (tmp_path / "l.csv").write_text("key,truth\n")
    report = judged(**scored, labels=str(tmp_path / "l.csv"))
    assert (report["labelled"], report["metrics"]) == (0, []) and "0 labelled rows" in report["reason"]


def test_groups_may_come_with_the_labels(tmp_path: Path, scored: dict[str, Any]) -> None:
    """Rows without a label have no group there, and are said to have none."""
    labels = _labels(tmp_path, _keys(range(80)), ["a"] * 80, region=["north"] * 40 + ["south"] * 40)
    report = judged(**scored, labels=labels, segments=["region"])
    assert [(one["value"], one["rows"], one["labelled"]) for one in report["segments"]] == [
        ("north", 40, 40), ("south", 40, 40), (None, 20, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"label": "what"}, "--label: .* has no column 'what'"),
        ({"on": ["what"]}, "--on: .* has no column 'what'"),
        ({"on": ["key", "key"]}, "names a column twice"),
        ({"on": []}, "has no column 'source_file' to join labels on"),
        ({"by": "what"}, "--by: .* has no column 'what'"),
        ({"segments": ["what"]}, "--segment: .* has no column 'what'"),
        ({"positive": "c"}, "--positive: the model has no class 'c'"),
        ({"min_rows": 1}, "--min-rows is 1"),
    ],
)
def test_columns_that_are_not_there_are_refused_by_option(tmp_path: Path, scored: dict[str, Any], request_: dict[str, Any], said: str) -> None:  # fmt: skip
    with pytest.raises(BadInput, match=said):
        judged(**{**scored, **request_}, labels=_labels(tmp_path, _keys(range(60)), ["a"] * 60))


def test_segments_stand_in_the_order_of_their_numbers(tmp_path: Path, scored: dict[str, Any]) -> None:
    labels = _labels(tmp_path, _keys(range(80)), ["a"] * 80, month=["2"] * 30 + ["10"] * 30 + ["x"] * 20)
    report = judged(**scored, labels=labels, segments=["month", "number"], min_rows=2)
    assert [one["value"] for one in report["segments"] if one["column"] == "month"] == ["2", "10", "x", None]
    assert [one["value"] for one in report["segments"] if one["column"] == "number"][:12][-2:] == ["10", "11"]


def test_a_key_is_no_segment(tmp_path: Path) -> None:
    rows = 2100
    scores = table(tmp_path / "s.parquet", {"key": np.arange(rows), "label": ["a"] * rows, "truth": ["a"] * rows})
    told = model(tmp_path / "m.onnx", signature("string", classes=("a", "b")))
    with pytest.raises(BadInput, match="'key' has more than 2,000 different values"):
        judged(scores=scores, label="truth", segments=["key"], model=told)


def test_names_may_hold_spaces_quotes_and_any_script(tmp_path: Path) -> None:
    odd = 'ключ "it\'s" %'
    scores = table(tmp_path / "s.parquet", {odd: np.arange(50), "label": ["a"] * 50, 'se"g': ["ü"] * 50})
    labels = table(tmp_path / "it's.parquet", {odd: np.arange(50), "tru'th": ["a"] * 50})
    told = model(tmp_path / "m.onnx", signature("string", classes=("a", "b")))
    report = judged(scores=scores, labels=labels, label="tru'th", on=[odd], segments=['se"g'], model=told)
    assert report["labelled"] == 50 and report["segments"][0]["value"] == "ü"


def test_scores_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    chances = np.full((50, 2), 0.5, np.float32)
    chances[7] = np.nan
    scores = table(tmp_path / "s.parquet", {"label": [0, 1] * 25, "probabilities": chances, "truth": [0, 1] * 25})
    told = model(tmp_path / "m.onnx", signature("int64", 2, (0, 1)))
    with pytest.raises(BadInput, match="1 row has no finite score"):
        judged(scores=scores, label="truth", model=told)
    three = table(tmp_path / "t.parquet", {"label": [0, 1] * 25, "probabilities": np.column_stack([chances, chances[:, 0]]), "truth": [0, 1] * 25})  # fmt: skip
    with pytest.raises(BadInput, match="1 row has no finite score"):
        judged(scores=three, label="truth", model=model(tmp_path / "n.onnx", signature("int64", 3, (0, 1, 2))))


def test_the_same_tables_give_the_same_report(tmp_path: Path, scored: dict[str, Any]) -> None:
    labels = _labels(tmp_path, _keys(range(80)), ["a", "b"] * 40)
    assert judged(**scored, labels=labels) == judged(**scored, labels=labels)
