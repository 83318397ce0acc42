"""A PyTorch module or exported program as ONNX, through torch.export and torch.onnx.export(dynamo=True).

torch.export is called here and not by torch.onnx.export, which would bend the asked sizes to what the exporter
prefers ("refine_dynamic_shapes_from_suggested_fixes") and so bake one branch in. What cannot stay free is refused.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from mlpack_edge.converters.onnx_from_torch.capture import (
    Captured,
    Program,
    capture,
    refuse_guarded,
    whole_recurrent_layers,
)
from mlpack_edge.converters.onnx_from_torch.faults import lowering_fault
from mlpack_edge.converters.onnx_from_torch.graph import count_operators, guard_empty_batches, tidy
from mlpack_edge.converters.onnx_from_torch.inputs import InputPlan, Module, TorchOptions, name_of, plan_inputs, resized
from mlpack_edge.converters.onnx_from_torch.program_inputs import plan_program
from mlpack_edge.converters.onnx_graph import DTYPE_OF_ONNX
from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.core.signature import Dimension, Signature, TensorSpec
from mlpack_edge.runtimes.onnx_files.signature import role_of
from mlpack_edge.runtimes.onnxruntime import open_session, run
from mlpack_edge.runtimes.torch.module import named_leaves, run_module

#: protobuf, and so an ONNX file without external data, ends at 2 GiB.
_MOST_BYTES = (1 << 31) - (1 << 20)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A captured model: `captured.inputs` says what goes in (specs, hints for rows, notes), `lower` makes the ONNX."""

    module: Module
    captured: Captured
    opset: int

    @property
    def inputs(self) -> InputPlan:
        return self.captured.inputs

    def lower(self) -> tuple[onnx.ModelProto, Signature]:
        """The ONNX model and its signature. Raises Unsupported."""
        name, inputs, program = name_of(self.module), self.inputs, self.captured.program
        outputs = _output_names(program, inputs, name)
        with _quiet():
            model = _lower(program, self.opset, name)
        tidy(model, [spec.name for spec in inputs.specs], outputs, _symbols(program, inputs))
        if any(spec.is_dynamic for spec in inputs.specs):
            guard_empty_batches(model.graph)
        givers = {made: node for node in model.graph.node for made in node.output if made}
        specs = [_spec(value, name) for value in model.graph.output]
        signature = Signature(
            inputs.specs, tuple(replace(spec, role=role_of(spec.name, spec.dtype, givers)) for spec in specs)
        )
        _refuse_fixed(model, inputs, name)
        if not self.captured.proven:
            _compare_at_one(self.module, model, signature, inputs)
        return model, signature


def convert(module: Module, options: TorchOptions | None = None) -> tuple[onnx.ModelProto, Signature]:
    """The module (torch.nn.Module, put in eval mode) or program (torch.export.ExportedProgram) as an ONNX model.

    Inputs carry the names of forward(), outputs those of `named_leaves`; sizes that `options.shapes` names stay free.
    Equal modules and options give equal bytes. Raises Unsupported where the model cannot be expressed for every
    size and every number (data-dependent branches, specialised sizes, missing operators, state), BadInput for
    unknown shapes and for failures of the user's code.
    """
    return prepare(module, options or TorchOptions()).lower()


def prepare(module: Module, options: TorchOptions) -> Prepared:
    """Plan the inputs and capture the program: the part of `convert` that tells what goes in. Raises as `convert`."""
    import torch

    _refuse_large(module)
    if isinstance(module, torch.export.ExportedProgram):
        planned = plan_program(module, options)
        with _quiet():
            refuse_guarded(module, planned)
        return Prepared(module, Captured(module, planned, proven=True), options.opset)
    inputs = plan_inputs(module.eval(), options)
    with _quiet():
        return Prepared(module, capture(module, inputs, name_of(module)), options.opset)


def _refuse_large(module: Module) -> None:
    state = module.state_dict() if callable(module.state_dict) else module.state_dict
    size = sum(tensor.nbytes for tensor in state.values())
    if size > _MOST_BYTES:
        raise Unsupported(
            f"{name_of(module)} holds {size / 1e9:.1f} GB of weights",
            "convert it in half precision (module.half()), or split it",
            why="an ONNX file in one piece holds at most 2 GB",
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """torch prints progress, warns and logs whole graphs while it exports, and traces the user's code several times.
    What that prints was seen when it ran on the examples; what matters of the rest is in the errors raised."""
    loggers = [logging.getLogger(name) for name in ("torch", "torch.onnx", "onnxscript", "onnx_ir")]
    names = [name for name in logging.root.manager.loggerDict if name.startswith(("torch.", "onnxscript."))]
    loggers += [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _recurrent_layers(program: Program, name: str) -> int:
    """How many layers there are in LSTM and GRU operators. Refuses what torch.onnx.export translates wrongly."""
    import torch

    layers = 0
    for node in program.graph.nodes:
        if node.target in (torch.ops.aten.lstm.input, torch.ops.aten.gru.input):
            _steps, _states, params, biases, count, _dropout, train, bidirectional, _batch_first = node.args
            if len(params) != count * (2 if bidirectional else 1) * (4 if biases else 2):
                raise Unsupported(
                    f"{name} has an LSTM with a projection (proj_size)",
                    "use an LSTM and a Linear layer behind it",
                    why="the ONNX operator LSTM has no projection",
                )
            if train:
                raise Unsupported(f"{name} was exported in training mode", "call .eval() before torch.export.export")
            layers += count
    return layers


def _output_names(program: Program, inputs: InputPlan, name: str) -> list[str]:
    """The names of the outputs. Refuses numbers among them, names that inputs have, and state."""
    import torch

    count = program.call_spec.out_spec.num_leaves
    specs = [spec for spec in program.graph_signature.output_specs if spec.kind.name == "USER_OUTPUT"]
    changed = [spec for spec in program.graph_signature.output_specs if spec.kind.name == "BUFFER_MUTATION"]
    if changed:
        raise Unsupported(
            f"{name} changes its buffer {changed[0].target} each time it runs",
            "give that state as an input and return it as an output",
            why="an ONNX file keeps nothing between calls",
        )
    leaves: list[Any] = [None if getattr(spec.arg, "value", 0) is None else spec.arg for spec in specs]
    named = named_leaves(torch.utils._pytree.tree_unflatten(leaves[:count], program.call_spec.out_spec))
    for key, leaf in named:
        if not isinstance(leaf, torch.export.graph_signature.TensorArgument):
            raise Unsupported(f"{name} returns a number ({key}), no tensor", "return tensors only: torch.tensor(...)")
    if not named:
        raise Unsupported(f"{name} returns no tensor", "return a tensor, or tensors in a tuple, list or dict")
    clash = {spec.name for spec in inputs.specs} & {key for key, _leaf in named}
    if clash:
        raise Unsupported(
            f"{name} has an input and an output named {min(clash)}",
            "return it under another key",
            why="the names of tensors in an ONNX graph are its own",
        )
    return [key for key, _leaf in named]


def _lower(program: Program, opset: int, name: str) -> onnx.ModelProto:
    """torch.onnx.export of a captured program, at exactly `opset`."""
    import torch

    layers = _recurrent_layers(program, name)
    try:
        with whole_recurrent_layers():
            made = torch.onnx.export(
                program, dynamo=True, verbose=False, opset_version=opset, external_data=False, optimize=True
            )
            model: onnx.ModelProto = made.model_proto
    except Exception as fault:  # torch.onnx raises OnnxExporterError, onnxscript and onnx_ir anything
        traces = {str(node.target): node.meta.get("stack_trace") or "" for node in program.graph.nodes}
        raise lowering_fault(fault, name, traces) from fault
    if count_operators(model.graph, ("LSTM", "GRU")) < layers:
        raise Unsupported(f"{name} has recurrent layers that torch.onnx.export takes apart", "report this model")
    found = next(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    if found != opset:
        raise Unsupported(
            f"{name} needs opset {found}, and opset {opset} was asked for", f"convert it with --opset {found}"
        )
    return model


def _symbols(program: Program, inputs: InputPlan) -> dict[str, str]:
    """torch's symbols (s77) by the names the user gave those sizes."""
    import torch

    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    names = [
        spec.arg.name
        for spec in program.graph_signature.input_specs
        if spec.kind.name == "USER_INPUT" and isinstance(spec.arg, torch.export.graph_signature.TensorArgument)
    ]
    symbols: dict[str, str] = {}
    for spec, node_name in zip(inputs.specs, names, strict=True):
        for size, found in zip(spec.shape, nodes[node_name].meta["val"].shape, strict=True):
            if isinstance(size, str) and not isinstance(found, int):
                symbols.setdefault(str(found), size)
    return symbols


def _spec(value: onnx.ValueInfoProto, name: str) -> TensorSpec:
    kind = value.type.tensor_type
    dtype = DTYPE_OF_ONNX.get(kind.elem_type, "")
    if not value.type.HasField("tensor_type") or dtype in ("", "bfloat16"):
        raise Unsupported(
            f"{name} returns {value.name} as {dtype or 'something that is no tensor of numbers'}",
            "return it as float32: value.float()",
        )
    shape: list[Dimension] = [dim.dim_param or int(dim.dim_value) for dim in kind.shape.dim]
    return TensorSpec(value.name, dtype, tuple(shape))


def _refuse_fixed(model: onnx.ModelProto, inputs: InputPlan, name: str) -> None:
    """The sizes that were to stay free are free in the graph, and no other; element types are as planned."""
    for spec, value in zip(inputs.specs, model.graph.input, strict=True):
        written = tuple(dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim)
        dtype = DTYPE_OF_ONNX.get(value.type.tensor_type.elem_type)
        if written != spec.shape or dtype != spec.dtype:
            raise Unsupported(
                f"{name}: the exporter wrote the input {spec.name} as {dtype} {list(written)}, "
                f"not {spec.dtype} {list(spec.shape)}",
                "fix that size in --shape",
            )


def _compare_at_one(module: Module, model: onnx.ModelProto, signature: Signature, inputs: InputPlan) -> None:
    """Run module and graph with each free size at 1, and all of them: what was assumed not to matter does not."""
    session = open_session(model.SerializeToString())
    symbols = [symbol for symbol in inputs.sizes if inputs.limits.get(symbol, (0, None))[0] <= 1]
    for ones in [*([symbol] for symbol in symbols), symbols]:
        feeds = {spec.name: resized(inputs, spec, dict.fromkeys(ones, 1)).numpy() for spec in inputs.specs}
        try:
            expected = run_module(module, signature, feeds)
        except BadInput:
            continue  # the module itself does not take all of these sizes at once
        made = run(session, feeds)
        for spec in signature.outputs:
            a, b = expected[spec.name], made[spec.name]
            if a.shape != b.shape or not np.allclose(a, b, rtol=1e-3, atol=1e-4, equal_nan=True):
                raise Unsupported(
                    f"{name_of(module)} computes something else where {', '.join(ones)} is 1",
                    "fix that size in --shape, or remove the `if` on it",
                    why=f"the output {spec.name} of the module and of the graph differ there",
                )
