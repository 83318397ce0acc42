"""Small shifts that last are seen in weeks, and quiet years stay quiet although somebody looks every day."""

import numpy as np
import pytest

from mlpack_edge.profiles.drift.detect import drift
from mlpack_edge.profiles.drift.facts import Slow
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.drift.slow import cautious, evidence
from mlpack_edge.profiles.reference.learned import long_run_sd
from mlpack_edge.profiles.spec_file import digest
from tests.profiles.drift.made import profile_of, spec_of


def _days(rng: np.random.Generator, memory: float, count: int, times: int) -> np.ndarray:
    """Autoregressive levels of standard deviation .1, float64 `[times, count]`."""
    noise = rng.normal(size=(times, count + 60)) * 0.1 * np.sqrt(1 - memory**2)
    found = noise.copy()
    for day in range(1, count + 60):
        found[:, day] += memory * found[:, day - 1]
    return found[:, 60:]


def _largest(levels: np.ndarray, blocks: int, shift: float) -> tuple[float, int]:
    reference, current = levels[:blocks], levels[blocks:] + shift
    spread = cautious(long_run_sd(reference), blocks) ** 2
    e = evidence(current - reference.mean(), np.full(len(current), spread), spread / blocks).e
    return float(e.max()), int(np.argmax(e >= 100)) if e.max() >= 100 else len(e)


@pytest.mark.parametrize(("memory", "blocks"), [(0.0, 100), (0.5, 100), (0.0, 365), (0.5, 365)])
def test_a_quiet_year_alarms_at_most_once_in_a_hundred(memory: float, blocks: int) -> None:
    """365 looks, the mean and the spread known from the reference's blocks only."""
    years = _days(np.random.default_rng(7), memory, blocks + 365, 300)
    assert np.mean([_largest(year, blocks, 0.0)[0] >= 100 for year in years]) <= 0.01


@pytest.mark.parametrize(("memory", "days"), [(0.0, 45), (0.5, 110)])
def test_a_tenth_of_a_standard_deviation_is_seen_in_weeks(memory: float, days: int) -> None:
    years = _days(np.random.default_rng(8), memory, 365 * 2, 60)
    assert np.median([_largest(year, 365, 0.1)[1] for year in years]) <= days


def test_a_shift_that_begins_late_is_seen_and_its_beginning_is_found() -> None:
    rng = np.random.default_rng(9)
    levels = rng.normal(size=365) * 0.1
    levels[200:] += 0.2
    found = evidence(levels, np.full(365, 0.01), 0.01 / 365)
    assert found.e[199] < 100 < found.e[240]
    assert 180 <= found.start <= 220 and found.shift == pytest.approx(0.2, abs=0.03)


def test_the_bet_is_fair() -> None:
    """Where nothing moved the evidence is 1 on average, over the reference's randomness too."""
    rng = np.random.default_rng(10)
    e = []
    for _ in range(4_000):
        offset = rng.normal() * 0.05
        e.append(evidence(rng.normal(size=20) * 0.1 + offset, np.full(20, 0.01), 0.0025, (0.1,)).e[-1])
    assert np.mean(e) == pytest.approx(1, abs=0.1)


def _reported(shift: float, devices: tuple[bytes, ...] = (b"",)) -> tuple[Slow, ...]:
    rng = np.random.default_rng(11)
    day = np.repeat(np.arange(200), 200)
    levels = rng.normal(size=400) * 0.1

    def table(numbers: np.ndarray, more: float = 0.0) -> dict[str, np.ndarray]:
        x = rng.normal(size=len(numbers)) + levels[numbers] + more
        kinds = np.searchsorted([-1.0, 0.0, 1.0], rng.normal(size=len(numbers)) + more)
        return {"x": x, "kind": np.array(list("abcd"), object)[kinds], "calm": rng.normal(size=len(numbers))}

    spec = spec_of(table(day), day)
    profiles = [
        profile_of(spec, table(np.full(200, 200 + at), shift), 20_000 + at, device=device)
        for at in range(90)
        for device in devices
    ]
    return drift(spec, digest(spec), profiles).slow


def test_a_report_follows_numbers_and_categories() -> None:
    assert Gates().slow_alarms(_reported(0.0)) == frozenset()
    found = _reported(0.15)
    assert Gates().slow_alarms(found) == {"x", "kind"}
    mean = next(slow for slow in found if slow.name == "x")
    assert mean.level == "mean" and mean.shift == pytest.approx(0.15, abs=0.05) and mean.days == 90


def test_devices_that_the_reference_does_not_tell_apart_are_not_followed() -> None:
    """Their lasting differences cannot be told from drift."""
    assert _reported(0.0, (bytes([1] * 16), bytes([2] * 16))) == ()


def test_many_features_share_the_false_discovery_rate() -> None:
    quiet = [Slow(f"q{at}", "mean", 0.0, 1.0, 1.0, 90, 0) for at in range(19)]
    assert Gates().slow_alarms((*quiet, Slow("x", "mean", 0.1, 150.0, 150.0, 90, 0))) == frozenset()
    assert Gates().slow_alarms((*quiet, Slow("x", "mean", 0.1, 2_001.0, 2_001.0, 90, 0))) == {"x"}


@pytest.mark.parametrize(("before", "now"), [(500, 25), (200, 200)])
def test_amounts_with_heavy_tails_stay_quiet(before: int, now: int) -> None:
    """A row of an amount may be a hundred times the usual; with few rows a day it makes a day that no normal day is."""
    rng = np.random.default_rng(9)
    days = np.repeat(np.arange(60), before)

    def table(rows: int) -> dict[str, np.ndarray]:
        amounts = {f"a{at}": np.exp(2 * rng.normal(size=rows)) for at in range(8)}
        return amounts | {f"t{at}": rng.standard_t(1.5, size=rows) for at in range(8)}

    spec = spec_of(table(len(days)), days)
    found = drift(spec, digest(spec), [profile_of(spec, table(now), 20_000 + at) for at in range(120)], (28,)).slow
    assert len(found) == 16 and Gates().slow_alarms(found) == frozenset()
