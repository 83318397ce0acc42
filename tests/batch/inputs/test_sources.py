from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlpack_edge.batch.inputs.sources import Source, matches, sources
from mlpack_edge.core.errors import BadInput
from tests.batch.inputs.found import write


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n1\n")


def _names(folder: Path, *patterns: str) -> list[str]:
    return [os.path.relpath(path, folder) for path in matches([str(folder / pattern) for pattern in patterns])]


def test_files_of_a_glob_are_sorted_and_patterns_keep_their_order(tmp_path: Path) -> None:
    _touch(tmp_path, "b.csv", "a.csv", "z/c.csv")
    assert _names(tmp_path, "*.csv") == ["a.csv", "b.csv"]
    assert _names(tmp_path, "z/*.csv", "*.csv") == ["z/c.csv", "a.csv", "b.csv"]


def test_two_stars_stand_for_any_number_of_directories(tmp_path: Path) -> None:
    _touch(tmp_path, "a.csv", "y=1/b.csv", "y=1/m=2/c.csv", "y=1/m=2/notes.txt")
    assert _names(tmp_path, "**/*.csv") == ["a.csv", "y=1/b.csv", "y=1/m=2/c.csv"]
    assert _names(tmp_path, "**") == ["a.csv", "y=1/b.csv", "y=1/m=2/c.csv", "y=1/m=2/notes.txt"]


def test_hidden_files_and_those_of_writers_are_left_out_unless_named(tmp_path: Path) -> None:
    _touch(
        tmp_path, "a.csv", "_SUCCESS", ".b.csv", "_mlpack/m.csv", ".t/x.csv", "d/_x.csv", "d/y.csv", "d/_mlpack/z.csv"
    )
    assert _names(tmp_path, "*") == ["a.csv", "d/y.csv"]
    assert _names(tmp_path, "**/*.csv") == ["a.csv", "d/y.csv"]
    assert _names(tmp_path, ".") == ["a.csv", "d/y.csv"]
    assert _names(tmp_path, "d/_*.csv") == ["d/_x.csv"]
    assert _names(tmp_path, "_mlpack/m.csv") == ["_mlpack/m.csv"]


def test_a_directory_is_its_data_files_by_name_or_content(tmp_path: Path) -> None:
    _touch(tmp_path, "README.md", "sub/a.csv", "sub/b.jsonl.gz")
    write(tmp_path / "part-0", {"x": [1]})
    assert _names(tmp_path, ".") == ["part-0", "sub/a.csv", "sub/b.jsonl.gz"]
    assert _names(tmp_path, "su*") == ["sub/a.csv", "sub/b.jsonl.gz"]


def test_a_file_matched_twice_comes_once_whatever_the_path(tmp_path: Path) -> None:
    _touch(tmp_path, "a.csv", "d/b.csv")
    (tmp_path / "link.csv").symlink_to(tmp_path / "a.csv")
    assert _names(tmp_path, "a.csv", "*.csv", "d/../a.csv", "d", "d/b.csv") == ["a.csv", "d/b.csv"]


def test_linked_directories_are_followed_and_circles_end(tmp_path: Path) -> None:
    _touch(tmp_path, "real/a.csv")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/real").symlink_to(tmp_path / "real")
    (tmp_path / "real/back").symlink_to(tmp_path / "real")
    assert _names(tmp_path, "data") == ["data/real/a.csv"]


@pytest.mark.parametrize("name", ["flüge [1].csv", "a b.csv", "数据.csv", "x*y.csv", "{{ds}}.csv"])
def test_a_name_that_is_there_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    _touch(tmp_path, name)
    assert _names(tmp_path, name) == [name]


@pytest.mark.parametrize("pattern", ["absent.csv", "*.parquet", "none/**/*.csv", "empty"])
def test_a_pattern_that_matches_nothing_is_refused_by_its_text(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no file matches") as caught:
        matches([str(tmp_path / pattern)])
    assert pattern in caught.value.message


def test_a_delta_table_is_refused_as_a_directory(tmp_path: Path) -> None:
    """Its directory still holds files whose rows were deleted or replaced."""
    _touch(tmp_path, "t/_delta_log/0.json")
    write(tmp_path / "t/part-0.parquet", {"x": [1]})
    with pytest.raises(BadInput, match="Delta table"):
        matches([str(tmp_path / "t")])


def test_tables_urls_and_files_are_told_apart(tmp_path: Path) -> None:
    _touch(tmp_path, "a.csv", "b::c.csv")
    found = sources(["x.duckdb::main.t", "s3://bucket/a.csv", str(tmp_path / "a.csv"), str(tmp_path / "b::c.csv")])
    assert found == [
        Source("table", "x.duckdb", "main.t"),
        Source("url", "s3://bucket/a.csv"),
        Source("file", str(tmp_path / "a.csv")),
        Source("file", str(tmp_path / "b::c.csv")),
    ]
    assert [each.name for each in found[:2]] == ["x.duckdb::main.t", "s3://bucket/a.csv"]
    assert sources([f"file://{tmp_path}/a.csv"]) == [Source("file", str(tmp_path / "a.csv"))]
