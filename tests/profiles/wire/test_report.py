"""Reports: what is written comes back, in the only bytes that say it; whatever else is refused by name."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpack_edge.profiles.counting import Tally
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.noise import with_noise
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.spec import INPUT, Categorical, Numeric, Presence, Source, Spec
from mlpack_edge.profiles.wire import cbor, refusal, rice
from mlpack_edge.profiles.wire.frame import LONGEST, read_frame, report_id, split, write_frame
from mlpack_edge.profiles.wire.refusal import ReportRefused
from mlpack_edge.profiles.wire.report import ReportFormat
from tests.profiles.strategies import DEVICE, DIGEST, MODEL, WINDOW, profiles, spec_of, specs

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
REASONS = {
    value for name, value in vars(refusal).items() if name.isupper() and isinstance(value, str) and name[0] != "_"
}

NUMBER = Numeric(Source("x", INPUT), (-1.0, 0.0, 1.0, 2.0), -1.0, 1.0, 0.0, 2.0**-10)
SPEC = spec_of(
    [NUMBER, Categorical(Source("t", INPUT), ("a",), ("b",)), Presence(Source("id", INPUT), "")], confidence=False
)
FORMAT = ReportFormat(SPEC, DIGEST)


def sample() -> Profile:
    tally = Tally(SPEC)
    generator = random.Random(0)
    for _ in range(300):
        tally.add([generator.gauss(0, 1), generator.choice("abc"), None], [], latency=generator.randrange(10**7))
    return tally.profile(DIGEST, WINDOW, device=DEVICE, cohort="blue")


GOOD = FORMAT.encode(sample())


def told_apart(data: bytes) -> tuple[list[bytes], str]:
    """The reports of a file, and the name of what ends it, "" where nothing does."""
    found: list[bytes] = []
    try:
        for report in split(data):
            found.append(report)  # noqa: PERF402  # those before the refusal
    except ReportRefused as refused:
        return found, refused.reason
    return found, ""


def sealed(data: bytes) -> bytes:
    """The bytes with the right checksum in place of their last four."""
    return data[:-4] + crc32(data[:-4]).to_bytes(4, "big")


def reason(data: bytes, form: ReportFormat = FORMAT) -> str:
    with pytest.raises(ReportRefused) as refused:
        form.decode(data)
    assert refused.value.hint
    assert refused.value.reason in refused.value.message
    return refused.value.reason


@UNHURRIED
@given(st.data())
def test_a_profile_comes_back_from_its_report(data: st.DataObject) -> None:
    spec = data.draw(specs())
    profile = data.draw(profiles(spec))
    form = ReportFormat(spec, DIGEST)
    assert form.decode(form.encode(profile)) == profile


@UNHURRIED
@given(st.data())
def test_a_damaged_report_is_refused_by_name_and_nothing_else_is_raised(data: st.DataObject) -> None:
    spec = data.draw(specs())
    form = ReportFormat(spec, DIGEST)
    report = bytearray(form.encode(data.draw(profiles(spec))))
    at = data.draw(st.integers(0, 8 * len(report) - 1))
    report[at >> 3] ^= 1 << (at & 7)
    assert reason(bytes(report), form) in REASONS
    assert reason(bytes(report[: data.draw(st.integers(0, len(report) - 1))]), form) in REASONS


@UNHURRIED
@given(st.data())
def test_bytes_written_otherwise_are_refused_even_with_the_right_checksum(data: st.DataObject) -> None:
    """What a reader takes is what the writer would have written: there is no second form of a profile."""
    spec = data.draw(specs())
    form = ReportFormat(spec, DIGEST)
    report = bytearray(form.encode(data.draw(profiles(spec))))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(report) - 5) | st.integers(max(0, len(report) - 40), len(report) - 5))
        edit = data.draw(st.sampled_from(["flip", "set", "insert", "delete"]))
        if edit == "flip":
            report[at] ^= 1 << data.draw(st.integers(0, 7))
        elif edit == "set":
            report[at] = data.draw(st.sampled_from([0, 1, 31, 32, 63, 64, 255]))
        elif edit == "insert":
            report.insert(at, data.draw(st.integers(0, 255)))
        elif len(report) > 60:
            del report[at]
    again = sealed(bytes(report))
    try:
        profile = form.decode(again)
    except ReportRefused as refused:
        # An edit that ends the report earlier leaves the checksum behind it.
        early = refused.reason == refusal.CHECKSUM and cbor.end_of_item(again, 0) < len(again)
        assert early or refused.reason in REASONS - {refusal.CHECKSUM}
    else:
        assert form.encode(profile) == again


@UNHURRIED
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    assert reason(data) in REASONS
    assert reason(sealed(GOOD[:2] + data + b"\0\0\0\0")) in REASONS
    reports, rest = told_apart(data)
    assert b"".join(reports) == data[: sum(map(len, reports))]
    assert (not rest) == (b"".join(reports) == data)


def edited(**changes: object) -> bytes:
    return write_frame(replace(read_frame(GOOD), **changes))  # type: ignore[arg-type]


def written(change: Callable[[bytearray], None]) -> bytes:
    data = bytearray(GOOD)
    change(data)
    return sealed(bytes(data))


def recounted(*counts: tuple[int, int]) -> bytes:
    """The good report with counters changed, and written so by a writer that checks nothing."""
    changed = list(sample().counts)
    for at, count in counts:
        changed[at] = count
    parameters, unary, low = FORMAT._streams(replace(sample(), counts=tuple(changed)))
    return edited(parameters=parameters, unary=unary, low=low)


def _frame() -> dict[str, bytes]:
    frame = read_frame(GOOD)
    return {"sums": frame.sums, "parameters": frame.parameters, "unary": frame.unary, "low": frame.low}


def worse_parameter() -> bytes:
    """The first group written with a parameter that takes more bits."""
    profile = sample()
    parameters = bytearray(_frame()["parameters"])
    parameters[0] += 1
    codes, widths = list[int](), list[int]()
    for group, parameter in zip(FORMAT.groups, parameters, strict=True):
        expected = rice.expectations(profile.total(group.total), FORMAT.shares[group.start : group.stop])
        codes += rice.codes(parameter, profile.counts[group.start : group.stop], expected)
        widths += rice.widths(parameter, expected)
    unary = rice.unary(code >> r for code, r in zip(codes, widths, strict=True))
    return edited(parameters=bytes(parameters), unary=unary, low=rice.low(codes, widths))


def flipped_padding(stream: str) -> bytes:
    content = bytearray(_frame()[stream])
    content[-1] |= 1
    return edited(**{stream: bytes(content)})


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", refusal.TRUNCATED),
    "the last byte is lost": (lambda: GOOD[:-1], refusal.TRUNCATED),
    "half is lost": (lambda: GOOD[: len(GOOD) // 2], refusal.TRUNCATED),
    "a bit of a counter flipped": (lambda: GOOD[:-9] + bytes([GOOD[-9] ^ 4]) + GOOD[-8:], refusal.CHECKSUM),
    "a bit of the checksum flipped": (lambda: GOOD[:-1] + bytes([GOOD[-1] ^ 1]), refusal.CHECKSUM),
    "a byte follows": (lambda: GOOD + b"\0", refusal.TRAILING),
    "a report follows": (lambda: GOOD + GOOD, refusal.TRAILING),
    "version 2": (lambda: written(lambda data: data.__setitem__(1, 2)), refusal.FUTURE),
    "version 2 of another form": (lambda: b"\x83\x02\xa1\x01\x02\xf5", refusal.FUTURE),
    "version 0": (lambda: written(lambda data: data.__setitem__(1, 0)), refusal.MALFORMED),
    "a map": (lambda: written(lambda data: data.__setitem__(0, 0xB1)), refusal.MALFORMED),
    "an array without length": (lambda: written(lambda data: data.__setitem__(0, 0x9F)), refusal.MALFORMED),
    "16 items": (lambda: written(lambda data: data.__setitem__(0, 0x90)), refusal.MALFORMED),
    "a digest of 15 bytes": (lambda: sealed(GOOD[:2] + b"\x4f" + GOOD[3:18] + GOOD[19:]), refusal.MALFORMED),
    "a head longer than needed": (lambda: sealed(b"\x98\x11" + GOOD[1:]), refusal.NOT_CANONICAL),
    "another spec": (lambda: edited(spec=b"\0" * 16), refusal.WRONG_SPEC),
    "another model": (lambda: edited(model=b"\0" * 16), refusal.WRONG_MODEL),
    "rows that are not counted": (lambda: edited(rows=301), refusal.NOT_SUMMING),
    "a negative number": (
        lambda: written(lambda data: data.__setitem__(GOOD.index(b"\x07\x1a"), 0x27)), refusal.NEGATIVE
    ),
    "a number of 2**48": (
        lambda: sealed(GOOD.replace(b"\x07\x1a", b"\x1b" + (1 << 48).to_bytes(8, "big") + b"\x1a", 1)), refusal.OVERFLOW
    ),
    "a window that ends before it starts": (lambda: swapped_window(), refusal.MALFORMED),
    "an unknown cohort letter": (lambda: sealed(GOOD.replace(b"blue", b"Blue")), refusal.MALFORMED),
    "a counter more": (lambda: recounted((0, sample().counts[0] + 1)), refusal.NOT_SUMMING),
    "a negative counter": (lambda: recounted((0, -1), (1, sample().counts[0] + sample().counts[1] + 1)), refusal.NEGATIVE),
    "a counter of 2**48": (lambda: recounted((0, 1 << 48)), refusal.OVERFLOW),
    "answers that were not predicted": (lambda: recounted((len(sample().counts) - 4, 299), (len(sample().counts) - 3, 1)), refusal.NOT_SUMMING),
    "a worse parameter": (worse_parameter, refusal.NOT_CANONICAL),
    "a parameter of 64": (lambda: edited(parameters=b"\x40" + _frame()["parameters"][1:]), refusal.MALFORMED),
    "a parameter too few": (lambda: edited(parameters=_frame()["parameters"][1:]), refusal.MALFORMED),
    "a bit behind the remainders": (lambda: flipped_padding("low"), refusal.NOT_CANONICAL),
    "a bit behind the quotients": (lambda: flipped_padding("unary"), refusal.MALFORMED),
    "a byte behind the quotients": (lambda: edited(unary=_frame()["unary"] + b"\0"), refusal.NOT_CANONICAL),
    "a byte behind the remainders": (lambda: edited(low=_frame()["low"] + b"\0"), refusal.NOT_CANONICAL),
    "remainders too few": (lambda: edited(low=_frame()["low"][:-1]), refusal.TRUNCATED),
    "sums in more bytes than needed": (lambda: edited(sums=b"\0\0\0\0\0\0\0\1"), refusal.NOT_CANONICAL),
    "sums of nine bytes": (lambda: edited(sums=b"\1" * 9), refusal.MALFORMED),
    "no sums": (lambda: edited(sums=b""), refusal.MALFORMED),
    "more than a megabyte": (lambda: bytes(LONGEST + 1), refusal.TOO_LONG),
}  # fmt: skip


def swapped_window() -> bytes:
    start, end = (cbor.head(cbor.UNSIGNED, time) for time in (WINDOW.start, WINDOW.end))
    return sealed(GOOD.replace(start + end, end + start, 1))


@pytest.mark.parametrize("what", REFUSED)
def test_a_report_is_refused_by_name(what: str) -> None:
    make, expected = REFUSED[what]
    assert reason(make()) == expected


def test_every_reason_is_tried() -> None:
    assert {expected for _, expected in REFUSED.values()} == REASONS


def test_a_writer_refuses_what_a_reader_would() -> None:
    for change, expected in (
        ({"rows": 301}, refusal.NOT_SUMMING),
        ({"counts": (-1, *sample().counts[1:])}, refusal.NEGATIVE),
        ({"counts": sample().counts[1:]}, refusal.WRONG_SPEC),
        ({"sums": (1 << 63,)}, refusal.OVERFLOW),
        ({"spec": bytes(16)}, refusal.WRONG_SPEC),
        ({"model": bytes(16)}, refusal.WRONG_MODEL),
        ({"device": b"short"}, refusal.MALFORMED),
        ({"cohort": "Blue"}, refusal.MALFORMED),
        ({"cohort": "\udcff"}, refusal.MALFORMED),
        ({"counts": (1 << 200, *sample().counts[1:])}, refusal.OVERFLOW),
        ({"window": Window(-1, 0, 0)}, refusal.OVERFLOW),
        ({"window": Window(1, 2, 1)}, refusal.MALFORMED),
    ):
        with pytest.raises(ReportRefused) as refused:
            FORMAT.encode(replace(sample(), **change))  # type: ignore[arg-type]
        assert refused.value.reason == expected, change


def test_a_report_with_noise_may_hold_negative_counters_and_says_that_it_is_one() -> None:
    noisy = with_noise(
        SPEC, Tally(SPEC).profile(DIGEST, WINDOW, device=DEVICE), 10**5, below=random.Random(3).randrange
    )
    report = FORMAT.encode(noisy)
    assert min(noisy.counts) < 0
    assert FORMAT.decode(report) == noisy
    assert (read_frame(report).noisy, read_frame(GOOD).noisy) == (True, False)


def test_a_report_with_noise_that_tells_anything_without_is_refused() -> None:
    noisy = with_noise(SPEC, sample(), 1_500_000, below=random.Random(3).randrange)
    other = next(part for part in groups(SPEC) if not any(noisy.counts[part.start : part.stop])).start
    wrong = {
        "totals": replace(noisy, rows=300),
        "totals or sums": replace(noisy, sums=(1,)),
        "no report carries it": replace(noisy, counts=(*noisy.counts[:other], 1, *noisy.counts[other + 1 :])),
        "no group carries": replace(noisy, carried=(0,) * len(noisy.carried), counts=(0,) * len(noisy.counts)),
        "noise on 1 groups": replace(noisy, carried=(1,)),
        "it has no noise": replace(sample(), carried=noisy.carried),
    }
    for said, profile in wrong.items():
        with pytest.raises(ReportRefused, match=said) as refused:
            FORMAT.encode(profile)
        assert refused.value.reason == refusal.MALFORMED
    frame = read_frame(FORMAT.encode(noisy))
    for change, reason in (
        ({"rows": 1}, refusal.MALFORMED),
        ({"sums": bytes(len(frame.sums))}, refusal.MALFORMED),
        ({"sums": frame.sums[1:]}, refusal.MALFORMED),
        ({"sums": b"".join(bytes([0, one]) for one in frame.sums)}, refusal.NOT_CANONICAL),
        ({"sums": bytes([1]) * len(frame.sums)}, refusal.MALFORMED),
        ({"epsilon": 0}, refusal.MALFORMED),
        ({"parameters": bytes([frame.parameters[0] + 1])}, refusal.TRUNCATED),
    ):
        with pytest.raises(ReportRefused) as refused:
            FORMAT.decode(write_frame(replace(frame, **change)))
        assert refused.value.reason == reason, change


def test_the_id_is_that_of_device_model_spec_and_window_whatever_was_counted() -> None:
    frame = read_frame(GOOD)
    assert frame.id == report_id(DEVICE, bytes.fromhex(MODEL)[:16], DIGEST[:16], WINDOW)
    assert read_frame(FORMAT.encode(with_noise(SPEC, sample(), 10**6))).id == frame.id
    others = [edited(device=b""), edited(spec=bytes(16)), edited(model=bytes(16))]
    others += [edited(window=replace(WINDOW, **{name: 9})) for name in ("sequence", "start")]
    others.append(edited(window=replace(WINDOW, end=WINDOW.end + 1)))
    assert len({read_frame(other).id for other in [GOOD, *others]}) == 7


def test_a_file_of_reports_is_split_and_damage_ends_it_by_name() -> None:
    later = b"\x83\x02\xa1\x01\x02\x44abcd"
    assert told_apart(GOOD + later + GOOD) == ([GOOD, later, GOOD], "")
    assert told_apart(b"") == ([], "")
    assert told_apart(GOOD + GOOD[:100]) == ([GOOD], refusal.TRUNCATED)
    assert told_apart(GOOD + b"\x9f" + GOOD) == ([GOOD], refusal.MALFORMED)
    assert told_apart(b"\x81" * 50 + b"\x00") == ([], refusal.MALFORMED)
    assert told_apart(b"\xc1\x80\xa1\x01\x82\x02\x03\x80\x18\x07") == (
        [b"\xc1\x80", b"\xa1\x01\x82\x02\x03", b"\x80", b"\x18\x07"],
        "",
    )
    with pytest.raises(ReportRefused) as refused:
        list(split(GOOD + b"\x9f"))
    assert (
        refused.value.message
        == f"report refused, malformed: behind 1 reports, at byte {len(GOOD)}: byte {len(GOOD)} begins an item of no stated length"
    )


def test_a_byte_behind_the_quotients_is_refused_wherever_the_last_of_them_ends() -> None:
    ends = set()
    for rows in range(1, 60):
        tally = Tally(SPEC)
        for row in range(rows):
            tally.add([row / 20, "abc"[row % 3], None], [], latency=row**4)
        frame = read_frame(FORMAT.encode(tally.profile(DIGEST, WINDOW)))
        ends.add(rice.bit_text(frame.unary).rindex("1") % 8)
        assert reason(write_frame(replace(frame, unary=frame.unary + b"\0"))) == refusal.NOT_CANONICAL
    assert ends == set(range(8))


@pytest.mark.parametrize("fill", [b"\x00", b"\xff", b"\x01"])
@pytest.mark.parametrize("stream", ["unary", "low", "sums", "parameters"])
def test_a_stream_of_a_megabyte_is_refused_at_once(stream: str, fill: bytes) -> None:
    data = edited(**{stream: fill * (LONGEST - 400)})
    tracemalloc.start()
    before = time.process_time()
    try:
        assert reason(data) in REASONS
        assert time.process_time() - before < 2
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


@given(
    st.lists(st.integers(0, 1 << 20), min_size=1, max_size=8), st.lists(st.integers(0, 1 << 20), min_size=8, max_size=8)
)
def test_the_parameter_is_that_of_the_fewest_bits_and_the_smallest_of_equals(
    counts: list[int], expected: list[int]
) -> None:
    expected = expected[: len(counts)]

    def bits(parameter: int) -> int:
        pairs = zip(rice.codes(parameter, counts, expected), rice.widths(parameter, expected), strict=True)
        return sum((code >> r) + 1 + r for code, r in pairs)

    assert rice.parameter(counts, expected) == min(range(rice.PARAMETERS), key=bits)


def test_a_spec_of_nothing_but_an_outcome_is_reported() -> None:
    spec: Spec = spec_of([], confidence=False)
    form = ReportFormat(spec, DIGEST)
    profile = Tally(spec).profile(DIGEST, WINDOW)
    assert form.decode(form.encode(profile)) == profile


class _Unchecked(ReportFormat):
    def _expect_sound(self, profile: Profile) -> None:
        """Writes whatever it is given."""


def test_a_counter_with_noise_that_is_too_large_is_refused() -> None:
    noisy = with_noise(SPEC, sample(), 10**6, below=random.Random(3).randrange)
    place = next(part.start for part, reports in zip(groups(SPEC), noisy.carried, strict=True) if reports)
    for counter in (1 << 48, -(1 << 48)):
        huge = replace(noisy, counts=(*noisy.counts[:place], counter, *noisy.counts[place + 1 :]))
        with pytest.raises(ReportRefused) as refused:
            FORMAT.decode(_Unchecked(SPEC, DIGEST).encode(huge))
        assert refused.value.reason == refusal.OVERFLOW
