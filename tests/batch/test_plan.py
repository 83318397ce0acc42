"""A plan follows from the inputs alone, and a run's key from what decides its table."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.batch.job import Job, job_from_json
from mlpack_edge.batch.plan import (
    SHARD_ROWS,
    Fingerprint,
    InputFile,
    ModelFile,
    Plan,
    changes,
    cut_shards,
    plan_from_json,
)

FLIGHTS = InputFile(
    "flights/month=7/a.parquet", "flights/month=7/a.parquet", "parquet", 10, Fingerprint(100, 5, "d1", False),
    (("month", 7),),
)  # fmt: skip
PLAN = Plan(
    job=Job("m.onnx", ("flights/**/*.parquet",), "out", keep=("carrier",)),
    models=(ModelFile("m.onnx", "onnx", "ab" * 32),),
    inputs=(FLIGHTS,),
    kept=(),
    shards=cut_shards([[10]]),
    schema="",
    reads=("carrier",),
    contract="",
    versions=(("onnxruntime", "1.31.1"),),
)


@given(st.lists(st.lists(st.integers(0, 3 * SHARD_ROWS), max_size=12), max_size=4), st.data())
def test_every_row_lies_in_one_shard_and_in_the_groups_that_the_shard_names(files, data):
    skips = [data.draw(st.integers(0, sum(groups) + 5)) for groups in files]
    shards = cut_shards(files, skips)
    assert [shard.index for shard in shards] == list(range(len(shards)))
    for file, groups in enumerate(files):
        mine = [shard for shard in shards if shard.file == file]
        covered = [(shard.start, shard.start + shard.rows) for shard in mine]
        expected = min(skips[file], sum(groups))
        for start, stop in covered:
            assert start == expected and start < stop
            expected = stop
        assert expected == sum(groups)
        ends = [sum(groups[: group + 1]) for group in range(len(groups))]
        for shard in mine:
            assert shard.rows <= SHARD_ROWS
            first, last = shard.groups[0], shard.groups[-1]
            assert shard.groups == tuple(range(first, last + 1))
            assert shard.base == ends[first] - groups[first] <= shard.start
            assert shard.start + shard.rows <= ends[last]


def test_small_row_groups_go_together_so_that_a_shard_is_worth_its_files():
    assert len(cut_shards([[1000] * 262])) == 1
    assert len(cut_shards([[122_880] * 4])) == 2


def test_a_plan_survives_its_journey_as_json():
    assert plan_from_json(json.loads(json.dumps(PLAN.to_json()))) == PLAN


@given(st.builds(Job, model=st.text(), inputs=st.lists(st.text()).map(tuple), output=st.text(), sql=st.text(),
                 keep=st.lists(st.text()).map(tuple), memory=st.none() | st.integers(1)))  # fmt: skip
def test_a_job_survives_its_journey_as_json(job):
    assert job_from_json(json.loads(json.dumps(job.to_json()))) == job


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAN, job=replace(PLAN.job, workers=7, batch_rows=10, memory=10**9, engine="spark", fresh=True)),
        replace(PLAN, inputs=(replace(FLIGHTS, path="/elsewhere", staged=True),)),
    ],
    ids=["how it is run", "where it was staged"],
)
def test_what_does_not_decide_the_table_leaves_the_run_the_same(other):
    assert other.run_key == PLAN.run_key


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (replace(PLAN, models=(replace(PLAN.models[0], sha256="cd" * 32),)), "model model changed"),
        (replace(PLAN, inputs=(replace(FLIGHTS, fingerprint=Fingerprint(100, 5, "d2", False)),)), "input flights"),
        (replace(PLAN, inputs=(replace(FLIGHTS, fingerprint=Fingerprint(100, 6, "d1", False)),)), "input flights"),
        (replace(PLAN, inputs=(FLIGHTS, replace(FLIGHTS, name="b.parquet"))), "input b.parquet is new"),
        (replace(PLAN, job=replace(PLAN.job, keep=("origin",))), "option keep changed"),
        (replace(PLAN, contract="schema = 1"), "the contract changed"),
        (replace(PLAN, versions=(("onnxruntime", "1.32.0"),)), "version of onnxruntime changed"),
    ],
    ids=["model", "input", "written again, same footer", "one more input", "option", "contract", "runtime"],
)
def test_what_decides_the_table_makes_another_run_and_is_said(other, said):
    assert other.run_key != PLAN.run_key
    assert any(line.startswith(said) for line in changes(PLAN.identity(), other.identity()))
    assert changes(PLAN.identity(), PLAN.identity()) == []


def test_a_whole_file_copied_again_is_the_same_input():
    first = replace(FLIGHTS, fingerprint=Fingerprint(100, 5, "d1", True))
    again = replace(FLIGHTS, fingerprint=Fingerprint(100, 9, "d1", True))
    assert replace(PLAN, inputs=(first,)).run_key == replace(PLAN, inputs=(again,)).run_key
