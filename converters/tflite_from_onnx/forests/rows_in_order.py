"""Rows that the ONNX source sorts before an ensemble and puts back behind it: they stay in their order.

`trees/row_order.py` sorts them for ONNX Runtime's sake alone (docs/decisions/0002-tree-layout.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
from onnx import helper

ML = "ai.onnx.ml"

#: What may lie between rows that are sorted and results that are put back: each row by itself.
_ROW_BY_ROW = frozenset({
    "TreeEnsemble", "Cast", "Neg", "Concat", "Add", "Mul", "Div", "Sub", "Transpose", "Reshape", "Gather",
    "GatherElements", "ReduceSum", "CumSum", "ScatterND", "Floor", "Clip", "Equal", "Where", "IsNaN", "Or", "And",
    "Shape", "Expand", "Identity",
})  # fmt: skip


def unsorted(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Rows stay in their order: TopK, GatherND and ScatterND around an ensemble become Identity."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    makers = {name: node for node in nodes for name in node.output}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    orders = set()
    for node in nodes:
        key = makers.get(node.input[0]) if node.op_type == "TopK" else None
        if key is not None and (key.domain, key.op_type) == (ML, "TreeEnsemble"):
            order = node.output[1]
            count = makers.get(node.input[1])
            every_row = count is not None and count.op_type == "Shape"
            if every_row and _rows_come_back(order, readers) and not readers.get(node.output[0]):
                orders.add(order)
    made = []
    for node in nodes:
        if node.op_type in ("GatherND", "ScatterND") and node.input[1] in orders:
            node = helper.make_node("Identity", [node.input[0]], list(node.output), name=node.name)
        made.append(node)
    return made


def _rows_come_back(order: str, readers: Mapping[str, list[onnx.NodeProto]]) -> bool:
    """Whether every row that is moved in this order is put back by it, and is alone in between."""
    uses = readers.get(order, [])
    sorted_rows = [node for node in uses if node.op_type == "GatherND" and node.input[1] == order]
    backs = [
        node
        for node in uses
        if node.op_type == "ScatterND" and node.input[1] == order and node.input[0] == node.input[2]
    ]
    if len(sorted_rows) + len(backs) != len(uses):
        return False
    seen: set[str] = set()
    waiting = [node.output[0] for node in sorted_rows]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if not readers.get(name):
            return False
        for node in readers[name]:
            if node in backs:
                continue
            if node.op_type not in _ROW_BY_ROW or node.op_type == "ScatterND":
                return False
            waiting.extend(node.output)
    return True
