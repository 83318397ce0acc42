"""`mlpack bench` on real models, as a user runs it. Nothing here asserts how long something takes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.cli.mlpack import LINE, mlpack, mlpack_json
from tests.runtimes.model_files import tiny_tflite

QUICK = ("--seconds", "0.4", "--processes", "2")
#: Two processes leave an interval that decides nothing.
DECIDING = ("--seconds", "1", "--processes", "4")


def _mlp(path: Path, width: int, layers: int = 2, batch: str | int = "batch") -> Path:
    """x [batch, width] through `layers` layers of a product and a rectifier each."""
    random = np.random.default_rng(0)
    nodes, weights = [], []
    for number in range(layers):
        weights.append(
            numpy_helper.from_array(random.normal(size=(width, width)).astype(np.float32) / width, f"w{number}")
        )
        nodes.append(helper.make_node("MatMul", [f"h{number}", f"w{number}"], [f"m{number}"]))
        nodes.append(helper.make_node("Relu", [f"m{number}"], [f"h{number + 1}"]))
    nodes[0].input[0], nodes[-1].output[0] = "x", "y"
    value = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [batch, width]) for name in "xy"]
    graph = helper.make_graph(nodes, "mlp", value[:1], value[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """small.onnx, large.onnx (64 times the work), small.tflite."""
    folder = tmp_path_factory.mktemp("nets")
    _mlp(folder / "small.onnx", 64)
    _mlp(folder / "large.onnx", 512)
    assert mlpack("convert", "small.onnx", "--to", "tflite", cwd=folder).returncode == 0
    return folder


def test_the_document_holds_what_was_promised(nets: Path) -> None:
    code, document = mlpack_json("bench", "small.onnx", "small.tflite", *QUICK, cwd=nets)
    assert code == 0
    for result, name in zip(document["results"], ("small.onnx", "small.tflite"), strict=True):
        assert result["model"] == name and result["target"] == "local"
        assert (result["threads"], result["batch"], result["processes"]) == (1, 1, 2)
        seen = result["latency_ns"]
        assert 0 < seen["min"] <= seen["p50"] <= seen["p90"]
        assert (seen["p99"] is not None) == (result["samples"] >= 1000)
        assert 0 <= result["clean_share"] <= 1
        for key in ("first_call_ns", "load_ns", "peak_rss_bytes", "harness_floor_ns", "bytes"):
            assert result[key] > 0, key
        place = result["environment"]
        assert place["cpu"] and place["arch"] and place["runtime"]["version"] and place["load_before"]
        assert {"numpy", "onnxruntime"} <= set(place["versions"])
        assert place["emulated"] is None and len(place["machine_id"]) == 16
        assert {"governor", "frequency_mhz", "temperature_c", "throttled"} <= set(place)
        assert len(result["input_digest"]) == len(result["output_digest"]) == len(result["model_sha256"]) == 64
        samples = [
            number for launch in result["launches"] for block in launch["blocks"] for number in block["samples_ns"]
        ]
        assert len(samples) == result["samples"] and min(samples) == seen["min"]
    assert [result["io"] for result in document["results"]] == ["binding", "invoke"]
    assert document["comparison"][0]["a"] == "small.onnx" and document["comparison"][0]["b"] == "small.tflite"


def test_a_model_with_64_times_the_work_is_slower(nets: Path) -> None:
    code, document = mlpack_json("bench", "small.onnx", "large.onnx", *DECIDING, cwd=nets)
    assert code == 0
    found = document["comparison"][0]
    assert found["verdict"] == "slower" and found["ratio"] > 2
    assert mlpack("bench", "small.onnx", "large.onnx", *DECIDING, "--gate", "10%", cwd=nets).returncode == 3


def test_a_gate_names_who_is_slower_and_keeps_the_document(nets: Path) -> None:
    code, document = mlpack_json("bench", "small.onnx", "large.onnx", *DECIDING, "--gate", "10%", cwd=nets)
    assert code == 3
    assert document["gate"]["passed"] is False and "large.onnx" in document["error"]["why"]
    assert len(document["results"]) == 2


def test_the_same_file_twice_has_two_names_and_passes_a_gate(nets: Path) -> None:
    code, document = mlpack_json("bench", "small.onnx", "small.onnx", *QUICK, "--gate", "30%", cwd=nets)
    assert code == 0
    assert [result["model"] for result in document["results"]] == ["small.onnx", "small.onnx (2)"]
    assert document["results"][0]["output_digest"] == document["results"][1]["output_digest"]


def test_a_stored_result_is_a_baseline(nets: Path, tmp_path: Path) -> None:
    done = mlpack("bench", "large.onnx", *DECIDING, "--json", cwd=nets)
    stored = tmp_path / "before.json"
    stored.write_text(done.stdout)
    (tmp_path / "large.onnx").write_bytes((nets / "small.onnx").read_bytes())
    code, document = mlpack_json("bench", "large.onnx", *DECIDING, "--baseline", stored, "--gate", "10%", cwd=tmp_path)
    assert code == 0 and document["comparison"][0]["verdict"] == "faster"
    assert document["comparison"][0]["a"] == "large.onnx (baseline)"
    elsewhere = json.loads(done.stdout)
    elsewhere["results"][0]["environment"]["machine_id"] = "0123456789abcdef"
    stored.write_text(json.dumps(elsewhere))
    code, document = mlpack_json("bench", "large.onnx", *QUICK, "--baseline", stored, cwd=tmp_path)
    assert code == 1 and "different machines" in document["error"]["why"]


def test_rows_of_data_are_what_is_run(models: Path, tmp_path: Path) -> None:
    """Text columns: no input can be bound, and that is said."""
    (tmp_path / "holdout.csv").write_bytes((models / "holdout.csv").read_bytes())
    assert mlpack("convert", models / "table.skops", "-o", "table.onnx", cwd=tmp_path).returncode == 0
    code, made = mlpack_json("bench", "table.onnx", *QUICK, cwd=tmp_path)
    assert code == 0 and any("--data" in text for text in made["notes"])
    code, given = mlpack_json("bench", "table.onnx", *QUICK, "--data", "holdout.csv", "--batch", "8", cwd=tmp_path)
    assert code == 0 and not any("--data" in text for text in given["notes"])
    assert given["results"][0]["batch"] == 8 and given["results"][0]["io"] == "run"
    assert given["results"][0]["input_digest"] != made["results"][0]["input_digest"]


def test_an_open_size_is_asked_for_by_name(tmp_path: Path) -> None:
    model = onnx.load(_mlp(tmp_path / "net.onnx", 8))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "width"
    onnx.save(model, tmp_path / "net.onnx")
    done = mlpack("bench", "net.onnx", *QUICK, cwd=tmp_path)
    assert done.returncode == 1 and "'width' is open" in done.stderr and "--shape x=1x" in done.stderr
    assert mlpack("bench", "net.onnx", *QUICK, "--shape", "x=4x8", cwd=tmp_path).returncode == 0


def test_a_fixed_batch_is_kept(tmp_path: Path) -> None:
    _mlp(tmp_path / "net.onnx", 8, batch=3)
    code, document = mlpack_json("bench", "net.onnx", *QUICK, cwd=tmp_path)
    assert code == 0 and document["results"][0]["batch"] == 3
    done = mlpack("bench", "net.onnx", *QUICK, "--batch", "4", cwd=tmp_path)
    assert done.returncode == 1 and "fixed to batches of 3" in done.stderr


def test_operators_are_timed_apart(nets: Path) -> None:
    code, document = mlpack_json("bench", "large.onnx", "small.tflite", *QUICK, "--profile", cwd=nets)
    assert code == 0
    for result in document["results"]:
        assert result["profile"] and sum(row["share"] for row in result["profile"]) == pytest.approx(1, abs=0.02)
    done = mlpack("bench", "large.onnx", *QUICK, "--profile", cwd=nets)
    assert "by operator" in done.stdout and "MatMul" in done.stdout


def test_the_page_is_written_whole_or_not_at_all(nets: Path, tmp_path: Path) -> None:
    page = tmp_path / "bench.html"
    assert mlpack("bench", "small.onnx", "small.tflite", *QUICK, "--html", page, cwd=nets).returncode == 0
    text = page.read_text()
    assert text.lower().startswith("<!doctype html>")
    assert "small.tflite" in text and len(text) < 300_000
    done = mlpack("bench", "small.onnx", *QUICK, "--html", page, cwd=nets)
    assert done.returncode == 1 and "--force" in done.stderr
    assert mlpack("bench", "absent.onnx", *QUICK, "--html", tmp_path / "none.html", cwd=nets).returncode == 1
    assert sorted(tmp_path.iterdir()) == [page]


def test_a_metric_goes_with_its_model(nets: Path) -> None:
    code, document = mlpack_json("bench", "small.onnx", *QUICK, "--metric", "small.onnx:accuracy=0.981", cwd=nets)
    assert code == 0 and document["results"][0]["metric"] == {"name": "accuracy", "value": 0.981}
    assert mlpack("bench", "small.onnx", "--metric", "accuracy=much", cwd=nets).returncode == 2


def _damaged(folder: Path) -> list[tuple[str, str]]:
    (folder / "text.onnx").write_text("no model")
    (folder / "cut.tflite").write_bytes(tiny_tflite()[:150])
    return [
        ("absent.onnx", "absent.onnx"),
        ("text.onnx", "text.onnx"),
        ("cut.tflite", "cut.tflite"),
        ("plain.skops", "mlpack convert"),
    ]


def test_what_cannot_be_measured_is_refused_by_name(models: Path, nets: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.skops").write_bytes((models / "plain.skops").read_bytes())
    for name, said in _damaged(tmp_path):
        done = mlpack("bench", name, *QUICK, cwd=tmp_path)
        assert done.returncode == 1 and said in done.stderr and "next:" in done.stderr, name


def test_one_bad_model_among_good_ones_is_named_and_the_others_are_shown(nets: Path, tmp_path: Path) -> None:
    (tmp_path / "small.onnx").write_bytes((nets / "small.onnx").read_bytes())
    (tmp_path / "cut.tflite").write_bytes(tiny_tflite()[:150])
    code, document = mlpack_json("bench", "small.onnx", "cut.tflite", *QUICK, cwd=tmp_path)
    assert code == 1
    assert [result["model"] for result in document["results"]] == ["small.onnx"]
    assert document["refused"][0]["model"] == "cut.tflite" and "cut.tflite" in document["error"]["message"]


def _killing(path: Path) -> Path:
    """A model that ONNX Runtime 1.31 dies of: 2 TB for one output, within a memory limit."""
    nodes = [helper.make_node("Expand", ["x", "shape"], ["y"])]
    shape = numpy_helper.from_array(np.array([1 << 20, 1 << 19], np.int64), "shape")
    graph = helper.make_graph(
        nodes, "large", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1 << 20, 1 << 19])], [shape],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_model_that_wants_all_memory_ends_alone(nets: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    _killing(tmp_path / "killing.onnx")
    (tmp_path / "small.onnx").write_bytes((nets / "small.onnx").read_bytes())
    done = mlpack("bench", "small.onnx", "killing.onnx", *QUICK, "--json", cwd=tmp_path, TMPDIR=str(scratch))
    document = json.loads(done.stdout)
    assert done.returncode == 1 and [result["model"] for result in document["results"]] == ["small.onnx"]
    assert "killing.onnx" in document["error"]["message"]
    assert not list(scratch.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_leaves_nothing_running_and_nothing_lying(nets: Path, number: signal.Signals, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [*LINE, "bench", "small.onnx", "--seconds", "60"]
    running = subprocess.Popen(
        command, cwd=nets, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("mlpack-agent-*/*.feeds")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    agents = _processes_below(running.pid)
    assert agents
    running.send_signal(number)
    _, printed = running.communicate(timeout=30)
    assert running.returncode == 1 and "interrupted" in printed and "Traceback" not in printed
    assert not list(tmp_path.iterdir())
    assert not [pid for pid in agents if Path(f"/proc/{pid}").exists()]


def _processes_below(pid: int) -> list[int]:
    found = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [one for child in found for one in _processes_below(child)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--gate", "10%"), "--baseline"),
        (("--gate", "0.1"), "percentage"),
        (("--gate", "-5%"), "percentage"),
        (("--target", "moon:base"), "mlpack target list"),
        (("--target", "local:here"), "--target local"),
        (("--baseline", "absent.json"), "absent.json"),
        (("--seconds", "never"), "duration"),
        (("--calibrate", "board.json"), "leave MODEL away"),
        (("--calibration", "absent.json"), "leave --calibration away"),
    ],
)
def test_wrong_options_are_told(nets: Path, words: tuple[str, ...], said: str) -> None:
    done = mlpack("bench", "small.onnx", *QUICK, *words, cwd=nets)
    assert done.returncode in (1, 2) and said in done.stderr


def test_a_calibration_needs_a_board_that_times_and_fits(nets: Path, tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    code, document = mlpack_json("bench", "--calibrate", path, "--seconds", "0.6", "--processes", "2")
    if code == 1:
        assert "measured well enough" in document["error"]["message"] and not path.exists()
        return
    stored: dict[str, Any] = json.loads(path.read_text())
    assert {one["format"] for one in stored["models"]} == {"onnx", "tflite"} and len(stored["models"]) == 8
    done = mlpack("bench", "small.onnx", *QUICK, "--calibration", path, cwd=nets)
    assert done.returncode == 1 and "emulated" in done.stderr


def test_calibrating_takes_no_gate_and_no_baseline(nets: Path) -> None:
    done = mlpack("bench", "--calibrate", "board.json", "--baseline", "b.json", "--gate", "0%", cwd=nets)
    assert done.returncode == 2 and "leave --baseline and --gate away" in done.stderr
