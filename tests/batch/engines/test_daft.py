"""The Daft engine with its own runner: the same bytes, and tasks whose process dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mlpack_edge.batch.engines.daft import DaftEngine
from mlpack_edge.core.errors import BadInput, MissingExtra
from tests.batch.engines.clusters import (
    crashing_plan,
    rich_plan,
    run,
    same_as_local,
    small_plan,
    wait_until,
    with_scratch,
)

pytestmark = pytest.mark.long


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return tmp_path / "run" / "shards"


def test_every_byte_is_that_of_the_local_engine(tmp_path: Path, shards: Path) -> None:
    """Partitions, columns of types that Daft does not have, rejected rows; and nothing is left behind."""
    plan = rich_plan(tmp_path)
    heard = run(DaftEngine(), plan, shards)
    same_as_local(plan, shards, tmp_path / "local")
    assert heard.rows == plan.rows
    assert sorted(facts.index for facts in heard.facts) == [0, 1, 2]
    assert heard.notes == []
    wait_until(lambda: not list(with_scratch(shards)))


def test_the_row_on_which_the_model_ends_its_process_is_found_and_rejected(tmp_path: Path, shards: Path) -> None:
    plan = crashing_plan(tmp_path)
    heard = run(DaftEngine(), plan, shards)
    same_as_local(plan, shards, tmp_path / "local")
    assert [facts.rows_rejected for facts in sorted(heard.facts, key=lambda facts: facts.index)] == [0, 1]
    assert "row 280000" in heard.notes[-1]


def test_the_error_of_a_shard_arrives_as_it_is_and_the_others_are_kept(tmp_path: Path, shards: Path) -> None:
    plan = rich_plan(tmp_path)
    os.utime(tmp_path / "in 1.parquet", ns=(0, 0))
    with pytest.raises(BadInput, match=r"in 1\.parquet changed or vanished"):
        run(DaftEngine(), plan, shards)
    assert sorted(path.name for path in shards.iterdir()) == ["00000", "00001"]


def test_without_daft_the_line_that_installs_it_is_named(
    tmp_path: Path, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "daft", None)
    with pytest.raises(MissingExtra, match="daft") as raised:
        run(DaftEngine(), small_plan(tmp_path), shards)
    assert raised.value.hint == "pip install 'mlpack-edge[daft]'"
