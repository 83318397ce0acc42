"""Findings in words."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from mlpack_edge.profiles.drift.facts import MISSING, UNSEEN, Check, FeatureDrift, Slow

#: Said of a feature whose distribution was not tested.
TOO_FEW = "too few values or devices to judge its distribution"
#: From this share of rows on, unknown values look like a changed coding.
_RECODED = 0.5
#: 9999-12-31.
_LAST_DAY = 2_932_896


def reason(feature: FeatureDrift, cause: Check, limit: float) -> str:
    """Why a feature is said to have drifted. limit: what the effect had to exceed (`Gates.threshold`)."""
    if cause.kind == MISSING:
        before, now = feature.missing
        return f"missing {'rose' if now > before else 'fell'} from {percent(before)} to {percent(now)} % of rows"
    if cause.kind == UNSEEN:
        return _unseen(feature, cause)
    if feature.resembles:
        return f"values {feature.resembles}"
    usual = f"; the reference's own windows set the limit at {share(limit)}" if _learned(cause, limit) else ""
    if feature.kind == "categorical":
        return f"{percent(cause.effect)} % of rows moved to other categories{_moved(feature)}{usual}"
    return f"distribution moved by {share(cause.effect)} (Kolmogorov-Smirnov){_mean(cause)}{usual}"


def calm_reason(feature: FeatureDrift, nearest: Check | None, threshold: float, level: float) -> str:
    """Why a feature is not said to have drifted. nearest: to an alarm; threshold: what its effect would have to exceed."""
    if feature.ahead is not None:
        rest = _calm(feature, nearest, threshold, level) if nearest is not None and nearest.judged else ""
        return time_reason(feature.ahead) + (f"; {nearest.kind} {rest}" if nearest is not None and rest else "")
    return _calm(feature, nearest, threshold, level)


def time_reason(ahead: float) -> str:
    """Why a number that is the time (`calendar`) is not judged by its distribution."""
    gone = f"; {percent(ahead)} % of rows lie beyond the reference's range, as the days since explain" if ahead else ""
    return f"follows the calendar through the whole reference: not judged by its distribution{gone}"


def _calm(feature: FeatureDrift, nearest: Check | None, threshold: float, level: float) -> str:
    if nearest is None:
        return TOO_FEW
    if nearest.effect <= threshold:
        source = "the reference's own windows differ as much" if _learned(nearest, threshold) else "too small to matter"
        if nearest.p_adjusted <= level:
            return f"changed by {share(nearest.effect)}, {source} (limit {share(threshold)})"
        return "" if feature.tested else TOO_FEW
    return f"changed by {share(nearest.effect)}, which chance explains (p {nearest.p_adjusted:.2g})"


def slow_reason(slow: Slow) -> str:
    since = day_text(slow.since)
    if slow.level == "mean":
        return f"mean lies {abs(slow.shift):.2g} standard deviations {'above' if slow.shift > 0 else 'below'} the reference's since about {since}"
    rose = "rose" if slow.shift > 0 else "fell"
    return f"share of {slow.level} {rose} by {percent(abs(slow.shift))} points since about {since}"


def day_text(day: int) -> str:
    """day: since 1970; what lies beyond the calendar is told as its last day."""
    return datetime.fromtimestamp(min(day, _LAST_DAY) * 86_400, UTC).strftime("%Y-%m-%d")


def percent(rate: float) -> str:
    """Two digits that count: 0.4, 3.1, 12, 100; "-" for a rate that is withheld (NaN)."""
    if math.isnan(rate):
        return "-"
    hundred = rate * 100
    return (
        f"{hundred:.0f}"
        if hundred >= 9.95 or hundred == 0
        else f"{hundred:.1f}"
        if hundred >= 0.095
        else f"{hundred:.2g}"
    )


def rate_text(rate: float) -> str:
    """`percent` with its sign; "-" alone for a rate that is withheld (NaN)."""
    return "-" if math.isnan(rate) else f"{percent(rate)} %"


def share(effect: float) -> str:
    return f"{effect:.2g}"


def _learned(check: Check, limit: float) -> bool:
    """Whether the limit is the reference's own windows' and not the floor."""
    return check.learned is not None and check.learned >= limit


def _unseen(feature: FeatureDrift, cause: Check) -> str:
    now = percent(cause.value)
    if feature.ahead is not None:
        return f"{now} % of rows hold no number, or one beyond the reference's range that the days since do not explain"
    if feature.kind == "numeric":
        if feature.resembles:
            return f"values {feature.resembles}"
        coded = ": another type or coding?" if cause.value >= _RECODED else ""
        if not feature.tested:  # hardly a number is left
            return f"{now} % of rows hold no number where the reference has numbers{coded}"
        return f"{now} % of rows hold no number, or one farther out than any of the reference{coded}"
    what = "hold categories that the reference does not know"
    before = f", {percent(feature.unseen[0])} % did" if feature.unseen[0] else ""
    return f"{now} % of rows {what}{before}{': recoded?' if cause.value >= _RECODED else ''}"


def _moved(feature: FeatureDrift) -> str:
    if feature.mover is None:
        return ""
    name, before, now = feature.mover
    return f", most at {name!r} ({percent(before)} to {percent(now)} %)"


def _mean(cause: Check) -> str:
    if abs(cause.delta) < 0.005:
        return ""
    return f", the mean by {abs(cause.delta):.2g} standard deviations {'up' if cause.delta > 0 else 'down'}"
