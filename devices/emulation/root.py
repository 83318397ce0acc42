"""Roots of other machines below the data folder: where they lie, and whether they are whole.

$MLPACK_DATA_DIR (or $XDG_DATA_HOME/mlpack, or ~/.local/share/mlpack)
  emulated/aarch64/root/          Debian packages, unpacked
  emulated/aarch64/site/          wheels, unpacked
  emulated/aarch64/boards/pi4/    what a guest sees first (qemu -L): proc/cpuinfo, and links to the root
  emulated/aarch64/manifest.json  packages, versions, date, trial, every file with its digest
  emulated/apt/arm64/             apt's lists, kept so that reading the index again is short
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlpack_edge.core.errors import Json, MlpackError
from mlpack_edge.devices.emulation import wheels
from mlpack_edge.devices.emulation.boards import Profile
from mlpack_edge.devices.emulation.manifest import damage, read_manifest
from mlpack_edge.devices.emulation.plugin import why_no_counts
from mlpack_edge.devices.emulation.qemu import find_qemu

State = Literal["ready", "absent", "stale", "damaged", "unavailable"]


@dataclass(frozen=True, slots=True)
class Status:
    """ready: it can be launched. absent: not set up. stale: its runtimes are of other versions than those installed
    here. damaged: files are missing or changed. unavailable: not on this machine. why and hint say more, "" where ready.

    no_counts: why instructions cannot be counted, "" where they can. folder: None for a profile without a root. manifest: packages, python, versions, made (date), tried.
    """

    profile: str
    state: State
    why: str = ""
    hint: str = ""
    folder: Path | None = None
    bytes: int = 0
    manifest: Json | None = None
    no_counts: str = ""

    def to_json(self) -> Json:
        """Without the list of files."""
        record = {name: value for name, value in (self.manifest or {}).items() if name not in ("files", "links")}
        about: Json = {"profile": self.profile, "state": self.state, "why": self.why, "hint": self.hint}
        about |= {"folder": str(self.folder) if self.folder else None, "bytes": self.bytes, "manifest": record}
        return about | {"no_counts": self.no_counts}


def data_folder() -> Path:
    """$MLPACK_DATA_DIR, or else mlpack/ in $XDG_DATA_HOME or ~/.local/share."""
    if own := os.environ.get("MLPACK_DATA_DIR"):
        return Path(own).absolute()
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".local/share") / "mlpack"


def root_folder(profile: Profile) -> Path | None:
    """The folder of the profile's root; None where this machine's own Python is run."""
    return data_folder() / "emulated" / profile.arch if profile.debian else None


def counting_folder() -> Path:
    """Where the plugin lies that counts instructions."""
    return data_folder() / "emulated" / "counting"


def status(profile: Profile, *, digests: bool = True) -> Status:
    """Look, and change nothing. digests: read every file; without it a file is compared by its size alone."""
    try:
        qemu = find_qemu(profile)
    except MlpackError as fault:
        return Status(profile.name, "unavailable", fault.message, fault.hint, no_counts=fault.message)
    no_counts = why_no_counts(profile, qemu)[0]
    root, hint = root_folder(profile), f"mlpack target setup emulated:{profile.name}"
    if root is None:
        if platform.machine() in ("x86_64", "AMD64"):
            return Status(profile.name, "ready", no_counts=no_counts)
        why = f"emulated:{profile.name} runs an x86-64 machine's own Python, and this machine is {platform.machine()}"
        return Status(profile.name, "unavailable", why, "run it on an x86-64 machine", no_counts=no_counts)
    state, why, record = _look(profile, root, digests)
    size = sum(bytes_ for bytes_, _ in record["files"].values()) if record else 0
    return Status(profile.name, state, why, hint if why else "", root, size, record, no_counts)


def _look(profile: Profile, root: Path, digests: bool) -> tuple[State, str, Json | None]:
    """(state, why, manifest) of a root."""
    if not root.exists():
        return "absent", f"emulated:{profile.name} is not set up", None
    record = read_manifest(root)
    if record is None:
        return "damaged", f"{root} has no manifest of this layout", None
    if why := damage(root, record, digests):
        return "damaged", f"{root}: {why}", record
    here = dict(wheels.wanted(profile.wheels))
    if other := [f"{name} {record['wheels'].get(name)}" for name in here if record["wheels"].get(name) != here[name]]:
        now = ", ".join(f"{name} {number}" for name, number in here.items())
        return "stale", f"emulated:{profile.name} has {', '.join(other)}; installed here: {now}", record
    return "ready", "", record
