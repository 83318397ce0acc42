"""Versions of operators that move data, against TFLite's own `op_version.cc`."""

from __future__ import annotations

from typing import Any

import pytest

from mlpack_edge.converters.tflite_graph.model import Op, Tensor
from mlpack_edge.converters.tflite_graph.versions import version_of


@pytest.mark.parametrize(
    ("kind", "inputs", "options", "version"),
    [
        ("TRANSPOSE", [("float32", 4)], {}, 1),
        ("TRANSPOSE", [("bool", 4)], {}, 3),
        ("TRANSPOSE", [("float32", 5)], {}, 4),
        ("TRANSPOSE", [("float32", 6)], {}, 6),
        ("TRANSPOSE", [("int8", 7)], {}, 8),
        ("SLICE", [("float32", 5)], {}, 5),
        ("STRIDED_SLICE", [("int8", 4)], {"begin_mask": 1}, 2),
        ("STRIDED_SLICE", [("float32", 5)], {}, 4),
        ("STRIDED_SLICE", [("float32", 4)], {"new_axis_mask": 1}, 6),
        ("SPLIT", [("int32", 0), ("float32", 4)], {}, 1),
        ("SPLIT", [("int32", 0), ("int32", 4)], {}, 3),
        ("BROADCAST_TO", [("float32", 4)], {}, 2),
        ("BROADCAST_TO", [("int8", 4)], {}, 3),
        ("FILL", [("int32", 1), ("bool", 0)], {}, 2),
        ("DYNAMIC_UPDATE_SLICE", [("float32", 2), ("float32", 2), ("int64", 1)], {}, 2),
        ("WHERE", [("bool", 2)], {}, 1),
        ("WHERE", [("float32", 2)], {}, 2),
        ("RESHAPE", [("int8", 2)], {}, 1),
    ],
)
def test_versions_by_element_type_rank_and_options(
    kind: str, inputs: list[tuple[str, int]], options: dict[str, Any], version: int
) -> None:
    tensors: list[Tensor | None] = [Tensor(f"i{i}", dtype, (2,) * rank) for i, (dtype, rank) in enumerate(inputs)]
    assert version_of(Op(kind, tensors, [Tensor("o", inputs[0][0], (2,))], options)) == version
