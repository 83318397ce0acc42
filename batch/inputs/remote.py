"""Inputs behind URLs, fetched with fsspec to the staging folder: whatever protocol the user has a package for."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlpack_edge.batch.inputs.damage import first_line
from mlpack_edge.batch.inputs.opened import Opened, open_file
from mlpack_edge.batch.inputs.sources import Source, format_of_name
from mlpack_edge.batch.inputs.staging import Staging
from mlpack_edge.batch.plan import Fingerprint
from mlpack_edge.core.errors import BadInput, MissingExtra, MlpackError
from mlpack_edge.core.extensions import missing_extra
from mlpack_edge.core.files import io_fault

Report = Callable[[str], None]
#: What file systems call the thing that changes with the content. Without any a file is fetched each time.
_MARKS = (
    "ETag",
    "etag",
    "md5",
    "md5Hash",
    "checksum",
    "content_md5",
    "LastModified",
    "last_modified",
    "mtime",
    "created",
)
_WEB = ("http", "https")


def open_url(url: str, staging: Staging, stage: Report, wanted: Mapping[str, str]) -> Opened:
    """The file behind a URL, as `open_file` opens it once it is here. Its fingerprint is of its content alone.

    Raises BadInput where it cannot be had, MissingExtra where a package for its protocol is absent.
    """
    name = name_of(url)
    system, path = _file_system(url)
    with _faults(name):
        info = system.info(path)
    marks = {mark: str(info[mark]) for mark in (*_MARKS, "size") if info.get(mark) is not None}

    def fetch(target: Path) -> dict[str, str]:
        stage(f"fetching {name}")
        draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            with _faults(name):
                system.get_file(path, str(draft))
            with draft.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            draft.replace(target)
        except OSError as fault:
            raise io_fault(fault, f"{target} could not be written") from fault
        finally:
            draft.unlink(missing_ok=True)
        return {"sha256": digest}

    source = {"url": url, **marks, **({} if set(marks) - {"size"} else {"always": secrets.token_hex(8)})}
    local, facts = staging.reused(url, source, fetch, ".fetched")
    opened = open_file(name, local, staging, stage, wanted)
    fingerprint = Fingerprint(local.stat().st_size, 0, facts["sha256"], whole=True)
    return replace(opened, staged=True, fingerprint=fingerprint, elsewhere=True)


def name_of(url: str) -> str:
    """The URL as rows carry it: without user and password, and without the query (often a signature) behind a file's name."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    if scheme in _WEB:
        path = path.partition("#")[0]
        bare = path.partition("?")[0]
        path = bare if format_of_name(bare) else path
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def expanded(source: Source) -> list[Source]:
    """The files that a URL names, sorted: itself, what its wildcards match, or the data files below a directory.

    The web (`http`, `https`) has neither wildcards nor directories. Raises BadInput, MissingExtra.
    """
    url = source.text
    if urlsplit(url).scheme in _WEB or "::" in url:
        return [source]
    system, path = _file_system(url)
    with _faults(url):
        if any(mark in path for mark in "*?["):
            found = [each for each in system.glob(path) if not _hidden(each, path) and not system.isdir(each)]
        elif system.isdir(path):
            found = [each for each in system.find(path) if not _hidden(each, path) and format_of_name(each)]
        else:
            return [source]
    if not found:
        raise BadInput(f"no file matches the input {url}", "check the address")
    return [Source("url", system.unstrip_protocol(each)) for each in sorted(found)]


def _hidden(path: str, asked: str) -> bool:
    known = set(asked.split("/"))
    return any(part.startswith((".", "_")) and part not in known for part in path.split("/"))


def _file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path in it."""
    try:
        import fsspec
    except ModuleNotFoundError as fault:
        raise missing_extra("fsspec", "inputs behind URLs") from fault
    protocol = urlsplit(url).scheme
    options: dict[str, Any] = {"skip_instance_cache": True}
    if protocol in _WEB:
        try:
            import aiohttp
        except ModuleNotFoundError as fault:
            raise missing_extra("aiohttp", f"inputs behind {protocol}://") from fault
        # The default ends a download after five minutes, however well it goes.
        options["client_kwargs"] = {"timeout": aiohttp.ClientTimeout(total=None, sock_connect=60, sock_read=120)}
    try:
        with _faults(name_of(url)):
            system, path = fsspec.core.url_to_fs(url, **(options if "::" not in url else {}))
    except ImportError as fault:
        raise _missing_package(protocol, fault) from fault
    return system, path


def _missing_package(protocol: str, fault: ImportError) -> MissingExtra:
    from fsspec.registry import known_implementations

    module = known_implementations.get(protocol, {}).get("class", protocol).partition(".")[0]
    return MissingExtra(
        f"inputs behind {protocol}:// need the package {module}, which is not installed",
        f"pip install {module}", why=first_line(fault), module=module, extra=None,
    )  # fmt: skip


@contextmanager
def _faults(name: str) -> Iterator[None]:
    """Each file system raises errors of its own: all of them say that the file cannot be had."""
    try:
        yield
    except (MlpackError, ImportError, MemoryError):
        raise
    except Exception as fault:
        if isinstance(fault, OSError) and fault.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise io_fault(fault, f"{name} could not be stored here") from fault
        hint = "check the address, and what the protocol's package needs to sign in"
        raise BadInput(
            f"{name} could not be fetched", hint, why=f"{type(fault).__name__}: {first_line(fault)}"
        ) from fault
