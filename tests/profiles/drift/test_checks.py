"""Many windows at once give what each gives alone, and cost little."""

import time
from dataclasses import asdict, replace

import numpy as np
import pytest

from mlpack_edge.profiles.arrays.counting import ColumnTally
from mlpack_edge.profiles.drift.checks import feature_drifts
from mlpack_edge.profiles.drift.clusters import Shards, by_shards
from mlpack_edge.profiles.drift.detect import drift
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import Window
from mlpack_edge.profiles.spec_file import digest
from tests.profiles.drift import plain_form
from tests.profiles.reference.seventy import columns, seventy

#: Rows of the windows: none, too few to test, and up to what a day of many devices holds.
ROWS = (0, 1, 20, 40, 200, 1_000, 30_000)


def _windows(rng: np.random.Generator, reference: np.ndarray) -> np.ndarray:
    """Counters near the reference's, far from it, all in one cell, all missing, and of cells that the reference has not."""
    share = (reference + 0.01) / (reference + 0.01).sum()
    far = rng.dirichlet(np.ones(len(share)))
    found = [rng.multinomial(rows, p) for rows in ROWS for p in (share, (share + far) / 2, far)]
    corners = [np.eye(len(share), dtype=np.int64)[at] * 500 for at in (0, 1, -1, -2)]
    return np.array([*found, *corners, reference])


@pytest.mark.parametrize("seed", range(3))
def test_windows_together_are_what_each_is_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spec = seventy(5_000, 10, 8, 4)
    for group in groups(spec):
        if group.feature is None:
            continue
        reference = np.array(spec.reference.counts[group.start : group.stop])
        current = _windows(rng, reference)
        many = len(current)
        before, now = int(rng.integers(-9999, 9999)), rng.integers(-(2**40), 2**40, many).tolist()
        growth = np.where(rng.random(many) < 0.5, 1.0, 1 + 9 * rng.random(many))
        given = [{"missing": 0.25, "distribution": 0.125} if rng.random() < 0.2 else None for _ in range(many)]
        limits = [{"missing": 0.1, "unseen": 0.0, "distribution": float(rng.random())} for _ in range(many)]
        together = feature_drifts(group, reference, current, (before, now), limits, growth, given)
        for place, found in enumerate(together):
            alone = plain_form.feature_drift(
                group, reference, current[place], (before, now[place]), limits[place], growth[place], given[place]
            )
            _expect_alike(asdict(found), asdict(alone))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("known", [0, 3, 40])
def test_contrasts_of_shards_together_are_what_each_is_alone(seed: int, known: int) -> None:
    """known: devices of the reference, 0 where it does not tell them apart. Shards of all, one and two, with empty ones."""
    rng = np.random.default_rng(seed)
    spec = seventy(5_000, 10, 8, 4)
    reference = replace(spec.reference, devices=known)
    numbers = len(spec.numeric)
    for count in (1, 2, 8, 32):
        for group in groups(spec):
            if group.feature is None:
                continue
            share = np.array(reference.counts[group.start : group.stop]) + 0.01
            share = (share / share.sum() + rng.dirichlet(np.ones(group.size)) * rng.choice([0, 0.2])) / 2
            counts = np.zeros((count, groups(spec)[-1].stop), np.int64)
            for shard in range(count):
                rows = int(rng.choice([0, 5, 200]))
                counts[shard, group.start : group.stop] = rng.multinomial(rows, share / share.sum())
            each = rng.integers(1, 9, count).astype(float) if seed else None
            found = Shards(counts, rng.integers(-9_999, 9_999, (count, numbers)), count, each)
            for taught in (None, replace(reference.learned[group.name], between_devices=7.5)):
                together = by_shards(group, found, reference, taught)
                _expect_alike(together, plain_form.by_shards(group, found, reference, taught))


def _expect_alike(found: object, wanted: object) -> None:
    assert type(found) is type(wanted)
    if isinstance(wanted, float):
        # Probabilities come from logarithms of factorials, of which nine digits are left.
        assert found == pytest.approx(wanted, rel=1e-8, abs=1e-12, nan_ok=True)
    elif isinstance(wanted, dict):
        assert isinstance(found, dict) and found.keys() == wanted.keys()
        for key, each in wanted.items():
            _expect_alike(found[key], each)
    elif isinstance(wanted, list | tuple):
        assert isinstance(found, list | tuple) and len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            _expect_alike(one, other)
    else:
        assert found == wanted


def test_seventy_features_and_120_days_take_less_than_three_seconds() -> None:
    """Processor time of `drift` alone: 141 windows of a day, a week and four weeks, and the slow drift."""
    spec = seventy(20_000, 100)
    tally = ColumnTally(spec)
    tally.add(columns(1_000, 1), rows=1_000)
    days = [tally.profile(digest(spec), Window(day, day * 86_400, (day + 1) * 86_400)) for day in range(20_000, 20_120)]
    start = time.process_time()
    report = drift(spec, digest(spec), days)
    assert time.process_time() - start < 3
    assert len(report.windows) == 120 + 17 + 4 and len(report.slow) == 70
