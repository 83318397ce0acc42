"""Weights whose sums of two products fit 16 bits: the same answers on every processor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlpack_edge.converters.quantization.static.grids import Grid
from mlpack_edge.converters.quantization.static.sums import in_kernel_order
from mlpack_edge.converters.quantization.static.units import Weights
from mlpack_edge.converters.quantization.static.weights import coded
from mlpack_edge.devices.emulation.boards import profile_named
from mlpack_edge.devices.emulation.root import status
from mlpack_edge.devices.targets.agent.facts import environment
from mlpack_edge.runtimes.processors import saturates
from tests.cli.mlpack import mlpack_json
from tests.converters.quantization.static.nets import U8S8, Net, Nodes, noise_db, quantized

_POSITIVE, _BOTH = Grid(0.02, 0, "uint8"), Grid(0.02, 128, "uint8")


def _worst_pair(codes: np.ndarray) -> int:
    """The largest sum, in absolute value, that `vpmaddubsw` can be asked for: neighbours times 0 to 255 each."""
    rows = codes.astype(np.int64)
    rows = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2)))
    left, right = rows[:, 0::2], rows[:, 1::2]
    above = 255 * (np.maximum(left, 0) + np.maximum(right, 0))
    below = 255 * (np.minimum(left, 0) + np.minimum(right, 0))
    return int(max(above.max(initial=0), -below.min(initial=0)))


@settings(max_examples=150, deadline=None)
@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=st.floats(-4, 4, width=32)),
    st.sampled_from([_POSITIVE, _BOTH]),
)
def test_no_pair_of_a_dense_layer_can_saturate(content: np.ndarray, grid: Grid) -> None:
    made = coded(Weights(content, 0, 1, None), "Gemm", [grid], [None], exact=True)
    assert _worst_pair(made.codes) <= 32767
    assert np.abs(made.codes.astype(np.int64)).max(initial=0) <= 127
    # No more is lost than with a bit less for all weights, and a step of rounding towards an unleaning sum.
    step = np.abs(content).max(axis=1, keepdims=True) / 63 + 1e-9
    assert (np.abs(made.codes * made.scale[:, None] - content) <= 2.1 * step).all()


@pytest.mark.parametrize("shape", [(6, 3, 3, 3), (4, 4, 1, 1), (8, 2, 3, 3), (5, 7, 5)])
def test_pairs_of_a_convolution_are_neighbouring_channels_of_a_place(shape: tuple[int, ...]) -> None:
    """All weights as large as can be: only the order in which kernels add decides about the pairs."""
    content = np.random.default_rng(0).choice([-1.0, 1.0], size=shape).astype(np.float32)
    weights = Weights(content, 0, 1, None)
    exact = coded(weights, "Conv", [_POSITIVE], [None], exact=True)
    matrix = np.moveaxis(exact.codes, 1, -1).reshape(shape[0], -1)
    assert _worst_pair(matrix) <= 32767
    assert np.array_equal(matrix, in_kernel_order(exact.codes, weights))
    assert np.array_equal(np.sign(exact.codes), content)
    loose = coded(weights, "Conv", [_POSITIVE], [None], exact=False)
    assert _worst_pair(np.moveaxis(loose.codes, 1, -1).reshape(shape[0], -1)) > 32767


def test_depthwise_weights_keep_all_their_codes() -> None:
    """Their kernels add in 32 bits."""
    weights = Weights(np.ones((8, 1, 3, 3), np.float32), 0, 8, None)
    assert (coded(weights, "DepthwiseConv", [_BOTH], [None], exact=True).codes == 127).all()


@settings(max_examples=100, deadline=None)
@given(arrays.arrays(np.float32, (3, 40), elements=st.floats(-1, 1, width=32)))
def test_errors_of_rounding_do_not_add_up_where_activations_are_positive(content: np.ndarray) -> None:
    made = coded(Weights(content, 0, 1, None), "Gemm", [_POSITIVE], [None], exact=False)
    off = made.codes.astype(np.float64) - content / made.scale.astype(np.float64)[:, None]
    nearest = (
        np.rint(content / made.scale.astype(np.float64)[:, None]) - content / made.scale.astype(np.float64)[:, None]
    )

    def loss(error: np.ndarray) -> np.ndarray:
        return np.asarray(np.square(error).sum(axis=1) + 8 * np.square(error.sum(axis=1)))

    assert (loss(off) <= loss(nearest) + 1e-5).all()


def _net() -> Net:
    """Convolutions by all kernels of MLAS: windows copied out, read in place, grouped, depthwise of 16 and of others;
    dense layers on two and three axes."""
    nodes = Nodes(4)
    x = nodes.add("Relu", nodes.conv("x", 3, 8))
    x = nodes.add("Relu", nodes.conv(x, 8, 16, k=1))
    x = nodes.add("Relu", nodes.conv(x, 16, 16, group=2))
    x = nodes.add("Relu", nodes.conv(x, 16, 16, group=16))
    x = nodes.add("Relu", nodes.conv(x, 16, 20))
    x = nodes.add("Relu", nodes.conv(x, 20, 20, group=20))
    pooled = nodes.add("Flatten", nodes.add("GlobalAveragePool", x))
    flat = nodes.add("Flatten", nodes.conv(x, 20, 3, k=1))
    y = nodes.add("Relu", nodes.dense(flat, 192, 33))
    folded = nodes.add("Reshape", x, nodes.constant([0, 20, 64], np.int64))
    sequence = nodes.add("ReduceSum", nodes.dense(folded, 64, 8, "MatMul"), nodes.constant([1], np.int64), keepdims=0)
    parts = [nodes.dense(y, 33, 10), nodes.dense(pooled, 20, 5), sequence]
    return nodes.net(["batch", 3, 8, 8], nodes.add("Concat", *parts, axis=1))


@pytest.mark.long
def test_processors_with_and_without_vnni_give_the_same_bits(tmp_path: Path) -> None:
    """And would not without exact sums: the same net differs on the same rows."""
    ready = status(profile_named("x86-64-avx2"))
    if ready.state != "ready":
        pytest.skip(ready.why)
    here = environment()
    if saturates(here) or "avx2" not in here["features"]:
        pytest.skip("this processor has no VNNI: it saturates itself")
    rows = np.random.default_rng(2).uniform(-1, 3, (60, 3, 8, 8)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    net = _net()
    for exact in (True, False):
        model = quantized(net, rows, replace(U8S8, exact_sums=exact))
        assert noise_db(net, model, rows) > 25
        onnx.save(model, tmp_path / "model.onnx")
        code, document = mlpack_json(
            "check", tmp_path / "model.onnx", "--data", tmp_path / "rows.npy", "--rows", "20", "--arch", "x86-64-avx2"
        )
        assert document["architectures"][0]["bit_identical"] == exact and code == (0 if exact else 3)
