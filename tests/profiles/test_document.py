"""What a profile shows: cells, and what is missing, unseen and out of range; devices by a hash."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlpack_edge.profiles.arrays.counting import Coded, ColumnTally
from mlpack_edge.profiles.device import device_digest
from mlpack_edge.profiles.document import profile_to_json
from mlpack_edge.profiles.profile import Window, merge
from mlpack_edge.profiles.spec import Categorical, Numeric
from tests.profiles.reference.seventy import seventy

WINDOW = Window(3, 0, 86_400)


def test_missing_unseen_and_out_of_range_are_counted_apart() -> None:
    spec = seventy(4000, 10, 4, 3)
    number, few = spec.features[0], spec.features[4]
    assert isinstance(few, Categorical)
    category = replace(few, categories=few.categories[:-1], known=few.categories[-1:])
    spec = replace(spec, features=(*spec.features[:4], category, *spec.features[5:]))
    assert isinstance(number, Numeric)
    below = np.nextafter(number.low, -np.inf)
    values = np.array([number.low, below, number.high, 1e9, np.nan, np.inf, number.centre, number.centre])
    texts = Coded(np.array([0, 1, -1, 2, 2, 0, 0, 0]), (category.categories[0], "never seen", category.known[0]))
    tally = ColumnTally(spec)
    tally.add({number.source.name: values, category.source.name: texts}, rows=8)
    features = profile_to_json(spec, tally.profile(bytes(16), WINDOW))["features"]
    shown = features[number.source.name]
    assert (shown["missing"], shown["out_of_range"], shown["unseen"], shown["invalid"]) == (1, 4, 0, 0)
    assert sum(shown["counts"]) == 7 and len(shown["counts"]) == len(shown["edges"]) + 1
    shown = features[category.source.name]
    assert (shown["missing"], shown["unseen"], shown["out_of_range"]) == (1, 1, 0)
    assert shown["counts"][0] == 4 and shown["counts"][-1] == 2
    assert features["measured_value_1"]["missing"] == 8 and features["measured_value_1"]["mean"] is None


@pytest.mark.parametrize("place", range(4))
def test_the_mean_is_that_of_the_rows_within_the_cells(place: int) -> None:
    spec = seventy(4000, 10, 4, 3)
    number = spec.features[place]
    assert isinstance(number, Numeric)
    random = np.random.default_rng(1)
    values = random.choice([number.low, *number.edges[5:-5]], 2000) + random.integers(0, 2, 2000) * number.step * 100
    tally = ColumnTally(spec)
    tally.add({number.source.name: values}, rows=2000)
    shown = profile_to_json(spec, tally.profile(bytes(16), WINDOW))["features"][number.source.name]
    inner = values[(values >= number.edges[0]) & (values < number.edges[-1])]
    assert shown["mean"] == pytest.approx(inner.mean(), abs=number.step / 2)


def test_the_same_counts_give_the_same_document() -> None:
    spec = seventy(4000, 10, 4, 3)
    values = np.asarray(np.random.default_rng(2).normal(size=100))
    name = spec.features[0].source.name
    whole = ColumnTally(spec)
    whole.add({name: values}, rows=100)
    parts = []
    for part in (values[:30], values[30:]):
        tally = ColumnTally(spec)
        tally.add({name: part}, rows=len(part))
        parts.append(tally.profile(bytes(16), WINDOW))
    one = whole.profile(bytes(16), WINDOW)
    assert (
        profile_to_json(spec, merge(parts)) == profile_to_json(spec, merge(parts[::-1])) == profile_to_json(spec, one)
    )


def test_a_device_is_named_by_a_hash_that_only_its_fleet_can_try() -> None:
    names = {device_digest(name, salt) for name in ("", "N1", "N2") for salt in ("", "s", "N")}
    assert len(names) == 9 and all(len(name) == 16 for name in names)
    assert device_digest("N1", "s") == device_digest("N1", "s")
    assert device_digest("N1", "s").hex() == "f07a7ab3daa50e942c73f09076f55919"
    assert device_digest("\udcff") != device_digest("\udcfe")
