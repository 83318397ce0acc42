"""What the child process of `mlpack quantize` makes, judges, leaves behind and proves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mlpack_edge.converters.quantization.exchange import point_from_json, point_to_json
from mlpack_edge.converters.quantization.job import prove, quantize
from mlpack_edge.core.artifact import sha256_of_file
from mlpack_edge.core.errors import BadInput, Unsupported
from tests.cli.quantize_models import make_products


def _silent(stage: str) -> None:
    pass


@pytest.fixture
def payload(tmp_path: Path) -> dict[str, Any]:
    """A net of two products on 24 columns, and 300 rows of it."""
    random = np.random.default_rng(5)
    make_products(tmp_path / "net.onnx", random)
    np.save(tmp_path / "rows.npy", random.normal(size=(300, 24)).astype(np.float32))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return {
        "model": str(tmp_path / "net.onnx"), "to": "onnx", "output": "small.onnx", "data": str(tmp_path / "rows.npy"),
        "evaluation": None, "label": None, "metric": None, "scheme": "auto", "method": "auto", "bits": None, "io": "float",
        "keep_float": [], "max_drop": 0.01, "max_bytes": None, "seconds": 60.0, "verbose": False, "dtype": None,
        "weights": None, "shapes": [], "trust_pickle": False, "scratch": str(scratch), "arm": False, "integer_only": False,
    }  # fmt: skip


def test_each_scheme_is_tried_and_files_are_of_those_that_keep_the_budget(payload: dict[str, Any]) -> None:
    made = quantize(payload, _silent)
    points = [(point_from_json(one["point"]), one["path"]) for one in made["points"]]
    assert {point.recipe.scheme for point, _ in points} == {"static", "dynamic", "weights", "fp16"}
    assert Path(made["float"]["path"]).stat().st_size == made["float"]["bytes"]
    for point, path in points:
        assert (path is not None) == (point.quality.drop <= 0.01)
        assert path is None or Path(path).stat().st_size == point.bytes
        assert point.quality.rows == 60
        assert point_from_json(point_to_json(point)) == point
    left = {path.name for path in Path(payload["scratch"]).iterdir()}
    assert left == {"float.onnx", "sample.npz", *(Path(path).name for _, path in points if path)}


def test_arm_and_tflite_compute_with_int8_and_x86_with_uint8(payload: dict[str, Any]) -> None:
    for changed, wanted in (({}, "uint8"), ({"arm": True}, "int8"), ({"to": "tflite"}, "int8")):
        made = quantize({**payload, "scheme": "static", **changed}, _silent)
        assert {one["point"]["recipe"]["activations"] for one in made["points"]} == {wanted}


def test_the_lineage_of_a_file_names_source_and_recipe(payload: dict[str, Any]) -> None:
    made = quantize({**payload, "scheme": "fp16"}, _silent)
    one = made["points"][0]
    held = {entry.key: entry.value for entry in onnx.load(one["path"]).metadata_props}
    assert one["lineage"]["source"] == {"kind": "onnx", "sha256": sha256_of_file(Path(payload["model"]))}
    assert '"fp16"' in held["mlpack.lineage"].replace("\\", "")


def test_a_file_is_proven_against_its_source_by_the_budget(payload: dict[str, Any]) -> None:
    made = quantize({**payload, "scheme": "fp16"}, _silent)
    proof = {
        **payload, "file": made["points"][0]["path"], "signature": made["signature"], "digest": made["source"]["sha256"],
    }  # fmt: skip
    found = prove(proof, _silent)
    assert found["parity"]["passed"] and found["parity"]["rows"] == 60 and not found["parity"]["reasons"]
    assert found["parity"]["outputs"][0]["max_abs"] > 0 and found["parity"]["outputs"][0]["max_rel"] > 0
    refused = prove({**proof, "max_drop": 0.0}, _silent)
    assert not refused["parity"]["passed"] and refused["parity"]["reasons"]


def test_a_source_that_was_replaced_meanwhile_proves_nothing(payload: dict[str, Any]) -> None:
    made = quantize({**payload, "scheme": "fp16"}, _silent)
    proof = {**payload, "file": made["points"][0]["path"], "signature": made["signature"], "digest": "0" * 64}
    with pytest.raises(BadInput, match="changed"):
        prove(proof, _silent)


def test_a_layer_to_keep_that_is_not_there_is_refused_with_those_that_are(payload: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as refusal:
        quantize({**payload, "keep_float": ["third"]}, _silent)
    assert "third" in refusal.value.message and "first" in refusal.value.hint and "second" in refusal.value.hint


def test_rows_that_the_model_does_not_take_are_one_clear_error(payload: dict[str, Any]) -> None:
    """The graph reshapes to 24 numbers a row in batches of 2, whatever the number of rows."""
    model = onnx.load(payload["model"])
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 24]), "shape"))
    model.graph.node.insert(0, helper.make_node("Reshape", ["x", "shape"], ["pairs"], "pairs"))
    model.graph.node[1].input[0] = "pairs"
    onnx.save(model, payload["model"])
    with pytest.raises(BadInput, match="does not take the rows"):
        quantize({**payload, "scheme": "weights"}, _silent)


def test_what_computes_with_codes_or_stores_them_is_refused(payload: dict[str, Any], tmp_path: Path) -> None:
    made = quantize({**payload, "max_drop": 1.0}, _silent)
    for one in made["points"]:
        with pytest.raises(Unsupported, match="quantized already"):
            quantize({**payload, "model": one["path"], "scratch": str(tmp_path)}, _silent)


def test_the_search_says_that_it_ended_before_its_time(payload: dict[str, Any]) -> None:
    """At 1e-9 of noise nothing holds, and there are no seconds to look further."""
    made = quantize({**payload, "scheme": "static", "max_drop": 1e-9, "seconds": 1e-3}, _silent)
    assert any("--time-limit" in text for text in made["notes"])
    assert len(made["points"]) == 1 and made["points"][0]["path"] is None


def test_a_row_that_is_no_number_is_named_where_its_range_is_needed(payload: dict[str, Any]) -> None:
    rows = np.load(payload["data"])
    rows[7, 3] = np.nan
    np.save(payload["data"], rows)
    with pytest.raises(Unsupported) as refusal:
        quantize({**payload, "scheme": "static"}, _silent)
    assert "holds NaN in row 7 (counted from 0)" in (refusal.value.why or "")
    made = quantize({**payload, "seconds": 20.0}, _silent)
    assert any("static U8S8 was left out" in note and "row 7" in note for note in made["notes"])


def test_a_model_that_needs_a_size_is_refused_with_the_shape_option_that_names_it(payload: dict[str, Any]) -> None:
    """It takes pieces of 24 numbers, and its file says that any number goes."""
    model = onnx.load(payload["model"])
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "samples"
    onnx.save(model, payload["model"])
    made = {**payload, "data": None, "scheme": "weights"}
    with pytest.raises(BadInput) as refusal:
        quantize(made, _silent)
    assert "--shape x=1x512" in refusal.value.hint
    assert quantize({**made, "shapes": [["x", ["n", 24]]]}, _silent)["points"]
