"""Why a report is refused: a name that a quarantine is sorted by, and one message."""

from __future__ import annotations

from typing import ClassVar

from mlpack_edge.core.errors import BadInput

TOO_LONG = "too long"
TRUNCATED = "truncated"
FUTURE = "future version"
CHECKSUM = "wrong checksum"
TRAILING = "trailing bytes"
MALFORMED = "malformed"
NOT_CANONICAL = "not canonical"
NEGATIVE = "negative"
OVERFLOW = "overflow"
WRONG_SPEC = "wrong spec"
WRONG_MODEL = "wrong model"
NOT_SUMMING = "counts do not sum"

_NEXT = {
    TOO_LONG: "a report is one window of one model; send windows on their own",
    TRUNCATED: "send the whole file again",
    FUTURE: "read it with a later mlpack",
    CHECKSUM: "send the file again: it was damaged on its way or where it lay",
    TRAILING: "send one report, or a file of reports one after another",
    WRONG_SPEC: "read it with the spec that was packaged with the device's model",
    WRONG_MODEL: "read it with the spec of the model that made it",
}
_FAULTY = "mend what wrote it: docs/profile-format.md says how a report is written"


class ReportRefused(BadInput):
    """`reason`: one of the names of this module; `said`: the message without it."""

    kind: ClassVar[str] = "report-refused"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"report refused, {reason}: {message}", _NEXT.get(reason, _FAULTY), reason=reason)
        self.reason, self.said = reason, message
