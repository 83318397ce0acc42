"""Devices differ, and rows of one device are no independent witnesses."""

import numpy as np
import pytest

from mlpack_edge.profiles.drift.clusters import SHARDS, intraclass, shard_of, shards
from mlpack_edge.profiles.drift.detect import drift
from mlpack_edge.profiles.drift.facts import DriftReport
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.profile import Profile
from mlpack_edge.profiles.spec import Spec
from mlpack_edge.profiles.spec_file import digest
from tests.profiles.drift.made import profile_of, spec_of

ROWS, APART = 20, 0.6


def _rows(rng: np.random.Generator, devices: int, shift: float = 0.0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    of = np.repeat(np.arange(devices), ROWS)
    x, k = (rng.normal(size=devices)[of] * APART + rng.normal(size=len(of)) for _ in range(2))
    kinds = np.array(list("abcd"), object)[np.searchsorted([-1.0, 0.0, 1.0], k)]
    return {"x": x + shift * np.sqrt(1 + APART**2), "kind": kinds}, of


def _spec(known: bool = True) -> Spec:
    rng = np.random.default_rng(0)
    table, of = _rows(rng, 600)
    order = rng.permutation(len(of))
    mixed = {name: values[order] for name, values in table.items()}
    return spec_of(mixed, np.arange(len(of)) // 110, unit="rows", devices=of[order] if known else None)


def _profiles(spec: Spec, rng: np.random.Generator, devices: int, shift: float = 0.0) -> list[Profile]:
    table, of = _rows(rng, devices, shift)
    return [
        profile_of(spec, {name: values[of == at] for name, values in table.items()}, device=rng.bytes(16))
        for at in range(devices)
    ]


def _report(spec: Spec, profiles: list[Profile]) -> DriftReport:
    return drift(spec, digest(spec), profiles)


@pytest.fixture(scope="module")
def spec() -> Spec:
    return _spec()


def test_new_devices_of_one_kind_do_not_alarm(spec: Spec) -> None:
    rng = np.random.default_rng(1)
    for count in (20, 100, 300):
        for _ in range(5):
            report = _report(spec, _profiles(spec, rng, count))
            assert Gates().judge(report).passed
    assert report.windows[0].devices == 300 and report.windows[0].unit == "shards"


def test_a_shift_of_all_devices_is_seen(spec: Spec) -> None:
    report = _report(spec, _profiles(spec, np.random.default_rng(2), 700, 0.25))
    assert [reason.split(":")[0] for reason in Gates().judge(report).reasons] == ["x"]


def test_one_bad_device_among_many_is_no_drift_of_all(spec: Spec) -> None:
    """A third of all unseen values would alarm by rows; they are one device's."""
    rng = np.random.default_rng(3)
    profiles = _profiles(spec, rng, 100)
    bad = {"x": rng.normal(size=ROWS), "kind": np.array(["?"] * ROWS, object)}
    assert Gates().judge(_report(spec, [*profiles, profile_of(spec, bad, device=rng.bytes(16))])).passed


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("largest", [1, 9])
def test_devices_of_very_unequal_size_do_not_alarm(known: bool, largest: int) -> None:
    """One device has as many rows as all others together, or nine times as many: it lies near the mean because it makes it."""
    spec, rng = _spec(known), np.random.default_rng(7)
    passed = []
    for _ in range(12):
        devices = 20
        rows = np.array([ROWS * (devices - 1) * largest, *[ROWS] * (devices - 1)])
        of = np.repeat(np.arange(devices), rows)
        x, k = (rng.normal(size=devices)[of] * APART + rng.normal(size=len(of)) for _ in range(2))
        table = {"x": x, "kind": np.array(list("abcd"), object)[np.searchsorted([-1.0, 0.0, 1.0], k)]}
        profiles = [
            profile_of(spec, {name: values[of == at] for name, values in table.items()}, device=rng.bytes(16))
            for at in range(devices)
        ]
        passed.append(Gates().judge(_report(spec, profiles)).passed)
    assert all(passed)


def test_what_every_device_lost_is_seen_however_unequal_they_are() -> None:
    spec, rng = _spec(known=False), np.random.default_rng(8)
    profiles = [
        profile_of(
            spec,
            {"x": np.full(rows, np.nan), "kind": np.array(list("abcd"), object)[rng.integers(0, 4, rows)]},
            device=rng.bytes(16),
        )
        for rows in [4_000, *[20] * 11]
    ]
    reasons = Gates().judge(_report(spec, profiles)).reasons
    assert any(reason == "x: missing rose from 0 to 100 % of rows" for reason in reasons)


def test_a_reference_of_three_devices_says_little_of_others() -> None:
    """Their mean is as uncertain as three draws leave it."""
    rng = np.random.default_rng(9)
    passed = []
    for _ in range(8):
        of = np.repeat(np.arange(3), 1_500)
        x = rng.normal(size=3)[of] * APART + rng.normal(size=len(of))
        order = rng.permutation(len(of))
        kinds = np.array(list("abcd"), object)[rng.integers(0, 4, len(of))]
        spec = spec_of({"x": x[order], "kind": kinds}, np.arange(len(of)) // 42, unit="rows", devices=of[order])
        passed.append(Gates().judge(_report(spec, _profiles(spec, rng, 60))).passed)
    assert np.mean(passed) >= 0.85


def test_how_alike_the_rows_of_a_device_are_is_known_from_the_reference(spec: Spec) -> None:
    """.36 of 1.36 of the variance lies between devices."""
    assert intraclass(spec.reference.learned["x"], spec.reference) == pytest.approx(0.36 / 1.36, abs=0.05)


def test_few_devices_are_said_to_be_few_and_judged_by_what_the_reference_knows(spec: Spec) -> None:
    rng = np.random.default_rng(4)
    passed = []
    for _ in range(20):
        report = _report(spec, _profiles(spec, rng, 5))
        passed.append(Gates().judge(report).passed)
    window = report.windows[0]
    assert window.unit == "rows" and window.note == (
        "5 devices are too few to show how devices differ: the reference's devices say it"
    )
    assert np.mean(passed) >= 0.95


def test_a_reference_without_devices_is_said_to_be_one() -> None:
    spec = _spec(known=False)
    report = _report(spec, _profiles(spec, np.random.default_rng(5), 100))
    assert "the reference does not tell devices apart" in report.windows[0].note
    assert Gates().judge(report).passed


def test_shards_hold_all_rows_and_are_the_same_everywhere(spec: Spec) -> None:
    profiles = _profiles(spec, np.random.default_rng(6), 200)
    found = shards(profiles)
    assert len(found.counts) == SHARDS and found.devices == 200
    assert found.each is not None and found.each.sum() == 200
    assert (found.each * ROWS == found.counts[:, -4:].sum(axis=1)).all(), "in the order of the shards"
    assert (found.counts.sum(axis=0) == np.sum([part.counts for part in profiles], axis=0)).all()
    assert [shard_of(bytes([at] * 16)) for at in range(6)] == [23, 12, 9, 3, 25, 25]


def test_few_devices_are_a_shard_each(spec: Spec) -> None:
    profiles = _profiles(spec, np.random.default_rng(6), 9)
    assert len(shards([*profiles, *profiles]).counts) == 9
