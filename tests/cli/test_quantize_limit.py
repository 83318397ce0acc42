"""Measuring keeps within the time that is left, and what there was no time for is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mlpack_edge.cli.quantize_latency import SHORT, Effort, Measured
from mlpack_edge.cli.quantize_limit import limit_of, limit_text
from mlpack_edge.cli.quantize_measuring import BRIEF, Measuring, measure_within
from mlpack_edge.cli.quantize_weighing import Weighed
from mlpack_edge.converters.quantization.choosing import Choice, Latency
from mlpack_edge.converters.quantization.values import Point, Quality, Recipe

FILES = [Path(name) for name in ("a", "b", "c", "d")]


class Bench:
    """A clock, and measurements that take `each` seconds a file, the float file among them."""

    def __init__(self, each: float) -> None:
        self.now, self.each = 100.0, each
        self.runs: list[tuple[list[Path], Effort]] = []

    def clock(self) -> float:
        return self.now

    def measure(self, files: Sequence[Path], effort: Effort) -> Measured:
        self.now += self.each * (len(files) + 1)
        self.runs.append((list(files), effort))
        return Measured(1.0, {path: Latency(1.0) for path in files}, {}, {}, ())


def within(bench: Bench, seconds: float) -> Measuring:
    return measure_within(FILES, seconds, bench.measure, bench.clock)


def test_with_time_enough_all_are_measured_in_turns_with_one_float_file() -> None:
    bench = Bench(6.0)
    found = within(bench, 240.0)
    assert bench.runs == [(FILES, SHORT)] and not found.left_out
    assert found.each == pytest.approx(6.0) and found.allows_longer(bench.now)


def test_with_less_the_first_tells_how_many_of_the_others_there_is_time_for() -> None:
    bench = Bench(6.0)
    found = within(bench, 35.0)
    assert [files for files, _ in bench.runs] == [FILES[:1], FILES[1:3]]
    assert found.left_out == (FILES[3],) and bench.now - 100 <= 35
    assert found.measured is not None and set(found.measured.drafts) == set(FILES[:3])
    assert not found.allows_longer(bench.now)


def test_slow_models_are_not_measured_beyond_the_one_that_was_begun() -> None:
    bench = Bench(50.0)
    found = within(bench, 60.0)
    assert bench.runs == [(FILES[:1], SHORT)] and found.left_out == tuple(FILES[1:])


def test_with_hardly_any_time_the_first_is_measured_briefly_and_without_any_nothing_is() -> None:
    bench = Bench(2.0)
    assert within(bench, 3.0).left_out == tuple(FILES[1:]) and bench.runs == [(FILES[:1], BRIEF)]
    bench = Bench(2.0)
    found = within(bench, 0.0)
    assert found.measured is None and found.left_out == tuple(FILES) and not bench.runs


def test_while_there_is_time_and_none_is_one_to_take_the_next_smallest_is_measured() -> None:
    """Of 5 s the first takes 3; two more at its pace do not fit, and yet one of them may be what is looked for."""
    bench = Bench(1.5)
    found = measure_within(FILES, 5.0, bench.measure, bench.clock, lambda measured: FILES[1] in measured.drafts)
    assert bench.runs == [(FILES[:1], BRIEF), (FILES[1:2], BRIEF)] and found.left_out == tuple(FILES[2:])
    bench = Bench(1.5)
    found = measure_within(FILES, 5.0, bench.measure, bench.clock, lambda measured: False)
    assert [files for files, _ in bench.runs] == [FILES[:1], FILES[1:2]], "there is no time for a third"
    assert found.measured is not None and set(found.measured.drafts) == set(FILES[:2])
    bench = Bench(1.5)
    assert measure_within(FILES, 5.0, bench.measure, bench.clock).left_out == tuple(FILES[1:])


def _point(label: str) -> Point:
    return Point(label, Recipe("fp16"), 10, Quality("agreement", 1.0, 1.0, 0.0, 10, None, ()))


def test_what_there_was_no_time_for_is_told_in_one_line() -> None:
    made = {
        "search": {
            "left_out": [
                {"label": "weights int4", "reason": "time-limit", "why": ""},
                {"label": "dynamic", "reason": "refused", "why": "no"},
            ],
            "unfinished": ["static U8S8"],
        },
        "calibration": {"rows": 1200, "complete": False},
    }
    weighed = Weighed(None, Choice(None, "", (), ()), (_point("fp16"),))
    limit = limit_of(1.0, made, weighed)
    assert limit_text(limit) == (
        "--time-limit 1 s ended the search; calibrated on 1,200 rows and no more; not tried: weights int4; "
        "not searched to the end: static U8S8; speed not measured: fp16"
    )
    whole: dict[str, Any] = {"search": {"left_out": [], "unfinished": []}, "calibration": None}
    limit = limit_of(300.0, whole, Weighed(None, Choice(None, "", (), ()), ()))
    assert not limit["ended"] and limit_text(limit) == ""
