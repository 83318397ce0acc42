"""The same computed with fewer operators, or with ones that have kernels on codes."""

from __future__ import annotations

from collections.abc import Callable

import onnx
from onnx import helper

from mlpack_edge.converters.quantization.static.names import Names
from mlpack_edge.converters.quantization.static.view import HasModel, View, attribute, is_standard, scalar


def graph_of(prepared: HasModel) -> View:
    """The graph that is quantized: the prepared one, rewritten."""
    view = View(prepared.model)
    nodes, same = rewritten(view)
    return View(prepared.model, nodes, same)


def rewritten(view: View) -> tuple[list[onnx.NodeProto], dict[str, str]]:
    """The nodes of a graph with those rewritten that a rule knows, and the tensors that came with them, each with one of
    the graph that holds the same numbers. Results differ by float32 rounding at most.

    - `x * clip(x + 3, 0, 6) / 6`, four passes over a tensor: `x * HardSigmoid(x)`, two.
    - ReduceMean over all places of an image: GlobalAveragePool (and Flatten), which ONNX Runtime has on codes.
    A node that is rewritten keeps its name.
    """
    changed: dict[str, list[onnx.NodeProto]] = {}
    names, same = Names(view.names), _Same()
    for node in view.nodes:
        rule = _RULES.get(node.op_type)
        if rule is not None and is_standard(node):
            changed.update(rule(view, node, names, same))
    return [made for node in view.nodes for made in changed.get(node.name, [node])], same


class _Same(dict[str, str]):
    """Tensor that was added -> tensor of the graph with the same numbers."""


def _hard_swish(view: View, clip: onnx.NodeProto, names: Names, same: _Same) -> dict[str, list[onnx.NodeProto]]:
    limits = [scalar(view.constant(name)) if name else None for name in clip.input[1:]]
    adding = view.makers.get(clip.input[0])
    if limits != [0.0, 6.0] or adding is None or not _is(adding, "Add") or view.sole_reader(clip.input[0]) is not clip:
        return {}
    x, three = _operands(view, adding)
    product = view.sole_reader(clip.output[0])
    if three != 3.0 or product is None or not _is(product, "Mul") or x not in product.input:
        return {}
    scaled = view.sole_reader(product.output[0])
    if scaled is None or not (_is(scaled, "Div") or _is(scaled, "Mul")):
        return {}
    _, factor = _operands(view, scaled)
    sixth = factor == 6.0 and scaled.input[0] == product.output[0] if _is(scaled, "Div") else factor is not None and abs(factor - 1 / 6) < 1e-6  # fmt: skip
    if not sixth:
        return {}
    gate = helper.make_node("HardSigmoid", [x], [clip.output[0]], name=clip.name, alpha=1 / 6, beta=0.5)
    last = helper.make_node("Mul", [x, clip.output[0]], list(scaled.output), name=product.name)
    return {adding.name: [], clip.name: [gate], product.name: [last], scaled.name: []}


def _mean(view: View, node: onnx.NodeProto, names: Names, same: _Same) -> dict[str, list[onnx.NodeProto]]:
    axes = attribute(node, "axes", None)
    if axes is None and len(node.input) > 1:
        given = view.constant(node.input[1])
        axes = None if given is None else given.tolist()
    if view.rank(node.input[0]) != 4 or axes is None or sorted(axis % 4 for axis in axes) != [2, 3]:
        return {}
    if attribute(node, "keepdims", 1):
        return {node.name: [helper.make_node("GlobalAveragePool", node.input[:1], list(node.output), name=node.name)]}
    pooled = names.fresh("m")
    same[pooled] = node.output[0]
    return {
        node.name: [
            helper.make_node("GlobalAveragePool", node.input[:1], [pooled], name=node.name),
            helper.make_node("Flatten", [pooled], list(node.output), name=f"{node.name}/Flatten"),
        ]
    }


_RULES: dict[str, Callable[[View, onnx.NodeProto, Names, _Same], dict[str, list[onnx.NodeProto]]]] = {
    "Clip": _hard_swish,
    "ReduceMean": _mean,
}


def _is(node: onnx.NodeProto, kind: str) -> bool:
    return bool(is_standard(node) and node.op_type == kind)


def _operands(view: View, node: onnx.NodeProto) -> tuple[str, float | None]:
    """The activation and the number that a node of two operands reads; ("", None) where it does not read such."""
    for name, other in (tuple(node.input), tuple(reversed(node.input))):
        value = scalar(view.constant(other))
        if value is not None and view.constant(name) is None:
            return name, value
    return "", None
