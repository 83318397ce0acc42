"""Factors and offsets behind weighted operators go into their weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.converters.quantization.prepared import prepare
from tests.converters.quantization.prepared.graphs import Graph, answers, built, kinds

HEADS = (
    "Conv",
    "grouped Conv",
    "ConvTranspose",
    "grouped ConvTranspose",
    "Gemm",
    "turned Gemm",
    "MatMul",
    "MatMul with Add",
)


def _head(graph: Graph, kind: str) -> tuple[str, list[int | str], tuple[int, ...]]:
    """A weighted operator of 6 channels on `x`: (its output, the shape of x, the shape of a number a channel)."""
    image: list[int | str] = ["batch", 4, 5, 5]
    if kind == "Conv":
        return graph.conv("x", 4, 6), image, (6, 1, 1)
    if kind == "grouped Conv":
        return graph.conv("x", 4, 6, group=2), image, (6, 1, 1)
    if kind == "ConvTranspose":
        return graph.op("ConvTranspose", "x", graph.normal(4, 6, 3, 3)), image, (6, 1, 1)
    if kind == "grouped ConvTranspose":
        return graph.op("ConvTranspose", "x", graph.normal(4, 3, 3, 3), graph.normal(6), group=2), image, (6, 1, 1)
    if kind == "Gemm":
        return graph.op("Gemm", "x", graph.normal(4, 6), graph.normal(1, 6), alpha=0.5, beta=2.0), ["batch", 4], (6,)
    if kind == "turned Gemm":
        return graph.dense("x", 4, 6, bias=False), ["batch", 4], (6,)
    made = graph.product("x", 4, 6)
    return (made if kind == "MatMul" else graph.op("Add", graph.normal(6), made)), ["batch", 3, 4], (6,)


def _link(graph: Graph, kind: str, x: str, shape: tuple[int, ...], constant_first: bool) -> str:
    random = graph.random
    row = graph.const((random.uniform(0.5, 2.0, size=shape) * random.choice([-1, 1], size=shape)).astype(np.float32))
    if kind == "BatchNormalization":
        parts: list[Any] = [
            random.normal(size=6),
            random.normal(size=6),
            random.normal(size=6),
            random.uniform(0.1, 2, 6),
        ]
        return graph.op(kind, x, *(graph.const(part.astype(np.float32)) for part in parts), epsilon=1e-3)
    if kind == "scalar Mul":
        return graph.op("Mul", x, graph.const(np.float32(-1.5)))
    return graph.op(kind, *((row, x) if constant_first and kind != "Div" else (x, row)))


LINKS = ("BatchNormalization", "Mul", "scalar Mul", "Div", "Add", "Sub")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(HEADS), st.lists(st.sampled_from(LINKS), min_size=1, max_size=4), st.booleans(),
    st.integers(0, 1000),
)  # fmt: skip
def test_any_chain_is_folded_and_gives_the_same(head: str, links: list[str], constant_first: bool, seed: int) -> None:
    graph = Graph(seed)
    x, inputs, shape = _head(graph, head)
    chain = [link for link in links if link != "BatchNormalization" or not head.startswith("MatMul")]
    for link in chain:
        x = _link(graph, link, x, shape, constant_first)
    model = graph.model({"x": inputs}, graph.op("Relu", x), opset=17)
    prepared = prepare(built(model))
    assert prepared.notes == ()
    left = kinds(prepared.model)
    # A MatMul has no place for an offset: one Add stays behind it.
    assert left.total() <= (3 if head.startswith("MatMul") else 2), left
    feed = graph.random.normal(size=[size if isinstance(size, int) else 3 for size in inputs]).astype(np.float32)
    wanted, found = answers(model, x=feed)[0], answers(prepared.model, x=feed)[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * max(1.0, float(np.abs(wanted).max())))


@pytest.mark.parametrize(
    ("case", "shape"),
    [
        ("columns", (1, 1, 5)),  # a number a column of the image, not a channel
        ("an axis more", (1, 1, 6, 1, 1)),
        ("training", (6, 1, 1)),
        ("read twice", (6, 1, 1)),
        ("an output", (6, 1, 1)),
        ("shared weights", (6, 1, 1)),
        ("infinite", (6, 1, 1)),
        ("divided by", (6, 1, 1)),
    ],
)
def test_what_cannot_be_folded_stays(case: str, shape: tuple[int, ...]) -> None:
    graph = Graph()
    x = graph.conv("x", 4, 6)
    outputs = []
    if case == "training":
        parts = [graph.normal(6), graph.normal(6), graph.normal(6), graph.const(np.ones(6))]
        graph.op("BatchNormalization", x, *parts, out="y", training_mode=1)
        graph.nodes[-1].output.extend(["mean", "variance"])
    elif case == "divided by":
        graph.op("Div", graph.normal(*shape), x, out="y")
    else:
        row = graph.const(np.full(shape, np.inf if case == "infinite" else 2.0, np.float32))
        graph.op("Mul", x, row, out="y")
    if case == "read twice":
        outputs = [graph.op("Relu", x)]
    if case == "an output":
        outputs = [x]
    if case == "shared weights":
        outputs = [graph.op("Conv", "x", graph.nodes[0].input[1])]
    model = graph.model({"x": ["batch", 4, 5, 5]}, "y", *outputs, opset=17)
    assert kinds(prepare(built(model)).model) == kinds(model)
