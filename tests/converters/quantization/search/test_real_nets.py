"""The search over real files: prepared, their weights stored as codes, run by ONNX Runtime, judged on rows."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mlpack_edge.converters.built import BuiltModel
from mlpack_edge.converters.quantization.judging.judge import Judge
from mlpack_edge.converters.quantization.prepared import Prepared, prepare
from mlpack_edge.converters.quantization.search.search import Found, search
from mlpack_edge.converters.quantization.stored import layers_of, weights_model
from mlpack_edge.converters.quantization.values import Layer, Recipe
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.onnx_files.signature import signature_from_onnx
from mlpack_edge.runtimes.onnxruntime import OnnxRunner
from tests.converters.quantization.judging.answering import InMemory

Array = NDArray[Any]
WIDTH = 64


@dataclass
class StoredBench:
    """Weights as int8 or int4, whatever the recipe keeps float as it is."""

    prepared: Prepared
    signature: Signature

    def layers(self, recipe: Recipe) -> tuple[Layer, ...]:
        return layers_of(self.prepared, recipe.scheme)

    def stored(self, recipe: Recipe) -> tuple[Layer, ...]:
        return ()  # the scheme stores weights by itself

    def build(self, recipe: Recipe) -> bytes:
        file: bytes = weights_model(self.prepared, recipe).SerializeToString()
        return file

    def runner(self, file: bytes) -> OnnxRunner:
        return OnnxRunner(file, self.signature)


def searched(model: onnx.ModelProto, rows: Array, recipe: Recipe, max_drop: float) -> tuple[Found, int]:
    """What was found, and the bytes of the float model."""
    onnx.checker.check_model(model)
    signature = signature_from_onnx(model)
    prepared = prepare(BuiltModel(model, signature, {}))
    with Judge(OnnxRunner(model.SerializeToString(), signature), InMemory({"x": rows})) as judge:
        found = search(
            StoredBench(prepared, signature), judge, recipe, max_drop,
            clock=time.monotonic, deadline=math.inf, measured=True,
        )  # fmt: skip
    return found, len(model.SerializeToString())


def net(nodes: list[onnx.NodeProto], constants: dict[str, Array]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, ["batch", WIDTH])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def test_two_layers_that_are_harmless_alone_and_ruin_a_net_together() -> None:
    """`y = dense(x) + 1e6 f(x) g(x)`, where the weights of f and of g cancel, so that both are 0: with codes for one of them
    the product is still 0, with codes for both it is not."""
    draw = np.random.default_rng(4)
    dense = draw.normal(size=(WIDTH, WIDTH)) / 8
    cancelling = []
    for _ in range(2):
        part = draw.integers(-999, 1000, (2, WIDTH, WIDTH)) / 1024  # sums of these are exact
        cancelling.append(np.concatenate([part[0], part[1], -(part[0] + part[1])]))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["dense"], "dense"),
        helper.make_node("Concat", ["x", "x", "x"], ["thrice"], "thrice", axis=1),
        helper.make_node("MatMul", ["thrice", "f"], ["fx"], "f"),
        helper.make_node("MatMul", ["thrice", "g"], ["gx"], "g"),
        helper.make_node("Mul", ["fx", "gx"], ["product"], "product"),
        helper.make_node("Mul", ["product", "million"], ["large"], "large"),
        helper.make_node("Add", ["dense", "large"], ["embedding"], "sum"),
    ]
    constants = {"w": dense, "f": cancelling[0], "g": cancelling[1], "million": np.array([1e6])}
    rows = draw.integers(-8, 9, (200, WIDTH)).astype(np.float32)
    found, before = searched(net(nodes, constants), rows, Recipe("weights"), 0.01)
    alone = {facts.layer.name: facts.noise for facts in found.points[0].layers}
    assert len(alone) == 3
    assert all(noise is not None and noise < 0.001 for noise in alone.values())  # each would be let through
    assert found.points[0].quality.drop > 1  # together: nothing of the answer is left
    assert found.best is not None
    assert found.best.quality.drop < 0.001
    assert len(found.best.recipe.kept_float) == 1
    assert found.best.recipe.kept_float < {name for name in alone if name != "dense"}
    assert found.best.bytes < 0.65 * before


def chain(depth: int) -> tuple[onnx.ModelProto, Array]:
    draw = np.random.default_rng(7)
    nodes, constants, tensor = [], {}, "x"
    for at in range(depth):
        size = WIDTH * (3 if at % 4 == 1 else 1)
        into = constants[f"w{at - 1}"].shape[1] if at else WIDTH
        size = WIDTH if at == depth - 1 else size
        constants[f"w{at}"] = draw.normal(size=(into, size)) * (2 / into) ** 0.5
        last = at == depth - 1
        nodes.append(helper.make_node("MatMul", [tensor, f"w{at}"], ["embedding" if last else f"m{at}"], f"dense{at}"))
        if not last:
            nodes.append(helper.make_node("Relu", [f"m{at}"], [f"r{at}"], f"relu{at}"))
        tensor = f"r{at}"
    return net(nodes, constants), draw.normal(size=(300, WIDTH)).astype(np.float32)


@pytest.mark.parametrize("budget", [0.06, 0.12])
def test_small_errors_of_many_layers_add_up_and_only_the_whole_shows_it(budget: float) -> None:
    """Ten dense layers with weights in four bits: every one alone keeps the budget, all together they do not."""
    model, rows = chain(10)
    found, before = searched(model, rows, Recipe("weights", weights="int4"), budget)
    alone = [facts.noise for facts in found.points[0].layers]
    assert len(alone) == 10
    assert all(noise is not None and noise < budget for noise in alone)
    assert found.points[0].quality.drop > budget
    assert found.best is not None
    assert found.best.quality.drop <= budget
    assert 0 < len(found.best.recipe.kept_float) < 10
    assert found.best.bytes < before
    within = [point for point in found.points if point.quality.drop <= budget]
    assert found.best.bytes == min(point.bytes for point in within)


def test_the_same_search_gives_the_same_points() -> None:
    model, rows = chain(4)
    first, second = (searched(model, rows, Recipe("weights", weights="int4"), 0.02)[0] for _ in range(2))
    assert first == second
