"""Many reports at once are read as each on its own is, whatever their bytes."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpack_edge.profiles.arrays.decoding import BATCH, TOGETHER, ReportDecoder, Reports
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.wire import cbor, refusal, rice
from mlpack_edge.profiles.wire.frame import LONGEST, read_frame, write_frame
from mlpack_edge.profiles.wire.refusal import ReportRefused
from mlpack_edge.profiles.wire.report import ReportFormat
from tests.profiles.large import large_profile, large_spec
from tests.profiles.strategies import DIGEST, profiles, specs


def one_by_one(form: ReportFormat, reports: list[bytes]) -> tuple[dict[int, Profile], dict[int, str]]:
    read: dict[int, Profile] = {}
    refused: dict[int, str] = {}
    for place, report in enumerate(reports):
        try:
            read[place] = form.decode(report)
        except ReportRefused as reason:
            refused[place] = reason.message
    return read, refused


def profile_of(form: ReportFormat, found: Reports, row: int) -> Profile:
    number = {name: int(column[row]) for name, column in found.numbers.items()}
    return Profile(
        form.digest,
        form.model,
        found.devices[row],
        found.cohorts[row],
        Window(number["sequence"], number["start"], number["end"]),
        number["rows"],
        number["predictions"],
        number["timed"],
        tuple(found.counts[row].tolist()),
        tuple(found.sums[row].tolist()),
        number["epsilon"],
        found.carried.get(int(found.places[row]), ()),
    )


def assert_read_alike(form: ReportFormat, reports: list[bytes]) -> None:
    found = ReportDecoder(form).decode(reports)
    read, refused = one_by_one(form, reports)
    assert {place: reason.message for place, reason in found.refused} == refused
    assert {place: profile_of(form, found, row) for row, place in enumerate(found.places.tolist())} == read
    assert found.ids == [read_frame(reports[place]).id for place in read]


def damaged(draw: st.DrawFn, report: bytes) -> bytes:
    """A few bytes changed, most often with the right checksum behind them."""
    data = bytearray(report)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data) - 1) | st.integers(max(0, len(data) - 60), len(data) - 1))
        edit = draw(st.sampled_from(["flip", "set", "insert", "delete", "cut"]))
        if edit == "flip":
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif edit == "set":
            data[at] = draw(st.sampled_from([0, 1, 31, 32, 63, 64, 255]))
        elif edit == "insert":
            data.insert(at, draw(st.integers(0, 255)))
        elif len(data) > 10:
            del data[at : at + 1 if edit == "delete" else None]
        data = data or bytearray(1)
    if draw(st.integers(0, 4)):
        data[-4:] = crc32(data[:-4]).to_bytes(4, "big")
    return bytes(data)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_any_reports_are_read_or_refused_as_the_single_reader_does(data: st.DataObject) -> None:
    spec = data.draw(specs())
    form = ReportFormat(spec, DIGEST)
    good = [form.encode(data.draw(profiles(spec))) for _ in range(data.draw(st.integers(0, 3)))]
    draw = st.composite(damaged)
    bad = [data.draw(draw(report)) for report in good for _ in range(data.draw(st.integers(0, 3)))]
    noise = data.draw(st.lists(st.binary(max_size=60), max_size=2))
    assert_read_alike(form, data.draw(st.permutations([*good, *bad, *noise])))


def test_reports_of_seventy_features_are_read_alike_over_batches() -> None:
    spec = large_spec()
    form = ReportFormat(spec, DIGEST)
    generator = np.random.default_rng(1)
    made = [
        large_profile(spec, int(rows), shift, generator) for shift in (0, 0.5) for rows in (0, 1, 200, 5000, 70_000)
    ]
    reports = [form.encode(profile) for profile in made]
    sealed = random.Random(0)
    for report in reports[:6]:
        data = bytearray(report)
        data[sealed.randrange(60, len(data) - 4)] ^= 1 << sealed.randrange(8)
        reports.append(bytes(data[:-4]) + crc32(bytes(data[:-4])).to_bytes(4, "big"))
    assert_read_alike(form, reports * (BATCH // len(reports) + 2))


def test_a_window_that_ends_before_it_starts_is_refused_among_many() -> None:
    form = ReportFormat(large_spec(), DIGEST)
    report = form.encode(large_profile(large_spec(), 100, 0, np.random.default_rng(1)))
    window = read_frame(report).window
    start, end = (cbor.head(cbor.UNSIGNED, time) for time in (window.start, window.end))
    swapped = report.replace(start + end, end + start)[:-4]
    reports = [report, swapped + crc32(swapped).to_bytes(4, "big"), report]
    assert_read_alike(form, reports)
    assert [reason.reason for _, reason in ReportDecoder(form).decode(reports).refused] == [refusal.MALFORMED]


class _NeverAsked(ReportFormat):
    def decode(self, data: bytes) -> Profile:
        raise AssertionError("a sound report went to the single reader")


def test_sound_reports_never_need_the_single_reader() -> None:
    spec = large_spec()
    generator = np.random.default_rng(3)
    made = [
        large_profile(spec, rows, shift, generator) for shift in (0, 0.5, 3) for rows in (0, 1, 1000, 20_000, 70_000)
    ]
    found = ReportDecoder(_NeverAsked(spec, DIGEST)).decode([ReportFormat(spec, DIGEST).encode(one) for one in made])
    assert [tuple(row) for row in found.counts.tolist()] == [one.counts for one in made]


def test_counters_of_usual_reports_take_four_bytes_and_large_ones_are_whole() -> None:
    spec = large_spec()
    form, generator = ReportFormat(spec, DIGEST), np.random.default_rng(4)
    profile = large_profile(spec, 1000, 0, generator)
    times = 5_000_000  # as many rows of each kind
    many = replace(profile, rows=profile.rows * times, predictions=profile.predictions * times, timed=profile.timed * times, counts=tuple(count * times for count in profile.counts))  # fmt: skip
    usual, large = form.encode(profile), form.encode(many)
    assert ReportDecoder(form).decode([usual] * 3).counts.dtype == np.int32
    assert_read_alike(form, [usual, large, usual] * (TOGETHER // 3 + 1))


@pytest.mark.parametrize("silent", [False, True])
def test_a_parameter_that_is_not_the_best_is_found_among_many(silent: bool) -> None:
    """The cheap bounds that spare the search never let another parameter pass; also not of groups of which the reference expects
    nothing (silent): latency, where it was made without a model."""
    spec = large_spec()
    if silent:
        empty = [group for group in groups(spec) if group.name == "latency" or group.start % 3 == 0]
        counts = list(spec.reference.counts)
        for group in empty:
            counts[group.start : group.stop] = [0] * group.size
        spec = replace(spec, reference=replace(spec.reference, counts=tuple(counts)))
    form = ReportFormat(spec, DIGEST)
    generator = np.random.default_rng(2)
    profile = large_profile(spec, 1000, 0, generator)
    form_of_other = _OtherParameters(spec, DIGEST)
    assert not ReportDecoder(form).decode([form.encode(profile)]).refused
    reports = [
        form_of_other.encode_with(profile, group, change)
        for group in range(len(groups(spec)))
        for change in (-1, 1, 32, -32)
    ]
    assert len(set(reports)) > 2 * len(groups(spec))
    assert_read_alike(form, reports)


class _OtherParameters(ReportFormat):
    """A writer that takes another parameter for one group."""

    def encode_with(self, profile: Profile, group: int, change: int) -> bytes:
        parameters, _, _ = self._streams(profile)
        new = parameters[group] + change
        if not 0 <= new < rice.PARAMETERS:
            new = parameters[group]
        given = bytes([*parameters[:group], new, *parameters[group + 1 :]])
        codes, widths = list[int](), list[int]()
        for part, parameter in zip(self.groups, given, strict=True):
            expected = self._expected(part.start, part.stop, profile.total(part.total))
            codes += rice.codes(parameter, profile.counts[part.start : part.stop], expected)
            widths += rice.widths(parameter, expected)
        unary = rice.unary([code >> r for code, r in zip(codes, widths, strict=True)])
        frame = read_frame(self.encode(profile))
        return write_frame(replace(frame, parameters=given, unary=unary, low=rice.low(codes, widths)))


def test_long_reports_are_read_without_a_gigabyte() -> None:
    """Streams of a megabyte each, with the right checksum: one at a time."""
    spec = large_spec()
    form = ReportFormat(spec, DIGEST)
    frame = read_frame(form.encode(large_profile(spec, 10, 0, np.random.default_rng(0))))
    long = write_frame(replace(frame, unary=b"\x01" * (LONGEST - 10_000)))
    tracemalloc.start()
    try:
        found = ReportDecoder(form).decode([long] * 20)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert len(found.refused) == 20


@pytest.mark.parametrize("reports", [[], [b""], [bytes(LONGEST + 1)], [b"\x91\x01"] * 300])
def test_nothing_worth_reading_is_read_as_nothing(reports: list[bytes]) -> None:
    spec = large_spec()
    assert_read_alike(ReportFormat(spec, DIGEST), reports)
    found = ReportDecoder(ReportFormat(spec, DIGEST)).decode(reports)
    assert found.counts.shape == (0, groups(spec)[-1].stop)
