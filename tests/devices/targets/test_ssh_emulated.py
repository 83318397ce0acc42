"""Another machine whose Python is emulated: bits can be held against ours, and time is refused."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.core.errors import CheckFailed, MlpackError
from mlpack_edge.devices.emulation.boards import Profile
from mlpack_edge.devices.emulation.launch import launcher
from mlpack_edge.devices.targets.local import LocalTarget
from mlpack_edge.devices.targets.target import TargetOptions, open_target
from tests.devices.conftest import Emulated
from tests.devices.targets.loopback import Loopback, script
from tests.devices.targets.models import SHORT, onnx_layer, tflite_layers
from tests.devices.targets.ssh_board import board

pytestmark = pytest.mark.long


def emulated_python(path: Path, profile: Profile) -> Path:
    """A Python for --target-python that QEMU runs as that board's."""
    found = launcher(profile)
    words = [f"{name}={value}" for name, value in found.environment.items() if name != "TMPDIR"]
    line = shlex.join(["env", "-i", *words])
    return script(path, f'#!/bin/sh\nexec {line} "TMPDIR=$TMPDIR" {shlex.join(found.command)} "$@"\n')


@pytest.mark.parametrize("profile", ["x86-64-avx2", "pi4"])
def test_outputs_are_compared_and_time_is_refused(
    loopback: Loopback, tmp_path: Path, emulated: Emulated, profile: str
) -> None:
    loopback.start()
    target = board(str(emulated_python(tmp_path / "python3", emulated(profile))), time_limit=120)
    facts = target.describe()["environment"]
    assert facts["emulated"] == "qemu-user"
    models = [onnx_layer(tmp_path / "layer.onnx"), tflite_layers(tmp_path / "mlp.tflite")]
    with pytest.raises(CheckFailed, match="runs under emulation") as caught:
        target.bench(models, SHORT)
    assert "instructions" in caught.value.hint
    with pytest.raises(MlpackError, match="emulation"):
        target.profile(models[0], SHORT)
    here = LocalTarget("", TargetOptions())
    same = open_target(f"emulated:{profile}", TargetOptions(time_limit=120))
    try:
        for model in models:
            there, again, ours = (place.outputs(model, SHORT) for place in (target, same, here))
            assert [list(one) for one in there] == [list(one) for one in ours]
            for one, other, near in zip(there, again, ours, strict=True):
                for name in one:
                    # Bit by bit what the same machine gives when it is emulated here; close to what this one gives.
                    assert one[name].tobytes() == other[name].tobytes()
                    np.testing.assert_allclose(one[name], near[name], rtol=1e-4, atol=1e-5)
    finally:
        here.close()
        same.close()
        target.close()
    loopback.must_be_clean(2)
