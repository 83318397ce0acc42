"""Every sound report is in the table once; everything else is in the quarantine with its reason."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from pathlib import Path

import polars
import pytest

from mlpack_edge.core.errors import BadInput
from mlpack_edge.fleet import intake, parts
from mlpack_edge.fleet.store import open_store, writing
from mlpack_edge.profiles.wire import cbor, refusal
from tests.fleet.made import (
    DAY,
    FIRST,
    FORM,
    NOW,
    SPEC,
    ids,
    ids_of,
    make_spec,
    noised,
    profile,
    put,
    report,
    table,
    take,
)

REPORTS = [report(device, day, cohort="blue") for device in range(6) for day in (8, 9, 10)]


def lines(store: Path) -> list[dict[str, object]]:
    return [
        json.loads(line)
        for path in sorted((store / "quarantine").rglob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def test_what_is_stored_is_what_was_sent(tmp_path: Path) -> None:
    put(tmp_path / "up", "a.cbor", *REPORTS)
    taken = take(tmp_path / "store", tmp_path / "up")
    assert (taken.reports, taken.rows, taken.files, taken.rejected) == (18, 18 * 40, 1, {})
    found = table(tmp_path / "store")
    sent = {
        FORM.decode(one).window: FORM.decode(one) for one in REPORTS if FORM.decode(one).device == profile(0, 8).device
    }
    for row in found.filter(device=profile(0, 8).device).iter_rows(named=True):
        day = (row["start"] // DAY) - FIRST
        mine = profile(0, day, cohort="blue")
        assert mine.window in sent
        assert tuple(row["counts"]) == mine.counts and tuple(row["sums"]) == mine.sums
        assert (row["rows"], row["cohort"], row["model"], row["clock"]) == (40, "blue", FORM.model.hex(), "ok")
        assert row["path"].startswith(f"reports/spec={FORM.digest.hex()}/day=2026-09-{1 + day:02}/part-")
        assert row["received"] == int(NOW)


def test_redelivery_in_any_order_and_any_files_changes_nothing(tmp_path: Path) -> None:
    put(tmp_path / "up", "a.cbor", *REPORTS)
    store = tmp_path / "store"
    take(store, tmp_path / "up")
    before = {path: path.read_bytes() for path in store.rglob("*.parquet")}
    again = REPORTS * 2
    random.Random(1).shuffle(again)
    for number in range(0, len(again), 5):
        put(tmp_path / "more" / f"{number % 3}", f"{number}.cbor", *again[number : number + 5])
    taken = take(store, tmp_path / "more", tmp_path / "up")
    assert (taken.reports, taken.repeated) == (0, 54)
    assert {path: path.read_bytes() for path in store.rglob("*.parquet")} == before


def test_a_report_twice_in_one_run_is_stored_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it comes in the same breath, in the next, or after files were written."""
    monkeypatch.setattr(intake, "TOGETHER", 4)
    monkeypatch.setattr(parts, "GATHERED", 8000)
    put(tmp_path / "up", "a.cbor", *REPORTS, *REPORTS[:2])
    put(tmp_path / "up", "b.cbor", REPORTS[0], REPORTS[0], *REPORTS)
    taken = take(tmp_path / "store", tmp_path / "up")
    assert (taken.reports, taken.repeated) == (18, 22)
    assert len(taken.parts) > 3
    assert ids(tmp_path / "store") == ids_of(REPORTS)


def test_flipped_bits_are_quarantined_byte_by_byte_and_cost_nothing_else(tmp_path: Path) -> None:
    chance, sound, damaged, content = random.Random(3), [], [], []
    for one in REPORTS:
        if chance.random() < 0.5:
            flipped = bytearray(one)
            flipped[chance.randrange(len(one))] ^= 1 << chance.randrange(8)
            damaged.append(bytes(flipped))
        else:
            sound.append(one)
        content.append(damaged[-1] if one not in sound else one)
    path = put(tmp_path / "up", "a.cbor", *content)
    taken = take(tmp_path / "store", tmp_path / "up")
    assert ids(tmp_path / "store") == ids_of(sound)
    found = lines(tmp_path / "store")
    assert sum(taken.rejected.values()) == taken.quarantined == len(found) >= 1
    kept = b""
    for line in found:
        offset, size = int(str(line["offset"])), int(str(line["bytes"]))
        raw = next((tmp_path / "store/quarantine").rglob(str(line["raw"]))).read_bytes()
        piece = raw[int(str(line["raw_offset"])) :][:size]
        assert line["file"] == str(path) and path.read_bytes()[offset : offset + size] == piece
        kept += piece
    assert len(kept) == sum(map(len, damaged))
    assert take(tmp_path / "store", tmp_path / "up").quarantined == 0, "it is kept once"


def test_reports_of_a_spec_that_is_not_known_wait_in_the_quarantine(tmp_path: Path) -> None:
    other = make_spec("y")
    theirs = [report(device, 10, spec=other) for device in range(5)]
    put(tmp_path / "up", "a.cbor", REPORTS[0], *theirs, REPORTS[1])
    store = tmp_path / "store"
    taken = take(store, tmp_path / "up", remove=True)
    assert (taken.reports, taken.rejected, taken.removed) == (2, {refusal.WRONG_SPEC: 5}, 1)
    late = take(store, store / "quarantine", specs=(other,), remove=True)
    assert (late.reports, late.removed) == (5, 0), "a store's own files stay"
    assert ids(store) == ids_of([*REPORTS[:2], *theirs])
    assert len(open_store(store).specs) == 2


def test_refused_bytes_are_not_gathered_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are kept as they come, and files are removed while others are still to be read."""
    monkeypatch.setattr(intake, "BYTES_TOGETHER", 3000)
    monkeypatch.setattr(intake, "FILES_TOGETHER", 2)
    seen = []
    for number in range(7):
        put(tmp_path / "up", f"{number}.cbor", REPORTS[number], bytes([number + 24]) * 2000)
    with writing(tmp_path / "store", (SPEC,)) as store:
        run = intake.Intake(store, intake.Policy(settled=0.0, remove=True), NOW)
        taken = run.run([tmp_path / "up"], lambda _: seen.append(len(list((tmp_path / "up").iterdir()))))
    assert (taken.reports, taken.removed, taken.quarantined) == (7, 7, 7)
    assert seen == [5, 3, 1]
    assert len(list((tmp_path / "store/quarantine").rglob("*.cbor"))) >= 4


def test_two_specs_lie_side_by_side(tmp_path: Path) -> None:
    other = make_spec("y")
    put(tmp_path / "up", "a.cbor", REPORTS[0], report(1, 9, spec=other), REPORTS[1])
    assert take(tmp_path / "store", tmp_path / "up", specs=(SPEC, other)).reports == 3
    assert len(list((tmp_path / "store/reports").iterdir())) == 2
    assert take(tmp_path / "store", tmp_path / "up", specs=()).repeated == 3, "a store knows its specs"


def test_a_later_version_is_kept_for_a_later_mlpack(tmp_path: Path) -> None:
    later = cbor.head(cbor.ARRAY, 18) + b"\x02" + cbor.byte_string(bytes(40)) + b"\x00" * 16
    put(tmp_path / "up", "a.cbor", REPORTS[0], later, REPORTS[1])
    taken = take(tmp_path / "store", tmp_path / "up")
    assert (taken.reports, taken.rejected) == (2, {refusal.FUTURE: 1})
    assert next((tmp_path / "store/quarantine/future-version").glob("*.cbor")).read_bytes() == later


def test_late_reports_become_corrections_of_their_day(tmp_path: Path) -> None:
    put(tmp_path / "up", "a.cbor", report(1, 7), report(2, 8), report(3, 9))
    taken = take(tmp_path / "store", tmp_path / "up")
    assert (taken.reports, taken.late) == (3, 1), "received on the eleventh, late after two days"
    corrections = [path for path in table(tmp_path / "store")["path"] if path.startswith("corrections/")]
    assert len(corrections) == 1 and "/day=2026-09-08/part-" in corrections[0]
    assert take(tmp_path / "store", tmp_path / "up").repeated == 3


def test_a_clock_that_cannot_be_right_is_kept_and_known_when_its_time_has_come(tmp_path: Path) -> None:
    """A report from the future that is delivered again when that day has come is still the same report."""
    reports = [report(1, 30), report(2, -9000), report(3, 10)]
    put(tmp_path / "up", "a.cbor", *reports)
    taken = take(tmp_path / "store", tmp_path / "up")
    assert (taken.reports, taken.strays) == (3, 2)
    found = table(tmp_path / "store").sort("clock")
    assert found["clock"].to_list() == ["before the spec", "future", "ok"]
    assert all("/day=2026-09-11/clock-" in path for path in found["path"][:2])
    later = take(tmp_path / "store", tmp_path / "up", now=NOW + 25 * DAY)
    assert (later.reports, later.repeated) == (0, 3)


def test_the_same_id_with_other_counters_is_no_redelivery(tmp_path: Path) -> None:
    put(tmp_path / "up", "a.cbor", report(1, 10))
    put(tmp_path / "up", "b.cbor", report(1, 10, seed=9))
    taken = take(tmp_path / "store", tmp_path / "up")
    assert (taken.reports, taken.repeated, taken.rejected) == (1, 0, {"conflicts with a stored report": 1})
    assert ids(tmp_path / "store") == ids_of([report(1, 10)])
    fresh = put(tmp_path / "late", "c.cbor", report(1, 10, seed=8))
    os.utime(fresh, (NOW - 5, NOW - 5))
    taken = take(tmp_path / "store", tmp_path / "late", settled=60.0)
    assert (taken.waiting, taken.quarantined) == (0, 1), "whole as it is, waiting makes it no other"


def test_a_file_that_is_still_written_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = put(tmp_path / "up", "a.cbor", *REPORTS[:2], REPORTS[2][:50])
    os.utime(path, (NOW - 5, NOW - 5))
    taken = take(tmp_path / "store", tmp_path / "up", settled=60.0, remove=True)
    assert (taken.reports, taken.waiting, taken.rejected, taken.removed) == (2, 1, {}, 0)
    path.write_bytes(b"".join(REPORTS[:3]))
    os.utime(path, (NOW - 5, NOW - 5))
    taken = take(tmp_path / "store", tmp_path / "up", settled=60.0, remove=True)
    assert (taken.reports, taken.repeated, taken.removed) == (1, 2, 0), "its writer may not be done"
    taken = take(tmp_path / "store", tmp_path / "up", settled=60.0, remove=True, now=NOW + 60)
    assert (taken.repeated, taken.removed, path.exists()) == (3, 1, False)


def test_a_tail_that_never_came_is_quarantined(tmp_path: Path) -> None:
    put(tmp_path / "up", "a.cbor", REPORTS[0], REPORTS[1][:50])
    taken = take(tmp_path / "store", tmp_path / "up")
    assert taken.reports == 1 and list(taken.rejected) == [refusal.TRUNCATED]


def test_links_hidden_and_unfinished_names_are_left_alone(tmp_path: Path) -> None:
    outside = put(tmp_path / "elsewhere", "a.cbor", REPORTS[0])
    put(tmp_path / "up", "b.cbor", REPORTS[1])
    put(tmp_path / "up", ".c.cbor.x9", REPORTS[2])
    put(tmp_path / "up", "d.cbor.part", REPORTS[3])
    put(tmp_path / "up/.hidden", "e.cbor", REPORTS[4])
    (tmp_path / "up/link.cbor").symlink_to(outside)
    (tmp_path / "up/folder").symlink_to(outside.parent)
    os.mkfifo(tmp_path / "up/pipe")
    assert take(tmp_path / "store", tmp_path / "up", remove=True).files == 1
    assert ids(tmp_path / "store") == ids_of([REPORTS[1]])
    assert outside.exists()


def test_nothing_is_removed_unless_asked_for(tmp_path: Path) -> None:
    path = put(tmp_path / "up", "a.cbor", *REPORTS)
    take(tmp_path / "store", tmp_path / "up")
    assert path.exists()
    assert take(tmp_path / "store", tmp_path / "up", remove=True).removed == 1
    assert not path.exists()


def test_batches_name_no_device_and_are_never_early(tmp_path: Path) -> None:
    put(tmp_path / "up", "a.cbor", report(None, -200, 5000), report(None, 10, 5000))
    taken = take(tmp_path / "store", tmp_path / "up")
    assert (taken.reports, taken.late, taken.strays) == (2, 1, 0)
    assert table(tmp_path / "store")["device"].to_list() == [None, None]
    assert set(table(tmp_path / "store")["shard"].to_list()) == {255}


def test_a_large_counter_comes_back(tmp_path: Path) -> None:
    """Larger than 16 and 32 bits, beside small ones, and negative ones of noise."""
    large = profile(1, 10, 40)
    counts = tuple(count * 10**11 for count in large.counts)
    large = replace(large, rows=4 * 10**12, predictions=4 * 10**12, timed=4 * 10**12, counts=counts)
    noisy = noised(2)
    put(tmp_path / "up", "a.cbor", *(FORM.encode(one) for one in (large, noisy, profile(3, 10))))
    take(tmp_path / "store", tmp_path / "up")
    stored = {tuple(row) for row in table(tmp_path / "store")["counts"].to_list()}
    kept = table(tmp_path / "store").filter(polars.col("epsilon") > 0)
    assert kept["carried"].to_list() == [list(noisy.carried)] and kept["rows"].to_list() == [0]
    assert stored == {large.counts, noisy.counts, profile(3, 10).counts}


def test_a_large_file_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlpack_edge.fleet import sources

    monkeypatch.setattr(sources, "_BLOCK", 1000)
    monkeypatch.setattr(sources, "AHEAD", 3000)
    monkeypatch.setattr("mlpack_edge.fleet.cutting.AHEAD", 2000)
    put(tmp_path / "up", "a.cbor", *REPORTS, b"\xff" * 5000, *REPORTS[:3])
    taken = take(tmp_path / "store", tmp_path / "up")
    assert (taken.reports, taken.repeated) == (18, 3)


def test_a_file_that_cannot_be_read_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """The memory of this process is a file whose first byte cannot be read."""
    path = put(tmp_path / "up", "a.cbor", *REPORTS)
    taken = take(tmp_path / "store", Path("/proc/self/mem"), path, remove=True)
    assert (taken.reports, taken.removed) == (18, 1)
    assert taken.unreadable == ["/proc/self/mem could not be read: Input/output error"]


def test_a_store_does_not_read_itself(tmp_path: Path) -> None:
    put(tmp_path / "up", "a.cbor", *REPORTS)
    for place in (tmp_path / "up" / "store", tmp_path):
        with pytest.raises(BadInput, match="lie in one another"):
            take(place if place != tmp_path else tmp_path / "s", tmp_path / "up" if place != tmp_path else tmp_path)


def test_a_directory_of_other_things_is_not_made_a_store(tmp_path: Path) -> None:
    put(tmp_path / "home", "letter.txt", b"dear")
    with pytest.raises(BadInput, match="holds other things"):
        take(tmp_path / "home", tmp_path / "home")
    with pytest.raises(BadInput, match="knows no spec"), writing(tmp_path / "new", ()):
        pass


def test_a_store_of_a_later_version_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "up", "a.cbor", *REPORTS)
    take(tmp_path / "store", tmp_path / "up")
    manifest = tmp_path / "store/fleet.json"
    manifest.write_text(manifest.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(BadInput, match="later mlpack"):
        take(tmp_path / "store", tmp_path / "up")
