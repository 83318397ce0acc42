"""Times of a contract as nanoseconds since 1970 in UTC, the one scale in which they are compared."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

DAY = 86_400 * 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds_of(limit: date | datetime, *, end: bool = False) -> int:
    """Of a moment, one without a zone being UTC; of a date its first moment, or its last with `end`."""
    if not isinstance(limit, datetime):
        return (limit.toordinal() - _EPOCH.toordinal()) * DAY + (DAY - 1 if end else 0)
    moment = limit if limit.tzinfo else limit.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def moment_of(nanoseconds: int, timezone: str = "") -> datetime | None:
    """The moment in UTC, to the microsecond; None outside the years 1 to 9999.

    timezone: in which the nanoseconds count a local clock's time, "" where they count UTC.
    """
    try:
        moment = _EPOCH + timedelta(microseconds=nanoseconds // 1000)
        return moment.replace(tzinfo=ZoneInfo(timezone)).astimezone(UTC) if timezone else moment
    except OverflowError:
        return None
