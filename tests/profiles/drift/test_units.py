"""Numbers that came in another unit: the nearest change is named, and no more is said than the cells can tell."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mlpack_edge.profiles.arrays.counting import ColumnTally
from mlpack_edge.profiles.drift.effects import parts
from mlpack_edge.profiles.drift.units import resemblance
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import Window
from mlpack_edge.profiles.spec import Numeric
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
