"""Files that nobody vouches for: in a child process they give answers or one clear error, and harm nothing here."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.core.errors import BadInput, CheckFailed, MlpackError, WorkerFault
from mlpack_edge.core.signature import Column, Signature, TensorSpec
from mlpack_edge.runtimes.litert.isolated import run_file, why_not_loaded
from mlpack_edge.runtimes.litert.model_file import read_model
from mlpack_edge.runtimes.litert.runner import LitertOptions, LitertRunner
from mlpack_edge.runtimes.parity import RowsRefused
from mlpack_edge.runtimes.worker import Limits
from tests.runtimes.tflite_models import OP, Op, Tensor, add, coded, endless, mlp, mlp_answer, tflite


def _write(folder: Path, model: bytes) -> Path:
    path = folder / "model.tflite"
    path.write_bytes(model)
    return path


def test_it_gives_what_the_runner_gives_intermediate_tensors_too(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    options = LitertOptions(preserve_all_tensors=True)
    made = run_file(_write(tmp_path, mlp()), {"x": x}, options, tensors=["hidden"])
    assert list(made) == ["y", "hidden"]
    np.testing.assert_array_equal(made["y"], LitertRunner(mlp(), options=options).run({"x": x})["y"])
    np.testing.assert_allclose(made["y"], mlp_answer(x), atol=1e-6)


def test_texts_travel_both_ways(tmp_path: Path) -> None:
    signature = Signature(
        (TensorSpec("town", "int32", ("batch", 1)),),
        (TensorSpec("label", "int32", ("batch",), "label"), TensorSpec("codes", "int32", ("batch", 1))),
        (Column("town", "text", "town", 0, ("b", "é")),),
        ("no", "ja"),
    )
    path = _write(tmp_path, coded(1, "int32", signature))
    made = run_file(path, {"town": np.array([["é"], ["b"]], object)}, LitertOptions(decode=True))
    assert made["label"].tolist() == ["ja", "no"] and made["label"].dtype == object
    with pytest.raises(BadInput, match="no texts"):
        run_file(path, {"town": np.array([[None]], object)})


def test_refusals_keep_their_kind(tmp_path: Path) -> None:
    path = _write(tmp_path, mlp(3))
    with pytest.raises(RowsRefused, match="batches of 3 rows"):
        run_file(path, {"x": np.zeros((2, 3), np.float32)})
    with pytest.raises(BadInput, match="fed float64"):
        run_file(path, {"x": np.zeros((3, 3))})
    with pytest.raises(CheckFailed) as caught:
        run_file(_write(tmp_path, add(code=OP.CUSTOM, custom="MyOp")), {"x": np.zeros((1, 2), np.float32)})
    assert "MyOp" in caught.value.why


def test_a_file_that_ends_the_process_is_one_error(tmp_path: Path) -> None:
    """ADD of uint8 without scales: LiteRT calls abort()."""
    path = _write(tmp_path, add(dtype="uint8"))
    with pytest.raises(WorkerFault, match="died with SIGABRT"):
        run_file(path, {"x": np.zeros((1, 2), np.uint8)})
    assert "SIGABRT" in str(why_not_loaded(path))


def test_a_file_that_never_ends_is_stopped(tmp_path: Path) -> None:
    reason = why_not_loaded(_write(tmp_path, endless()), limits=Limits(seconds=3))
    assert reason is not None and "no end after 3 s" in reason


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (add(code=OP.CUSTOM, custom="MyOp"), "MyOp"),
        (add(code=900), "900"),
        (add(version=99), "ADD"),
        (b"\x1c\0\0\0TFL3", "not opened"),
        (b"", "not opened"),
    ],
    ids=["custom operator", "unknown code", "later version", "only a head", "empty"],
)
def test_the_reason_is_one_line(model: bytes, reason: str, tmp_path: Path) -> None:
    said = why_not_loaded(_write(tmp_path, model))
    assert said is not None and reason in said and "\n" not in said


def test_sound_files_load(tmp_path: Path) -> None:
    """Also one that has nothing to do at the size 1 that stands in it for a size that varies."""
    assert why_not_loaded(_write(tmp_path, mlp())) is None
    convolution = tflite(
        [
            Tensor("x", [-1, -1, -1, 1]), Tensor("w", [1, 3, 3, 1], data=np.ones((1, 3, 3, 1))),
            Tensor("b", [1], data=np.zeros(1)), Tensor("y", [-1, -1, -1, 1]),
        ],
        [Op(OP.CONV_2D, ["x", "w", "b"], ["y"], ("Conv2D", {"padding": 1, "strideW": 1, "strideH": 1}))], ["x"], ["y"],
    )  # fmt: skip
    assert why_not_loaded(_write(tmp_path, convolution)) is None
    x = np.arange(25, dtype=np.float32).reshape(1, 5, 5, 1)
    assert LitertRunner(convolution).run({"x": x})["y"][0, 0, 0, 0] == x[0, :3, :3].sum()


def test_cut_and_flipped_files_are_read_or_refused_in_this_process() -> None:
    """Names and metadata are read without any library: no offset leads out of the file."""
    whole = mlp(signature=Signature((), ()))
    chance = random.Random(4)
    refused = 0
    for trial in range(3000):
        if trial < 300:
            damaged = bytearray(whole[: chance.randrange(len(whole))])
        else:
            damaged = bytearray(whole)
            for _ in range(chance.choice([1, 2, 5])):
                damaged[chance.randrange(len(whole))] = chance.choice([0, 255, chance.randrange(256)])
        try:
            read_model(bytes(damaged))
        except BadInput as fault:
            refused += 1
            assert fault.hint
    assert refused > 300


@pytest.mark.long
def test_flipped_files_are_answered_or_one_error(tmp_path: Path) -> None:
    whole = mlp()
    chance = random.Random(7)
    x = np.zeros((2, 3), np.float32)
    faults = 0
    for _ in range(25):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path = _write(tmp_path, bytes(damaged))
        try:
            run_file(path, {"x": x}, limits=Limits(seconds=20))
        except (MlpackError, RowsRefused) as fault:
            faults += 1
            assert str(fault) and "Traceback" not in str(fault)
    assert 0 < faults < 25
