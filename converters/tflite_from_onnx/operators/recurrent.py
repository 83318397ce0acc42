"""Recurrent layers: LSTM, GRU and RNN."""

from __future__ import annotations

from collections.abc import Callable

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import FLOATS
from mlpack_edge.converters.tflite_from_onnx.operators.recurrent_activations import Activation, activations_of
from mlpack_edge.converters.tflite_from_onnx.operators.recurrent_cells import Cell, GruCell, LstmCell, SimpleCell
from mlpack_edge.converters.tflite_from_onnx.operators.recurrent_layer import Direction, Layer
from mlpack_edge.converters.tflite_from_onnx.operators.recurrent_weights import Given, given, lengths
from mlpack_edge.converters.tflite_from_onnx.values import Value

#: Makes the cell of one direction.
Make = Callable[[Given, int, list[Activation]], Cell]


def lstm(node: Node) -> list[Value | None]:
    """LSTM-7 to LSTM-22; outputs Y, Y_h, Y_c. Gates in ONNX's order: i, o, f, c."""
    if node.attr("input_forget", 0):
        raise node.refuse("its input and forget gates are coupled (input_forget), which is not written here")
    return _layer(node, 4, ("Sigmoid", "Tanh", "Tanh"), _lstm_cell)


def _lstm_cell(inputs: Given, direction: int, functions: list[Activation]) -> Cell:
    peepholes = inputs.peepholes(direction)
    groups = ((0, 2, 1), (3,)) if peepholes is None else ((0, 2), (3,), (1,))
    f, g, h = functions
    return LstmCell(tuple(inputs.weights(direction, group) for group in groups), f, g, h, peepholes)


def gru(node: Node) -> list[Value | None]:
    """GRU-7 to GRU-22; outputs Y, Y_h. Gates in ONNX's order: z, r, h."""
    return _layer(node, 3, ("Sigmoid", "Tanh"), _gru_cell)


def _gru_cell(inputs: Given, direction: int, functions: list[Activation]) -> Cell:
    behind = bool(inputs.node.attr("linear_before_reset", 0))
    gates = inputs.weights(direction, (0, 1))
    candidate = inputs.weights(direction, (2,), recurrent_bias=not behind)
    bias = None
    if behind and inputs.node.optional(3) is not None:
        bias = inputs.node.low.tensor(inputs.bias(direction, (inputs.gates + 2,)))
    f, g = functions
    return GruCell((gates, candidate), f, g, behind, bias)


def rnn(node: Node) -> list[Value | None]:
    """RNN-7 to RNN-22; outputs Y, Y_h."""
    return _layer(node, 1, ("Tanh",), _simple_cell)


def _simple_cell(inputs: Given, direction: int, functions: list[Activation]) -> Cell:
    return SimpleCell((inputs.weights(direction, (0,)),), functions[0])


def _layer(node: Node, gates: int, functions: tuple[str, ...], make: Make) -> list[Value | None]:
    x, low, batch_first = node.input(0), node.low, bool(node.attr("layout", 0))
    if x.rank != 3 or x.dtype not in FLOATS:
        raise node.refuse(f"its input is {x.dtype} {list(x.shape)}, and three dimensions of floats are due")
    if x.shape[int(batch_first)] == 0:
        raise node.refuse("its sequence has no steps")
    way = str(node.attr("direction", "forward")).lower()
    if way not in ("forward", "reverse", "bidirectional"):
        raise node.refuse(f"its direction {way!r} is none of the standard's")
    inputs = given(node, gates)
    activations = activations_of(node, functions, inputs.directions)
    rows = lengths(node, batch_first=batch_first)
    x = low.op("Transpose", x, perm=[1, 0, 2]) if batch_first else x
    layer = Layer(low, x, inputs.hidden, float(node.attr("clip", 0.0)), rows)
    passed = []
    for number, chosen in enumerate(activations):
        cell = make(inputs, number, chosen)
        initial = tuple(inputs.state(place, number, batch_first=batch_first) for place in (5, 6)[: cell.states])
        passed.append(layer.run(Direction(cell, initial, way == "reverse" or number == 1)))
    made: list[Value] = [layer.sequence(passed, x.dtype)]
    made += [layer.final(passed, place, x.dtype) for place in range(len(passed[0].states))]
    if batch_first:
        made = [low.op("Transpose", v, perm=[2, 0, 1, 3] if v.rank == 4 else [1, 0, 2]) for v in made]
    return [value if node.wants(place) else None for place, value in enumerate(made)][: node.outputs]


OPERATORS = {
    "LSTM": lstm,
    "GRU": gru,
    "RNN": rnn,
}
