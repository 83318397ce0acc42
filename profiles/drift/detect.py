"""Drift of profiles against the reference of their spec: windows, checks, slow shifts and the accuracy proxy. numpy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.drift import accuracy, noisy
from mlpack_edge.profiles.drift.beyond import Beyond, Bools, beyond
from mlpack_edge.profiles.drift.checks import feature_drifts
from mlpack_edge.profiles.drift.clusters import (
    FEWEST,
    SHARDS,
    Shards,
    by_shards,
    few_have_most,
    intraclass,
    shards,
    together,
)
from mlpack_edge.profiles.drift.effects import Floats
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, Accuracy, Check, DriftReport, FeatureDrift, Window, notes
from mlpack_edge.profiles.drift.series import slow_drift
from mlpack_edge.profiles.drift.significance import benjamini_hochberg
from mlpack_edge.profiles.drift.thresholds import blocks_in, gap, limits
from mlpack_edge.profiles.drift.windows import LENGTHS, Stretch, days_of, held_days, stretches
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import Profile
from mlpack_edge.profiles.spec import Spec

Ints = NDArray[np.int64]


def drift(spec: Spec, digest: bytes, profiles: Iterable[Profile], lengths: Sequence[int] = LENGTHS) -> DriftReport:
    """digest: of the spec (`spec_file.digest`). lengths: days of the windows. Reports with noise are judged by window alone.

    Raises BadInput for no profile, profiles of another spec, a length below 1; with noise, where not all have the same, or one
    names no device.
    """
    given = list(profiles)
    for part in given:
        if part.spec != digest[:16]:
            raise BadInput(
                f"a profile was counted by the spec {part.spec.hex()}, this one is {digest[:16].hex()}",
                "name the spec that the profiles were made with",
                why="the cells of two specs do not count the same",
            )
    found = stretches(given, lengths)
    if any(part.epsilon for part in given):
        _expect_alike(given)
        return DriftReport(spec.reference.blocks, tuple(noisy_window(spec, stretch) for stretch in found), (), None)
    return DriftReport(
        spec.reference.blocks,
        windows_of(spec, found),
        slow_drift(spec, given),
        accuracy_of(spec, totals(found[-1].profiles)[0]),
    )


def window_of(spec: Spec, stretch: Stretch) -> Window:
    """Everything that is found of one window of profiles without noise."""
    return windows_of(spec, [stretch])[0]


def windows_of(spec: Spec, found: Sequence[Stretch]) -> tuple[Window, ...]:
    """As `window_of`, of many: nearly as quick as one."""
    samples, said = [], []
    for stretch in found:
        rows, predictions = (sum(getattr(part, name) for part in stretch.profiles) for name in ("rows", "predictions"))
        names = {part.device for part in stretch.profiles if part.device}
        sharded = shards(stretch.profiles) if names and all(part.device for part in stretch.profiles) else None
        if sharded is not None:  # every row is in a shard: adding these up is quicker
            counts, sums = sharded.counts.sum(axis=0), sharded.sums.sum(axis=0)
        else:
            counts, sums = totals(stretch.profiles)
        unit, note = unit_of(spec, sharded, len(names))
        held = held_days((*days_of(part), part.rows) for part in stretch.profiles) if stretch.days is not None else None
        last = stretch.last if stretch.days is not None else None
        samples.append(Sample(counts, sums, stretch.days, rows, sharded, unit, last, held))
        said.append((predictions, len(names) or None, notes(note, gap_note(spec, samples[-1]))))
    judged = features_of_all(spec, samples)
    return tuple(
        Window(stretch.days, stretch.first, stretch.last, one.rows, predictions, devices, one.unit, note, features)
        for stretch, one, (predictions, devices, note), features in zip(found, samples, said, judged, strict=True)
    )


def noisy_window(spec: Spec, stretch: Stretch) -> Window:
    """As `window_of`, of reports with noise."""
    parts = [group for group in groups(spec) if group.feature is not None]
    tell = [noisy.told(group, place, stretch.profiles) for place, group in enumerate(parts)]
    devices = len({part.device for part in stretch.profiles})
    held = held_days((*days_of(part), 1.0) for part in stretch.profiles) if stretch.days is not None else None
    return noisy_window_of(spec, stretch, tell, len(stretch.profiles), devices, stretch.profiles[0].epsilon, held)


def noisy_window_of(
    spec: Spec,
    stretch: Stretch,
    tell: Sequence[noisy.Told],
    reports: int,
    devices: int,
    epsilon: int,
    held: float | None = None,
) -> Window:
    """Of what is told of each feature, in their order, by so many reports of so many devices. stretch: of its profiles nothing is taken.
    epsilon: in millionths; held: `windows.held_days`, by reports. Rows and predictions are estimates."""
    parts = [group for group in groups(spec) if group.feature is not None]
    rows, predictions = noisy.rows_of(spec, tell, reports)
    length = blocks_in(spec, stretch.days, rows)
    last = stretch.last if stretch.days is not None else None
    known = spec.reference
    found = [
        noisy.feature_of(
            group,
            one,
            known,
            known.learned.get(group.name),
            limits(spec, group).of(
                length, max(round(one.counts.sum()), 1), stretch.days, gap(spec, stretch.days, held)
            ),
            (far.unexplained(last), far.explained(last)) if (far := beyond(spec, group)) else None,
        )
        for group, one in zip(parts, tell, strict=True)
    ]
    note = f"counters carry noise (epsilon {epsilon / 1e6:g}): rows are an estimate"
    unclear = sum(not one.clear for one in tell)
    if unclear:
        note += f"; {unclear} of {len(tell)} features are told by too few devices, or drowned, and not judged"
    return Window(
        stretch.days, stretch.first, stretch.last, rows, predictions, devices,
        "devices" if devices <= SHARDS else "shards", note, adjusted(found),
    )  # fmt: skip


def _expect_alike(profiles: Sequence[Profile]) -> None:
    if len({part.epsilon for part in profiles}) > 1:
        raise BadInput(
            "reports with noise (differential privacy) and without, or with different epsilon, are not judged together",
            "judge those of each epsilon on their own",
        )
    if not all(part.device for part in profiles):
        raise BadInput(
            "a report with noise names no device: it was merged, or made without --device",
            "give the reports of the devices as they came",
            why="by rows alone, devices that differ look like drift",
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters int `[vector]` and sums `[numeric features]` of `rows` rows, of a window of so many days. sharded: the same by shard of
    devices, for the units "devices" and "shards", and for how rows of few devices hang together. last: the window's last day, since 1970,
    None for rows without a date; held: `windows.held_days`, None for all of `days`."""

    counts: Ints
    sums: Ints
    days: int | None
    rows: int
    sharded: Shards | None = None
    unit: str = "rows"
    last: int | None = None
    held: float | None = None


def features_of_all(spec: Spec, samples: Sequence[Sample]) -> list[tuple[FeatureDrift, ...]]:
    """Of each sample all features, p-values adjusted over them: arrays over the samples, a feature at a time."""
    known = spec.reference
    counts, sums = (np.array([getattr(one, name) for one in samples], np.int64) for name in ("counts", "sums"))
    lengths = [blocks_in(spec, one.days, one.rows) for one in samples]
    gaps = [gap(spec, one.days, one.held) for one in samples]
    found = []
    for group in groups(spec):
        if group.feature is None:
            continue
        taught, limit = known.learned.get(group.name), limits(spec, group)
        alike, far = intraclass(taught, known), beyond(spec, group)
        mine = counts[:, group.start : group.stop]
        never = [far.unexplained(one.last) for one in samples] if far else []
        growth, p = np.ones(len(samples)), list[dict[str, float] | None]()
        for place, one in enumerate(samples):
            p.append(
                by_shards(group, one.sharded, known, taught, never[place] if far else None)
                if one.sharded is not None and one.unit != "rows"
                else None
            )
            if one.sharded is not None and one.unit == "rows":
                growth[place] = 1 + max(together(one.sharded) - 1, 0.0) * alike
        numeric = group.sum_index >= 0
        found.append(
            feature_drifts(
                group,
                np.array(known.counts[group.start : group.stop], np.int64),
                mine,
                (known.sums[group.sum_index] if numeric else 0, sums[:, group.sum_index].tolist() if numeric else []),
                [
                    limit.of(length, one.rows, one.days, none)
                    for length, one, none in zip(lengths, samples, gaps, strict=True)
                ],
                growth,
                p,
                None if far is None else _rows_beyond(far, never, mine),
            )
        )
    return [adjusted([each[place] for each in found]) for place in range(len(samples))]


def _rows_beyond(far: Beyond, never: Sequence[Bools], counts: Ints) -> tuple[Floats, Floats | None]:
    """Rows of each window, counts int `[windows, size]`, beyond all of the reference: those in its cells of `never`, which count as unseen,
    and of a number that is the time those that the days since explain."""
    unseen = np.array([each[cells].sum() for each, cells in zip(counts, never, strict=True)], np.float64)
    return unseen, None if far.time is None else counts[:, far.never].sum(axis=1) - unseen


def adjusted(features: Sequence[FeatureDrift]) -> tuple[FeatureDrift, ...]:
    """With p_adjusted over all checks of all features: Benjamini-Hochberg. Rates that are 0 in the reference and now could not
    have alarmed whatever happened to the rows, and are no part of the family (Tarone 1990; Gilbert 2005).

    What moved no farther than the reference's own windows do is no discovery, and must not make the others' easier: to them its p
    counts as 1, which is never too small. (A feature with a season is significant every day; five of them would let one in twenty
    of all the others pass by chance.)
    """
    family = [check for feature in features for check in feature.checks if _could_alarm(check)]
    far = [check.effect > (check.learned or 0.0) for check in family]
    plain = benjamini_hochberg([check.p for check in family])
    strict = benjamini_hochberg([check.p if beyond else 1.0 for check, beyond in zip(family, far, strict=True)])
    rates = iter(p if beyond else near for p, near, beyond in zip(strict, plain, far, strict=True))

    def one(check: Check) -> Check:
        p = next(rates) if _could_alarm(check) else 1.0
        return check if check.p_adjusted == p else replace(check, p_adjusted=p)

    return tuple(replace(feature, checks=tuple(one(check) for check in feature.checks)) for feature in features)


def _could_alarm(check: Check) -> bool:
    return check.judged and (check.kind == DISTRIBUTION or check.value != 0 or check.delta != 0)


def totals(profiles: Sequence[Profile]) -> tuple[Ints, Ints]:
    """Counters int `[vector]` and sums `[numeric features]` of all together."""
    counts: Ints = np.array([part.counts for part in profiles], np.int64).sum(axis=0)
    return counts, np.array([part.sums for part in profiles], np.int64).sum(axis=0)


def gap_note(spec: Spec, sample: Sample) -> str:
    """That a window has rows of some of its days only, "" where it has not."""
    none = gap(spec, sample.days, sample.held)
    if sample.days is None or not none:
        return ""
    return (
        f"most rows are of about {(1 - none) * sample.days:.0f} of {sample.days} days, and the limits are wider for it"
    )


def unit_of(spec: Spec, sharded: Shards | None, devices: int) -> tuple[str, str]:
    """What is taken as independent ("rows", "devices", "shards") and a note. sharded: None where some rows are of no device;
    devices: how many are named all the same."""
    if sharded is None:
        if devices:
            return "rows", "some profiles are of devices and some were merged: rows are taken as independent"
        return "rows", ""
    known = spec.reference.devices > 1
    if sharded.devices >= FEWEST:
        note = "" if known else (
            "the reference does not tell devices apart: it is taken to come from as many devices as these profiles"
        )  # fmt: skip
        if few_have_most(sharded):
            unequal = "few devices have most of the rows: they say little of how devices differ, and only what is plain alarms"
            note = notes(note, unequal)
        return ("devices" if sharded.devices <= SHARDS else "shards"), note
    few = f"{sharded.devices} device{'s are' if sharded.devices > 1 else ' is'} too few to show how devices differ"
    how = (
        "the reference's devices say it"
        if spec.reference.devices >= FEWEST
        else "the reference's, as few, say it as well as they can, and an alarm may be a device's own way"
        if known
        else "rows are taken as independent, and an alarm may be a device's own way"
    )
    return "rows", f"{few}: {how}"


def accuracy_of(spec: Spec, counts: Ints) -> Accuracy | None:
    """The proxy of counters int `[vector]`, None where the model gives no confidence or the reference no labels."""
    confidence = next((group for group in groups(spec) if group.name == "confidence" and group.feature is None), None)
    if confidence is None:
        return None
    return accuracy.estimate(spec.reference, counts[confidence.start : confidence.stop].tolist())
