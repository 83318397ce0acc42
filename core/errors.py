"""The one error base. Everything raised on purpose carries what, why and what to do next.

An error crosses the border of a worker process as `to_json` and is rebuilt with `error_from_json`, so its data
must stay plain (strings, numbers, lists, dicts).
"""

from __future__ import annotations

from typing import Any, ClassVar

Json = dict[str, Any]


class MlpackError(Exception):
    """What happened and where (`message`), why it did (`why`), and what to do next (`hint`)."""

    kind: ClassVar[str] = "error"

    def __init__(self, message: str, hint: str = "", *, why: str = "", **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.why = why
        self.data = data

    def to_json(self) -> Json:
        return {"kind": self.kind, "message": self.message, "why": self.why, "hint": self.hint, "data": self.data}


class BadInput(MlpackError):
    """A file, table or option value that cannot be what it should be."""

    kind = "bad-input"


class Unsupported(MlpackError):
    """A step, operator or attribute that no converter expresses; `data["step"]` and `data["class"]` name it."""

    kind = "unsupported"


class MissingExtra(MlpackError):
    """An optional package is absent; the hint is the one line that installs it."""

    kind = "missing-extra"


class Untrusted(MlpackError):
    """Opening the file could run code, and nobody said it may."""

    kind = "untrusted"


class OutputExists(MlpackError):
    """An output is already there and `--force` was not given."""

    kind = "output-exists"


class IoFault(MlpackError):
    """The operating system refused to read or write."""

    kind = "io"


class WorkerFault(MlpackError):
    """A child process died, hung or ran out of memory while it worked on a file."""

    kind = "worker"


class CheckFailed(MlpackError):
    """It ran, and a check said no (exit code 3)."""

    kind = "check-failed"


class Interrupted(MlpackError):
    """The user stopped it."""

    kind = "interrupted"


_KINDS: dict[str, type[MlpackError]] = {
    kind.kind: kind
    for kind in (
        BadInput, Unsupported, MissingExtra, Untrusted, OutputExists, IoFault, WorkerFault, CheckFailed, Interrupted,
    )
}  # fmt: skip


def error_from_json(record: Json) -> MlpackError:
    """Rebuild an error that another process wrote with `to_json`."""
    kind = _KINDS.get(record["kind"], MlpackError)
    return kind(record["message"], record["hint"], why=record["why"], **record["data"])
