"""The road through skl2onnx: what it may be used for, and that its graphs run on a batch of no rows."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.neighbors import KNeighborsTransformer

from mlpack_edge.converters.onnx_from_sklearn.fallback import with_gather
from mlpack_edge.runtimes.onnxruntime import open_session, run
from tests.converters.fitted import data
from tests.converters.sklearn_parity import assert_same


@pytest.mark.parametrize("rank", [1, 2])
def test_array_feature_extractor_becomes_gather(rank: int) -> None:
    """Of a list it makes one row; of a matrix it takes columns, also where there are no rows."""
    shape = [5] if rank == 1 else ["n", 5]
    graph = helper.make_graph(
        [helper.make_node("ArrayFeatureExtractor", ["x", "places"], ["y"], domain="ai.onnx.ml")], "g",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, shape)],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)],
        [numpy_helper.from_array(np.array([[3, 0]]), "places")],
    )  # fmt: skip
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    before, after = (open_session(m.SerializeToString()) for m in (model, with_gather(model)))
    x = np.arange(5.0) if rank == 1 else np.arange(15.0).reshape(3, 5)
    np.testing.assert_array_equal(run(after, {"x": x})["y"], run(before, {"x": x})["y"])
    if rank == 2:
        assert run(after, {"x": x[:0]})["y"].shape == (0, 2)


def test_a_graph_of_skl2onnx_at_every_batch_size() -> None:
    x, _ = data("iris")
    assert_same(KNeighborsTransformer(n_neighbors=3).fit(x + np.random.default_rng(0).random(x.shape)), x, 1e-5, 1e-5)
