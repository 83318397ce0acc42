"""The profile of TFLite models: LiteRT's own profiler, and operators cut out and timed alone."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from mlpack_edge.core.errors import BadInput
from mlpack_edge.devices.targets.agent import litert_interface, profile_litert
from mlpack_edge.devices.targets.agent.cut_out_times import time_cut_outs
from mlpack_edge.devices.targets.agent.frames import Refusal
from mlpack_edge.runtimes.litert.cut_out import cut
from mlpack_edge.runtimes.measuring.profile import (
    CUT_OUT,
    clock_too_coarse,
    coverage,
    grouped,
    rows_from_cut_outs,
    runs_of_graphs,
    timings_wanted,
)  # fmt: skip
from tests.devices.targets.profile_models import tflite_chain, tflite_loop

Feeds = dict[str, np.ndarray]


def _chain_feeds(rows: int = 8) -> Feeds:
    """By place: x [rows, 512], small [1, 8], places [1, 4]."""
    x = np.random.default_rng(0).standard_normal((rows, 512)).astype(np.float32)
    return {"0": x, "1": np.ones((1, 8), np.float32), "2": np.array([[0, 5, 63, 7]], np.int32)}


def _cut_and_timed(path: Path, feeds: Feeds, runs: dict[int, float] | None = None) -> tuple[list[dict], float]:
    pieces = cut(path, [feeds[str(place)] for place in range(len(feeds))], runs)
    wanted = [(model, list(inputs)) for model, inputs in timings_wanted(pieces)]
    return rows_from_cut_outs(pieces, time_cut_outs(Interpreter, wanted, 1))


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tflite_chain(tmp_path_factory.mktemp("chain"))
    return path, profile_litert.profile_tflite(str(path), _chain_feeds(), 1, 300)


def test_operators_of_xnnpack_and_of_tflite_are_told_apart(chain: tuple[Path, dict[str, Any]]) -> None:
    rows = chain[1]["rows"]
    dense = [row for row in rows if row["op"] == "Fully Connected (NC, F32)"]
    assert len(dense) == 3
    assert {row["delegate"] for row in dense} == {"XNNPACK"}
    gather = next(row for row in rows if row["op"] == "GATHER")
    assert (gather["delegate"], gather["node"], gather["graph"]) == ("", 4, 0)
    assert {row["calls"] for row in rows} == {1}


def test_the_heavy_operators_lead_shares_add_up_and_the_sum_is_the_whole(chain: tuple[Path, dict[str, Any]]) -> None:
    answer = chain[1]
    rows = answer["rows"]
    assert not clock_too_coarse(answer)
    assert grouped(rows)[0]["op"] == "Fully Connected (NC, F32)"
    assert grouped(rows)[0]["share"] > 0.9
    assert rows[0]["ns"] + rows[1]["ns"] > 20 * rows[2]["ns"]
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert 0.7 < coverage(rows, answer["whole_ns"]) < 1.3


def test_the_size_of_the_inputs_is_that_of_the_feeds(chain: tuple[Path, dict[str, Any]]) -> None:
    """Eight times the rows: four times the time at least."""
    path, few = chain
    many = profile_litert.profile_tflite(str(path), _chain_feeds(64), 1, 100)
    assert many["rows"][0]["seen_ns"] > 4 * few["rows"][0]["seen_ns"]


def test_the_body_of_a_while_is_counted_by_its_turns_and_not_in_its_owner(tmp_path: Path) -> None:
    answer = profile_litert.profile_tflite(str(tflite_loop(tmp_path, 200)), {"0": np.ones((1, 128), np.float32)}, 1, 50)
    rows = {row["op"]: row for row in answer["rows"]}
    assert (rows["Fully Connected (NC, F32)"]["calls"], rows["Fully Connected (NC, F32)"]["graph"]) == (200, 2)
    assert (rows["LESS"]["calls"], rows["WHILE"]["calls"]) == (201, 1)
    assert rows["WHILE"]["seen_ns"] == 0  # its own time cannot be told from what profiling its body costs
    assert sum(row["ns"] for row in answer["rows"]) < 1.5 * answer["whole_ns"]


def test_a_wrong_input_is_refused_before_the_runtime_reads_it(chain: tuple[Path, dict[str, Any]]) -> None:
    with pytest.raises((Refusal, ValueError)):
        profile_litert.profile_tflite(str(chain[0]), {**_chain_feeds(), "0": np.ones((8, 512))}, 1, 10)
    library = litert_interface.LitertLibrary()
    wrong = [np.ones((8, 512)), *list(_chain_feeds().values())[1:]]
    with pytest.raises(Refusal, match="takes float32"):
        litert_interface.LitertCompiled(library, str(chain[0]), wrong, 1)


def test_a_release_whose_interface_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions have other parameters there, and a wrong call ends the process."""
    monkeypatch.setattr(litert_interface, "_SINCE", (2, 99))
    with pytest.raises(Refusal, match="gives no profile") as caught:
        litert_interface.LitertLibrary()
    assert caught.value.record["kind"] == "missing-extra"


def test_operators_cut_out_agree_with_the_profiler_where_its_clock_is_fine_enough(
    chain: tuple[Path, dict[str, Any]],
) -> None:
    path, answer = chain
    rows, cost = _cut_and_timed(path, _chain_feeds())
    assert sorted(row["op"] for row in rows) == ["FULLY_CONNECTED"] * 3 + ["GATHER", "LOGISTIC"]
    assert {row["method"] for row in rows} == {CUT_OUT}
    assert not any("why" in row for row in rows)
    assert cost > 0
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert 0.6 < coverage(rows, answer["whole_ns"]) < 1.5
    assert rows[0]["ns"] == pytest.approx(answer["rows"][0]["ns"], rel=0.5)


def test_equal_operators_are_cut_once_and_counted(chain: tuple[Path, dict[str, Any]]) -> None:
    pieces = cut(chain[0], list(_chain_feeds().values())).cut_outs
    twins = next(piece for piece in pieces if len(piece.names) == 2)
    assert (twins.op, twins.names, twins.counts) == ("FULLY_CONNECTED", ("a", "y"), (1.0, 1.0))
    assert len(pieces) == 4


def test_a_cut_out_gives_what_the_operator_gave_in_the_model(chain: tuple[Path, dict[str, Any]]) -> None:
    feeds = _chain_feeds()
    whole = Interpreter(model_path=str(chain[0]))
    for found, array in zip(whole.get_input_details(), feeds.values(), strict=True):
        whole.resize_tensor_input(found["index"], array.shape)
    whole.allocate_tensors()
    for found, array in zip(whole.get_input_details(), feeds.values(), strict=True):
        whole.set_tensor(found["index"], array)
    whole.invoke()
    picked = whole.get_tensor(whole.get_output_details()[2]["index"])
    piece = next(piece for piece in cut(chain[0], list(feeds.values())).cut_outs if piece.op == "GATHER")
    for content, copies in ((piece.one, 1), (piece.many, piece.repeats)):
        alone = Interpreter(model_content=content)
        alone.allocate_tensors()
        for found, array in zip(alone.get_input_details(), piece.feeds, strict=True):
            alone.set_tensor(found["index"], array)
        alone.invoke()
        outputs = [alone.get_tensor(found["index"]) for found in alone.get_output_details()]
        assert len(outputs) == copies
        for output in outputs:
            np.testing.assert_array_equal(output, picked)


def test_operators_shorter_than_the_profilers_clock_are_told_by_cutting_out(tmp_path: Path) -> None:
    """A dense layer of 128 x 128 and an addition of one number, 200 times each: the profiler alone is too coarse."""
    path, feeds = tflite_loop(tmp_path, 200), {"0": np.ones((1, 128), np.float32)}
    answer = profile_litert.profile_tflite(str(path), feeds, 1, 50)
    rows, _ = _cut_and_timed(path, feeds, runs_of_graphs(answer["rows"]))
    times = {row["op"]: row for row in rows}
    assert times["FULLY_CONNECTED"]["calls"] == 200
    assert times["FULLY_CONNECTED"]["ns"] > 3 * times["ADD"]["ns"]
    assert [(row["name"], row["op"], row["ns"], row["why"]) for row in rows if "why" in row] == [
        ("k", "WHILE", None, "it runs other graphs, whose operators are counted")
    ]
    rows = [row for row in rows if "why" not in row]
    assert 0.3 < coverage(rows, answer["whole_ns"]) < 1.3


def test_a_loop_is_not_cut_where_its_turns_are_not_known(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be timed one by one"):
        cut(tflite_loop(tmp_path, 5), [np.ones((1, 128), np.float32)])


def test_the_plain_call_of_a_profile_is_interpreter_invoke(chain: tuple[Path, dict[str, Any]]) -> None:
    path, answer = chain
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    for found, array in zip(interpreter.get_input_details(), _chain_feeds().values(), strict=True):
        interpreter.resize_tensor_input(found["index"], array.shape)
    interpreter.allocate_tensors()
    for found, array in zip(interpreter.get_input_details(), _chain_feeds().values(), strict=True):
        interpreter.set_tensor(found["index"], array)
    taken = []
    for _ in range(300):
        start = time.perf_counter_ns()
        interpreter.invoke()
        taken.append(time.perf_counter_ns() - start)
    assert statistics.median(taken) == pytest.approx(answer["whole_ns"], rel=0.5)
