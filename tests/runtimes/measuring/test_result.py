"""What a result says of itself, and that it comes back from a file as it was."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlpack_edge.core.errors import BadInput
from mlpack_edge.runtimes.measuring.result import Comparison, Launch
from mlpack_edge.runtimes.measuring.stored import result_from_json
from tests.runtimes.measuring.simulated import BUSY, launch, result, side_by_side

Json = dict[str, Any]

COUNTS = {"total": 1_500_000, "simd": 9, "multiply_add": 8, "dot_product": 0, "loads": 5, "stores": 2}


def _measured() -> Json:
    one = side_by_side(np.random.default_rng(5), (2e6,), BUSY, rounds=3, turns=4, calls=5)[0]
    return json.loads(json.dumps(one.to_json()))


def test_a_result_comes_back_as_it_was() -> None:
    stored = _measured()
    assert result_from_json(stored).to_json() == stored


def test_the_keys_of_the_contract_are_there() -> None:
    assert _measured().keys() >= {
        "model", "target", "threads", "batch", "samples", "processes", "latency_ns", "isolated_ns", "clean_share", "first_call_ns",
        "load_ns", "peak_rss_bytes", "harness_floor_ns", "verdict", "environment", "output_digest", "ci95_ns", "metric", "profile",
        "instructions", "calibrated_ns", "launches", "bytes", "model_sha256", "input_digest", "io", "spinning", "format",
    }  # fmt: skip


def test_the_interval_surrounds_the_isolated_median() -> None:
    stored = _measured()
    low, high = stored["ci95_ns"]
    assert low <= stored["isolated_ns"]["p50"] <= high


def test_optional_facts_come_back() -> None:
    given: Json = {
        "profile": [{"name": "conv", "op": "Conv", "calls": 1, "ns": 10, "share": 1.0}],
        "metric": {"name": "accuracy", "value": 0.97},
        "spinning": False,
        "calibrated_ns": {"low": 1, "high": 2},
    }
    back = result_from_json(json.loads(json.dumps(result([launch([[5]])], **given).to_json())))
    assert {name: getattr(back, name) for name in given} == given


def test_clean_is_a_string_of_a_digit_a_sample() -> None:
    record = launch([[5, 6], [7]], [[True, False], [True]]).to_json()
    assert record["blocks"] == [{"samples_ns": [5, 6], "clean": "10"}, {"samples_ns": [7], "clean": "1"}]


def test_of_several_launches_the_middle_one_counts_and_the_most_memory() -> None:
    launches = [
        Launch((np.array([5], np.uint64),), (np.array([True]),), load, 10 * load, rss, 3, True, number)
        for number, (load, rss) in enumerate([(100, 7), (900, 9), (200, 8)])
    ]
    record = result(launches).to_json()
    assert (record["load_ns"], record["first_call_ns"], record["peak_rss_bytes"]) == (200.0, 2000.0, 9)


def test_samples_and_marks_of_different_counts_are_no_launch() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        launch([[1, 2]], [[True]])


@pytest.mark.parametrize(("clean", "verdict"), [(19, "unstable"), (20, "stable")])
def test_below_a_fifth_of_clean_samples_a_result_is_unstable(clean: int, verdict: str) -> None:
    flags = np.arange(100) < clean
    assert result([launch([np.full(100, 9)], [flags], number) for number in (0, 1)]).verdict == verdict


def test_one_launch_is_unstable() -> None:
    one = result([launch([np.full(2000, 9)])])
    assert one.verdict == "unstable"
    assert one.to_json()["ci95_ns"] is None


def test_where_nothing_was_timed_nothing_is_said_of_time() -> None:
    record = json.loads(json.dumps(result(instructions=COUNTS, harness_floor_ns=None).to_json()))
    silent = (
        "latency_ns",
        "isolated_ns",
        "first_call_ns",
        "load_ns",
        "clean_share",
        "harness_floor_ns",
        "verdict",
        "ci95_ns",
    )
    assert {record[name] for name in silent} == {None}
    assert result_from_json(record).instructions == COUNTS


def test_no_launch_and_no_count_is_unstable_and_null() -> None:
    record = result().to_json()
    assert (record["verdict"], record["latency_ns"], record["samples"]) == ("unstable", None, 0)


def test_no_clean_sample_leaves_the_isolated_view_null() -> None:
    record = result([launch([[5, 6]], [[False, False]], number) for number in range(3)]).to_json()
    assert record["isolated_ns"] == {"p50": None, "p99": None}
    assert (record["ci95_ns"], record["clean_share"], record["latency_ns"]["p50"]) == (None, 0.0, 5.5)


def test_keys_of_later_versions_are_ignored() -> None:
    stored = _measured()
    added = copy.deepcopy(stored)
    added["weather"] = "fair"
    added["launches"][0]["blocks"][0]["voltage"] = 3
    assert result_from_json(added).to_json() == stored


def test_stated_figures_are_not_believed_but_counted_again() -> None:
    stored = _measured()
    edited = {**stored, "latency_ns": {"p50": 1.0}, "verdict": "stable"}
    assert result_from_json(edited).to_json() == stored


DAMAGE: dict[str, tuple[Callable[[Json], object], str]] = {
    "later schema": (lambda record: record.update(schema=2), "schema 2"),
    "no schema": (lambda record: record.pop("schema"), "'schema' is missing"),
    "threads as text": (lambda record: record.update(threads="1"), "'threads' should be int, not str"),
    "threads as a truth": (lambda record: record.update(threads=True), "'threads' should be int, not bool"),
    "a negative size": (lambda record: record.update(bytes=-1), "'bytes' is -1"),
    "launches as a table": (lambda record: record.update(launches={}), "'launches' should be list"),
    "a launch as text": (lambda record: record["launches"].insert(0, "x"), "launch 0 is not a JSON object"),
    "a launch without blocks": (lambda record: record["launches"][1].pop("blocks"), "launch 1 is damaged: 'blocks' is missing"),
    "a settled of 1": (lambda record: record["launches"][1].update(settled=1), "'settled' should be bool"),
    "too few marks": (
        lambda record: record["launches"][2]["blocks"][3].update(clean="1"),
        "launch 2, block 3 is damaged: 'clean' should be 5 characters 0 or 1",
    ),
    "other marks": (lambda record: record["launches"][0]["blocks"][0].update(clean="11x11"), "'clean' should be"),
    "a sample of half a nanosecond": (
        lambda record: record["launches"][0]["blocks"][0].update(samples_ns=[1, 2, 3, 4, 5.5]),
        "'samples_ns' holds something else than whole nanoseconds",
    ),
    "a negative sample": (
        lambda record: record["launches"][0]["blocks"][0].update(samples_ns=[1, 2, 3, 4, -5]), "whole nanoseconds",
    ),
    "a sample of a million years": (
        lambda record: record["launches"][0]["blocks"][0].update(samples_ns=[1, 2, 3, 4, 2**64]), "whole nanoseconds",
    ),
    "a floor of NaN": (lambda record: record.update(harness_floor_ns=float("nan")), "'harness_floor_ns' is nan"),
    "counts without a total": (lambda record: record.update(instructions={"simd": 1}), "'total' is missing"),
    "a machine as text": (lambda record: record.update(environment="pi"), "'environment' should be dict"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_document_is_refused_where_it_is_damaged(name: str) -> None:
    stored = _measured()
    damage, said = DAMAGE[name]
    damage(stored)
    with pytest.raises(BadInput, match=r"net-0\.onnx") as refusal:
        result_from_json(stored)
    assert said in refusal.value.message


@pytest.mark.parametrize("record", [None, [], "x", 3])
def test_what_is_no_object_is_refused(record: Any) -> None:
    with pytest.raises(BadInput, match="the stored result is not a JSON object"):
        result_from_json(record)


def test_a_comparison_without_a_figure_says_null() -> None:
    nan = float("nan")
    record = Comparison("a", "b", nan, (nan, nan), "unclear", "experienced", True, 1).to_json()
    assert (record["ratio"], record["ci95"]) == (None, [None, None])
    json.dumps(record, allow_nan=False)
