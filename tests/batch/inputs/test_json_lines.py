"""JSON lines: the file's own types, right or refused by file, column and value."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mlpack_edge.batch.inputs import json_lines
from mlpack_edge.core.errors import BadInput
from tests.batch.inputs.found import find, read, rows

_BOTH = {"n": "number", "t": "text"}


def _lines(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_types_are_the_files_own(tmp_path: Path) -> None:
    path = _lines(
        tmp_path / "a.jsonl",
        {"n": 1, "t": "007", "b": True, "when": "2024-01-01T00:00:00", "s": {"x": [1]}},
        {"t": "é", "n": 2.5, "when": "x", "b": None, "s": {"x": []}},
    )
    found = find(tmp_path / "staging", path, wanted=_BOTH)
    assert [str(field.type) for field in found.schema][:4] == ["double", "string", "bool", "string"]
    assert rows(found) == {
        "n": [1, 2.5], "t": ["007", "é"], "b": [True, None], "when": ["2024-01-01T00:00:00", "x"], "s": [{"x": [1]}, {"x": []}],
    }  # fmt: skip


def test_whole_numbers_keep_all_digits_and_are_written_out_where_text_is_wanted(tmp_path: Path) -> None:
    path = _lines(tmp_path / "a.ndjson", {"n": 2**62 + 1, "t": 94105}, {"t": None}, {"n": None, "t": 7})
    got = rows(find(tmp_path / "staging", path, wanted=_BOTH))
    assert got == {"n": [2**62 + 1, None, None], "t": ["94105", None, "7"]}


def test_columns_that_hold_nothing_get_the_type_the_model_wants(tmp_path: Path) -> None:
    found = find(tmp_path / "staging", _lines(tmp_path / "a.jsonl", {"n": None, "t": None, "u": None}), wanted=_BOTH)
    assert found.schema == pa.schema([("n", pa.float64()), ("t", pa.string()), ("u", pa.null())])
    assert rows(found) == {"n": [None], "t": [None], "u": [None]}
    wanted = {"n": "truth", "t": "whole"}
    found = find(tmp_path / "other", _lines(tmp_path / "b.jsonl", {"n": None, "t": None}), wanted=wanted)
    assert found.schema == pa.schema([("n", pa.bool_()), ("t", pa.int64())])


def test_late_lines_decide_as_early_ones_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "_BLOCK", 1000)
    path = _lines(tmp_path / "a.jsonl", *[{"n": 1, "t": "a"}] * 500, {"n": 0.5, "t": "b", "later": 3})
    found = find(tmp_path / "staging", path, wanted=_BOTH)
    assert found.schema == pa.schema([("n", pa.float64()), ("t", pa.string()), ("later", pa.int64())])
    assert read(found).slice(499).to_pydict() == {"n": [1, 0.5], "t": ["a", "b"], "later": [None, 3]}


@pytest.mark.parametrize("late", [0, 300])
@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"n": "zz", "t": "x"}, "column 'n' is string and was number before in row {row} (counted from 0): \"zz\""),
        ({"n": 1, "t": 7}, "column 't' is number and was string before in row {row} (counted from 0): 7"),
        ({"n": [1], "t": "x"}, "column 'n' is array and was number before in row {row} (counted from 0): [1]"),
        ({"n": True, "t": "x"}, "column 'n' is boolean and was number before in row {row} (counted from 0): true"),
    ],
)
def test_a_column_that_changes_its_type_is_refused_by_row_and_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: dict[str, Any], said: str, late: int
) -> None:
    monkeypatch.setattr(json_lines, "_BLOCK", 1000)
    path = _lines(tmp_path / "a.jsonl", *[{"n": 1, "t": "a"}] * (late + 1), record)
    with pytest.raises(BadInput) as caught:
        find(tmp_path / "staging", path, wanted=_BOTH)
    assert said.format(row=late + 1) in caught.value.message and str(path) in caught.value.message
    assert not list((tmp_path / "staging").iterdir())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"n":1}\n{"n":2,\n', "cannot be read as JSON lines"),
        (b'{"n":1,"n":2}\n', "column 'n' comes twice in one object in row 0"),
        (b'[{"n":1}]\n', "cannot be read as JSON lines"),
        (b'{"n":"\xff"}\n', "cannot be read as JSON lines"),
        (b'{"n":1e999}\n', "cannot be read as JSON lines"),
        (b"\n \n", "holds no JSON objects"),
        (b"{}\n", "holds no JSON objects with columns"),
        (b"[" * 100_000 + b"\n", "cannot be read as JSON lines"),
    ],
)
def test_what_is_no_json_lines_is_refused(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(text)
    with pytest.raises(BadInput) as caught:
        find(tmp_path / "staging", path, wanted=_BOTH)
    assert said in caught.value.message


def test_blank_lines_and_compression(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'\n{"n":1,"t":"a"}\r\n\n{"n":2,"t":"b"}'))
    assert rows(find(tmp_path / "staging", path, wanted=_BOTH)) == {"n": [1, 2], "t": ["a", "b"]}
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BadInput, match=r"a\.jsonl\.gz cannot be read"):
        find(tmp_path / "staging", path, wanted=_BOTH)


def test_a_line_longer_than_a_block_is_read_and_one_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "_BLOCK", 1000)
    path = _lines(tmp_path / "a.jsonl", {"t": "x" * 50_000}, {"t": "y"})
    assert [len(each) for each in rows(find(tmp_path / "staging", path, wanted=_BOTH))["t"]] == [50_000, 1]
    monkeypatch.setattr(json_lines, "_LONGEST_LINE", 40_000)
    with pytest.raises(BadInput, match="a line of more than 40,000 bytes"):
        find(tmp_path / "other", path, wanted=_BOTH)


@pytest.mark.parametrize("late", [0, 300])
@pytest.mark.parametrize(
    ("column", "records", "value"),
    [
        ("id", [{"id": 12345678901234567890}, {"id": 12345678901234567891}], "12345678901234567890"),
        ("n", [{"n": 0.5}, {"n": -(2**53) - 1}], "-9007199254740993"),
        ("n", [{"n": 2**53 + 1}, {"n": None}, {"n": 0.5}], "9007199254740993"),
        ("v", [{"v": [0.5, 1]}, {"v": [2**53 + 1]}], "9007199254740993"),
        ("s", [{"s": {"x": 2**53 + 1}}, {"s": {"x": 0.5}}], "9007199254740993"),
    ],
)
def test_a_whole_number_that_would_be_rounded_is_refused_by_row_and_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, records: list[Any], value: str, late: int
) -> None:
    monkeypatch.setattr(json_lines, "_BLOCK", 1000)
    path = _lines(tmp_path / "a.jsonl", *[{"t": "a"}] * late, *records)
    with pytest.raises(BadInput, match=rf"column '{column}' holds {value} in row \d+ ") as caught:
        find(tmp_path / "staging", path, wanted={"t": "text"})
    assert json.loads(path.read_text().splitlines()[caught.value.data["row"]]).get(column) is not None
    assert not list((tmp_path / "staging").iterdir())


def test_large_numbers_that_are_floats_are_read(tmp_path: Path) -> None:
    """2**60 is one; what is written with a point or an exponent is the nearest."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"n": 1152921504606846976} {"n": 1e300}\n\n{"n": 12345678901234567.5}\n')
    assert rows(find(tmp_path / "staging", path, wanted=_BOTH)) == {"n": [2.0**60, 1e300, 12345678901234567.5]}


def test_64_bits_are_kept_beside_large_floats(tmp_path: Path) -> None:
    path = _lines(tmp_path / "a.jsonl", {"n": 1e300, "id": 2**63 - 1}, {"n": 2.0, "id": -(2**63)})
    assert rows(find(tmp_path / "staging", path, wanted=_BOTH)) == {"n": [1e300, 2.0], "id": [2**63 - 1, -(2**63)]}
