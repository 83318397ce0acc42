"""A model that ends its process on one row: the row is found, rejected, remembered, and the run goes on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.batch.engines.local import LocalEngine
from mlpack_edge.core.errors import CheckFailed
from tests.batch.graphs import negated, write_rows
from tests.batch.plans import Heard, plan_of, table_of

LEAST = np.iinfo(np.int64).min


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    return folder


def test_the_row_on_which_the_process_dies_is_rejected_and_all_others_are_scored(tmp_path: Path, shards: Path) -> None:
    values = np.arange(70_000)
    values[[5_003, 66_001]] = LEAST
    plan = plan_of(negated(tmp_path / "m.onnx"), [write_rows(tmp_path / "in.parquet", {"x": values})], workers=1)
    heard = Heard()
    LocalEngine().run(plan, plan.shards, shards, heard)
    table = table_of(shards)
    expected = np.delete(np.arange(70_000), [5_003, 66_001])
    assert np.array_equal(table["source_row"].to_numpy(), expected)
    assert np.array_equal(table["score"].to_numpy(), -expected)
    lines = [json.loads(line) for line in (shards / "00000" / "rejected.jsonl").read_text().splitlines()]
    assert [(line["row"], line["rule"], line["values"]) for line in lines] == [
        (5_003, "crash", {"x": LEAST}), (66_001, "crash", {"x": LEAST}),
    ]  # fmt: skip
    assert "SIGFPE" in lines[0]["reason"]
    assert heard.facts[0].rows_rejected == 2
    assert heard.rows == 70_000
    assert ["row 5003" in heard.notes[0], "row 66001" in heard.notes[1]] == [True, True]


def test_a_run_taken_up_again_does_not_search_again(tmp_path: Path, shards: Path) -> None:
    values = np.arange(100)
    values[17] = LEAST
    plan = plan_of(negated(tmp_path / "m.onnx"), [write_rows(tmp_path / "in.parquet", {"x": values})])
    LocalEngine().run(plan, plan.shards, shards, Heard())
    first = (shards / "00000" / "part.parquet").read_bytes()
    again = Heard()
    LocalEngine().run(plan, plan.shards, shards, again)
    assert again.notes == []
    assert (shards / "00000" / "part.parquet").read_bytes() == first


def test_a_model_that_dies_on_many_rows_is_refused(tmp_path: Path, shards: Path) -> None:
    values = np.full(40, LEAST)
    plan = plan_of(negated(tmp_path / "m.onnx"), [write_rows(tmp_path / "in.parquet", {"x": values})])
    with pytest.raises(CheckFailed, match="on 5 rows"):
        LocalEngine().run(plan, plan.shards, shards, Heard())
    assert not [path for path in shards.iterdir() if path.is_dir()]
