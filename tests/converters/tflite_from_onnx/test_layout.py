"""Layout: ONNX's own at the border, channel-last inside, transposes nowhere else."""

from __future__ import annotations

import numpy as np
from onnx import helper

from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, model_of

RNG = np.random.default_rng(0)


def _weights(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32) / 4


def test_two_convolutions_and_an_activation_are_transposed_at_the_border_only() -> None:
    """The batch is open; the file is right at 1, 2 and 7."""
    model = model_of(
        [
            helper.make_node("Conv", ["x", "w", "b"], ["c"]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("Conv", ["r", "v"], ["d"]),
            helper.make_node("Add", ["d", "shift"], ["y"]),
        ],
        {"x": ("float32", ["batch", 3, 8, 8])},
        ["y"],
        {"w": _weights(4, 3, 3, 3), "b": _weights(4), "v": _weights(5, 4, 3, 3), "shift": _weights(5, 1, 1)},
    )
    feeds = [{"x": RNG.normal(size=(n, 3, 8, 8)).astype(np.float32)} for n in (1, 2, 7)]
    made = kinds(assert_lowered(model, *feeds, atol=1e-5).data)
    assert made.count("TRANSPOSE") == 2
    assert made[0] == made[-1] == "TRANSPOSE"


def test_a_reshape_keeps_an_open_batch() -> None:
    model = model_of(
        [
            helper.make_node("Shape", ["x"], ["s"]),
            helper.make_node("Gather", ["s", "first"], ["n"], axis=0),
            helper.make_node("Concat", ["n", "rest"], ["t"], axis=0),
            helper.make_node("Reshape", ["x", "t"], ["y"]),
        ],
        {"x": ("float32", ["batch", 3, 4])},
        ["y"],
        {"first": np.array([0]), "rest": np.array([-1])},
    )
    lowered = assert_lowered(model, *[{"x": RNG.normal(size=(n, 3, 4)).astype(np.float32)} for n in (1, 2, 7)])
    assert lowered.signature.outputs[0].shape == ("batch", 12)
