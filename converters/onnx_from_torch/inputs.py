"""What goes into a PyTorch module: names, element types, sizes, one example of each, and the bounds of token ids."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlpack_edge.converters.onnx_from_torch.examples import example, refuse_state, watched
from mlpack_edge.converters.onnx_from_torch.suggestion import shape_needed
from mlpack_edge.converters.onnx_graph import DEFAULT_OPSET
from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.core.signature import Dimension, TensorSpec
from mlpack_edge.runtimes.rows import ColumnHint, Hints
from mlpack_edge.runtimes.torch.module import call, users_code

#: torch.nn.Module and torch.Tensor: torch ships types, but is not imported where it is not needed.
Module = Any
Tensor = Any

BATCH = "batch"
#: Example sizes of symbols: no two alike and none a size that is fixed elsewhere, so that what is equal by chance is
#: not taken for equal by nature. The later rows are for nets that shrink their input, or halve and double it, tried
#: when the first fail.
_SIZES = (
    (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61),
    (67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137),
    (227, 229, 233, 239, 241, 251, 257, 263, 269, 271, 277, 281, 283),
    (64, 96, 128, 160, 192, 224, 256, 288, 320, 352),
)
_DTYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")


@dataclass(frozen=True, slots=True)
class TorchOptions:
    """shapes: by input name, a symbolic name where a size stays free. dtypes: by input name, numpy's names."""

    shapes: Mapping[str, tuple[Dimension, ...]] = field(default_factory=dict)
    dtypes: Mapping[str, str] = field(default_factory=dict)
    opset: int = DEFAULT_OPSET


@dataclass(frozen=True, slots=True)
class InputPlan:
    """examples: a tensor an input. sizes: what the symbols are in them. bounds: of integer inputs, the first id that
    is too large (torch.nn.Embedding.num_embeddings), where it is known. limits: of symbols, the smallest and largest
    size they may take, where the model says (None: no limit)."""

    specs: tuple[TensorSpec, ...]
    examples: Mapping[str, Tensor]
    sizes: Mapping[str, int]
    bounds: Mapping[str, int]
    limits: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)

    def hints(self) -> Hints:
        """Where rows are to be made: ids below the bound, sizes that the net is known to take."""
        columns = {(name, 0): ColumnHint(low=0.0, high=float(bound - 1)) for name, bound in self.bounds.items()}
        sizes = {}
        for symbol, size in self.sizes.items():
            low, high = self.limits.get(symbol, (0, None))
            tried = (size, size + 1, size + 16) if size > max(_SIZES[0]) else (8, 1, 5, 13)
            fitting = tuple(number for number in tried if low <= number <= (number if high is None else high))
            sizes[symbol] = fitting or (size,)
        return Hints(columns=columns, sizes=sizes)

    def notes(self) -> list[str]:
        """What the user should know: ranges that the check could not learn, sizes that the model does not take."""
        ranges = [
            f"{symbol} is at least {low}" if high is None else f"{symbol} is at most {high}"
            for symbol, (low, high) in self.limits.items()
            if low > 1 or high is not None
        ]
        return ranges + [
            f"{spec.name} holds whole numbers whose range nothing tells; the check uses 0 to 2: give real rows with --data"
            for spec in self.specs
            if "int" in spec.dtype and spec.name not in self.bounds
        ]


def plan_inputs(module: Module, options: TorchOptions) -> InputPlan:
    """The inputs of a torch.nn.Module, which is run once on examples.

    Shapes come from `options`, else from `example_inputs` of the module (a tensor, a tuple, a dict by name, or a
    callable giving one). dim 0 is the batch. Raises BadInput with the line to type where a shape is not known.
    """
    given = _given(module)
    names = _names(module, {*options.shapes, *given})
    unknown = [name for name in [*options.shapes, *options.dtypes] if name not in names]
    if unknown:
        raise BadInput(f"the model has no input {unknown[0]!r}", f"forward() takes {', '.join(names) or 'nothing'}")
    missing = [name for name in names if name not in options.shapes and name not in given]
    if missing or not names:
        raise (
            shape_needed(module, missing)
            if names
            else BadInput(f"forward() of {type(module).__name__} takes no tensors", "a model needs an input")
        )
    shapes = {name: options.shapes[name] if name in options.shapes else _shape(given, name) for name in names}
    faults: list[BadInput] = []
    for pool in _SIZES:
        sizes = _choose(shapes, given, pool)
        try:
            return _run_once(module, options, shapes, sizes, given)
        except BadInput as fault:
            faults.append(fault)
        if set(sizes) <= {BATCH}:
            raise faults[0]
    raise BadInput(
        faults[0].message,
        f"where it is the size that does not fit, fix it in --shape; mlpack tried {_tried(shapes, given)}",
        why=faults[0].why,
    )


def _tried(shapes: Mapping[str, tuple[Dimension, ...]], given: Mapping[str, Tensor]) -> str:
    symbols: dict[str, list[int]] = {}
    for pool in _SIZES:
        for symbol, size in _choose(shapes, given, pool).items():
            symbols.setdefault(symbol, []).append(size)
    return "; ".join(
        f"{symbol} = {', '.join(map(str, dict.fromkeys(sizes)))}"
        for symbol, sizes in symbols.items()
        if symbol != BATCH
    )


def name_of(module: Module) -> str:
    """How messages call a module or program."""
    kind = type(module).__name__
    return "the exported program" if kind == "ExportedProgram" else kind


def resized(inputs: InputPlan, spec: TensorSpec, sizes: Mapping[str, int]) -> Tensor:
    """The example of an input with some of its symbols at other sizes, repeated or cut."""
    wanted = [sizes.get(size, inputs.sizes[size]) if isinstance(size, str) else size for size in spec.shape]
    return example(wanted, spec.dtype, inputs.bounds.get(spec.name, 2), inputs.examples.get(spec.name))


def _given(module: Module) -> dict[str, Tensor]:
    """The module's own `example_inputs` by name."""
    import torch

    found = getattr(module, "example_inputs", None)
    if callable(found) and not isinstance(found, torch.Tensor):
        with users_code(f"{type(module).__name__}.example_inputs"):
            found = found()
    if found is None:
        return {}
    if isinstance(found, torch.Tensor):
        found = (found,)
    parameters = [name for name, item in _parameters(module).items() if item.kind in _NAMED]
    named = dict(found) if isinstance(found, Mapping) else dict(zip(parameters, found, strict=False))
    for name, value in named.items():
        if not isinstance(value, torch.Tensor):
            raise Unsupported(
                f"example_inputs gives {name} as a {type(value).__name__}",
                "let forward() take tensors only: wrap the module in one that builds the rest",
            )
    return named


_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _parameters(module: Module) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(module.forward).parameters


def _names(module: Module, asked: set[str]) -> list[str]:
    """The inputs in the order of forward(): those without a default, and those asked for."""
    names = []
    for name, item in _parameters(module).items():
        if item.kind is inspect.Parameter.POSITIONAL_ONLY or (item.kind not in _NAMED and not asked):
            raise Unsupported(
                f"forward() of {type(module).__name__} takes {item}, which has no name to feed it by",
                "wrap the module in one whose forward() names its inputs",
            )
        if item.kind in _NAMED and (item.default is inspect.Parameter.empty or name in asked):
            names.append(name)
    return names


def _shape(given: Mapping[str, Tensor], name: str) -> tuple[Dimension, ...]:
    """The sizes of an example, its first one free where it is that of the first example."""
    sizes = tuple(given[name].shape)
    first = next(iter(given.values()))
    return (BATCH, *sizes[1:]) if sizes and tuple(first.shape)[:1] == sizes[:1] else sizes


def _choose(
    shapes: Mapping[str, tuple[Dimension, ...]], given: Mapping[str, Tensor], pool: tuple[int, ...]
) -> dict[str, int]:
    fixed = {size for shape in shapes.values() for size in shape if isinstance(size, int)}
    small = _free_sizes(_SIZES[0], fixed)
    free = _free_sizes(pool, fixed)
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        for axis, size in enumerate(shape):
            if isinstance(size, str) and size not in sizes:
                known = int(given[name].shape[axis]) if name in given and given[name].dim() == len(shape) else 0
                taken = known < 2 or known in fixed or known in sizes.values()
                pick = next(small if size == BATCH else free)
                while pick in sizes.values():
                    pick = next(small if size == BATCH else free)
                sizes[size] = pick if taken else known
    return sizes


def _free_sizes(pool: tuple[int, ...], fixed: set[int]) -> Iterator[int]:
    yield from (size for size in pool if size not in fixed)
    yield from (size for size in range(max(pool) + 2, 1 << 20) if size not in fixed)


def _run_once(
    module: Module,
    options: TorchOptions,
    shapes: Mapping[str, tuple[Dimension, ...]],
    sizes: Mapping[str, int],
    given: Mapping[str, Tensor],
) -> InputPlan:
    """Build examples and run the module on them; inputs that feed an embedding become int64 with its bound."""
    import torch

    dtypes = {name: _dtype(module, options, given, name) for name in shapes}
    bounds: dict[str, int] = {}
    while True:
        examples = {
            name: example([sizes[size] if isinstance(size, str) else size for size in shape],
                           dtypes[name], bounds.get(name, 2), given.get(name))
            for name, shape in shapes.items()
        }  # fmt: skip
        feeds = {name: tensor.clone() for name, tensor in examples.items()}
        before = {name: buffer.clone() for name, buffer in module.named_buffers()}
        found: dict[str, int] = {}
        try:
            with watched(module, feeds, found), users_code(type(module).__name__), torch.no_grad():
                call(module, feeds)
        except BadInput:
            if found.keys() <= bounds.keys():
                raise
        if found.keys() <= bounds.keys():
            break
        bounds |= found
        dtypes |= {name: "int64" for name in found if "int" not in dtypes[name] and name not in options.dtypes}
    refuse_state(module, before)
    specs = tuple(TensorSpec(name, dtypes[name], tuple(shape)) for name, shape in shapes.items())
    return InputPlan(specs, examples, dict(sizes), bounds)


def _dtype(module: Module, options: TorchOptions, given: Mapping[str, Tensor], name: str) -> str:
    """As asked, as in the example, or that of the first parameter with a fraction."""
    if name in options.dtypes:
        dtype = options.dtypes[name]
    elif name in given:
        dtype = str(given[name].dtype).removeprefix("torch.")
    else:
        floats = (str(item.dtype).removeprefix("torch.") for item in module.parameters() if item.is_floating_point())
        dtype = next(floats, "float32")
    if dtype not in _DTYPES:
        raise Unsupported(f"the input {name} is {dtype}", f"one of {', '.join(_DTYPES)} can be fed")
    return dtype
