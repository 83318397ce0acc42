"""What a model file is, by its content and never by its suffix.

Standard library only. A few kilobytes of the file are read, and of zip archives the directory; nothing is unpickled
and no archive member is decompressed.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlpack_edge.core.errors import BadInput, IoFault
from mlpack_edge.core.files import io_fault
from mlpack_edge.runtimes.recognise.foreign import DIRECTORIES, by_beginning, by_members
from mlpack_edge.runtimes.recognise.kinds import AGAIN, HEAD, Kind, Look
from mlpack_edge.runtimes.recognise.pickles import compressed_pickle, plain_pickle, torch_legacy
from mlpack_edge.runtimes.recognise.protobufs import onnx
from mlpack_edge.runtimes.recognise.texts import (
    boosters_json,
    boosters_ubj,
    lightgbm,
    other_text,
    plain_text,
    safetensors,
)
from mlpack_edge.runtimes.recognise.zip_directory import zip_names

__all__ = ["Kind", "sniff"]

KNOWN = "ONNX, TFLite, skops, pickle and joblib, XGBoost, LightGBM, CatBoost, PyTorch (.pt2, state dict), safetensors"


def sniff(path: Path) -> Kind:
    """The kind of the model file at `path`.

    Raises BadInput where it is none that mlpack takes (named where it is known), is empty, cut short, a directory or
    no regular file; IoFault where it cannot be read.
    """
    with _opened(path) as look:
        for detect in _DETECTORS:
            kind = detect(look)
            if kind is not None:
                return kind
        raise BadInput(
            f"{path} is no model file that mlpack knows",
            f"mlpack takes {KNOWN}; check the path, or {AGAIN}",
            why=f"it has {look.size:,} bytes and begins with {look.head[:12]!r}",
        )


@contextmanager
def _opened(path: Path) -> Iterator[Look]:
    try:
        # O_NONBLOCK: a named pipe must not hold us up; what it is is asked of the open file, so nothing can swap it.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
    except ValueError as fault:  # a NUL in the name
        raise BadInput(f"{str(path)!r} is no path", "check the path", why=str(fault)) from fault
    except FileNotFoundError as fault:
        raise IoFault(f"{path} does not exist", "check the path") from fault
    except OSError as fault:
        raise _unreadable(path, fault) from fault
    try:
        with os.fdopen(handle, "rb") as stream:
            facts = os.fstat(stream.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise BadInput(f"{path} is no regular file", "name a model file")
            if facts.st_size == 0:
                raise BadInput(
                    f"{path} is empty (0 bytes)", "copy or download it again, or free the disk it was written to"
                )
            yield Look(str(path), stream, facts.st_size, stream.read(HEAD))
    except IsADirectoryError as fault:
        raise _directory(path) from fault
    except OSError as fault:
        raise _unreadable(path, fault) from fault


def _unreadable(path: Path, fault: OSError) -> Exception:
    if fault.errno == errno.ENXIO:
        return BadInput(f"{path} is no regular file", "name a model file")
    return io_fault(fault, f"{path} could not be read")


def _directory(path: Path) -> BadInput:
    for marker, foreign in DIRECTORIES:
        if (path / marker).is_file():
            return BadInput(f"{path} is {foreign.what}, which mlpack does not take", foreign.hint)
    return BadInput(f"{path} is a directory", "name the model file")


def _tflite(look: Look) -> Kind | None:
    if look.head[4:8] != b"TFL3":
        return None
    (root,) = struct.unpack_from("<I", look.head)
    if root + 4 > look.size:
        raise look.cut(Kind.TFLITE, "a TFLite model", f"its root table is at byte {root:,} of {look.size:,}")
    return Kind.TFLITE


def _catboost(look: Look) -> Kind | None:
    if not look.head.startswith(b"CBM1"):
        return None
    if look.size < 8 or struct.unpack_from("<I", look.head, 4)[0] + 8 > look.size:
        raise look.cut(Kind.CATBOOST, "a CatBoost model", f"its core is longer than the file ({look.size:,} bytes)")
    return Kind.CATBOOST


def _zip(look: Look) -> Kind | None:
    if look.head[:4] not in (b"PK\3\4", b"PK\5\6"):
        return None
    try:
        names = zip_names(look.stream, look.size)
    except BadInput as fault:
        raise BadInput(f"{look.name}: {fault.message}", fault.hint) from fault
    inner = {name.partition("/")[2] for name in names}
    if "schema.json" in names:
        return Kind.SKOPS
    if {"archive_format", "models/model.json"} <= inner or "serialized_exported_program.json" in {*names, *inner}:
        return Kind.TORCH_EXPORT
    if "data.pkl" in inner and "constants.pkl" not in inner and not any(name.startswith("code/") for name in inner):
        return Kind.TORCH_CHECKPOINT
    raise look.refuse(by_members(names))


def _foreign(look: Look) -> Kind | None:
    foreign = by_beginning(look.head)
    if foreign is not None:
        raise look.refuse(foreign)
    return None


#: Sure signs first; protobuf has no magic number and comes last.
_DETECTORS: tuple[Callable[[Look], Kind | None], ...] = (
    _tflite, _catboost, _zip, torch_legacy, safetensors, _foreign, boosters_json, boosters_ubj, lightgbm,
    compressed_pickle, other_text, plain_pickle, plain_text, onnx,
)  # fmt: skip
