"""LOGISTIC, SOFTMAX and TANH on the grids that their int8 kernels write, and inputs that become codes: graph by graph."""

from __future__ import annotations

import numpy as np
import pytest

from mlpack_edge.converters.quantization.lite_borders import codes_at_borders
from mlpack_edge.converters.quantization.lite_fixed import write_on_fixed_grids, write_on_fixed_grids_always
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Quantization, Tensor
from mlpack_edge.core.errors import Unsupported


def _grid(scale: float) -> Quantization:
    return Quantization(np.array([scale], np.float32), np.array([0], np.int64))


def _codes(name: str, scale: float) -> Tensor:
    return Tensor(name, "int8", (-1, 4), None, _grid(scale))


def _softmax(scale: float) -> Graph:
    """Codes -> DEQUANTIZE -> SOFTMAX -> QUANTIZE to steps of `scale` -> DEQUANTIZE."""
    given, wanted = _codes("x", 0.1), _codes("c", scale)
    reals = [Tensor(name, "float32", (-1, 4)) for name in ("r", "s", "y")]
    ops = [
        Op("DEQUANTIZE", [given], [reals[0]]),
        Op("SOFTMAX", [reals[0]], [reals[1]], {"beta": 1.0}),
        Op("QUANTIZE", [reals[1]], [wanted]),
        Op("DEQUANTIZE", [wanted], [reals[2]]),
    ]
    return Graph([given], [reals[2]], ops)


@pytest.mark.parametrize(("steps", "taken"), [(1.0, True), (0.71, True), (0.69, False), (0.1, False)])
def test_steps_finer_than_those_of_the_kernel_keep_the_float_operator(steps: float, taken: bool) -> None:
    """An attention over a thousand places gives each a thousandth: in steps of 1/256 all of them are 0."""
    graph = _softmax(steps / 256)
    assert write_on_fixed_grids(graph) is taken
    softmax = next(op for op in graph.ops if op.kind == "SOFTMAX")
    assert softmax.output.dtype == ("int8" if taken else "float32")
    graph = _softmax(steps / 256)
    assert write_on_fixed_grids_always(graph)
    assert next(op for op in graph.ops if op.kind == "SOFTMAX").output.dtype == "int8"


def _two_quantizers(first: float, second: float) -> Graph:
    x = Tensor("x", "float32", (-1, 4))
    codes = [_codes("a", first), _codes("b", second)]
    made = _codes("y", 0.2)
    ops = [*(Op("QUANTIZE", [x], [tensor]) for tensor in codes), Op("ADD", [*codes], [made])]
    return Graph([x], [made], ops)


def test_an_input_that_is_quantized_with_two_scales_cannot_be_codes() -> None:
    """The codes of one reader would be taken for those of the other."""
    with pytest.raises(Unsupported, match="input 'x' cannot be int8: it is quantized with two scales"):
        codes_at_borders(_two_quantizers(0.1, 0.2))
    graph = _two_quantizers(0.1, 0.1)
    assert codes_at_borders(graph)
    assert [op.kind for op in graph.ops] == ["ADD"] and graph.ops[0].inputs == [graph.inputs[0]] * 2
    assert graph.inputs[0].dtype == "int8"
