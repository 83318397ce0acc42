"""Which slices an output is cut into, and what their errors are held against."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.converters.quantization.judging.agreement import sliced
from mlpack_edge.converters.quantization.judging.axes import slice_axes
from mlpack_edge.converters.quantization.judging.noise import Moments, signals, squared_errors


@pytest.mark.parametrize(
    ("sizes", "axes"),
    [
        ((10,), (1,)), ((1,), ()), ((), ()), ((1000, 1, 1), (1,)),
        ((84, 8400), (1,)), ((8400, 85), (2,)), ((100, 6), (2,)), ((24, 3), (2,)),
        ((64, 100), (1, 2)), ((128, 384), (1, 2)),
        ((256, 20, 20), (1,)), ((20, 20, 256), (3,)), ((3, 80, 80, 85), (1, 4)), ((3, 85, 80, 80), (1, 2)),
        ((21, 480, 640), (1, 3)), ((480, 640, 21), (1, 3)), ((512, 10, 15), (1, 3)), ((20, 15, 18), (1, 3)),
        ((70_000,), ()),
    ],
    ids=str,
)  # fmt: skip
def test_axes_by_sizes(sizes: tuple[int, ...], axes: tuple[int, ...]) -> None:
    assert slice_axes((None, *sizes), [True, *([False] * len(sizes))]) == axes


def test_sizes_that_the_signature_leaves_open_are_positions() -> None:
    assert slice_axes((None, 128, 384), [True, True, False]) == (2,)
    assert slice_axes((None, 84, 8400), [True, False, True]) == (1,)
    assert slice_axes((None, 12), [True, True]) == (1,)


def test_sizes_that_change_between_batches_are_never_cut() -> None:
    assert slice_axes((None, None, 7), [True, True, False]) == (2,)
    assert slice_axes((None, None), [True, True]) == ()


def moments(values: np.ndarray, axis: int | None = 1) -> Moments:  # type: ignore[type-arg]
    cut = sliced(values, axis)
    found = Moments.of(len(cut))
    found.add(cut)
    return found


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 50), max_size=4), st.floats(-1e6, 1e6))
def test_moments_in_batches_are_those_of_all_rows(seed: int, places: list[int], offset: float) -> None:
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(50, 3, 4)) * [1e-3, 1, 10, 1e3] + offset
    values[draw.random(values.shape) < 0.05] = np.nan
    found = Moments.of(4)
    for part in np.split(values, sorted(places)):
        found.add(sliced(part, 2))
    assert found.mean == pytest.approx(np.nanmean(values, axis=(0, 1)), rel=1e-9)
    assert found.variance == pytest.approx(np.nanvar(values, axis=(0, 1)), rel=1e-4)
    assert found.low.tolist() == np.nanmin(values, axis=(0, 1)).tolist()
    assert found.high.tolist() == np.nanmax(values, axis=(0, 1)).tolist()


DRAW = np.random.default_rng(1)


def noise(reference: np.ndarray, candidate: np.ndarray, role: str = "", classes: bool = False, axis: int = 1):  # type: ignore[no-untyped-def,type-arg]
    found = moments(reference, axis)
    count = np.isfinite(sliced(reference, axis)).sum(axis=1)
    sums = squared_errors(sliced(reference, axis), sliced(candidate, axis))
    return sums / count / signals(found, role=role, classes=classes)


def detector(rows: int = 20, anchors: int = 500) -> np.ndarray:  # type: ignore[type-arg]
    """[rows, 4 boxes in 0..640 and 12 scores in 0..1, anchors]; the scores of 8..15 hardly ever leave 0."""
    boxes = DRAW.uniform(0, 640, (rows, 4, anchors))
    scores = DRAW.beta(0.05, 2, (rows, 12, anchors))
    scores[:, 4:] *= 1e-4
    return np.concatenate([boxes, scores], axis=1)


@pytest.mark.parametrize("role", ["proportions", ""])
def test_a_score_column_beside_boxes_counts_and_a_class_that_never_occurs_blocks_nothing(role: str) -> None:
    reference = detector()
    step = 640 / 255
    one_scale = np.round(reference / step) * step  # all scores become 0
    found = noise(reference, one_scale, role)
    assert (found[:4] < 1e-4).all()
    assert (found[4:8] > 0.5).all()
    own_scale = np.concatenate([one_scale[:, :4], np.round(reference[:, 4:] * 255) / 255], axis=1)
    assert noise(reference, own_scale, role).max() < 0.01


def test_normalized_coordinates_do_not_change_that() -> None:
    reference = detector() / np.r_[[640.0] * 4, [1.0] * 12][:, None]
    ruined = reference.copy()
    ruined[:, 5] = 0
    found = noise(reference, ruined, "proportions")
    assert found[5] > 0.5
    assert np.delete(found, 5).max() == 0


def test_a_channel_that_is_off_may_move_a_little_and_not_much() -> None:
    reference = DRAW.normal(size=(50, 8))
    reference[:, 3] = 0
    moved = reference.copy()
    moved[:, 3] = 1e-6
    assert noise(reference, moved).max() < 0.01
    moved[:, 3] = 0.1
    assert noise(reference, moved)[3] > 100


def test_a_column_that_is_the_same_in_every_row_is_held_against_its_size() -> None:
    reference = np.full((30, 1), 300.0)
    assert noise(reference, reference + 0.02)[0] < 0.01
    assert noise(reference, reference + 3)[0] > 1
    assert noise(np.zeros((30, 1)), np.full((30, 1), 1e-3))[0] > 1


def test_a_regression_of_a_small_unit_is_not_taken_for_a_share() -> None:
    """0.001 to 0.003, say kilometres: that it became one constant must count, whatever lies beside it."""
    reference = np.stack([DRAW.uniform(0.2, 0.9, 100), DRAW.uniform(0.001, 0.003, 100)], axis=1)
    flat = reference.copy()
    flat[:, 1] = 0.002
    assert noise(reference, flat)[1] == pytest.approx(1.0, abs=0.1)
    assert noise(reference[:, 1:], flat[:, 1:])[0] == pytest.approx(1.0, abs=0.1)


def test_values_of_a_regression_have_a_unit_each() -> None:
    reference = np.stack([DRAW.normal(1e5, 1e4, 100), DRAW.normal(0.5, 0.1, 100)], axis=1)
    flat = reference.copy()
    flat[:, 1] = 0.5
    assert noise(reference, flat, "value")[1] == pytest.approx(1.0, abs=0.1)


def test_classes_are_held_against_the_loudest_of_them() -> None:
    """A class of one row in two hundred: its probability moves by a tenth there, which is one row's matter."""
    reference = np.zeros((200, 3))
    reference[:, 0], reference[::2, 0], reference[1::2, 1] = 0, 0.9, 0.9
    reference[7] = [0.1, 0.1, 0.8]
    moved = reference.copy()
    moved[7] = [0.15, 0.15, 0.7]
    assert noise(reference, moved, "probabilities", classes=True).max() < 0.001
    assert noise(reference, moved, "probabilities").max() > 0.01
    moved[:, 2] = 0
    moved[::3, 2] = 0.5
    assert noise(reference, moved, "probabilities", classes=True)[2] > 0.1


def test_where_the_float_model_gives_no_number_nothing_counts_and_else_it_is_infinite() -> None:
    reference = DRAW.normal(size=(10, 2))
    reference[3, 0] = np.nan
    candidate = reference.copy()
    assert noise(reference, candidate).tolist() == [0, 0]
    candidate[3, 0] = 7
    assert noise(reference, candidate)[0] == 0
    candidate[5, 1] = np.nan
    assert noise(reference, candidate)[1] == np.inf
    candidate[5, 1] = np.inf
    assert noise(reference, candidate)[1] == np.inf


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.floats(1e-4, 1))
def test_noise_does_not_depend_on_the_unit(seed: int, scale: float, share: float) -> None:
    """Of numbers that are no shares of 1: the ratio is of like and like."""
    draw = np.random.default_rng(seed)
    reference = 3 + draw.normal(size=(40, 5)) * 2
    candidate = reference + draw.normal(size=reference.shape) * share
    assert noise(reference * scale, candidate * scale) == pytest.approx(noise(reference, candidate), rel=1e-6)
