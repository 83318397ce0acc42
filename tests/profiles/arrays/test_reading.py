"""Profiles of many reports are those of each report on its own."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpack_edge.profiles.arrays.reading import profiles_from_reports
from mlpack_edge.profiles.profile import Profile
from mlpack_edge.profiles.wire.refusal import ReportRefused
from mlpack_edge.profiles.wire.report import ReportFormat
from tests.profiles.large import large_profile, large_spec
from tests.profiles.strategies import DIGEST, profiles, specs


def _alone(form: ReportFormat, report: bytes) -> Profile | ReportRefused:
    try:
        return form.decode(report)
    except ReportRefused as refused:
        return refused


def _told(found: Profile | ReportRefused) -> object:
    return (found.message, found.hint, found.why) if isinstance(found, ReportRefused) else found


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_any_reports_with_and_without_noise_are_read_or_refused_in_the_order_given(data: st.DataObject) -> None:
    spec = data.draw(specs())
    form = ReportFormat(spec, DIGEST)
    good = [form.encode(data.draw(profiles(spec))) for _ in range(data.draw(st.integers(0, 3)))]
    cut = [report[: data.draw(st.integers(0, len(report)))] for report in good]
    given = data.draw(st.permutations([*good, *cut, *data.draw(st.lists(st.binary(max_size=60), max_size=2))]))
    assert list(map(_told, profiles_from_reports(form, given))) == [_told(_alone(form, report)) for report in given]


def test_a_hundred_reports_of_seventy_features_take_less_than_a_fifth_of_the_time() -> None:
    spec = large_spec()
    form = ReportFormat(spec, DIGEST)
    made = large_profile(spec, 1_000, 0.0, np.random.default_rng(1))
    reports = [form.encode(made)] * 100
    start = time.process_time()
    together = profiles_from_reports(form, reports)
    middle = time.process_time()
    assert [form.decode(report) for report in reports] == together == [made] * 100
    assert middle - start < (time.process_time() - middle) / 5
