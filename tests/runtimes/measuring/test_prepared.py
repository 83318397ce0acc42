"""A model file and the inputs it is measured with: of the user's rows, or made, every size a number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.measuring.feeds import SETS, batch_of, digest_of, sized_signature
from mlpack_edge.runtimes.measuring.plan import MOST_SAMPLES, Plan
from mlpack_edge.runtimes.measuring.prepared import prepare
from tests.runtimes.model_files import tiny_tflite


def _sum(path: Path, shape: list[Any], dtype: int = TensorProto.FLOAT) -> Path:
    values = [helper.make_tensor_value_info(name, dtype, shape) for name in "abc"]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "sum", values[:2], values[2:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_made_inputs_are_many_different_calls_and_the_same_each_time(tmp_path: Path) -> None:
    path = _sum(tmp_path / "sum.onnx", ["batch", 3])
    one, two = prepare(path), prepare(path)
    assert len(one.feeds) == SETS and one.batch == 1 and one.format == "onnx"
    assert all(feeds["a"].shape == (1, 3) and feeds["a"].dtype == np.float32 for feeds in one.feeds)
    assert len({feeds["a"].tobytes() for feeds in one.feeds}) > 1
    assert one.input_digest == two.input_digest and any("--data" in text for text in one.notes)


def test_large_inputs_are_few(tmp_path: Path) -> None:
    path = _sum(tmp_path / "sum.onnx", ["batch", 3, 512, 512])
    assert 1 <= len(prepare(path).feeds) < SETS


def test_rows_of_data_are_fed_in_their_order_and_again_where_they_are_few(tmp_path: Path) -> None:
    path = _sum(tmp_path / "sum.onnx", ["batch", 2])
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    np.savez(tmp_path / "rows.npz", a=rows, b=-rows)
    pairs = prepare(path, tmp_path / "rows.npz", batch=2)
    assert [feeds["a"][0, 0] for feeds in pairs.feeds] == [0, 4] and not pairs.notes
    assert np.array_equal(pairs.feeds[1]["b"], -rows[2:4])
    many = prepare(path, tmp_path / "rows.npz", batch=7)
    assert many.feeds[0]["a"][:, 0].tolist() == [0, 2, 4, 6, 8, 0, 2] and "repeated" in many.notes[0]
    whole = prepare(path, tmp_path / "rows.npz", rows=5)
    assert len(whole.feeds) == 5


def _graph(path: Path, node: onnx.NodeProto, inputs: list[Any], outputs: list[Any]) -> Path:
    graph = helper.make_graph([node], "g", inputs, outputs)
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=8), path)
    return path


def _value(name: str, shape: list[Any] | None, dtype: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def test_inputs_without_rows_are_fed_whole_to_each_call(tmp_path: Path) -> None:
    """A rate that is one number, and a state whose first size is not the batch, as recurrent nets have them."""
    path = _graph(
        tmp_path / "state.onnx", helper.make_node("Sum", ["x", "rate", "state"], ["y"]),
        [_value("x", ["batch", 2]), _value("rate", []), _value("state", [3, 1, 2])], [_value("y", [3, "batch", 2])],
    )  # fmt: skip
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    state = np.ones((3, 1, 2), np.float32)
    np.savez(tmp_path / "rows.npz", x=rows, rate=np.float32(16), state=state)
    made = prepare(path, tmp_path / "rows.npz")
    assert [feeds["x"].tolist() for feeds in made.feeds] == [[row] for row in rows.tolist()]
    assert all(feeds["rate"] == 16 and np.array_equal(feeds["state"], state) for feeds in made.feeds)
    np.savez(tmp_path / "rows.npz", x=rows, rate=np.ones(5, np.float32), state=state)
    with pytest.raises(BadInput, match=r"'rate' has the shape \[5\], the model takes \[\]"):
        prepare(path, tmp_path / "rows.npz")


def test_data_of_other_sizes_are_refused_with_the_sizes(tmp_path: Path) -> None:
    path = _sum(tmp_path / "sum.onnx", ["batch", 2])
    np.savez(tmp_path / "wide.npz", a=np.zeros((5, 4), np.float32), b=np.zeros((5, 4), np.float32))
    with pytest.raises(BadInput, match=r"'a' has the shape \[5, 4\], the model takes \[5, 2\]"):
        prepare(path, tmp_path / "wide.npz")
    np.savez(tmp_path / "uneven.npz", a=np.zeros((5, 2), np.float32), b=np.zeros((4, 2), np.float32))
    with pytest.raises(BadInput, match="different numbers of rows: 'a' 5, 'b' 4"):
        prepare(path, tmp_path / "uneven.npz")


def test_a_model_without_inputs_takes_no_rows(tmp_path: Path) -> None:
    node = helper.make_node("Constant", [], ["y"], value=numpy_helper.from_array(np.ones(3, np.float32)))
    path = _graph(tmp_path / "constant.onnx", node, [], [_value("y", [3])])
    np.save(tmp_path / "rows.npy", np.zeros((5, 2), np.float32))
    made = prepare(path, tmp_path / "rows.npy")
    assert not any(made.feeds) and "no inputs" in made.notes[0]


def test_outputs_may_be_what_no_tensor_is(tmp_path: Path) -> None:
    """ZipMap's, as skl2onnx makes it unless told otherwise: measured as it is used."""
    rows = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    output = helper.make_value_info("y", helper.make_sequence_type_proto(rows))
    node = helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_strings=["a", "b"])
    path = _graph(tmp_path / "zipmap.onnx", node, [_value("x", ["batch", 2])], [output])
    assert prepare(path).feeds[0]["x"].shape == (1, 2)


def test_an_input_of_unknown_rank_has_the_shape_it_is_given(tmp_path: Path) -> None:
    path = _graph(
        tmp_path / "any.onnx", helper.make_node("Relu", ["x"], ["y"]), [_value("x", None)], [_value("y", None)]
    )
    with pytest.raises(Unsupported, match="unknown rank") as caught:
        prepare(path)
    assert "--shape x=" in caught.value.hint
    made = prepare(path, shapes={"x": (3, 5)})
    assert made.batch == 3 and made.feeds[0]["x"].shape == (3, 5)


@pytest.mark.parametrize("dtype", [TensorProto.BFLOAT16, TensorProto.FLOAT8E4M3FN])
def test_element_types_that_python_has_no_arrays_of_are_refused(dtype: int, tmp_path: Path) -> None:
    node = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)
    path = _graph(tmp_path / "cast.onnx", node, [_value("x", ["batch", 4], dtype)], [_value("y", ["batch", 4])])
    with pytest.raises(Unsupported, match="float"):
        prepare(path)


def test_a_tflite_file_is_fed_by_place_in_its_own_types(tmp_path: Path) -> None:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_tflite())
    made = prepare(path)
    assert made.format == "tflite" and set(made.feeds[0]) == {"0"} and made.feeds[0]["0"].dtype == np.float32


def test_weights_beside_the_model_are_part_of_it(tmp_path: Path) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 32]) for name in "xy"]
    weights = numpy_helper.from_array(np.ones((32, 32), np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", values[:1], values[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    before = prepare(tmp_path / "m.onnx")
    assert before.beside == ("m.data",)
    assert before.bytes == sum((tmp_path / name).stat().st_size for name in ("m.onnx", "m.data"))
    block = bytearray((tmp_path / "m.data").read_bytes())
    block[0] ^= 1
    (tmp_path / "m.data").write_bytes(block)
    assert prepare(tmp_path / "m.onnx").sha256 != before.sha256


def _signature(*shapes: tuple[int | str, ...]) -> Signature:
    return Signature(tuple(TensorSpec(f"x{place}", "float32", shape) for place, shape in enumerate(shapes)), ())


def test_an_open_size_is_named_with_the_option_that_fixes_it() -> None:
    with pytest.raises(BadInput, match="'height' is open") as caught:
        sized_signature(_signature(("batch", 3, "height", "width")), {}, None)
    assert "--shape x0=1x3x" in caught.value.hint


@pytest.mark.parametrize(
    ("shapes", "batch", "said"),
    [
        ({"y": (1, 4)}, None, "no such input"),
        ({"x0": (1, 4, 4)}, None, "takes"),
        ({"x0": (1, 5)}, None, "takes"),
        ({"x0": (2, 4), "x1": (3,)}, None, "two sizes"),
        ({"x0": (2, 4)}, 3, "--batch 3"),
    ],
)
def test_sizes_that_contradict_are_refused(shapes: Any, batch: int | None, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        sized_signature(_signature(("n", 4), ("n",)), shapes, batch)


@given(batch=st.integers(1, 100), width=st.integers(1, 50), rows=st.sampled_from(["batch", "n"]))
def test_every_size_becomes_a_number_and_none_of_the_fixed_ones_changes(batch: int, width: int, rows: str) -> None:
    signature = _signature((rows, width), (rows,), (7, width))
    made = sized_signature(signature, {}, batch)
    assert [spec.shape for spec in made.inputs] == [(batch, width), (batch,), (7, width)]
    assert batch_of(made, signature) == batch


def test_a_digest_tells_names_types_and_texts_apart() -> None:
    arrays: list[dict[str, Any]] = [
        {"a": np.zeros(2, np.float32)}, {"b": np.zeros(2, np.float32)}, {"a": np.zeros(1, np.float64)},
        {"a": np.array(["x", "yz"], object)}, {"a": np.array(["xy", "z"], object)}, {"a": np.zeros((2, 1), np.float32)},
    ]  # fmt: skip
    assert len({digest_of(each) for each in arrays}) == len(arrays)


@given(seconds=st.floats(0.01, 100), processes=st.integers(1, 50))
def test_a_plan_keeps_a_bounded_number_of_samples_and_takes_turns(seconds: float, processes: int) -> None:
    told = Plan(processes=processes, seconds=seconds).to_json()
    assert told["seconds"] == pytest.approx(seconds / processes)
    assert 0 < told["turn"] <= told["seconds"]
    assert told["keep"] >= 1 and told["keep"] * told["seconds"] / told["turn"] <= 1.5 * MOST_SAMPLES
