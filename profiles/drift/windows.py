"""Which dated profiles are judged together: windows of so many days, one after another, ending with the newest day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.profile import Profile

#: Days of the windows that are judged where nobody says otherwise.
LENGTHS = (1, 7, 28)
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Stretch:
    """Profiles of `days` days, `first` to `last` (days since 1970, UTC of the counter's clock); days is None for profiles
    without a date."""

    days: int | None
    first: int
    last: int
    profiles: tuple[Profile, ...]


def stretches(profiles: Iterable[Profile], lengths: Sequence[int] = LENGTHS) -> tuple[Stretch, ...]:
    """All windows in the order of their last day, shorter ones first.

    A window is whole: it does not begin before the first day of all profiles. A profile belongs to the windows that hold
    all of its days, so the profile of a week is in no window of a day. Where no window holds one (all are longer), everything is
    one window. Profiles without a date (start and end 0) are one window of their own. Days without a profile make no window.
    Raises BadInput for no profile, and for a length below 1.
    """
    given = list(profiles)
    if not given:
        raise BadInput("there is no profile to judge", "name at least one profile file")
    if min(lengths, default=1) < 1:
        raise BadInput(f"a window of {min(lengths)} days holds nothing", "a window is at least 1 day")
    dated = [(*days_of(part), part) for part in given if not undated(part)]
    found = _dated(dated, sorted(set(lengths))) if dated else []
    timeless = tuple(part for part in given if undated(part))
    return (*([Stretch(None, 0, 0, timeless)] if timeless else []), *found)


def undated(profile: Profile) -> bool:
    return profile.window.start == 0 and profile.window.end == 0


def days_of(profile: Profile) -> tuple[int, int]:
    """The first and the last day that a profile counted, days since 1970."""
    first = profile.window.start // _DAY
    return first, max(first, (profile.window.end - 1) // _DAY)


def held_days(parts: Iterable[tuple[int, int, float]]) -> float:
    """How many days with equally many rows say as much (Kish 1965): about 1 for a week whose rows are nearly all of one day. parts: first
    day, last day and rows, which are taken to lie evenly in their days. 0.0 without rows."""
    rows: dict[int, float] = {}
    for first, last, mine in parts:
        for day in range(first, last + 1):
            rows[day] = rows.get(day, 0.0) + mine / (last - first + 1)
    squares = sum(each * each for each in rows.values())
    return sum(rows.values()) ** 2 / squares if squares else 0.0


def _dated(dated: list[tuple[int, int, Profile]], lengths: Sequence[int]) -> list[Stretch]:
    begin, end = min(first for first, _, _ in dated), max(last for _, last, _ in dated)
    found = []
    for length in lengths:
        parts: dict[int, list[Profile]] = {}
        for first, last, part in dated:
            number = (end - last) // length
            if end - (number + 1) * length + 1 <= first:
                parts.setdefault(number, []).append(part)
        for number, mine in parts.items():
            start = end - (number + 1) * length + 1
            if start >= begin:
                found.append(Stretch(length, start, end - number * length, tuple(mine)))
    if not found:
        found = [Stretch(end - begin + 1, begin, end, tuple(part for _, _, part in dated))]
    return sorted(found, key=lambda stretch: (stretch.last, stretch.days))
