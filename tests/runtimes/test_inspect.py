"""`mlpack inspect` says what a file holds, damaged or not, and whether a runtime opens it; no heavy import, no harm."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from mlpack_edge.cli.inspect import facts_text
from mlpack_edge.core.errors import BadInput, MlpackError
from mlpack_edge.core.signature import METADATA_KEY, Signature, TensorSpec
from mlpack_edge.runtimes.inspection.inspect import inspect_file
from mlpack_edge.runtimes.inspection.onnx import onnx_facts
from mlpack_edge.runtimes.inspection.tflite import tflite_facts
from mlpack_edge.runtimes.worker import Limits
from tests.runtimes.hostile_onnx import BROKEN, link_beside, with_external
from tests.runtimes.model_files import tiny_onnx, tiny_tflite

DATASETS = Path(onnxruntime.__file__).parent / "datasets"
KEYS = {
    "format",
    "bytes",
    "sha256",
    "inputs",
    "outputs",
    "ops",
    "parameters",
    "quantization",
    "metadata",
    "signature",
    "loads",
}


def facts_of(path: Path) -> dict[str, Any]:
    return onnx_facts({"path": str(path)}, lambda stage: None)


def test_facts_of_an_onnx_file() -> None:
    inspection = inspect_file(DATASETS / "logreg_iris.onnx")
    facts = inspection.facts
    assert inspection.problem is None
    assert set(facts) >= KEYS | {"opset"}
    assert facts["format"] == "onnx" and facts["bytes"] == 670 and len(facts["sha256"]) == 64
    assert facts["opsets"] == {"ai.onnx.ml": 1} and facts["opset"] is None
    assert facts["inputs"] == [{"name": "float_input", "dtype": "float32", "shape": [3, 2]}]
    assert [item["dtype"] for item in facts["outputs"]] == ["int64", "sequence"]
    assert facts["ops"] == {f"ai.onnx.ml.{name}": 1 for name in ("LinearClassifier", "Normalizer", "ZipMap")}
    assert facts["parameters"] == 15  # 3 classes: 4 coefficients (of which it uses 2) and an intercept each
    assert facts["quantization"] is None and facts["signature"] is None
    assert facts["loads"] == {"onnxruntime": True}
    json.dumps(facts)


def test_facts_of_a_tflite_file(tmp_path: Path) -> None:
    signature = Signature((TensorSpec("x", "float32", ("batch", 2)),), (TensorSpec("y", "float32", ("batch", 2)),))
    metadata = {METADATA_KEY: signature.dumps().encode(), "min_runtime_version": b"1.5.0\0\0", "blob": b"\xff" * 9}
    path = tmp_path / "m.onnx"
    path.write_bytes(tiny_tflite(metadata))
    facts = inspect_file(path).facts
    assert set(facts) >= KEYS | {"schema_version"}
    assert facts["format"] == "tflite" and facts["schema_version"] == 3 and facts["producer"] == "tiny"
    assert facts["inputs"] == [{"name": "x", "dtype": "float32", "shape": [None, 2]}]
    assert facts["outputs"] == [{"name": "y", "dtype": "float32", "shape": [None, 2]}]
    assert facts["ops"] == {"ADD": 1} and facts["parameters"] == 2
    assert facts["metadata"] == {"min_runtime_version": "1.5.0", "blob": "9 bytes"}
    assert facts["signature"] == signature.to_json()
    assert facts["loads"] == {"litert": True}


def test_the_signature_is_shown_and_a_damaged_one_is_a_note(tmp_path: Path) -> None:
    model = tiny_onnx()
    signature = Signature((TensorSpec("x", "float32", ("batch", 2)),), ())
    onnx.helper.set_model_props(model, {METADATA_KEY: signature.dumps()})
    path = tmp_path / "m"
    path.write_bytes(model.SerializeToString())
    assert facts_of(path)["signature"]["inputs"][0]["name"] == "x"
    model.metadata_props[0].value = "{"
    path.write_bytes(model.SerializeToString())
    facts = facts_of(path)
    assert facts["signature"] is None and "not JSON" in facts["notes"][0]


def _qdq() -> onnx.ModelProto:
    model = tiny_onnx()
    scale = helper.make_tensor("s", TensorProto.FLOAT, [], [0.1])
    zero = helper.make_tensor("z", TensorProto.INT8, [], [0])
    weight = helper.make_tensor("w", TensorProto.INT8, [2], [1, 2])
    model.graph.initializer.extend([scale, zero, weight])
    del model.graph.node[:]
    model.graph.node.extend(
        [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
            helper.make_node("DequantizeLinear", ["w", "s", "z"], ["v"]),
            helper.make_node("Add", ["d", "v"], ["y"]),
        ]
    )
    return model


def test_quantization_is_told_with_its_share(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(_qdq().SerializeToString())
    found = facts_of(path)["quantization"]
    assert found["scheme"] == "static (QDQ)" and found["weights"] == {"int8": 3} and found["share"] == 0.75
    model = _qdq()
    del model.graph.node[:2]
    model.graph.node[1].input[0] = "x"
    path.write_bytes(model.SerializeToString())
    assert facts_of(path)["quantization"]["scheme"] == "weights"
    model = tiny_onnx()
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(3, np.float16), "h"))
    path.write_bytes(model.SerializeToString())
    assert facts_of(path)["quantization"]["scheme"] == "fp16"


def test_a_sound_file_that_a_runtime_refuses_is_no_error(tmp_path: Path) -> None:
    model = tiny_onnx()
    model.opset_import[0].version = onnx.defs.onnx_opset_version()
    path = tmp_path / "new.onnx"
    path.write_bytes(model.SerializeToString())
    inspection = inspect_file(path)
    assert inspection.problem is None
    assert "opset" in inspection.facts["loads"]["onnxruntime"].lower()


def test_custom_operators_are_a_note(tmp_path: Path) -> None:
    path = tmp_path / "custom.onnx"
    path.write_bytes(BROKEN["custom operator"][0])
    inspection = inspect_file(path)
    assert inspection.problem is None
    assert "custom operator of the domain 'my.ops'" in inspection.facts["notes"][0]
    assert "my.ops" in inspection.facts["loads"]["onnxruntime"]


def test_a_cut_file_keeps_its_digest_and_says_why_nothing_loads_it(tmp_path: Path) -> None:
    for name, whole in (("a.onnx", (DATASETS / "logreg_iris.onnx").read_bytes()), ("b.tflite", tiny_tflite())):
        path = tmp_path / name
        path.write_bytes(whole[: len(whole) * 2 // 3])
        inspection = inspect_file(path)
        assert isinstance(inspection.problem, BadInput)
        assert inspection.facts["format"] == name.partition(".")[2]
        assert inspection.facts["bytes"] == len(whole) * 2 // 3
        (reason,) = inspection.facts["loads"].values()
        assert isinstance(reason, str) and reason


@pytest.mark.parametrize("name", ["a cycle", "too few bytes", "a million nodes", "functions that double"])
def test_a_broken_graph_is_told_apart_from_what_it_holds(name: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(BROKEN[name][0])
    inspection = inspect_file(path, Limits(seconds=30))  # beyond it, the problem would be another
    assert inspection.problem is not None
    assert BROKEN[name][1] in inspection.problem.message + inspection.problem.why
    if name != "a million nodes":
        assert inspection.facts["ops"]
    if name != "too few bytes":  # of a tensor nobody reads: ONNX Runtime does not look
        assert inspection.facts["loads"]["onnxruntime"] is not True


@pytest.mark.parametrize("how", ["hard link", "symlink", "pipe"])
def test_no_runtime_opens_external_data_that_was_refused(how: str, tmp_path: Path) -> None:
    """ONNX Runtime follows hard links: it must not get the file."""
    folder = tmp_path / "models"
    folder.mkdir()
    inspection = inspect_file(with_external(folder, link_beside(folder, how)))
    assert isinstance(inspection.problem, BadInput)
    assert inspection.facts["loads"]["onnxruntime"].startswith("not tried")
    assert inspection.facts["ops"] == {"Add": 1} and inspection.facts["external"] == 1


def test_good_external_data_is_opened(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(8))
    inspection = inspect_file(with_external(tmp_path, "w.bin"))
    assert inspection.problem is None and inspection.facts["loads"] == {"onnxruntime": True}


def test_litert_does_not_get_a_file_that_names_another(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny_tflite(external=True))
    assert inspect_file(path).facts["loads"]["litert"].startswith("not tried")


def test_flipped_bytes_in_tflite_are_facts_or_one_error(tmp_path: Path) -> None:
    """None takes more than 2,000 times as long as the file as it was: a flipped length is not looped over."""
    chance = random.Random(5)
    whole = tiny_tflite({"a": b"b"})
    path = tmp_path / "m"
    damaged = 0
    path.write_bytes(whole)
    usual = sorted(_seconds_of_tflite(path) for _ in range(21))[10]
    for _ in range(800):
        flipped = bytearray(whole)
        for _ in range(chance.choice([1, 2, 5])):
            flipped[chance.randrange(len(whole))] = chance.choice([0, 255, chance.randrange(256)])
        path.write_bytes(flipped)
        started = time.process_time()
        try:
            json.dumps(tflite_facts({"path": str(path)}, lambda stage: None))
        except BadInput as fault:
            damaged += 1
            json.dumps(fault.data["facts"])
        assert time.process_time() - started < 2000 * usual
    assert damaged > 100


def _seconds_of_tflite(path: Path) -> float:
    started = time.process_time()
    json.dumps(tflite_facts({"path": str(path)}, lambda stage: None))
    return time.process_time() - started


def test_flipped_bytes_in_onnx_are_facts_or_one_error(tmp_path: Path) -> None:
    chance = random.Random(6)
    whole = (DATASETS / "logreg_iris.onnx").read_bytes()
    path = tmp_path / "m"
    for _ in range(400):
        flipped = bytearray(whole)
        for _ in range(chance.choice([1, 2, 5])):
            flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            json.dumps(facts_of(path))
        except MlpackError as fault:
            assert fault.hint


def test_other_models_are_named_and_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "evil.onnx"
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    inspection = inspect_file(path)
    assert inspection.facts["format"] == "pickle" and inspection.facts["loads"] == {}
    assert not (tmp_path / "ran").exists()


def test_names_from_the_file_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    model = tiny_onnx()
    model.producer_name = "\x1b[2J\x1b]0;owned\x07\nerror: fake"
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    text = facts_text(inspect_file(path).facts)
    assert "\x1b" not in text and "\nerror" not in text


def _command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "mlpack_edge.cli.main", "inspect", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_the_command_prints_facts_and_exits_by_them(tmp_path: Path) -> None:
    good = _command(DATASETS / "sigmoid.onnx", "--json")
    document = json.loads(good.stdout)
    assert (good.returncode, document["command"], document["ok"], document["schema"]) == (0, "inspect", True, 1)
    assert document["loads"] == {"onnxruntime": True}
    assert "Sigmoid 1" in _command(DATASETS / "sigmoid.onnx").stdout
    path = tmp_path / "cut.onnx"
    path.write_bytes((DATASETS / "logreg_iris.onnx").read_bytes()[:300])
    bad = _command(path, "--json")
    document = json.loads(bad.stdout)
    assert (bad.returncode, document["ok"], document["bytes"]) == (1, False, 300)
    assert "cut short" in document["error"]["message"]
    said = _command(path)
    assert (
        said.returncode == 1 and "sha256" in said.stdout and "error:" in said.stderr and "Traceback" not in said.stderr
    )


def test_the_parent_imports_no_heavy_package(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from mlpack_edge.runtimes.inspection.inspect import inspect_file\n"
        f"assert inspect_file(Path({str(DATASETS / 'sigmoid.onnx')!r})).facts['loads'] == {{'onnxruntime': True}}\n"
        "print(sorted({'numpy', 'onnx', 'onnxruntime', 'torch', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_children_import_neither_torch_nor_scikit_learn(tmp_path: Path) -> None:
    script = (
        "import sys, mlpack_edge.runtimes.inspection.onnx, mlpack_edge.runtimes.inspection.tflite\n"
        "import mlpack_edge.runtimes.inspection.loads as loads\n"
        f"loads.in_runtime({{'path': {str(DATASETS / 'sigmoid.onnx')!r}, 'runtime': 'onnxruntime', 'format': 'onnx'}}, print)\n"
        "print(sorted({'torch', 'sklearn', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
