"""`mlpack bench` on models whose inputs and outputs are unusual, as a user runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.cli.mlpack import LINE, mlpack, mlpack_json

QUICK = ("--seconds", "0.2", "--processes", "2")


def test_a_model_that_the_runtime_refuses_is_no_gate_that_says_no(tmp_path: Path) -> None:
    """Made numbers are no shape to reshape to: exit code 1, and the way to give better ones."""
    values = [
        helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 4]),
        helper.make_tensor_value_info("s", onnx.TensorProto.INT64, [2]),
        helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["a", "b"]),
    ]
    graph = helper.make_graph([helper.make_node("Reshape", ["x", "s"], ["y"])], "g", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "reshape.onnx")
    code, document = mlpack_json("bench", "reshape.onnx", *QUICK, cwd=tmp_path)
    assert code == 1 and document["error"]["kind"] == "unsupported" and "--data" in document["error"]["hint"]
    np.savez(tmp_path / "rows.npz", x=np.ones((3, 4), np.float32), s=np.array([2, 2]))
    code, document = mlpack_json("bench", "reshape.onnx", *QUICK, "--data", "rows.npz", cwd=tmp_path)
    assert code == 0 and not document["notes"]


def test_maps_are_measured_as_they_are_given_out(tmp_path: Path) -> None:
    """ZipMap's output has no array to bind: `run` is what its users call."""
    rows = helper.make_map_type_proto(
        onnx.TensorProto.STRING, helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [])
    )
    output = helper.make_value_info("y", helper.make_sequence_type_proto(rows))
    node = helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_strings=["a", "b"])
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 2])
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    graph = helper.make_graph([node], "g", [value], [output])
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=8), tmp_path / "zipmap.onnx")
    code, document = mlpack_json("bench", "zipmap.onnx", *QUICK, cwd=tmp_path)
    assert code == 0 and document["results"][0]["io"] == "run" and document["results"][0]["latency_ns"]["p50"] > 0


def test_a_metric_of_no_model_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    done = mlpack("bench", "net.onnx", "--metric", "other.onnx:accuracy=0.9", cwd=tmp_path)
    assert done.returncode == 2 and "'other.onnx'" in done.stderr
    for value in ("nan", "inf", "1e999"):
        assert mlpack("bench", "net.onnx", "--metric", f"net.onnx:accuracy={value}", cwd=tmp_path).returncode == 2


def test_a_name_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a\udcff.onnx").write_bytes(b"whatever")
    code, document = mlpack_json("bench", "a\udcff.onnx", cwd=tmp_path)
    assert code == 1 and "rename" in document["error"]["hint"]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def _relu(path: Path, width: int) -> Path:
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", width]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_profile_that_a_full_disk_cuts_off_is_refused_and_what_was_measured_is_kept(
    tiny_disk: Path, tmp_path: Path
) -> None:
    """ONNX Runtime says nothing when it cannot write: its events would add up to a part of the time."""
    _relu(tmp_path / "net.onnx", 4)
    done = mlpack("bench", "net.onnx", *QUICK, "--profile", "--json", cwd=tmp_path, TMPDIR=str(tiny_disk))
    document = json.loads(done.stdout)
    assert done.returncode == 1 and "cut off" in document["error"]["message"] and "full" in document["error"]["why"]
    assert document["results"][0]["latency_ns"] and document["results"][0]["profile"] is None
    assert not list(tiny_disk.iterdir())


def test_inputs_that_find_no_room_are_one_clear_message(tiny_disk: Path, tmp_path: Path) -> None:
    _relu(tmp_path / "net.onnx", 4096)
    done = mlpack("bench", "net.onnx", *QUICK, cwd=tmp_path, TMPDIR=str(tiny_disk))
    assert done.returncode == 1 and "No space left" in done.stderr and not list(tiny_disk.iterdir())


def test_the_page_never_replaces_what_is_measured(tmp_path: Path) -> None:
    path = _relu(tmp_path / "net.onnx", 4)
    before = path.read_bytes()
    done = mlpack("bench", "net.onnx", "--html", "./net.onnx", "--force", cwd=tmp_path)
    assert done.returncode == 2 and path.read_bytes() == before


def test_an_interrupt_while_one_of_several_models_is_opened_ends_the_run(tmp_path: Path) -> None:
    """It is no refusal of that model: nothing is measured any more."""
    for name in "abcdefgh":
        _relu(tmp_path / f"{name}.onnx", 4)
    models = [f"{name}.onnx" for name in "abcdefgh"]
    with subprocess.Popen([*LINE, "bench", *models, "--json"], cwd=tmp_path, stdout=subprocess.PIPE) as running:
        time.sleep(1.5)  # each takes some .3 s to open
        running.send_signal(signal.SIGINT)
        document = json.loads(running.communicate(timeout=60)[0])
    assert running.returncode == 1 and document["error"]["kind"] == "interrupted" and "results" not in document


def test_more_threads_than_cores_are_told(tmp_path: Path) -> None:
    _relu(tmp_path / "net.onnx", 4)
    code, document = mlpack_json("bench", "net.onnx", *QUICK, "--threads", "1000", cwd=tmp_path)
    assert code == 0 and any(note.startswith("1000 threads share") for note in document["notes"])


@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "removed"])
def test_a_file_that_changes_while_it_is_measured_is_refused(replaced: bool, tmp_path: Path) -> None:
    """Each process opens it anew: the figures would be those of two models."""
    changing, kept, other = (_relu(tmp_path / name, width) for name, width in (("a.onnx", 4), ("b.onnx", 4), ("c", 8)))
    line = [*LINE, "bench", changing.name, kept.name, "--processes", "3", "--seconds", "3s", "--json"]
    with subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE) as running:
        while not (begun := children_of_agents(running.pid)) and running.poll() is None:
            time.sleep(0.02)
        if replaced:
            other.replace(changing)
        else:
            changing.unlink()
        document = json.loads(running.communicate(timeout=120)[0])
    assert begun and running.returncode == 1
    assert [one["model"] for one in document["refused"]] == ["a.onnx"]
    assert [one["model"] for one in document["results"]] == ["b.onnx"]


def children_of_agents(pid: int) -> list[int]:
    """Processes below the children of `pid`: the agent's, each of which holds a model."""

    def below(one: int) -> list[int]:
        try:
            return [int(word) for word in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            return []

    return [grandchild for child in below(pid) for grandchild in below(child)]


def test_a_baseline_that_does_not_fit_does_not_cost_what_was_measured(tmp_path: Path) -> None:
    _relu(tmp_path / "net.onnx", 4)
    code, stored = mlpack_json("bench", "net.onnx", *QUICK, cwd=tmp_path)
    stored["results"][0]["threads"] = 7
    (tmp_path / "base.json").write_text(json.dumps(stored))
    code, document = mlpack_json("bench", "net.onnx", *QUICK, "--baseline", "base.json", "--gate", "10%", cwd=tmp_path)
    assert code == 1 and "threads 7 against 1" in document["error"]["why"]
    assert document["results"][0]["latency_ns"]["p50"] > 0 and not document["comparison"] and document["gate"] is None
