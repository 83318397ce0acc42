"""Where things lie in a store, and the columns of its table.

    fleet.json                                      what the store is: schema, specs
    specs/DIGEST.json                               the specs, as they were given
    reports/spec=DIGEST/day=YYYY-MM-DD/part-*.parquet     reports of the day
    reports/spec=DIGEST/day=YYYY-MM-DD/clock-*.parquet    received on the day, with a clock that cannot be right
    corrections/spec=DIGEST/day=YYYY-MM-DD/part-*.parquet reports of the day that came late
    quarantine/REASON/*.cbor, *.jsonl               what was refused, byte by byte, and why
    drafts/, lock                                   of the run that is at work

DIGEST: the first 16 bytes of the spec's digest in hexadecimal, as reports carry them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow

MANIFEST, SPECS, QUARANTINE, DRAFTS, LOCK = "fleet.json", "specs", "quarantine", "drafts", "lock"
REPORTS, CORRECTIONS = "reports", "corrections"
#: The first part of a file's name: in order, or with a clock that cannot be right.
PART, STRAY = "part", "clock"
#: The shard of reports that name no device.
NO_SHARD = 255
_EPOCH = date(1970, 1, 1).toordinal()


def day_name(day: int) -> str:
    """day: since 1970. Beyond the calendar there is no name: such a clock is never right."""
    return date.fromordinal(_EPOCH + day).isoformat()


def day_number(name: str) -> int:
    """The reverse of `day_name`. Raises ValueError."""
    return date.fromisoformat(name).toordinal() - _EPOCH


def today(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def partition(tree: str, spec: bytes, day: int) -> Path:
    """The folder of a day, relative to the store."""
    return Path(tree) / f"spec={spec.hex()}" / f"day={day_name(day)}"


def table_schema(counters: int, numbers: int, groups: int) -> Any:
    """counts, sums and carried are int64 in every file, so that any two files of a spec are one table; what they take on disk follows their
    size all the same (byte stream split and zstd: 1.5 kB a report of 2,957 counters, as much as with 32 bits)."""
    listed = [("counts", counters), *([("sums", numbers)] if numbers else []), ("carried", groups)]
    return pyarrow.schema(
        [
            pyarrow.field("report_id", pyarrow.binary(16), nullable=False),
            pyarrow.field("device", pyarrow.binary()),
            pyarrow.field("shard", pyarrow.uint8(), nullable=False),
            pyarrow.field("cohort", pyarrow.string(), nullable=False),
            pyarrow.field("model", pyarrow.string(), nullable=False),
            *(
                pyarrow.field(name, pyarrow.int64(), nullable=False)
                for name in ("sequence", "start", "end", "rows", "predictions", "timed", "epsilon", "received")
            ),
            pyarrow.field("clock", pyarrow.string(), nullable=False),
            pyarrow.field("checksum", pyarrow.uint32(), nullable=False),
            *(
                pyarrow.field(
                    name, pyarrow.list_(pyarrow.field("item", pyarrow.int64(), nullable=False), size), nullable=False
                )
                for name, size in listed
            ),
        ]
    )
