"""Open an exported PyTorch program (.pt2, `torch.export.save`) so that nothing in the file runs.

`torch.export.load` runs code from a file in many ways: pickles it falls back to, pickled constants it opens in any
case, native libraries of ahead-of-time compilation, and texts it evaluates (see program_text). Each member is
therefore judged here first, and only judged bytes are written to a fresh archive that torch then reads: what Python's
zip reader saw and what torch's own would see cannot differ. TORCH_FORCE_WEIGHTS_ONLY_LOAD=1 stands behind it; alone it
stops the first of these ways only (tests/converters/test_torch_loading.py holds files that run in spite of it).
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlpack_edge.core.errors import BadInput, IoFault, Unsupported, Untrusted
from mlpack_edge.core.files import io_fault
from mlpack_edge.runtimes.torch.pickle_scan import globals_of
from mlpack_edge.runtimes.torch.program_text import checked_json, untrusted

#: A torch.export.ExportedProgram (torch is imported only where a program is opened).
Program = Any

_AGAIN = "export the model again with torch.export.save"
_MODEL = "models/model.json"
_SAMPLE = "data/sample_inputs/model.pt"
_WEIGHTS = ("data/weights/", "data/weights/model_weights_config.json")
_CONSTANTS = ("data/constants/", "data/constants/model_constants_config.json")
#: Members that only say which form the archive has (torch/export/pt2_archive/constants.py, caffe2/serialize).
_FIXED = {"archive_format": b"pt2", "archive_version": b"0", ".data/version": b"6", "byteorder": b"little"}
#: What a pickled tensor imports; torch.save writes nothing else for tensors in tuples, lists and dicts.
_TENSOR_GLOBALS = re.compile(
    r"torch\._utils\._rebuild_(tensor|tensor_v2|parameter)|collections\.OrderedDict|torch\.(nn\.parameter\.Parameter|"
    r"Size|device|[a-z]+[0-9]{1,3}|bool|(Untyped|Typed|Float|Double|Half|BFloat16|Long|Int|Short|Char|Byte|Bool)Storage)"
    r"|torch\.storage\.(UntypedStorage|TypedStorage)\Z"
)


def load_program(path: Path) -> Program:
    """The torch.export.ExportedProgram in the file.

    Raises Untrusted where the file holds anything that torch would run, Unsupported for what it cannot be made of
    here (other operators, several models, the form of torch before 2.8), BadInput where it is damaged, MissingExtra's
    cause (ModuleNotFoundError) where torch is absent.
    """
    name = path.name
    with tempfile.TemporaryFile() as clean:
        try:
            with zipfile.ZipFile(path) as archive:
                members = _members(archive, name)
                _rewrite(archive, members, name, clean)
        except OSError as fault:
            if fault.errno == errno.EINVAL:  # a damaged directory sends the reader before the file's beginning
                raise BadInput(f"{name} is damaged", _AGAIN, why="its directory is wrong") from fault
            raise io_fault(fault, f"{path} could not be read") from fault
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as fault:
            raise BadInput(f"{name} is damaged", _AGAIN, why=str(fault)) from fault
        clean.seek(0)
        return _load(clean, name)


@contextmanager
def forced_weights_only() -> Iterator[None]:
    """TORCH_FORCE_WEIGHTS_ONLY_LOAD=1 while torch.load may be called, even with weights_only=False inside torch.

    torch reads it at each call (torch/serialization.py), and refuses to run with its opposite set as well.
    """
    names = ("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ[names[0]] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _members(archive: zipfile.ZipFile, name: str) -> dict[str, zipfile.ZipInfo]:
    """The members by their path below the archive's one root folder."""
    infos = archive.infolist()
    if any(info.filename in ("version", "serialized_exported_program.json") for info in infos):
        raise Unsupported(f"{name} has the form of PyTorch before 2.8", f"{_AGAIN} of PyTorch 2.9 or newer")
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED:
            raise BadInput(f"{name} has compressed members", _AGAIN, why="PyTorch writes none")
        _root, _, inner = info.filename.partition("/")
        if inner in members:
            raise untrusted(name, f"two members named {inner}")
        members[inner] = info
    if len({info.filename.partition("/")[0] for info in infos}) > 1 or _MODEL not in members:
        raise BadInput(f"{name} holds no exported program", _AGAIN, why=f"it has no member {_MODEL}")
    for inner in members:
        if inner in ("data/weights/model.pt", "data/constants/model.pt"):
            raise Unsupported(
                f"{name} has the form of PyTorch before 2.9 ({inner})", f"{_AGAIN} of PyTorch 2.9 or newer"
            )
        if inner.startswith("data/aotinductor/"):
            raise Untrusted(
                f"{name} is not opened: it holds native code ({inner})",
                "export the model with torch.export.save and without ahead-of-time compilation",
            )
        if inner.startswith("models/") and inner != _MODEL:
            raise Unsupported(f"{name} holds several models ({inner})", "save one model a file")
    return members


def _rewrite(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str, clean: Any) -> None:
    """Write what was judged to `clean`, in a form of its own: equal names, equal bytes, nothing else."""

    def take(inner: str) -> bytes:
        if inner not in members:
            raise BadInput(f"{name} is damaged", _AGAIN, why=f"it has no member {inner}")
        return archive.read(members[inner])

    with zipfile.ZipFile(clean, "w", zipfile.ZIP_STORED) as made:

        def put(inner: str, data: bytes) -> None:
            made.writestr(f"archive/{inner}", data)

        for inner, known in _FIXED.items():
            if inner in members and take(inner).strip() != known:
                raise BadInput(f"{name} has the {inner} {take(inner)[:20]!r}, not {known!r}", _AGAIN)
            put(inner, known)
        put(_MODEL, json.dumps(checked_json(take(_MODEL), name)).encode())
        put(_SAMPLE, _checked_pickle(take(_SAMPLE), f"{name}: {_SAMPLE}"))
        for folder, table in (_WEIGHTS, _CONSTANTS):
            config = checked_json(take(table), name)
            put(table, json.dumps(config).encode())
            for member, pickled in _payloads(config, name).items():
                inner = folder + member
                if not member.startswith(("weight_", "tensor_")):
                    raise untrusted(name, f"a pickled object ({inner})")
                data = take(inner)
                put(inner, _checked_pickle(data, f"{name}: {inner}") if pickled else data)


def _payloads(config: Any, name: str) -> dict[str, bool]:
    """Whether it is pickled, for each member. One that is so for a single tensor counts as pickled."""
    found: dict[str, bool] = {}
    try:
        for item in config["config"].values():
            member = str(item["path_name"])
            found[member] = found.get(member, False) or bool(item["use_pickle"])
    except (KeyError, TypeError, AttributeError) as fault:
        raise BadInput(f"{name} is damaged", _AGAIN, why=f"{type(fault).__name__}: {fault}") from fault
    return found


def _checked_pickle(data: bytes, name: str) -> bytes:
    """A `torch.save` archive whose pickles import nothing but what tensors are made of; empty bytes are none."""
    if not data:
        return data
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise untrusted(name, "a pickle in a form that torch.export.save does not write")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED:
                raise BadInput(f"{name} has compressed members", _AGAIN, why="PyTorch writes none")
            if info.filename.endswith(".pkl"):
                for wanted in sorted(globals_of(archive.read(info), name)):
                    if not _TENSOR_GLOBALS.fullmatch(wanted):
                        raise Untrusted(
                            f"{name} is not opened: it is a pickle that imports {wanted}",
                            "export the model again with torch.export.save, tensors as its only example inputs",
                            why="unpickling it would run that code; opening it would need weights_only=False",
                        )
    return data


def _load(clean: Any, name: str) -> Program:
    with forced_weights_only():
        import torch
        from torch.export.pt2_archive._package import load_pt2

        try:
            return load_pt2(clean).exported_programs["model"]
        except OSError as fault:
            raise IoFault(f"{name} could not be read", "check the disk", why=str(fault)) from fault
        except (
            # what torch raises for JSON that is well-formed and still no program
            torch._export.serde.serialize.SerializeError, torch._export.verifier.SpecViolationError, RuntimeError, ValueError, TypeError, KeyError, AttributeError,
            AssertionError, IndexError, NotImplementedError, SyntaxError,
        ) as fault:  # fmt: skip
            reason = str(fault).strip().splitlines()
            raise BadInput(
                f"{name} is no program that PyTorch {torch.__version__} can open",
                f"{_AGAIN} of PyTorch {torch.__version__.partition('+')[0]}",
                why=f"{type(fault).__name__}: {reason[-1] if reason else ''}"[:400],
            ) from fault
