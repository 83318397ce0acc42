"""Open ONNX files that were not made here: measured, parsed, and checked before any library acts on them."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no stubs

from mlpack_edge.core.errors import BadInput, MlpackError, Unsupported
from mlpack_edge.core.files import io_fault
from mlpack_edge.runtimes.onnx_files.external import External, external_tensors
from mlpack_edge.runtimes.onnx_files.structure import check_structure
from mlpack_edge.runtimes.onnx_files.wire import MAX_BYTES, measure


def read_onnx(path: Path) -> bytes:
    """The bytes of an ONNX file (BadInput where it is empty or above protobuf's 2 GiB; IoFault)."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BadInput(
                f"{path} has {size:,} bytes; an ONNX file has {MAX_BYTES:,} at most",
                "save the weights beside the model: onnx.save(model, path, save_as_external_data=True)",
            )
        data = path.read_bytes()
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault
    if not data:
        raise BadInput(f"{path} is empty (0 bytes)", "copy or download it again")
    return data


def open_onnx(path: Path) -> onnx.ModelProto:
    """A model whose structure, tensors and external files are sound; external data is left where it is.

    Nothing in the file is executed and no other file is opened. Raises BadInput (damaged, beyond the limits of
    `runtimes.onnx_files.wire`, or refused external data), Unsupported (custom operators, an IR or opset later than the installed
    onnx knows), each naming file, node and tensor; IoFault.
    """
    try:
        return check_model(parse(read_onnx(path)), path.parent)
    except (BadInput, Unsupported) as fault:
        raise _named(fault, path) from fault


def parse(data: bytes) -> onnx.ModelProto:
    """Bytes to a model, after they were measured. Raises BadInput without the file's name."""
    measure(data)
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(data)
    except DecodeError as fault:
        raise BadInput(
            "the file is no ONNX model, or is damaged", "copy or download it again", why=str(fault)
        ) from fault
    return model


def check_model(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """The model itself where versions, structure, tensors and external data in `folder` are sound."""
    _check_versions(model)
    check_structure(model)
    external_tensors(model, folder)
    return model


def external_data(model: onnx.ModelProto, path: Path) -> list[External]:
    """The checked external tensors of a model that came from `path`."""
    return external_tensors(model, path.parent)


def _named(fault: MlpackError, path: Path) -> MlpackError:
    """The same error with the file's name in front."""
    return type(fault)(f"{path}: {fault.message}", fault.hint, why=fault.why, **{**fault.data, "file": str(path)})


def _check_versions(model: onnx.ModelProto) -> None:
    again = "copy or download it again, or export the model again"
    if not model.HasField("graph"):
        raise BadInput("the file holds no graph: it is empty or cut short", again)
    if not 1 <= model.ir_version <= onnx.IR_VERSION:
        if model.ir_version < 1:
            raise BadInput(f"the file has the IR version {model.ir_version}, which does not exist", again)
        raise Unsupported(
            f"the file has IR version {model.ir_version}; onnx {onnx.__version__} reads up to {onnx.IR_VERSION}",
            "pip install --upgrade onnx, or export the model with an older opset",
        )
    seen: dict[str, int] = {}
    for used in model.opset_import:
        domain = "" if used.domain == "ai.onnx" else used.domain
        if seen.setdefault(domain, used.version) != used.version:  # skl2onnx writes equal ones twice
            raise BadInput(
                f"the file imports two operator sets of the domain {domain!r}: {seen[domain]} and {used.version}", again
            )
        newest = {"": onnx.defs.onnx_opset_version(), "ai.onnx.ml": onnx.defs.onnx_ml_opset_version()}.get(domain)
        if used.version < 1:
            raise BadInput(f"the file has the opset {used.version}, which does not exist", again)
        if newest is not None and used.version > newest:
            raise Unsupported(
                f"the file uses opset {used.version} of {domain or 'ai.onnx'}; onnx {onnx.__version__} knows up to {newest}",
                "pip install --upgrade onnx, or export the model with an older opset",
            )
    used_domains = {node.domain for node in model.graph.node}
    if "" not in seen and used_domains & {"", "ai.onnx"}:
        raise BadInput("the file does not say which opset its operators are of (opset_import)", again)
