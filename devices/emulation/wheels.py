"""Wheels of another machine, fetched by pip under the user's own pip configuration, in the versions installed here."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import sys
import urllib.error
import urllib.request
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit

from mlpack_edge.core.errors import IoFault, MissingExtra, MlpackError
from mlpack_edge.devices.emulation.commands import Finished, run
from mlpack_edge.devices.emulation.debian import Package

#: The oldest glibc that a manylinux tag of these machines names (PEP 600; 2.17 is also manylinux2014, PEP 599).
_OLDEST_GLIBC = 17


def wanted(wheels: tuple[tuple[str, str | None], ...]) -> list[tuple[str, str]]:
    """(distribution, version), with the version installed here where none is given. Raises MissingExtra."""
    found = []
    for name, number in wheels:
        try:
            found.append((name, number or version(name)))
        except PackageNotFoundError as fault:
            raise MissingExtra(
                f"{name} is not installed here: outputs are compared between equal versions",
                f"pip install {name}", why=str(fault), module=name, extra=None,
            ) from fault  # fmt: skip
    return found


class Pip:
    """pip for a guest: its machine (a wheel tag's last part), Python (`3.11`) and glibc (`2.36`)."""

    def __init__(self, machine: str, python: str, glibc: str, keep_open: tuple[int, ...] = ()) -> None:
        minor = int(glibc.split(".")[1])
        tags = [f"manylinux_2_{number}_{machine}" for number in range(minor, _OLDEST_GLIBC - 1, -1)]
        tags.append(f"manylinux2014_{machine}")
        digits = python.replace(".", "")
        self._flags = ["--only-binary=:all:", "--no-deps", "--implementation", "cp", "--python-version", python]
        self._flags += [part for tag in tags for part in ("--platform", tag)]
        self._flags += [part for abi in (f"cp{digits}", "abi3", "none") for part in ("--abi", abi)]
        self._keep_open = keep_open
        self._guest = f"Python {python} on {machine}"

    def resolve(self, wheels: list[tuple[str, str]], scratch: Path) -> list[Package]:
        """Where each wheel lies, its digest and size; nothing is downloaded. Raises IoFault, MissingExtra."""
        report = scratch / "report.json"
        names = [f"{name}=={number}" for name, number in wheels]
        done = self._run(
            "install", "--dry-run", "--ignore-installed", "--target", str(scratch / "none"), "--report", str(report),
            *self._flags, *names,
        )  # fmt: skip
        if done.code:
            raise self._fault("could not be found", names, done)
        found = []
        for item in json.loads(report.read_text(encoding="utf-8"))["install"]:
            about, source = item["metadata"], item["download_info"]
            digest = source["archive_info"]["hashes"].get("sha256", "")
            found.append(Package(about["name"], about["version"], _size(source["url"]), digest, source["url"]))
        return sorted(found, key=lambda package: package.name)

    def download(self, packages: list[Package], into: Path) -> list[Path]:
        """Fetch into a folder, and check each file's digest against what `resolve` found. Raises IoFault."""
        into.mkdir(parents=True, exist_ok=True)
        names = [f"{package.name}=={package.version}" for package in packages]
        done = self._run("download", "--dest", str(into), *self._flags, *names)
        files = sorted(into.glob("*.whl"))
        if done.code or len(files) != len(packages):
            raise self._fault("could not be downloaded", names, done)
        digests = {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        if strange := {package.sha256 for package in packages if package.sha256} - digests:
            raise IoFault(
                f"a wheel for {self._guest} is not what the index announced",
                "run the setup again; clear pip's cache (pip cache purge) if it stays so",
                why=f"no file has the SHA-256 {min(strange)}",
            )
        return files

    def _run(self, *arguments: str) -> Finished:
        if importlib.util.find_spec("pip") is None:
            raise MissingExtra("this Python has no pip, which fetches the wheels", f"{sys.executable} -m ensurepip")
        options = ["--disable-pip-version-check", "--no-input", "--quiet", "--retries", "2"]
        return run([sys.executable, "-m", "pip", *arguments, *options], keep_open=self._keep_open)

    def _fault(self, what: str, names: list[str], done: Finished) -> MlpackError:
        hint = "check the network and pip's configuration (pip config list)"
        return IoFault(f"wheels for {self._guest} {what}: {', '.join(names)}", done.mend(hint), why=done.last_words)


def unpack(files: list[Path], into: Path) -> None:
    """Unzip wheels into one folder (PEP 427: what lies at a wheel's root goes to site-packages)."""
    for file in files:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(into)


def _size(url: str) -> int | None:
    """The size of the file behind a URL: asked for, not fetched. None where the server does not say."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(urllib.request.url2pathname(parts.path)).stat().st_size
    # A name and password in the address belong to pip, which has its own ways to use them.
    if parts.scheme not in ("http", "https") or "@" in parts.netloc:
        return None
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=30) as answer:
            length = answer.headers.get("Content-Length")
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return None
    return int(length) if length and re.fullmatch(r"\d+", length) else None
