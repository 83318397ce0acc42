"""Options of `mlpack quantize` that do not go together are refused before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.mlpack import mlpack, mlpack_json


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scheme", "static"], "--scheme dynamic, weights and fp16 need none"),
        (["--scheme", "fp16", "--method", "mse", "--data", "rows.npy"], "--method is of calibration"),
        (["--scheme", "dynamic", "--bits", "4"], "--bits goes with --scheme weights"),
        (["--metric", "f1", "--eval", "rows.csv"], "--label COLUMN"),
        (["--label", "y"], "--eval DATA"),
        (["--io", "int8", "--data", "rows.npy"], "--to tflite"),
        (["--io", "int8", "--to", "tflite"], "--data DATA"),
        (["--target", "ethos-u:ethos-u55-128", "--data", "rows.npy"], "--to tflite"),
        (["--target", "ethos-u:ethos-u55-128", "--to", "tflite"], "--data DATA"),
        (["--target", "emulated:pi4", "--max-latency", "5ms"], "needs a clock"),
        (
            ["--target", "ethos-u:ethos-u55-128", "--to", "tflite", "--data", "rows.npy", "--max-latency", "5ms"],
            "needs a clock",
        ),
        (["--target", "emulated:pi4", "--threads", "2"], "one thread"),
        (["--max-drop", "nan"], "not a number"),
        (["--max-drop", "5"], "of agreement at most 1 can be lost"),
        (["--max-drop", "1.5", "--eval", "r.csv", "--label", "y", "--metric", "auc"], "of auc at most 1 can be lost"),
        (["--max-drop", "1.5", "--eval", "r.csv", "--label", "y"], "of accuracy, which judges classes"),
        (["--max-size", "much"], "not a size"),
        (["--to", "tflite"], "small.onnx is no name for what --to tflite writes"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(words: list[str], said: str, tmp_path: Path) -> None:
    done = mlpack("quantize", "model.onnx", "-o", "small.onnx", *words, cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_output_has_to_be_named(tmp_path: Path) -> None:
    done = mlpack("quantize", "model.onnx", cwd=tmp_path)
    assert done.returncode == 2 and "-o" in done.stderr


def test_a_tflite_file_is_refused_with_the_line_that_does_it_from_onnx(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(b"\x20\0\0\0TFL3" + bytes(64))
    code, document = mlpack_json("quantize", "net.tflite", "-o", "small.tflite", cwd=tmp_path)
    assert code == 1 and document["error"]["kind"] == "unsupported"
    assert document["error"]["hint"] == "mlpack quantize net.onnx --to tflite -o small.tflite"
    _, document = mlpack_json("quantize", "net.tflite", "-o", "small.onnx", cwd=tmp_path)
    assert document["error"]["hint"] == "mlpack quantize net.onnx --to tflite -o small.tflite"


def test_onnx_is_not_written_under_the_name_of_tflite(tmp_path: Path) -> None:
    done = mlpack("quantize", "net.onnx", "-o", "small.tflite", cwd=tmp_path)
    assert done.returncode == 2 and "--to onnx" in done.stderr


def test_an_existing_output_is_kept(tmp_path: Path) -> None:
    (tmp_path / "small.onnx").write_bytes(b"precious")
    code, document = mlpack_json("quantize", "net.onnx", "-o", "small.onnx", cwd=tmp_path)
    assert code == 1 and document["error"]["kind"] == "output-exists"
    assert (tmp_path / "small.onnx").read_bytes() == b"precious"


def test_a_model_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    done = mlpack("quantize", "net.onnx", "-o", "small.onnx", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.startswith("error: net.onnx")
    assert not list(tmp_path.iterdir())
