"""Numbers that came in another unit: the nearest change is named, and no more is said than the cells can tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mlpack_edge.profiles.arrays.counting import ColumnTally
from mlpack_edge.profiles.drift.effects import parts
from mlpack_edge.profiles.drift.units import looks, resemblance
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import Window
from mlpack_edge.profiles.spec import OUTPUT, Numeric
from mlpack_edge.profiles.spec_file import digest
from tests.profiles.drift.made import plain, spec_of

Change = Callable[[np.ndarray], np.ndarray]
FAHRENHEIT = "1.8 times the reference's plus 32 (degrees Celsius as Fahrenheit)"
KELVIN = "the reference's +273.15 (Kelvin and Celsius)"


def _told(level: float, spread: float, change: Change) -> str:
    """Of 1,000 normal values that were changed, against 20,000."""
    random = np.random.default_rng(0)
    reference = plain(random, 20_000) | {"x": random.normal(level, spread, 20_000)}
    spec = spec_of(reference, np.arange(20_000) // 200)
    current = plain(random, 1_000) | {"x": change(random.choice(reference["x"], 1_000))}
    sides = []
    group = next(group for group in groups(spec) if group.name == "x")
    assert isinstance(group.feature, Numeric)
    for table in (reference, current):
        tally = ColumnTally(spec)
        tally.add(table, None, rows=len(table["x"]))
        counts = np.array(tally.profile(digest(spec), Window(1, 0, 86_400)).counts[group.start : group.stop])
        sides.append(parts(group.feature, counts).cells)
    return resemblance(group.feature, *sides)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda x: x * 3.6, "3.6 times the reference's"),
        (lambda x: x * 3.28084, "3.28084 times the reference's"),
        (lambda x: x / 2.204623, "1/2.204623 of the reference's"),
        (lambda x: x * 1.8 + 32, FAHRENHEIT),
        (lambda x: x + 273.15, KELVIN),
        (lambda x: -x, "the reference's with the other sign"),
        (lambda x: x + 8, ""),
    ],
)
def test_the_nearest_change_is_named(change: Change, told: str) -> None:
    """Feet in metres are near kilometres in hours: both fit within what chance explains."""
    assert _told(12, 8, change) == told


def test_beyond_the_cells_no_single_change_is_named() -> None:
    """All values of a narrow feature times 1,000 lie where Fahrenheit and Kelvin would lie too."""
    words = _told(0.1, 0.014, lambda x: x * 1_000).split(", or ")
    assert words[0].endswith(" times the reference's or more") and words[1:] == [FAHRENHEIT, KELVIN]
    assert _told(12, 8, lambda x: x / 1_000).endswith(" of the reference's or less")


def test_a_sensor_that_stands_still_has_no_other_unit(spec_and_group: tuple[Numeric, np.ndarray]) -> None:
    feature, reference = spec_and_group
    current = np.zeros_like(reference)
    current[len(current) // 3] = 990
    current[len(current) // 2] = 10
    assert looks(feature, reference, current).startswith("are nearly all the same")
    current[len(current) // 2] = 500
    assert "same" not in looks(feature, reference, current)


def test_what_a_model_answers_is_in_no_unit(spec_and_group: tuple[Numeric, np.ndarray]) -> None:
    feature, reference = spec_and_group
    current = np.zeros_like(reference)
    current[-1] = 1_000
    assert "times the reference's" in looks(feature, reference, current)
    answer = replace(feature, source=replace(feature.source, role=OUTPUT))
    assert looks(answer, reference, current) == ""


@pytest.fixture
def spec_and_group() -> tuple[Numeric, np.ndarray]:
    spec = spec_of({"x": np.random.default_rng(0).normal(100, 5, 20_000)}, np.arange(20_000) // 200)
    [group] = [group for group in groups(spec) if group.name == "x"]
    assert isinstance(group.feature, Numeric)
    return group.feature, parts(group.feature, np.array(spec.reference.counts[group.start : group.stop])).cells


def test_cells_far_outside_are_too_wide_to_say_that_a_sensor_stands_still(
    spec_and_group: tuple[Numeric, np.ndarray],
) -> None:
    feature, reference = spec_and_group
    current = np.zeros_like(reference)
    current[-2] = 1_000  # as wide as many times the range
    assert "same" not in looks(feature, reference, current)
