"""LSTM, GRU and RNN: unrolled and as a loop, against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from onnx import helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import Lowered, assert_lowered, kinds, lower, model_of, run_tflite

Array = NDArray[np.float32]
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FEATURES, HIDDEN = 5, 6
#: Inputs of the operators in order.
PLACES = ("x", "w", "r", "b", "lens", "h", "c", "p")
OUTPUTS = {"LSTM": ("y", "y_h", "y_c"), "GRU": ("y", "y_h"), "RNN": ("y", "y_h")}


def numbers(*shape: int, seed: int = 0) -> Array:
    return (np.random.default_rng([seed, *shape]).standard_normal(shape) * 0.7).astype(np.float32)


def recurrent(
    kind: str,
    time: int | str = 4,
    rows: int | str = "batch",
    *,
    direction: str = "forward",
    fed: Mapping[str, Sequence[int | str]] | None = None,
    bias: bool = True,
    constants: Mapping[str, NDArray[Any]] | None = None,
    opset: int = 21,
    outputs: Sequence[str] | None = None,
    **attributes: Any,
) -> onnx.ModelProto:
    """A model of one node. fed: further inputs of the model by place, with their shapes; lens is int32."""
    ways = 2 if direction == "bidirectional" else 1
    gates = GATES[kind] * HIDDEN
    held: dict[str, NDArray[Any]] = {"w": numbers(ways, gates, FEATURES), "r": numbers(ways, gates, HIDDEN)}
    if bias:
        held["b"] = numbers(ways, 2 * gates)
    held |= constants or {}
    inputs: dict[str, tuple[str, Sequence[int | str]]] = {"x": ("float32", (time, rows, FEATURES))}
    for name, shape in (fed or {}).items():
        inputs[name] = ("int32" if name == "lens" else "float32", shape)
        held.pop(name, None)
    given = [name if name in inputs or name in held else "" for name in PLACES]
    while not given[-1]:
        given.pop()
    wanted = OUTPUTS[kind] if outputs is None else outputs
    node = helper.make_node(
        kind, given, [name if name in wanted else "" for name in OUTPUTS[kind]],
        hidden_size=HIDDEN, direction=direction, **attributes,
    )  # fmt: skip
    return model_of([node], inputs, wanted, held, opset)


def steps(time: int = 4, rows: int = 1, seed: int = 0) -> dict[str, Array]:
    return {"x": numbers(time, rows, FEATURES, seed=seed)}


def same(model: onnx.ModelProto, *feeds: Mapping[str, NDArray[Any]]) -> Lowered:
    """As ONNX Runtime gives it; what the first steps round is carried on by the later ones."""
    return assert_lowered(model, *feeds, rtol=1e-4, atol=5e-6)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_fixed_time_and_open_batch(kind: str, direction: str) -> None:
    lowered = same(recurrent(kind, direction=direction), *(steps(rows=rows) for rows in (1, 2, 7)))
    assert "WHILE" not in kinds(lowered.data)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("time", [70, 131])
def test_many_steps_are_a_loop_over_rounds_of_steps(kind: str, direction: str, time: int) -> None:
    """70 steps are ten rounds of 7; of 131, thirteen rounds of 10 leave one step over."""
    model = recurrent(kind, time, direction=direction, fed={"lens": ("batch",)} if time == 131 else None)
    lens = [time, 130, 129, 128, 65, 2, 1]
    feeds = [steps(time, rows) | ({"lens": np.array(lens[:rows], np.int32)} if time == 131 else {}) for rows in (1, 7)]
    made = kinds(same(model, *feeds).data)
    assert "WHILE" in made
    if time == 131:
        same(recurrent(kind, time, direction=direction), steps(time, 2))


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("rows", [2, "batch"])
def test_open_time(kind: str, direction: str, rows: int | str) -> None:
    batches = (2,) if rows == 2 else (1, 2, 7)
    feeds = [steps(time, batch) for time in (1, 3, 19) for batch in batches]
    lowered = same(recurrent(kind, "time", rows, direction=direction), *feeds)
    assert "WHILE" in kinds(lowered.data)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("time", [4, "time"])
@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
def test_initial_states_of_each_direction(kind: str, time: int | str, direction: str) -> None:
    ways = 2 if direction == "bidirectional" else 1
    names = ("h", "c") if kind == "LSTM" else ("h",)
    model = recurrent(kind, time, direction=direction, fed=dict.fromkeys(names, (ways, "batch", HIDDEN)))
    feeds = [
        steps(rows=rows) | {name: numbers(ways, rows, HIDDEN, seed=place) for place, name in enumerate(names)}
        for rows in (1, 2, 7)
    ]
    same(model, *feeds)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("time", [4, "time"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_lengths_known_only_when_the_model_runs(kind: str, time: int | str, direction: str) -> None:
    """Rows that have ended give 0, keep their state, and are turned round within their own length."""
    ways = 2 if direction == "bidirectional" else 1
    model = recurrent(kind, time, direction=direction, fed={"lens": ("batch",), "h": (ways, "batch", HIDDEN)})
    feeds = [
        steps(rows=len(lens)) | {"lens": np.array(lens, np.int32), "h": numbers(ways, len(lens), HIDDEN)}
        for lens in ([4], [2, 4], [1, 2, 3, 4, 1, 3, 2])
    ]
    same(model, *feeds)


@pytest.mark.parametrize("kind", GATES)
def test_constant_lengths(kind: str) -> None:
    lens = np.array([3, 1, 4], np.int32)
    model = recurrent(kind, rows=3, direction="bidirectional", constants={"lens": lens})
    same(model, steps(rows=3))


def test_constant_lengths_of_all_steps_are_none() -> None:
    model = recurrent("GRU", rows=3, constants={"lens": np.full(3, 4, np.int32)})
    assert "SELECT_V2" not in kinds(same(model, steps(rows=3)).data)


def test_constant_lengths_of_an_open_batch_are_refused() -> None:
    with pytest.raises(Unsupported, match="LSTM") as caught:
        lower(recurrent("LSTM", constants={"lens": np.array([2, 3], np.int32)}))
    assert "sequence_lens are fixed for 2 rows" in str(caught.value.why)


@pytest.mark.parametrize("time", [4, "time"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_peepholes(time: int | str, direction: str) -> None:
    ways = 2 if direction == "bidirectional" else 1
    model = recurrent(
        "LSTM",
        time,
        direction=direction,
        constants={"p": numbers(ways, 3 * HIDDEN)},
        fed={"c": (ways, "batch", HIDDEN)},
    )
    same(model, *(steps(rows=rows) | {"c": numbers(ways, rows, HIDDEN)} for rows in (1, 2)))


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("time", [4, "time"])
def test_clip(kind: str, time: int | str) -> None:
    """The threshold bounds what goes into the activations of gates."""
    same(recurrent(kind, time, clip=0.3, direction="bidirectional"), steps(rows=2))


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("time", [4, "time"])
def test_reset_before_and_behind_the_product(before: int, bias: bool, time: int | str) -> None:
    model = recurrent("GRU", time, linear_before_reset=before, bias=bias, fed={"h": (1, "batch", HIDDEN)})
    same(model, *(steps(rows=rows) | {"h": numbers(1, rows, HIDDEN)} for rows in (1, 2)))
    same(recurrent("GRU", time, linear_before_reset=before, bias=bias), steps(rows=2))


FUNCTIONS = [
    "Relu", "Tanh", "Sigmoid", "Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh", "HardSigmoid", "Elu",
    "Softsign", "Softplus",
]  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("kind", GATES)
def test_activations(kind: str, name: str) -> None:
    """Every function of the standard for the new state, with numbers for those that take them."""
    given = {"LSTM": ["Sigmoid", name, "Tanh"], "GRU": ["Sigmoid", name], "RNN": [name]}[kind]
    same(recurrent(kind, activations=given, activation_alpha=[0.4], activation_beta=[0.3]), steps(rows=2))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_activations_of_gates_take_alpha_and_beta_in_order(name: str) -> None:
    given = [name, "LeakyRelu", "ScaledTanh", "HardSigmoid", name, "Elu"]
    model = recurrent(
        "LSTM", direction="bidirectional", activations=given,
        activation_alpha=[0.5, 0.25, 0.75, 0.3, 0.6, 0.9], activation_beta=[0.1, 0.7, 0.2, 0.4],
    )  # fmt: skip
    same(model, steps(rows=2))


@pytest.mark.parametrize("opset", [7, 14, 22])
@pytest.mark.parametrize("kind", GATES)
def test_each_version(kind: str, opset: int) -> None:
    same(recurrent(kind, opset=opset), steps(rows=2))


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("output", ["y", "y_h", "y_c"])
def test_an_output_alone(kind: str, output: str) -> None:
    if output in OUTPUTS[kind]:
        same(recurrent(kind, "time", outputs=(output,)), steps(rows=2))


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("time", [4, "time"])
def test_weights_known_only_when_the_model_runs(kind: str, time: int | str) -> None:
    gates = GATES[kind] * HIDDEN
    shapes = {"w": (1, gates, FEATURES), "r": (1, gates, HIDDEN), "b": (1, 2 * gates)}
    feeds = steps(rows=2) | {name: numbers(*shape) for name, shape in shapes.items()}
    same(recurrent(kind, time, fed=shapes), feeds)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("time", [4, "time"])
@pytest.mark.parametrize("delegate", [True, False])
def test_no_state_is_left_from_call_to_call(kind: str, time: int | str, delegate: bool) -> None:
    """The same interpreter gives the same bits for the same input, whatever it was called with in between."""
    data = lower(recurrent(kind, time, direction="bidirectional")).data
    resolver = OpResolverType.AUTO if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=resolver)
    entry = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(entry, (4, 2, FEATURES))
    interpreter.allocate_tensors()
    made = []
    for seed in (1, 2, 1):
        interpreter.set_tensor(entry, steps(rows=2, seed=seed)["x"])
        interpreter.invoke()
        made.append([interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()])
    for first, other, again in zip(*made, strict=True):
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)


@pytest.mark.parametrize("kind", GATES)
def test_one_interpreter_takes_sequences_of_many_lengths(kind: str) -> None:
    """Shorter and longer than the steps of a round, resized to and fro: as a fresh interpreter gives them."""
    data = lower(recurrent(kind, "time", direction="bidirectional")).data
    interpreter = Interpreter(model_content=data)
    entry = interpreter.get_input_details()[0]["index"]
    for time, rows in ((19, 2), (3, 1), (8, 7), (1, 1), (16, 2), (19, 2)):
        interpreter.resize_tensor_input(entry, (time, rows, FEATURES))
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry, steps(time, rows)["x"])
        interpreter.invoke()
        fresh = run_tflite(data, steps(time, rows))
        for detail in interpreter.get_output_details():
            np.testing.assert_array_equal(interpreter.get_tensor(detail["index"]), fresh[detail["name"]])


def test_coupled_gates_are_refused() -> None:
    with pytest.raises(Unsupported, match="LSTM") as caught:
        lower(recurrent("LSTM", input_forget=1))
    assert "input_forget" in str(caught.value.why)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("time", [4, "time"])
@pytest.mark.parametrize("delegate", [True, False])
def test_a_nan_stays_in_its_row_from_its_step_on(kind: str, time: int | str, delegate: bool) -> None:
    """As the equations have it; ONNX Runtime's LSTM and GRU lose it. Clipping does not hide it, and the next call does
    not see it."""
    model = recurrent(kind, time, clip=2.0)
    feeds = steps(rows=3)
    spoilt = feeds["x"].copy()
    spoilt[2, 1, 0] = np.nan
    data = lower(model).data
    whole = run_tflite(data, feeds, delegate)["y"]
    made = run_tflite(data, {"x": spoilt}, delegate)["y"]
    assert np.isnan(made[2:, :, 1]).all()
    for rest in (np.s_[:2], np.s_[:, :, ::2]):
        np.testing.assert_array_equal(made[rest], whole[rest])
