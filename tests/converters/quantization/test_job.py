"""What the child process of `mlpack quantize` makes, judges, leaves behind and proves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mlpack_edge.converters.quantization import attempts
from mlpack_edge.converters.quantization.exchange import point_from_json, point_to_json
from mlpack_edge.converters.quantization.job import prove, quantize
from mlpack_edge.core.artifact import sha256_of_file
from mlpack_edge.core.errors import BadInput, CheckFailed, Unsupported
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
        "evaluation": None, "label": None, "metric": None, "whole": [], "scheme": "auto", "method": "auto", "bits": None, "io": "float",
        "keep_float": [], "max_drop": 0.01, "max_bytes": None, "seconds": 60.0, "verbose": False, "dtype": None,
        "weights": None, "shapes": [], "trust_pickle": False, "scratch": str(scratch), "arm": False, "integer_only": False,
    }  # fmt: skip


@pytest.mark.parametrize("to", ["onnx", "tflite"])
def test_each_scheme_is_tried_and_files_are_of_those_that_keep_the_budget(payload: dict[str, Any], to: str) -> None:
    """For ONNX Runtime the products are too small to compute with codes of each call: dynamic would be weights int8."""
    made = quantize({**payload, "to": to}, _silent)
    points = [(point_from_json(one["point"]), one["path"]) for one in made["points"]]
    assert {point.recipe.scheme for point, _ in points} == {"static", "weights", "fp16"} | (
        {"dynamic"} if to == "tflite" else set()
    )
    assert Path(made["float"]["path"]).stat().st_size == made["float"]["bytes"]
    for point, path in points:
        assert (path is not None) == (point.quality.drop <= 0.01)
        assert path is None or Path(path).stat().st_size == point.bytes
        assert point.quality.rows == 60
        assert point_from_json(point_to_json(point)) == point
    left = {path.name for path in Path(payload["scratch"]).iterdir()}
    assert left == {f"float.{to}", "sample.npz", *(Path(path).name for _, path in points if path)}


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


def test_the_lineage_of_a_file_of_integers_alone_is_not_that_of_another(payload: dict[str, Any]) -> None:
    """With float borders the options are the same but for that; the recipes of other files read as they did before."""
    wanted = {**payload, "to": "tflite", "scheme": "static"}
    whole, mixed = (quantize({**wanted, "integer_only": only}, _silent)["points"][0] for only in (True, False))
    recipes = [json.loads(one["lineage"]["options"]["recipe"]) for one in (whole, mixed)]
    assert recipes[0]["integer_only"] is True and "integer_only" not in recipes[1]
    assert point_from_json(whole["point"]).recipe.integer_only


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


def test_after_the_time_limit_no_scheme_is_begun_and_each_is_named(payload: dict[str, Any]) -> None:
    """The file is judged, for nothing that was begun is lost; calibration ends with the rows so far."""
    rows = np.random.default_rng(5).normal(size=(40_000, 24)).astype(np.float32)
    np.save(payload["data"], rows)
    made = quantize({**payload, "seconds": 0.02}, _silent)
    tried = {one["point"]["recipe"]["scheme"] for one in made["points"]}
    assert tried <= {"static"}
    late = [one["label"] for one in made["search"]["left_out"] if one["reason"] == "time-limit"]
    assert late == ["weights int8", "weights int4", "fp16"]
    assert not made["calibration"]["complete"] and made["calibration"]["rows"] < 32_000
    assert any("--time-limit ended calibration after" in note for note in made["notes"])
    assert made["search"]["seconds_left"] <= 0.02 / 4  # what is kept for measuring
    nothing = quantize({**payload, "seconds": 1e-9}, _silent)
    assert not nothing["points"] and len(nothing["search"]["left_out"]) == 5  # of which dynamic was refused


def test_a_search_that_the_time_limit_ended_is_told(payload: dict[str, Any]) -> None:
    """At 1e-9 of noise nothing holds, and there is no time to look further."""
    made = quantize({**payload, "scheme": "static", "max_drop": 1e-9, "seconds": 0.01}, _silent)
    assert made["search"]["unfinished"] == ["static U8S8"] and made["points"]
    ended = quantize({**payload, "scheme": "weights", "bits": 8, "max_drop": 0.5}, _silent)
    assert not ended["search"]["unfinished"] and 0 < ended["search"]["seconds_left"] <= 60


@pytest.mark.parametrize("to", ["onnx", "tflite"])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"evaluation": "truth.csv", "label": "truht"}, "has no column 'truht'"),
        ({"evaluation": "narrow.npy"}, "narrow.npy"),
        ({"data": "names.npz"}, "has no array 'x'"),
        ({"data": "names.npz", "evaluation": "rows.npy"}, "has no array 'x'"),
    ],
)
def test_wrong_names_in_the_rows_are_found_before_the_model_is_converted(
    payload: dict[str, Any], tmp_path: Path, given: dict[str, str], said: str, to: str
) -> None:
    rows = np.load(payload["data"])
    np.save(tmp_path / "narrow.npy", rows[:, :20])
    np.savez(tmp_path / "names.npz", X=rows)
    lines = [",".join([*(f"c{column}" for column in range(24)), "truth"]), *(",".join(["1"] * 25) for _ in range(9))]
    (tmp_path / "truth.csv").write_text("\n".join(lines))
    named = {name: value if name == "label" else str(tmp_path / value) for name, value in given.items()}
    stages: list[str] = []
    with pytest.raises(BadInput) as refusal:
        quantize({**payload, **named, "to": to}, stages.append)
    assert said in refusal.value.message
    assert not [stage for stage in stages if not stage.startswith("opening")]
    assert not list(Path(payload["scratch"]).iterdir())


def test_labels_that_do_not_fit_the_model_are_found_before_it_is_calibrated(payload: dict[str, Any]) -> None:
    rows = np.load(payload["data"])
    np.savez(payload["data"].replace(".npy", ".npz"), x=rows, truth=np.array(["cat", "dog", "cow"] * 100))
    stages: list[str] = []
    with pytest.raises(BadInput, match=r"truth|label"):
        quantize({**payload, "data": payload["data"].replace(".npy", ".npz"), "label": "truth"}, stages.append)
    assert not [stage for stage in stages if stage.startswith("calibrating")]


def test_what_stops_calibration_alone_leaves_the_other_schemes(
    payload: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise CheckFailed("ONNX Runtime does not load the model that is calibrated", why="no such kernel")

    monkeypatch.setattr(attempts, "calibrate", stopped)
    made = quantize(payload, _silent)
    assert {one["point"]["recipe"]["scheme"] for one in made["points"]} == {"weights", "fp16"}
    told = next(one for one in made["search"]["left_out"] if one["label"] == "static U8S8")
    assert told["reason"] == "refused" and "no such kernel" in told["why"]
    with pytest.raises(CheckFailed, match="calibrated"):
        quantize({**payload, "scheme": "static"}, _silent)


@pytest.mark.parametrize("scheme", ["auto", "static"])
def test_rows_to_calibrate_on_that_the_model_does_not_take_end_all_schemes(
    payload: dict[str, Any], tmp_path: Path, scheme: str
) -> None:
    """The first column chooses one of three rows of a table; row 7 of DATA asks for the 50th. The rows that judge are right."""
    model = onnx.load(payload["model"])
    model.graph.initializer.extend(
        [numpy_helper.from_array(np.ones((3, 24), np.float32), "table"), numpy_helper.from_array(np.array([0]), "zero")]
    )
    made = [
        helper.make_node("Gather", ["x", "zero"], ["column"], "column", axis=1),
        helper.make_node("Cast", ["column"], ["index"], "index", to=onnx.TensorProto.INT64),
        helper.make_node("GatherND", ["table", "index"], ["chosen"], "choose"),
        helper.make_node("Add", ["x", "chosen"], ["shifted"], "shift"),
    ]
    model.graph.node[0].input[0] = "shifted"
    for place, node in enumerate(made):
        model.graph.node.insert(place, node)
    onnx.save(model, payload["model"])
    rows = np.load(payload["data"])
    rows[:, 0] = 1
    np.save(tmp_path / "judge.npy", rows)
    rows[7, 0] = 50
    np.save(payload["data"], rows)
    with pytest.raises(BadInput) as refusal:
        quantize({**payload, "evaluation": str(tmp_path / "judge.npy"), "scheme": scheme}, _silent)
    assert "does not take the rows" in refusal.value.message and payload["data"] in refusal.value.message


def test_dynamic_is_refused_where_it_would_be_weights_by_another_name(payload: dict[str, Any]) -> None:
    """Convolutions stay float in scheme dynamic: their weights would be stored, and that is all."""
    model = onnx.load(payload["model"])
    weights = np.random.default_rng(5).normal(size=(64, 24, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Unsqueeze", ["x", "last"], ["wide"], "wide"),
        helper.make_node("Conv", ["wide", "kernel"], ["y3"], "conv"),
        helper.make_node("Flatten", ["y3"], ["y"], "flat"),
    ]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(
        [numpy_helper.from_array(weights, "kernel"), numpy_helper.from_array(np.array([2]), "last")]
    )
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 64
    onnx.save(model, payload["model"])
    with pytest.raises(Unsupported) as refusal:
        quantize({**payload, "scheme": "dynamic"}, _silent)
    assert "weights int8" in refusal.value.why and "--scheme weights" in refusal.value.hint
    made = quantize({**payload, "data": None}, _silent)
    assert {one["point"]["recipe"]["scheme"] for one in made["points"]} == {"weights", "fp16"}
    assert [one for one in made["search"]["left_out"] if one["label"] == "dynamic" and one["reason"] == "refused"]


def test_a_file_is_a_candidate_once_under_the_name_that_says_what_it_is(payload: dict[str, Any]) -> None:
    """At 1e-7 of noise both products go back to float: what is left of scheme static is its stored weights."""
    made = quantize({**payload, "max_drop": 1e-7, "bits": 8}, _silent)
    labels = {one["point"]["label"] for one in made["points"]}
    copies = {one["label"]: one["why"] for one in made["search"]["left_out"] if one["reason"] == "same file"}
    assert "weights int8" in labels
    assert any(label.startswith("static U8S8,") and "weights int8 by" in why for label, why in copies.items()), copies
    assert not labels & set(copies)


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
