"""The profile of ONNX models: ONNX Runtime's own events, added up as one inference spends them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.devices.targets.agent import profile_onnx, profile_table
from mlpack_edge.devices.targets.agent.frames import Refusal
from mlpack_edge.runtimes.measuring.profile import coverage, grouped
from tests.devices.targets.profile_models import onnx_chain, onnx_loop


def _profile(path: Path, feeds: dict[str, np.ndarray], calls: int = 200) -> dict:
    return profile_onnx.profile_onnx(str(path), feeds, 1, False, str(path.parent / "events"), calls)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("chain")
    x = np.random.default_rng(0).standard_normal((64, 512)).astype(np.float32)
    answer = _profile(onnx_chain(folder), {"x": x, "small": np.ones(8, np.float32)})
    assert [path.name for path in folder.iterdir()] == ["model.onnx"]  # the file of events is gone
    return answer


def test_each_operator_has_a_row_and_runs_once(chain: dict) -> None:
    assert sorted(row["op"] for row in chain["rows"]) == ["Add", "MatMul", "MatMul", "ReduceSum", "Softmax", "Tanh"]
    assert {row["calls"] for row in chain["rows"]} == {1}
    assert {row["method"] for row in chain["rows"]} == {"onnxruntime profiler"}


def test_the_heavy_operators_lead_and_shares_add_up(chain: dict) -> None:
    rows = chain["rows"]
    assert [row["op"] for row in rows[:2]] == ["MatMul", "MatMul"]
    assert grouped(rows)[0]["share"] > 0.6
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert all(row["ns"] >= 0 for row in rows)


def test_the_operators_together_take_about_what_a_plain_call_takes(chain: dict) -> None:
    assert 0.6 < coverage(chain["rows"], chain["whole_ns"]) < 1.4


def test_a_body_is_counted_once_and_named_after_its_owner(tmp_path: Path) -> None:
    """5 turns of the loop: its MatMul, and the one in the If, stand under their owners, which keep little of their own."""
    answer = _profile(onnx_loop(tmp_path, 5), {"x": np.ones((32, 256), np.float32)})
    rows = {(row["op"], row["parent"]): row for row in answer["rows"]}
    loop = next(row["name"] for row in answer["rows"] if row["op"] == "Loop")
    branch = next(row["name"] for row in answer["rows"] if row["op"] == "If")
    assert rows["MatMul", loop]["calls"] == 5
    assert rows["MatMul", branch]["calls"] == 1
    assert ("Exp", branch) not in rows  # the branch that is not taken
    assert rows["MatMul", loop]["share"] > 0.4
    assert rows["MatMul", loop]["ns"] == pytest.approx(5 * rows["MatMul", branch]["ns"], rel=0.5)
    assert rows["Loop", ""]["share"] < 0.2
    assert 0.6 < coverage(answer["rows"], answer["whole_ns"]) < 1.4


def test_only_as_many_calls_are_made_as_the_profiler_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop of 300 turns makes 900 events a call; with room for 20,000 there are 22 calls, not 200."""
    monkeypatch.setattr(profile_onnx, "EVENTS", 20_000)
    answer = _profile(onnx_loop(tmp_path, 300), {"x": np.ones((32, 256), np.float32)})
    assert answer["calls"] < 25
    assert next(row["calls"] for row in answer["rows"] if row["op"] == "Tanh") == 300


def test_a_call_of_too_many_events_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_onnx, "MOST_EVENTS", 500)
    with pytest.raises(Refusal, match="one inference makes"):
        _profile(onnx_loop(tmp_path, 300), {"x": np.ones((32, 256), np.float32)})
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_name_with_quotes_and_braces_survives_the_file_of_events(tmp_path: Path) -> None:
    import onnx

    path = onnx_chain(tmp_path)
    model = onnx.load(path)
    name = 'a "quoted"\\ {name},'
    model.graph.node[2].name = name
    onnx.save(model, path)
    answer = _profile(path, {"x": np.ones((64, 512), np.float32), "small": np.ones(8, np.float32)}, 20)
    assert name in [row["name"] for row in answer["rows"]]


def test_what_is_cut_off_is_shared_out_within_bounds_and_what_is_over_is_taken_off() -> None:
    """Equations of the table, without a clock."""

    def table(whole: int, took: list[float], slack: list[float], burdened: bool) -> dict:
        rows = {}
        for place, (own, more) in enumerate(zip(took, slack, strict=True)):
            rows[place] = profile_table.Row(10, burdened, name=str(place), op="Op")
            for call in range(10):
                rows[place].add(call, own, more)
        plain, profiled = profile_table.Stopwatch(lambda: None), profile_table.Stopwatch(lambda: None)
        for watch in (plain, profiled):
            watch.ns, watch.clean = [whole] * 10, [True] * 10
        return profile_table.settled("test", rows, profiled, plain)

    short = table(6_000, [3_000, 1_000], [1_000, 1_000], False)
    assert [row["ns"] for row in short["rows"]] == [4_000, 2_000]
    guessed = table(100_000, [3_000, 1_000], [1_000, 1_000], False)
    assert guessed["operators_ns"] == 6_000  # never more than a microsecond each
    over = table(3_000, [3_000, 1_000], [1_000, 1_000], True)
    assert [row["ns"] for row in over["rows"]] == [2_500, 500]
    lost = profile_table.Row(8, True)
    for call in range(8):
        lost.add(call, 4_000_000 if call < 3 else 10_000, 0)
    assert lost.means(list(range(8)))[1] == 10_000  # calls that lost the processor are no measure
    far_over = table(100, [3_000, 1_000], [1_000, 1_000], True)
    assert [row["ns"] for row in far_over["rows"]] == [2_000, 0]  # no more than the cheapest says at all
