"""What blocks teach: the largest effect of quiet windows, how levels move, how devices differ."""

from __future__ import annotations

import numpy as np
import pytest

from mlpack_edge.profiles.arrays.counting import Coded
from mlpack_edge.profiles.drift.effects import effects
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.reference.devices import DeviceSums
from mlpack_edge.profiles.reference.learned import LENGTHS, learned, long_run_sd, standard_deviation, thresholds
from mlpack_edge.profiles.spec import Numeric, Spec
from tests.profiles.reference.seventy import columns, features_of, seventy


@pytest.fixture(scope="module")
def spec() -> Spec:
    return seventy(12_000, 60, 4, 3)


def test_no_window_of_the_reference_is_beyond_its_threshold() -> None:
    feature = features_of(columns(6000, 1, 1, 0), 6000)[0]
    counts = np.random.default_rng(2).multinomial(100, np.full(feature.size, 1 / feature.size), 60)
    found = thresholds(feature, counts)
    assert set(found) == set(LENGTHS) and [found[length].windows for length in LENGTHS] == [60, 8, 2]
    for length in LENGTHS:
        largest = 0.0
        for start in range(60 - length + 1):
            window = counts[start : start + length].sum(axis=0)
            largest = max(largest, float(effects(feature, counts.sum(axis=0) - window, window).distribution))
        assert largest <= found[length].distribution <= 1.001 * largest


def test_lengths_that_do_not_go_twice_into_the_blocks_have_no_threshold() -> None:
    feature = features_of(columns(600, 1, 1, 0), 600)[0]
    counts = np.full((20, feature.size), 3)
    assert set(thresholds(feature, counts)) == {1, 7}
    assert thresholds(feature, counts[:1]) == {}


def test_a_block_that_differs_raises_the_threshold(spec: Spec) -> None:
    layout = groups(spec)
    group = layout[0]
    counts = np.tile(np.array(spec.reference.counts) // 60, (60, 1))
    sums = np.zeros((60, len(spec.numeric)), np.int64)
    quiet = learned(layout, counts, sums, {})[group.name]
    counts[30, group.start : group.stop] = np.roll(counts[30, group.start : group.stop], 12)
    moved = learned(layout, counts, sums, {})[group.name]
    assert quiet.thresholds[1].distribution < 0.05
    assert moved.thresholds[1].distribution > 0.2
    assert moved.effects[30] > 100 > max(moved.effects[:30])


def test_levels_that_hang_together_have_a_larger_long_run_deviation() -> None:
    random = np.random.default_rng(3)
    single = random.normal(size=400)
    walk = np.convolve(single, np.ones(5) / np.sqrt(5), mode="valid")
    assert long_run_sd(single) == pytest.approx(1.0, abs=0.25)
    assert long_run_sd(walk) > 1.5
    assert long_run_sd(np.array([1.0])) == 0.0
    assert long_run_sd(np.array([np.nan, 1.0, 1.0])) == 0.0


def test_the_standard_deviation_of_cells_is_that_of_the_data() -> None:
    values = np.asarray(columns(50_000, 4, 1, 0)["measured_value_0"])
    feature = features_of({"x": values}, 50_000)[0]
    assert isinstance(feature, Numeric)
    there = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(feature.edges, there, side="right"), minlength=feature.size)
    total = int(np.floor((there - feature.centre) / feature.step).sum())
    assert standard_deviation(feature, counts, total) == pytest.approx(there.std(), rel=0.02)


def test_rows_without_a_device_are_those_of_none() -> None:
    values = np.where(np.arange(200) < 100, 5.0, np.arange(200) % 2)
    sums = DeviceSums(features_of({"x": values}, len(values)))
    sums.update({"x": values}, Coded(np.where(np.arange(200) < 100, -2, np.arange(200) % 2), ["d0", "d1"]))
    alone = DeviceSums(features_of({"x": values}, len(values)))
    alone.update({"x": values[100:]}, Coded(np.arange(100) % 2, ["d0", "d1"]))
    assert sums.growth() == alone.growth()


@pytest.mark.parametrize("share", [0.0, 0.2, 0.8])
def test_how_much_a_mean_grows_uncertain_follows_kish(share: float) -> None:
    """1 + (rows of a device - 1) times the share of variance between devices."""
    random = np.random.default_rng(5)
    devices, rows = 400, 25
    place = np.repeat(np.arange(devices), rows)
    values = np.sqrt(share) * random.normal(size=devices)[place] + np.sqrt(1 - share) * random.normal(size=len(place))
    features = features_of({"x": values}, len(values))
    sums = DeviceSums(features)
    for start in range(0, len(values), 1000):
        part = slice(start, start + 1000)
        sums.update({"x": values[part]}, Coded(place[part], [f"d{number}" for number in range(devices)]))
    assert sums.devices == devices
    assert sums.growth()["x"] == pytest.approx(1 + (rows - 1) * share, rel=0.25)


def test_the_growth_of_categories_is_that_of_the_one_that_differs_most_between_devices() -> None:
    """The most frequent of ordered categories lies in the middle, where devices that differ hardly show."""
    random = np.random.default_rng(6)
    devices, rows = 400, 25
    place = np.repeat(np.arange(devices), rows)
    level = 0.6 * random.normal(size=devices)[place] + random.normal(size=len(place))
    kinds = np.array(list("abc"), object)[np.searchsorted([-0.8, 0.8], level)]
    names, codes = np.unique(kinds.astype(str), return_inverse=True)
    features = features_of({"kind": Coded(codes, names.tolist())}, len(place))
    sums = DeviceSums(features)
    sums.update({"kind": Coded(codes, names.tolist())}, Coded(place, [f"d{number}" for number in range(devices)]))

    def growth_of(category: str) -> float:
        mean = (kinds == category).reshape(devices, rows).mean(axis=1)
        return float(mean.var() * rows / ((kinds == category).mean() * (kinds != category).mean()))

    assert growth_of("a") > 2 * growth_of("b"), "so it is in these"
    assert sums.growth()["kind"] == pytest.approx(max(growth_of("a"), growth_of("c")), rel=0.02)


def test_devices_that_share_a_place_leave_the_growth_right_on_average(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlpack_edge.profiles.reference.devices.MOST", 400)
    random = np.random.default_rng(7)
    place = np.repeat(np.arange(4_000), 10)
    values = 0.6 * random.normal(size=4_000)[place] + random.normal(size=len(place))
    sums = DeviceSums(features_of({"x": values}, len(values)))
    sums.update({"x": values}, Coded(place, [f"d{number}" for number in range(4_000)]))
    assert sums.devices == 4_000
    assert sums.growth()["x"] == pytest.approx(1 + 9 * 0.36 / 1.36, rel=0.2)
