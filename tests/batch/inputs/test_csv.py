"""CSV: each cell right, or refused by file, column and value."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import given, settings

from mlpack_edge.batch.inputs import csv_files
from mlpack_edge.core.errors import BadInput
from tests.batch.inputs.found import find, read, rows

_BOTH = {"n": "number", "t": "text"}


def _csv(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_types_follow_the_model_not_the_first_rows(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", "n,t,zip,i,f\n1,007,007,12,1.5\n2.5,8,123,-3,2\n")
    found = find(tmp_path / "staging", path, wanted=_BOTH)
    assert found.schema == pa.schema(
        [("n", pa.float64()), ("t", pa.string()), ("zip", pa.string()), ("i", pa.int64()), ("f", pa.float64())]
    )
    assert rows(found) == {"n": [1, 2.5], "t": ["007", "8"], "zip": ["007", "123"], "i": [12, -3], "f": [1.5, 2]}
    assert found.files[0].staged and found.files[0].fingerprint.whole


@pytest.mark.parametrize(
    "cells",
    [
        ["007", "1"], [" 007", "1"], ["1", "00.5"], ["1.5", "12345678901234567890"], ["1", "NA"],
        ["4912345", "+4912345"], ["1.5", " +2.5"],
        ["1", "0.100000000000000001"], ["-1.50000000000000000", "1"], ["0.00123456789012345678", "1"], ["1e3", "1.23456789012345678e-5"],
    ],
)  # fmt: skip
def test_a_column_that_nobody_calls_a_number_stays_text_where_a_digit_would_be_lost(
    tmp_path: Path, cells: list[str]
) -> None:
    path = _csv(tmp_path / "a.csv", "n,id\n" + "".join(f"1,{cell}\n" for cell in cells))
    assert rows(find(tmp_path / "staging", path, wanted=_BOTH))["id"] == cells


def test_fractions_of_up_to_seventeen_digits_are_numbers_as_programs_write_them(tmp_path: Path) -> None:
    """17 significant digits tell every float64 apart; zeros before the first digit are none."""
    cells = ["0.30000000000000004", "-0.00012345678901234567", "2.2250738585072014e-308", "0.0000000000000000000001"]
    path = _csv(tmp_path / "a.csv", "n,x\n" + "".join(f"1,{cell}\n" for cell in cells))
    assert rows(find(tmp_path / "staging", path, wanted=_BOTH))["x"] == [float(cell) for cell in cells]


def test_a_number_column_is_whole_where_all_its_cells_are(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", f"n,t\n1,x\n,y\n{2**62 + 1},z\n")
    found = find(tmp_path / "staging", path, wanted=_BOTH)
    assert found.schema.field("n").type == pa.int64() and rows(found)["n"] == [1, None, 2**62 + 1]


@pytest.mark.parametrize("cells", ["", "\n,\n,\n"], ids=["no rows", "no values"])
def test_a_column_without_a_value_is_of_the_type_that_the_model_takes(tmp_path: Path, cells: str) -> None:
    """It holds nothing that would speak against it."""
    path = _csv(tmp_path / "a.csv", "n,w,b,t" + cells.replace(",", ",,,") + "\n")
    found = find(tmp_path / "staging", path, wanted={"n": "number", "w": "whole", "b": "truth", "t": "text"})
    assert found.schema == pa.schema([("n", pa.float64()), ("w", pa.int64()), ("b", pa.bool_()), ("t", pa.string())])


@pytest.mark.parametrize(("wanted", "kind"), [("whole", pa.int64()), ("truth", pa.int64())])
def test_values_that_do_not_fit_the_model_are_not_bent_to_it(tmp_path: Path, wanted: str, kind: Any) -> None:
    """The model is told of them by name then."""
    path = _csv(tmp_path / "a.csv", "n,t\n1,a\n,b\nNA,c\n0,d\n")
    found = find(tmp_path / "staging", path, wanted={"n": wanted})
    assert found.schema.field("n").type == kind and rows(found)["n"] == [1, None, None, 0]


def test_one_late_cell_decides_as_an_early_one_does(tmp_path: Path) -> None:
    """Beyond the first block of 1 MB, where the types are guessed."""
    lines = ["5,00a,7,8"] * 200_000
    path = _csv(tmp_path / "a.csv", "n,t,free,id\n" + "\n".join([*lines, "0.5,1,x,08"]))
    found = find(tmp_path / "staging", path, wanted=_BOTH)
    assert [str(field.type) for field in found.schema] == ["double", "string", "string", "string"]
    last = read(found).slice(200_000).to_pydict()
    assert last == {"n": [0.5], "t": ["1"], "free": ["x"], "id": ["08"]}
    assert found.groups == ((1 << 17, 200_001 - (1 << 17)),)


@pytest.mark.parametrize("late", [0, 150_000])
@pytest.mark.parametrize("cell", ["abc", "1,5", "1_000", "12%", "0x1F", "--1", "1.2.3", "-"])
def test_a_cell_that_is_no_number_is_refused_by_column_value_and_row(tmp_path: Path, cell: str, late: int) -> None:
    quoted = f'"{cell}"'
    path = _csv(tmp_path / "a.csv", "n,t\n" + "1,a\n" * late + f"2.5,a\n{quoted},b\n")
    with pytest.raises(BadInput) as caught:
        find(tmp_path / "staging", path, wanted=_BOTH)
    assert f"{path}: column 'n' should hold numbers, and holds {cell!r} in row {late + 1}" in caught.value.message
    assert not list((tmp_path / "staging").iterdir())


def test_words_for_missing_numbers_are_missing_and_counted_and_stay_text_in_text(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", "n,t,free\n1,NA,1\nNA,null,NA\n 3 ,,2\n")
    found = find(tmp_path / "staging", path, wanted=_BOTH)
    assert rows(found) == {"n": [1, None, 3], "t": ["NA", "null", None], "free": ["1", "NA", "2"]}
    assert found.notes == (f"{path}: 1 cell of column 'n' says that the number is missing",)
    assert find(tmp_path / "staging", path, wanted=_BOTH).notes == found.notes  # also when it was staged before


def test_truth_stays_truth_where_a_number_is_wanted(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", "n,t\ntrue,true\nFALSE,0\n,1\n")
    assert rows(find(tmp_path / "staging", path, wanted=_BOTH)) == {"n": [True, False, None], "t": ["true", "0", "1"]}


def test_not_a_number_and_infinity_are_numbers_for_the_row_rules(tmp_path: Path) -> None:
    got = rows(find(tmp_path / "staging", _csv(tmp_path / "a.csv", "n\nNaN\n-inf\n1e3\n"), wanted=_BOTH))["n"]
    assert str(got[0]) == "nan" and got[1:] == [float("-inf"), 1000]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('n,t\r\n1,"a ""b""\r\nc"\r\n', {"n": [1], "t": ['a "b"\r\nc']}),
        ("\ufeffn,t\n1,é", {"n": [1], "t": ["é"]}),
        ('n,t\n1,""\n2,\n', {"n": [1, 2], "t": ["", None]}),
        ("n,t\n1,a\n\n2,b\n\n", {"n": [1, 2], "t": ["a", "b"]}),
        ("n;t\n1;a\n", {"n": [1], "t": ["a"]}),
        ("n\tt\n1\ta\n", {"n": [1], "t": ["a"]}),
        ("n\n1\n\n3\n", {"n": [1, None, 3]}),
        ("n,t\n", {"n": [], "t": []}),
        ("n, t \n1,x\n", {"n": [1], " t ": ["x"]}),
    ],
)
def test_the_forms_that_csv_comes_in(tmp_path: Path, text: str, expected: dict[str, Any]) -> None:
    assert rows(find(tmp_path / "staging", _csv(tmp_path / "a.csv", text), wanted=_BOTH)) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"n,t\n1,a\n2\n", "Row #3: Expected 2 columns, got 1"),
        (b"n,t\n1,a,b\n", "Expected 2 columns, got 3"),
        (b'n,t\n1,a\n2,"cut o', "a quote is opened and never closed, or the file is cut off"),
        (b"n,t\n1,\xff\xfe\n", "is not UTF-8"),
        ("n,t\n1,a\n".encode("utf-16"), "UTF-16"),
        (b"n,n\n1,2\n", "two columns are named 'n'"),
        (b"\n\n", "not even the names of columns"),
    ],
)
def test_what_is_no_csv_is_refused_and_leaves_nothing_staged(tmp_path: Path, text: bytes, said: str) -> None:
    path = _csv(tmp_path / "a.csv", text)
    with pytest.raises(BadInput) as caught:
        find(tmp_path / "staging", path, wanted=_BOTH)
    assert said in caught.value.message + caught.value.why and str(path) in caught.value.message
    assert not list((tmp_path / "staging").iterdir())


def test_compressed_files_are_read_by_their_content(tmp_path: Path) -> None:
    first, second = gzip.compress(b"n,t\n1,a\n"), gzip.compress(b"2,b\n")
    path = _csv(tmp_path / "a.csv.gz", first + second)
    assert rows(find(tmp_path / "staging", path, wanted=_BOTH)) == {"n": [1, 2], "t": ["a", "b"]}
    _csv(path, (first + second)[:-9])
    with pytest.raises(BadInput, match=r"a\.csv\.gz cannot be read as CSV"):
        find(tmp_path / "staging", path, wanted=_BOTH)


def test_staging_is_used_again_while_the_source_is_the_same(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", "n,t\n1,a\n")
    stages: list[str] = []
    first = find(tmp_path / "staging", path, wanted=_BOTH, stages=stages)
    again = find(tmp_path / "staging", path, wanted=_BOTH, stages=stages)
    assert stages == [f"staging {path}"] and again == first
    _csv(path, "n,t\n2,b\n")
    assert rows(find(tmp_path / "staging", path, wanted=_BOTH, stages=stages))["n"] == [2]
    find(tmp_path / "staging", path, wanted={"n": "text"}, stages=stages)  # other types
    assert len(stages) == 3
    copy = Path(first.files[0].path)
    copy.write_bytes(copy.read_bytes()[:50])  # a copy that is not what was written
    assert rows(find(tmp_path / "staging", path, wanted={"n": "text"}, stages=stages)) == {"n": ["2"], "t": ["b"]}
    assert len(stages) == 4


def test_a_file_that_grows_while_it_is_staged_is_refused(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", "n,t\n1,a\n")

    class Writer(list[str]):
        def append(self, stage: str) -> None:  # told after the fingerprint was taken
            with path.open("a") as stream:
                stream.write("2,b\n")

    with pytest.raises(BadInput, match="is being written to"):
        find(tmp_path / "staging", path, stages=Writer())
    assert not list((tmp_path / "staging").iterdir())


def test_what_a_killed_run_left_half_staged_is_removed(tmp_path: Path) -> None:
    path = _csv(tmp_path / "a.csv", "n,t\n1,a\n")
    for name in (".spill-123/x", ".a.parquet.123.tmp"):
        left = tmp_path / "staging" / name
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_text("x")
    find(tmp_path / "staging", path)
    assert not list((tmp_path / "staging").glob(".*"))


def test_what_is_staged_does_not_depend_on_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = random.Random(0)
    lines = [f"{numbers.random()},v{numbers.randrange(9)}" for _ in range(150_000)]
    path = _csv(tmp_path / "a.csv", "n,t\n" + "\n".join(lines))
    first = Path(find(tmp_path / "one", path, wanted=_BOTH).files[0].path).read_bytes()
    monkeypatch.setattr(csv_files, "_BLOCK", 77_777)
    assert Path(find(tmp_path / "two", path, wanted=_BOTH).files[0].path).read_bytes() == first


def test_a_wide_file_gets_small_row_groups(tmp_path: Path) -> None:
    names = [f"c{index}" for index in range(2000)]
    line = ",".join(["1.5"] * 2000)
    path = _csv(tmp_path / "a.csv", "\n".join([",".join(names), *[line] * 3000]))
    found = find(tmp_path / "staging", path, wanted=dict.fromkeys(names, "number"))
    assert found.groups == ((2048, 952),)


@given(cells=st.lists(st.floats(allow_nan=False) | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_numbers_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, cells: list[float | int]) -> None:
    folder = tmp_path_factory.mktemp("numbers")
    path = _csv(folder / "a.csv", "n\n" + "\n".join(map(repr, cells)) + "\n")
    got = rows(find(folder / "staging", path, wanted=_BOTH))["n"]
    assert got == (cells if all(isinstance(cell, int) for cell in cells) else [float(cell) for cell in cells])


_MEASURE = """
import sys
from pathlib import Path
from tests.batch.inputs.found import find, peak_megabytes
find(Path(sys.argv[1]), sys.argv[2], wanted={"n": "number", "t": "text", "x": "number"})
print(peak_megabytes())
"""


@pytest.mark.long
def test_memory_does_not_follow_the_size_of_the_file(tmp_path: Path) -> None:
    peaks = []
    for count in (1_000_000, 3_000_000):
        path = tmp_path / "a.csv"
        with path.open("w") as stream:
            stream.write("n,t,x\n")
            block = "".join(f"{index * 0.37},v{index % 100},{index}\n" for index in range(100_000))
            for _ in range(count // 100_000):
                stream.write(block)
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, str(tmp_path / "staging"), str(path)], capture_output=True, text=True,
            check=True, cwd=Path(__file__).parents[3], env={**os.environ, "POLARS_MAX_THREADS": "1"},
        )  # fmt: skip
        peaks.append(int(done.stdout))
    assert peaks[1] < 400 and peaks[1] < peaks[0] * 1.25, peaks
