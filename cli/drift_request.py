"""What `mlpack drift` was asked for: the profiles within some days, and the gates."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import click

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.drift.facts import KINDS
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.drift.reasons import day_text
from mlpack_edge.profiles.drift.windows import days_of, undated
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import Profile
from mlpack_edge.profiles.spec import OUTCOMES, Spec

_DAY = 86_400
#: Outcomes of rows that should have been answered, and the share of them beyond the reference's that is worth a word.
_LOST, _MORE = {"refused": "refused", "failed": "failed on"}, 0.01


def gates_of(significance: float | None, floors: Sequence[str]) -> Gates:
    """floors: "missing=2%", "unseen=.005", "distribution=.05". Wrong usage is click's."""
    if significance is not None and math.isnan(significance):  # which click's range takes for a number within
        raise click.UsageError("--significance nan: write a number up to 0.5")
    gates = Gates() if significance is None else replace(Gates(), level=significance)
    for given in floors:
        kind, equals, text = given.partition("=")
        if not equals or kind not in KINDS:
            raise click.UsageError(f"--floor {given}: write KIND=SHARE, KIND one of {', '.join(KINDS)}")
        gates = replace(gates, **{kind: _share(given, text)})
    return gates


def day_of(text: str, option: str) -> int | None:
    """Days since 1970 of YYYY-MM-DD, None for ""."""
    if not text:
        return None
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) // _DAY
    except ValueError:
        raise click.UsageError(f"{option} {text}: write a day as YYYY-MM-DD") from None


def within(
    profiles: Sequence[Profile], since: int | None, until: int | None, today: int
) -> tuple[list[Profile], list[str]]:
    """The profiles whose days all lie within, and notes of what was left out. Days after tomorrow (of the world) are taken only where
    `until` asks for them: one clock that runs ahead would otherwise be the latest window, in which nothing drifts.

    Raises BadInput where none remains.
    """
    if since is not None and until is not None and since > until:
        raise click.UsageError("--since is later than --until")
    notes: list[str] = []
    kept, there = list(profiles), _reports(len(profiles))
    if until is None:
        kept = [profile for profile in profiles if undated(profile) or days_of(profile)[1] <= today + 1]
        if len(kept) < len(profiles):
            last = day_text(max(days_of(profile)[1] for profile in profiles if not undated(profile)))
            notes.append(
                f"{_reports(len(profiles) - len(kept))} of days to come (up to {last}) left out: --until names later days"
            )
    if since is not None or until is not None:
        timeless = sum(undated(profile) for profile in kept)
        if timeless:
            notes.append(f"{_reports(timeless)} without a date left out: --since and --until choose by days")
        dated = [profile for profile in kept if not undated(profile)]
        kept = [profile for profile in dated if _inside(profile, since, until)]
        across = sum(not _inside(each, since, until) and _touches(each, since, until) for each in dated)
        if across:
            notes.append(f"{_reports(across)} left out that begin before or end after the days asked for")
    if not kept:
        raise BadInput(f"none of {there} lies within the days asked for", _span_hint(profiles), why="; ".join(notes))
    return kept, notes


def unanswered(spec: Spec, profiles: Sequence[Profile]) -> tuple[dict[str, int], str]:
    """How the rows of the newest day ended, by outcome, and a note where the model left more of them without an answer than it did in the
    reference, "" where not. Of profiles with noise nothing is said."""
    place = next(group for group in groups(spec) if group.name == "outcome")
    plain = [profile for profile in profiles if not profile.epsilon]
    newest = max((days_of(profile)[1] for profile in plain), default=0)
    of_day = [profile.counts[place.start : place.stop] for profile in plain if days_of(profile)[1] == newest]
    ended = dict(zip(OUTCOMES, (sum(cells) for cells in zip(*of_day, strict=True)), strict=False))
    known = dict(zip(OUTCOMES, spec.reference.counts[place.start : place.stop], strict=True))
    lost, asked = (sum(ended.get(name, 0) for name in names) for names in (_LOST, (*_LOST, "ok")))
    before = sum(known[name] for name in _LOST) / max(sum(known[name] for name in (*_LOST, "ok")), 1)
    if lost <= (before + _MORE) * asked:
        return ended, ""
    told = " and ".join(f"{verb} {ended[name]:,}" for name, verb in _LOST.items() if ended[name])
    day = f" of {day_text(newest)}" if newest else ""
    return ended, f"the model {told} of {asked:,} rows{day}: their answers are in no figure"


def known_features(spec: Spec, names: Iterable[str]) -> frozenset[str]:
    """Raises BadInput for a name that is no feature of the spec."""
    there = [feature.source.name for feature in spec.features]
    for name in names:
        if name not in there:
            near = difflib.get_close_matches(name, there, 3)
            some = near or there[:10]
            raise BadInput(
                f"--feature {name}: the spec has no such feature",
                f"{'did you mean' if near else 'it has'} {', '.join(some)}" + (" ..." if len(some) < len(there) and not near else ""),
            )  # fmt: skip
    return frozenset(names)


def _share(given: str, text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise click.UsageError(f"--floor {given}: {text!r} is no share; write .02 or 2%")
    return value


def _inside(profile: Profile, since: int | None, until: int | None) -> bool:
    first, last = days_of(profile)
    return (since is None or first >= since) and (until is None or last <= until)


def _touches(profile: Profile, since: int | None, until: int | None) -> bool:
    first, last = days_of(profile)
    return (since is None or last >= since) and (until is None or first <= until)


def _span_hint(profiles: Sequence[Profile]) -> str:
    days = [day for profile in profiles if not undated(profile) for day in days_of(profile)]
    if not days:
        return "leave --since and --until out: the profiles have no date"
    first, last = day_text(min(days)), day_text(max(days))
    return f"they hold {first} to {last}"


def _reports(count: int) -> str:
    return f"{count:,} report{'s' * (count != 1)}"
