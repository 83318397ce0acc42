"""A damaged report costs no other report."""

from __future__ import annotations

import random
from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.fleet import cutting
from mlpack_edge.fleet.cutting import AHEAD, pieces
from mlpack_edge.profiles.wire import cbor
from mlpack_edge.profiles.wire.frame import LONGEST, split
from tests.fleet.made import report

REPORTS = [report(device, 0, cohort="blue" if device % 2 else "") for device in range(8)] + [report(None, 1, 70_000)]


def cut(data: bytes) -> list[bytes]:
    found = list(pieces(data, True))
    assert [start for start, _, _ in found] == [0, *(stop for _, stop, _ in found)][:-1]
    assert not data or found[-1][1] == len(data), "bytes were left out"
    for start, stop, sealed in found:
        right = crc32(data[start : stop - 4]).to_bytes(4, "big") == data[stop - 4 : stop]
        assert right or not sealed, "nobody looks at the checksum of a sealed piece again"
        assert sealed or data[start:stop] not in REPORTS
    return [data[start:stop] for start, stop, _ in found]


def test_sound_files_are_cut_as_the_reader_of_single_files_splits_them() -> None:
    assert cut(b"".join(REPORTS)) == list(split(b"".join(REPORTS))) == REPORTS


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_every_report_that_was_not_touched_is_found(data: st.DataObject) -> None:
    """Flips, losses and insertions, lengths among them, in some of the reports of a file."""
    content, sound = b"", []
    for one in REPORTS:
        if data.draw(st.booleans()):
            sound.append(one)
            content += one
            continue
        damaged = bytearray(one)
        at = data.draw(st.integers(0, 70) | st.integers(0, len(one) - 1))
        edit = data.draw(st.sampled_from(["flip", "cut", "insert", "zeros"]))
        if edit == "flip":
            damaged[at] ^= 1 << data.draw(st.integers(0, 7))
        elif edit == "cut":
            del damaged[at:]
        elif edit == "zeros":
            damaged[at : at + 40] = bytes(40)
        else:
            damaged[at:at] = data.draw(st.binary(min_size=1, max_size=30))
        content += damaged
    assert set(sound) <= set(cut(content))


def test_any_bytes_are_cut_and_none_left_out() -> None:
    chance = random.Random(0)
    for size in (1, 2, 5, 100, 5000):
        for _ in range(50):
            cut(chance.randbytes(size))
    cut(bytes(3000))
    assert max(map(len, cut(b"\x5b" + b"\xff" * (3 * LONGEST)))) == LONGEST


def test_reports_of_another_version_are_whole_pieces() -> None:
    later = cbor.head(cbor.ARRAY, 3) + b"\x02" + cbor.byte_string(bytes(20)) + cbor.text("x" * 30)
    assert cut(REPORTS[0] + later + REPORTS[1]) == [REPORTS[0], later, REPORTS[1]]


def test_a_stream_is_cut_as_the_whole_is() -> None:
    """What has not come whole is not judged before there is enough of it."""
    data = b"".join(REPORTS) * (2 * AHEAD // len(b"".join(REPORTS)) + 1)
    stops = [stop for _, stop, _ in pieces(data, False)]
    assert 0 < len(data) - stops[-1] <= AHEAD
    assert [stop for _, stop, _ in pieces(data, True)][: len(stops)] == stops


def test_the_fast_walk_is_the_slow_one() -> None:
    for one in REPORTS:
        assert cutting._report_end(one + b"\x91", 0) == cbor.end_of_item(one, 0)
        assert all(cutting._report_end(one[:size], 0) == 0 for size in range(len(one)))
