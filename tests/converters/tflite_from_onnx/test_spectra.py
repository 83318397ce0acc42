"""Fourier transforms of real and complex numbers, there and back, padded and cut, whole and in windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of, run_tflite

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("length", [None, 6, 12])
@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("opset", [17, 20])
def test_dft_is_numpys(opset: int, parts: int, axis: int, length: int | None) -> None:
    attributes: dict[str, Any] = {"axis": axis} if opset == 17 else {}
    constants: dict[str, Any] = {} if length is None else {"n": np.array(length)}
    names = ["x", "n" if length else ""]
    if opset == 20:
        constants["axis"] = np.array(axis)
        names.append("axis")
    for half in (0, 1) if parts == 1 else (0,):
        while names and not names[-1]:
            names.pop()
        node = helper.make_node("DFT", names, ["y"], onesided=half, **attributes)
        model = model_of([node], {"x": ("float32", ["batch", 9, 8, parts])}, ["y"], constants, opset)
        data = lower(model).data
        for n in (1, 2, 7):
            x = RNG.normal(size=(n, 9, 8, parts)).astype(np.float32)
            number = x[..., 0] + (1j * x[..., 1] if parts == 2 else 0)
            wanted = (np.fft.rfft if half else np.fft.fft)(number, length, axis)
            made = run_tflite(data, {"x": x})["y"]
            np.testing.assert_allclose(made[..., 0] + 1j * made[..., 1], wanted, rtol=1e-4, atol=1e-4)


def test_there_and_back_is_where_it_was() -> None:
    nodes = [helper.make_node("DFT", ["x"], ["f"]), helper.make_node("DFT", ["f"], ["y"], inverse=1)]
    model = model_of(nodes, {"x": ("float32", ["batch", 10, 2])}, ["y"], opset=20)
    x = RNG.normal(size=(3, 10, 2)).astype(np.float32)
    np.testing.assert_allclose(run_tflite(lower(model).data, {"x": x})["y"], x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("windowed", [False, True])
def test_stft(windowed: bool, half: int) -> None:
    constants: dict[str, Any] = {"step": np.array(4), "length": np.array(16)}
    if windowed:
        constants["window"] = np.hanning(16).astype(np.float32)
    names = ["x", "step", "window" if windowed else "", "length"]
    node = helper.make_node("STFT", names, ["y"], onesided=half)
    model = model_of([node], {"x": ("float32", ["batch", 64, 1])}, ["y"], constants)
    lowered = assert_lowered(
        model, *[{"x": RNG.normal(size=(n, 64, 1)).astype(np.float32)} for n in (1, 2, 7)], atol=1e-4
    )
    assert "TRANSPOSE" not in kinds(lowered.data)


def test_a_signal_of_open_length_is_refused_by_name() -> None:
    model = model_of([helper.make_node("DFT", ["x"], ["y"])], {"x": ("float32", [1, "steps", 1])}, ["y"], opset=20)
    with pytest.raises(Unsupported, match="DFT"):
        lower(model)
