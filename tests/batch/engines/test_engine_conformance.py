"""Every registered engine gives the same bits as one worker of this machine, and leaves nothing behind.

Engines whose extra is not installed, or that cannot run here (Spark without Java), say so with MissingExtra.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pytest

from mlpack_edge.batch.engines.engine import Engine, Listener
from mlpack_edge.batch.engines.local import LocalEngine
from mlpack_edge.batch.facts import ShardFacts
from mlpack_edge.batch.plan import Plan, Shard
from mlpack_edge.core.errors import BadInput, MissingExtra
from mlpack_edge.core.extensions import ENGINES, extensions
from tests.batch.engines.one_jvm import one_jvm
from tests.batch.graphs import linear, mixing, negated, write_rows
from tests.batch.plans import Heard, plan_of

LEAST = np.iinfo(np.int64).min


@pytest.fixture(scope="module")
def jvm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A JVM takes 5 to 20 s to start: here all runs on Spark have one, in `test_spark` each has its own."""
    with one_jvm(tmp_path_factory.mktemp("jvm")):
        yield


@pytest.fixture(params=sorted(extensions(ENGINES)))
def engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    if request.param == "spark":
        request.getfixturevalue("jvm")
    before = _children()
    monkeypatch.chdir(tmp_path)
    yield _Tried(extensions(ENGINES)[request.param].load()())
    assert _children() == before, "a process outlived the run"


class _Tried:
    """An engine whose test is skipped where what it needs is not installed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, plan: Plan, todo: Sequence[Shard], folder: Path, listener: Listener) -> None:
        try:
            self._engine.run(plan, todo, folder, listener)
        except MissingExtra as missing:
            pytest.skip(missing.message)


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def _small(folder: Path) -> Plan:
    data = write_rows(folder / "small.parquet", {name: np.ones(5, np.float32) for name in ("a", "b")})
    return plan_of(linear(folder / "small.onnx"), [data])


def _shards(folder: Path) -> Path:
    made = folder / "shards"
    made.mkdir(parents=True)
    return made


def _bytes(shards: Path) -> dict[str, bytes]:
    """Every file of the shards but for what time a shard took."""
    found = {}
    for path in sorted(shards.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.name == "facts.json":
                content = json.dumps({**json.loads(content), "seconds": 0}).encode()
            found[path.relative_to(shards).as_posix()] = content
    return found


def _facts(heard: Heard) -> list[ShardFacts]:
    return [replace(facts, seconds=0.0) for facts in sorted(heard.facts, key=lambda facts: facts.index)]


def _same_as_one_worker(engine: Engine, plan: Plan, folder: Path) -> Heard:
    one, all_of_them = _shards(folder / "one"), _shards(folder / "engine")
    alone, heard = Heard(), Heard()
    LocalEngine().run(replace(plan, job=replace(plan.job, workers=1)), plan.shards, one, alone)
    engine.run(plan, plan.shards, all_of_them, heard)
    assert _bytes(all_of_them) == _bytes(one)
    assert _facts(heard) == _facts(alone)
    assert heard.rows == plan.rows
    return heard


def test_scores_facts_and_order_are_those_of_one_worker(engine: Engine, tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    files = [
        write_rows(tmp_path / f"in {number} é.parquet", {
            "a": rng.normal(size=rows).astype(np.float32),
            "place": pyarrow.array([f"p{n % 3}" for n in range(rows)]),
        }, group)
        for number, (rows, group) in enumerate([(300_000, 290_000), (50_000, 10_000)])
    ]  # fmt: skip
    plan = plan_of(mixing(tmp_path / "m.onnx"), files, workers=2, keep=("place",), batch_rows=10_000)
    _same_as_one_worker(engine, plan, tmp_path)


def test_rejected_rows_and_partitions_are_those_of_one_worker(engine: Engine, tmp_path: Path) -> None:
    values = np.random.default_rng(12).normal(size=20_000).astype(np.float32)
    values[[3, 4095, 4096, 12_345]] = [np.nan, np.inf, -np.inf, np.nan]
    columns = {
        "a": values, "b": np.ones(20_000, np.float32), "id": pyarrow.array(range(20_000)),
        "place": pyarrow.array([None if n % 7 == 0 else f"p/{n % 3}" for n in range(20_000)]),
    }  # fmt: skip
    data = write_rows(tmp_path / "in.parquet", columns, 6_000)
    plan = plan_of(linear(tmp_path / "m.onnx"), [data], key="id", partition_by="place")
    heard = _same_as_one_worker(engine, plan, tmp_path)
    assert sum(facts.rows_rejected for facts in heard.facts) == 4


def test_a_row_that_ends_the_process_is_rejected(engine: Engine, tmp_path: Path) -> None:
    values = np.arange(9_000)
    values[8_000] = LEAST
    plan = plan_of(negated(tmp_path / "m.onnx"), [write_rows(tmp_path / "in.parquet", {"x": values})])
    heard = _same_as_one_worker(engine, plan, tmp_path)
    assert [facts.rows_rejected for facts in heard.facts] == [1]
    assert heard.notes


def test_only_the_shards_asked_for_are_done(engine: Engine, tmp_path: Path) -> None:
    files = [
        write_rows(tmp_path / f"{number}.parquet", {name: np.full(10, number, np.float32) for name in ("a", "b")})
        for number in range(4)
    ]
    plan = plan_of(linear(tmp_path / "m.onnx"), files)
    shards = _shards(tmp_path / "run")
    heard = Heard()
    engine.run(plan, [plan.shards[3], plan.shards[1]], shards, heard)
    assert sorted(path.name for path in shards.iterdir()) == ["00001", "00003"]
    assert sorted(facts.index for facts in heard.facts) == [1, 3]


def test_an_error_of_a_shard_stops_the_run_and_leaves_no_half(engine: Engine, tmp_path: Path) -> None:
    files = [
        write_rows(tmp_path / f"in{number}.parquet", {name: np.ones(10, np.float32) for name in ("a", "b")})
        for number in range(3)
    ]
    plan = plan_of(linear(tmp_path / "m.onnx"), files)
    files[1].unlink()
    shards = _shards(tmp_path / "run")
    with pytest.raises(BadInput, match=r"in1\.parquet"):
        engine.run(plan, plan.shards, shards, Heard())
    assert {path.name for path in shards.iterdir()} <= {"00000", "00002"}


def test_a_shard_that_is_there_already_is_replaced(engine: Engine, tmp_path: Path) -> None:
    plan = _small(tmp_path)
    shards = _shards(tmp_path / "run")
    (shards / "00000").mkdir()
    (shards / "00000" / "part.parquet").write_bytes(b"damaged")
    heard = Heard()
    engine.run(plan, plan.shards, shards, heard)
    assert heard.facts[0].rows_out == 5
    assert sorted(path.name for path in (shards / "00000").iterdir()) == ["facts.json", "part.parquet"]
