"""Half precision: refused by name, before anything is converted or compared."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from mlpack_edge.converters.onnx_from_sklearn.model import onnx_from_sklearn
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.core.signature import Column, Signature, TensorSpec


def test_float16_inputs_are_refused_with_what_to_do() -> None:
    columns = tuple(Column(name, "numeric", "x", index) for index, name in enumerate(("width", "height")))
    signature = Signature((TensorSpec("x", "float16", ("batch", 2)),), (), columns)
    with pytest.raises(Unsupported, match="float16 inputs are not converted") as caught:
        onnx_from_sklearn(StandardScaler().fit(np.ones((3, 2), np.float16)), signature)
    assert "--dtype float32" in caught.value.hint
    assert "'width'" in caught.value.why
