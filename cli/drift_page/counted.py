"""The counters behind the latest windows of a report: what the page draws beside the findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.cli.drift_page.shown import DEVICES
from mlpack_edge.profiles.drift.facts import DriftReport, Window
from mlpack_edge.profiles.drift.windows import days_of, undated
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import Profile
from mlpack_edge.profiles.spec import Spec

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Counted:
    """By length in days of the latest windows (None for profiles without a date): `counts` int `[vector]`, and `devices` int `[vector]`,
    at least how many devices have a row in each cell; no entry where rows do not come from devices. least: devices from which on a
    cell is shown."""

    counts: Mapping[int | None, Ints]
    devices: Mapping[int | None, Ints]
    least: int = DEVICES


def counted(spec: Spec, report: DriftReport, profiles: Iterable[Profile]) -> Counted:
    """profiles: those that the report judged."""
    given = list(profiles)
    size = groups(spec)[-1].stop
    counts: dict[int | None, Ints] = {}
    devices: dict[int | None, Ints] = {}
    for window in report.latest:
        total = np.zeros(size, np.int64)
        by_device: dict[bytes, Ints] = {}
        for profile in given:
            if not _within(profile, window):
                continue
            mine = np.array(profile.counts, np.int64)
            total += mine
            if profile.device:
                by_device[profile.device] = by_device.get(profile.device, 0) + mine
        counts[window.days] = np.maximum(total, 0)  # noise of differential privacy
        if window.devices is not None:
            devices[window.days] = np.array([each > 0 for each in by_device.values()]).sum(axis=0, dtype=np.int64)
    return Counted(counts, devices)


def _within(profile: Profile, window: Window) -> bool:
    if window.days is None or undated(profile):
        return window.days is None and undated(profile)
    first, last = days_of(profile)
    return window.first <= first and last <= window.last
