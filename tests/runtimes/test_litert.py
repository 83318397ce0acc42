"""A TFLite file as a runner: sizes, batches, names, quantized and coded borders, state, intermediate tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput, CheckFailed, MissingExtra
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.litert.library import LIBRARIES, library
from mlpack_edge.runtimes.litert.model_file import metadata_of, signature_of
from mlpack_edge.runtimes.litert.runner import LitertOptions, LitertRunner
from mlpack_edge.runtimes.parity import RowsRefused
from tests.runtimes.tflite_models import (
    OP,
    Op,
    Tensor,
    add,
    mlp,
    mlp_answer,
    remembering,
    tflite,
)

Array = NDArray[Any]


def _rows(count: int, width: int = 3) -> Array:
    return np.random.default_rng(count).normal(size=(count, width)).astype(np.float32)


@pytest.mark.parametrize(
    "options",
    [
        LitertOptions(),
        LitertOptions(xnnpack=False),
        LitertOptions(reference_kernels=True),
        LitertOptions(threads=2),
        LitertOptions(preserve_all_tensors=True),
    ],
    ids=["XNNPACK", "built-in kernels", "reference kernels", "two threads", "all tensors kept"],
)
def test_batches_come_and_go_on_every_set_of_kernels(options: LitertOptions) -> None:
    runner = LitertRunner(mlp(), options=options)
    for rows in (1, 7, 7, 2, 300, 1):
        x = _rows(rows)
        np.testing.assert_allclose(runner.run({"x": x})["y"], mlp_answer(x), atol=1e-5)


def test_reference_kernels_are_other_kernels() -> None:
    """Sums in another order: were the option dropped, all bits would be the same."""
    x = _rows(1, 4096)
    weights = np.random.default_rng(2).normal(size=(64, 4096))
    model = tflite(
        [Tensor("x", [-1, 4096]), Tensor("w", [64, 4096], data=weights), Tensor("y", [-1, 64])],
        [Op(OP.FULLY_CONNECTED, ["x", "w", "none"], ["y"], ("FullyConnected", {}))], ["x"], ["y"],
    )  # fmt: skip
    plain, fast, built_in = (
        LitertRunner(model, options=options).run({"x": x})["y"]
        for options in (LitertOptions(reference_kernels=True), LitertOptions(), LitertOptions(xnnpack=False))
    )
    np.testing.assert_allclose(plain, x @ weights.T, atol=1e-3)
    assert (plain != fast).any() and (plain != built_in).any()


def test_a_fixed_batch_is_run_in_whole_pieces() -> None:
    for batch in (1, 3):
        x = _rows(6)
        np.testing.assert_allclose(LitertRunner(mlp(batch)).run({"x": x})["y"], mlp_answer(x), atol=1e-6)
    with pytest.raises(RowsRefused, match="batches of 3 rows, 4 rows"):
        LitertRunner(mlp(3)).run({"x": _rows(4)})


def test_an_output_without_rows_is_not_put_together_from_pieces() -> None:
    """SUM over the rows of a batch of two: four rows have no sum of that file."""
    model = tflite(
        [Tensor("x", [2, 3]), Tensor("axis", [1], "int32", np.array([0])), Tensor("y", [3])],
        [Op(OP.SUM, ["x", "axis"], ["y"], ("Reducer", {}))], ["x"], ["y"],
    )  # fmt: skip
    assert LitertRunner(model).run({"x": np.ones((2, 3), np.float32)})["y"].tolist() == [2, 2, 2]
    with pytest.raises(BadInput, match="no row for each"):
        LitertRunner(model).run({"x": np.ones((4, 3), np.float32)})


def test_models_of_scalars_of_no_input_and_of_inputs_handed_on() -> None:
    scalar = tflite([Tensor("x", []), Tensor("y", [])], [Op(OP.ABS, ["x"], ["y"], ("Abs", {}))], ["x"], ["y"])
    made = LitertRunner(scalar).run({"x": np.array(-2, np.float32)})["y"]
    assert isinstance(made, np.ndarray) and made == 2 and made.shape == ()
    constant = tflite(
        [Tensor("a", [2], data=np.array([-1, 1])), Tensor("y", [2])],
        [Op(OP.ABS, ["a"], ["y"], ("Abs", {}))], [], ["y"],
    )  # fmt: skip
    assert LitertRunner(constant).run({})["y"].tolist() == [1, 1]
    passed_on = LitertRunner(tflite([Tensor("x", [-1])], [], ["x"], ["x"]))
    x = np.arange(3, dtype=np.float32)
    assert passed_on.run({"x": x[::-1]})["x"].tolist() == [2, 1, 0]


def test_a_file_that_declares_an_empty_input_runs_on_it() -> None:
    model = tflite([Tensor("x", [0, 3]), Tensor("y", [0, 3])], [Op(OP.ABS, ["x"], ["y"], ("Abs", {}))], ["x"], ["y"])
    assert LitertRunner(model).run({"x": np.zeros((0, 3), np.float32)})["y"].shape == (0, 3)


def test_an_empty_batch_is_refused_without_asking_the_kernels() -> None:
    for model in (mlp(), mlp(1)):
        runner = LitertRunner(model)
        with pytest.raises(RowsRefused, match=r"empty batch|0 rows"):
            runner.run({"x": _rows(0)})
        np.testing.assert_allclose(runner.run({"x": _rows(2)})["y"], mlp_answer(_rows(2)), atol=1e-6)


def test_names_are_those_of_the_signature_definition_in_the_graphs_order() -> None:
    """The definition's own order is another one, and its names are not the tensors'."""
    model = tflite(
        [Tensor("t0", [-1]), Tensor("t1", [-1]), Tensor("t2", [-1]), Tensor("t3", [-1])],
        [
            Op(OP.SUB, ["t0", "t1"], ["t2"], ("Sub", {})),
            Op(OP.MUL, ["t0", "t1"], ["t3"], ("Mul", {})),
        ],
        ["t0", "t1"], ["t2", "t3"], names={"t0": "price", "t1": "cost", "t2": "margin", "t3": "a product"},
    )  # fmt: skip
    runner = LitertRunner(model)
    made = runner.run({"cost": np.array([2], np.float32), "price": np.array([5], np.float32)})
    assert list(made) == ["margin", "a product"] == [spec.name for spec in runner.signature.outputs]
    assert made["margin"] == [3] and made["a product"] == [10]
    assert [spec.name for spec in runner.signature.inputs] == ["price", "cost"]


def test_the_signature_and_the_metadata_travel_in_the_file() -> None:
    signature = Signature((TensorSpec("x", "float32", ("rows", 3)),), (TensorSpec("y", "float32", ("rows", 2)),))
    model = mlp(signature=signature)
    assert signature_of(model) == signature == LitertRunner(model).signature
    assert metadata_of(model) == {"mlpack.signature": signature.dumps().encode()}
    assert signature_of(mlp()) is None and metadata_of(mlp()) == {}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (TensorSpec("z", "float32", ("batch", 3)), "not those of the TFLite file"),
        (TensorSpec("x", "float32", ("batch", 4)), r"takes|says input 'x' is \['batch', 4\]"),
        (TensorSpec("x", "float32", ("batch", 3, 1)), "says input 'x'"),
    ],
)
def test_a_signature_of_another_model_is_refused(spec: TensorSpec, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        LitertRunner(mlp(), Signature((spec,), (TensorSpec("y", "float32", ("batch", 2)),)))


def test_a_signature_that_says_dynamic_of_a_file_with_a_fixed_batch_is_refused() -> None:
    """Row by row it would run, and hide that the file is not what it says."""
    spec = TensorSpec("x", "float32", ("batch", 3))
    with pytest.raises(BadInput, match=r"file says \[1, 3\]"):
        LitertRunner(mlp(1), Signature((spec,), (TensorSpec("y", "float32", (1, 2)),)))


def test_nothing_leaks_from_one_call_into_the_next_unless_asked_for() -> None:
    """A recurrent cell that keeps h in a variable: h = x + h."""
    runner = LitertRunner(remembering())
    one = {"x": np.ones((1, 1), np.float32)}
    calls = [runner.run, runner.run, runner.run_again, runner.run_again, runner.run]
    assert [float(call(one)["y"][0, 0]) for call in calls] == [1, 1, 2, 3, 1]
    assert runner.run({"x": np.ones((3, 1), np.float32)})["y"].ravel().tolist() == [1, 1, 1]


def test_nor_in_a_resource_variable_that_no_reset_reaches() -> None:
    """v is 10 at first, then v += x: as TensorFlow writes a stateful module."""
    handle = Op(OP.VAR_HANDLE, [], ["v"], ("VarHandle", {"container": b"", "sharedName": b"v"}))
    model = tflite(
        [Tensor("x", [1]), Tensor("v", [], "resource"), Tensor("old", [1]), Tensor("y", [1])],
        [
            Op(OP.CALL_ONCE, [], [], ("CallOnce", {"initSubgraphIndex": 1})),
            handle,
            Op(OP.READ_VARIABLE, ["v"], ["old"], ("ReadVariable", {})),
            Op(OP.ADD, ["old", "x"], ["y"], ("Add", {})),
            Op(OP.ASSIGN_VARIABLE, ["v", "y"], [], ("AssignVariable", {})),
        ],
        ["x"], ["y"],
        others=[(
            [Tensor("v", [], "resource"), Tensor("ten", [1], data=np.array([10]))],
            [handle, Op(OP.ASSIGN_VARIABLE, ["v", "ten"], [], ("AssignVariable", {}))],
            [], [],
        )],
    )  # fmt: skip
    runner = LitertRunner(model)
    one = {"x": np.ones(1, np.float32)}
    assert [float(call(one)["y"][0]) for call in (runner.run, runner.run, runner.run_again, runner.run)] == [
        11, 11, 12, 11,
    ]  # fmt: skip


def test_intermediate_tensors_by_name() -> None:
    runner = LitertRunner(mlp(), options=LitertOptions(preserve_all_tensors=True))
    x = _rows(5)
    values = runner.tensor_values({"x": x}, ["hidden", "y", "b2"])
    assert list(values) == ["hidden", "y", "b2"] and values["hidden"].shape == (5, 4)
    assert (values["hidden"] >= 0).all() and (values["hidden"] > 0).any()
    np.testing.assert_allclose(values["y"], mlp_answer(x), atol=1e-6)
    with pytest.raises(BadInput, match="0 tensors are named 'nobody'"):
        runner.tensor_values({"x": x}, ["nobody"])
    with pytest.raises(BadInput, match="are not kept"):
        LitertRunner(mlp()).tensor_values({"x": x}, ["hidden"])


def test_intermediate_tensors_of_a_fixed_batch_come_together() -> None:
    runner = LitertRunner(mlp(1), options=LitertOptions(preserve_all_tensors=True))
    whole = LitertRunner(mlp(), options=LitertOptions(preserve_all_tensors=True))
    x = _rows(4)
    np.testing.assert_allclose(
        runner.tensor_values({"x": x}, ["hidden"])["hidden"],
        whole.tensor_values({"x": x}, ["hidden"])["hidden"], atol=1e-6,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (add(code=OP.CUSTOM, custom="MyOp"), "unresolved custom op: MyOp"),
        (add(code=900), "out of range: 900"),
        (add(version=99), "version '99'"),
    ],
    ids=["custom operator", "unknown code", "later version"],
)
def test_what_litert_refuses_is_refused_at_opening_with_its_reason(model: bytes, reason: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        LitertRunner(model)
    assert reason in caught.value.why and "\n" not in caught.value.why


def test_a_run_that_stops_is_one_error_and_the_next_run_works() -> None:
    """GATHER of an index that is not there."""
    model = tflite(
        [Tensor("x", [-1], "int32"), Tensor("table", [3], data=np.array([5, 6, 7])), Tensor("y", [-1])],
        [Op(OP.GATHER, ["table", "x"], ["y"], ("Gather", {"axis": 0}))], ["x"], ["y"],
    )  # fmt: skip
    runner = LitertRunner(model)
    for bad, good in (([9], [2, 0]), ([0, -1], [1, 1])):
        with pytest.raises(CheckFailed, match="LiteRT stopped on inputs of") as caught:
            runner.run({"x": np.array(bad, np.int32)})
        assert "gather" in caught.value.why.lower()
        made = runner.run({"x": np.array(good, np.int32)})["y"]
        np.testing.assert_array_equal(made, np.array([5, 6, 7])[good])


def test_shapes_that_do_not_fit_inside_are_one_error() -> None:
    """x + y where both sizes vary and are fed unequal."""
    model = tflite(
        [Tensor("x", [-1]), Tensor("y", [-1]), Tensor("z", [-1])],
        [Op(OP.ADD, ["x", "y"], ["z"], ("Add", {}))], ["x", "y"], ["z"],
    )  # fmt: skip
    runner = LitertRunner(model)
    with pytest.raises(CheckFailed, match=r"cannot prepare the model for inputs of \[3\], \[2\]"):
        runner.run({"x": np.ones(3, np.float32), "y": np.ones(2, np.float32)})
    assert runner.run({"x": np.ones(3, np.float32), "y": np.ones(3, np.float32)})["z"].tolist() == [2, 2, 2]


def test_a_package_that_is_not_there_is_named() -> None:
    assert library().name in LIBRARIES
    absent = [name for name in LIBRARIES if name != library().name]
    for name in absent:
        with pytest.raises(MissingExtra) as caught:
            library(name)
        assert name in caught.value.why
