"""How a device is named in reports: by a hash, never by what people call it. Standard library alone."""

from __future__ import annotations

import hashlib

_DOMAIN = b"mlpack device\0"


def device_digest(name: str, salt: str = "") -> bytes:
    """16 bytes that stand for a device: SHA-256 over its name and the fleet's salt. Whoever does not know the salt cannot try
    names; with another salt the same devices are others."""
    told = (text.encode("utf-8", "surrogatepass") for text in (salt, name))  # a name that is no UTF-8 is a name
    return hashlib.sha256(_DOMAIN + b"\0".join(told)).digest()[:16]
