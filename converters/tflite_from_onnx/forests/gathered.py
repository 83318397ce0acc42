"""Tree ensembles that the ONNX source took apart for ONNX Runtime's sake, brought together again.

`converters/trees` sorts rows, splits ensembles into groups, and looks leaf vectors up behind the operator
(docs/decisions/0002-tree-layout.md). None of it helps TFLite: each forest becomes one node again, which is walked once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from mlpack_edge.converters.tflite_from_onnx.forests.forest import SUM, Forest, joined
from mlpack_edge.converters.tflite_from_onnx.forests.read import forest_of
from mlpack_edge.converters.tflite_from_onnx.forests.rows_in_order import unsorted
from mlpack_edge.core.errors import Unsupported

Array = NDArray[Any]
ML = "ai.onnx.ml"
#: The domain of the nodes that stand for a Forest, which goes beside the graph.
OWN = "mlpack"
#: What is left to do after the sums.
KEPT_ATTRIBUTES = ("post_transform", "classlabels_int64s", "classlabels_strings")


@dataclass(frozen=True, slots=True)
class _Part:
    """What a tensor holds: numbers of a forest on `rows`.

    kind: "sums" [batch, targets], "apart across" [trees, batch], "flat" [1, trees * batch], "looked up" [.., values]
    of `vectors`, "column" [batch], "running" (sums from tree to tree), "last" of them.
    """

    kind: str
    rows: str
    forest: Forest
    source: str = ""
    vectors: Array | None = None


@dataclass(slots=True)
class Gathered:
    """nodes: in an order in which they can run. forests: by the name of the tensor that a node of OWN makes.
    source: nodes that ONNX Runtime can run, by the same names of tensors."""

    nodes: list[onnx.NodeProto]
    source: list[onnx.NodeProto]
    forests: dict[str, Forest] = field(default_factory=dict)


def gathered(nodes: Sequence[onnx.NodeProto], constants: Mapping[str, Array], outputs: Iterable[str]) -> Gathered:
    """The nodes with each TreeEnsemble of ai.onnx.ml 5, and what belongs to it, as one node `mlpack.Forest`.

    constants: what is known of tensors before the model runs. outputs: the names that must stay.
    Raises Unsupported where a TreeEnsemble is none that can be read.
    """
    nodes = unsorted(nodes)
    parts: dict[str, _Part] = {}
    made = Gathered([], nodes)
    for node in nodes:
        part = _part_of(node, parts, constants)
        finished = _finished(node) if part is None else None
        if finished is not None:
            made.forests[node.output[0]], node = finished
        if part is None:
            made.nodes.append(node)
            continue
        parts[node.output[0]] = part
        if part.kind == "sums":
            made.forests[node.output[0]] = part.forest
            made.nodes.append(_forest_node(node, part.rows))
        else:
            made.nodes.append(node)
    made.nodes = alive(made.nodes, set(outputs))
    there = {name for node in made.nodes for name in node.output}
    made.forests = {name: forest for name, forest in made.forests.items() if name in there}
    return made


def _forest_node(node: onnx.NodeProto, rows: str) -> onnx.NodeProto:
    name = node.output[0]
    return helper.make_node("Forest", [rows], [name], name=node.name or name, domain=OWN)


def _finished(node: onnx.NodeProto) -> tuple[Forest, onnx.NodeProto] | None:
    """A tree operator that does more than add, as a forest and what is left to do; None for any other node."""
    if node.domain != ML or node.op_type not in ("TreeEnsemble", "TreeEnsembleRegressor", "TreeEnsembleClassifier"):
        return None
    forest = forest_of(node, _refusing(node))
    left = helper.make_node(
        "Forest", [node.input[0]], list(node.output), name=node.name or node.output[0], domain=OWN, kind=node.op_type
    )
    left.attribute.extend(attribute for attribute in node.attribute if attribute.name in KEPT_ATTRIBUTES)
    return forest, left


def _refusing(node: onnx.NodeProto) -> Callable[[str], Unsupported]:
    kind = f"{ML}.{node.op_type}"

    def refuse(why: str) -> Unsupported:
        return Unsupported(
            f"operator {kind} (node {node.name or node.output[0]!r}) cannot be lowered to TFLite",
            "check the model with onnx.checker; --to onnx keeps it as it is", why=why, op=kind, node=node.name,
        )  # fmt: skip

    return refuse


def alive(nodes: Sequence[onnx.NodeProto], wanted: set[str]) -> list[onnx.NodeProto]:
    """The nodes on which the wanted tensors depend."""
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(name for name in node.output if name):
            kept.append(node)
            wanted.update(node.input)
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    wanted.update(name for inner in attribute.g.node for name in inner.input)
    return kept[::-1]


Rule = Callable[[onnx.NodeProto, Mapping[str, _Part], Mapping[str, Array]], "_Part | None"]


def _part_of(node: onnx.NodeProto, parts: Mapping[str, _Part], constants: Mapping[str, Array]) -> _Part | None:
    rule = _RULES.get((node.domain, node.op_type))
    return None if rule is None else rule(node, parts, constants)


def _ensemble(node: onnx.NodeProto, parts: Mapping[str, _Part], constants: Mapping[str, Array]) -> _Part | None:
    given = {attribute.name: attribute.i for attribute in node.attribute}
    if given.get("aggregate_function", SUM) != SUM or given.get("post_transform", 0):
        return None
    return _Part("sums", node.input[0], forest_of(node, _refusing(node)), node.output[0])


def _same(node: onnx.NodeProto, parts: Mapping[str, _Part], constants: Mapping[str, Array]) -> _Part | None:
    part = parts.get(node.input[0])
    if part is None or node.op_type == "Identity":
        return part
    to = next(attribute.i for attribute in node.attribute if attribute.name == "to")
    if part.kind == "sums" and to in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
        exact = part.forest.dtype == "float64" or _apart(part.forest) or _whole(part.forest)
        return part if exact else None
    return part if part.kind == "apart across" and to == onnx.TensorProto.INT32 else None


def _whole(forest: Forest) -> bool:
    """Whether all leaves are whole numbers whose sums float32 holds: they may be added in any order."""
    values = forest.values
    whole = bool((values == np.rint(values)).all()) and bool((forest.base == np.rint(forest.base)).all())
    return whole and float(np.abs(values).max(initial=0)) * len(forest.roots) + np.abs(forest.base).max() < 2**24


def _apart(forest: Forest) -> bool:
    """Whether each tree is an output of its own."""
    return bool((forest.target == np.arange(len(forest.roots))).all()) and forest.n_targets == len(forest.roots)


def _add(node: onnx.NodeProto, parts: Mapping[str, _Part], constants: Mapping[str, Array]) -> _Part | None:
    found = [parts.get(name) for name in node.input]
    one, other = found
    if one is None or other is None or one.kind != "sums" or other.kind != "sums" or one.rows != other.rows:
        return None
    fits = one.forest.n_targets == other.forest.n_targets and one.forest.values.shape[1] == other.forest.values.shape[1]
    if not fits or not (_whole(one.forest) and _whole(other.forest)):
        return None
    return _Part("sums", one.rows, joined([one.forest, other.forest], side_by_side=False), node.output[0])


def _concat(node: onnx.NodeProto, parts: Mapping[str, _Part], constants: Mapping[str, Array]) -> _Part | None:
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    found = [parts[name] for name in node.input if name in parts]
    if len(found) != len(node.input) or axis not in (1, -1):
        return None
    kinds = {(part.kind, part.rows) for part in found}
    if len(kinds) != 1:
        return None
    kind, rows = kinds.pop()
    if kind == "column" and len({part.source for part in found}) == 1:
        vectors = [part.forest.values for part in found]
        whole = np.concatenate(vectors, axis=1)
        forest = replace(
            found[0].forest, values=whole, n_targets=len(found), base=np.zeros(len(found)),
            target=np.full(len(found[0].forest.roots), -1),
        )  # fmt: skip
        return _Part("sums", rows, forest, node.output[0])
    if kind == "sums" and all((part.forest.target >= 0).all() for part in found):
        return _Part("sums", rows, joined([part.forest for part in found], side_by_side=True), node.output[0])
    return None


def _transpose(node: onnx.NodeProto, parts: Mapping[str, _Part], constants: Mapping[str, Array]) -> _Part | None:
    part = parts.get(node.input[0])
    if part is None or part.kind != "sums" or not _apart(part.forest) or not _whole(part.forest):
        return None
    return replace(part, kind="apart across", source=node.output[0])


def _reshape(node: onnx.NodeProto, parts: Mapping[str, _Part], constants: Mapping[str, Array]) -> _Part | None:
    part, shape = parts.get(node.input[0]), constants.get(node.input[1])
    if part is None or shape is None:
        return None
    target = tuple(int(size) for size in shape)
    if part.kind == "apart across" and target == (1, -1):
        return replace(part, kind="flat")
    if part.kind == "looked up" and target == (len(part.forest.roots), -1):
        return part
    if part.kind == "column" and target == (-1, 1):
        return part
    if part.kind == "last" and target == (-1, 1):
        return replace(part, kind="sums")
    return None


def _looked_up(node: onnx.NodeProto, parts: Mapping[str, _Part], constants: Mapping[str, Array]) -> _Part | None:
    """Gather of whole vectors, or GatherElements of one entry of each."""
    table, part = constants.get(node.input[0]), parts.get(node.input[1])
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    if table is not None and part is not None:
        if node.op_type == "Gather" and part.kind == "apart across" and axis == 0 and table.ndim == 2:
            return replace(part, kind="looked up", vectors=table)
        if node.op_type == "GatherElements" and part.kind == "flat" and axis == 1 and len(table) == 1:
            return replace(part, kind="looked up", vectors=table.T)
        return None
    running, place = parts.get(node.input[0]), constants.get(node.input[1])
    if running is not None and running.kind == "running" and place is not None and axis == 1:
        return replace(running, kind="last") if place.reshape(-1).tolist() == [-1] else None
    return None


def _reduce_sum(node: onnx.NodeProto, parts: Mapping[str, _Part], constants: Mapping[str, Array]) -> _Part | None:
    part, axes = parts.get(node.input[0]), constants.get(node.input[1]) if len(node.input) > 1 else None
    if part is None or part.kind != "looked up" or part.vectors is None or axes is None or axes.tolist() != [0]:
        return None
    numbers = part.forest.values[:, 0].astype(np.int64)
    if (numbers < 0).any() or (numbers >= len(part.vectors)).any():
        return None
    values = part.vectors[numbers].astype(np.float64)
    whole = values.shape[1]
    dtype = "float64" if part.vectors.dtype == np.float64 else "float32"
    single = part.source != "" and whole == 1
    forest = replace(
        part.forest, values=values, n_targets=whole, base=np.zeros(whole), dtype=dtype,
        target=np.full(len(part.forest.roots), 0 if single else -1),
    )  # fmt: skip
    return _Part("column" if single else "sums", part.rows, forest, part.source)


def _cumsum(node: onnx.NodeProto, parts: Mapping[str, _Part], constants: Mapping[str, Array]) -> _Part | None:
    """The running sum of what the trees say, of which only the last is read."""
    part, axis = parts.get(node.input[0]), constants.get(node.input[1])
    if (
        part is None
        or part.kind != "sums"
        or not _apart(part.forest)
        or axis is None
        or axis.reshape(-1).tolist() != [1]
    ):
        return None
    trees = len(part.forest.roots)
    forest = replace(part.forest, target=np.zeros(trees, np.int64), n_targets=1, base=np.zeros(1), dtype="float64")
    return _Part("running", part.rows, forest) if not part.forest.base.any() else None


_RULES: dict[tuple[str, str], Rule] = {
    (ML, "TreeEnsemble"): _ensemble,
    ("", "Identity"): _same,
    ("", "Cast"): _same,
    ("", "Add"): _add,
    ("", "Concat"): _concat,
    ("", "Transpose"): _transpose,
    ("", "Reshape"): _reshape,
    ("", "Gather"): _looked_up,
    ("", "GatherElements"): _looked_up,
    ("", "ReduceSum"): _reduce_sum,
    ("", "CumSum"): _cumsum,
}
