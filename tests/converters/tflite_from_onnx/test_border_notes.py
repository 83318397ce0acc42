"""What a conversion says of element types that change at the borders."""

from __future__ import annotations

from mlpack_edge.converters.tflite_from_onnx.borders import notes
from mlpack_edge.core.signature import Signature, TensorSpec


def _signature(dtypes: dict[str, str]) -> Signature:
    return Signature(tuple(TensorSpec(name, dtype, ("batch", 1)) for name, dtype in dtypes.items()), ())


def test_one_sentence_for_all_tensors_of_one_change() -> None:
    names = ["a", "b", "c", "d"]
    before, after = _signature(dict.fromkeys(names, "float64")), _signature(dict.fromkeys(names, "float32"))
    assert notes(before, after) == ["TFLite computes in float32: a, b, c and d are float32 (float64 in the source)"]


def test_many_tensors_are_counted_and_a_single_one_is_not() -> None:
    names = [f"x{number}" for number in range(9)]
    before, after = _signature(dict.fromkeys(names, "float64")), _signature(dict.fromkeys(names, "float32"))
    assert notes(before, after) == [
        "TFLite computes in float32: x0, x1, x2 and 6 others are float32 (float64 in the source)"
    ]
    assert notes(_signature({"x": "float64"}), _signature({"x": "float32"})) == [
        "TFLite computes in float32: x is float32 (float64 in the source)"
    ]


def test_other_changes_are_told_apart_and_what_stays_or_was_text_is_left_out() -> None:
    before = _signature({"n": "uint16", "x": "float64", "same": "int64", "city": "string"})
    after = _signature({"n": "int32", "x": "float32", "same": "int64", "city": "int32"})
    assert notes(before, after) == [
        "n is int32 (uint16 in the source)",
        "TFLite computes in float32: x is float32 (float64 in the source)",
    ]
