"""Reports with the noise of differential privacy: shares are right on average, chance knows the noise, and nothing is claimed beyond."""

import random
from dataclasses import replace

import numpy as np
import pytest

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.drift.detect import drift
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, MISSING, DriftReport, FeatureDrift
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.drift.noisy import Told, feature_of, told
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.noise import MILLION, variance, with_noise
from mlpack_edge.profiles.profile import Profile, merge
from mlpack_edge.profiles.spec import Spec
from mlpack_edge.profiles.spec_file import digest
from tests.profiles.drift.made import profile_of, spec_of

ROWS, APART = 20, 0.6


def _rows(rng: np.random.Generator, devices: int, shift: float = 0.0, lost: float = 0.0) -> dict[str, np.ndarray]:
    x, k = (rng.normal(size=(devices, 1)) * APART + rng.normal(size=(devices, ROWS)) for _ in range(2))
    x = np.where(rng.random(x.shape) < lost, np.nan, x + shift)
    return {"x": x, "kind": np.array(list("abcd"), object)[np.searchsorted([-1.0, 0.0, 1.0], k + shift)]}


@pytest.fixture(scope="module")
def spec() -> Spec:
    rng = np.random.default_rng(0)
    table = _rows(rng, 600)
    order = rng.permutation(600 * ROWS)
    mixed = {name: values.ravel()[order] for name, values in table.items()}
    return spec_of(mixed, np.arange(600 * ROWS) // 110, unit="rows", devices=np.repeat(np.arange(600), ROWS)[order])


def _reports(spec: Spec, seed: int, devices: int, epsilon: int = MILLION, **change: float) -> list[Profile]:
    rng, below = np.random.default_rng(seed), random.Random(seed).randrange
    table = _rows(rng, devices, **change)
    exact = (
        profile_of(spec, {name: values[at] for name, values in table.items()}, device=rng.bytes(16))
        for at in range(devices)
    )
    return [with_noise(spec, one, epsilon, below) for one in exact]


def _report(spec: Spec, profiles: list[Profile]) -> DriftReport:
    return drift(spec, digest(spec), profiles)


def test_devices_of_the_reference_s_kind_do_not_alarm(spec: Spec) -> None:
    for seed in range(12):
        assert Gates().judge(_report(spec, _reports(spec, seed, 250))).passed


def test_one_device_with_most_of_the_rows_does_not_alarm(spec: Spec) -> None:
    """Four times as many as all others: it lies where it lies, and the mean with it."""
    passed = []
    for seed in range(6):
        rng, below = np.random.default_rng(seed), random.Random(seed).randrange
        profiles = []
        for rows in [60 * 60 * 4] * 2 + [60] * 58:  # one of the two large ones tells each feature, mostly
            x, k = (rng.normal() * APART + rng.normal(size=rows) for _ in range(2))
            kind = np.array(list("abcd"), object)[np.searchsorted([-1.0, 0.0, 1.0], k)]
            exact = profile_of(spec, {"x": x, "kind": kind}, device=rng.bytes(16))
            profiles.append(with_noise(spec, exact, 4 * MILLION, below))
        passed.append(Gates().judge(_report(spec, profiles)).passed)
    assert all(passed)


def test_noise_alone_is_no_evidence(spec: Spec) -> None:
    """1,000 windows of ever the same shares, by noise alone: p is below .05 about as often as it says, effects are small."""
    rng, group = np.random.default_rng(3), groups(spec)[1]
    before = np.array(spec.reference.counts[group.start : group.stop], float)
    reports = np.full(32, 5.0)
    exact = np.outer(reports * ROWS, before / before.sum())
    q, low, effects = np.exp(-1.0), 0, []
    for _ in range(1000):
        noise = rng.negative_binomial(5, 1 - q, exact.shape) - rng.negative_binomial(5, 1 - q, exact.shape)
        found = feature_of(group, Told(exact + noise, reports, variance(MILLION)), spec.reference, None, {})
        [check] = [check for check in found.checks if check.kind == DISTRIBUTION]
        low += check.p < 0.05
        effects.append(check.effect)
    assert low < 60
    assert np.mean(effects) < 0.01


def test_a_shift_of_all_devices_is_seen(spec: Spec) -> None:
    reasons = Gates().judge(_report(spec, _reports(spec, 5, 700, shift=0.6))).reasons
    assert [reason.split(":")[0] for reason in reasons] == ["x", "kind"]


def test_missing_values_are_seen(spec: Spec) -> None:
    report = _report(spec, _reports(spec, 6, 500, lost=0.3))
    [x] = [feature for feature in report.windows[0].features if feature.name == "x"]
    cause = Gates().cause(x, report.sufficient)
    assert cause is not None and cause.kind == MISSING
    assert x.missing[1] == pytest.approx(0.3, abs=0.05)


def test_rows_and_effects_are_estimated_without_bias(spec: Spec) -> None:
    """Over 20 windows of 150 devices the mean estimate of rows, and of a rate that is not 0, is the truth."""
    rows, rates = [], []
    for seed in range(20):
        [window] = _report(spec, _reports(spec, 50 + seed, 150, lost=0.2)).windows
        rows.append(window.rows)
        rates += [feature.missing[1] for feature in window.features if feature.name == "x"]
    assert np.mean(rows) == pytest.approx(150 * ROWS, rel=0.02)
    assert np.mean(rates) == pytest.approx(0.2, abs=0.02)
    assert np.std(rows) > 10, "they are estimates"


def test_less_epsilon_never_makes_chance_less_likely(spec: Spec) -> None:
    """The same counters, taken with more noise, are weaker evidence and smaller effects."""
    group, place = groups(spec)[0], 0
    profiles = _reports(spec, 8, 600, epsilon=8 * MILLION, shift=0.3)

    def found(epsilon: int) -> FeatureDrift:
        one = replace(told(group, place, profiles), variance=variance(epsilon))
        return feature_of(group, one, spec.reference, spec.reference.learned["x"], {})

    weak, strong = (found(epsilon).checks[-1] for epsilon in (2 * MILLION, 8 * MILLION))
    assert weak.p >= strong.p and weak.effect < strong.effect and weak.value == strong.value


def test_what_too_few_devices_tell_is_not_judged_and_said(spec: Spec) -> None:
    report = _report(spec, _reports(spec, 9, 10))
    [window] = report.windows
    assert window.note == (
        "counters carry noise (epsilon 1): rows are an estimate; 2 of 2 features are told by too few devices, or drowned, and not judged"
    )
    assert all(not feature.checks for feature in window.features)
    assert Gates().judge(report).passed


def test_windows_without_rows_are_no_drift(spec: Spec) -> None:
    """Noise without a row behind it says nothing of shares."""
    empty = {"x": np.array([]), "kind": np.array([], object)}
    rng, below = np.random.default_rng(1), random.Random(1).randrange
    exact = [profile_of(spec, empty, device=rng.bytes(16)) for _ in range(200)]
    for epsilon in (MILLION // 2, 4 * MILLION):
        report = _report(spec, [with_noise(spec, one, epsilon, below) for one in exact])
        assert all(not feature.checks for feature in report.windows[0].features)
        assert "2 of 2 features" in report.windows[0].note


def test_means_indices_slow_drift_and_accuracy_are_not_given(spec: Spec) -> None:
    report = _report(spec, _reports(spec, 10, 200))
    assert (report.slow, report.accuracy) == ((), None)
    for feature in report.windows[0].features:
        assert dict(feature.indices) == {} and feature.mover is None and feature.resembles == ""


def test_noise_beside_none_other_noise_and_no_device_is_refused(spec: Spec) -> None:
    profiles = _reports(spec, 11, 12)
    for other in (
        _reports(spec, 12, 1, epsilon=2 * MILLION),
        [profile_of(spec, {"x": np.array([1.0])}, device=b"d" * 16)],
    ):
        with pytest.raises(BadInput, match="epsilon"):
            _report(spec, [*profiles, *other])
    with pytest.raises(BadInput, match="names no device"):
        _report(spec, [merge(profiles)])
