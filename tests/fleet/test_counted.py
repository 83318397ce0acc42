"""The counters behind the page of `mlpack fleet drift`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mlpack_edge.cli.drift_page import counted
from mlpack_edge.fleet.reading import Selection, days
from mlpack_edge.fleet.watch import latest_cells, watch
from mlpack_edge.profiles.drift.clusters import SHARDS
from tests.fleet.made import DAY, NOW, SPEC, known, profile, put, report, take

LENGTHS = (1, 7)


def _both(store: Path, devices: int) -> tuple[object, object]:
    """Of the store's days, and of the same profiles as `mlpack drift` counts them."""
    given = [(device, day) for device in range(devices) for day in range(3, 10)]
    put(store.parent / "up", "a.cbor", *(report(device, day) for device, day in given))
    take(store, store.parent / "up")
    found = list(days(store_of(store), known(store), Selection()))
    judged = watch(known(store), found, LENGTHS)
    return latest_cells(judged, found), counted(SPEC, judged, [profile(device, day) for device, day in given])


def store_of(store: Path) -> object:
    from mlpack_edge.fleet.store import open_store

    return open_store(store)


def test_cells_and_their_devices_are_those_of_the_profiles(tmp_path: Path) -> None:
    cells, profiles = _both(tmp_path / "store", 20)
    for length in LENGTHS:
        counts, devices = cells[length]
        assert np.array_equal(counts, profiles.counts[length])
        assert np.array_equal(devices, profiles.devices[length])


def test_of_many_devices_no_more_are_claimed_than_there_are(tmp_path: Path) -> None:
    """Only shards are told apart: a cell is of as many devices as shards, or more."""
    cells, profiles = _both(tmp_path / "store", 60)
    for length in LENGTHS:
        counts, devices = cells[length]
        assert np.array_equal(counts, profiles.counts[length])
        assert (devices <= np.minimum(profiles.devices[length], SHARDS)).all()
        assert ((devices > 0) == (profiles.devices[length] > 0)).all()


def test_rows_of_no_device_are_of_none(tmp_path: Path) -> None:
    put(tmp_path / "up", "a.cbor", report(None, 9))
    take(tmp_path / "store", tmp_path / "up")
    found = list(days(store_of(tmp_path / "store"), known(tmp_path / "store"), Selection()))
    [(counts, devices)] = latest_cells(watch(known(tmp_path / "store"), found, (1,)), found).values()
    assert devices is None and counts.sum() > 0 and NOW > DAY
