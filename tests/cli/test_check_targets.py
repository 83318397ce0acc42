"""`mlpack check --target` and `--arch`: one file here and on another machine.

The other machine is this one under the scheme `twin`, registered as a package registers a target; what it answers is
changed as its address says.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.cli.mlpack import mlpack, mlpack_json
from tests.cli.registered import register
from tests.runtimes.model_files import tiny_onnx
from tests.runtimes.tflite_models import mlp, requantized

Array = NDArray[Any]
FEW = ("--rows", "20")
TWIN = """
import os, signal
import numpy as np
from mlpack_edge.core.errors import CheckFailed, IoFault
from mlpack_edge.devices.targets.local import LocalTarget

def ulp(sets):
    for made in sets:
        array = next(array for array in made.values() if array.dtype.kind == "f")
        for _ in range(4):
            array.flat[0] = np.nextafter(array.flat[0], np.array(np.inf, array.dtype))

def nan(sets):
    for array in sets[0].values():
        if array.dtype.kind == "f":
            array.flat[0] = np.nan

def far(sets):
    for array in sets[0].values():
        if array.dtype.kind == "f":
            array.flat[0] += 0.25

def flip(sets):
    for array in sets[0].values():
        if array.dtype.kind in "iO":
            array[3] = "ja" if array.dtype.kind == "O" and array[3] == "nein" else "nein" if array.dtype.kind == "O" else 1 - array[3]

def step(sets):
    for array in sets[0].values():
        array.flat[0] ^= 3

def shape(sets):
    for made in sets:
        for name in made:
            made[name] = made[name][:1]

class Twin(LocalTarget):
    def __init__(self, address, options):
        super().__init__("", options)
        self.name, self.how = "twin:" + address, address
        if address == "blind":
            self.gives = frozenset({"time"})

    def describe(self):
        if self.how == "gone":
            raise IoFault("twin:gone could not be reached", "switch it on")
        found = super().describe()
        if self.how == "old":
            found["runtimes"] = {**found["runtimes"], "onnxruntime": "1.22.0"}
        return {**found, "environment": {**found["environment"], "arch": "riscv64", "cpu": "Twin"}}

    def outputs(self, model, plan):
        if self.how == "refusing":
            raise CheckFailed("the runtime on the target refuses the model", "update it", why="no kernel for Relu")
        made = [{name: array.copy() for name, array in one.items()} for one in super().outputs(model, plan)]
        if self.how in globals():
            globals()[self.how](made)
        return made
"""


@pytest.fixture
def twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package twin, registered; tiny.onnx (y = relu(x), two columns) lies in the folder."""
    register(tmp_path, monkeypatch, "twin", "twin.py", TWIN, "[mlpack_edge.targets]\ntwin = twin:Twin\n")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "tiny.onnx").write_bytes(tiny_onnx().SerializeToString())
    return tmp_path


@pytest.fixture(scope="session")
def files(models: Path) -> Path:
    """The models of conftest with table.onnx and table.tflite made from table.skops (text columns and labels)."""
    for form in ("onnx", "tflite"):
        assert mlpack("convert", models / "table.skops", "--to", form, "-o", models / f"table.{form}").returncode == 0
    return models


def _checked(folder: Path, *words: str | Path) -> tuple[int, dict[str, Any]]:
    """(exit code, document); nothing is left lying in the folder for temporary files."""
    found = mlpack_json("check", *words)
    assert not [path.name for path in folder.iterdir() if path.name.startswith("mlpack-")]
    return found


def test_a_file_gives_the_same_bits_on_this_machine(twin: Path) -> None:
    code, document = _checked(twin, twin / "tiny.onnx", "--target", "local")
    assert code == 0 and document["parity"] is None and document["candidate"] is None
    (item,) = document["architectures"]
    assert item["bit_identical"] and item["passed"] and item["reasons"] == []
    assert item["rows"] > 1000 and item["values"] == 2 * item["rows"]
    assert item["runtime"] == item["runtime_here"] and item["runtime"]["name"] == "onnxruntime"
    assert item["target"] == "local" and item["arch"] and item["cpu"] and item["emulated"] is None
    assert item["outputs"][0]["max_ulp"] == 0 and item["outputs"][0]["label_flips"] is None


def test_four_roundings_pass_and_are_told(twin: Path) -> None:
    done = mlpack("check", twin / "tiny.onnx", "--target", "twin:ulp", *FEW)
    assert done.returncode == 0 and done.stdout.startswith("twin:ulp (Twin, riscv64, onnxruntime")
    said = re.search(r"4 ULP at most, (\d) of (\d+) values differ on (\d+) rows", done.stdout)
    assert said and int(said[1]) > 0 and int(said[2]) == 2 * int(said[3])


@pytest.mark.parametrize("how", ["nan", "far"])
def test_a_number_that_is_another_fails(twin: Path, how: str) -> None:
    code, document = _checked(twin, twin / "tiny.onnx", "--target", f"twin:{how}", "--target", "local", *FEW)
    assert code == 3
    first, second = document["architectures"]
    assert not first["passed"] and second["passed"] and second["bit_identical"]
    assert first["outputs"][0]["one_sided_nan"] == (how == "nan")
    assert f"twin:{how}" in document["error"]["message"] and "local" not in document["error"]["message"]
    assert document["error"]["hint"]


def test_what_the_user_allows_is_allowed(twin: Path) -> None:
    assert _checked(twin, twin / "tiny.onnx", "--target", "twin:far", "--atol", "0.3", *FEW)[0] == 0


@pytest.mark.long
@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_a_label_that_flips_fails_unless_it_may(twin: Path, files: Path, form: str) -> None:
    """Texts in, texts out: as strings on ONNX, as codes on TFLite."""
    words = [files / f"table.{form}", "--data", files / "holdout.csv", "--rows", "30", "--target", "twin:flip"]
    code, document = _checked(twin, *words)
    (item,) = document["architectures"]
    label, probabilities = item["outputs"]
    assert code == 3 and (label["label_flips"], label["different"]) == (1, 1)
    assert label["max_steps"] is None and label["max_ulp"] is None
    assert probabilities["different"] == 0
    assert "1 of" in item["reasons"][0] and "row 3 of the data rows" in item["reasons"][0]
    if form == "onnx":
        assert _checked(twin, *words, "--max-flips", "0.01")[0] == 0


@pytest.mark.long
def test_the_ordinary_comparison_goes_first_and_the_candidate_is_run(twin: Path, files: Path) -> None:
    """The rows lie on the source's thresholds too: they are more than the file alone would be asked about."""
    options = ["--target", "twin:same", "--rows", "60"]
    _, alone = _checked(twin, files / "table.onnx", *options)
    code, document = _checked(twin, files / "table.skops", files / "table.onnx", *options)
    assert code == 0 and document["parity"]["passed"] and "threshold" in document["parity"]["groups"]
    assert document["candidate"]["path"].endswith("table.onnx")
    (item,) = document["architectures"]
    assert item["bit_identical"] and item["rows"] > alone["architectures"][0]["rows"]


def test_two_models_that_differ_are_not_taken_to_another_machine(twin: Path) -> None:
    other = tiny_onnx()
    other.graph.node[0].op_type = "Neg"
    onnx.save(other, twin / "other.onnx")
    code, document = _checked(twin, twin / "tiny.onnx", twin / "other.onnx", "--target", "twin:gone")
    assert code == 3 and "architectures" not in document and not document["parity"]["passed"]


def test_codes_differ_by_steps(twin: Path) -> None:
    """An int8 output is held code by code; its tolerance is in steps."""
    (twin / "q.tflite").write_bytes(requantized())
    code, document = _checked(twin, twin / "q.tflite", "--target", "twin:step", *FEW)
    (item,) = document["architectures"]
    assert code == 0, document["error"]
    assert 1 <= item["outputs"][0]["max_steps"] <= 3 and item["outputs"][0]["max_ulp"] is None
    assert item["different"] == 1


def test_a_file_of_a_fixed_batch_is_fed_whole_batches(twin: Path) -> None:
    (twin / "three.tflite").write_bytes(mlp(3))
    code, document = _checked(twin, twin / "three.tflite", "--target", "local", "--rows", "30")
    assert code == 0 and document["architectures"][0]["bit_identical"]
    assert document["architectures"][0]["rows"] % 3 == 0


@pytest.mark.long
def test_a_layout_that_was_turned_is_turned_back(twin: Path) -> None:
    """Rows and tolerances are in the source's layout, the tensors in the file's."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, 4, 4]) for name in "xy"]
    weights = np.random.default_rng(0).normal(size=(3, 3, 1, 1)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])], "net", value[:1], value[1:], [numpy_helper.from_array(weights, "w")]
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), twin / "net.onnx")
    words = ("--to", "tflite", "--layout", "nhwc", "-o", twin / "net.tflite", "--rows", "30")
    assert mlpack("convert", twin / "net.onnx", *words).returncode == 0
    code, document = _checked(twin, twin / "net.tflite", "--target", "twin:far", *FEW)
    assert code == 3
    assert "became" in document["architectures"][0]["reasons"][0]
    assert _checked(twin, twin / "net.tflite", "--target", "local", "--rows", "30")[0] == 0


def test_other_versions_there_are_told_and_refused_by_nobody(twin: Path) -> None:
    done = mlpack("check", twin / "tiny.onnx", "--target", "twin:old", *FEW)
    assert done.returncode == 0 and "same bits on" in done.stdout
    assert "onnxruntime 1.22.0 there and onnxruntime 1." in done.stdout


@pytest.mark.parametrize(("how", "said"), [("refusing", "no kernel for Relu"), ("shape", "float32 [")])
def test_a_machine_that_does_not_run_the_file_has_not_passed(twin: Path, how: str, said: str) -> None:
    code, document = _checked(twin, twin / "tiny.onnx", "--target", f"twin:{how}", "--target", "local", *FEW)
    first, second = document["architectures"]
    assert code == 3 and second["passed"] and not first["passed"] and first["outputs"] == []
    assert said in first["reasons"][0] and said in document["error"]["why"]


def test_a_machine_that_is_not_there_ends_it_with_what_is_known(twin: Path) -> None:
    code, document = _checked(twin, twin / "tiny.onnx", "--target", "local", "--target", "twin:gone", *FEW)
    assert code == 1 and document["error"]["kind"] == "io" and document["error"]["hint"] == "switch it on"
    assert [item["target"] for item in document["architectures"]] == ["local"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["tiny.onnx"], 2, "Missing argument 'CANDIDATE'"),
        (["tiny.onnx", "--arch", "sparc"], 2, "Invalid value for '--arch'"),
        (["tiny.onnx", "--target", "nowhere:1"], 1, "'nowhere:1' is no target"),
        (["tiny.onnx", "--target", "twin:blind"], 1, "twin:blind gives no outputs"),
        (["tiny.onnx", "--arch", "armv7"], 1, "ONNX Runtime has no package for 32-bit ARM"),
        (["absent.onnx", "--target", "local"], 1, "absent.onnx does not exist"),
        (["tiny.onnx", "absent.onnx", "--target", "local"], 1, "absent.onnx does not exist"),
        (
            ["nets.vision:Small", "--target", "local"],
            1,
            "a target runs ONNX and TFLite files, and nets.vision:Small is none",
        ),
        (["notes.txt", "--target", "local"], 1, "notes.txt"),
        (["map.onnx", "--target", "local"], 1, "'maps' is a sequence"),
    ],
)
def test_what_cannot_be_is_said_in_one_message(twin: Path, words: list[str], code: int, said: str) -> None:
    (twin / "notes.txt").write_text("hello")
    _write_maps(twin / "map.onnx")
    done = mlpack("check", *words, cwd=twin)
    assert done.returncode == code and said in done.stderr and done.stdout == ""


def _write_maps(path: Path) -> None:
    """Probabilities as maps from class to number, as skl2onnx gives them by default."""
    nodes = [helper.make_node("ZipMap", ["x"], ["maps"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])
    maps = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    )
    graph = helper.make_graph(nodes, "maps", [x], [helper.make_value_info("maps", maps)])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)


def test_a_board_that_is_not_set_up_is_named_with_the_line_that_does_it(
    twin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLPACK_DATA_DIR", str(twin / "nothing"))
    code, document = _checked(twin, twin / "tiny.onnx", "--arch", "aarch64", *FEW)
    assert code == 1 and document["architectures"] == []
    assert "emulated:pi4" in document["error"]["message"] or "qemu" in document["error"]["message"].lower()
    assert document["error"]["hint"]


@pytest.mark.long
def test_large_rows_travel_in_pieces(twin: Path) -> None:
    """64 MB at a time, as a board has no more memory; the answers to every piece are compared."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 100_000]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("ReduceSum", ["x", "axes"], ["y"])], "sum", value[:1], [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(np.array([1], np.int64), "axes")])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), twin / "sum.onnx")
    rows = np.random.default_rng(0).normal(size=(250, 100_000)).astype(np.float32)
    np.save(twin / "rows.npy", rows)
    words = [twin / "sum.onnx", "--data", twin / "rows.npy", "--rows", "1", "--target", "twin:far"]
    code, document = _checked(twin, *words)
    (item,) = document["architectures"]
    assert code == 3 and item["rows"] >= 250
    assert item["different"] == 2, "the first number of each piece was changed"
    assert "2 of" in item["reasons"][0]
