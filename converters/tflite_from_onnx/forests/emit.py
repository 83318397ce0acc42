"""A forest as TFLite operators: what it gives for rows, as ONNX's tree operators give it before their post transform."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.forests.forest import AVERAGE, SUM, Forest
from mlpack_edge.converters.tflite_from_onnx.forests.layout import node_table
from mlpack_edge.converters.tflite_from_onnx.forests.questions import questions_of
from mlpack_edge.converters.tflite_from_onnx.forests.sums import Numbers, added, numbers_of
from mlpack_edge.converters.tflite_from_onnx.forests.walk import compared, walked
from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value
from mlpack_edge.converters.tflite_graph.model import Tensor

Array = NDArray[Any]


def forest_sums(low: Lowering, forest: Forest, x: Value) -> Value:
    """[batch, n_targets] in the forest's dtype (held as float32) for `x` [batch, features], float32 or float64.

    Every comparison falls as it does in float64. The sums of a float64 forest are exact to 2^-31 of its largest leaf.
    """
    batch, width = x.shape
    assert isinstance(width, int)
    trees = len(forest.roots)
    forest = _constant_trees_in_the_base(forest)
    rows = low.tensor(x)
    vectors = bool((forest.target < 0).any())
    made = (_vectors if vectors else _one_value)(low, forest, rows, batch, width)
    if forest.aggregate == AVERAGE:
        made = low.emit("DIV", [made, np.array(trees, np.float32)], "float32", (batch, forest.n_targets))
    return low.value(made, Spec(forest.dtype, (batch, forest.n_targets)))


def _walk(low: Lowering, forest: Forest, says: NDArray[np.int32], rows: Tensor, batch: Size, width: int) -> Tensor:
    """What the leaf of each tree says, as bits: float32 [batch, trees]. says: int32 [leaves]."""
    asked = questions_of(forest, width)
    at_nodes = np.zeros(len(asked.column), np.int32)
    leaf = asked.column < 0
    at_nodes[leaf] = says[asked.leaf[leaf]]
    table = node_table(asked, at_nodes)
    return walked(low, table, compared(low, asked.columns, rows, batch), batch)


def _one_value(low: Lowering, forest: Forest, rows: Tensor, batch: Size, width: int) -> Tensor:
    """Trees that add one number to one output: brought in the order of the outputs, as many trees for each."""
    counts = np.bincount(forest.target, minlength=forest.n_targets)
    most = int(counts.max())
    forest = _filled(forest, most - counts)
    order = np.argsort(forest.target, kind="stable")
    forest = replace(forest, roots=forest.roots[order], target=forest.target[order])
    numbers = numbers_of(forest.values[:, 0], most, forest.dtype)
    said = _walk(low, forest, numbers.bits, rows, batch, width)
    said = _read(low, said, numbers, (batch, len(forest.roots)))
    shape = (batch, forest.n_targets, most)
    if forest.n_targets > 1 and most > 1:
        said = low.reshape(said, shape)
        return added(low, forest.aggregate, numbers, said, shape, 2, forest.base[None, :])
    if most == 1:
        # each tree is an output of its own
        return added(low, SUM, numbers, low.reshape(said, shape), shape, 2, forest.base[None, :])
    total = added(low, forest.aggregate, numbers, said, (batch, most), 1, forest.base)
    return low.reshape(total, (batch, 1))


def _vectors(low: Lowering, forest: Forest, rows: Tensor, batch: Size, width: int) -> Tensor:
    """Trees whose leaves add to several outputs: the number of the leaf, its row, the sum of the rows."""
    unique, place = np.unique(forest.values, axis=0, return_inverse=True)
    numbers = numbers_of(unique, len(forest.roots), forest.dtype)
    reached = _walk(low, forest, place.reshape(-1).astype(np.int32), rows, batch, width)
    trees = len(forest.roots)
    number = low.emit("BITCAST", [reached], "int32", (batch, trees))
    shape = (batch, trees, forest.n_targets)
    kept = numbers.bits if numbers.scale is not None else numbers.bits.view(np.float32)
    said = low.emit("GATHER", [kept, number], kept.dtype.name, shape, axis=0)
    return added(low, forest.aggregate, numbers, said, shape, 1, forest.base[None, :])


def _read(low: Lowering, said: Tensor, numbers: Numbers, shape: tuple[Size, ...]) -> Tensor:
    return said if numbers.scale is None else low.emit("BITCAST", [said], "int32", shape)


def _filled(forest: Forest, missing: NDArray[np.int64]) -> Forest:
    """The forest with trees of a single leaf of 0 added, `missing` of them for each output."""
    count = int(missing.sum())
    if not count:
        return forest
    node, leaf = len(forest.feature), len(forest.values)
    return replace(
        forest,
        roots=np.concatenate([forest.roots, np.full(count, node)]),
        target=np.concatenate([forest.target, np.repeat(np.arange(forest.n_targets), missing)]),
        feature=np.append(forest.feature, -1), mode=np.append(forest.mode, np.uint8(0)),
        threshold=np.append(forest.threshold, 0.0), true_child=np.append(forest.true_child, node),
        false_child=np.append(forest.false_child, node), missing_true=np.append(forest.missing_true, False),
        leaf=np.append(forest.leaf, leaf), values=np.vstack([forest.values, np.zeros((1, forest.values.shape[1]))]),
    )  # fmt: skip


def _constant_trees_in_the_base(forest: Forest) -> Forest:
    """Trees that say the same to every row, added to the base: those that come first where the order counts."""
    if forest.aggregate not in (SUM, AVERAGE):
        return forest
    base, kept, begun = forest.base.copy(), [], set[int]()
    for tree, root in enumerate(forest.roots.tolist()):
        target = int(forest.target[tree])
        one = _only_leaf(forest, root)
        if one is None or (forest.dtype == "float32" and (target in begun or target < 0)):
            kept.append(tree)
            begun.add(target)
        elif target < 0:
            base = base + forest.values[one]
        elif forest.dtype == "float32":
            base[target] = np.float32(base[target]) + np.float32(forest.values[one, 0])
        else:
            base[target] += forest.values[one, 0]
    kept = kept or [0]
    if len(kept) == 1 and _only_leaf(forest, int(forest.roots[kept[0]])) is not None:
        return forest  # a model that says the same to every row keeps a tree, which knows the rows
    return replace(forest, roots=forest.roots[kept], target=forest.target[kept], base=base)


def _only_leaf(forest: Forest, node: int) -> int | None:
    """The row of the values that every row of this tree reaches, None where it depends on the row."""
    if not forest.is_leaf[node]:
        below = {int(forest.true_child[node]), int(forest.false_child[node])}
        node = below.pop() if len(below) == 1 else -1
    return int(forest.leaf[node]) if node >= 0 and forest.is_leaf[node] else None
