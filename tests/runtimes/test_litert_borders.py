"""Between real numbers or texts and what TFLite tensors hold: quantization, codes of categories, labels."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.core.errors import BadInput, CheckFailed
from mlpack_edge.core.signature import Column, Signature, TensorSpec
from mlpack_edge.runtimes.litert.borders import Quantization
from mlpack_edge.runtimes.litert.runner import LitertOptions, LitertRunner
from tests.runtimes.tflite_models import OP, Op, Tensor, coded, requantized, tflite

REALS = st.floats(-300, 300, width=32)


@cache
def _border_operators(scale: float) -> tuple[LitertRunner, LitertRunner]:
    """LiteRT's own QUANTIZE and DEQUANTIZE, int8 with zero point -4, on its reference kernels."""
    whole = {"dtype": "int8", "scales": [scale], "zero_points": [-4]}
    to_codes = tflite([Tensor("x", [-1]), Tensor("y", [-1], **whole)], [Op(OP.QUANTIZE, ["x"], ["y"])], ["x"], ["y"])
    to_reals = tflite(
        [Tensor("x", [-1], **whole), Tensor("y", [-1])], [Op(OP.DEQUANTIZE, ["x"], ["y"], version=2)], ["x"], ["y"]
    )
    options = LitertOptions(reference_kernels=True, io="codes")
    return LitertRunner(to_codes, options=options), LitertRunner(to_reals, options=options)


@given(st.lists(REALS, min_size=1, max_size=50), st.sampled_from([0.5, 0.1, 0.0078125, 3.7]))
def test_codes_and_reals_are_those_of_litert_itself(numbers: list[float], scale: float) -> None:
    """Bit for bit what its QUANTIZE and DEQUANTIZE give, halves and numbers out of range among them."""
    x = np.array([*numbers, scale / 2, -scale / 2, scale * 2.5, 1e6, -1e6], np.float32)
    quantization = Quantization(np.array([scale], np.float32), np.array([-4]))
    quantize, dequantize = _border_operators(scale)
    codes = quantization.codes(x, np.dtype(np.int8))
    np.testing.assert_array_equal(codes, quantize.run({"x": x})["y"])
    np.testing.assert_array_equal(quantization.reals(codes), dequantize.run({"x": codes})["y"])


def test_a_slice_of_its_own_scale_each() -> None:
    quantization = Quantization(np.array([0.5, 2.0], np.float32), np.array([0, 1]), axis=1)
    codes = np.array([[2, 2], [-4, 3]], np.int8)
    reals = quantization.reals(codes)
    np.testing.assert_array_equal(reals, [[1, 2], [-2, 4]])
    np.testing.assert_array_equal(quantization.codes(reals, np.dtype(np.int8)), codes)


def test_quantized_borders_take_real_numbers_or_codes() -> None:
    model = requantized(scale=0.5, zero_point=3, out_scale=0.25)
    real, codes = LitertRunner(model), LitertRunner(model, options=LitertOptions(io="codes"))
    assert real.signature.inputs[0].dtype == "float32" and codes.signature.inputs[0].dtype == "int8"
    x = np.array([[0.25, -3.0], [100.0, -100.0]], np.float32)
    np.testing.assert_array_equal(real.run({"x": x})["y"], [[0.5, -3.0], [32.0, -31.75]])
    whole = np.array([[4, -3]], np.int8)
    np.testing.assert_array_equal(codes.run({"x": whole})["y"], [[1, -13]])
    with pytest.raises(BadInput, match="was fed int8, it takes float32"):
        real.run({"x": whole})
    with pytest.raises(BadInput, match="was fed float32, it takes int8"):
        codes.run({"x": x})
    with pytest.raises(BadInput, match="NaN has no code"):
        real.run({"x": np.array([[np.nan, 0]], np.float32)})


def _towns(width: int, dtype: str, tables: list[tuple[str, ...]]) -> Signature:
    columns = [Column(f"c{place}", "text", "town", place, table) for place, table in enumerate(tables)]
    return Signature(
        (TensorSpec("town", dtype, ("batch", width)),),
        (TensorSpec("label", dtype, ("batch",), "label"), TensorSpec("codes", dtype, ("batch", width))),
        tuple(columns),
        ("no", "yes", "maybe"),
    )


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_texts_go_in_as_the_codes_of_their_columns_and_labels_come_out_as_texts(dtype: str) -> None:
    tables = [("b", "a", "é"), ("x", "")]
    model = coded(2, dtype, _towns(2, dtype, tables))
    runner = LitertRunner(model, options=LitertOptions(decode=True))
    texts = np.array([["a", "x"], ["é", ""], ["b", "nowhere"]], object)
    made = runner.run({"town": texts})
    np.testing.assert_array_equal(made["codes"], [[1, 0], [2, 1], [0, -1]])
    assert made["label"].tolist() == ["yes", "maybe", "no"] and made["label"].dtype == object
    np.testing.assert_array_equal(runner.run({"town": texts.astype(str)})["codes"], made["codes"])
    plain = LitertRunner(model)
    codes = np.array([[1, 0], [2, 1], [0, -1]], dtype)
    np.testing.assert_array_equal(plain.run({"town": codes})["label"], [1, 2, 0])


def test_a_column_of_one_takes_missing_and_unknown_texts() -> None:
    runner = LitertRunner(coded(1, "int32", _towns(1, "int32", [("b", "a")])))
    made = runner.run({"town": np.array([["a"], [""], ["?"]], object)})
    np.testing.assert_array_equal(made["codes"], [[1], [-2], [-1]])


def test_a_label_code_without_a_class_is_an_error() -> None:
    runner = LitertRunner(coded(1, "int32", _towns(1, "int32", [("b",)])), options=LitertOptions(decode=True))
    with pytest.raises(CheckFailed, match="label code -1, and there are 3 classes"):
        runner.run({"town": np.array([["unknown"]], object)})


def test_texts_without_a_table_are_refused() -> None:
    with pytest.raises(BadInput, match="no table of their codes"):
        LitertRunner(coded(1, "int32")).run({"town": np.array([["a"]], object)})
    some = _towns(2, "int32", [("a",)])
    with pytest.raises(BadInput, match="no table of their codes") as caught:
        LitertRunner(coded(2, "int32", some)).run({"town": np.array([["a", "b"]], object)})
    assert "column 1" in caught.value.why
