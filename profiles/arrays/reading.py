"""Profiles from many reports of one spec, some tens of times as quickly as one by one."""

from __future__ import annotations

from collections.abc import Sequence

from mlpack_edge.profiles.arrays.decoding import ReportDecoder
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.wire.refusal import ReportRefused
from mlpack_edge.profiles.wire.report import ReportFormat

_NUMBERS = ("sequence", "start", "end", "rows", "predictions", "timed", "epsilon")


def profiles_from_reports(form: ReportFormat, reports: Sequence[bytes]) -> list[Profile | ReportRefused]:
    """Of each report its profile, or why it is refused: what `ReportFormat.decode` returns or raises."""
    found = ReportDecoder(form).decode(reports)
    made = dict[int, Profile | ReportRefused](found.refused)
    numbers = zip(*(found.numbers[name].tolist() for name in _NUMBERS), strict=True)
    for row, (place, (sequence, start, end, rows, predictions, timed, epsilon)) in enumerate(
        zip(found.places.tolist(), numbers, strict=True)
    ):
        made[place] = Profile(
            spec=form.digest,
            model=form.model,
            device=found.devices[row],
            cohort=found.cohorts[row],
            window=Window(sequence, start, end),
            rows=rows,
            predictions=predictions,
            timed=timed,
            counts=tuple(found.counts[row].tolist()),
            sums=tuple(found.sums[row].tolist()),
            epsilon=epsilon,
            carried=found.carried.get(place, ()),
        )
    return [made[place] for place in range(len(reports))]
