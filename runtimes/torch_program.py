"""Open an exported PyTorch program (.pt2, `torch.export.save`) so that nothing in the file runs.

`torch.export.load` runs code from a file in many ways: pickles it falls back to, pickled constants it opens in any
case, native libraries of ahead-of-time compilation, and texts it evaluates (see torch_program_text). Each member is
therefore judged here first, and only judged bytes are written to a fresh archive that torch then reads: what Python's
zip reader saw and what torch's own would see cannot differ. TORCH_FORCE_WEIGHTS_ONLY_LOAD stands behind it.
"""

from __future__ import annotations

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
from mlpack_edge.runtimes.pickle_scan import globals_of
from mlpack_edge.runtimes.torch_program_text import checked_json, untrusted

#: A torch.export.ExportedProgram (torch is imported only where a program is opened).
Program = Any

_AGAIN = "export the model again with torch.export.save"
_MODEL = "models/model.json"
_SAMPLE = "data/sample_inputs/model.pt"
_WEIGHTS = ("data/weights/", "data/weights/model_weights_config.json")
_CONSTANTS = ("data/constants/", "data/constants/model_constants_config.json")
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
            raise io_fault(fault, f"{path} could not be read") from fault
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as fault:
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
        if inner.startswith("data/aotinductor/"):
            raise Untrusted(
                f"{name} is not opened: it holds native code ({inner})",
                "export the model with torch.export.save and without ahead-of-time compilation",
            )
        if inner.startswith("models/") and inner != _MODEL:
            raise Unsupported(f"{name} holds several models ({inner})", "save one model a file")
    return members


def _rewrite(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str, clean: Any) -> None:
    import torch

    writer = torch._C.PyTorchFileWriter(clean)

    def put(inner: str, data: bytes) -> None:
        writer.write_record(inner, data, len(data))

    def take(inner: str) -> bytes:
        if inner not in members:
            raise BadInput(f"{name} is damaged", _AGAIN, why=f"it has no member {inner}")
        return archive.read(members[inner])

    for inner in ("archive_format", "archive_version"):
        put(inner, take(inner))
    put(_MODEL, json.dumps(checked_json(take(_MODEL), name)).encode())
    put(_SAMPLE, _checked_pickle(take(_SAMPLE), f"{name}: {_SAMPLE}"))
    for folder, table in (_WEIGHTS, _CONSTANTS):
        config = checked_json(take(table), name)
        put(table, json.dumps(config).encode())
        seen: set[str] = set()
        for member, pickled in _payloads(config, name):
            inner = folder + member
            if not member.startswith(("weight_", "tensor_")):
                raise untrusted(name, f"a pickled object ({inner})")
            if inner not in seen:
                seen.add(inner)
                data = take(inner)
                put(inner, _checked_pickle(data, f"{name}: {inner}") if pickled else data)
    writer.write_end_of_file()


def _payloads(config: Any, name: str) -> list[tuple[str, bool]]:
    """(member, whether it is pickled) of each tensor. One member pickled for one tensor and raw for another is both."""
    try:
        payloads = [(str(item["path_name"]), bool(item["use_pickle"])) for item in config["config"].values()]
    except (KeyError, TypeError, AttributeError) as fault:
        raise BadInput(f"{name} is damaged", _AGAIN, why=f"{type(fault).__name__}: {fault}") from fault
    pickled = {member for member, is_pickle in payloads if is_pickle}
    return [(member, member in pickled) for member, _ in payloads]


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
            torch._export.serde.serialize.SerializeError, RuntimeError, ValueError, TypeError, KeyError, AttributeError,
            AssertionError, IndexError, NotImplementedError, SyntaxError,
        ) as fault:  # fmt: skip
            reason = str(fault).strip().splitlines()
            raise BadInput(
                f"{name} is no program that PyTorch {torch.__version__} can open",
                f"{_AGAIN} of PyTorch {torch.__version__.partition('+')[0]}",
                why=f"{type(fault).__name__}: {reason[-1] if reason else ''}"[:400],
            ) from fault
