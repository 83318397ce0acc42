"""`--io int8`: codes at the borders, their grids in the tensors and in the signature; integers alone for Ethos-U."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.converters.quantization.lite import lite_from_model
from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.core.signature import Grid, signature_from_text
from mlpack_edge.runtimes.litert.model_file import read_model, stored_signature
from mlpack_edge.runtimes.litert.runner import LitertOptions, LitertRunner
from mlpack_edge.runtimes.litert.source_terms import TfliteModel
from mlpack_edge.runtimes.onnx_files.signature import derived_signature
from tests.converters.quantization.lite.nets import (
    INTEGER_ONLY,
    STATIC,
    lite,
    net_rows,
    operators,
    quantized,
    signature_of,
)
from tests.converters.quantization.static.nets import Nodes
from tests.converters.quantization.static.nets import quantized as integers_of
from tests.converters.tflite_from_onnx.lowered import run_tflite


@pytest.mark.parametrize("net", ["cnn", "mlp"])
def test_no_operator_is_float(net: str) -> None:
    lowered = lite(net, INTEGER_ONLY, "int8")
    assert not [op for op in operators(lowered.data) if "float32" in (*op[2], op[3])]
    assert not any("real numbers" in note for note in lowered.notes)


@pytest.mark.parametrize("net", ["cnn", "mlp"])
def test_the_signature_tells_codes_and_their_grid(net: str) -> None:
    """It travels in the file, and says what LiteRT says of the tensors."""
    lowered = lite(net, INTEGER_ONLY, "int8")
    found = stored_signature(read_model(lowered.data))
    assert found == lowered.signature
    assert signature_from_text(found.dumps()) == found
    spec = found.inputs[0]
    assert (spec.name, spec.dtype) == ("x", "int8")
    runner = LitertRunner(lowered.data, options=LitertOptions(io="codes"))
    how = runner._inputs["x"].quantization
    assert how is not None
    assert spec.grid == Grid(float(how.scales[0]), int(how.zero_points[0]))
    assert found.outputs[0].dtype == "int8"


@pytest.mark.parametrize("net", ["cnn", "mlp"])
def test_codes_in_codes_out_are_the_real_numbers_of_the_float_file(net: str) -> None:
    """With float borders and with codes the answers are the same; in its source's terms the file takes real numbers."""
    x = net_rows(net, 16)
    coded, plain = lite(net, INTEGER_ONLY, "int8"), lite(net, INTEGER_ONLY)
    expected = run_tflite(plain.data, {"x": x})["y"]
    np.testing.assert_allclose(TfliteModel(coded.data).run({"x": x})["y"], expected, rtol=0, atol=1e-6)
    spec, out = coded.signature.inputs[0], coded.signature.outputs[0]
    assert spec.grid is not None
    assert out.grid is not None
    codes = np.clip(np.rint(x / np.float32(spec.grid.scale)) + spec.grid.zero_point, -128, 127).astype(np.int8)
    made = LitertRunner(coded.data, options=LitertOptions(io="codes")).run({"x": codes})["y"]
    assert made.dtype == np.int8
    reals = (made.astype(np.float64) - out.grid.zero_point) * out.grid.scale
    assert np.mean(np.abs(reals - expected)) <= 0.05 * out.grid.scale + 1e-6  # half-way inputs are rounded two ways


def test_runners_say_what_they_take() -> None:
    """Real numbers unless codes are asked for; a runner of codes refuses real numbers."""
    data = lite("mlp", INTEGER_ONLY, "int8").data
    assert LitertRunner(data).signature.inputs[0].dtype == "float32"
    coded = LitertRunner(data, options=LitertOptions(io="codes"))
    assert coded.signature.inputs[0].dtype == "int8"
    with pytest.raises(BadInput, match="it takes int8"):
        coded.run({"x": net_rows("mlp", 2)})
    assert TfliteModel(data).signature.inputs[0].dtype == "float32"


def test_a_scaler_outside_the_codes_refuses_int8_inputs_by_name() -> None:
    """One scale of 8 bits for epoch seconds and fractions would lose the fractions."""
    with pytest.raises(Unsupported, match="input 'x' cannot be int8: SUB"):
        lite_from_model(quantized("table", STATIC), signature_of("table"), STATIC, "int8")


def test_what_stays_float_is_told() -> None:
    """Exp has no int8 kernel that microcontrollers share: an integer-only recipe names it."""
    nodes = Nodes()
    net = nodes.net(["batch", 3, 8, 8], nodes.conv(nodes.add("Exp", nodes.conv("x", 3, 4)), 4, 4))
    model = integers_of(net, np.random.default_rng(1).normal(size=(8, 3, 8, 8)).astype(np.float32), INTEGER_ONLY)
    lowered = lite_from_model(model, derived_signature(net.model), INTEGER_ONLY, "int8")
    assert [note for note in lowered.notes if "real numbers: EXP (1);" in note]


@pytest.mark.parametrize("net", ["cnn", "mlp"])
def test_an_ethos_u_runs_all_of_it(tmp_path: Path, net: str) -> None:
    """Arm's compiler puts every operator on the NPU, and the time is not 0 as it is for float models."""
    vela = Path(sys.executable).with_name("vela")
    if not vela.exists():
        pytest.skip("ethos-u-vela is not installed")
    (tmp_path / "net.tflite").write_bytes(lite(net, INTEGER_ONLY, "int8").data)
    words = [
        str(vela),
        "net.tflite",
        "--output-dir",
        "out",
        "--accelerator-config",
        "ethos-u55-128",
        "--show-cpu-operations",
    ]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=True)
    assert re.search(r"CPU operators = 0 ", done.stdout), done.stdout
    summary = next((tmp_path / "out").glob("*_summary_*.csv"))
    row = next(csv.DictReader(summary.read_text().splitlines()))
    assert float(row["inference_time"]) > 0


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("behind", [False, True])
def test_recurrent_layers_at_the_borders_are_named(kind: str, behind: bool) -> None:
    """Not the product that becomes of one: nobody knows it by that name. Behind a layer on codes it makes the output."""
    nodes, gates, x = Nodes(), {"LSTM": 4, "GRU": 3, "RNN": 1}[kind], "x"
    if behind:
        x = nodes.add("MatMul", x, nodes.normal(6, 6))
    turned = nodes.add("Transpose", x, perm=[1, 0, 2])
    last = nodes.add(kind, turned, nodes.normal(1, gates * 8, 6), nodes.normal(1, gates * 8, 8), hidden_size=8)
    last = nodes.add("Squeeze", last, nodes.constant([1], np.int64))
    net = nodes.net([1, 5, 6], last)
    rows = np.random.default_rng(0).normal(size=(1, 5, 6)).astype(np.float32)
    model = integers_of(net, rows, STATIC)
    which = "output 'Squeeze" if behind else "input 'x'"
    with pytest.raises(Unsupported, match=f"the {which}.* cannot be int8: .*{kind}") as refused:
        lite_from_model(model, derived_signature(net.model), STATIC, "int8")
    assert f"recurrent layers ({kind}) have no codes" in refused.value.why and "--io float" in refused.value.hint
