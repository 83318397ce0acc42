"""The comparison excuses nothing but rows at which the source itself has no stable answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from mlpack_edge.core.errors import BadInput, CheckFailed
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.compare import Tolerance, judge
from mlpack_edge.runtimes.parity import RowGroup, RowsRefused, check_parity

SIGNATURE = Signature((TensorSpec("x", "float64", ("batch", 1)),), (TensorSpec("y", "float64", ("batch",), "value"),))
LABELS = Signature(SIGNATURE.inputs, (TensorSpec("y", "int64", ("batch",), "label"),))


class Model:
    """A function as a model."""

    def __init__(self, function: Callable[[Any], Any], signature: Signature = SIGNATURE) -> None:
        self.function, self.signature = function, signature

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        return {"y": self.function(feeds["x"][:, 0])}


def _group(values: list[float], **flags: Any) -> RowGroup:
    return RowGroup("made", {"x": np.array(values, np.float64)[:, None]}, **flags)


def _strict(role: str, array: Any) -> Tolerance:
    return Tolerance(1e-9, 1e-12)


def _sine_of_the_next(x: Any) -> Any:
    return np.sin(np.where(x > 1e20, np.nextafter(x, np.inf), x))


def test_a_number_without_a_stable_answer_is_excused_where_the_row_allows_it_and_counted() -> None:
    """sin at 1e22 is another number for the next float: which one an implementation gives says nothing."""
    reference, candidate = Model(np.sin), Model(_sine_of_the_next)
    report = check_parity(
        reference, candidate, [_group([1e22, 1.0], excusable=0.5)], lambda r, a: Tolerance(1e-9, 1e-9)
    )
    assert report.ill_conditioned == 1 and report.rows == 1
    assert judge(report.outputs).passed


def test_the_same_difference_is_not_excused_on_rows_of_the_user() -> None:
    reference, candidate = Model(np.sin), Model(_sine_of_the_next)
    report = check_parity(reference, candidate, [_group([1e22, 1.0])], lambda r, a: Tolerance(1e-9, 1e-9))
    assert not judge(report.outputs).passed


def test_a_real_difference_is_not_excused() -> None:
    report = check_parity(
        Model(lambda x: x * 2), Model(lambda x: x * 2.001), [_group([1.0, 1e9], excusable=0.5)], _strict
    )
    assert report.ill_conditioned == 0 and not judge(report.outputs).passed


def test_a_flipped_label_is_excused_only_where_one_unit_flips_the_source() -> None:
    def sign(x: Any) -> Any:
        return (x > 0.5).astype(np.int64)

    def wrong(x: Any) -> Any:
        return (x >= 0.5).astype(np.int64)

    edge = check_parity(
        Model(sign, LABELS), Model(wrong, LABELS), [_group([0.5], excusable=0.5), _group([0.7])], _strict
    )
    assert edge.ill_conditioned == 1 and judge(edge.outputs).passed
    many = [_group([0.5] * 9 + [0.7], excusable=0.5)]
    edges = check_parity(Model(sign, LABELS), Model(wrong, LABELS), many, _strict)
    assert edges.ill_conditioned == 0 and edges.outputs[0].label_flips == 9, "a wrong comparison at a round number"
    strict = check_parity(Model(sign, LABELS), Model(wrong, LABELS), [_group([0.5])], _strict)
    assert strict.outputs[0].label_flips == 1 and not judge(strict.outputs).passed


def test_rows_that_the_source_refuses_are_reported_with_its_reason() -> None:
    def picky(x: Any) -> Any:
        if np.isnan(x).any():
            raise RowsRefused("Input X contains NaN.")
        return x

    report = check_parity(Model(picky), Model(lambda x: x), [_group([1.0]), _group([np.nan])], _strict)
    assert report.refused == {"made": "Input X contains NaN."} and report.rows == 1
    with pytest.raises(BadInput, match="does not take the made rows"):
        check_parity(Model(picky), Model(lambda x: x), [_group([np.nan], must_run=True)], _strict)
    with pytest.raises(BadInput, match="takes none of the rows"):
        check_parity(Model(picky), Model(lambda x: x), [_group([np.nan])], _strict)


def test_a_label_the_source_never_gives_there_is_not_excused() -> None:
    third = check_parity(
        Model(lambda x: (x > 0.5).astype(np.int64), LABELS), Model(lambda x: np.full(len(x), 2), LABELS),
        [_group([0.5, 0.5], excusable=1.0)], _strict,
    )  # fmt: skip
    assert third.outputs[0].label_flips == 2


def test_a_zero_is_not_moved() -> None:
    """The rounding of a number is relative to it: zero has none, so `>=` for `>` at zero is a defect."""
    report = check_parity(
        Model(lambda x: (x > 0).astype(np.int64), LABELS), Model(lambda x: (x >= 0).astype(np.int64), LABELS),
        [_group([0.0, 1.0], excusable=1.0)], _strict,
    )  # fmt: skip
    assert report.outputs[0].label_flips == 1


def test_one_refused_row_does_not_hide_the_others() -> None:
    def picky(x: Any) -> Any:
        if (x < 0).any():
            raise RowsRefused("negative")
        return x

    report = check_parity(Model(picky), Model(lambda x: x), [_group([1.0, 2.0, -1.0, 3.0])], _strict)
    assert report.rows == 3 and report.refused == {"made": "negative"}


def test_a_row_is_named_by_its_place_in_the_data() -> None:
    report = check_parity(
        Model(lambda x: x), Model(lambda x: np.where(x == 7, 8, x)), [_group([5.0, 7.0], start=20_000)], _strict
    )
    assert report.outputs[0].worst is not None and report.outputs[0].worst.row == 20_001


def test_a_candidate_that_stops_fails_except_on_optional_rows() -> None:
    def stops(x: Any) -> Any:
        raise CheckFailed("it stopped", why="empty batch")

    with pytest.raises(CheckFailed):
        check_parity(Model(lambda x: x), Model(stops), [_group([1.0])], _strict)
    with pytest.raises(BadInput):
        check_parity(Model(lambda x: x), Model(stops), [_group([1.0], optional=True)], _strict)


def test_a_missing_output_is_named() -> None:
    class Mute(Model):
        def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
            return {"z": feeds["x"][:, 0]}

    with pytest.raises(BadInput, match="no output 'y'; it has z"):
        check_parity(Model(lambda x: x), Mute(lambda x: x), [_group([1.0])], _strict)


def test_a_model_that_takes_a_single_number_beside_its_rows_is_compared() -> None:
    """A rate or a mode goes with every part of a group, also where the reference refuses half of it."""
    signature = Signature(
        (TensorSpec("rate", "int64", ()), TensorSpec("x", "float32", ("batch", 2))),
        (TensorSpec("y", "float32", ("batch", 2)),),
    )

    class Rated:
        def __init__(self) -> None:
            self.signature = signature

        def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            if (feeds["x"] > 2).any():
                raise RowsRefused("above 2")
            return {"y": feeds["x"] * feeds["rate"].astype(np.float32)}

    rows = np.array([[0, 1], [1, 0], [3, 0], [1, 1]], np.float32)
    group = RowGroup("made", {"rate": np.array(3), "x": rows}, excusable=0.5)
    report = check_parity(Rated(), Rated(), [group], lambda role, array: Tolerance(0.0, 0.0))
    assert report.rows == 3
