"""Sizes, durations and shares as people write them, on the command line and in files."""

from __future__ import annotations

import re
from decimal import Decimal

from mlpack_edge.core.errors import BadInput

_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "ms": 0.001}
_A_YEAR = 366 * 86400.0


def bytes_from_text(text: str) -> int:
    """`300KB`, `8GB`, `512MiB` in bytes, at least 1. BadInput otherwise."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    if not found or found[2].upper() not in _BYTES:
        raise BadInput(f"{text!r} is not a size", "write for example 300KB, 8GB or 512MiB")
    size = float(found[1]) * _BYTES[found[2].upper()]
    if not 1 <= size < 2**62:
        raise BadInput(f"{text!r} is no size that this machine could have", "write for example 300KB, 8GB or 512MiB")
    return int(size)


def seconds_from_text(text: str) -> float:
    """`90`, `5m`, `5ms` in seconds, above 0 and at most a year. BadInput otherwise."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text)
    if not found or found[2] not in _SECONDS:
        raise BadInput(f"{text!r} is not a duration", "write for example 90s, 5m or 5ms")
    seconds = float(found[1]) * _SECONDS[found[2]]
    if not 0 < seconds <= _A_YEAR:
        raise BadInput(f"{text!r} is not between nothing and a year", "write for example 90s, 5m or 5ms")
    return seconds


def share_from_text(text: str) -> float:
    """`0.1%`, `10 %`, `0` as a share from 0 to 1. BadInput otherwise: a bare number could mean a percentage as well."""
    found = re.fullmatch(r"\s*(\d{1,3}(?:\.\d{1,12})?)\s?%\s*", text, flags=re.ASCII)
    if text.strip() == "0":
        return 0.0
    if not found:
        raise BadInput(f"{text!r} is no percentage", "write for example 0.1%, or 0 for none")
    share = float(Decimal(found[1]) / 100)
    if share > 1:
        raise BadInput(f"{text!r} is more than all", "write a percentage from 0% to 100%")
    return share
