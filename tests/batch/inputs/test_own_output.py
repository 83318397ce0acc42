"""No run begins whose table the next one would take for input."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpack_edge.batch.inputs.own_output import refuse_own_output
from mlpack_edge.batch.job import Job
from mlpack_edge.core.errors import BadInput


def _refuse(pattern: str, output: str) -> None:
    refuse_own_output(Job("m.onnx", (pattern,), output))


@pytest.mark.parametrize(
    ("pattern", "output"),
    [
        ("in", "in/out"),
        ("in/", "in"),
        (".", "scores"),
        ("in", "delta::in/out"),
        ("in/*", "in/out"),  # a folder stands for all data files in it
        ("in/**", "in/a/out"),
        ("in/**/*.parquet", "in/out"),
        ("**/*.parquet", "out"),
        ("in/out/*.parquet", "in/out"),
        ("link", "in/out"),
    ],
)
def test_an_output_that_the_input_would_find_is_refused_before_it_is_there(
    pattern: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("link").symlink_to("in")
    with pytest.raises(BadInput, match="the next run would read its own table"):
        _refuse(pattern, output)


@pytest.mark.parametrize(
    ("pattern", "output"),
    [
        ("in", "inner/out"),
        ("in", "in/_out"),
        ("in/*", "in/.out"),
        ("in/*.parquet", "in/out"),
        ("in/*/*.csv", "in/a"),
        ("in/**/*.csv", "in/out"),
        ("**/*.parquet", "../out"),
        ("in", "in/w.duckdb::scores"),
        ("in/w.duckdb::flights", "in/w.duckdb::scores"),
        ("https://example.org/*.parquet", "out"),
    ],
)
def test_other_outputs_are_taken(pattern: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "in").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    _refuse(pattern, output)
