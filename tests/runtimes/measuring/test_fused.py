"""What fused operators stand for: the names are those that ONNX Runtime's profiler gives on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper, parser

from mlpack_edge.core.errors import CheckFailed
from mlpack_edge.runtimes.measuring.fused import names_of_fused, stands_for
from mlpack_edge.runtimes.worker import run_isolated

_NET = """<ir_version: 9, opset_import: ["": 18]>
net (float[1, 16, 8, 8] x) => (float[1, 4] y) {
    [first] a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, k)
    [second] b = Relu (a)
    [third] c = GlobalAveragePool (b)
    [fourth] d = Flatten (c)
    [fifth] e = MatMul (d, w)
    [sixth] f = Add (e, bias)
    [seventh] y = Softmax (f)
}"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    model = parser.parse_model(_NET)
    rng = np.random.default_rng(0)
    for name, shape in (("k", (16, 16, 3, 3)), ("w", (16, 4)), ("bias", (4,))):
        model.graph.initializer.append(numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name))
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    return path


def _profiled_names(path: Path) -> set[str]:
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(path.with_name("events"))
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    session.run(None, {"x": np.ones((1, 16, 8, 8), np.float32)})
    events = json.loads(Path(session.end_profiling()).read_text())
    return {event["name"].removesuffix("_kernel_time") for event in events if event["cat"] == "Node"}


def test_nodes_that_became_one_are_listed_under_the_name_that_runs(net: Path) -> None:
    made = stands_for(net)
    assert ["MatMul fifth", "Add sixth"] in made.values()
    assert ["Conv first", "Relu second"] in made.values()
    assert set(made) <= _profiled_names(net)


def test_every_operator_of_the_file_runs_under_its_name_or_is_listed(net: Path) -> None:
    listed = {name.split()[1] for names in stands_for(net).values() for name in names}
    nodes = {"first", "second", "third", "fourth", "fifth", "sixth", "seventh"}
    assert nodes <= listed | _profiled_names(net)


def test_it_runs_in_a_child_with_limits(net: Path) -> None:
    answer = run_isolated("mlpack_edge.runtimes.measuring.fused:fused", {"path": str(net)})
    assert answer == stands_for(net)


def test_a_file_that_does_not_open_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "damaged.onnx"
    path.write_bytes(b"\x08\x0a" + bytes(50))
    with pytest.raises(CheckFailed, match=r"does not open damaged\.onnx"):
        stands_for(path)


def test_what_is_computed_at_load_is_no_part_of_a_fused_operator() -> None:
    original = parser.parse_model("""<ir_version: 9, opset_import: ["": 18]>
        g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { [twice] v = Add (w, w) [a] u = Mul (x, v) [b] y = Relu (u) }""")
    optimized = parser.parse_model("""<ir_version: 9, opset_import: ["": 18, "com.microsoft": 1]>
        g (float[2] x) => (float[2] y) <float[2] v = {2, 4}> { [one] y = com.microsoft.MulRelu (x, v) }""")
    assert names_of_fused(original, optimized) == {"one": ["Mul a", "Relu b"]}
