"""Walk an ONNX graph and lower it node by node: fold, infer, look up, or go through the operator's function body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mlpack_edge.converters.tflite_from_onnx.bodies import body_of
from mlpack_edge.converters.tflite_from_onnx.elements import elements_of
from mlpack_edge.converters.tflite_from_onnx.emitter import Emitter, Given
from mlpack_edge.converters.tflite_from_onnx.folding import fold
from mlpack_edge.converters.tflite_from_onnx.inference import infer
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.scope import Scope, last_reads
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Perm, Spec, Value, constant, permuted
from mlpack_edge.converters.tflite_graph.model import Tensor
from mlpack_edge.core.errors import Unsupported

Array = NDArray[Any]
#: Lowers one node: a Value for each output that the node has, in order; None for one that is left out.
Lower = Callable[[Node], "Value | Sequence[Value | None]"]
#: (domain, operator) -> how it is lowered; the domain of the standard is "".
Table = Mapping[tuple[str, str], Lower]


class Lowering(Emitter):
    """One model being lowered. opsets: version by domain, "" for the standard's."""

    def __init__(self, table: Table, opsets: Mapping[str, int]) -> None:
        super().__init__()
        self.table = table
        self.opsets = dict(opsets)
        self._count = 0

    def run(
        self,
        nodes: Sequence[onnx.NodeProto],
        scope: Scope,
        prefix: str = "",
        opsets: Mapping[str, int] | None = None,
        kept: Iterable[str] | None = None,
    ) -> None:
        """Lower nodes that are in an order in which they can run; `scope` holds the values they see, and gets theirs.

        kept: the names that are read afterwards; every other value is forgotten after its last reader. None keeps all.
        """
        done = last_reads(nodes, kept) if kept is not None else [set[str]()] * len(nodes)
        for proto, unread in zip(nodes, done, strict=True):
            inputs = [scope[name] if name else None for name in proto.input]
            made = self.apply(proto, inputs, opsets or self.opsets, scope)
            for name, value in zip(proto.output, made, strict=False):
                if name and value is not None:
                    if not value.name:
                        value.name = prefix + name
                    _name_tensors(value, prefix + name)
                    scope[name] = value
            scope.release(unread)

    def apply(
        self, proto: onnx.NodeProto, inputs: Sequence[Value | None], opsets: Mapping[str, int], scope: Scope
    ) -> list[Value | None]:
        """The outputs of one node."""
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        version = opsets.get(domain, self.opsets.get(domain, 1))
        if proto.op_type == "Constant" and not domain:
            return [_constant_of(proto)]
        folded = fold(proto, inputs, version)
        if folded is not None:
            return [constant(name, array) for name, array in zip(proto.output, folded, strict=True)]
        node = Node(self, proto, inputs, version)
        node.scope = scope
        elements = elements_of(node)
        if elements is not None and all(isinstance(size, int) for size in elements):
            spec = node.spec()
            return [constant("", np.array(elements, spec.dtype).reshape(_ints(spec.shape)))]
        if elements is not None and all(self.can_tell(size) for size in elements):
            spec = node.spec()  # its tensor is made from the sizes where somebody reads it
            return [Value("", spec.dtype, spec.shape, elements=elements)]
        lower = self.table.get((domain, proto.op_type))
        try:
            made = self.lower_body(node) if lower is None else lower(node)
        except Unsupported as refusal:
            if "op" in refusal.data:
                raise
            why = ": ".join(text for text in (refusal.message, refusal.why) if text)
            raise node.refuse(why, refusal.hint) from refusal  # it came from below, where nodes are not known
        outputs: list[Value | None] = [made] if isinstance(made, Value) else list(made)
        if elements is not None and outputs[0] is not None:
            outputs[0].elements = elements
        return outputs

    def lower_body(self, node: Node) -> list[Value | None]:
        """Lower a node through the function by which the standard defines its operator; refused where it has none."""
        body = body_of(node)
        if body is None:
            raise node.refuse("no lowering is known for it, and the standard gives it no function body")
        inner = Scope()
        inner.update(
            {name: value for name, value in zip(body.inputs, node.inputs, strict=False) if name and value is not None}
        )
        absent = {name for name in body.inputs if name not in inner}
        nodes = [_without_absent(proto, absent) for proto in body.nodes]
        self._count += 1
        self.run(nodes, inner, f"{node.name}/", body.opsets)
        return [inner.get(name) for name in body.outputs[: node.outputs]]

    def op(
        self, op_type: str, *inputs: Value | Array | None, domain: str = "", version: int = 0, **attributes: Any
    ) -> Value:
        """Lower one ONNX operator (of opset `version`, 21 by default) on values or constants; its first output."""
        made = self.ops(op_type, *inputs, domain=domain, version=version, outputs=1, **attributes)[0]
        assert made is not None
        return made

    def ops(
        self,
        op_type: str,
        *inputs: Value | Array | None,
        outputs: int,
        domain: str = "",
        version: int = 0,
        **attributes: Any,
    ) -> list[Value | None]:
        """As `op`, all outputs."""
        values = [constant("", item) if isinstance(item, np.ndarray) else item for item in inputs]
        while values and values[-1] is None:
            values.pop()
        self._count += 1
        name = f"{op_type.lower()}.{self._count}"
        proto = helper.make_node(
            op_type,
            ["" if value is None else f"i{i}" for i, value in enumerate(values)],
            [f"{name}.{i}" for i in range(outputs)],
            name=name,
            domain=domain,
            **{key: value for key, value in attributes.items() if value is not None},
        )
        return self.apply(
            proto, values, {domain: version or (21 if not domain else self.opsets.get(domain, 1))}, Scope()
        )

    def infer(self, node: Node) -> tuple[Spec, ...]:
        """ONNX's own inference for a node; sizes it does not know get names of their own."""
        self._count += 1
        return infer(node, f"?{self._count}")

    def value(self, tensor: Tensor, spec: Spec, perm: Perm | None = None, name: str = "") -> Value:
        """A value of ONNX type and shape `spec` held by `tensor` in layout `perm` (ONNX's own by default).

        Sizes that have a name nothing else has are from now on taken from this tensor.
        """
        perm = perm or tuple(range(len(spec.shape)))
        made = Value(name, spec.dtype, spec.shape, forms={perm: tensor})
        self._shapes.setdefault(tensor, permuted(spec.shape, perm))
        for axis, size in enumerate(spec.shape):
            if isinstance(size, str) and size not in self.sources:
                self.sources[size] = (made, axis)
        return made

    def emit_value(
        self, kind: str, inputs: Sequence[Given], spec: Spec, perm: Perm | None = None, **options: Any
    ) -> Value:
        """One operator whose output holds a value of `spec` in layout `perm`."""
        perm = tuple(range(len(spec.shape))) if perm is None else perm
        return self.value(self.emit(kind, inputs, spec.dtype, permuted(spec.shape, perm), **options), spec, perm)


def _name_tensors(value: Value, name: str) -> None:
    """Tensors are called as the ONNX value they hold, with the order of axes behind a colon where it is another."""
    for perm, tensor in value.forms.items():
        if not tensor.name:
            tensor.name = tensor_name(name, perm)


def tensor_name(name: str, perm: Perm) -> str:
    """`features` in ONNX's own layout, `features:0231` channel-last."""
    return name if perm == tuple(range(len(perm))) else f"{name}:{''.join(map(str, perm))}"


def _constant_of(proto: onnx.NodeProto) -> Value:
    attribute = proto.attribute[0]
    found = helper.get_attribute_value(attribute)
    name = proto.output[0]
    if attribute.name == "value":
        return constant(name, numpy_helper.to_array(found))
    if attribute.name in ("value_float", "value_floats"):
        return constant(name, np.array(found, np.float32))
    if attribute.name in ("value_int", "value_ints"):
        return constant(name, np.array(found, np.int64))
    texts = [found] if isinstance(found, bytes) else list(found)
    array = np.array([text.decode("utf-8", "surrogateescape") for text in texts], object)
    return constant(name, array.reshape(()) if attribute.name == "value_string" else array)


def _without_absent(proto: onnx.NodeProto, absent: set[str]) -> onnx.NodeProto:
    """Inside a function, an optional input of the call that is left out is left out as well."""
    if not absent.intersection(proto.input):
        return proto
    copy = onnx.NodeProto()
    copy.CopyFrom(proto)
    del copy.input[:]
    copy.input.extend("" if name in absent else name for name in proto.input)
    return copy


def _ints(shape: Sequence[Size]) -> tuple[int, ...]:
    return tuple(size for size in shape if isinstance(size, int))
