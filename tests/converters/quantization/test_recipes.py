"""Which layers the ways to quantize keep float."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from mlpack_edge.converters.quantization.exchange import point_from_json
from mlpack_edge.converters.quantization.job import quantize
from tests.converters.quantization.lite.nets import operators
from tests.converters.quantization.static.nets import Nodes
from tests.converters.quantization.test_job import payload

__all__ = ["payload"]


def _normalized() -> onnx.ModelProto:
    nodes = Nodes()
    x = nodes.add("LayerNormalization", nodes.dense("x", 24, 48), nodes.normal(48), nodes.normal(48))
    return nodes.net(["batch", 24], nodes.dense(x, 48, 8)).model


@pytest.mark.parametrize("kept", [False, True])
def test_a_normalization_that_is_to_stay_float_does_with_each_of_its_steps(
    payload: dict[str, Any],
    kept: bool,
) -> None:
    """For an Ethos-U it is nine operators, of which the last alone has the name that the model gives it."""
    model = _normalized()
    onnx.save(model, payload["model"])
    (layer,) = (node.name for node in model.graph.node if node.op_type == "LayerNormalization")
    wanted = {
        **payload, "to": "tflite", "scheme": "static", "integer_only": True, "max_drop": 1.0,
        "keep_float": [layer] if kept else [],
    }  # fmt: skip
    (made,) = quantize(wanted, lambda stage: None)["points"]
    types = {kind: given for kind, _, given, _ in operators(Path(made["path"]).read_bytes())}
    root = types["RSQRT"] if "RSQRT" in types else types["POW"]
    assert root[0] == ("float32" if kept else "int8")
    floats = [one for one in point_from_json(made["point"]).layers if one.kept_float]
    assert len(floats) == (9 if kept else 0)
