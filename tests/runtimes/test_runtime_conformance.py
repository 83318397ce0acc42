"""What every registered runtime owes, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlpack_edge.core.errors import MlpackError
from mlpack_edge.core.extensions import RUNTIMES, extensions
from mlpack_edge.runtimes.parity import Runner
from mlpack_edge.runtimes.runtime import Runtime
from tests.runtimes.tflite_models import MLP_WEIGHTS, OP, Op, Tensor, mlp, mlp_answer, tflite


def _onnx(nodes: list[Any], wide: tuple[int, int], weights: dict[str, Any], batch: int | str) -> bytes:
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, width])
        for name, width in zip("xy", wide, strict=True)
    ]
    stored = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], stored)
    made: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return made


def _onnx_mlp(batch: int | str) -> bytes:
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["m"], transB=1),
        helper.make_node("Relu", ["m"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "w2", "b2"], ["y"], transB=1),
    ]
    return _onnx(nodes, (3, 2), dict(zip(("w1", "b1", "w2", "b2"), MLP_WEIGHTS, strict=True)), batch)


def _tflite_identity() -> bytes:
    tensors = [Tensor("x", [-1, 3]), Tensor("one", [], data=np.array(1)), Tensor("y", [-1, 3])]
    return tflite(tensors, [Op(OP.MUL, ["x", "one"], ["y"], ("Mul", {}))], ["x"], ["y"])


#: Format -> (the identity, the net with a batch that is open, the net with a batch of one).
MODELS: dict[str, Callable[[], tuple[bytes, bytes, bytes]]] = {
    "onnx": lambda: (
        _onnx([helper.make_node("Identity", ["x"], ["y"])], (3, 3), {}, "batch"),
        _onnx_mlp("batch"),
        _onnx_mlp(1),
    ),
    "tflite": lambda: (_tflite_identity(), mlp(), mlp(1)),
}


@pytest.fixture(params=sorted(extensions(RUNTIMES)))
def runtime(request: pytest.FixtureRequest) -> Runtime:
    made: Runtime = extensions(RUNTIMES)[request.param].load()()
    return made


def _models(runtime: Runtime) -> tuple[bytes, bytes, bytes]:
    return MODELS[runtime.formats[0]]()


def test_every_registered_runtime_is_tried_on_models_of_its_formats() -> None:
    assert {"onnxruntime", "litert"} <= set(extensions(RUNTIMES))
    for extension in extensions(RUNTIMES).values():
        assert set(extension.load()().formats) <= set(MODELS)


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_it_gives_the_right_numbers_at_every_batch(runtime: Runtime, rows: int, tmp_path: Path) -> None:
    """The same from a file as from bytes; where the batch is fixed, at that one."""
    x = np.random.default_rng(rows).normal(size=(rows, 3)).astype(np.float32)
    same, net, single = _models(runtime)
    np.testing.assert_array_equal(runtime.open(same).run({"x": x})["y"], x)
    for model in (net, single) if rows == 1 else (net,):
        made = runtime.open(model).run({"x": x})
        assert list(made) == ["y"] and made["y"].dtype == np.float32
        np.testing.assert_allclose(made["y"], mlp_answer(x), atol=1e-6)
    path = tmp_path / "net"
    path.write_bytes(net)
    np.testing.assert_array_equal(runtime.open(path).run({"x": x})["y"], runtime.open(net).run({"x": x})["y"])


def test_without_a_signature_the_file_is_asked(runtime: Runtime) -> None:
    _, net, single = _models(runtime)
    (given,), (made,) = runtime.open(net).signature.inputs, runtime.open(net).signature.outputs
    assert (given.name, given.dtype, given.shape) == ("x", "float32", ("batch", 3))
    assert (made.name, made.dtype, made.shape) == ("y", "float32", ("batch", 2))
    assert runtime.open(single).signature.inputs[0].shape == (1, 3)


@pytest.mark.parametrize(
    "feeds",
    [
        {"z": np.zeros((2, 3), np.float32)},
        {},
        {"x": np.zeros((2, 3), np.float32), "z": np.zeros(1, np.float32)},
        {"x": np.zeros((2, 3), np.int64)},
        {"x": np.zeros((2, 3), np.float64)},
        {"x": np.zeros((2, 4), np.float32)},
        {"x": np.zeros(3, np.float32)},
        {"x": np.array([["a", "b", "c"]], object)},
    ],
    ids=["another name", "nothing", "one too many", "integers", "float64", "too wide", "another rank", "texts"],
)
def test_wrong_feeds_are_refused_and_right_ones_run_after_that(runtime: Runtime, feeds: dict[str, Any]) -> None:
    runner: Runner = runtime.open(_models(runtime)[1])
    with pytest.raises(MlpackError) as caught:
        runner.run(feeds)
    assert caught.value.hint
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(runner.run({"x": x})["y"], mlp_answer(x), atol=1e-6)


def test_outputs_are_copies(runtime: Runtime) -> None:
    runner = runtime.open(_models(runtime)[1])
    x = np.ones((2, 3), np.float32)
    first = runner.run({"x": x})["y"]
    kept = first.copy()
    second = runner.run({"x": 5 * x})["y"]
    np.testing.assert_array_equal(first, kept)
    second[:] = 0
    np.testing.assert_array_equal(runner.run({"x": x})["y"], kept)


def test_a_cut_file_is_refused_with_a_reason(runtime: Runtime, tmp_path: Path) -> None:
    whole = _models(runtime)[1]
    path = tmp_path / "cut"
    path.write_bytes(whole[: len(whole) // 2])
    assert runtime.loads(path)
    with pytest.raises(MlpackError):
        runtime.open(path)
    path.write_bytes(whole)
    assert runtime.loads(path) is None
