"""Find QEMU's user-mode emulator."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from functools import cache

from mlpack_edge.core.errors import Json, MissingExtra, Unsupported
from mlpack_edge.devices.emulation.boards import Profile
from mlpack_edge.devices.emulation.commands import run

_INSTALL = "sudo apt-get install qemu-user"
#: AVX and AVX2 of x86-64 guests came with QEMU 7.2 (its changelog); before, `-cpu Haswell` runs without them.
_OLDEST = {"x86_64": (7, 2)}


@dataclass(frozen=True, slots=True)
class Qemu:
    """path: the emulator. version: `7.2.22`. static: built without plugins, as Debian's `-static` ones are."""

    path: str
    version: str
    static: bool

    def to_json(self) -> Json:
        return {"path": self.path, "version": self.version}


def find_qemu(profile: Profile) -> Qemu:
    """The emulator of a profile: `qemu-<name>`, or else `qemu-<name>-static`, from PATH.

    Raises MissingExtra with the line that installs it; Unsupported where it is too old for the profile's processor.
    """
    path = shutil.which(f"qemu-{profile.qemu}") or shutil.which(f"qemu-{profile.qemu}-static")
    if path is None:
        raise MissingExtra(
            f"emulated:{profile.name} needs qemu-{profile.qemu}, which is not on this machine", _INSTALL,
            module=f"qemu-{profile.qemu}", extra=None,
        )  # fmt: skip
    version = _version(path)
    release = tuple(int(part) for part in version.split(".")[:2])
    if release < _OLDEST.get(profile.qemu, (0,)) or profile.cpu.split(",")[0] not in _processors(path):
        raise Unsupported(
            f"emulated:{profile.name} needs a newer QEMU than {version} ({path})",
            "install a newer qemu-user: Debian 12 and its backports have 7.2 and newer",
            why=f"it does not emulate {profile.cpu} in full",
        )
    return Qemu(path, version, path.endswith("-static"))


@cache
def _version(path: str) -> str:
    done = run([path, "--version"], seconds=60)
    found = re.search(r"version (\d+\.\d+(?:\.\d+)?)", done.out)
    if done.code or found is None:
        raise Unsupported(f"{path} does not say its version", f"install it again: {_INSTALL}", why=done.last_words)
    return found[1]


@cache
def _processors(path: str) -> frozenset[str]:
    """The names that `-cpu` takes."""
    return frozenset(re.findall(r"[\w.-]+", run([path, "-cpu", "help"], seconds=60).out))
