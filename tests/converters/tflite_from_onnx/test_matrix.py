"""Matrix products and Einsum: constants become FULLY_CONNECTED, the rest BATCH_MATMUL, in few other operators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of, run_tflite

RNG = np.random.default_rng(0)


def _floats(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.normal(size=shape).astype(np.float32)


def _numbers(dtype: str, *shape: int) -> np.ndarray[Any, Any]:
    return _floats(*shape) if dtype == "float32" else RNG.integers(-9, 9, shape).astype(dtype)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 1, 2, 3), (6, 3, 4)), ((3,), (3,)), ((3,), (3, 4)),
        ((2, 3), (3,)), ((5, 2, 3), (3,)), ((3,), (5, 3, 4)), ((2, 2, 2, 2, 2, 3), (2, 1, 2, 1, 3, 4)), ((2, 3), (1, 1, 3, 4)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("fixed", ["neither", "first", "second"])
def test_operands_of_any_rank(a: tuple[int, ...], b: tuple[int, ...], dtype: str, fixed: str) -> None:
    given = {"a": _numbers(dtype, *a), "b": _numbers(dtype, *b)}
    constants = {name: given[name] for name, side in (("a", "first"), ("b", "second")) if side == fixed}
    feeds = {name: array for name, array in given.items() if name not in constants}
    inputs = {name: (dtype, array.shape) for name, array in feeds.items()}
    assert_lowered(model_of([helper.make_node("MatMul", ["a", "b"], ["y"])], inputs, ["y"], constants), feeds)


def test_weights_are_one_operator_at_any_rank_and_batch() -> None:
    model = model_of(
        [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "b"], ["y"])],
        {"x": ("float32", ["batch", 5, 4])},
        ["y"],
        {"w": _floats(4, 6), "b": _floats(6)},
    )
    lowered = assert_lowered(model, *[{"x": _floats(n, 5, 4)} for n in (1, 2, 7)])
    assert kinds(lowered.data) == ["FULLY_CONNECTED"]


def test_weights_of_seven_dimensions_of_rows() -> None:
    """XNNPACK would not load a FULLY_CONNECTED of them."""
    shape, rng = ["n", 2, 1, 3, 2, 1, 4], np.random.default_rng(0)
    weights = {"w": rng.normal(size=(4, 3)).astype(np.float32)}
    model = model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": ("float32", shape)}, ["y"], weights)
    assert_lowered(model, *({"x": rng.normal(size=(n, *shape[1:])).astype(np.float32)} for n in (1, 2, 7)))


def test_keys_are_not_transposed_before_their_product() -> None:
    model = model_of(
        [helper.make_node("Transpose", ["k"], ["t"], perm=[0, 2, 1]), helper.make_node("MatMul", ["q", "t"], ["y"])],
        {"q": ("float32", ["batch", 5, 4]), "k": ("float32", ["batch", 6, 4])},
        ["y"],
    )
    lowered = assert_lowered(model, *[{"q": _floats(n, 5, 4), "k": _floats(n, 6, 4)} for n in (1, 2, 7)])
    assert kinds(lowered.data) == ["BATCH_MATMUL"]


@pytest.mark.parametrize("c", [None, (), (1,), (4,), (1, 4), (3, 1), (3, 4)])
@pytest.mark.parametrize(("across_a", "across_b"), [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("fixed", ["none", "weights", "rows"])
def test_gemm(c: tuple[int, ...] | None, across_a: int, across_b: int, fixed: str) -> None:
    given = {"a": _floats(*((5, 3) if across_a else (3, 5))), "b": _floats(*((4, 5) if across_b else (5, 4)))}
    if c is not None:
        given["c"] = _floats(*c)
    held = {"none": "", "weights": "bc", "rows": "a"}[fixed]
    constants = {name: array for name, array in given.items() if name in held}
    feeds = {name: array for name, array in given.items() if name not in held}
    node = helper.make_node("Gemm", list(given), ["y"], transA=across_a, transB=across_b, alpha=0.5, beta=2.0)
    inputs = {name: ("float32", array.shape) for name, array in feeds.items()}
    assert_lowered(model_of([node], inputs, ["y"], constants), feeds, rtol=1e-4, atol=1e-5)


def test_gemm_of_whole_numbers_is_exact_and_of_fractions_of_them_refused() -> None:
    given = {"a": _numbers("int32", 3, 5), "b": _numbers("int32", 5, 4), "c": _numbers("int32", 4)}
    inputs = {name: ("int32", array.shape) for name, array in given.items()}
    model = model_of([helper.make_node("Gemm", list(given), ["y"], beta=3.0)], inputs, ["y"], opset=11)
    made = run_tflite(lower(model).data, given)["y"]  # ONNX Runtime has no kernel for it
    np.testing.assert_array_equal(made, given["a"] @ given["b"] + 3 * given["c"])
    with pytest.raises(Unsupported, match="Gemm"):
        lower(model_of([helper.make_node("Gemm", list(given), ["y"], alpha=0.5)], inputs, ["y"], opset=11))


@pytest.mark.parametrize("attributes", [{"transA": 1}, {"transB": 1, "alpha": 0.25}, {"transBatchA": 1}])
def test_fused_products_of_onnx_runtime(attributes: dict[str, Any]) -> None:
    a, b = _floats(3, 3, 3), _floats(3, 3, 3)
    graph = helper.make_graph(
        [helper.make_node("FusedMatMul", ["a", "b"], ["y"], domain="com.microsoft", **attributes)],
        "g",
        [helper.make_tensor_value_info("a", 1, ["batch", 3, 3])],
        [helper.make_tensor_value_info("y", 1, [None, None, None])],
        [numpy_helper.from_array(b, "b")],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    assert_lowered(helper.make_model(graph, opset_imports=imports, ir_version=8), {"a": a})


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk", [(2, 3), (3, 4)]), ("bij,bjk->bik", [(5, 2, 3), (5, 3, 4)]),
        ("bhid,bhjd->bhij", [(2, 3, 4, 5), (2, 3, 6, 5)]), ("bihd,bjhd->bhij", [(2, 4, 3, 5), (2, 6, 3, 5)]),
        ("bhij,bjhd->bihd", [(2, 3, 4, 6), (2, 6, 3, 5)]), ("...ij,...jk->...ik", [(2, 3, 4, 5), (1, 3, 5, 6)]),
        ("...ij->...ji", [(2, 3, 4)]), ("ij->", [(2, 3)]), ("ii->i", [(3, 3)]), ("ii", [(3, 3)]), ("bii->b", [(2, 3, 3)]),
        ("i,j->ij", [(2,), (3,)]), ("i,i->", [(3,), (3,)]), ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
        ("ijk,k->ji", [(2, 3, 4), (4,)]), ("ij,ij->ij", [(2, 3), (2, 3)]), ("abc,acd->bd", [(2, 3, 4), (2, 4, 5)]),
        ("ab,cd->ac", [(2, 3), (4, 5)]), ("bij, bjk", [(1, 2, 3), (1, 3, 4)]),
    ],
)  # fmt: skip
def test_einsum(equation: str, shapes: list[tuple[int, ...]]) -> None:
    feeds = {f"x{i}": _floats(*shape) for i, shape in enumerate(shapes)}
    node = helper.make_node("Einsum", list(feeds), ["y"], equation=equation)
    inputs = {name: ("float32", array.shape) for name, array in feeds.items()}
    assert_lowered(model_of([node], inputs, ["y"]), feeds, rtol=1e-4, atol=1e-5)


def test_einsum_keeps_an_open_batch() -> None:
    node = helper.make_node("Einsum", ["q", "k"], ["y"], equation="bihd,bjhd->bhij")
    shape: list[Any] = ["batch", 4, 3, 5]
    model = model_of([node], {"q": ("float32", shape), "k": ("float32", shape)}, ["y"])
    feeds = [{"q": _floats(n, 4, 3, 5), "k": _floats(n, 4, 3, 5)} for n in (1, 2, 7)]
    assert kinds(assert_lowered(model, *feeds, atol=1e-5).data).count("BATCH_MATMUL") == 1


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_einsum_of_any_letters(data: st.DataObject) -> None:
    sizes = {"a": 2, "b": 3, "c": 1, "d": 4}
    terms = [
        data.draw(st.permutations("abcd"))[: data.draw(st.integers(1, 3))] for _ in range(data.draw(st.integers(1, 3)))
    ]
    used = sorted({letter for term in terms for letter in term})
    out = data.draw(st.permutations(used))[: data.draw(st.integers(0, len(used)))]
    equation = ",".join(map("".join, terms)) + "->" + "".join(out)
    feeds = {f"x{i}": _floats(*(sizes[letter] for letter in term)) for i, term in enumerate(terms)}
    inputs = {name: ("float32", array.shape) for name, array in feeds.items()}
    model = model_of([helper.make_node("Einsum", list(feeds), ["y"], equation=equation)], inputs, ["y"])
    assert_lowered(model, feeds, rtol=1e-4, atol=1e-5)
