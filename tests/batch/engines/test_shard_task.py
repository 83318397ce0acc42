"""A shard in a task: what it leaves, and what the coordinator takes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.batch.engines.local import LocalEngine
from mlpack_edge.batch.engines.shard_task import SHARDS, adopt, run_task
from mlpack_edge.batch.plan import Plan
from mlpack_edge.batch.shard_folder import facts_of
from mlpack_edge.core.errors import BadInput, WorkerFault
from tests.batch.graphs import linear, negated, write_rows
from tests.batch.plans import Heard, plan_of


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    rows = {"a": np.arange(1000, dtype=np.float32), "b": np.ones(1000, np.float32)}
    return plan_of(linear(tmp_path / "m.onnx"), [write_rows(tmp_path / "in.parquet", rows)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "shards"
    made.mkdir()
    return made


def text_of(plan: Plan) -> str:
    return json.dumps(plan.to_json())


@pytest.mark.parametrize("isolated", [False, True])
def test_a_task_gives_the_bytes_of_the_local_engine(plan: Plan, tmp_path: Path, folder: Path, isolated: bool) -> None:
    run_task(text_of(plan), 0, tmp_path / "task", isolated)
    adopt(tmp_path / "task", folder, 0, pytest.fail)
    local = tmp_path / "local"
    local.mkdir()
    LocalEngine().run(plan, plan.shards, local, Heard())
    assert (folder / "00000" / "part.parquet").read_bytes() == (local / "00000" / "part.parquet").read_bytes()
    assert not (tmp_path / "task").exists()
    facts = facts_of(folder, 0)
    assert facts is not None and facts.rows_out == 1000


def test_bytes_that_changed_on_the_way_are_refused(plan: Plan, tmp_path: Path, folder: Path) -> None:
    run_task(text_of(plan), 0, tmp_path / "task", isolated=False)
    part = tmp_path / "task" / SHARDS / "00000" / "part.parquet"
    content = bytearray(part.read_bytes())
    content[100] ^= 1
    part.write_bytes(content)
    with pytest.raises(WorkerFault, match="did not arrive"):
        adopt(tmp_path / "task", folder, 0, pytest.fail)
    assert facts_of(folder, 0) is None


def test_a_shard_that_was_there_is_replaced(plan: Plan, tmp_path: Path, folder: Path) -> None:
    (folder / "00000").mkdir()
    (folder / "00000" / "old").touch()
    run_task(text_of(plan), 0, tmp_path / "task", isolated=False)
    adopt(tmp_path / "task", folder, 0, pytest.fail)
    assert not (folder / "00000" / "old").exists()


def test_the_error_of_a_shard_arrives_as_it_is(plan: Plan, tmp_path: Path, folder: Path) -> None:
    os.utime(plan.inputs[0].path, ns=(0, 0))
    run_task(text_of(plan), 0, tmp_path / "task", isolated=False)
    with pytest.raises(BadInput, match=r"in\.parquet changed or vanished"):
        adopt(tmp_path / "task", folder, 0, pytest.fail)
    assert list(folder.iterdir()) == []


def test_by_itself_it_finds_the_row_on_which_the_model_ends_the_process(tmp_path: Path, folder: Path) -> None:
    values = np.arange(5000)
    values[4321] = np.iinfo(np.int64).min
    plan = plan_of(negated(tmp_path / "m.onnx"), [write_rows(tmp_path / "in.parquet", {"x": values})])
    run_task(text_of(plan), 0, tmp_path / "task", isolated=True)
    notes: list[str] = []
    adopt(tmp_path / "task", folder, 0, notes.append)
    assert len(notes) == 1 and "row 4321" in notes[0]
    facts = facts_of(folder, 0)
    assert facts is not None and facts.rows_rejected == 1
