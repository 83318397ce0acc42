"""FILE STRIDE KERNEL CHANNELS...: calibrate a net of convolutions on the images of a .npy file: `rows`, peak memory in bytes."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from mlpack_edge.converters.quantization.calibration.calibrate import calibrate
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.row_streams.stream import open_rows

STRIDE, KERNEL, *CHANNELS = map(int, sys.argv[2:])
SIZE = 640

random = np.random.default_rng(0)
nodes, weights = [], []
for layer, (before, after) in enumerate(itertools.pairwise(CHANNELS)):
    weights.append(
        numpy_helper.from_array(random.standard_normal((after, before, KERNEL, KERNEL)).astype(np.float32), f"w{layer}")
    )
    source = f"relu{layer - 1}" if layer else "x"
    nodes += [
        helper.make_node("Conv", [source, f"w{layer}"], [f"conv{layer}"], strides=[STRIDE] * 2, pads=[KERNEL // 2] * 4),
        helper.make_node("Relu", [f"conv{layer}"], [f"relu{layer}"]),
    ]
shape = ("n", 3, SIZE, SIZE)
graph = helper.make_graph(
    nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
    [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)], weights,
)  # fmt: skip
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
stream = open_rows(Path(sys.argv[1]), Signature((TensorSpec("x", "float32", shape),), ()))
tensors = ["x", *(name for node in nodes for name in node.output)]
found = calibrate(model, tensors, stream, ["minmax", "percentile", "entropy", "mse"])
# Of this program alone: getrusage(2) counts what the process held that started it, too.
status = Path("/proc/self/status").read_text(encoding="ascii")
print(found.rows, int(status.partition("VmHWM:")[2].split()[0]) * 1024)
