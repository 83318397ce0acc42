"""How a device is named in reports: by a hash, never by what people call it. Standard library alone."""

from __future__ import annotations

import hashlib

_DOMAIN = b"mlpack device\0"


def device_digest(name: str, salt: str = "") -> bytes:
    """16 bytes that stand for a device: SHA-256 over its name and the fleet's salt. Whoever does not know the salt cannot try
    names; with another salt the same devices are others."""
    return hashlib.sha256(_DOMAIN + salt.encode() + b"\0" + name.encode()).digest()[:16]
