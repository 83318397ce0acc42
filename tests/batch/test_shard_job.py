"""One shard from rows to a committed folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from mlpack_edge.batch.facts import ShardFacts, facts_from_json
from mlpack_edge.batch.models import CHALLENGER, model_file
from mlpack_edge.batch.plan import Plan
from mlpack_edge.batch.shard_job import ShardJob
from mlpack_edge.core.errors import BadInput, CheckFailed, IoFault
from tests.batch.graphs import linear, looked_up, mixing, write_rows
from tests.batch.plans import plan_of, table_of


def run_all(plan: Plan, folder: Path, **more: Any) -> list[ShardFacts]:
    folder.mkdir(parents=True, exist_ok=True)
    job = ShardJob(plan)
    return [job.run(shard, folder, lambda rows: None, **more) for shard in plan.shards]


def two_columns(rows: int) -> dict[str, Any]:
    rng = np.random.default_rng(rows)
    return {name: rng.normal(size=rows).astype(np.float32) for name in ("a", "b")}


def test_bytes_are_the_same_whatever_is_read_at_once(tmp_path: Path) -> None:
    values = two_columns(40_000)["a"]
    values[[5, 9000, 9001, 39_999]] = np.nan
    data = write_rows(tmp_path / "in.parquet", {"a": values}, group=12_345)
    plan = plan_of(mixing(tmp_path / "m.onnx"), [data])
    found = []
    for rows in (1, 5_000, 65_536, 1_000_000):
        folder = tmp_path / str(rows)
        run_all(replace(plan, job=replace(plan.job, batch_rows=rows)), folder)
        found.append(
            {path.name: path.read_bytes() for path in (folder / "00000").iterdir() if path.name != "facts.json"}
        )
    assert all(one == found[0] for one in found)
    assert set(found[0]) == {"part.parquet", "rejected.jsonl"}


def test_a_row_has_the_same_score_whatever_becomes_of_its_neighbours(tmp_path: Path) -> None:
    """Rejected rows leave their places to a neighbour: no row moves within its block."""
    values = two_columns(10_000)["a"]
    clean = plan_of(mixing(tmp_path / "m.onnx"), [write_rows(tmp_path / "clean.parquet", {"a": values})])
    run_all(clean, tmp_path / "clean")
    values[::3] = np.inf
    values[4096:8192] = np.nan
    some = plan_of(mixing(tmp_path / "m.onnx"), [write_rows(tmp_path / "some.parquet", {"a": values})])
    facts = run_all(some, tmp_path / "some")
    whole, part = table_of(tmp_path / "clean"), table_of(tmp_path / "some")
    rows = part["source_row"].to_numpy()
    assert len(rows) == facts[0].rows_out == np.isfinite(values).sum()
    assert part["score"].to_numpy().tobytes() == whole["score"].to_numpy()[rows].tobytes()


def test_facts_say_what_lies_in_the_folder(tmp_path: Path) -> None:
    columns = two_columns(5_000)
    columns["b"][7] = np.inf
    plan = plan_of(linear(tmp_path / "m.onnx"), [write_rows(tmp_path / "in.parquet", columns)])
    told: list[int] = []
    (tmp_path / "s").mkdir()
    facts = ShardJob(plan).run(plan.shards[0], tmp_path / "s", told.append)
    folder = tmp_path / "s" / "00000"
    assert facts_from_json(json.loads((folder / "facts.json").read_text())) == facts
    assert facts.quarantine is not None
    for part in (*facts.parts, facts.quarantine):
        content = (folder / part.path).read_bytes()
        assert (part.bytes, part.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (facts.rows_in, facts.rows_out, facts.rows_rejected, sum(facts.rejected.values())) == (5_000, 4_999, 1, 1)
    assert sum(told) == 5_000
    assert sorted(path.name for path in folder.iterdir()) == ["facts.json", "part.parquet", "rejected.jsonl"]
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["00000"]


def test_rows_are_named_by_source_and_row_or_by_the_key(tmp_path: Path) -> None:
    columns = {**two_columns(10), "id": pyarrow.array([f"k{n}" for n in range(10)]), "more": pyarrow.array(range(10))}
    data = write_rows(tmp_path / "in.parquet", columns, 4)
    model = linear(tmp_path / "m.onnx")
    plain = plan_of(model, [data])
    run_all(plain, tmp_path / "plain")
    table = table_of(tmp_path / "plain")
    assert table.column_names == ["source_file", "source_row", "score", "both"]
    assert table["source_row"].to_pylist() == list(range(10))
    assert set(table["source_file"].to_pylist()) == {"in.parquet"}
    assert table.schema.field("both").type == pyarrow.list_(pyarrow.float32(), 2)
    keyed = plan_of(model, [data], key="id", keep=("*",))
    run_all(keyed, tmp_path / "keyed")
    table = table_of(tmp_path / "keyed")
    assert table.column_names == ["id", "a", "b", "more", "score", "both"]
    assert table["id"].to_pylist() == [f"k{n}" for n in range(10)]


def test_kept_columns_keep_type_and_values(tmp_path: Path) -> None:
    texts = [None, "", "é", "x", "x"]
    columns = {
        **two_columns(5), "t": pyarrow.array(texts), "d": pyarrow.array([1, None, 3, 4, 5], pyarrow.date32()),
        "n": pyarrow.array([1.5, None, float("nan"), 2.0, 0.0]), "l": pyarrow.array([[1], [], None, [2, 3], [4]]),
    }  # fmt: skip
    plan = plan_of(
        linear(tmp_path / "m.onnx"), [write_rows(tmp_path / "in.parquet", columns)], keep=("t", "d", "n", "l")
    )
    run_all(plan, tmp_path / "s")
    table = table_of(tmp_path / "s")
    for name in ("t", "d", "n", "l"):
        assert repr(table[name].to_pylist()) == repr(columns[name].to_pylist())
        assert table.schema.field(name).type == columns[name].type


@pytest.mark.parametrize(("columns", "options"), [(("score",), {"keep": ("score",)}), (("both",), {"key": "both"})])
def test_two_columns_of_one_name_are_refused_by_name(
    tmp_path: Path, columns: tuple[str, ...], options: dict[str, Any]
) -> None:
    data = write_rows(
        tmp_path / "in.parquet", {**two_columns(3), **{name: pyarrow.array([1, 2, 3]) for name in columns}}
    )
    with pytest.raises(BadInput, match=f"two columns '{columns[0]}'"):
        ShardJob(plan_of(linear(tmp_path / "m.onnx"), [data], **options))


def test_rows_on_which_the_model_stops_are_rejected_with_its_words(tmp_path: Path) -> None:
    values = np.arange(9_000) % 4
    values[[3, 5_000, 5_001, 8_999]] = [77, 4, -5, 99]
    plan = plan_of(looked_up(tmp_path / "m.onnx"), [write_rows(tmp_path / "in.parquet", {"x": values})])
    facts = run_all(plan, tmp_path / "s")
    assert facts[0].rows_rejected == 4
    lines = [json.loads(line) for line in (tmp_path / "s/00000/rejected.jsonl").read_text().splitlines()]
    assert [(line["row"], line["rule"]) for line in lines] == [(row, "crash") for row in (3, 5_000, 5_001, 8_999)]
    assert "idx=77" in lines[0]["reason"]
    expected = np.array([1.5, 2.5, 3.5, 4.5], np.float32)[np.delete(values, [3, 5_000, 5_001, 8_999])]
    assert np.array_equal(table_of(tmp_path / "s")["score"].to_numpy(), expected)


def test_a_model_that_stops_on_more_rows_than_may_be_rejected_is_refused(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "in.parquet", {"x": np.full(1000, 9)})
    model = looked_up(tmp_path / "m.onnx")
    with pytest.raises(CheckFailed, match="more than 4 rows"):
        run_all(plan_of(model, [data]), tmp_path / "s")
    assert list((tmp_path / "s").iterdir()) == []
    facts = run_all(plan_of(model, [data], max_rejected=1.0), tmp_path / "t")
    assert facts[0].rows_rejected == 1000


def test_poisoned_rows_are_never_shown_to_the_model(tmp_path: Path) -> None:
    values = np.zeros(100, np.int64)
    values[40] = 77
    plan = plan_of(looked_up(tmp_path / "m.onnx"), [write_rows(tmp_path / "in.parquet", {"x": values})])
    run_all(plan, tmp_path / "s", poisoned={40: "died of it", 1000: "elsewhere"})
    (line,) = (tmp_path / "s/00000/rejected.jsonl").read_text().splitlines()
    assert (json.loads(line)["row"], json.loads(line)["reason"]) == (40, "died of it")


def test_a_partition_that_no_folder_can_name_is_a_rejected_row(tmp_path: Path) -> None:
    columns = {**two_columns(4), "p": pyarrow.array(["x", "", None, "y"])}
    plan = plan_of(linear(tmp_path / "m.onnx"), [write_rows(tmp_path / "in.parquet", columns)], partition_by="p")
    facts = run_all(plan, tmp_path / "s")
    assert [part.path for part in facts[0].parts] == [
        "p=__HIVE_DEFAULT_PARTITION__/part.parquet", "p=x/part.parquet", "p=y/part.parquet",
    ]  # fmt: skip
    assert facts[0].rejected == {"p: an empty text cannot name a folder": 1}


def test_partitioning_by_a_column_of_fractions_is_refused(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "in.parquet", two_columns(4))
    with pytest.raises(BadInput, match="--partition-by b"):
        ShardJob(plan_of(linear(tmp_path / "m.onnx"), [data], partition_by="b"))


CONTRACT = """
schema = 1
[columns.a]
max = 2.0
"""


def test_a_contract_rejects_rows_and_its_statistics_travel_with_the_shard(tmp_path: Path) -> None:
    columns = {"a": np.array([1, 3, 2, 5], np.float32), "b": np.ones(4, np.float32)}
    data = write_rows(tmp_path / "in.parquet", columns)
    facts = run_all(plan_of(linear(tmp_path / "m.onnx"), [data], CONTRACT), tmp_path / "s")
    assert facts[0].rows_rejected == 2
    assert facts[0].collected["contract"]["rows"] == 4
    assert table_of(tmp_path / "s")["source_row"].to_pylist() == [0, 2]


def test_a_challenger_is_scored_in_the_same_pass(tmp_path: Path) -> None:
    plan = plan_of(linear(tmp_path / "m.onnx"), [write_rows(tmp_path / "in.parquet", two_columns(6_000))])
    plan = replace(
        plan, job=replace(plan.job, challenger="m.onnx"),
        models=(*plan.models, model_file(str(tmp_path / "m.onnx"), CHALLENGER)),
    )  # fmt: skip
    facts = run_all(plan, tmp_path / "s")
    table = table_of(tmp_path / "s")
    assert table.column_names == ["source_file", "source_row", "score", "both", "challenger_score", "challenger_both"]
    assert table["score"].equals(table["challenger_score"])
    assert facts[0].collected["agreement"]["rows"] == 6_000


def test_a_folder_that_cannot_be_written_is_an_io_fault(tmp_path: Path) -> None:
    plan = plan_of(linear(tmp_path / "m.onnx"), [write_rows(tmp_path / "in.parquet", two_columns(4))])
    with pytest.raises(IoFault, match="shard 0"):
        ShardJob(plan).run(plan.shards[0], tmp_path / "not there", lambda rows: None)
