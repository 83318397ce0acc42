"""ONNX tensors stored in other files: looked at, and refused where needed, before onnx or ONNX Runtime open any.

Both libraries refuse `..`, absolute paths and symbolic links; ONNX Runtime follows hard links, and onnx's checker
passes wrong offsets and lengths (measured, onnx 1.23 and ONNX Runtime 1.31). Here all of these are refused.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import onnx
from onnx import TensorProto

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault
from mlpack_edge.runtimes.onnx_files.tensors import all_tensors, byte_size

_BESIDE = "external data must lie in the model's own folder: put it there, and save the model again with onnx.save"


@dataclass(frozen=True, slots=True)
class External:
    """Where the data of one tensor lies: `count` bytes from `offset` of the file `path`."""

    tensor: TensorProto
    path: Path
    offset: int
    count: int


def external_tensors(model: onnx.ModelProto, folder: Path) -> list[External]:
    """Every tensor of the model whose data lies in a file of `folder`, each checked.

    Raises BadInput, naming the tensor and its place, where a location is absolute, has `..`, leads through a symbolic
    link, to a hard link (a second name of a file that may lie anywhere) or to no regular file; or where offset and
    length do not fit the file, or the tensor's shape and type.
    """
    found: list[External] = []
    sizes: dict[str, tuple[Path, int]] = {}
    for tensor, where in all_tensors(model):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        try:
            location = _location(entries.get("location", ""))
            if location not in sizes:
                sizes[location] = _file(folder, location)
            path, size = sizes[location]
            found.append(_span(tensor, entries, path, size))
        except _Refused as refused:
            raise BadInput(
                f"the tensor {tensor.name!r} ({where}) has its data in {entries.get('location', '')!r}, "
                f"which is refused: {refused.args[0]}",
                refused.args[1],
                tensor=tensor.name, location=entries.get("location", ""),
            ) from refused  # fmt: skip
    return found


class _Refused(Exception):
    """(why, what to do next)"""


def _location(location: str) -> str:
    """The location where its text alone is harmless."""
    if not location:
        raise _Refused("it names no file", _BESIDE)
    if "\0" in location or len(location) > 4096:
        raise _Refused("it is no path", _BESIDE)
    if "\\" in location or re.match(r"[A-Za-z]:", location):
        raise _Refused("it is a Windows path, which means something else elsewhere", _BESIDE)
    if "_ORT_MEM_ADDR_" in location:  # ONNX Runtime takes the offset for an address in its memory
        raise _Refused("it is a mark that ONNX Runtime uses for addresses in memory", _BESIDE)
    parts = PurePosixPath(location)
    if parts.is_absolute() or location.startswith("/"):
        raise _Refused("it is an absolute path", _BESIDE)
    if ".." in parts.parts or location.startswith("~"):
        raise _Refused("it points outside the model's folder", _BESIDE)
    return location


def _file(folder: Path, location: str) -> tuple[Path, int]:
    """The path and size of a regular file inside `folder`, reached through no link."""
    path = folder
    parts = PurePosixPath(location).parts
    if not parts:
        raise _Refused("it names no file", _BESIDE)
    try:
        for number, part in enumerate(parts, 1):
            path = path / part
            facts = path.lstat()
            if stat.S_ISLNK(facts.st_mode):
                raise _Refused(
                    "it is a symbolic link", f"put the file itself there: cp -L {path} COPY && mv COPY {path}"
                )
            if number < len(parts) and not stat.S_ISDIR(facts.st_mode):
                raise _Refused(f"{part!r} is no directory", _BESIDE)
    except FileNotFoundError:
        raise _Refused("there is no such file", f"put the file where the model says: {path}") from None
    except OSError as fault:
        raise _Refused(fault.strerror or str(fault), "check the path and its permissions") from fault
    if not stat.S_ISREG(facts.st_mode):
        raise _Refused("it is no regular file", _BESIDE)
    if facts.st_nlink > 1:
        raise _Refused(
            "it is a hard link: the same file has another name, perhaps outside the folder",
            f"make a copy of its own: cp {path} COPY && mv COPY {path}",
        )
    return path, facts.st_size


def _span(tensor: TensorProto, entries: dict[str, str], path: Path, size: int) -> External:
    """Offset and count, where they lie inside the file and are what shape and type need."""
    again = "the model and its data file do not belong together, or one is damaged: copy or export both again"
    needed = byte_size(tensor)
    offset = _number(entries, "offset", 0)
    count = _number(entries, "length", needed)
    if count != needed:
        raise _Refused(f"its length is {count:,}, shape {list(tensor.dims)} needs {needed:,} bytes", again)
    if offset + count > size:
        raise _Refused(f"bytes {offset:,} to {offset + count:,} are asked for, the file has {size:,}", again)
    return External(tensor, path, offset, count)


def _number(entries: dict[str, str], key: str, default: int) -> int:
    text = entries.get(key)
    if text is None:
        return default
    if re.fullmatch(r"[0-9]{1,19}", text) is None:
        raise _Refused(f"its {key} is {text[:40]!r}, no number", "export the model and its data file again")
    return int(text)


def fold(found: list[External]) -> None:
    """Read the data into the tensors themselves, which then are like any other. Raises BadInput, IoFault."""
    for item in found:
        try:
            # Without following a link, and checked again: the folder may have changed since it was looked at.
            handle = os.open(item.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as stream:
                facts = os.fstat(stream.fileno())
                stream.seek(item.offset)
                data = stream.read(item.count) if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1 else b""
        except OSError as fault:
            raise io_fault(fault, f"{item.path} could not be read") from fault
        if len(data) != item.count:
            raise BadInput(f"{item.path} changed while it was read", "let nothing write to it, and start again")
        item.tensor.raw_data = data
        item.tensor.data_location = TensorProto.DEFAULT
        del item.tensor.external_data[:]
