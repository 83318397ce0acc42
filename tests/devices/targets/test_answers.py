"""Whatever stands in an answer that is JSON: it is taken as the agent's, or refused as one error; nothing else comes of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.core.errors import BadInput, MlpackError, WorkerFault
from mlpack_edge.devices.targets.agent.arrays import packed
from mlpack_edge.devices.targets.agent_target import between
from mlpack_edge.devices.targets.answers import (
    Measured,
    counted_from_answer,
    error_from_answer,
    hello_from_answer,
    measured_from_answer,
    rows_from_answer,
    sets_from_answer,
)

Json = dict[str, Any]
ENVIRONMENT = {
    "cpu": "c",
    "arch": "a",
    "load": [0.1, 0.2, 0.3],
    "steal": [1, 20],
    "features": ["neon"],
    "throttled": None,
}
BLOCK = {"samples_ns": [5, 6], "clean": "10", "quiet": "00"}
LAUNCH = {
    "load_ns": 1, "first_call_ns": 2, "peak_rss_bytes": 3, "warm_up_calls": 4, "settled": True, "round": 0, "io": "run",
    "runtime": ["onnxruntime", "1.0"], "output_digest": "d", "blocks": [BLOCK],
}  # fmt: skip
FAULT = {"kind": "bad-input", "message": "m", "why": "", "hint": "h"}
HELLO = {"python": "3.11.2", "runtimes": {"numpy": "2.0"}, "environment": ENVIRONMENT}
MEASURE = {
    "launches": [[LAUNCH, {**LAUNCH, "round": 1}], []], "faults": [None, FAULT], "floors": {"onnx run": 900.0},
    "environment": ENVIRONMENT,
}  # fmt: skip
COUNT = {"regions": ["nothing", "model"], "runtime": ["onnxruntime", "1.0"], "io": "run", "output_digest": "d"}
READERS: dict[str, tuple[Json, Callable[[Json], Any]]] = {
    "hello": (HELLO, lambda answer: hello_from_answer(answer, "there")),
    "measure": (MEASURE, lambda answer: measured_from_answer(answer, 2, "there")),
    "count": (COUNT, lambda answer: counted_from_answer(answer, "there")),
}
ODD = (None, True, -1, 2**70, 1.5, float("nan"), float("inf"), "", "x", [], [None], {}, {"a": []})


def _places(item: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    inside = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    return found + [place for key, value in inside for place in _places(value, (*path, key))]


def _with(item: Json, path: tuple[Any, ...], value: Any) -> Json:
    made = copy.deepcopy(item)
    inside: Any = made
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return made


def test_what_an_agent_says_is_read() -> None:
    assert hello_from_answer(HELLO, "there") == HELLO
    (found, fault), floors, environment = measured_from_answer(MEASURE, 2, "there")
    assert isinstance(found, Measured) and isinstance(fault, BadInput) and fault.hint == "h"
    assert [launch.round for launch in found.launches] == [0, 1]
    assert found.launches[0].clean[0].tolist() == [True, False] and found.launches[0].quiet is not None
    assert (found.io, found.runtime) == ("run", {"name": "onnxruntime", "version": "1.0"})
    assert (floors, environment) == ({"onnx run": 900.0}, ENVIRONMENT)
    assert counted_from_answer(COUNT, "there")[0] == 2


@pytest.mark.parametrize("name", READERS)
def test_anything_else_in_any_place_is_taken_or_one_error(name: str) -> None:
    answer, read = READERS[name]
    refused = 0
    for path in _places(answer):
        for odd in ODD:
            changed = _with(answer, path, odd)
            try:
                read(changed)
                if name != "count":
                    json.dumps(between(changed["environment"], ENVIRONMENT))
            except WorkerFault as fault:
                refused += 1
                assert "there answered in no form known here" in fault.message and fault.why and fault.hint
                assert len(str(fault.why)) < 500
    assert refused > len(_places(answer))


@pytest.mark.parametrize("models", [1, 3])
def test_as_many_models_as_were_asked_for(models: int) -> None:
    with pytest.raises(WorkerFault):
        measured_from_answer(MEASURE, models, "there")


def test_digests_that_differ_between_launches_are_no_digest() -> None:
    answer = _with(MEASURE, ("launches", 0, 1, "output_digest"), "other")
    (found, _), _, _ = measured_from_answer(answer, 2, "there")
    assert isinstance(found, Measured) and found.output_digest == "differs between processes"


def test_arrays_come_back() -> None:
    sent = {"y": np.arange(6, dtype=np.float32).reshape(2, 3), "t": np.array([["a"], ["é"]], object)}
    (back,) = sets_from_answer(packed([sent]), "there")
    assert all(np.array_equal(back[name], array) for name, array in sent.items())


@given(
    st.binary(max_size=60)
    | st.lists(
        st.dictionaries(
            st.sampled_from(["name", "dtype", "shape", "bytes"]),
            st.sampled_from(["y", "<f4", "O", "string", "<f4,(2,)i8", [2], [-1], [2**40], 8, -8, None, 2**70, {}]),
        ),
        max_size=2,
    ).map(lambda entries: json.dumps([entries]).encode() + b"\n12345678")
)
def test_bytes_that_are_no_arrays_are_one_error(block: bytes) -> None:
    try:
        sets = sets_from_answer(block, "there")
    except WorkerFault as fault:
        assert fault.hint
    else:
        assert all(isinstance(array, np.ndarray) for one in sets for array in one.values())


@pytest.mark.parametrize("record", [None, [], "x", {"message": 3}, {"kind": ["a"]}, {"hint": None}])
def test_what_is_no_error_is_not_taken_for_one(record: Any) -> None:
    assert error_from_answer(record) is None


def test_an_error_of_an_unknown_kind_is_an_error() -> None:
    assert type(error_from_answer({"kind": "new", "message": "m"})) is MlpackError


@pytest.mark.parametrize("rows", [None, {}, "x", [1], [None]])
def test_rows_are_records(rows: Any) -> None:
    with pytest.raises(WorkerFault):
        rows_from_answer({"timed": rows}, "timed", "there")
    assert rows_from_answer({"timed": [{"ns": 1}]}, "timed", "there") == [{"ns": 1}]
