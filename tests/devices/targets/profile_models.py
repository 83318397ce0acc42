"""Models whose slow operator is known: ONNX and TFLite, in a row and in the body of a loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, parser

from tests.runtimes.tflite_models import OP, Graph, Op, Tensor, tflite

HEAVY, LIGHT = 512, 8
_RNG = np.random.default_rng(5)


def _weights(rows: int, columns: int) -> np.ndarray:
    return (_RNG.standard_normal((rows, columns)) / np.sqrt(columns)).astype(np.float32)


def onnx_file(folder: Path, text: str, **weights: np.ndarray) -> Path:
    model = parser.parse_model('<ir_version: 9, opset_import: ["": 18]>\n' + text)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


def onnx_chain(folder: Path) -> Path:
    """Two MatMuls of 512 x 512 on 64 rows around operators that cost next to nothing."""
    text = """chain (float[64, 512] x, float[8] small) => (float[64, 512] y) {
        light = Tanh (small)
        sum = ReduceSum (light)
        a = MatMul (x, w)
        b = Softmax (a)
        c = MatMul (b, v)
        y = Add (c, sum)
    }"""
    return onnx_file(folder, text, w=_weights(HEAVY, HEAVY), v=_weights(HEAVY, HEAVY))


def onnx_loop(folder: Path, turns: int) -> Path:
    """A Loop around a MatMul of 256 x 256 on 32 rows, with an If that runs a second one in its body."""
    text = """looped (float[32, 256] x) => (float[32, 256] y) <int64 turns = {TURNS}, bool go = {1}> {
        before = Relu (x)
        z = Loop (turns, go, before) <body = body (int64 i, bool on, float[32, 256] s) => (bool still, float[32, 256] t) {
            still = Identity (on)
            u = MatMul (s, w)
            t = Tanh (u)
        }>
        one = ReduceMax (z)
        zero = Sub (one, one)
        yes = Equal (zero, zero)
        all = Squeeze (yes)
        y = If (all) <then_branch = then_body () => (float[32, 256] p) { p = MatMul (z, v) },
                      else_branch = else_body () => (float[32, 256] q) { q = Exp (z) }>
    }"""
    text = text.replace("TURNS", str(turns))  # braces are the language's
    return onnx_file(folder, text, w=_weights(256, 256), v=_weights(256, 256))


_DENSE = ("FullyConnected", {})


def tflite_chain(folder: Path) -> Path:
    """Dense 512 -> 512 twice and 8 -> 8 once, and a GATHER, which XNNPACK leaves alone; any number of rows."""
    tensors = [
        Tensor("x", (-1, HEAVY)), Tensor("small", (1, LIGHT)), Tensor("places", (1, 4), "int32"),
        Tensor("w", (HEAVY, HEAVY), data=_weights(HEAVY, HEAVY)), Tensor("v", (HEAVY, HEAVY), data=_weights(HEAVY, HEAVY)),
        Tensor("u", (LIGHT, LIGHT), data=_weights(LIGHT, LIGHT)), Tensor("table", (64, 3), data=_weights(64, 3)),
        Tensor("a", (-1, HEAVY)), Tensor("y", (-1, HEAVY)), Tensor("b", (1, LIGHT)), Tensor("z", (1, LIGHT)),
        Tensor("picked", (1, 4, 3)),
    ]  # fmt: skip
    ops = [
        Op(OP.FULLY_CONNECTED, ("x", "w"), ("a",), _DENSE),
        Op(OP.FULLY_CONNECTED, ("a", "v"), ("y",), _DENSE),
        Op(OP.FULLY_CONNECTED, ("small", "u"), ("b",), _DENSE),
        Op(OP.LOGISTIC, ("b",), ("z",)),
        Op(OP.GATHER, ("table", "places"), ("picked",), ("Gather", {"axis": 0})),
    ]
    path = folder / "chain.tflite"
    path.write_bytes(tflite(tensors, ops, ("x", "small", "places"), ("y", "z", "picked")))
    return path


def tflite_loop(folder: Path, turns: int) -> Path:
    """WHILE (i < turns): i + 1, dense 128 -> 128."""
    size = 128
    state = [Tensor("i", (1,), "int32"), Tensor("s", (1, size))]
    test: Graph = (
        [*state, Tensor("last", (1,), "int32", data=np.array([turns])), Tensor("go", (1,), "bool")],
        [Op(OP.LESS, ("i", "last"), ("go",))], ("i", "s"), ("go",),
    )  # fmt: skip
    body: Graph = (
        [
            *state, Tensor("one", (1,), "int32", data=np.array([1])), Tensor("w", (size, size), data=_weights(size, size)),
            Tensor("j", (1,), "int32"), Tensor("t", (1, size)),
        ],
        [Op(OP.ADD, ("i", "one"), ("j",), ("Add", {})), Op(OP.FULLY_CONNECTED, ("s", "w"), ("t",), _DENSE)],
        ("i", "s"), ("j", "t"),
    )  # fmt: skip
    tensors = [
        Tensor("start", (1,), "int32", data=np.array([0])),
        Tensor("x", (1, size)),
        Tensor("k", (1,), "int32"),
        Tensor("y", (1, size)),
    ]
    ops = [Op(OP.WHILE, ("start", "x"), ("k", "y"), ("While", {"condSubgraphIndex": 1, "bodySubgraphIndex": 2}))]
    path = folder / "loop.tflite"
    path.write_bytes(tflite(tensors, ops, ("x",), ("y",), others=(test, body)))
    return path
