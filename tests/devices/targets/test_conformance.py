"""Whatever is registered under `mlpack_edge.targets`: the same promises, tried on a real one of each kind that is here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlpack_edge.core.errors import MlpackError, Unsupported
from mlpack_edge.core.extensions import TARGETS, extensions
from mlpack_edge.devices.emulation.boards import Profile
from mlpack_edge.devices.targets.target import Refused, Target, TargetOptions, open_target
from mlpack_edge.runtimes.measuring.prepared import PreparedModel, prepare
from tests.devices.targets.loopback import PYTHON, USER, Loopback
from tests.devices.targets.models import SHORT, onnx_layer, tflite_layers

GIVES = {"time", "instructions", "estimate", "outputs", "profile"}
KINDS = sorted(extensions(TARGETS))
#: An address that a target takes without anything being there, and one that it does not.
ADDRESSES = {
    "local": ("local", "local:elsewhere"),
    "ssh": ("ssh://nobody@host.invalid", "ssh://"),
    "adb": ("adb:SERIAL", "adb:-s"),
    "emulated": ("emulated:pi4", "emulated:pi400"),
    "ethos-u": ("ethos-u:ethos-u55-128", "ethos-u:abacus"),
}
Open = Callable[[str], Target]


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Open:
    """A target that answers: this machine, a real sshd, an emulated board. Others have tests of their own."""

    def make(kind: str) -> Target:
        if kind == "ssh":
            machine: Loopback = request.getfixturevalue("loopback")
            machine.start()
            return open_target(f"ssh://{USER}@127.0.0.1:{machine.port}", TargetOptions(python=PYTHON))
        if kind == "emulated":
            emulated: Callable[[str], Profile] = request.getfixturevalue("emulated")
            emulated("pi4")
        return open_target(ADDRESSES[kind][0], TargetOptions())

    return make


@pytest.fixture
def models(tmp_path: Path) -> list[PreparedModel]:
    return [onnx_layer(tmp_path / "layer.onnx"), tflite_layers(tmp_path / "layers.tflite")]


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_it_gives_and_contacts_nothing_before_it_is_asked(kind: str) -> None:
    assert kind in ADDRESSES, "a target without addresses to try it with"
    target = open_target(ADDRESSES[kind][0], TargetOptions())
    assert target.gives and target.gives <= GIVES and target.gives & {"time", "instructions", "estimate"}
    assert target.name.startswith(kind)
    target.close()
    target.close()


@pytest.mark.parametrize("kind", KINDS)
def test_an_address_that_it_does_not_take_is_refused_with_what_to_do(kind: str) -> None:
    with (
        pytest.raises(MlpackError) as caught,
        closing(open_target(ADDRESSES[kind][1], TargetOptions(time_limit=5.0))) as target,
    ):
        target.describe()
    assert caught.value.message and caught.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_does_not_give_is_refused_by_name(kind: str, models: list[PreparedModel]) -> None:
    with closing(open_target(ADDRESSES[kind][0], TargetOptions(time_limit=5.0))) as target:
        if "profile" not in target.gives:
            with pytest.raises(Unsupported):
                target.profile(models[0], SHORT)
        if "outputs" not in target.gives:
            with pytest.raises(Unsupported):
                target.outputs(models[0], SHORT)


def _refused(path: Path) -> PreparedModel:
    """A sound file whose one operator cannot be run on any row: 16 numbers have no shape of 7 and 3."""
    values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 16])]
    made = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None])]
    shape = numpy_helper.from_array(np.array([7, 3], np.int64), "shape")
    graph = helper.make_graph([helper.make_node("Reshape", ["x", "shape"], ["y"])], "g", values, made, [shape])
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    return prepare(path)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["local", "ssh", "emulated"])
def test_one_that_answers_keeps_its_promises(
    kind: str, opened: Open, models: list[PreparedModel], tmp_path: Path
) -> None:
    """Results in the order of the models, a bad one among them refused by name; outputs as on this machine."""
    bad = _refused(tmp_path / "bad.onnx")
    with closing(opened(kind)) as target, closing(open_target("local", TargetOptions())) as here:
        found = target.describe()
        assert {"environment", "runtimes", "python"} <= set(found)
        first, refused, second = target.bench([models[0], bad, models[1]], SHORT)
        assert isinstance(refused, Refused) and "bad.onnx" in refused.error.message and refused.error.hint
        for result, model in ((first, models[0]), (second, models[1])):
            assert not isinstance(result, Refused)
            assert (result.model, result.format, result.target) == (model.name, model.format, target.name)
            assert (result.instructions is not None) == ("instructions" in target.gives)
            assert (len(result.launches) == SHORT.processes) == ("time" in target.gives)
            assert result.output_digest and result.input_digest == model.input_digest
        for model in models:
            for there, own in zip(target.outputs(model, SHORT), here.outputs(model, SHORT), strict=True):
                assert set(there) == set(own)
                for name, array in own.items():
                    assert there[name].shape == array.shape and there[name].dtype == array.dtype
                    assert np.allclose(there[name], array, rtol=1e-5, atol=1e-6)
        target.close()
        assert target.describe()["python"] == found["python"], "a closed target can be asked again"
