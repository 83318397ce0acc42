"""Factors and offsets of channels, folded into the weighted operator before them.

BatchNormalization (ONNX 15, in the form for inference), and Mul, Div, Add and Sub of a constant that has one number a
channel, directly behind a Conv, ConvTranspose, Gemm or MatMul of constant weights that nothing else reads. The arithmetic
of the fold is float64, rounded once to the type of the weights. A MatMul has no bias: its offset is an Add behind it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, helper

from mlpack_edge.converters.quantization.prepared.edges import (
    Array,
    Edges,
    attribute_of,
    names_of,
    replace_nodes,
    set_constant,
)


@dataclass(frozen=True, slots=True)
class Affine:
    """y = factor * x + offset, in float64, `[channels]`."""

    factor: Array
    offset: Array


@dataclass(frozen=True, slots=True)
class Head:
    """A weighted operator. adding: the Add of a constant behind a MatMul. channels_axis: of the output; `[:, C]` or last.

    weight: float `[...]`; bias: `[channels]` or None; over: the axis of the weights on which the channels lie.
    """

    node: NodeProto
    adding: NodeProto | None
    weight: Array
    bias: Array | None
    over: int
    groups: int

    @property
    def output(self) -> str:
        return str((self.adding or self.node).output[0])

    @property
    def channels(self) -> int:
        return int(self.weight.shape[self.over]) * self.groups

    @property
    def is_last(self) -> bool:
        """Whether the channels lie on the last axis of the output, not on the second."""
        return self.node.op_type in ("Gemm", "MatMul")


def fold_affine(model: onnx.ModelProto) -> int:
    """Fold what can be folded, in place; returns how many nodes are gone."""
    done = 0
    while folded := _walk(model.graph):
        done += folded
    return done


def _walk(graph: GraphProto) -> int:
    """Fold one link behind each operator."""
    edges = Edges(graph)
    names = names_of(graph)
    gone: set[int] = set()
    extra: dict[int, NodeProto] = {}
    for node in graph.node:
        if node.domain not in ("", "ai.onnx"):
            continue
        head = _head(node, edges)
        link = None if head is None else edges.sole_reader(head.output)
        if head is None or link is None or id(link) in gone:
            continue
        found = _affine(link, head, edges)
        if found is None or not _is_sound(found, head):
            continue
        added = _apply(graph, head, link, found, names)
        gone.add(id(link))
        if added is not None:
            extra[id(node)] = added
    if not gone:
        return 0
    nodes = []
    for node in graph.node:
        if id(node) not in gone:
            nodes.append(node)
        if id(node) in extra:
            nodes.append(extra[id(node)])
    replace_nodes(graph, nodes)
    return len(gone)


def _head(node: NodeProto, edges: Edges) -> Head | None:
    """`node` as a head, where its weights (and bias) are constants that nothing else reads."""
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul") or len(node.input) < 2:
        return None
    weight = edges.array(node.input[1])
    if weight is None or weight.dtype not in (np.float32, np.float64) or edges.sole_reader(node.input[1]) is None:
        return None
    if node.op_type == "MatMul":
        return _product(node, weight, edges)
    bias = None
    if len(node.input) > 2 and node.input[2]:
        bias = edges.array(node.input[2])
        if bias is None:
            return None
    groups, over = 1, 0
    if node.op_type == "ConvTranspose":
        groups, over = int(attribute_of(node, "group", 1)), 1
    if node.op_type == "Gemm":
        over = 0 if attribute_of(node, "transB", 0) else 1
        if bias is not None:
            if bias.ndim > 2 or (bias.ndim == 2 and bias.shape[0] != 1):
                return None
            bias = float(attribute_of(node, "beta", 1.0)) * bias.reshape(-1).astype(np.float64)
    if bias is not None:
        bias = np.broadcast_to(bias, (weight.shape[over] * groups,))
    return Head(node, None, weight, bias, over, groups)


def _product(node: NodeProto, weight: Array, edges: Edges) -> Head | None:
    """A MatMul with weights `[inner, channels]`, and the Add of a row behind it."""
    if weight.ndim != 2:
        return None
    adding = edges.sole_reader(node.output[0])
    if adding is None or adding.op_type != "Add" or adding.domain not in ("", "ai.onnx"):
        return Head(node, None, weight, None, 1, 1)
    row = edges.array(_other(adding, node.output[0]))
    if row is None or row.dtype != weight.dtype or row.ndim != 1:
        return Head(node, None, weight, None, 1, 1)
    return Head(node, adding, weight, np.broadcast_to(row, weight.shape[1:]), 1, 1)


def _other(node: NodeProto, name: str) -> str:
    return str(node.input[1] if node.input[0] == name else node.input[0])


def _affine(link: NodeProto, head: Head, edges: Edges) -> Affine | None:
    """What `link` does to each channel of its input, None where it is something else."""
    if link.domain not in ("", "ai.onnx"):
        return None
    if link.op_type == "BatchNormalization":
        return _normalization(link, head, edges)
    if link.op_type not in ("Mul", "Div", "Add", "Sub") or len(link.input) != 2:
        return None
    first = link.input[0] == head.output
    constant = edges.array(_other(link, head.output))
    row = None if constant is None else _row(constant, head)
    if row is None:
        return None
    one, none = np.ones(head.channels), np.zeros(head.channels)
    if link.op_type == "Mul":
        return Affine(row, none)
    if link.op_type == "Add":
        # The Add that is a MatMul's bias already is left where it is.
        return None if head.node.op_type == "MatMul" and head.adding is None else Affine(one, row)
    if link.op_type == "Sub":
        return Affine(one, -row) if first else Affine(-one, row)
    with np.errstate(divide="ignore"):
        return Affine(1 / row, none) if first else None


def _normalization(link: NodeProto, head: Head, edges: Edges) -> Affine | None:
    if any(link.output[1:]) or attribute_of(link, "training_mode", 0) or link.input[0] != head.output:
        return None
    found = [edges.array(name) for name in link.input[1:5]]
    if head.is_last and not _has_rank_two(head):
        return None
    scale, offset, mean, variance = (None if array is None else array.astype(np.float64) for array in found)
    if scale is None or offset is None or mean is None or variance is None or scale.shape != (head.channels,):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = scale / np.sqrt(variance + float(attribute_of(link, "epsilon", 1e-5)))
    return Affine(factor, offset - mean * factor)


def _has_rank_two(head: Head) -> bool:
    """BatchNormalization counts its channels on the second axis, which is the last one only at rank 2."""
    return head.node.op_type == "Gemm"


def _row(constant: Array, head: Head) -> Array | None:
    """`[channels]` of a constant that broadcasts to one number a channel without adding axes."""
    if constant.dtype != head.weight.dtype:
        return None
    if constant.size == 1 and constant.ndim <= 1:
        return np.full(head.channels, float(constant.reshape(-1)[0]))
    rank = 2 if head.is_last else head.weight.ndim
    if head.node.op_type == "MatMul":
        rank = 1  # the rank of the other operand is not known here
    if constant.ndim > rank:
        return None
    shape = [1] * (rank - constant.ndim) + list(constant.shape)
    place = rank - 1 if head.is_last else 1
    if any(size != 1 for axis, size in enumerate(shape) if axis != place) or shape[place] not in (1, head.channels):
        return None
    return np.broadcast_to(constant.reshape(-1).astype(np.float64), (head.channels,))


def _is_sound(found: Affine, head: Head) -> bool:
    """Whether the fold stays within the numbers that the weights' type holds well."""
    limits = np.finfo(head.weight.dtype)
    largest = float(np.abs(head.weight).max(initial=0.0)) * float(np.abs(found.factor).max(initial=0.0))
    return (
        bool(np.isfinite(found.factor).all() and np.isfinite(found.offset).all())
        and math.isfinite(largest)
        and largest < math.sqrt(float(limits.max))
    )


def _apply(graph: GraphProto, head: Head, link: NodeProto, found: Affine, names: set[str]) -> NodeProto | None:
    """Write the fold; returns the Add that a MatMul needs for an offset it did not have."""
    node, dtype = head.node, head.weight.dtype
    along = [1] * head.weight.ndim
    along[head.over] = -1
    factor = found.factor.reshape(head.groups, -1)
    weight = head.weight.astype(np.float64)
    if head.groups == 1:
        weight = weight * factor.reshape(along)
    else:  # ConvTranspose in groups: input channels [groups * inner], each group with its own outputs
        parts = np.split(weight, head.groups, axis=0)
        weight = np.concatenate([part * row.reshape(along) for part, row in zip(parts, factor, strict=True)])
    set_constant(graph, node.input[1], weight.astype(dtype))
    bias = found.offset + (0 if head.bias is None else head.bias.astype(np.float64) * found.factor)
    output = link.output[0]
    if head.bias is None and not np.any(bias):
        node.output[0] = output
        return None
    name = _fresh(f"{node.input[1]}/bias", names)
    set_constant(graph, name, bias.astype(dtype))
    if node.op_type == "MatMul":
        if head.adding is None:
            node.output[0] = _fresh(f"{output}/product", names)
            return helper.make_node("Add", [node.output[0], name], [output], name=_fresh(f"{node.name}/bias", names))
        head.adding.input[list(head.adding.input).index(node.output[0]) ^ 1] = name
        head.adding.output[0] = output
        return None
    if node.op_type == "Gemm":
        for attribute in node.attribute:
            if attribute.name == "beta":
                attribute.f = 1.0
    if len(node.input) > 2:
        node.input[2] = name
    else:
        node.input.append(name)
    node.output[0] = output
    return None


def _fresh(wanted: str, names: set[str]) -> str:
    name, number = wanted, 1
    while name in names:
        number += 1
        name = f"{wanted}_{number}"
    names.add(name)
    return name
