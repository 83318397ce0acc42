"""The judge of benchmarks/quantize.py, which decides for ours and for peers alike whether a budget is kept."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

SOURCE = Path(__file__).parents[2] / "benchmarks" / "quantize_judge.py"
spec = importlib.util.spec_from_file_location("quantize_judge", SOURCE)
assert spec is not None and spec.loader is not None
judge = importlib.util.module_from_spec(spec)
spec.loader.exec_module(judge)

CLASSES = {"outputs": {"y": {"meaning": "classes"}}}
NUMBERS = {"outputs": {"y": {"meaning": "number"}}}


def quality(wanted: object, made: object, about: dict, truth: object = None) -> dict:
    arrays = ({"y": np.asarray(one, np.float32)} for one in (wanted, made))
    return judge.quality(*arrays, about, None if truth is None else np.asarray(truth))


def test_a_file_that_answers_alike_has_no_flips_no_noise_and_keeps_any_budget() -> None:
    found = quality([[0.1, 0.9], [0.8, 0.2]], [[0.1, 0.9], [0.8, 0.2]], CLASSES)
    assert found["flips"] == 0 and found["noise_db"] is None
    assert judge.kept(CLASSES, found, 0.0)


def test_flips_are_the_share_of_decisions_that_changed() -> None:
    wanted, made = np.eye(4)[[0, 1, 2, 3]], np.eye(4)[[0, 1, 2, 0]]
    assert quality(wanted, made, CLASSES)["flips"] == 0.25


def test_the_worst_of_several_outputs_decides() -> None:
    about = {"outputs": {"a": {"meaning": "probability"}, "b": {"meaning": "map", "threshold": 0.3}}}
    wanted = {"a": np.array([0.9, 0.1]), "b": np.array([[0.2, 0.4], [0.2, 0.4]])}
    made = {"a": np.array([0.9, 0.1]), "b": np.array([[0.4, 0.4], [0.2, 0.4]])}
    assert judge.facts(wanted, made, about["outputs"])["flips"] == 0.25


def test_a_score_that_is_lost_beside_large_boxes_breaks_the_budget() -> None:
    rng = np.random.default_rng(0)
    wanted = np.concatenate([rng.uniform(0, 640, (50, 1, 4)), rng.uniform(0, 1, (50, 1, 2))], 2)
    made = np.round(wanted / 2.5) * 2.5  # one scale of 640 / 256 for all
    whole, cut = ({"outputs": {"y": one}} for one in ({"meaning": "number"}, {
        "meaning": "slices", "axis": 1, "slices": {"boxes": [0, 4], "scores": [4, 6]},
    }))  # fmt: skip
    assert judge.kept(whole, quality(wanted, made, whole), 0.01)
    found = quality(wanted, made, cut)
    assert found["slices_db"]["y: boxes"] > 40 and found["slices_db"]["y: scores"] < 0
    assert not judge.kept(cut, found, 0.01)


def test_noise_is_the_mean_square_error_over_the_variance() -> None:
    wanted = np.array([[1.0], [3.0]])
    assert quality(wanted, wanted + 0.1, NUMBERS)["noise"] == pytest.approx(0.01, rel=1e-5)
    assert quality(wanted, wanted + 0.1, NUMBERS)["noise_db"] == pytest.approx(20, abs=0.01)


def test_a_score_that_hardly_moves_is_held_against_a_hundredth() -> None:
    wanted = np.full((10, 1), 1e-5)
    assert quality(wanted, wanted + 1e-4, NUMBERS)["noise"] == pytest.approx(1e-4, rel=1e-3)


def test_accuracy_is_lost_in_points_and_rmse_as_a_share() -> None:
    classes = CLASSES | {"metric": "accuracy"}
    found = quality(np.eye(4), np.eye(4)[[0, 1, 2, 0]], classes, [0, 1, 2, 3])
    assert found["loss"] == 0.25 and found["float_metric"] == 1
    numbers = NUMBERS | {"metric": "rmse"}
    found = quality([[2.0], [2.0]], [[3.0], [3.0]], numbers, [0.0, 0.0])
    assert found["loss"] == pytest.approx(0.5)
    assert judge.kept(numbers, found, 0.5) and not judge.kept(numbers, found, 0.49)


def test_with_a_truth_the_metric_alone_decides() -> None:
    about = CLASSES | {"metric": "accuracy"}
    found = quality(np.eye(2) * 100, np.eye(2), about, [0, 1])
    assert found["noise"] > 0.1 and judge.kept(about, found, 0.0)


@pytest.mark.parametrize("about", [NUMBERS, NUMBERS | {"metric": "rmse"}])
def test_answers_that_are_no_numbers_break_the_budget(about: dict) -> None:
    found = quality([[1.0], [2.0]], [[math.nan], [2.0]], about, [1.5, 2.5])
    assert not judge.kept(about, found, 0.5)


def test_a_slice_of_nans_is_the_worst_wherever_it_stands() -> None:
    about = {"outputs": {"y": {"meaning": "slices", "axis": 0, "slices": {"first": [0, 1], "second": [1, 2]}}}}
    found = quality([[1.0, 2.0], [2.0, 4.0]], [[math.nan, 2.5], [2.0, 4.0]], about)
    assert math.isnan(found["noise"]) and found["noise_db"] == -999


def test_another_shape_is_an_error() -> None:
    with pytest.raises(ValueError, match="shape"):
        quality([[1.0]], [[1.0, 2.0]], NUMBERS)


@pytest.mark.parametrize("about", [CLASSES, CLASSES | {"metric": "accuracy"}])
def test_what_a_search_maximises_loses_exactly_what_the_verdict_counts(about: dict) -> None:
    found = quality(np.eye(4), np.eye(4)[[0, 1, 2, 0]], about, [0, 1, 2, 3])
    lost = 1 - judge.goodness(found, about)
    assert judge.kept(about, found, lost) and not judge.kept(about, found, lost - 0.001)
