"""PyTorch's recurrent layers, exported by torch and by mlpack, as TFLite: guards of empty batches are seen through."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from mlpack_edge.converters.onnx_from_torch.convert import TorchOptions, convert
from tests.converters.tflite_from_onnx.lowered import Lowered, assert_lowered, kinds

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.long

TIME, FEATURES, HIDDEN = 6, 5, 7


class Last(torch.nn.Module):  # type: ignore[misc,name-defined]  # torch is not there for mypy
    """The outputs of all steps, and the states behind the last."""

    def __init__(self, cells: Any) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, x: Any) -> Any:
        steps, states = self.cells(x)
        return (steps, *(states if isinstance(states, tuple) else (states,)))


def net(kind: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return Last(getattr(torch.nn, kind)(FEATURES, HIDDEN, batch_first=True, **options)).eval()


def by_mlpack(module: Any) -> onnx.ModelProto:
    return convert(module, TorchOptions({"x": ("batch", TIME, FEATURES)}))[0]


def by_dynamo(module: Any) -> onnx.ModelProto:
    """torch.export fixes the time of recurrent layers."""
    free = ({0: torch.export.Dim("batch", min=1, max=4096)},)
    return exported(module, dynamo=True, dynamic_shapes=free, verbose=False)


def by_tracing(module: Any) -> onnx.ModelProto:
    """The exporter of older PyTorch versions: batch and time are open."""
    return exported(module, dynamo=False, opset_version=17, dynamic_axes={"x": {0: "batch", 1: "time"}})


def exported(module: Any, **options: Any) -> onnx.ModelProto:
    held = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, on the way: of its internals, and of what is deprecated there
        torch.onnx.export(module, (torch.zeros(2, TIME, FEATURES),), held, input_names=["x"], **options)
    return onnx.load_from_string(held.getvalue())


def rows(time: int, *batches: int) -> list[dict[str, NDArray[np.float32]]]:
    rng = np.random.default_rng(0)
    return [{"x": rng.standard_normal((batch, time, FEATURES)).astype(np.float32)} for batch in batches]


LAYERS = {
    "LSTM": {"num_layers": 2},
    "GRU": {"num_layers": 2, "bidirectional": True},
    "RNN": {"nonlinearity": "relu", "bidirectional": True},
}


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("export", [by_mlpack, by_dynamo])
def test_fixed_time(kind: str, export: Callable[[Any], onnx.ModelProto]) -> None:
    """Nothing is left of the states of zeros, nor of the guard of empty batches that mlpack writes."""
    made = kinds(same(export(net(kind, **LAYERS[kind])), *rows(TIME, 1, 2, 7)).data)
    assert {"BROADCAST_TO", "SELECT_V2", "PAD", "TILE", "WHILE"}.isdisjoint(made)


@pytest.mark.parametrize("export", [by_mlpack, by_dynamo])
def test_simple_layers_come_as_steps_of_matrix_products(export: Callable[[Any], onnx.ModelProto]) -> None:
    same(export(net("RNN", **LAYERS["RNN"])), *rows(TIME, 1, 2, 7))


@pytest.mark.parametrize("kind", LAYERS)
def test_open_time(kind: str) -> None:
    feeds = [fed for time in (1, 6, 11) for fed in rows(time, 1, 2, 7)]
    made = kinds(same(by_tracing(net(kind, **LAYERS[kind])), *feeds).data)
    assert "WHILE" in made


def same(model: onnx.ModelProto, *feeds: dict[str, NDArray[np.float32]]) -> Lowered:
    return assert_lowered(model, *feeds, rtol=1e-4, atol=5e-6)
