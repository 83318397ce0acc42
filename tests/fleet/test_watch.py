"""A store is judged as its profiles are."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.core.errors import BadInput
from mlpack_edge.fleet import parts
from mlpack_edge.fleet import watch as watching
from mlpack_edge.fleet.noise import noisy, noisy_days
from mlpack_edge.fleet.reading import Day, Selection, across, days
from mlpack_edge.fleet.shown import Least
from mlpack_edge.fleet.store import open_store
from mlpack_edge.fleet.watch import watch, watch_noisy
from mlpack_edge.profiles.drift.detect import drift
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, MISSING, UNSEEN, DriftReport
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.profile import Profile, merge
from mlpack_edge.profiles.spec_file import digest
from mlpack_edge.profiles.wire.report import ReportFormat
from tests.fleet.made import FIRST, FORM, SPEC, make_spec, noised, profile, put, take

EVERYTHING = Least(0, 0)


def stored(folder: Path, profiles: list[Profile], selection: Selection | None = None) -> list[Day]:
    put(folder / "up", "a.cbor", *(FORM.encode(one) for one in profiles))
    taken = take(folder / "store", folder / "up")
    assert taken.rejected == {}
    store = open_store(folder / "store")
    return list(days(store, store.specs[0], selection or Selection()))


def watched(
    folder: Path, profiles: list[Profile], selection: Selection | None = None, least: Least = EVERYTHING
) -> DriftReport:
    found = stored(folder, profiles, selection)
    return watch(open_store(folder / "store").specs[0], found, least=least)


MADE = {
    "a few devices": [profile(device, day) for device in range(12) for day in range(3)],
    "too few devices": [profile(device, day) for device in range(3) for day in range(3)],
    "many devices": [profile(device, day, shift=device % 7 / 20) for device in range(80) for day in range(4, 11)],
    "many on one day, few on the next": [profile(device, 9) for device in range(60)] + [profile(device, 10) for device in range(9)],
    "a nightly batch": [profile(None, day, 3000, shift=day / 50) for day in range(-20, 11)],
    "some are of no device": [profile(device, 10) for device in range(20)] + [profile(None, 10, 400)],
    "weeks beside days": [profile(device, 3, days=7) for device in range(40)] + [profile(device, 10) for device in range(40)],
    "three weeks of many devices": [profile(device, day, shift=0.1) for device in range(40) for day in range(-10, 11)],
    "several reports a day": [profile(device, 10, sequence=turn) for device in range(50) for turn in range(3)],
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_the_report_is_the_one_of_the_profiles_themselves(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every window, check, figure and slow shift, to the last bit of every p-value, whatever files the reports are spread over."""
    monkeypatch.setattr(parts, "ROW_GROUP", 7)
    monkeypatch.setattr(watching, "TOGETHER", 5)
    mine = watched(tmp_path, MADE[name])
    theirs = drift(SPEC, digest(SPEC), MADE[name])
    assert len(mine.windows) == len(theirs.windows)
    for one, other in zip(mine.windows, theirs.windows, strict=True):
        assert replace(one, features=()) == replace(other, features=())
        for feature, wanted in zip(one.features, other.features, strict=True):
            assert replace(feature, checks=()) == replace(wanted, checks=())
            for check, expected in zip(feature.checks, wanted.checks, strict=True):
                assert (check.kind, check.effect, check.value) == (expected.kind, expected.effect, expected.value)
                assert math.isclose(check.p, expected.p, rel_tol=1e-9, abs_tol=1e-300)
                assert math.isclose(check.p_adjusted, expected.p_adjusted, rel_tol=1e-9, abs_tol=1e-300)
    assert mine.slow == theirs.slow and mine.accuracy == theirs.accuracy
    assert bool(mine.slow) is (name in ("a nightly batch", "three weeks of many devices"))


def test_all_counters_of_a_day_are_added_by_device_or_by_shard(tmp_path: Path) -> None:
    [day] = stored(tmp_path, [profile(device, 10) for device in range(70)] + [profile(None, 10, 500)])
    whole = merge([*(profile(device, 10) for device in range(70)), profile(None, 10, 500)])
    assert tuple(day.counts.sum(axis=0)) == whole.counts and tuple(day.sums.sum(axis=0)) == whole.sums
    assert (day.rows, day.reports, day.nameless, len(day.devices)) == (70 * 40 + 500, 71, 1, 70)
    assert day.counts.shape[0] <= 33 and day.units[-1] == b""


def test_a_cohort_and_days_are_chosen(tmp_path: Path) -> None:
    profiles = [
        profile(device, day, cohort="red" if device % 2 else "blue") for device in range(10) for day in range(6, 11)
    ]
    found = stored(tmp_path, profiles, Selection("red", FIRST + 7, FIRST + 8))
    assert [(day.first - FIRST, day.reports) for day in found] == [(7, 5), (8, 5)]
    store = open_store(tmp_path / "store")
    assert not list(days(store, store.specs[0], Selection("green")))
    with pytest.raises(BadInput, match="holds no report that was asked for"):
        watch(store.specs[0], [])


def test_reports_that_lie_partly_within_the_days_are_counted(tmp_path: Path) -> None:
    profiles = [profile(device, 3, days=3, cohort="red" if device else "blue") for device in range(4)]
    stored(tmp_path, [*profiles, *(profile(9, day) for day in range(2, 8))])
    store = open_store(tmp_path / "store")
    found = {
        (first, last): across(store, store.specs[0], Selection(cohort, first and FIRST + first, last and FIRST + last))
        for first, last, cohort in ((None, None, None), (4, None, None), (None, 4, None), (5, 5, "red"), (3, 5, None), (6, 9, None), (1, 2, None))
    }  # fmt: skip
    assert found == {(None, None): 0, (4, None): 4, (None, 4): 4, (5, 5): 3, (3, 5): 0, (6, 9): 0, (1, 2): 0}


def test_corrections_and_strays_count(tmp_path: Path) -> None:
    """A late report on its own day, one of a wrong clock on the day on which it came."""
    found = stored(tmp_path, [profile(1, 2), profile(2, 10), profile(3, 50), profile(4, -9000)])
    assert [(day.first - FIRST, day.reports, day.strays) for day in found] == [(2, 1, 0), (10, 3, 2)]


def test_drift_of_devices_is_found_and_named(tmp_path: Path) -> None:
    profiles = [profile(device, day, shift=0.6 if day > 8 else 0.0) for device in range(60) for day in range(11)]
    report = watched(tmp_path, profiles, least=Least())
    verdict = Gates().judge(report)
    assert not verdict.passed and any(reason.startswith("x (last day)") for reason in verdict.reasons)
    assert report.latest[0].unit == "shards" and report.latest[0].devices == 60


def test_a_rate_of_few_rows_or_few_devices_is_not_shown(tmp_path: Path) -> None:
    """Nine rows are missing on as many devices; then a hundred rows on nine devices; then on forty."""

    def lost(device: int, count: int) -> Profile:
        whole = profile(device, 10)
        counts = list(whole.counts)
        place = 10  # the missing of x
        while counts[place] < count:
            taken = int(np.argmax(counts[:10]))
            counts[taken] -= 1
            counts[place] += 1
        return replace(whole, counts=tuple(counts))

    for name, amounts, shown in (
        ("few rows", [1] * 9 + [0] * 51, False),
        ("few devices", [15] * 9 + [0] * 51, False),
        ("many", [15] * 40 + [0] * 20, True),
    ):
        profiles = [lost(device, amount) for device, amount in enumerate(amounts)]
        [window] = watched(tmp_path / name, profiles, least=Least()).windows
        feature = next(each for each in window.features if each.name == "x")
        assert math.isnan(feature.missing[1]) is not shown, name
        assert any(check.kind == MISSING for check in feature.checks) is shown
        assert any(check.kind == UNSEEN for check in feature.checks), (
            "nobody is in that cell, which says nothing of anybody"
        )
        assert ("not shown" in window.note) is not shown


def test_a_distribution_of_few_rows_is_a_cell(tmp_path: Path) -> None:
    """Of one row the distance from the reference tells which value it has; of ten devices with a row each it is a distribution."""
    for devices, shown in ((1, False), (9, False), (10, True)):
        profiles = [profile(device, 10, 1) for device in range(devices)]
        [window] = watched(tmp_path / str(devices), profiles, least=Least()).windows
        for feature in window.features:
            assert any(check.kind == DISTRIBUTION for check in feature.checks) is shown, (devices, feature)
            assert bool(feature.indices) is shown


def test_the_accuracy_is_not_estimated_from_few_rows(tmp_path: Path) -> None:
    """Of one row the estimate tells its confidence."""
    bare = make_spec("x")
    sure = replace(bare, confidence=True)
    reference = replace(bare.reference, counts=(*bare.reference.counts[:-60], 120_000, *[0] * 19, *bare.reference.counts[-60:]), right=((50, 40),) * 20)  # fmt: skip
    spec = replace(sure, reference=reference)
    for devices, shown in ((9, False), (10, True)):
        given = [profile(device, 10, 1, spec=spec) for device in range(devices)]
        form = ReportFormat(spec, digest(spec))
        put(tmp_path / str(devices), "a.cbor", *(form.encode(one) for one in given))
        store = tmp_path / f"store {devices}"
        assert take(store, tmp_path / str(devices), specs=(spec,)).reports == devices
        opened = open_store(store)
        found = list(days(opened, opened.specs[0], Selection()))
        assert (watch(opened.specs[0], found).accuracy is not None) is shown
        assert watch(opened.specs[0], found, least=EVERYTHING).accuracy == drift(spec, digest(spec), given).accuracy


def _bluer(device: int, day: int, share: float) -> Profile:
    """So large a share of the rows of green is of blue instead."""
    whole = profile(device, day, 100)
    counts = list(whole.counts)
    moved = round(counts[13] * share)
    counts[13], counts[14] = counts[13] - moved, counts[14] + moved
    return replace(whole, counts=tuple(counts))


def test_a_slow_shift_of_a_category_of_few_devices_is_not_shown(tmp_path: Path) -> None:
    for devices, shown in ((9, False), (12, True)):
        profiles = [_bluer(device, day, 0.9) for device in range(devices) for day in range(-10, 11)]
        report = watched(tmp_path / str(devices), profiles, least=Least())
        assert ("colour" in {slow.name for slow in report.slow}) is shown
        assert "x" in {slow.name for slow in report.slow}, "a mean is no cell"
        assert ("1 slow shift of fewer than 10 rows or 10 devices is not shown" in report.windows[-1].note) is not shown


def test_reports_with_noise_are_no_days_and_counted(tmp_path: Path) -> None:
    """They are of one feature each, and zeros elsewhere that nobody counted."""
    merged = merge([noised(5), noised(6)])
    [day] = stored(tmp_path, [noised(1), merged, *(profile(device, 10) for device in range(2, 5))])
    assert (day.reports, day.rows) == (3, 120)
    store = open_store(tmp_path / "store")
    found = noisy(store, store.specs[0], Selection())
    assert (dict(found.reports), found.nameless, found.total) == ({100_000: 1}, 1, 2)
    assert noisy(store, store.specs[0], Selection("other")).total == 0
    assert noisy(store, store.specs[0], Selection(first=FIRST + 11)).total == 0


#: Devices by day, of an epsilon that leaves something to judge.
MADE_NOISY = {
    "few devices": [noised(device, 10, 2_000_000, 400) for device in range(14)],
    "too few devices": [noised(device, 10, 2_000_000, 400) for device in range(5)],
    "many devices": [noised(device, day, 1_000_000, 200, missing=0.3) for device in range(150) for day in range(4, 11)],
    "few on one day, many on the next": [noised(device, 9, 2_000_000, 400) for device in range(30)]
    + [noised(device, 10, 2_000_000, 400) for device in range(100)],
    "several reports a day": [noised(device, 10, 4_000_000, 300, sequence=turn) for device in range(40) for turn in range(3)],
    "a device's own, merged": [merge([noised(device, 9), noised(device, 10)]) for device in range(30)],
}  # fmt: skip


@pytest.mark.parametrize("name", MADE_NOISY)
def test_reports_with_noise_are_judged_as_mlpack_drift_judges_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit, over any files, and beside reports without noise."""
    monkeypatch.setattr(parts, "ROW_GROUP", 7)
    given = MADE_NOISY[name]
    stored(tmp_path, [*given[::2], profile(900, 10), noised(901, 10, 3_000_000)])
    put(tmp_path / "up", "b.cbor", *(FORM.encode(one) for one in given[1::2]))
    assert take(tmp_path / "store", tmp_path / "up").rejected == {}
    store = open_store(tmp_path / "store")
    epsilon = given[0].epsilon
    found = list(noisy_days(store, store.specs[0], Selection(), epsilon))
    assert sum(day.reports for day in found) == len(given)
    assert watch_noisy(store.specs[0], found, epsilon, least=EVERYTHING) == drift(SPEC, digest(SPEC), given)


def test_missing_values_of_a_fleet_with_noise_are_seen(tmp_path: Path) -> None:
    given = [noised(device, 10, 1_000_000, 200, missing=0.3) for device in range(300)]
    stored(tmp_path, given)
    store = open_store(tmp_path / "store")
    report = watch_noisy(store.specs[0], noisy_days(store, store.specs[0], Selection(), 1_000_000), 1_000_000)
    [reason] = Gates().judge(report).reasons
    assert reason.startswith("x (last day)") and "missing" in reason


def test_a_feature_that_few_devices_tell_has_no_figures(tmp_path: Path) -> None:
    """Eight devices are enough to judge it, and too few to show it."""
    given = [noised(device, 10, 8_000_000, 2000) for device in range(18)]
    telling = [sum(one.carried[place] for one in given) for place in range(2)]
    assert 8 <= min(telling) < 10, "else nothing is tried here"
    stored(tmp_path, given)
    store = open_store(tmp_path / "store")
    found = list(noisy_days(store, store.specs[0], Selection(), 8_000_000))
    for least, shown in ((Least(), [count >= 10 for count in telling]), (Least(devices=8), [True, True])):
        [window] = watch_noisy(store.specs[0], found, 8_000_000, least=least).windows
        assert [bool(feature.checks) for feature in window.features] == shown
        assert [not math.isnan(feature.missing[1]) for feature in window.features] == shown
        assert ("not shown" in window.note) is not all(shown)
