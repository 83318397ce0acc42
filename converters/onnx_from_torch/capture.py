"""A PyTorch module as a torch.export program whose sizes are free where they were to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from mlpack_edge.converters.onnx_from_torch.faults import (
    EQUAL_SIZES,
    EXCLUDED_SIZE,
    SIMPLE_GUARD,
    Limits,
    demands_of,
    export_fault,
    readable,
)
from mlpack_edge.converters.onnx_from_torch.inputs import InputPlan, Module, name_of, resized
from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.core.signature import Dimension, TensorSpec
from mlpack_edge.runtimes.torch.module import call, users_code

#: A torch.export.ExportedProgram.
Program = Any


@dataclass(frozen=True, slots=True)
class Captured:
    """inputs: as planned, with the limits that were found. proven: whether the graph is the module's for every size
    within them; else sizes of 1 were taken for granted and are for the caller to test."""

    program: Program
    inputs: InputPlan
    proven: bool


def capture(module: Module, inputs: InputPlan, name: str) -> Captured:
    """The module as a program. Raises Unsupported where a size that was to be free cannot be.

    With `backed_size_oblivious` torch treats 0 and 1 as any other size; a layout question of its own kernels then
    shows as a size that must not be 1. Only then it is asked again the usual way, which assumes sizes of 2 and more.
    A smallest or largest size (an image no smaller than the kernel) is taken where the module itself fails beyond it.
    """
    import torch

    limits = dict(inputs.limits)
    oblivious = True
    while True:
        try:
            with whole_recurrent_layers(), torch.fx.experimental._config.patch(backed_size_oblivious=oblivious):
                examples = {key: tensor.clone() for key, tensor in inputs.examples.items()}
                shapes = _free_sizes(inputs.specs, limits)
                program = torch.export.export(module, (), examples, dynamic_shapes=shapes, strict=False)
            if not oblivious:
                limits |= {
                    symbol: (2, None)
                    for symbol in inputs.sizes.keys() - limits.keys()
                    if _fails_beyond(module, inputs, symbol, (2, None))
                }
            return Captured(program, replace(inputs, limits=limits), oblivious)
        except Exception as fault:  # torch names no base class for what tracing raises, and the model's code may raise
            demands = demands_of(str(fault))
            found = {symbol: ends for symbol, ends in demands.limits.items() if symbol not in limits}
            natural = all(_fails_beyond(module, inputs, symbol, ends) for symbol, ends in found.items())
            if demands.other or not natural or not (found or (oblivious and demands.not_one)):
                raise export_fault(fault, name, inputs.specs, inputs.sizes) from fault
            limits |= found
            oblivious = oblivious and not demands.not_one


def _free_sizes(specs: Sequence[TensorSpec], limits: Mapping[str, Limits]) -> dict[str, dict[int, Any]]:
    import torch

    dims = {}
    for symbol in {size for spec in specs for size in spec.shape if isinstance(size, str)}:
        low, high = limits.get(symbol, (0, None))
        dims[symbol] = torch.export.Dim(symbol, min=low, max=high)
    return {
        spec.name: {axis: dims[size] for axis, size in enumerate(spec.shape) if isinstance(size, str)} for spec in specs
    }


def _fails_beyond(module: Module, inputs: InputPlan, symbol: str, ends: Limits) -> bool:
    """Whether the module itself refuses sizes outside the limits: then no other branch of it is lost."""
    import torch

    low, high = ends
    outside = {size for size in (1, low // 2, low - 1) if size < low} if high is None else {high + 1, 2 * high}
    for size in outside:
        feeds = {spec.name: resized(inputs, spec, {symbol: size}) for spec in inputs.specs}
        try:
            with users_code(name_of(module)), torch.no_grad():
                call(module, feeds, guarded=False)
        except BadInput:
            continue
        return False
    return True


def refuse_guarded(program: Program, inputs: InputPlan) -> None:
    """Raise Unsupported where a program is right for some sizes only and its graph would run on others as well.

    Such guards are left by branches on a shape in the model it was traced from. One that its operators ask for
    themselves (an image no smaller than the kernel) does no harm: the graph fails where the program does. That two
    inputs share a size is no branch either: they share its name in the signature.
    """
    specs = {spec.name: spec for spec in inputs.specs}

    def size_of(name: str, axis: str) -> Dimension:
        return specs[name].shape[int(axis)] if name in specs else ""

    for guard in program._guards_code:
        if EXCLUDED_SIZE.search(guard):
            continue  # a memory layout, as in Demands.not_one: the program refuses that size, the graph need not
        equal = EQUAL_SIZES.fullmatch(guard)
        if equal is not None and size_of(equal[1], equal[2]) == size_of(equal[3], equal[4]) != "":
            continue
        found = SIMPLE_GUARD.fullmatch(guard)
        if found is not None:
            size, sign, number = size_of(found[1], found[2]), found[3], int(found[4])
            ends: Limits = (number, None) if sign == ">=" else (0, number)
            if isinstance(size, str) and size and _fails_beyond(program, inputs, size, ends):
                continue
        raise Unsupported(
            f"{name_of(program)} is right only where {readable(guard)}",
            "export it without what depends on that size, or with the size fixed",
            why="an ONNX file would take other sizes too, and give what this branch gives",
        )


@contextmanager
def whole_recurrent_layers() -> Iterator[None]:
    """Keep torch.nn.LSTM and GRU as one operator, with any number of steps, which becomes one ONNX operator.

    Without it torch unrolls them step by step, which fixes the number of steps. Only the sizes of the results are
    told here; `_lower` makes sure that each became an ONNX operator.
    """
    import torch
    from torch.export._patches import _register_rnn_while_loop_decomposition as registered

    def width(state: Any, arguments: tuple[Any, ...]) -> Any:
        *_rest, bidirectional, _batch_first = arguments
        return state.shape[2] * (2 if bidirectional else 1)

    def lstm(steps: Any, states: Any, *arguments: Any) -> tuple[Any, ...]:
        made = steps.new_empty((steps.shape[0], steps.shape[1], width(states[0], arguments)))
        return made, torch.empty_like(states[0]), torch.empty_like(states[1])

    def gru(steps: Any, state: Any, *arguments: Any) -> tuple[Any, ...]:
        return steps.new_empty((steps.shape[0], steps.shape[1], width(state, arguments))), torch.empty_like(state)

    with registered(torch.ops.aten.lstm.input, lstm), registered(torch.ops.aten.gru.input, gru):
        yield
