"""What ONNX Runtime's optimizer fuses in transformers, compared with ONNX Runtime itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import assert_lowered, lower

RNG = np.random.default_rng(0)
Feeds = dict[str, np.ndarray[Any, Any]]


def _floats(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.normal(size=shape).astype(np.float32)


def _model(
    op: str, names: list[str], feeds: Feeds, constants: Feeds, outputs: dict[str, list[Any]], **attributes: Any
) -> onnx.ModelProto:
    """One node of com.microsoft; feeds have an open batch in front. outputs: name -> shape, all float32."""
    node = helper.make_node(op, names, list(outputs), domain="com.microsoft", **attributes)
    node.output[:] = [name if not name.startswith("-") else "" for name in outputs]
    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), ["batch", *a.shape[1:]])
            for name, a in feeds.items()
        ],
        [helper.make_tensor_value_info(name, 1, shape) for name, shape in outputs.items() if not name.startswith("-")],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


@pytest.mark.parametrize("extra", ["", "bias", "mask", "added", "causal", "past"])
def test_multi_head_attention(extra: str) -> None:
    def feeds(n: int) -> Feeds:
        made = {"q": _floats(n, 5, 16), "k": _floats(n, 6, 16), "v": _floats(n, 6, 8)}
        if extra == "mask":
            made["mask"] = RNG.integers(0, 2, (n, 6)).astype(np.int32)
            made["mask"][:, 0] = 1
        if extra == "added":
            made["added"] = _floats(n, 4, 5, 6)
        if extra in ("causal", "past"):
            made |= {"k": _floats(n, 5, 16), "v": _floats(n, 5, 16 if extra == "past" else 8)}
        if extra == "past":
            made |= {"past_k": _floats(n, 4, 2, 4), "past_v": _floats(n, 4, 2, 4)}
        return made

    constants = {"bias": _floats(40)} if extra == "bias" else {}
    first = feeds(2)
    order = ["q", "k", "v", "bias", "mask", "added", "past_k", "past_v"]
    names = [name if name in first or name in constants else "" for name in order]
    outputs: dict[str, list[Any]] = {"y": ["batch", 5, 8]}
    if extra == "past":
        outputs = {"y": ["batch", 5, 16], "k2": ["batch", 4, 7, 4], "v2": ["batch", 4, 7, 4]}
    model = _model(
        "MultiHeadAttention", names, first, constants, outputs, num_heads=4, unidirectional=int(extra == "causal")
    )
    assert_lowered(model, feeds(1), first, feeds(7), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_with_packed_weights(masked: bool, causal: int) -> None:
    def feeds(n: int) -> Feeds:
        made = {"x": _floats(n, 5, 8)}
        if masked:
            made["mask"] = np.ones((n, 5), np.int32)
            made["mask"][:, 3:] = 0
        return made

    names = ["x", "w", "b", *(["mask"] if masked else [])]
    model = _model(
        "Attention", names, feeds(2), {"w": _floats(8, 24), "b": _floats(24)}, {"y": ["batch", 5, 8]},
        num_heads=2, unidirectional=causal,
    )  # fmt: skip
    assert_lowered(model, *map(feeds, (1, 2, 7)), rtol=1e-4, atol=1e-5)


def test_lengths_instead_of_a_mask_are_refused() -> None:
    feeds = {"x": _floats(2, 5, 8), "mask": np.array([5, 3], np.int32)}
    weights = {"w": _floats(8, 24), "b": _floats(24)}
    with pytest.raises(Unsupported, match="Attention"):
        lower(_model("Attention", ["x", "w", "b", "mask"], feeds, weights, {"y": ["batch", 5, 8]}, num_heads=2))


@pytest.mark.parametrize("op", ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"])
@pytest.mark.parametrize("bias", [False, True])
def test_sums_that_are_normalised(op: str, bias: bool) -> None:
    constants = {"g": _floats(8), "b": _floats(8)}
    names = ["x", "skip", "g", *(["b"] if "Simplified" not in op else []), *(["c"] if bias else [])]
    if bias:
        constants["c"] = _floats(8)
    outputs = {"y": ["batch", 5, 8], "-mean": [], "-scale": [], "sum": ["batch", 5, 8]}
    model = _model(op, names, {"x": _floats(2, 5, 8), "skip": _floats(2, 5, 8)}, constants, outputs, epsilon=1e-5)
    feeds = [{"x": _floats(n, 5, 8), "skip": _floats(n, 5, 8)} for n in (1, 2, 7)]
    assert_lowered(model, *feeds, rtol=1e-4, atol=1e-5)


def test_embeddings_that_are_added_and_normalised() -> None:
    def feeds(n: int) -> Feeds:
        return {
            "words": RNG.integers(0, 9, (n, 5)).astype(np.int32),
            "kinds": RNG.integers(0, 2, (n, 5)).astype(np.int32),
        }

    constants = {"w": _floats(9, 8), "p": _floats(6, 8), "s": _floats(2, 8), "g": _floats(8), "b": _floats(8)}
    names = ["words", "kinds", "w", "p", "s", "g", "b"]
    model = _model("EmbedLayerNormalization", names, feeds(2), constants, {"y": ["batch", 5, 8], "-m": []})
    model.graph.node[0].output[:] = ["y", "m"]
    assert_lowered(model, *map(feeds, (1, 2, 7)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("first_only", [False, True])
@pytest.mark.parametrize("interleaved", [0, 1])
def test_rotary_embedding_of_onnx_runtime(interleaved: int, first_only: bool) -> None:
    angles = RNG.random((10, 4))
    constants = {"cos": np.cos(angles).astype(np.float32), "sin": np.sin(angles).astype(np.float32)}
    constants["at"] = np.array([3]) if first_only else np.array([[0, 1, 2, 3, 4], [2, 3, 4, 5, 6]])
    model = _model(
        "RotaryEmbedding", ["x", "at", "cos", "sin"], {"x": _floats(2, 5, 24)}, constants, {"y": ["batch", 5, 24]},
        interleaved=interleaved,
    )  # fmt: skip
    assert_lowered(model, {"x": _floats(2, 5, 24)}, rtol=1e-4, atol=1e-5)
