"""The passes over a lowered graph, in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mlpack_edge.converters.tflite_from_onnx.passes.activations import fuse_activations
from mlpack_edge.converters.tflite_from_onnx.passes.affine import fold_affine_after, fold_affine_before
from mlpack_edge.converters.tflite_from_onnx.passes.affine_chains import merge_affine
from mlpack_edge.converters.tflite_from_onnx.passes.aliases import keep_apart
from mlpack_edge.converters.tflite_from_onnx.passes.dead import drop_dead
from mlpack_edge.converters.tflite_from_onnx.passes.duplicates import merge_duplicates
from mlpack_edge.converters.tflite_from_onnx.passes.hoisting import hoist_transposes
from mlpack_edge.converters.tflite_from_onnx.passes.identities import drop_identities
from mlpack_edge.converters.tflite_from_onnx.passes.padding import merge_padding
from mlpack_edge.converters.tflite_from_onnx.passes.parting import part_products
from mlpack_edge.converters.tflite_from_onnx.passes.products_of_codes import part_dequantized_operands
from mlpack_edge.converters.tflite_from_onnx.passes.quantize import quantize_operators
from mlpack_edge.converters.tflite_from_onnx.passes.quantize_borders import make_exact, name_grids
from mlpack_edge.converters.tflite_from_onnx.passes.quantize_moves import move_codes
from mlpack_edge.converters.tflite_from_onnx.passes.reshapes import merge_reshapes
from mlpack_edge.converters.tflite_from_onnx.passes.roots import invert_roots
from mlpack_edge.converters.tflite_from_onnx.passes.transposes import flatten_channels_last, merge_transposes
from mlpack_edge.converters.tflite_from_onnx.passes.weights import (
    drop_small_codes,
    restore_codes,
    stored_constants,
)
from mlpack_edge.converters.tflite_graph.model import Graph
from mlpack_edge.core.errors import Unsupported

#: Rewrites a graph in place and says whether it changed anything.
Pass = Callable[[Graph], bool]
_PASSES = (
    merge_duplicates,
    drop_identities,
    merge_reshapes,
    hoist_transposes,
    merge_transposes,
    part_products,
    invert_roots,
    flatten_channels_last,
    merge_affine,
    fold_affine_after,
    fold_affine_before,
    merge_padding,
    fuse_activations,
    move_codes,
    quantize_operators,
    name_grids,
)
#: What one pass leaves is work for another; a chain of this many has not been seen.
_MOST_ROUNDS = 20
#: RESHAPE and TRANSPOSE load with more than these, and fail when the model runs.
_MOST_DIMENSIONS = 8


def improve(graph: Graph, last: Sequence[Pass] = ()) -> None:
    """Rewrite `graph` and its sub-graphs in place; what they compute stays the same.

    last: passes of a caller over each graph, when nothing else is left to do; what each leaves is gone over once more.
    Raises Unsupported where a tensor is left that has more dimensions than TFLite's kernels take.
    """
    graphs = [graph, *dict.fromkeys(graph.subgraphs())]
    known = stored_constants(graphs)
    for one in graphs:
        restore_codes(one, known)
        drop_dead(one)
        _improve(one, last)
        _check_dimensions(one)


def _check_dimensions(graph: Graph) -> None:
    for tensor in graph.tensors():
        if len(tensor.shape) > _MOST_DIMENSIONS:
            raise Unsupported(
                f"the tensor {tensor.name!r} has {len(tensor.shape)} dimensions, and TFLite takes {_MOST_DIMENSIONS}",
                "keep the model as ONNX: mlpack convert --to onnx",
            )


def _improve(graph: Graph, last: Sequence[Pass]) -> None:
    _settle(graph)
    reals = [tensor.dtype == "float32" for tensor in graph.outputs]
    for one in last:
        if one(graph):
            _settle(graph)
    drop_small_codes(graph)
    make_exact(graph, {tensor for tensor, real in zip(graph.outputs, reals, strict=True) if real})
    part_dequantized_operands(graph)
    keep_apart(graph)
    _name(graph)


def _settle(graph: Graph) -> None:
    for _ in range(_MOST_ROUNDS):
        changed = [one(graph) for one in _PASSES]
        drop_dead(graph)
        if not any(changed):
            break


def _name(graph: Graph) -> None:
    """Every name is a tensor's own: tools find tensors by it. What holds no value of the ONNX model has none."""
    taken = {tensor.name for tensor in (*graph.inputs, *graph.outputs)}
    borders = {*graph.inputs, *graph.outputs}
    for place, tensor in enumerate(graph.tensors()):
        if tensor in borders or not tensor.name:
            continue
        name = tensor.name
        while name in taken:
            name = f"{name}.{place}"
        tensor.name = name
        taken.add(name)
