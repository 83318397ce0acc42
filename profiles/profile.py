"""A profile: the counters of some rows. Merging is addition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.layout import PREDICTIONS, ROWS, TIMED, groups
from mlpack_edge.profiles.spec import OUTCOMES, Spec

#: No counter of a profile reaches this.
LIMIT = 1 << 48
#: The device of a profile that was merged from several.
MANY = b""


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch that was counted: sequence number and start and end in seconds since 1970 of the counter's own clock."""

    sequence: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Profile:
    """The counters of a window.

    spec: the first 16 bytes of the spec's digest; model: of the model file's SHA-256; device: 16 bytes that stand for a
    device, empty where several were merged. cohort: a group of devices, "" for none. rows, predictions, timed: the totals
    of the groups. counts: int `[vector]`; sums: int `[numeric features]`. epsilon: of differential privacy in millionths,
    0 where no noise was added. With noise (`noise`): carried int `[groups]`, of how many reports each group's counters are, which
    may be negative; rows, predictions, timed, sums and the counters of other groups are 0. Without: carried is empty.
    """

    spec: bytes
    model: bytes
    device: bytes
    cohort: str
    window: Window
    rows: int
    predictions: int
    timed: int
    counts: tuple[int, ...]
    sums: tuple[int, ...]
    epsilon: int = 0
    carried: tuple[int, ...] = ()

    def total(self, kind: str) -> int:
        return {ROWS: self.rows, PREDICTIONS: self.predictions, TIMED: self.timed}[kind]


def merge(profiles: Iterable[Profile]) -> Profile:
    """The profile of all their rows together. Raises BadInput for none, for different specs or models, or with noise beside
    none: their counters do not mean the same."""
    parts = list(profiles)
    if not parts:
        raise BadInput("there is no profile to merge", "name at least one profile file")
    first = parts[0]
    for part in parts[1:]:
        for what, mine, other in (
            ("spec", first.spec.hex(), part.spec.hex()),
            ("model", first.model.hex(), part.model.hex()),
            ("epsilon", str(first.epsilon), str(part.epsilon)),
        ):
            if mine != other:
                raise BadInput(
                    f"profiles of different {what}s cannot be merged: {mine} and {other}",
                    "merge the profiles of each on their own",
                    why="their counters do not count the same",
                )
    return replace(
        first,
        device=first.device if all(part.device == first.device for part in parts) else MANY,
        cohort=first.cohort if all(part.cohort == first.cohort for part in parts) else "",
        window=Window(
            max(part.window.sequence for part in parts),
            min(part.window.start for part in parts),
            max(part.window.end for part in parts),
        ),
        rows=sum(part.rows for part in parts),
        predictions=sum(part.predictions for part in parts),
        timed=sum(part.timed for part in parts),
        counts=tuple(map(sum, zip(*(part.counts for part in parts), strict=True))),
        sums=tuple(map(sum, zip(*(part.sums for part in parts), strict=True))),
        carried=tuple(map(sum, zip(*(part.carried for part in parts), strict=True))),
    )


def faults(spec: Spec, profile: Profile) -> list[str]:
    """What cannot be true of a profile, in words; empty for a sound one."""
    wrong = [f"{name} is negative" for name in (ROWS, PREDICTIONS, TIMED) if profile.total(name) < 0]
    for group in groups(spec):
        part = profile.counts[group.start : group.stop]
        if len(part) != group.size:
            return [f"{len(profile.counts)} counters where the spec has more"]
        if max(map(abs, part)) >= LIMIT:
            wrong.append(f"{group.name}: a counter of {max(part)}")
        if profile.epsilon:
            continue
        if min(part) < 0:
            wrong.append(f"{group.name}: a counter of {min(part)}")
        if sum(part) != profile.total(group.total):
            wrong.append(f"{group.name}: counters sum to {sum(part)}, {group.total} is {profile.total(group.total)}")
    if profile.epsilon or profile.carried:
        return wrong + noise_faults(spec, profile)
    outcome = groups(spec)[-1]
    if profile.counts[outcome.start + OUTCOMES.index("ok")] != profile.predictions:
        wrong.append(
            f"outcome: {profile.counts[outcome.start]} rows were answered, predictions is {profile.predictions}"
        )
    return wrong


def noise_faults(spec: Spec, profile: Profile) -> list[str]:
    """What a profile with noise may not hold, in words: whatever has none would tell what the noise hides."""
    parts = groups(spec)
    if not profile.epsilon:
        return ["it has no noise, and says which groups carry it"]
    if len(profile.carried) != len(parts) or not 0 <= min(profile.carried) <= max(profile.carried) < LIMIT:
        return [f"{len(profile.carried)} groups carry noise where the spec has {len(parts)}"]
    wrong = [] if any(profile.carried) else ["it has noise, and no group carries it"]
    if any((profile.rows, profile.predictions, profile.timed, *profile.sums)):
        wrong.append("it has noise, and totals or sums without")
    for group, carried in zip(parts, profile.carried, strict=True):
        if not carried and any(profile.counts[group.start : group.stop]):
            wrong.append(f"{group.name}: no report carries it, and it has counters")
    return wrong
