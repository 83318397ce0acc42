"""Give the inputs of an ONNX model the shapes a user asks for, and let its outputs follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
from onnx import ValueInfoProto, shape_inference

from mlpack_edge.converters.onnx_from_onnx.light import light_copy
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Dimension
from mlpack_edge.runtimes.onnx_files.signature import real_inputs, shape_of


def set_shapes(model: onnx.ModelProto, shapes: Mapping[str, Sequence[Dimension]]) -> list[str]:
    """Write `shapes` (input name -> sizes and names) into the graph, in place; outputs are inferred again.

    Without any, only outputs of unknown rank are inferred. A size that cannot be inferred stays what it was, unless
    it equals a size that was replaced: then it has no name. Raises BadInput for an unknown input or another rank.
    """
    inputs = {value.name: value for value in real_inputs(model.graph)}
    replaced: set[int] = set()
    for name, sizes in shapes.items():
        if name not in inputs:
            raise BadInput(
                f"the model has no input {name!r}",
                f"its inputs are {', '.join(map(repr, inputs))}: write --shape NAME=...",
            )
        before = shape_of(inputs[name]) or ()
        _write(inputs[name], sizes)
        replaced |= {old for old, new in zip(before, sizes, strict=False) if isinstance(old, int) and old != new}
    unknown = [value for value in model.graph.output if shape_of(value) is None and _is_tensor(value)]
    waiting = [value for value in model.graph.output if _is_tensor(value)] if shapes else unknown
    if not waiting:
        return []
    known = {value.name: shape_of(value) for value in waiting}
    for value in waiting:
        value.type.tensor_type.ClearField("shape")
    found = _inferred(model)
    for value in waiting:
        fresh = found.get(value.name)
        if fresh is None and known[value.name] is None:
            continue
        old = known[value.name] or (None,) * len(fresh or ())
        inferred = fresh if fresh is not None and len(fresh) == len(old) else (None,) * len(old)
        # A size that inference does not know is kept, unless it is one that the user replaced in an input.
        _put(
            value,
            [
                new if new is not None else None if was in replaced else was
                for was, new in zip(old, inferred, strict=True)
            ],
        )
    texts = [f"{name} [{', '.join(map(str, sizes))}]" for name, sizes in shapes.items()]
    return [f"set the shape of {', '.join(texts)}"] if texts else []


def _is_tensor(value: ValueInfoProto) -> bool:
    return bool(value.type.WhichOneof("value") == "tensor_type")


def _write(value: ValueInfoProto, sizes: Sequence[Dimension]) -> None:
    if not _is_tensor(value):
        raise BadInput(f"the input {value.name!r} is no tensor and takes no shape", "leave its --shape out")
    before = shape_of(value)
    if before is not None and len(before) != len(sizes):
        known = "x".join("?" if size is None else str(size) for size in before)
        raise BadInput(
            f"the input {value.name!r} has {len(before)} dimensions, --shape gives {len(sizes)}",
            f"its shape in the model is {known}",
        )
    _put(value, sizes)


def _put(value: ValueInfoProto, sizes: Sequence[Dimension | None]) -> None:
    """Write a shape; None is a size without a name."""
    shape = value.type.tensor_type.shape
    shape.SetInParent()
    del shape.dim[:]
    for size in sizes:
        dimension = shape.dim.add()
        if isinstance(size, int):
            dimension.dim_value = size
        elif size is not None:
            dimension.dim_param = size


def _inferred(model: onnx.ModelProto) -> dict[str, tuple[Dimension | None, ...]]:
    """The shapes that onnx infers for the outputs, where it knows their rank."""
    try:
        made = shape_inference.infer_shapes(light_copy(model, with_shapes=True), data_prop=True)
    except (shape_inference.InferenceError, ValueError, RuntimeError):
        # Strictly a convenience: without it the outputs have a rank and no sizes.
        return {}
    shapes = {value.name: shape_of(value) for value in made.graph.output if _is_tensor(value)}
    return {name: _plain(shape) for name, shape in shapes.items() if shape is not None}


def _plain(shape: Sequence[Dimension | None]) -> tuple[Dimension | None, ...]:
    """Without the names that inference makes up (`unk__0`)."""
    return tuple(None if isinstance(size, str) and size.startswith("unk__") else size for size in shape)
