"""Versions of elementwise operators, against TFLite's `op_version.cc` of 2.20."""

from __future__ import annotations

import numpy as np
import pytest

from mlpack_edge.converters.tflite_graph.model import Op, Quantization, Tensor
from mlpack_edge.converters.tflite_graph.versions import version_of


def _tensor(dtype: str, shape: tuple[int, ...] = (2, 3), scale: float | None = None) -> Tensor:
    known = None if scale is None else Quantization(np.array([scale], np.float32), np.zeros(1, np.int64))
    return Tensor("t", dtype, shape, quantization=known)


@pytest.mark.parametrize(
    ("kind", "dtypes", "version"),
    [
        ("ADD", ("float32", "float32"), 1), ("ADD", ("int64", "int64"), 4), ("ADD", ("int32", "int32"), 1),
        ("MUL", ("int64", "int64"), 5), ("SUB", ("int64", "int64"), 4), ("ABS", ("int32",), 5), ("SIGN", ("int32",), 2),
        ("SIGN", ("float32",), 1), ("EQUAL", ("int64", "int64"), 1), ("MAXIMUM", ("int8", "int8"), 2), ("RELU", ("float32",), 1),
        ("FLOOR_MOD", ("int64", "int64"), 1), ("FLOOR_DIV", ("float32", "float32"), 2), ("TANH", ("int8",), 2),
    ],
)  # fmt: skip
def test_versions_by_element_type(kind: str, dtypes: tuple[str, ...], version: int) -> None:
    assert version_of(Op(kind, [_tensor(dtype) for dtype in dtypes], [_tensor(dtypes[0])])) == version


@pytest.mark.parametrize(
    ("source", "target", "version"),
    [
        ("float32", "int32", 1),
        ("int8", "int32", 3),
        ("float32", "int8", 3),
        ("float64", "float32", 5),
        ("uint8", "int32", 1),
    ],
)
def test_versions_of_casts(source: str, target: str, version: int) -> None:
    assert version_of(Op("CAST", [_tensor(source)], [_tensor(target)])) == version


@pytest.mark.parametrize(("kind", "version"), [("DIV", 2), ("SUB", 3), ("MAXIMUM", 3), ("MINIMUM", 3), ("ADD", 1)])
def test_broadcasting_of_five_axes_needs_a_newer_kernel(kind: str, version: int) -> None:
    wide, narrow = _tensor("float32", (1, 2, 3, 4, 5)), _tensor("float32", (5,))
    assert version_of(Op(kind, [wide, narrow], [wide])) == version
    assert version_of(Op(kind, [wide, wide], [wide])) == 1


def test_a_product_whose_scale_grows_needs_version_3() -> None:
    def product(scale: float) -> Op:
        return Op("MUL", [_tensor("int8", scale=1.0), _tensor("int8", scale=scale)], [_tensor("int8", scale=1.0)])

    assert version_of(product(2.0)) == 3
    assert version_of(product(0.5)) == 2
