"""`mlpack convert` and `mlpack check` on real files, and on what is none."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.core.signature import signature_from_json
from mlpack_edge.runtimes.onnxruntime import open_session, run
from tests.cli.mlpack import LINE, mlpack, mlpack_json


def test_convert_writes_the_file_and_the_keys_of_the_contract(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "plain.onnx"
    code, document = mlpack_json("convert", models / "plain.skops", "-o", out, cwd=tmp_path)
    assert code == 0
    assert set(document["source"]) >= {"kind", "path", "sha256"}
    assert document["output"]["bytes"] == out.stat().st_size
    assert document["parity"]["passed"] and document["parity"]["rows"] >= 1000
    assert document["seconds"] > 0
    label = next(o for o in document["parity"]["outputs"] if o["name"] == "label")
    assert label["label_flips"] == 0
    assert signature_from_json(document["signature"]).classes == (0, 1)


def test_the_same_input_and_options_give_the_same_bytes(models: Path, tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        assert mlpack("convert", models / "table.skops", "-o", tmp_path / name, cwd=tmp_path).returncode == 0
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_raw_row_of_a_data_frame_goes_in(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.onnx"
    assert mlpack("convert", models / "table.skops", "-o", out, "--data", models / "holdout.csv").returncode == 0
    row = {"size": np.array([[0.1]]), "weight": np.array([[12.0]]), "city": np.array([["Köln"]], object)}
    made = run(open_session(out), row)
    assert made["label"].tolist()[0] in ("ja", "nein") and made["probabilities"].shape == (1, 2)


def test_check_agrees_with_the_source_and_not_with_another_model(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "table.onnx"
    assert mlpack("convert", models / "table.skops", "-o", out).returncode == 0
    code, document = mlpack_json("check", models / "table.skops", out, "--data", models / "holdout.csv")
    assert code == 0 and document["parity"]["groups"]["data"] == 400
    other = tmp_path / "other.onnx"
    other.write_bytes(_with_other_weights(out.read_bytes()))
    code, document = mlpack_json("check", models / "table.skops", other, "--data", models / "holdout.csv")
    assert code == 3 and document["error"]["kind"] == "check-failed"
    assert document["parity"]["outputs"][0]["label_flips"] > 0
    assert document["parity"]["first_divergence"]["step"].startswith("pipeline.steps[0]")


def _with_other_weights(data: bytes) -> bytes:
    """Move every float64 constant that the scaler uses."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(data)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.DOUBLE and 1 < np.prod(tensor.dims) <= 2:
            array = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(array * 1.5 + 0.5, tensor.name))
    return model.SerializeToString()


def test_a_pickle_is_refused_with_its_digest_and_runs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> object:
            return (os.system, (f"touch {marker}",))

    import pickle

    path = tmp_path / "model.onnx"  # the suffix lies; the content decides
    path.write_bytes(pickle.dumps(Bomb()))
    done = mlpack("convert", path, "-o", tmp_path / "out.onnx", cwd=tmp_path)
    assert done.returncode == 1 and "sha256" in done.stderr and "--trust-pickle" in done.stderr
    done = mlpack("check", path, path, cwd=tmp_path)
    assert done.returncode == 1
    done = mlpack("inspect", path, cwd=tmp_path)
    assert not marker.exists()


def test_a_joblib_file_is_loaded_where_it_is_trusted(models: Path, tmp_path: Path) -> None:
    done = mlpack("convert", models / "plain.joblib", "--trust-pickle", "-o", tmp_path / "o.onnx", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_skops_file_with_an_unknown_function_names_it(tmp_path: Path) -> None:
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    skops.io.dump(FunctionTransformer(os.system), tmp_path / "evil.skops")
    done = mlpack("convert", tmp_path / "evil.skops", cwd=tmp_path)
    assert done.returncode == 1 and "posix.system" in done.stderr


@pytest.mark.parametrize("content", [b"", b"\0", b"{}", b"hello", b"PK\x03\x04", b"\x80\x04", b"\x08\x0a", b"TFL3" * 9])
def test_what_is_no_model_is_one_clear_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes(content)
    done = mlpack("convert", path, "-o", tmp_path / "o.onnx", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and "\n  next: " in done.stderr
    assert list(tmp_path.iterdir()) == [path]


def test_every_truncation_of_a_real_file_is_one_clear_error(models: Path, tmp_path: Path) -> None:
    whole = (models / "plain.skops").read_bytes()
    for percent in (1, 50, 99):
        path = tmp_path / "cut.skops"
        path.write_bytes(whole[: len(whole) * percent // 100])
        done = mlpack("convert", path, "-o", tmp_path / "o.onnx", cwd=tmp_path)
        assert done.returncode == 1 and done.stderr.startswith("error: "), done.stderr


def test_an_existing_output_is_kept_unless_forced(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.onnx"
    out.write_text("mine")
    done = mlpack("convert", models / "plain.skops", "-o", out)
    assert done.returncode == 1 and "--force" in done.stderr and out.read_text() == "mine"
    assert mlpack("convert", models / "plain.skops", "-o", out, "--force").returncode == 0
    assert out.read_bytes()[:1] != b"m"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(models: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = mlpack("convert", models / "plain.skops", "-o", tmp_path / "o.onnx")
    assert done.returncode == 1 and "cannot be written" in done.stderr


def test_a_full_disk_is_one_clear_error_and_nothing_is_left(models: Path, tmp_path: Path) -> None:
    """A limit on the file size stands for the full disk: the write itself fails, in the child."""
    line = [*LINE, "convert", str(models / "table.skops"), "-o", str(tmp_path / "o.onnx")]

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

    # Coverage writes files of its own, which the limit would hit too.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(line, capture_output=True, text=True, check=False, preexec_fn=limit, env=environment)
    assert done.returncode == 1 and "could not be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_in_the_middle_leaves_nothing(models: Path, tmp_path: Path, number: signal.Signals) -> None:
    line = [*LINE, "convert", str(models / "table.skops"), "-o", str(tmp_path / "o.onnx"), "--rows", "2000000"]
    running = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".*.part")) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(number)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 1
    assert errors.startswith("error: interrupted") and "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_stop_before_converts_the_steps_before(models: Path, tmp_path: Path) -> None:
    code, document = mlpack_json(
        "convert", models / "plain.skops", "--stop-before", "logisticregression", "-o", tmp_path / "o.onnx"
    )
    assert code == 0
    assert [output["name"] for output in document["signature"]["outputs"]] == ["transformed"]
    code, document = mlpack_json("convert", models / "plain.skops", "--stop-before", "nope", "-o", tmp_path / "p.onnx")
    assert code == 1 and "standardscaler, logisticregression" in document["error"]["hint"]


def test_wrong_usage_is_exit_code_2_with_json_too(tmp_path: Path) -> None:
    assert mlpack("convert").returncode == 2
    code, document = mlpack_json("convert", "x", "--shape", "nonsense")
    assert code == 2 and document["error"]["kind"] == "usage"
    assert mlpack("convert", tmp_path / "none.skops").returncode == 1


def test_a_time_limit_ends_it(models: Path, tmp_path: Path) -> None:
    done = mlpack("convert", models / "plain.skops", "-o", tmp_path / "o.onnx", "--time-limit", "100ms", cwd=tmp_path)
    assert done.returncode == 1 and "--time-limit" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_list_supported_names_sources_and_steps() -> None:
    code, document = mlpack_json("convert", "--list-supported")
    assert code == 0
    by = {step["class"]: step["by"] for step in document["steps"]}
    assert by["sklearn.ensemble.RandomForestClassifier"] == "mlpack"
    assert {"skops", "pickle", "lightgbm", "onnx", "torch"} <= set(document["sources"])


def test_an_input_is_never_overwritten(models: Path, tmp_path: Path) -> None:
    source = tmp_path / "m.skops"
    source.write_bytes((models / "plain.skops").read_bytes())
    before = source.read_bytes()
    done = mlpack("convert", source, "-o", source, "--force")
    assert done.returncode == 1 and "is the input" in done.stderr
    assert source.read_bytes() == before


def test_force_replaces_files_and_nothing_else(models: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "o.onnx"
    os.mkfifo(pipe)
    done = mlpack("convert", models / "plain.skops", "-o", pipe, "--force")
    assert done.returncode == 1 and "no regular file" in done.stderr
    assert pipe.is_fifo()


def test_a_source_that_changes_while_it_is_read_is_refused(models: Path, tmp_path: Path) -> None:
    """The lineage must name the bytes that were converted."""
    from mlpack_edge.converters import jobs
    from mlpack_edge.core.errors import BadInput

    source = tmp_path / "m.skops"
    source.write_bytes((models / "plain.skops").read_bytes())

    def stage(text: str) -> None:
        if text.startswith("converting"):
            source.write_bytes((models / "table.skops").read_bytes())

    payload = {"source": str(source), "output": "o", "draft": str(tmp_path / "draft"), "rows": 10, "data": None}
    with pytest.raises(BadInput, match="changed while it was read"):
        jobs.convert(payload, stage)


@pytest.mark.parametrize("source", ["", ".", "x" * 5000, "no/such/file", "pkg.mod:attr"])
def test_a_strange_source_is_one_clear_error(source: str, tmp_path: Path) -> None:
    code, document = mlpack_json("convert", source, cwd=tmp_path)
    assert code == 1 and document["error"]["message"]


def test_names_that_are_no_utf8_do_not_break_the_document(tmp_path: Path) -> None:
    name = os.fsdecode(b"bad\xff\xfe.json")
    (tmp_path / name).write_bytes(b"{}")
    done = subprocess.run([*LINE, "inspect", name, "--json"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 1 and done.stdout.decode("utf-8")


@pytest.mark.parametrize(
    "words", [["--rtol", "-1"], ["--rtol", "nan"], ["--memory-limit", "0"], ["--time-limit", "9" * 400]]
)
def test_numbers_that_mean_nothing_are_wrong_usage(words: list[str], models: Path) -> None:
    assert mlpack("convert", models / "plain.skops", *words).returncode == 2


def test_a_module_beside_the_demo_is_not_imported(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    marker = tmp_path / "ran"
    (folder / "click.py").write_text(f"open({str(marker)!r}, 'w')")
    mlpack("demo", "--quick", "-o", folder)
    assert not marker.exists()
