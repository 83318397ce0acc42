"""Ifs whose condition only shapes and constants decide give way to the branch that is taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from mlpack_edge.converters.onnx_from_onnx.convert import OnnxOptions, convert
from tests.converters.test_onnx_source import assert_equal, model_of, value

X = np.random.default_rng(0).normal(size=(1, 3, 1)).astype(np.float32)


def ifs(model: onnx.ModelProto) -> int:
    def below(graph: onnx.GraphProto) -> int:
        bodies = [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
        return int(sum(node.op_type == "If" for node in graph.node) + sum(map(below, bodies)))

    return below(model.graph)


def branch(nodes: list[onnx.NodeProto], *outputs: str, **constants: Any) -> onnx.GraphProto:
    stored = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    return helper.make_graph(nodes, "branch", [], [value(name, None) for name in outputs], stored)


def asked(condition: str, taken: onnx.GraphProto, other: onnx.GraphProto, *outputs: str) -> onnx.NodeProto:
    return helper.make_node("If", [condition], list(outputs), then_branch=taken, else_branch=other)


def rank_is(number: int, tensor: str = "x", mark: str = "") -> tuple[list[onnx.NodeProto], TensorProto]:
    """Whether `tensor` has so many dimensions, as exporters ask: the result is called is{mark}."""
    nodes = [
        helper.make_node("Shape", [tensor], [f"shape{mark}"]),
        helper.make_node("Size", [f"shape{mark}"], [f"rank{mark}"]),
        helper.make_node("Equal", [f"rank{mark}", f"wanted{mark}"], [f"is{mark}"]),
    ]
    return nodes, numpy_helper.from_array(np.asarray(number), f"wanted{mark}")


@pytest.mark.parametrize("number", [3, 4])
def test_a_question_of_the_rank_is_answered(number: int) -> None:
    nodes, wanted = rank_is(number)
    taken = branch([helper.make_node("Add", ["x", "one"], ["t"])], "t", one=np.array([1], np.float32))
    other = branch([helper.make_node("Mul", ["x", "two"], ["e"])], "e", two=np.array([2], np.float32))
    model = model_of(
        [*nodes, asked("is", taken, other, "y")], [value("x", ["batch", 3, None])], [value("y", None)],
        initializers=(wanted,),
    )  # fmt: skip
    made = assert_equal(model, x=X)
    assert [node.op_type for node in made.model.graph.node] == ["Add" if number == 3 else "Mul"]
    assert "took the branch of 1 Ifs" in made.notes[-1] and made.signature.outputs[0].shape[1:2] == (3,)


def test_a_question_of_a_size_is_answered_where_the_size_is_fixed() -> None:
    """As torch.squeeze is exported: its answer decides the rank of what comes after it, here of another question."""
    inner, three = rank_is(3, "s", "2")
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "place"], ["last"]),
        helper.make_node("Equal", ["last", "one"], ["is"]),
        asked(
            "is", branch([helper.make_node("Squeeze", ["x", "axis"], ["t"])], "t", axis=np.array([2])),
            branch([helper.make_node("Identity", ["x"], ["e"])], "e"), "s",
        ),
        *inner,
        asked("is2", branch([helper.make_node("Neg", ["s"], ["t"])], "t"), branch([helper.make_node("Abs", ["s"], ["t"])], "t"), "n"),
        helper.make_node("ReduceSum", ["n"], ["y"], keepdims=0),
    ]  # fmt: skip
    constants = (three, numpy_helper.from_array(np.asarray(2), "place"), numpy_helper.from_array(np.asarray(1), "one"))
    model = model_of(nodes, [value("x", ["batch", 3, None])], [value("y", [])], initializers=constants)
    assert ifs(assert_equal(model, x=X).model) == 2
    made = assert_equal(model, OnnxOptions(shapes={"x": ("batch", 3, 1)}), x=X)
    assert [node.op_type for node in made.model.graph.node] == ["Squeeze", "Abs", "ReduceSum"]
    made = assert_equal(model, OnnxOptions(shapes={"x": ("batch", 3, 2)}), x=np.repeat(X, 2, axis=2))
    assert [node.op_type for node in made.model.graph.node] == ["Identity", "Neg", "ReduceSum"]


def test_a_branch_inside_a_branch_that_is_kept_is_folded_where_it_is() -> None:
    nodes, wanted = rank_is(3)
    taken = branch([*nodes, asked("is", branch([helper.make_node("Neg", ["x"], ["n"])], "n"), branch([helper.make_node("Abs", ["x"], ["n"])], "n"), "t")], "t")  # fmt: skip
    taken.initializer.append(wanted)
    model = model_of(
        [asked("c", taken, branch([helper.make_node("Exp", ["x"], ["t"])], "t"), "y")],
        [value("x", [1, 3, 1]), value("c", [], TensorProto.BOOL)], [value("y", None)],
    )  # fmt: skip
    for answer in (True, False):
        assert ifs(assert_equal(model, x=X, c=np.array(answer)).model) == 1


@given(st.lists(st.booleans(), min_size=2, max_size=4), st.booleans())
def test_names_that_several_branches_use_stay_apart(truths: list[bool], outer: bool) -> None:
    """Each branch has a constant `k`, a tensor `m` and an inner If on the input that reads both; what is given is what the branch
    makes, its constant, another, and the first once more."""
    nodes: list[onnx.NodeProto] = []
    constants = []
    for at, truth in enumerate(truths):

        def one(factor: float, at: int = at) -> onnx.GraphProto:
            inside = [branch([helper.make_node(kind, ["m", "k"], ["i"])], "i") for kind in ("Add", "Sub")]
            parts = [
                helper.make_node("Mul", ["x", "k"], ["m"]),
                asked("c", *inside, "r"),
                helper.make_node("Identity", ["r"], ["q"]),
            ]
            return branch(parts, "r", "k", "m", "q", k=np.array([factor + at], np.float32))

        constants.append(numpy_helper.from_array(np.array(truth), f"is{at}"))
        nodes.append(asked(f"is{at}", one(2.0), one(20.0), *(f"y{at}{letter}" for letter in "abcd")))
    outputs = [
        value(f"y{at}{letter}", [1] if letter == "b" else [1, 3, 1]) for at in range(len(truths)) for letter in "abcd"
    ]
    model = model_of(
        nodes, [value("x", [1, 3, 1]), value("c", [], TensorProto.BOOL)], outputs, initializers=tuple(constants)
    )
    assert ifs(assert_equal(model, x=X, c=np.array(outer)).model) == len(truths)


def test_what_an_input_or_an_open_size_decides_is_left() -> None:
    model = model_of(
        [
            helper.make_node("Shape", ["x"], ["shape"]),
            helper.make_node("Gather", ["shape", "place"], ["rows"]),
            helper.make_node("Equal", ["rows", "one"], ["is"]),
            asked("is", branch([helper.make_node("Neg", ["x"], ["t"])], "t"), branch([helper.make_node("Abs", ["x"], ["t"])], "t"), "y"),
        ],
        [value("x", ["batch", 3])], [value("y", None)],
        initializers=tuple(numpy_helper.from_array(np.asarray(number), name) for name, number in (("place", 0), ("one", 1))),
    )  # fmt: skip
    for rows in (1, 2):
        made = assert_equal(model, x=np.ones((rows, 3), np.float32))
        assert ifs(made.model) == 1 and not [note for note in made.notes if "branch" in note]


def test_a_shape_that_a_file_notes_wrongly_of_a_branch_decides_nothing() -> None:
    """What a branch notes of its output is of another export; the rank is asked of what it really gives."""
    stale = branch([helper.make_node("Squeeze", ["x"], ["t"])], "t")
    stale.output[0].CopyFrom(value("t", [7, 7, 7]))
    nodes, wanted = rank_is(3, "s", "2")
    model = model_of(
        [asked("c", stale, branch([helper.make_node("Identity", ["x"], ["t"])], "t"), "s"), *nodes,
         helper.make_node("Cast", ["is2"], ["y"], to=TensorProto.INT64),
         asked("is2", branch([helper.make_node("Neg", ["s"], ["n"])], "n"), branch([helper.make_node("Abs", ["s"], ["n"])], "n"), "m"),
         helper.make_node("ReduceSum", ["m"], ["z"], keepdims=0)],
        [value("x", [1, 3, 1]), value("c", [], TensorProto.BOOL)], [value("y", []), value("z", [])], initializers=(wanted,),
    )  # fmt: skip
    assert ifs(convert(model).model) == 2
