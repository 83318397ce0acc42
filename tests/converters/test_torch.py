"""PyTorch modules become ONNX graphs that are right for every size, or are refused by name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

from mlpack_edge.converters.onnx_from_torch.capture import refuse_guarded
from mlpack_edge.converters.onnx_from_torch.convert import Prepared, TorchOptions, convert, prepare
from mlpack_edge.converters.onnx_from_torch.inputs import InputPlan
from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.onnxruntime import open_session, run
from mlpack_edge.runtimes.torch.module import run_module

torch = pytest.importorskip("torch", reason="the extra [torch] is not installed")
nets = pytest.importorskip("tests.converters.torch_nets")

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore:.*:UserWarning:torch.*")]

Shapes = Mapping[str, tuple[int | str, ...]]
B, T = "batch", "time"

NETS: dict[str, tuple[Callable[[], Any], Shapes, Mapping[str, str]]] = {
    "mlp": (lambda: nets.Mlp(), {"x": (B, 4)}, {}),
    "residual": (lambda: nets.Residual(), {"x": (B, 3, "h", "w")}, {}),
    "lstm": (lambda: nets.Recurrent(), {"x": (B, T, 4)}, {}),
    "gru": (lambda: nets.Recurrent("GRU", bidirectional=True, num_layers=2), {"x": (B, T, 4)}, {}),
    "encoder": (lambda: nets.Encoder(), {"x": (B, T, 8)}, {}),
    "tokens": (lambda: nets.Tokens(), {"ids": (B, T)}, {}),
    "named": (lambda: nets.Named(), {"x": (B, 5)}, {}),
    "two": (
        lambda: nets.Two(),
        {"x": (B, 3, 4), "y": (B, "k", 4), "mask": (B, 3, "k"), "scale": (B, 1, 1)},
        {"mask": "bool"},
    ),
    "normed": (lambda: nets.Normed(), {"x": (B, T, 8)}, {}),
    "chosen": (lambda: nets.Chosen(), {"x": (B, 2)}, {}),
    "half": (lambda: nets.Mlp().half(), {"x": (B, 4)}, {}),
    "ready": (lambda: nets.Ready(), {}, {}),
}  # fmt: skip


@cache
def converted(name: str) -> tuple[Any, Prepared, onnx.ModelProto, Signature]:
    """Each net is exported once for all tests of this file."""
    build, shapes, dtypes = NETS[name]
    torch.manual_seed(0)
    module = build().eval()
    prepared = prepare(module, TorchOptions(shapes, dtypes))
    return module, prepared, *prepared.lower()


def feeds_for(prepared: Prepared, sizes: Mapping[str, int]) -> dict[str, Any]:
    random = np.random.default_rng(sum(sizes.values()))
    feeds: dict[str, Any] = {}
    for spec in prepared.inputs.specs:
        shape = [sizes[size] if isinstance(size, str) else size for size in spec.shape]
        whole = random.integers(0, prepared.inputs.bounds.get(spec.name, 2), shape)
        feeds[spec.name] = (random.standard_normal(shape) if "float" in spec.dtype else whole).astype(spec.dtype)
    return feeds


@pytest.mark.parametrize("name", NETS)
def test_graph_gives_what_the_module_gives_at_batch_1_2_and_7_and_other_free_sizes(name: str) -> None:
    module, prepared, model, signature = converted(name)
    session = open_session(model.SerializeToString())
    least = prepared.inputs.limits.get(T, (1, None))[0]
    for batch, steps, side in ((1, 5, 8), (2, max(least, 1), 9), (7, 13, 3)):
        feeds = feeds_for(prepared, {B: batch, T: steps, "h": side, "w": side + 4, "k": steps})
        expected, made = run_module(module, signature, feeds), run(session, feeds)
        assert list(made) == [spec.name for spec in signature.outputs]
        for spec in signature.outputs:
            assert made[spec.name].dtype == expected[spec.name].dtype == spec.dtype
            tolerance = 5e-3 if spec.dtype == "float16" else 1e-5
            np.testing.assert_allclose(made[spec.name], expected[spec.name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", NETS)
def test_graph_holds_free_sizes_by_name_and_nothing_of_this_machine(name: str) -> None:
    _module, _prepared, model, signature = converted(name)
    onnx.checker.check_model(model, full_check=True)
    for spec, value in zip(signature.inputs, model.graph.input, strict=True):
        dims = tuple(dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim)
        assert (value.name, dims) == (spec.name, spec.shape)
        assert spec.shape[0] == B
    assert all(spec.shape[0] == B for spec in signature.outputs)
    text = model.SerializeToString()
    for trace in (b"/site-packages", b".py", b"pkg.torch", b"stack_trace", str(Path.cwd()).encode()):
        assert trace not in text
    assert not model.graph.value_info and not model.metadata_props and not model.functions
    assert [item.version for item in model.opset_import if item.domain == ""] == [21]
    assert model.ir_version <= 13


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_recurrent_layers_stay_one_operator_a_layer_and_take_an_empty_batch(name: str) -> None:
    """ONNX Runtime's LSTM and GRU end the process at batch 0, so this runs in a child."""
    module, _prepared, model, _signature = converted(name)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("LSTM") + kinds.count("GRU") == module.cells.num_layers
    assert "Loop" not in kinds and "Scan" not in kinds
    code = (
        "import sys, numpy; from mlpack_edge.runtimes.onnxruntime import open_session, run;"
        "s = open_session(sys.stdin.buffer.read());"
        "print(run(s, {'x': numpy.zeros((0, 5, 4), 'float32')})['output'].shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=model.SerializeToString(), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == "(0, 5, 2)"


def test_inputs_and_outputs_carry_the_names_of_the_code() -> None:
    assert [spec.name for spec in converted("mlp")[3].outputs] == ["output"]
    assert [spec.name for spec in converted("named")[3].outputs] == ["double", "more.0", "more.1"]
    assert [spec.name for spec in converted("two")[3].inputs] == ["x", "y", "mask", "scale"]
    assert [spec.name for spec in converted("ready")[3].outputs] == ["output_0", "output_1"]


def test_token_ids_are_known_by_the_embedding_they_feed() -> None:
    inputs = converted("tokens")[1].inputs
    assert inputs.specs[0].dtype == "int64"
    assert inputs.bounds == {"ids": 50}
    assert inputs.hints().columns[("ids", 0)].high == 49
    assert not [note for note in inputs.notes() if "whole numbers" in note]


def test_sizes_that_the_model_refuses_itself_become_limits() -> None:
    """A kernel of three and a table of sixteen positions: the module fails beyond them, so no branch is lost."""
    assert converted("residual")[1].inputs.limits == {"h": (3, None), "w": (3, None)}
    assert converted("tokens")[1].inputs.limits == {T: (0, 16)}
    assert all(size <= 16 for size in converted("tokens")[1].inputs.hints().sizes[T])
    assert converted("normed")[1].inputs.limits == {T: (2, None)}
    assert f"{T} is at most 16" in converted("tokens")[1].inputs.notes()


def test_whole_numbers_of_unknown_range_are_said_to_need_data() -> None:
    assert "--data" in " ".join(converted("ready")[1].inputs.notes())


def test_two_processes_give_the_same_bytes() -> None:
    code = (
        "import sys, torch; from tests.converters import torch_nets as nets;"
        "from mlpack_edge.converters.onnx_from_torch.convert import TorchOptions, convert;"
        "torch.manual_seed(0); m = nets.Recurrent().eval();"
        "sys.stdout.buffer.write(convert(m, TorchOptions({'x': ('batch', 'time', 4)}))[0].SerializeToString())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(Path.cwd()), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
    assert done.stdout == converted("lstm")[2].SerializeToString()


def test_nothing_reaches_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither the exporter's progress nor what the user's forward() prints."""
    convert(nets.Two(), TorchOptions({"x": (B, 3, 4), "y": (B, 2, 4)}))
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "a line of the user's code" in captured.err


def test_other_opsets_are_kept_to() -> None:
    for opset in (20, 23):
        model, _signature = convert(nets.Mlp(), TorchOptions({"x": (B, 4)}, opset=opset))
        assert [item.version for item in model.opset_import if item.domain == ""] == [opset]
        run(open_session(model.SerializeToString()), {"x": np.zeros((2, 4), np.float32)})


def test_a_size_given_as_a_number_is_fixed() -> None:
    _model, signature = convert(nets.Counted(), TorchOptions({"x": (3, 2)}))
    assert signature.inputs[0].shape == (3, 2)


REFUSED: dict[str, tuple[Callable[[], Any], Shapes, str, str]] = {
    "branch on numbers": (lambda: nets.Branch(), {"x": (B, 2)}, "depends on the numbers", "torch.where"),
    "branch on the batch": (lambda: nets.Large(), {"x": (B, 2)}, "batch free", "--shape x=1x2"),
    "branch on a batch of one": (lambda: nets.Alone(), {"x": (B, T, 8)}, "batch is 1", "--shape"),
    "batch made a number": (lambda: nets.Counted(), {"x": (B, 2)}, "batch free", "--shape x=3x2"),
    "even sizes": (lambda: nets.Halving(), {"x": (B, 1, "h", 8)}, "h free", "--shape x=batchx1x64x8"),
    "state": (lambda: nets.Counting(), {"x": (B, 2)}, "changes its buffer seen", "as an input"),
    "operator": (lambda: nets.Svd(), {"x": (B, 2, 2)}, "linalg_svd", "other operations"),
    "projection": (lambda: nets.Recurrent(proj_size=3), {"x": (B, T, 4)}, "projection", "Linear"),
    "steps of a plain RNN": (lambda: nets.Recurrent("RNN"), {"x": (B, T, 4)}, "time free", "--shape x=batchx5x4"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_graph_expresses_is_refused_and_never_baked(case: str) -> None:
    build, shapes, message, hint = REFUSED[case]
    with pytest.raises(Unsupported) as caught:
        convert(build(), TorchOptions(shapes))
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.why


@pytest.mark.parametrize(("name", "line"), [("Branch", "if x.sum() > 0:"), ("Svd", "torch.linalg.svd")])
def test_refusals_name_the_line_of_the_users_code(name: str, line: str) -> None:
    with pytest.raises(Unsupported) as caught:
        convert(getattr(nets, name)(), TorchOptions({"x": (B, 2, 2)}))
    assert "torch_nets.py:" in caught.value.message and line in caught.value.message


@pytest.mark.parametrize(
    ("build", "shapes", "line"),
    [
        (lambda: nets.Two(), {"x": (B, 3, 4)}, "add --shape y=batchxSIZE   (put a number"),
        (lambda: nets.Two(), {}, "add --shape x=batchxSIZE --shape y=batchxSIZE"),
        (lambda: nets.Mlp(), {}, "add --shape x=batchx4"),
        (lambda: nets.Residual(), {}, "add --shape x=batchx3xSIZExSIZE"),
        (lambda: nets.Recurrent(), {}, "add --shape x=batchxtimex4"),
        (lambda: nets.Tokens(), {}, "add --shape ids=batchxtime"),
    ],
)
def test_unknown_shapes_are_asked_for_with_the_line_to_type(build: Any, shapes: Shapes, line: str) -> None:
    with pytest.raises(BadInput, match="is not known") as caught:
        convert(build(), TorchOptions(shapes))
    assert caught.value.hint.startswith(line)


def test_an_input_that_forward_does_not_have_is_named() -> None:
    with pytest.raises(BadInput, match="no input 'z'"):
        convert(nets.Mlp(), TorchOptions({"z": (B, 4)}))


def test_more_weights_than_a_file_can_hold_are_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlpack_edge.converters.onnx_from_torch.convert._MOST_BYTES", 100)
    with pytest.raises(Unsupported, match="GB of weights"):
        convert(nets.Mlp(), TorchOptions({"x": (B, 4)}))


def test_a_shape_the_model_does_not_take_is_reported_as_the_users_error() -> None:
    with pytest.raises(BadInput, match=r"the code of Mlp fails at .*torch_nets.py:\d+: RuntimeError"):
        convert(nets.Mlp(), TorchOptions({"x": (B, 5)}))


def test_inputs_of_a_program_that_share_a_size_are_taken() -> None:
    """Two inputs with one torch.export.Dim leave the guard that their sizes are equal: no branch of the model."""
    batch = torch.export.Dim("batch", min=0)
    examples = (torch.zeros(3, 4), torch.zeros(3, 2))
    program = torch.export.export(nets.Beside(), examples, dynamic_shapes=({0: batch}, {0: batch}))
    assert any(" == " in guard for guard in program._guards_code)
    model, signature = convert(program)
    assert [spec.shape for spec in signature.inputs] == [(B, 4), (B, 2)]
    feeds = {"x": np.ones((5, 4), np.float32), "z": np.zeros((5, 2), np.float32)}
    (made,) = run(open_session(model.SerializeToString()), feeds).values()
    np.testing.assert_array_equal(made, np.hstack([feeds["x"], feeds["z"]]))


def test_a_program_that_asks_for_equal_sizes_of_different_names_is_refused() -> None:
    program = SimpleNamespace(_guards_code=["L['x'].size()[0] == L['x'].size()[1]"])
    plan = InputPlan((TensorSpec("x", "float32", (B, T)),), {}, {B: 2, T: 2}, {}, {})
    with pytest.raises(Unsupported, match="right only where"):
        refuse_guarded(program, plan)
