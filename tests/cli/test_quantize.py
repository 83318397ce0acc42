"""`mlpack quantize` from the file to the file: what is written, what is said, and what is refused."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from mlpack_edge.runtimes.litert.source_terms import TfliteModel
from mlpack_edge.runtimes.onnxruntime import open_session, run
from tests.cli.mlpack import LINE, mlpack, mlpack_json
from tests.cli.quantize_models import make_digits, make_products, make_raw, metadata

#: Keys that the contract of the command names, and those that came with them.
KEYS = {
    "scheme", "why", "size", "metric", "kept_float", "candidates", "parity",
    "output", "signature", "latency", "layers", "calibration", "agreement", "seconds", "notes", "left_out",
    "time_limit",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("quantize")
    make_digits(made)
    make_raw(made)
    return made


@pytest.fixture(scope="module")
def calibrated(folder: Path) -> dict[str, Any]:
    """digits.onnx with everything left to mlpack but the size, which says that bytes matter more than time here."""
    words = ("digits.onnx", "-o", "small.onnx", "--data", "rows.npy", "--eval", "holdout.npz", "--label", "truth")
    code, document = mlpack_json("quantize", *words, "--max-size", "40KB", cwd=folder)
    assert code == 0, document
    return document


def test_one_line_quantizes_a_model_within_its_budgets(folder: Path, calibrated: dict[str, Any]) -> None:
    assert set(calibrated) >= KEYS
    assert calibrated["output"]["bytes"] == (folder / "small.onnx").stat().st_size <= 40_000
    assert calibrated["size"] == {"before": calibrated["size"]["before"], "after": calibrated["output"]["bytes"]}
    assert calibrated["metric"]["name"] == "accuracy"
    assert calibrated["metric"]["before"] - calibrated["metric"]["after"] <= 0.01
    assert calibrated["parity"]["passed"] and calibrated["parity"]["rows"] == 597
    assert "\n" not in calibrated["why"]


def test_the_accuracy_it_tells_is_that_of_the_file(folder: Path, calibrated: dict[str, Any]) -> None:
    with np.load(folder / "holdout.npz") as held:
        rows, truth = held["X"], held["truth"]
    answer = run(open_session(folder / "small.onnx"), {"X": rows})["label"]
    assert np.mean(answer == truth) == pytest.approx(calibrated["metric"]["after"], abs=1e-12)


def test_what_was_tried_is_told_with_size_loss_and_time(calibrated: dict[str, Any]) -> None:
    schemes = {one["scheme"] for one in calibrated["candidates"]}
    assert schemes == {"static", "dynamic", "weights", "fp16"}
    chosen = [one for one in calibrated["candidates"] if one["chosen"]]
    assert [one["scheme"] for one in chosen] == [calibrated["scheme"]]
    assert chosen[0]["latency"]["ratio"] > 0
    for one in calibrated["candidates"]:
        assert one["bytes"] > 0 and one["verdict"] and one["metric"]["rows"] == 597


def test_the_file_carries_its_signature_and_the_recipe(folder: Path, calibrated: dict[str, Any]) -> None:
    told = metadata(folder / "small.onnx")
    assert told["mlpack.signature"] == calibrated["signature"]
    assert calibrated["scheme"] in told["mlpack.lineage"]["options"]["recipe"]
    assert told["mlpack.lineage"]["source"]["kind"] == "onnx"


def test_nothing_is_left_beside_the_output(folder: Path, calibrated: dict[str, Any]) -> None:
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.long
def test_a_scheme_by_name_gives_the_same_bytes_each_time(folder: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        words = ("digits.onnx", "-o", name, "--data", "rows.npy", "--scheme", "static", "--max-size", "1MB")
        code, document = mlpack_json("quantize", *words, cwd=folder)
        assert code == 0, document
        assert document["scheme"] == "static" and document["metric"]["name"] == "agreement"
        assert document["calibration"]["rows"] == 960 and document["parity"]["rows"] == 240
    assert (folder / "a.onnx").read_bytes() == (folder / "b.onnx").read_bytes()


@pytest.mark.long
def test_a_pipeline_becomes_tflite_that_litert_runs(folder: Path) -> None:
    words = ("digits.skops", "--to", "tflite", "-o", "small.tflite", "--data", "rows.npy", "--eval", "holdout.npz")
    code, document = mlpack_json("quantize", *words, "--label", "truth", "--max-size", "60KB", cwd=folder)
    assert code == 0, document
    with np.load(folder / "holdout.npz") as held:
        rows, truth = held["X"], held["truth"]
    answer = TfliteModel(folder / "small.tflite").run({"X": rows})["label"]
    assert np.mean(answer == truth) >= document["metric"]["before"] - 0.01
    assert document["size"]["after"] < 0.6 * document["size"]["before"]


@pytest.mark.long
def test_without_rows_only_schemes_that_need_none_are_tried(folder: Path) -> None:
    code, document = mlpack_json("quantize", "digits.onnx", "-o", "made.onnx", "--max-size", "1MB", cwd=folder)
    assert code == 0, document
    assert {one["scheme"] for one in document["candidates"]} == {"dynamic", "weights", "fp16"}
    assert document["calibration"] is None and document["parity"]["rows"] >= 1000


def test_a_net_on_raw_columns_of_unlike_magnitude_keeps_its_accuracy(folder: Path) -> None:
    words = ("raw.onnx", "-o", "raw-small.onnx", "--data", "raw.csv", "--eval", "raw-holdout.csv", "--label", "truth")
    code, document = mlpack_json("quantize", *words, "--scheme", "static", "--max-size", "1MB", cwd=folder)
    assert code == 0, document
    assert document["metric"]["before"] > 0.94 and document["metric"]["drop"] <= 0.01


def test_a_size_that_nothing_meets_is_exit_3_with_what_came_nearest(folder: Path) -> None:
    words = ("digits.onnx", "-o", "tiny.onnx", "--data", "rows.npy", "--max-size", "2KB")
    code, document = mlpack_json("quantize", *words, cwd=folder)
    assert code == 3 and document["error"]["kind"] == "check-failed"
    smallest = min(one["bytes"] for one in document["candidates"])
    assert document["nearest"] and document["output"] is None
    assert any(one["bytes"] == smallest for one in document["nearest"])
    assert not (folder / "tiny.onnx").exists()
    done = mlpack("quantize", *words, cwd=folder)
    assert "candidate" in done.stdout and "\nerror: " in done.stderr and "next:" in done.stderr


def test_the_time_limit_ends_all_that_can_be_shortened_and_says_what_was_not_tried(folder: Path) -> None:
    """Whatever was begun within it is judged, chosen and proven; a clock that matters more than bytes refuses it."""
    words = ("digits.onnx", "-o", "hasty.onnx", "--data", "rows.npy", "--time-limit", "0.001", "--max-drop", "0.5")
    begin = time.monotonic()
    code, document = mlpack_json("quantize", *words, cwd=folder)
    assert time.monotonic() - begin < 30
    limit = document["time_limit"]
    assert limit["ended"] and set(limit["not_tried"]) >= {"weights int8", "weights int4", "fp16"}
    tried = {one["label"] for one in document["candidates"]}
    assert not tried & set(limit["not_tried"])
    assert code == (0 if tried else 3)
    if tried:
        assert document["parity"]["passed"] and document["latency"] is None and "speed not measured" in document["why"]
        assert limit["not_measured"] == list(tried)
    done = mlpack("quantize", *words, "--force", "--max-latency", "1s", cwd=folder)
    assert done.returncode == 3 and "ended the search" in done.stdout and "--time-limit" in done.stderr


def test_a_file_that_is_slower_is_not_written(folder: Path) -> None:
    """Making codes and numbers of each other costs such a net more than its products."""
    words = ("raw.onnx", "-o", "slow.onnx", "--scheme", "static", "--data", "raw.csv", "--max-drop", "0.5")
    code, document = mlpack_json("quantize", *words, cwd=folder)
    assert code == 3 and "slower" in document["error"]["why"] and "--max-size" in document["error"]["hint"]
    assert any("slower" in one["broken"] and one["latency"]["ratio"] > 1.02 for one in document["candidates"])
    assert not (folder / "slow.onnx").exists()


def test_a_file_that_is_not_smaller_is_not_written(folder: Path) -> None:
    """With its only layer kept float, all that is new is the recipe."""
    from onnx import helper, numpy_helper

    from tests.cli.quantize_models import write_net

    weights = numpy_helper.from_array(np.linspace(-1, 1, 1024, dtype=np.float32).reshape(8, 128), "w")
    product = helper.make_node("MatMul", ["x", "w"], ["y"], name="product")
    write_net(folder / "wide.onnx", [product], [weights], ["n", 8], ["n", 128], "y")
    words = ("wide.onnx", "-o", "wider.onnx", "--scheme", "weights", "--bits", "8", "--max-size", "1MB")
    code, document = mlpack_json("quantize", *words, "--keep-float", "product", cwd=folder)
    assert code == 3 and "not smaller" in document["error"]["why"]
    assert document["candidates"][0]["bytes"] >= document["size"]["before"]
    assert not (folder / "wider.onnx").exists()


@pytest.mark.long
def test_few_rows_of_calibration_are_warned_of(folder: Path) -> None:
    with np.load(folder / "holdout.npz") as held:
        np.save(folder / "few.npy", held["X"][:40])
    words = (
        "digits.onnx",
        "-o",
        "few.onnx",
        "--data",
        "few.npy",
        "--scheme",
        "static",
        "--max-size",
        "1MB",
        "--max-drop",
        "1",
    )
    done = mlpack("quantize", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "note: only 32 calibration rows" in done.stderr


def test_trees_are_refused_with_the_reason(folder: Path) -> None:
    import skops.io
    from sklearn.tree import DecisionTreeClassifier

    with np.load(folder / "holdout.npz") as held:
        skops.io.dump(DecisionTreeClassifier(max_depth=4).fit(held["X"], held["truth"]), folder / "tree.skops")
    done = mlpack("quantize", "tree.skops", "-o", "tree.onnx", "--data", "rows.npy", cwd=folder)
    assert done.returncode == 1 and "nothing to quantize" in done.stderr and "tree" in done.stderr
    assert not (folder / "tree.onnx").exists()


def test_what_is_quantized_already_is_refused(folder: Path, calibrated: dict[str, Any]) -> None:
    done = mlpack("quantize", "small.onnx", "-o", "smaller.onnx", "--data", "rows.npy", cwd=folder)
    assert done.returncode == 1 and "quantized already" in done.stderr
    assert not (folder / "smaller.onnx").exists()


@pytest.mark.long
def test_a_layer_that_is_named_stays_float(folder: Path) -> None:
    words = ("digits.onnx", "-o", "kept.onnx", "--data", "rows.npy", "--scheme", "static", "--max-size", "1MB")
    code, whole = mlpack_json("quantize", *words, cwd=folder)
    assert code == 0, whole
    first = whole["layers"][0]["name"]
    code, document = mlpack_json("quantize", *words, "--force", "--keep-float", first, cwd=folder)
    assert code == 0, document
    assert document["kept_float"] == [first] and document["size"]["after"] > whole["size"]["after"]
    done = mlpack("quantize", *words, "--force", "--keep-float", "nowhere", cwd=folder)
    assert done.returncode == 1 and "nowhere" in done.stderr and first in done.stderr


def test_the_written_graph_is_valid_onnx(folder: Path, calibrated: dict[str, Any]) -> None:
    onnx.checker.check_model(onnx.load(folder / "small.onnx"), full_check=True)


@pytest.mark.long
def test_integer_only_files_are_estimated_for_the_npu(folder: Path) -> None:
    vela = shutil.which("vela") or str(Path(sys.executable).with_name("vela"))
    if not Path(vela).exists():
        pytest.skip("ethos-u-vela is not installed")
    random = np.random.default_rng(5)
    make_products(folder / "products.onnx", random)
    np.save(folder / "normal.npy", random.normal(size=(300, 24)).astype(np.float32))
    words = ("products.onnx", "--to", "tflite", "--io", "int8", "-o", "npu.tflite", "--data", "normal.npy")
    where = ("--target", "ethos-u:ethos-u55-128", "--vela", vela, "--max-drop", "0.05")
    code, document = mlpack_json("quantize", *words, *where, cwd=folder)
    assert code == 0, document
    assert {one["scheme"] for one in document["candidates"]} == {"static"}
    assert document["latency"]["estimate"]["cycles"] > 0 and document["latency"]["after_ns"] is None


def test_a_stopped_run_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    line = [*LINE, "quantize", str(folder / "digits.onnx"), "-o", "small.onnx", "--data", str(folder / "rows.npy")]
    with subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as running:
        for _ in range(200):
            if list(tmp_path.rglob("float.onnx")):  # in the middle: drafts are being made
                break
            time.sleep(0.05)
        running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 1 and "interrupted" in said
    assert not list(tmp_path.iterdir())
