"""Debian packages of another architecture, with this machine's own apt sources and keys, and no root user.

apt-get is given an architecture, a status file without a single package and a private folder for its lists; it then
resolves, checks signatures and downloads as for a machine of that architecture. Nothing is installed on this one.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlpack_edge.core.errors import IoFault, MlpackError, Unsupported
from mlpack_edge.devices.emulation.commands import Finished, run

#: What Python's interpreter and standard library load, in whichever version a release of Debian has them.
_NEEDED = re.compile(
    r"libc6|libgcc-s1|libstdc\+\+6|zlib1g|libexpat1|libffi\d+|libbz2-1\.0|liblzma5|libuuid1|libcrypt1|libssl3(t64)?"
    r"|python3\.\d+-minimal|libpython3\.\d+-(minimal|stdlib)"
    r"|python3-numpy|libblas3|liblapack3|libgfortran5"
)
_ROOTS = ("python3-minimal", "libpython3-stdlib", "libstdc++6")
_FOLDERS = ("state/lists/partial", "cache/archives/partial")


@dataclass(frozen=True, slots=True)
class Package:
    """One file to fetch. bytes: its size, None where nobody says. origin: the host it comes from."""

    name: str
    version: str
    bytes: int | None
    sha256: str
    url: str

    @property
    def origin(self) -> str:
        return urlsplit(self.url).netloc or "this machine"


@dataclass(frozen=True, slots=True)
class Apt:
    """architecture: Debian's name of it. folder: where apt keeps its lists; kept, so that the next refresh is short."""

    architecture: str
    folder: Path
    keep_open: tuple[int, ...] = ()

    def resolve(self, extra: tuple[str, ...]) -> list[Package]:
        """Read the index (about 9 MB the first time), and find what Python and `extra` need, with sizes and digests.

        Raises Unsupported where this is no Debian, IoFault where apt cannot read the index or resolve the packages.
        """
        refuse_other_systems(_os_release().get("ID", "unknown"))
        for name in _FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").write_text("")
        # One source of several may be out of reach without harm: whether the packages are found decides.
        read = self._run("update")
        done = self._run("install", "--yes", "--no-install-recommends", "--print-uris", *_ROOTS, *extra)
        names = sorted({package.name for package in _uris(done.out) if _NEEDED.fullmatch(package.name)})
        if done.code == 0 and names:
            done = self._run("download", "--print-uris", *names)
        found = _uris(done.out)
        if done.code or not found or any(not package.sha256 for package in found):
            raise _fault(f"Debian's {self.architecture} packages could not be found", read if read.err else done)
        return sorted(found, key=lambda package: package.name)

    def download(self, packages: list[Package], into: Path) -> list[Path]:
        """Fetch into a folder; apt checks size and digest against the signed index. Raises IoFault."""
        done = self._run("download", *(f"{package.name}={package.version}" for package in packages), folder=into)
        files = sorted(into.glob("*.deb"))
        if done.code or len(files) != len(packages):
            raise _fault(f"Debian's {self.architecture} packages could not be downloaded", done)
        return files

    def _run(self, *arguments: str, folder: Path | None = None) -> Finished:
        options = {
            "APT::Architecture": self.architecture,
            "APT::Architectures::": self.architecture,
            "Dir::State": self.folder / "state",
            "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder / "cache",
            "Dir::Cache::pkgcache": "pkgcache.bin",  # Debian's images for containers switch it off: half of the time
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
            "Acquire::http::Timeout": "60",
        }
        flags = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        return run(["apt-get", "-qq", *flags, *arguments], folder=folder, keep_open=self.keep_open)


def unpack(files: list[Path], into: Path, keep_open: tuple[int, ...] = ()) -> None:
    """Unpack .deb files, without what no program reads, and with links that stay inside. Raises IoFault."""
    into.mkdir(parents=True, exist_ok=True)
    _merged_usr(into)
    for file in files:
        done = run(["dpkg-deb", "-x", str(file), str(into)], keep_open=keep_open)
        if done.code:
            raise _fault(f"{file.name} could not be unpacked", done)
    for pattern in (
        "usr/share/doc", "usr/share/man", "usr/share/lintian", "usr/share/locale", "usr/lib/python3.*/test",
        "usr/lib/*/gconv", "lib/*/gconv", "usr/lib/python3.*/sitecustomize.py",
    ):  # fmt: skip
        for found in into.glob(pattern):
            found.unlink() if found.is_symlink() or found.is_file() else shutil.rmtree(found)
    _link_alternatives(into)
    _make_links_relative(into)


def _merged_usr(root: Path) -> None:
    """Since Debian 13 /lib is a link that only the package base-files has; made before unpacking it serves both."""
    (root / "usr/lib").mkdir(parents=True, exist_ok=True)
    (root / "lib").symlink_to("usr/lib")


def _link_alternatives(root: Path) -> None:
    """libblas.so.3 and liblapack.so.3 lie in folders of their own; a running Debian links them (update-alternatives)."""
    for library in [*root.glob("usr/lib/*/blas/libblas.so.3"), *root.glob("usr/lib/*/lapack/liblapack.so.3")]:
        (library.parent.parent / library.name).symlink_to(library.relative_to(library.parent.parent))


def _make_links_relative(root: Path) -> None:
    """A link to /etc/x would be followed to this machine's own file."""
    for path in root.rglob("*"):
        if path.is_symlink() and (target := path.readlink()).is_absolute():
            path.unlink()
            inside = root / target.relative_to("/")
            if inside.exists():
                path.symlink_to(os.path.relpath(inside, path.parent))


def refuse_other_systems(system: str) -> None:
    """Raise Unsupported where this is no Debian: no other system's archive is known to hold these packages.

    system: the ID of os-release(5).
    """
    if system != "debian":
        raise Unsupported(
            f"emulated ARM machines are set up from Debian's packages, and this system is {system!r}",
            "run mlpack on Debian 12 or newer, or in a container made from debian:bookworm",
        )
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise Unsupported(f"{tool} is not on this machine", "install Debian's packages apt and dpkg")


def _os_release() -> dict[str, str]:
    """os-release(5) of this machine; {} where there is none."""
    for path in (Path("/etc/os-release"), Path("/usr/lib/os-release")):
        if path.is_file():
            pairs = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines())
            return {name: value.strip("\"'") for name, _, value in pairs if value}
    return {}


def _uris(text: str) -> list[Package]:
    """The lines `'URL' FILE BYTES SHA256:DIGEST` that --print-uris prints."""
    found = []
    for url, file, size, digest in re.findall(r"^'([^']+)' (\S+) (\d+) ?(\S*)$", text, re.MULTILINE):
        name, version, _ = (unquote(part) for part in file.split("_", 2))
        sha256 = digest.removeprefix("SHA256:") if digest.startswith("SHA256:") else ""
        found.append(Package(name, version, int(size), sha256, url))
    return found


def _fault(message: str, done: Finished) -> MlpackError:
    hint = "check the network and this machine's apt sources: `apt-get update` must work"
    return IoFault(message, done.mend(hint), why=done.last_words)
