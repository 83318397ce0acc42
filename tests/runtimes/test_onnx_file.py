"""A foreign ONNX file is sound and opens, or is refused with its name, the place and the reason; nothing else happens."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlpack_edge.core.errors import BadInput, IoFault, MlpackError, Unsupported
from mlpack_edge.core.signature import METADATA_KEY, Signature, TensorSpec
from mlpack_edge.runtimes.onnx_files import wire as onnx_wire
from mlpack_edge.runtimes.onnx_files.external import fold
from mlpack_edge.runtimes.onnx_files.file import external_data, open_onnx
from mlpack_edge.runtimes.onnx_files.signature import signature_from_onnx
from mlpack_edge.runtimes.onnx_files.tensors import BITS
from mlpack_edge.runtimes.onnx_files.wire import measure
from mlpack_edge.runtimes.worker import Limits, run_isolated
from tests.runtimes.hostile_onnx import BROKEN, hidden_external, link_beside, with_external
from tests.runtimes.model_files import tiny_onnx

DATASETS = Path(onnxruntime.__file__).parent / "datasets"
#: Exported by PyTorch, OnnxMLTools and by hand; they come with the packages.
REAL = sorted(DATASETS.glob("*.onnx")) + sorted((Path(onnx.__file__).parent / "backend/test/data").rglob("model.onnx"))


def test_models_of_other_people_open() -> None:
    """All that ship with onnx and onnxruntime, except those that are wrong by the specification."""
    refused = {}
    for path in REAL:
        try:
            model = open_onnx(path)
        except MlpackError as fault:
            refused[path.parent.name] = fault.message
            continue
        assert model.SerializeToString(deterministic=True) == onnx.load(path).SerializeToString(deterministic=True)
    assert len(REAL) > 50
    assert refused == {}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_gives_one_clear_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_wire, "MAX_FIELDS", 700_000)  # coverage makes the walk eight times slower
    content, words = BROKEN[name]
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises((BadInput, Unsupported)) as caught:
        open_onnx(path)
    assert words in caught.value.message + caught.value.why
    assert str(path) in caught.value.message and caught.value.hint


@pytest.mark.long
@pytest.mark.parametrize("name", ["twenty million empty attributes", "a million nodes"])
def test_no_memory_and_little_time_is_taken_before_the_size_is_known(name: str, tmp_path: Path) -> None:
    """40 MB of empty attributes would be 4 GB of objects; they are counted, not made. The child that opens the file
    ends when it takes more than its limits: then the error is another."""
    path = tmp_path / "model.onnx"
    path.write_bytes(BROKEN[name][0])
    limits = Limits(seconds=60, memory_bytes=400 << 20)
    with pytest.raises(BadInput, match=r"too large|more than 200,000 nodes"):
        run_isolated("mlpack_edge.runtimes.inspection.onnx:onnx_facts", {"path": str(path)}, limits, "model.onnx")


def test_measuring_counts_nodes_everywhere() -> None:
    body = helper.make_graph(
        [helper.make_node("Abs", ["x"], ["z"])], "b", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)]
    )
    model = tiny_onnx()
    model.graph.node.append(helper.make_node("If", ["c"], ["w"], then_branch=body, else_branch=body))
    forest = helper.make_node("T", [], [], ints=list(range(-5, 9000)), floats=[1.5] * 9000, texts=["LEAF"] * 9000)
    model.graph.node.append(forest)
    facts = measure(model.SerializeToString())
    assert facts.nodes == 5
    assert facts.structure_bytes < 10_000_000


@pytest.mark.parametrize("share", range(100))
def test_a_file_cut_anywhere_is_refused(share: int, tmp_path: Path) -> None:
    whole = (DATASETS / "logreg_iris.onnx").read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(whole[: len(whole) * share // 100])
    with pytest.raises(BadInput, match=r"cut\.onnx"):
        open_onnx(path)


def test_flipped_bits_are_refused_or_open_but_never_crash(tmp_path: Path) -> None:
    chance = random.Random(11)
    path = tmp_path / "flipped.onnx"
    refused = 0
    for source in (DATASETS / "logreg_iris.onnx", DATASETS / "mul_1.onnx", *REAL[5:60:6]):
        whole = source.read_bytes()
        for _ in range(60):
            flipped = bytearray(whole)
            for _ in range(chance.choice([1, 2, 6])):
                flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            path.write_bytes(flipped)
            try:
                signature_from_onnx(open_onnx(path))
            except (BadInput, Unsupported) as fault:
                assert fault.hint
                refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("../outside.bin", "outside the model's folder"),
        ("sub/../../outside.bin", "outside the model's folder"),
        ("/etc/passwd", "absolute path"),
        ("//etc/passwd", "absolute path"),
        ("C:\\weights", "Windows path"),
        ("..\\outside.bin", "Windows path"),
        ("~/weights", "outside"),
        ("", "names no file"),
        (".", "names no file"),
        ("nowhere.bin", "no such file"),
        ("a\0b", "no path"),
        ("*/_ORT_MEM_ADDR_/*", "addresses in memory"),
        ("x" * 300, "too long"),
    ],
)
def test_external_data_stays_in_the_folder(location: str, words: str, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "outside.bin").write_bytes(bytes(8))
    path = with_external(folder, location)
    with pytest.raises(BadInput) as caught:
        open_onnx(path)
    assert words in caught.value.message
    assert "'w'" in caught.value.message and str(path) in caught.value.message


@pytest.mark.parametrize("how", ["symlink", "hard link", "symlinked folder", "pipe", "folder"])
def test_external_data_is_a_file_of_its_own(how: str, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    path = with_external(folder, link_beside(folder, how))
    with pytest.raises(BadInput, match=r"link|no regular file"):
        open_onnx(path)


@pytest.mark.parametrize(
    ("offset", "length", "words"),
    [
        ("0", "4", "needs 8 bytes"),
        ("0", "800", "needs 8 bytes"),
        ("12", "8", "the file has 16"),
        ("9999999999999999999", "8", "the file has 16"),
        ("-1", "8", "no number"),
        ("0x0", "8", "no number"),
        ("1" * 30, "8", "no number"),
        ("9", None, "the file has 16"),
    ],
)
def test_external_offsets_and_lengths_fit(offset: str, length: str | None, words: str, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(16))
    with pytest.raises(BadInput, match=words):
        open_onnx(with_external(tmp_path, "w.bin", offset, length))


@pytest.mark.parametrize("where", ["constant", "tensors", "sparse", "sub-graph", "function", "training"])
def test_external_data_is_found_wherever_it_hides(where: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(hidden_external(where).SerializeToString())
    with pytest.raises(BadInput, match="outside the model's folder"):
        open_onnx(path)


@pytest.mark.parametrize(("offset", "length"), [("8", "8"), ("8", None), (None, None)])
def test_good_external_data_is_folded_in(offset: str | None, length: str | None, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.bin").write_bytes(np.array([1, 2, 3, 4], np.float32).tobytes())
    path = with_external(tmp_path, "./sub/w.bin", offset, length)
    model = open_onnx(path)
    assert model.graph.initializer[0].data_location == TensorProto.EXTERNAL, "opening reads no other file"
    fold(external_data(model, path))
    expected = [3, 4] if offset else [1, 2]
    assert numpy_helper.to_array(model.graph.initializer[0]).tolist() == expected
    assert not model.graph.initializer[0].external_data


def test_a_file_swapped_for_a_link_after_the_look_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(8))
    path = with_external(tmp_path, "w.bin")
    found = external_data(open_onnx(path), path)
    (tmp_path / "secret").write_bytes(b"password")
    (tmp_path / "w.bin").unlink()
    (tmp_path / "w.bin").symlink_to("secret")
    with pytest.raises(IoFault):
        fold(found)


def test_every_element_type_of_onnx_has_a_size() -> None:
    """A new onnx brings new types: this fails until their size is known."""
    assert set(TensorProto.DataType.values()) - {0, TensorProto.STRING} == set(BITS)
    for dtype in (np.float32, np.float16, np.int64, np.uint8, np.bool_, np.complex64, np.complex128, np.uint32):
        tensor = numpy_helper.from_array(np.zeros((2, 3), dtype))
        assert len(tensor.raw_data) * 8 == 6 * BITS[tensor.data_type]


def test_unnamed_sizes_get_names_and_odd_ones_are_no_names() -> None:
    model = tiny_onnx()
    shape = model.graph.input[0].type.tensor_type.shape
    for dimension in shape.dim:
        dimension.Clear()
    shape.dim.add(dim_param="?")
    shape.dim.add(dim_value=-1)
    shape.dim.add(dim_param="time")
    (spec,) = signature_from_onnx(model).inputs
    assert spec == TensorSpec("x", "float32", ("batch", "x_dim1", "x_dim2", "x_dim3", "time"))


def test_initializers_among_the_inputs_are_no_inputs() -> None:
    model = tiny_onnx()
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [2]))
    model.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0]))
    assert [spec.name for spec in signature_from_onnx(model).inputs] == ["x"]


def _classifier(post: str, names: tuple[str, str] = ("a", "b")) -> onnx.ModelProto:
    node = helper.make_node(
        "LinearClassifier", ["x"], list(names), domain="ai.onnx.ml", coefficients=[1.0, 2.0, 3.0, 4.0],
        intercepts=[0.0, 0.0], classlabels_strings=["no", "yes"], post_transform=post,
    )  # fmt: skip
    outputs = [
        helper.make_tensor_value_info(names[0], TensorProto.STRING, ["batch"]),
        helper.make_tensor_value_info(names[1], TensorProto.FLOAT, ["batch", 2]),
    ]
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])], outputs
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 1)], ir_version=8)


@pytest.mark.parametrize(
    ("post", "name", "role"),
    [("SOFTMAX", "b", "probabilities"), ("NONE", "b", "scores"), ("NONE", "probabilities", "probabilities")],
)
def test_roles_and_classes_come_from_the_operators(post: str, name: str, role: str) -> None:
    signature = signature_from_onnx(_classifier(post, ("a", name)))
    assert [spec.role for spec in signature.outputs] == ["label", role]
    assert signature.classes == (("no", "yes") if role == "probabilities" else ())


def test_the_signature_in_the_file_comes_first() -> None:
    model = tiny_onnx()
    written = Signature((TensorSpec("x", "float32", ("rows", 2)),), (TensorSpec("y", "float32", ("rows", 2), "value"),))
    helper.set_model_props(model, {METADATA_KEY: written.dumps()})
    assert signature_from_onnx(model) == written


def test_a_map_as_output_has_no_signature() -> None:
    with pytest.raises(Unsupported, match="'probabilities' is a sequence"):
        signature_from_onnx(onnx.load(DATASETS / "logreg_iris.onnx"))
