"""One reading of the rows gives the exact extremes of every tensor asked for, and says what is odd about the rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mlpack_edge.converters.quantization.calibration import calibrate as module
from mlpack_edge.converters.quantization.calibration.calibrate import calibrate
from mlpack_edge.converters.quantization.calibration.watching import Watch
from mlpack_edge.converters.quantization.static.view import View
from mlpack_edge.converters.quantization.values import Method
from mlpack_edge.core.errors import BadInput, CheckFailed
from mlpack_edge.core.signature import Column, Signature, TensorSpec

Array = NDArray[Any]
ALL: tuple[Method, ...] = ("minmax", "percentile", "entropy", "mse")
RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.standard_normal((4, 6)).astype(np.float32)


def net(batch: int | str = "n") -> onnx.ModelProto:
    nodes = [
        helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.float32(2))),
        helper.make_node("MatMul", ["x", "w"], ["product"]),
        helper.make_node("Mul", ["product", "scale"], ["scaled"]),
        helper.make_node("Relu", ["scaled"], ["relu"]),
        helper.make_node("ArgMax", ["relu"], ["label"], axis=1),
        helper.make_node("Slice", ["relu", "zero", "zero"], ["none"]),
        helper.make_node("Mul", ["relu", "two"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "net",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 4]),
            helper.make_tensor_value_info("scale", TensorProto.FLOAT, []),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 6])],
        [numpy_helper.from_array(WEIGHTS, "w"), numpy_helper.from_array(np.zeros(1, np.int64), "zero")],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def batches(rows: Array, size: int) -> list[dict[str, Array]]:
    return [{"x": rows[at : at + size], "scale": np.array(3, np.float32)} for at in range(0, len(rows), size)]


def rows_of(count: int) -> Array:
    return np.random.default_rng(1).standard_normal((count, 4)).astype(np.float32)


def test_extremes_are_exact_and_what_has_no_range_has_none() -> None:
    rows = rows_of(500)
    told: list[int] = []
    names = ["y", "x", "product", "relu", "label", "none", "w", "two", "scale"]
    found = calibrate(net(), names, batches(rows, 64), ALL, told.append)
    product = rows @ WEIGHTS
    assert found.rows == sum(told) == 500
    assert list(found.ranges("minmax")) == ["y", "x", "product", "relu", "scale"]
    ranges = {name: held.whole for name, held in found.ranges("minmax").items()}
    assert ranges["x"] == (rows.min(), rows.max())
    assert ranges["product"] == pytest.approx((product.min(), product.max()))
    assert ranges["y"] == (0, pytest.approx(product.max() * 6))
    assert ranges["scale"] == (0, 3)  # every range holds zero
    for method in ALL:
        assert all(held.low.shape == held.high.shape == () for held in found.ranges(method).values())


def test_one_extreme_row_in_the_first_batch_is_not_averaged_away() -> None:
    """Moving averages, as other tools have them, clip."""
    rows = rows_of(1000)
    rows[3, 2] = 50
    assert calibrate(net(), ["x"], batches(rows, 10), ["minmax"]).ranges("minmax")["x"].whole[1] == 50


def test_columns_are_kept_apart_where_asked_for() -> None:
    rows = rows_of(300) * np.array([1, 1000, 0, 1e-6], np.float32)
    found = calibrate(net(), ["x", "relu"], batches(rows, 64), ALL, columns=frozenset({"x"}))
    held = found.ranges("minmax")["x"]
    np.testing.assert_array_equal(held.low, np.minimum(rows.min(axis=0), 0))
    np.testing.assert_array_equal(held.high, np.maximum(rows.max(axis=0), 0))
    for method in ALL:
        assert found.ranges(method)["x"].high.shape == (4,)
        assert found.ranges(method)["relu"].high.shape == ()
        assert np.all(found.ranges(method)["x"].high <= held.high)


def test_the_same_histograms_whatever_the_batches_groups_and_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["x", "product", "scaled", "relu", "y"]
    expected = calibrate(net(), names, batches(rows_of(200), 200), ALL)
    monkeypatch.setattr(module, "PIECE_BYTES", 1)  # a row at a time
    monkeypatch.setattr(module, "GROUP_BYTES", 48)  # two tensors at a time
    for weights, iterator in ((1 << 29, False), (0, False), (0, True)):
        monkeypatch.setattr(module, "WEIGHT_BYTES", weights)
        stream = batches(rows_of(200), 70)
        told: list[int] = []
        found = calibrate(net(), names, iter(stream) if iterator else stream, ALL, told.append)
        assert sum(told) == found.rows == 200
        for name in names:
            one, other = found.histograms[name], expected.histograms[name]
            np.testing.assert_allclose(one.high, other.high, rtol=1e-6)  # sums may be taken in another order
            assert one.counts.sum() == other.counts.sum()
            np.testing.assert_array_equal(one.zeros, other.zeros)


def test_an_initializer_that_callers_may_replace_is_observed_like_an_input() -> None:
    """The reader of the graph takes it for an activation, and asks for its range."""
    model = net()
    model.graph.initializer.append(numpy_helper.from_array(np.float32(3), "scale"))
    assert View(model).constant("scale") is None
    kept = [{"x": rows_of(150)}]
    assert calibrate(model, ["scale"], kept, ["minmax"]).ranges("minmax")["scale"].whole == (0, 3)
    replaced = [{"x": rows_of(150), "scale": np.array(5, np.float32)}]
    assert calibrate(model, ["scale"], replaced, ["minmax"]).ranges("minmax")["scale"].whole == (0, 5)


def test_a_fixed_batch_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE_BYTES", 1)
    found = calibrate(net(8), ["relu"], batches(rows_of(200), 8), ["minmax"])
    assert found.rows == 200
    with pytest.raises(CheckFailed, match="from row 8 "):
        calibrate(net(8), ["relu"], batches(rows_of(12), 8), ["minmax"])


def test_nan_and_infinity_are_named_with_their_tensor_and_row() -> None:
    rows = rows_of(300)
    rows[217, 1] = np.nan
    found = calibrate(net(), ["x", "product"], batches(rows, 50), ALL)
    assert found.ranges("mse") == {}
    assert found.refused["product"] == "holds NaN in row 217 (counted from 0)"
    assert found.refused["x"] == "holds NaN in row 217 (counted from 0)"
    assert found.warnings == ()  # a mask of infinities is no fault where nobody needs its range
    rows[217, 1] = -np.inf
    shifted = calibrate(net(), ["x"], batches(rows, 50), ["minmax"], place_of=lambda row: 2 * row)
    assert shifted.refused["x"] == "holds minus infinity in row 434 (counted from 0)"


def test_a_row_that_is_no_number_is_named_wherever_its_batch_was_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlpack_edge.converters.quantization.calibration.calibrate.PIECE_BYTES", 1 << 9)
    rows = rows_of(300)
    rows[217, 1] = np.nan
    found = calibrate(net(), ["x", "product"], batches(rows, 150), ["minmax"])
    assert set(found.refused.values()) == {"holds NaN in row 217 (counted from 0)"}


def test_few_rows_constants_and_strangers_are_warned_of() -> None:
    signature = Signature(
        (TensorSpec("x", "float32", ("n", 4)), TensorSpec("scale", "float32", ())), (),
        (
            Column("age", "numeric", "x", 0), Column("colour", "categorical", "x", 1, categories=(1, 2)),
            Column("shape", "categorical", "x", 2, categories=(0, 1, 2, 3)), Column("size", "numeric", "x", 3),
        ),
    )  # fmt: skip
    rows = rows_of(150)
    rows[:, 1:3] = np.random.default_rng(0).integers(0, 4, (150, 2))
    found = calibrate(net(), ["relu"], batches(rows, 64), ["minmax"], signature=signature)
    strangers = int(((rows[:, 1] == 0) | (rows[:, 1] == 3)).sum())
    assert found.warnings == (
        f"column 'colour' holds values that the model does not know, in {strangers} rows: 0.0, 3.0",
    )
    rows[:, 3] = 7
    rows[9, 0] = np.nan
    few = calibrate(net(), ["relu"], batches(rows[:90], 64), ["minmax"], signature=signature)
    said = "\n".join(few.warnings)
    assert "only 90 calibration rows" in said
    assert "the same value in all 90 calibration rows: column 'size';" in said
    assert "column 'age' is missing in 1 row," in said
    constant = calibrate(net(), ["relu"], batches(np.ones((200, 4), np.float32), 50), ["minmax"])
    assert "calibration rows: input 'x';" in constant.warnings[0]


def test_a_good_set_of_rows_is_not_warned_of() -> None:
    assert calibrate(net(), ["relu"], batches(rows_of(100), 64), ALL).warnings == ()


@pytest.mark.parametrize("weights", [1 << 29, 0], ids=["one reading", "a reading a group"])
def test_at_the_end_of_its_time_it_gives_what_the_rows_so_far_hold(
    monkeypatch: pytest.MonkeyPatch, weights: int
) -> None:
    """The clock moves a second each time it is read; several readings end at the same row."""
    monkeypatch.setattr(module, "PIECE_BYTES", 1)  # a row at a time
    monkeypatch.setattr(module, "GROUP_BYTES", 48)
    monkeypatch.setattr(module, "WEIGHT_BYTES", weights)
    rows, names = rows_of(200), ["x", "product", "scaled", "relu", "y"]
    ticks = iter(range(10_000))
    found = calibrate(net(), names, batches(rows, 70), ALL, clock=lambda: float(next(ticks)), until=30.0)
    assert not found.complete and 1 <= found.rows <= 30
    expected = calibrate(net(), names, batches(rows[: found.rows], 70), ALL)
    assert expected.complete
    for name in names:
        assert found.histograms[name].high == pytest.approx(expected.histograms[name].high)
        assert found.histograms[name].counts.sum() == expected.histograms[name].counts.sum()
    nothing = calibrate(net(), names, batches(rows, 70), ALL, clock=lambda: 1.0, until=0.0)
    assert nothing.rows == 1 and not nothing.complete


def test_without_rows_or_for_another_method_there_is_nothing() -> None:
    with pytest.raises(BadInput, match="no calibration rows"):
        calibrate(net(), ["x"], [], ["minmax"])
    found = calibrate(net(), ["x"], batches(rows_of(100), 50), ["minmax"])
    with pytest.raises(ValueError, match="asked for minmax, not for mse"):
        found.ranges("mse")


def test_sequences_of_several_lengths_and_sub_graphs_that_read_from_outside() -> None:
    then = helper.make_graph(
        [helper.make_node("Add", ["doubled", "doubled"], ["inner"])], "then", [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)],
    )  # fmt: skip
    other = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["outer"])], "else", [],
        [helper.make_tensor_value_info("outer", TensorProto.FLOAT, None)],
    )  # fmt: skip
    nodes = [
        helper.make_node("Add", ["x", "x"], ["doubled"]),
        helper.make_node("If", ["flag"], ["chosen"], then_branch=then, else_branch=other),
        helper.make_node("Neg", ["chosen"], ["y"]),
    ]
    infos = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "time", 3]),
        helper.make_tensor_value_info("flag", TensorProto.BOOL, []),
    ]
    graph = helper.make_graph(nodes, "g", infos, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    stream = [{"x": np.full((10, 5 + at, 3), at, np.float32), "flag": np.array(at == 4)} for at in range(12)]
    found = calibrate(model, ["chosen", "y"], stream, ["minmax"])
    assert found.ranges("minmax")["chosen"].whole == (0, 16)
    assert found.ranges("minmax")["y"].whole == (-16, 0)


def calibrated_images(folder: Path, rows: int, *net: int) -> tuple[int, int]:
    """(rows, peak memory in bytes) of a process that calibrates a net on images of 640x640."""
    path = folder / "images.npy"
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, 3, 640, 640)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + rows * 3 * 640 * 640 * 4)  # no bytes of the disk: all zeros
    script = Path(__file__).with_name("calibrate_images.py")
    command = [sys.executable, script, path, *map(str, net)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=500)
    found, peak = map(int, done.stdout.split())
    return found, peak


@pytest.mark.long
def test_many_large_images_take_little_memory(tmp_path: Path) -> None:
    """ONNX Runtime's own calibration of 1,000 such images took over 100 GB."""
    rows, peak = calibrated_images(tmp_path, 150, 2, 3, 3, 16, 32, 32)
    assert rows == 150
    assert peak < 500_000_000


@pytest.mark.long
def test_tensors_that_are_large_together_are_not_held_together(tmp_path: Path) -> None:
    """One image gives ten tensors of 105 MB."""
    rows, peak = calibrated_images(tmp_path, 2, 1, 1, 3, 64, 64, 64, 64, 64)
    assert rows == 2
    assert peak < 800_000_000


def test_extremes_of_channels_are_those_of_all_rows_whatever_the_batches() -> None:
    x = np.random.default_rng(5).normal(size=(40, 3, 4, 4)).astype(np.float32)
    x[17, 2, 1, 1], x[38, 0] = 90, -40
    for size in (1, 7, 40):
        watch = Watch(["minmax"], frozenset(), int, frozenset({"x", "y", "other"}))
        for start in range(0, 40, size):
            watch.see("x", x[start : start + size], start, size)
            watch.see("plain", x[start : start + size], start, size)
            watch.see("other", x[start : start + size, : 1 + start % 2], start, size)
            watch.see("y", np.where(start + size >= 40, np.nan, x[start : start + size]), start, size)
        assert set(watch.channels) - {"other"} == {"x"}
        np.testing.assert_array_equal(watch.channels["x"][0], x.min(axis=(0, 2, 3)))
        np.testing.assert_array_equal(watch.channels["x"][1], x.max(axis=(0, 2, 3)))
    assert "other" in watch.channels, "one width"
    watch.see("other", x, 40, 40)
    watch.see("other", x, 80, 40)
    assert "other" not in watch.channels
