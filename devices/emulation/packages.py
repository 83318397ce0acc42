"""What a setup fetches: known before anything is downloaded, by name, version, size and digest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mlpack_edge.core.errors import Json, Unsupported
from mlpack_edge.core.scratch import scratch_folder
from mlpack_edge.devices.emulation.boards import Profile
from mlpack_edge.devices.emulation.debian import Apt, Package
from mlpack_edge.devices.emulation.wheels import Pip, wanted


@dataclass(frozen=True, slots=True)
class Selection:
    """The packages of a root. python: the guest's, `3.11`; glibc: the guest's, `2.36`."""

    debian: list[Package]
    wheels: list[Package]
    python: str
    glibc: str

    @property
    def packages(self) -> list[Package]:
        return [*self.debian, *self.wheels]

    def to_json(self) -> list[Json]:
        """One record a package: name, version, bytes (None: nobody says), sha256, url, origin (the host's name)."""
        return [
            {
                "name": package.name, "version": package.version, "bytes": package.bytes, "sha256": package.sha256,
                "url": package.url, "origin": package.origin,
            }
            for package in self.packages
        ]  # fmt: skip


def select(profile: Profile, apt: Apt, keep_open: tuple[int, ...] = ()) -> Selection:
    """Find the packages of the profile's root; only indexes are read.

    Raises Unsupported where this system's archive has no fitting Python, IoFault where an index cannot be read,
    MissingExtra where a runtime is not installed here whose version the guest's should have.
    """
    debian = apt.resolve(profile.packages)
    versions = {package.name: package.version for package in debian}
    python = next(match[1] for name in versions if (match := re.fullmatch(r"libpython(3\.\d+)-stdlib", name)))
    found = re.match(r"\d+\.\d+", versions["libc6"])
    assert found is not None, versions["libc6"]
    if profile.python and python != profile.python:
        pinned = ", ".join(f"{name} {number}" for name, number in profile.wheels)
        raise Unsupported(
            f"emulated:{profile.name} needs Python {profile.python}, and this Debian's is {python}",
            "run mlpack in a container made from debian:bookworm", why=f"there are no wheels of {pinned} for it",
        )  # fmt: skip
    with scratch_folder() as scratch:
        wheels = Pip(profile.machine, python, found[0], keep_open).resolve(wanted(profile.wheels), Path(scratch))
    return Selection(debian, wheels, python, found[0])


def fetch(profile: Profile, selection: Selection, apt: Apt, into: Path) -> tuple[list[Path], list[Path]]:
    """Download the selection below a folder: (.deb files, wheels). Raises IoFault."""
    debian, wheels = into / "debian", into / "wheels"
    debian.mkdir(parents=True)
    pip = Pip(profile.machine, selection.python, selection.glibc, apt.keep_open)
    return apt.download(selection.debian, debian), pip.download(selection.wheels, wheels)
