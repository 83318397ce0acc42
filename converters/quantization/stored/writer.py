"""Write a prepared model with some of its constants stored in fewer bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from mlpack_edge.converters.onnx_from_onnx.clean import all_nodes, clamp_ir, drop_dead, tidy_domains
from mlpack_edge.converters.quantization.prepared.edges import names_of, replace_nodes
from mlpack_edge.converters.quantization.stored.codes import Array
from mlpack_edge.converters.quantization.stored.names import Names, shorten
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.runtimes.onnxruntime import loads


class Writer:
    """Collects what replaces constants and nodes.

    front: nodes that stand before all others, as they need constants alone.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._source = model
        self._names = Names(names_of(model.graph))
        self._front: list[NodeProto] = []
        self._tensors: dict[str, TensorProto] = {}
        self._same: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._nodes: dict[str, list[NodeProto]] = {}
        self._gone: set[str] = set()

    def fresh(self) -> str:
        """A short name that nothing has."""
        return self._names.fresh()

    def constant(self, array: Array) -> str:
        """An initializer; equal ones are stored once."""
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._same:
            tensor = numpy_helper.from_array(np.ascontiguousarray(array) if array.ndim else array, self.fresh())
            self._tensors[tensor.name] = tensor
            self._same[key] = tensor.name
        return self._same[key]

    def scale(self, scale: Array) -> str:
        """A tensor of scales, float16 in the file where that holds them and is fewer bytes with the Cast it needs."""
        wide = scale.astype(np.float32)
        narrow = wide.astype(np.float16)
        if 2 * wide.size > _CAST_BYTES and np.array_equal(narrow.astype(np.float32), wide):
            return self.front("Cast", [self.constant(narrow)], to=TensorProto.FLOAT)
        return self.constant(wide)

    def front(self, op_type: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        """A node of constants alone; returns its output, a fresh name where `output` is left out."""
        made = helper.make_node(op_type, inputs, [output or self.fresh()], **attributes)
        self._front.append(made)
        return str(made.output[0])

    def replace_constant(self, name: str) -> None:
        """The initializer `name` goes; a node of the front gives that tensor now."""
        self._gone.add(name)

    def replace_node(self, name: str, nodes: list[NodeProto]) -> None:
        self._nodes[name] = nodes

    def finish(self) -> onnx.ModelProto:
        """The model, without what nothing reads, shapes of inner tensors and documentation; opened once in ONNX Runtime.

        Raises Unsupported where ONNX Runtime does not open it.
        """
        model = onnx.ModelProto()
        model.CopyFrom(self._source)
        graph = model.graph
        for index in reversed(range(len(graph.initializer))):
            if graph.initializer[index].name in self._gone:
                del graph.initializer[index]
        graph.initializer.extend(self._tensors.values())
        body = [made for node in graph.node for made in self._nodes.get(node.name, [node])]
        replace_nodes(graph, [*self._front, *body])
        return finished(model)


#: What a Cast and its tensor's name take in a file, about.
_CAST_BYTES = 48


def finished(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` (changed) as it is written: nothing that no output needs, no shapes of inner tensors, no documentation, no
    long names inside.

    Raises Unsupported, with ONNX Runtime's reason, where ONNX Runtime does not open it: onnx's checker passes models that
    no session takes.
    """
    drop_dead(model)
    tidy_domains(model)
    clamp_ir(model)
    model.doc_string = model.graph.doc_string = ""
    model.graph.ClearField("metadata_props")
    for node in all_nodes(model):
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    for tensor in model.graph.initializer:
        tensor.ClearField("doc_string")
        _pack(tensor)
    shorten(model)
    why = loads(model.SerializeToString())
    if why is not None:
        raise Unsupported("ONNX Runtime does not open the quantized model", "try another scheme", why=why)
    return model


def _pack(tensor: TensorProto) -> None:
    """Numbers as raw bytes: lists of small integers take more."""
    if tensor.HasField("raw_data") or tensor.data_type == TensorProto.STRING or tensor.data_location:
        return
    name = tensor.name
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), name))
