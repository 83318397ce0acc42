"""Chains of reshapes and transposes: right whatever they do, and one transpose where they are one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from mlpack_edge.converters.tflite_from_onnx import moving
from mlpack_edge.converters.tflite_from_onnx.values import permuted
from mlpack_edge.converters.tflite_graph.model import Tensor
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, model_of

RNG = np.random.default_rng(0)
#: A power of two: of any two sizes one divides the other, so that every reshape can be told.
_COUNT = 64


def _shapes_of(count: int) -> st.SearchStrategy[list[int]]:
    """Shapes with `count` elements, sizes of 1 among them."""
    divisors = [number for number in range(1, count + 1) if count % number == 0]

    def build(parts: list[int]) -> list[int]:
        made, left = [], count
        for part in parts:
            size = math.gcd(part, left)
            made.append(size)
            left //= size
        return [*made, left]

    return st.lists(st.sampled_from(divisors), max_size=3).map(build)


@st.composite
def _chains(draw: st.DrawFn) -> tuple[list[int], list[tuple[str, list[int]]]]:
    """A shape, and steps: reshapes to other shapes of as many elements, transposes, and products with a number."""
    shape = draw(_shapes_of(_COUNT))
    steps, here = [], shape
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["Reshape", "Transpose", "Transpose", "Mul"]))
        if kind == "Transpose":
            perm = draw(st.permutations(range(len(here))))
            steps.append((kind, list(perm)))
            here = [here[axis] for axis in perm]
        elif kind == "Reshape":
            here = draw(_shapes_of(_COUNT))
            steps.append((kind, here))
        else:
            steps.append((kind, []))
    return shape, steps


def _model(shape: list[Any], steps: list[tuple[str, list[int]]]) -> onnx.ModelProto:
    nodes, constants, name = [], {"two": np.array(2, np.float32)}, "x"
    for i, (kind, numbers) in enumerate(steps):
        made = "y" if i == len(steps) - 1 else f"v{i}"
        if kind == "Transpose":
            nodes.append(helper.make_node(kind, [name], [made], perm=numbers))
        elif kind == "Reshape":
            constants[f"s{i}"] = np.array(numbers, np.int64)
            nodes.append(helper.make_node(kind, [name, f"s{i}"], [made]))
        else:
            nodes.append(helper.make_node(kind, [name, "two"], [made]))
        name = made
    return model_of(nodes, {"x": ("float32", shape)}, ["y"], constants)


@settings(max_examples=40, deadline=None)
@given(_chains())
def test_any_chain_is_right_and_has_one_transpose_at_most_if_it_only_moves(
    chain: tuple[list[int], list[tuple[str, list[int]]]],
) -> None:
    shape, steps = chain
    lowered = assert_lowered(_model(list(shape), steps), {"x": RNG.normal(size=shape).astype(np.float32)})
    made = kinds(lowered.data)
    assert made.count("TRANSPOSE") <= 1
    assert made.count("RESHAPE") <= 2 + sum(kind == "Mul" for kind, _ in steps)


@settings(max_examples=60, deadline=None)
@given(_chains())
def test_an_arrangement_says_where_each_element_lies(chain: tuple[list[int], list[tuple[str, list[int]]]]) -> None:
    """Its transpose between two reshapes gives what numpy gives step by step."""
    shape, steps = chain
    there = RNG.permutation(_COUNT).reshape(shape)
    here, arranged = there, moving.of(Tensor("x", "int64", tuple(shape)), shape)
    for kind, numbers in steps:
        if kind == "Transpose":
            here, arranged = here.transpose(numbers), arranged.transposed(tuple(numbers))
        elif kind == "Reshape":
            here, other = here.reshape(numbers), arranged.reshaped(numbers)
            if other is None:
                return  # sizes that share no boundaries
            arranged = other
    source, order = arranged.steps(here.shape)
    np.testing.assert_array_equal(there.reshape(source).transpose(order).reshape(here.shape), here)
    coarse, turned = arranged.runs()
    np.testing.assert_array_equal(there.reshape(coarse).transpose(turned).reshape(-1), here.reshape(-1))
    assert math.prod(permuted(source, order)) == _COUNT


@pytest.mark.parametrize("factor", [False, True])
def test_heads_as_torch_splits_them_are_one_transpose_with_an_open_batch(factor: bool) -> None:
    """[batch, 12, 32] -> steps first -> heads into the batch -> [batch, 4, 12, 8], a factor somewhere in between."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["a"], perm=[1, 0, 2]),
        helper.make_node("Reshape", ["a", "s1"], ["b"]),
        helper.make_node("Transpose", ["b"], ["c"], perm=[1, 0, 2]),
        helper.make_node("Reshape", ["c", "s2"], ["d"]),
        helper.make_node("Mul", ["d", "f"], ["e"]) if factor else helper.make_node("Identity", ["d"], ["e"]),
        helper.make_node("Transpose", ["e"], ["y"], perm=[0, 1, 3, 2]),
    ]
    constants = {"s1": np.array([12, -1, 8]), "s2": np.array([-1, 4, 12, 8]), "f": np.array([0.5], np.float32)}
    model = model_of(nodes, {"x": ("float32", ["batch", 12, 32])}, ["y"], constants)
    lowered = assert_lowered(model, *[{"x": RNG.normal(size=(n, 12, 32)).astype(np.float32)} for n in (1, 2, 7)])
    made = kinds(lowered.data)
    assert made.count("TRANSPOSE") == 1
    assert len(made) == 2 + factor


def test_rows_of_a_product_that_are_turned_and_turned_back_stay_where_they_are() -> None:
    """torch's attention multiplies steps first, and turns the result back."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["a"], perm=[2, 0, 1, 3]),
        helper.make_node("Reshape", ["a", "s1"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["c"]),
        helper.make_node("Reshape", ["c", "s2"], ["d"]),
        helper.make_node("Transpose", ["d"], ["y"], perm=[1, 0, 2]),
    ]
    constants = {
        "s1": np.array([-1, 32]), "s2": np.array([12, -1, 5]), "w": RNG.normal(size=(32, 5)).astype(np.float32)
    }  # fmt: skip
    model = model_of(nodes, {"x": ("float32", ["batch", 4, 12, 8])}, ["y"], constants)
    feeds = [{"x": RNG.normal(size=(n, 4, 12, 8)).astype(np.float32)} for n in (1, 2, 7)]
    assert kinds(assert_lowered(model, *feeds, atol=1e-5).data) == ["TRANSPOSE", "RESHAPE", "FULLY_CONNECTED"]


@pytest.mark.parametrize("cut", ["Split", "Gather", "Slice"])
def test_queries_keys_and_values_are_products_of_their_own(cut: str) -> None:
    """No slice of a common product is left, and a factor of the queries is in their weights."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "b"], ["a"])]
    constants: dict[str, Any] = {
        "w": RNG.normal(size=(6, 12)).astype(np.float32), "b": RNG.normal(size=12).astype(np.float32),
        "f": np.array(0.25, np.float32),
    }  # fmt: skip
    if cut == "Split":
        nodes.append(helper.make_node("Split", ["a"], ["q", "k", "v"], axis=-1, num_outputs=3))
    elif cut == "Gather":
        constants |= {"s": np.array([-1, 5, 3, 4]), **{f"i{i}": np.array(i) for i in range(3)}}
        nodes.append(helper.make_node("Reshape", ["a", "s"], ["r"]))
        nodes += [helper.make_node("Gather", ["r", f"i{i}"], [name], axis=2) for i, name in enumerate("qkv")]
    else:
        constants |= {f"n{i}": np.array([4 * i]) for i in range(4)} | {"axis": np.array([2])}
        nodes += [
            helper.make_node("Slice", ["a", f"n{i}", f"n{i + 1}", "axis"], [name]) for i, name in enumerate("qkv")
        ]
    nodes.append(helper.make_node("Mul", ["q", "f"], ["y"]))
    model = model_of(nodes, {"x": ("float32", ["batch", 5, 6])}, ["y", "k", "v"], constants)
    feeds = [{"x": RNG.normal(size=(n, 5, 6)).astype(np.float32)} for n in (1, 2, 7)]
    assert set(kinds(assert_lowered(model, *feeds, atol=1e-5).data)) <= {"FULLY_CONNECTED", "RESHAPE"}


@pytest.mark.parametrize("turned", [False, True])
def test_a_product_of_open_steps_that_is_cut_stays_right(turned: bool) -> None:
    """Also where its rows are counted another way: [batch, steps] as [steps, batch] in the same memory."""
    order = [1, 0] if turned else [0, 1]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "order"], ["open"]),
        helper.make_node("Concat", ["open", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["m", "target"], ["r"]),
        *(helper.make_node("Gather", ["r", f"i{i}"], [name], axis=2) for i, name in enumerate("qkv")),
    ]
    constants = {
        "w": RNG.normal(size=(6, 12)).astype(np.float32), "order": np.array(order), "rest": np.array([3, 4]),
        **{f"i{i}": np.array(i) for i in range(3)},
    }  # fmt: skip
    model = model_of(nodes, {"x": ("float32", ["batch", "steps", 6])}, ["q", "k", "v"], constants)
    feeds = [{"x": RNG.normal(size=(n, steps, 6)).astype(np.float32)} for n, steps in ((1, 5), (2, 3), (7, 2))]
    assert_lowered(model, *feeds, atol=1e-5)


def test_more_axes_than_one_transpose_takes_are_turned_in_several() -> None:
    """Tokens in the order of windows inside windows, as Hiera unrolls them: three splits together turn eight axes."""
    shape: list[Any] = ["n", 16, 16, 3]
    steps: list[tuple[str, list[int]]] = []
    for times in (1, 4, 16):
        side = int(16 / times**0.5)
        steps += [
            ("Reshape", [-1, side // 2, 2, side // 2, 2, 3]),
            ("Transpose", [0, 2, 4, 1, 3, 5]),
            ("Reshape", [-1, side // 2, side // 2, 3]),
        ]
    lowered = assert_lowered(
        _model(shape, steps), *({"x": RNG.normal(size=(n, 16, 16, 3)).astype(np.float32)} for n in (1, 2, 7))
    )
    assert kinds(lowered.data).count("TRANSPOSE") in (2, 3)
