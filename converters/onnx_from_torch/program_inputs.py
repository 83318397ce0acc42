"""What goes into an exported PyTorch program (.pt2): it knows its own shapes, element types and free sizes."""

from __future__ import annotations

from typing import Any

from mlpack_edge.converters.onnx_from_torch.inputs import BATCH, InputPlan, TorchOptions
from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.core.signature import Dimension, TensorSpec

#: A torch.export.ExportedProgram and its graph's nodes.
Program = Any
Node = Any


def plan_program(program: Program, options: TorchOptions) -> InputPlan:
    """The inputs of a program under the names of its graph.

    A free size is called "batch" where it comes first, else after its input and axis; `options.shapes` may name it
    otherwise. Raises BadInput where `options.shapes` says other sizes than the program has.
    """
    nodes = _user_inputs(program)
    for name in [*options.shapes, *options.dtypes]:
        if name not in nodes:
            raise BadInput(f"the program has no input {name!r}", f"it takes {', '.join(nodes)}")
    names: dict[str, str] = {}
    specs, sizes, limits = [], {}, {}
    for name, node in nodes.items():
        value = node.meta["val"]
        asked = options.shapes.get(name, (None,) * value.dim())
        shape: list[Dimension] = []
        for axis, (size, wish) in enumerate(zip(value.shape, asked, strict=False)):
            shape.append(_dimension(name, axis, size, wish, names))
        if len(asked) != value.dim() or any(
            isinstance(wish, int) and wish != size for wish, size in zip(asked, shape, strict=True)
        ):
            raise BadInput(
                f"the program takes {name} as {'x'.join(map(str, shape))}, not {'x'.join(map(str, asked))}",
                "leave --shape away, or export the program again with other sizes",
            )
        for size, symbol in zip(value.shape, shape, strict=True):
            if isinstance(symbol, str) and symbol not in sizes:
                low, high = _limits(program, size)
                limits[symbol] = (low, high)
                sizes[symbol] = _hint(size, low)
        dtype = str(value.dtype).removeprefix("torch.")
        if options.dtypes.get(name, dtype) != dtype:
            raise BadInput(f"the program takes {name} as {dtype}", "leave the element type away")
        specs.append(TensorSpec(name, dtype, tuple(shape)))
    return InputPlan(tuple(specs), {}, sizes, _bounds(program, nodes), limits)


def _user_inputs(program: Program) -> dict[str, Node]:
    import torch

    placeholders = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    found = {}
    for spec in program.graph_signature.input_specs:
        if spec.kind.name == "USER_INPUT":
            if isinstance(spec.arg, torch.export.graph_signature.TensorArgument):
                found[spec.arg.name] = placeholders[spec.arg.name]
            elif not isinstance(spec.arg, torch.export.graph_signature.ConstantArgument):
                raise Unsupported(
                    f"the program takes {spec.arg.name} as a number, no tensor", "export it with tensors as inputs"
                )
    if not found:
        raise BadInput("the program takes no tensors", "a model needs an input")
    return found


def _dimension(name: str, axis: int, size: Any, wish: Dimension | None, names: dict[str, str]) -> Dimension:
    if isinstance(size, int):
        return size
    symbol = str(size)
    if symbol not in names:
        first = axis == 0 and BATCH not in names.values()
        names[symbol] = wish if isinstance(wish, str) else BATCH if first else f"{name}_{axis}"
    return names[symbol]


def _limits(program: Program, size: Any) -> tuple[int, int | None]:
    found = program.range_constraints.get(size.node.expr)
    if found is None:
        return 0, None
    low, high = (int(end) if str(end).lstrip("-").isdigit() else None for end in (found.lower, found.upper))
    return low or 0, high


def _hint(size: Any, low: int) -> int:
    """The size in the example the program was exported with."""
    hint = getattr(size.node, "hint", None)
    return int(hint) if hint is not None else max(low, 3)


def _bounds(program: Program, nodes: dict[str, Node]) -> dict[str, int]:
    """Of inputs that go straight into an embedding, the number of its rows."""
    import torch

    bounds: dict[str, int] = {}
    for node in program.graph.nodes:
        if node.target is torch.ops.aten.embedding.default and getattr(node.args[1], "name", "") in nodes:
            rows = int(node.args[0].meta["val"].shape[0])
            bounds[node.args[1].name] = min(bounds.get(node.args[1].name, rows), rows)
    return bounds
