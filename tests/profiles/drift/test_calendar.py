"""Numbers that are the time are known by the reference, told openly, and judged by what time does not explain."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from mlpack_edge.cli.drift_text import drift_text
from mlpack_edge.profiles.drift.calendar import clock
from mlpack_edge.profiles.drift.detect import drift
from mlpack_edge.profiles.drift.document import report_to_json
from mlpack_edge.profiles.drift.facts import DriftReport
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.noise import MILLION, with_noise
from mlpack_edge.profiles.profile import Profile
from mlpack_edge.profiles.spec import Spec
from mlpack_edge.profiles.spec_file import digest
from tests.profiles.drift.made import profile_of, spec_of

ROWS = 60
START = date(2013, 1, 1)
EPOCH = date(1970, 1, 1)
Change = Callable[[np.ndarray], np.ndarray]


def _table(rng: np.random.Generator, days: np.ndarray) -> dict[str, np.ndarray]:
    """days: since START, of each row."""
    dates = [START + timedelta(int(day)) for day in days]
    of_day = np.random.default_rng(1).normal(size=800)
    walk = np.cumsum(of_day) - np.arange(800) * of_day.mean()
    return {
        "month": np.array([each.month for each in dates], float),
        "seconds": 1.357e9 + days * 86_400.0 + rng.integers(0, 86_400, len(days)),
        "day": np.array([each.day for each in dates], float),
        "weekday": np.array([each.weekday() for each in dates], float),
        "weather": of_day[days],
        "price": walk[days],
        "trend": days / 150 + rng.normal(size=len(days)),
        "switch": (days > 70).astype(float),
        "constant": np.ones(len(days)),
        "x": rng.normal(size=len(days)),
    }


def _spec(days: int = 151, first: int = 0) -> Spec:
    of = first + np.repeat(np.arange(days), ROWS)
    spec = spec_of(_table(np.random.default_rng(0), of), of)
    ends = (str(START + timedelta(first)), str(START + timedelta(first + days - 1)))
    blocks = replace(spec.reference.blocks, first=ends[0], last=ends[1])
    return replace(spec, reference=replace(spec.reference, blocks=blocks))


@pytest.fixture(scope="module")
def spring() -> Spec:
    return _spec()


def _profiles(spec: Spec, days: range, device: bytes = b"", **change: Change) -> list[Profile]:
    rng, made = np.random.default_rng(2), []
    for day in days:
        table = _table(rng, np.full(ROWS, day))
        table |= {name: moved(table[name]) for name, moved in change.items()}
        made.append(profile_of(spec, table, (START - EPOCH).days + day, device=device))
    return made


def _report(spec: Spec, days: range, **change: Change) -> DriftReport:
    return drift(spec, digest(spec), _profiles(spec, days, **change))


def _drifted(spec: Spec, days: range, **change: Change) -> dict[str, str]:
    record = report_to_json(_report(spec, days, **change), Gates())
    json.dumps(record, allow_nan=False)
    return {
        each["name"]: each["reason"]
        for each in record["features"]
        if each["drifted"] and each["name"] in ("month", "seconds")
    }


JUNE = range(151, 181)


@pytest.mark.parametrize(("days", "first"), [(151, 0), (151, 100), (80, 0), (240, 30), (365, 0)])
def test_a_month_and_a_clock_are_the_time_and_nothing_else_is(days: int, first: int) -> None:
    spec = _spec(days, first)
    found = [group.name for group in groups(spec) if group.feature is not None and clock(spec, group)]
    assert found == ["month", "seconds"]


def test_a_short_reference_and_a_number_of_two_values_say_too_little() -> None:
    for days in (13, 45):
        spec = _spec(days)
        assert not clock(spec, groups(spec)[0])


@pytest.mark.parametrize("days", [JUNE, range(151, 152), range(181, 188), range(181, 212), range(304, 365)])
def test_time_going_on_is_no_alarm(spring: Spec, days: range) -> None:
    assert _drifted(spring, days) == {}


def test_it_is_told_openly_in_words_and_in_figures(spring: Spec) -> None:
    report = _report(spring, JUNE)
    month = next(each for each in report_to_json(report, Gates())["features"] if each["name"] == "month")
    assert month["reason"] == (
        "follows the calendar through the whole reference: not judged by its distribution; "
        "100 % of rows lie beyond the reference's range, as the days since explain"
    )
    assert (month["drifted"], month["follows_calendar"], month["threshold"]) == (False, True, None)
    assert month["effect"] > 0.9 and not month["checks"][-1]["judged"]
    text = drift_text(report, Gates())
    assert f"calendar   month and seconds: {month['reason']}" in text
    row = next(line for line in text.splitlines() if line.startswith("month ")).split()
    assert row[1:4] == ["distribution", "1.00", "-"] and row[-1] == "no"


def test_the_slow_detector_does_not_follow_it(spring: Spec) -> None:
    names = {slow.name for slow in _report(spring, JUNE).slow}
    assert names and not names & {"month", "seconds"}


@pytest.mark.parametrize(
    ("change", "share"),
    [
        (lambda values: np.full(len(values), 13.0), "100"),
        (lambda values: np.where(np.arange(len(values)) % 50 == 0, 13, values), "3.3"),
        (lambda values: np.zeros(len(values)), "100"),
        (lambda values: np.full(len(values), 2099.0), "100"),
        (lambda values: values * 30, "100"),
        (lambda values: -values, "100"),
    ],
)
def test_values_that_time_does_not_explain_alarm(spring: Spec, change: Change, share: str) -> None:
    assert _drifted(spring, JUNE, month=change) == {
        "month": f"{share} % of rows hold no number, or one beyond the reference's range that the days since do not explain"
    }


def test_another_unit_of_a_clock_alarms(spring: Spec) -> None:
    for factor in (1e3, 1e-3, 1 / 3600):
        assert set(_drifted(spring, JUNE, seconds=lambda values, by=factor: values * by)) == {"seconds"}  # type: ignore[misc]


def test_what_is_missing_and_what_is_no_number_alarms(spring: Spec) -> None:
    lost = _drifted(spring, JUNE, month=lambda values: np.where(np.arange(len(values)) % 20 == 0, np.nan, values))
    assert lost == {"month": "missing rose from 0 to 5.0 % of rows"}
    words = _drifted(spring, JUNE, month=lambda values: np.full(len(values), "June", object))
    assert words["month"].startswith("100 % of rows hold no number")


def test_a_year_has_seen_every_month() -> None:
    """After a year of reference January is January; a thirteenth month is none."""
    spec = _spec(365)
    assert "month" not in _drifted(spec, range(365, 396))
    assert "month" in _drifted(spec, range(365, 396), month=lambda values: values + 12)


def test_what_never_comes_back_goes_on_after_a_year_too() -> None:
    """Seconds since 1970 and the number of an order: a longer reference must not make them alarm for ever."""
    spec = _spec(400)
    assert "seconds" not in _drifted(spec, range(400, 430))
    assert "seconds" in _drifted(spec, range(400, 430), seconds=lambda values: values + 3 * 366 * 86_400.0)
    assert "seconds" in _drifted(spec, range(400, 430), seconds=lambda values: values * 1000)


def test_the_turn_of_the_year_is_explained_where_the_reference_has_not_seen_one() -> None:
    spec = _spec(180, 184)  # July to December
    assert "month" not in _drifted(spec, range(365, 390))
    assert "month" in _drifted(spec, range(365, 390), month=lambda values: values + 40)


def test_without_a_date_nothing_explains_what_lies_beyond(spring: Spec) -> None:
    table = _table(np.random.default_rng(3), np.repeat(np.arange(151, 181), ROWS))
    record = report_to_json(drift(spring, digest(spring), [profile_of(spring, table)]), Gates())
    assert {"month", "seconds"} <= set(record["drifted"])


def test_devices_and_noise_see_it_alike(spring: Spec) -> None:
    def judged(epsilon: int, **change: Change) -> set[str]:
        made = []
        for device in range(12 if not epsilon else 120):
            day = _profiles(spring, range(160, 161), bytes([device] * 16), **change)
            made += [with_noise(spring, part, epsilon) if epsilon else part for part in day]
        report = drift(spring, digest(spring), made)
        return {
            each.name
            for each in report.windows[0].features
            if Gates().cause(each, True) and each.name in ("month", "seconds")
        }

    for epsilon in (0, 8 * MILLION):
        assert judged(epsilon) == set()
        assert judged(epsilon, month=lambda values: np.full(len(values), 13.0)) == {"month"}
