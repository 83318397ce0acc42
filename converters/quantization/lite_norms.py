"""Normalizations in operators that have kernels on codes, for files of integers alone.

TFLite has none for LayerNormalization. Each of its steps has one, and what lies between them is calibrated like any other
tensor. The inverse root is `Pow` with the exponent -1/2, which becomes RSQRT.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

from mlpack_edge.converters.quantization.prepared import Prepared
from mlpack_edge.converters.quantization.static.view import View, attribute, is_standard, scalar


def with_norms_apart(prepared: Prepared) -> Prepared:
    """`prepared` computing the same, up to float32 rounding, with

    - LayerNormalization-17 over known last axes, alone or with weights, as mean, difference, square, mean, inverse root and products;
    - `Pow(x, 2)` as a product, and a quotient by a square root as a product with the inverse root (as exporters write
      LayerNormalization before opset 17);
    - a quotient by a constant as a product with its inverse.
    The last of the nodes that replace one keeps its name; the others are called `name/step` (see `steps_of`).
    """
    view = View(prepared.model)
    writer = _Writer(view)
    nodes = [made for node in view.nodes for made in writer.written(node)]
    if not writer.changed:
        return prepared
    model = onnx.ModelProto()
    model.CopyFrom(prepared.model)
    del model.graph.node[:]
    read = {name for node in nodes for name in node.input} | view.outputs | view.read_inside
    model.graph.node.extend(node for node in nodes if node.op_type != "Sqrt" or node.output[0] in read)
    model.graph.initializer.extend(writer.constants.values())
    return replace(prepared, model=shape_inference.infer_shapes(model, data_prop=True))


def steps_of(name: str, apart: onnx.ModelProto, before: onnx.ModelProto) -> list[str]:
    """The nodes of `apart` that compute what the node `name` of `before` did, that of this name among them."""
    known = {node.name for node in before.graph.node}
    made = (node.name for node in apart.graph.node if node.name.startswith(f"{name}/"))
    return [name, *(one for one in made if one not in known)]


class _Writer:
    """constants: that were added, by name. changed: whether any node is another one now."""

    def __init__(self, view: View) -> None:
        self._view, self._taken = view, view.names
        self.constants: dict[str, onnx.TensorProto] = {}
        self.changed = False

    def written(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        rule = _RULES.get(node.op_type) if is_standard(node) and self._view.is_float(node.output[0]) else None
        made = [] if rule is None else list(rule(self, self._view, node))
        self.changed |= bool(made)
        return made or [node]

    def constant(self, array: np.ndarray, what: str) -> str:
        name = self.fresh(f"{what}_{len(self.constants)}")
        self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def fresh(self, name: str) -> str:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def mean(self, x: str, axes: list[int], out: str) -> onnx.NodeProto:
        if self._view.opset < 18:
            return helper.make_node("ReduceMean", [x], [out], name=out, axes=axes, keepdims=1)
        given = self.constant(np.array(axes, np.int64), "axes")
        return helper.make_node("ReduceMean", [x, given], [out], name=out, keepdims=1)

    def inverse_root(self, x: str, out: str) -> onnx.NodeProto:
        exponent = self.constant(np.array(-0.5, np.float32), "exponent")
        return helper.make_node("Pow", [x, exponent], [out], name=out)


def _layer(writer: _Writer, view: View, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """LayerNormalization-17; no node where its axes are not known, or its statistics are asked for."""
    rank, axis = view.rank(node.input[0]), int(attribute(node, "axis", -1))
    if rank is None or any(node.output[1:]):
        return
    axes = list(range(axis - rank if axis >= 0 else axis, 0))
    x, base = node.input[0], node.name or node.output[0]
    epsilon = writer.constant(np.array(attribute(node, "epsilon", 1e-5), np.float32), "epsilon")
    names = ("mean", "centred", "square", "variance", "kept", "root", "normal", "scaled")
    mean, centred, square, variance, kept, root, normal, scaled = (writer.fresh(f"{base}/{name}") for name in names)
    weights = [name for name in node.input[1:] if name]
    yield writer.mean(x, axes, mean)
    yield helper.make_node("Sub", [x, mean], [centred], name=centred)
    yield helper.make_node("Mul", [centred, centred], [square], name=square)
    yield writer.mean(square, axes, variance)
    yield helper.make_node("Add", [variance, epsilon], [kept], name=kept)
    yield writer.inverse_root(kept, root)
    last = [("Mul", normal, root), *zip(("Mul", "Add"), (scaled, ""), weights, strict=False)]
    for place, (kind, out, other) in enumerate(last):
        end = place + 1 == len(last)
        yield helper.make_node(
            kind, [centred, other], [node.output[0] if end else out], name=node.name if end else out
        )  # fmt: skip
        centred = out


def _square(writer: _Writer, view: View, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    exponent = view.constant(node.input[1])
    if exponent is not None and exponent.ndim < 2 and scalar(exponent) == 2 and view.rank(node.input[0]):
        yield helper.make_node("Mul", [node.input[0]] * 2, list(node.output), name=node.name)


def _quotient(writer: _Writer, view: View, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    divisor = view.constant(node.input[1])
    if divisor is not None:
        with np.errstate(all="ignore"):
            factor = np.asarray(1 / divisor, np.float32)
        if view.constant(node.input[0]) is None and np.isfinite(factor).all() and factor.all():
            by = writer.constant(factor, "factor")
            yield helper.make_node("Mul", [node.input[0], by], list(node.output), name=node.name)
        return
    root = view.makers.get(node.input[1])
    if root is None or root.op_type != "Sqrt" or not is_standard(root):
        return
    top = view.constant(node.input[0])
    if top is not None and top.ndim == 0 and top == 1:
        made = writer.inverse_root(root.input[0], node.output[0])
        made.name = node.name
        yield made
        return
    inverse = writer.fresh(f"{node.name or node.output[0]}/root")
    yield writer.inverse_root(root.input[0], inverse)
    yield helper.make_node("Mul", [node.input[0], inverse], list(node.output), name=node.name)


def _reciprocal(writer: _Writer, view: View, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    root = view.makers.get(node.input[0])
    if root is not None and root.op_type == "Sqrt" and is_standard(root):
        made = writer.inverse_root(root.input[0], node.output[0])
        made.name = node.name
        yield made


_RULES = {"Div": _quotient, "LayerNormalization": _layer, "Pow": _square, "Reciprocal": _reciprocal}
