"""What the operators that ONNX Runtime runs stand for in the file: fusing and new layouts give them other names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from mlpack_edge.core.errors import CheckFailed
from mlpack_edge.core.scratch import scratch_folder
from mlpack_edge.runtimes.onnxruntime import FAULTS

Json = dict[str, Any]
#: In its blocked layout ONNX Runtime names a node after the tensor of the file that it gives, and this, and the tensors
#: anyhow (onnxruntime/core/optimizer/nchwc_transformer.cc).
_BLOCKED, _BLOCKED_DOMAIN = "_nchwc", "com.microsoft.nchwc"
_WEIGHTS = "weights.bin"


def fused(payload: Json, stage: Callable[[str], None]) -> Json:
    """`stands_for` of `payload["path"]`, for a child process with limits."""
    stage("reading what is fused")
    return stands_for(Path(payload["path"]))


def stands_for(path: Path) -> dict[str, list[str]]:
    """For each node that ONNX Runtime made of others on this machine: its name -> those nodes of the file ("op name"), in
    the file's order. Nodes that run under the operator and name that the file has are left out; so are those that stand
    for none (a change of layout). Another processor or release may fuse others: a name that is not here is then one of those.

    Raises CheckFailed where ONNX Runtime does not open the file.
    """
    with scratch_folder() as folder:
        made = Path(folder, "optimized.onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 4
        options.optimized_model_filepath = str(made)
        # Weights apart, and so not read back; a file of them all would end at 2 GB.
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", _WEIGHTS)
        options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
        options.add_session_config_entry("session.disable_prepacking", "1")
        try:
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except FAULTS as fault:
            raise CheckFailed(
                f"ONNX Runtime does not open {path.name}", why=" ".join(str(fault).split())[:400]
            ) from fault
        optimized = onnx.load(made, load_external_data=False)
    return names_of_fused(onnx.load(path, load_external_data=False), optimized)


def names_of_fused(original: onnx.ModelProto, optimized: onnx.ModelProto) -> dict[str, list[str]]:
    """Walk back in the file from what a node gives to what it and the others take."""
    nodes = list(_unfixed(original.graph))
    makers = {tensor: place for place, node in enumerate(nodes) for tensor in node.output if tensor}
    ran = list(_nodes(optimized.graph))
    given = set().union(*(_gives(node) for node in ran))
    made = {}
    for place, node in enumerate(ran):
        own = _gives(node)
        stop = (given - own) | set(node.input)
        found: set[int] = set()
        wanted = list(own - set(node.input))
        while wanted:
            maker = makers.get(wanted.pop())
            if maker is not None and maker not in found:
                found.add(maker)
                wanted += [tensor for tensor in nodes[maker].input if tensor not in stop]
        if found and [(nodes[one].op_type, nodes[one].name) for one in found] != [(node.op_type, node.name)]:
            # As the profiler names a node without a name: by its operator and its place.
            name = node.name or f"{node.op_type}_{place}"
            made[name] = [f"{nodes[one].op_type} {nodes[one].name}".strip() for one in sorted(found)]
    return made


def _gives(node: onnx.NodeProto) -> set[str]:
    """The tensors of the file that a node of the optimized graph gives; a change of layout gives none."""
    if node.domain != _BLOCKED_DOMAIN:
        return {tensor for tensor in node.output if tensor}
    return {node.name.removesuffix(_BLOCKED)} if node.name.endswith(_BLOCKED) else set()


def _unfixed(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes that depend on an input or on a body's owner; the others are computed when the file is loaded."""
    fixed = {tensor.name for tensor in graph.initializer} | {""}
    for node in _nodes(graph):
        if node.op_type == "Constant" or (node.input and fixed.issuperset(node.input) and not _bodies(node)):
            fixed.update(node.output)
        else:
            yield node


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for body in _bodies(node):
            yield from _nodes(body)


def _bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [body for held in node.attribute for body in (*([held.g] if held.HasField("g") else []), *held.graphs)]
