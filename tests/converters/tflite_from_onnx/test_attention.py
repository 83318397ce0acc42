"""Attention: heads apart and side by side, shared keys, every kind of mask, caches; transformers come out lean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of, run_tflite

RNG = np.random.default_rng(0)


def _floats(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.normal(size=shape).astype(np.float32)


def _attention(inputs: dict[str, tuple[str, list[Any]]], outputs: int = 1, opset: int = 23, **attributes: Any) -> Any:
    """A model of one Attention; a name that is missing from `inputs` is an input left out."""
    order = ["q", "k", "v", "mask", "past_k", "past_v", "valid"]
    names = [name if name in inputs else "" for name in order]
    while not names[-1]:
        names.pop()
    made = ["y", "present_k", "present_v", "qk"][:outputs]
    node = helper.make_node("Attention", names, made, **attributes)
    return model_of([node], inputs, made, opset=opset)


def _heads(queries: int = 4, keys: int = 4, steps: int = 5, others: int = 6, batch: Any = "batch") -> dict[str, Any]:
    return {
        "q": ("float32", [batch, queries, steps, 8]),
        "k": ("float32", [batch, keys, others, 8]),
        "v": ("float32", [batch, keys, others, 3]),
    }


def _feeds(inputs: dict[str, Any], batch: int) -> dict[str, np.ndarray[Any, Any]]:
    made = {}
    for name, (dtype, shape) in inputs.items():
        sizes = [batch if size == "batch" else size for size in shape]
        made[name] = RNG.random(sizes) > 0.4 if dtype == "bool" else _floats(*sizes)
    return made


@pytest.mark.parametrize("attributes", [{}, {"is_causal": 1}, {"softcap": 2.0}, {"scale": 0.1}])
@pytest.mark.parametrize(("queries", "keys"), [(4, 4), (4, 2), (4, 1)])
def test_heads_apart(queries: int, keys: int, attributes: dict[str, Any]) -> None:
    inputs = _heads(queries, keys)
    model = _attention(inputs, **attributes)
    lowered = assert_lowered(model, *[_feeds(inputs, n) for n in (1, 2, 7)], rtol=1e-4, atol=1e-5)
    assert kinds(lowered.data).count("TRANSPOSE") == 0


@pytest.mark.parametrize("attributes", [{}, {"is_causal": 1}])
@pytest.mark.parametrize("keys", [4, 2])
def test_heads_side_by_side(keys: int, attributes: dict[str, Any]) -> None:
    inputs = {
        "q": ("float32", ["batch", 5, 32]),
        "k": ("float32", ["batch", 6, 8 * keys]),
        "v": ("float32", ["batch", 6, 3 * keys]),
    }
    model = _attention(inputs, q_num_heads=4, kv_num_heads=keys, **attributes)
    assert_lowered(model, *[_feeds(inputs, n) for n in (1, 2, 7)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("shape", [[5, 6], [1, 5, 6], ["batch", 1, 5, 6], ["batch", 4, 5, 6], [1, 1, 5, 6]])
@pytest.mark.parametrize("dtype", ["float32", "bool"])
def test_masks(dtype: str, shape: list[Any], causal: int) -> None:
    inputs = {**_heads(), "mask": (dtype, shape)}
    model = _attention(inputs, is_causal=causal)
    feeds = [_feeds(inputs, n) for n in (1, 2, 7)]
    if dtype == "float32":
        for fed in feeds:
            fed["mask"][..., 1] = -np.inf
    for fed in feeds:
        fed["mask"][..., 0] = dtype == "bool"  # no row is masked altogether
    assert_lowered(model, *feeds, rtol=1e-4, atol=1e-5)


def test_a_row_that_is_masked_altogether_gives_zeros() -> None:
    """As the standard has it since its errata, whatever ONNX Runtime does."""
    inputs = {**_heads(batch=2), "mask": ("bool", [5, 6])}
    fed = _feeds(inputs, 2)
    fed["mask"][...] = True
    fed["mask"][3] = False
    data = lower(_attention(inputs)).data
    for delegate in (True, False):
        made = run_tflite(data, fed, delegate)["y"]
        assert not made[:, :, 3].any()
        assert np.isfinite(made).all()
        assert made[:, :, 2].any()


@pytest.mark.parametrize("causal", [0, 1])
def test_what_came_before_is_put_in_front(causal: int) -> None:
    inputs = _heads(steps=3, others=3)
    inputs |= {"past_k": ("float32", ["batch", 4, 2, 8]), "past_v": ("float32", ["batch", 4, 2, 3])}
    model = _attention(inputs, outputs=3, is_causal=causal)
    assert_lowered(model, *[_feeds(inputs, n) for n in (1, 2, 7)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_the_scores_can_be_had_on_their_way(mode: int) -> None:
    inputs = {**_heads(), "mask": ("float32", [5, 8])}
    inputs |= {"past_k": ("float32", ["batch", 4, 2, 8]), "past_v": ("float32", ["batch", 4, 2, 3])}
    model = _attention(inputs, outputs=4, opset=24, softcap=1.5, qk_matmul_output_mode=mode)
    assert_lowered(model, *[_feeds(inputs, n) for n in (1, 2)], rtol=1e-4, atol=1e-5)


def test_steps_may_be_open_too() -> None:
    inputs = {name: ("float32", ["batch", 4, "steps", 8]) for name in ("q", "k", "v")}
    model = _attention(inputs, is_causal=1)
    feeds = [{name: _floats(n, 4, steps, 8) for name in inputs} for n, steps in ((1, 5), (2, 3), (7, 1))]
    assert_lowered(model, *feeds, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("places", [False, True])
@pytest.mark.parametrize("pairs", [0, 1])
@pytest.mark.parametrize("part", [0, 4])
@pytest.mark.parametrize("apart", [False, True])
def test_rotary_embedding(apart: bool, part: int, pairs: int, places: bool) -> None:
    half = (part or 8) // 2
    angles = RNG.random((10, half) if places else (2, 5, half))
    constants = {"cos": np.cos(angles).astype(np.float32), "sin": np.sin(angles).astype(np.float32)}
    inputs: dict[str, Any] = {"x": ("float32", [2, 3, 5, 8] if apart else [2, 5, 24])}
    feeds: dict[str, Any] = {"x": _floats(*inputs["x"][1])}
    if places:
        inputs["at"] = ("int64", [2, 5])
        feeds["at"] = RNG.integers(0, 10, (2, 5))
    names = ["x", "cos", "sin", *(["at"] if places else [])]
    node = helper.make_node(
        "RotaryEmbedding", names, ["y"], interleaved=pairs, rotary_embedding_dim=part, num_heads=0 if apart else 3
    )
    assert_lowered(model_of([node], inputs, ["y"], constants, opset=23), feeds)
