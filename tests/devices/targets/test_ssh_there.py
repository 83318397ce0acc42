"""What goes wrong on another machine: one error that says what, why and what next; nothing stays there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from mlpack_edge.core.errors import (
    CheckFailed,
    IoFault,
    MissingExtra,
    Unsupported,
    WorkerFault,
)
from mlpack_edge.devices.targets.target import Refused
from mlpack_edge.runtimes.measuring.plan import Plan
from mlpack_edge.runtimes.measuring.result import BenchResult
from tests.devices.targets.loopback import PYTHON, Loopback, script
from tests.devices.targets.models import SHORT, onnx_layer, tflite_layers, unopened
from tests.devices.targets.ssh_board import board, refusal
from tests.runtimes.tflite_models import OP, add, endless


def test_an_account_without_a_shell(loopback: Loopback) -> None:
    loopback.start("ForceCommand echo 'This account is currently not available.'; exit 1")
    found = refusal(board(), WorkerFault)
    assert "currently not available" in found.why


@pytest.mark.parametrize("shell", ["sh", "fish", "csh", "zsh"])
def test_no_python(loopback: Loopback, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"not installed: {shell}")
    loopback.start(f'ForceCommand exec {program} -c "$SSH_ORIGINAL_COMMAND"')
    found = refusal(board("/no/such/python9"), MissingExtra)
    assert found.message == "/no/such/python9 is not there on ssh://board"
    assert "--target-python" in found.hint and "ssh -t board sudo apt install python3" in found.hint


def test_a_python_that_cannot_be_started(loopback: Loopback) -> None:
    loopback.start()
    assert "cannot be started" in refusal(board("/etc/passwd"), IoFault).message


def test_a_python_that_breaks_at_its_start(loopback: Loopback, tmp_path: Path) -> None:
    loopback.start()
    broken = script(tmp_path / "python3", "#!/bin/sh\necho 'error while loading shared libraries' >&2\nexit 3\n")
    found = refusal(board(str(broken)), WorkerFault)
    assert "ended with code 3 before the agent answered" in found.message and "shared libraries" in found.why


def test_a_python_that_is_too_old(loopback: Loopback, tmp_path: Path) -> None:
    """An old Python is not at hand: this one says it is one, before it reads what it is sent."""
    loopback.start()
    pretence = "import sys; sys.version_info = (3, 7, 3); sys.version = '3.7.3 (default)'; exec(sys.argv[1])"
    old = script(tmp_path / "python3", f'#!/bin/sh\nexec {PYTHON} -c "{pretence}" "$3"\n')
    found = refusal(board(str(old)), Unsupported)
    assert found.message == "the Python of the target is 3.7.3, the agent needs 3.9 or newer"


def _venv(folder: Path) -> str:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return str(folder / "bin" / "python")


def test_no_numpy_and_no_runtime(loopback: Loopback, tmp_path: Path) -> None:
    loopback.start()
    python, models = _venv(tmp_path / "bare"), [onnx_layer(tmp_path / "a.onnx"), tflite_layers(tmp_path / "b.tflite")]
    target = board(python)
    assert target.describe()["runtimes"]["numpy"] is None
    for one, packages in zip(target.bench(models, SHORT), ("onnxruntime numpy", "ai-edge-litert numpy"), strict=True):
        assert isinstance(one, Refused) and isinstance(one.error, MissingExtra)
        assert "numpy" in one.error.message
        assert one.error.hint == f"ssh board '{python} -m pip install {packages}'"
    target.close()
    loopback.must_be_clean(0)


def test_numpy_without_a_runtime(loopback: Loopback, tmp_path: Path) -> None:
    loopback.start()
    python = _venv(tmp_path / "bare")
    (site,) = (tmp_path / "bare").glob("lib/python*/site-packages")
    for entry in Path(onnx.__file__).parent.parent.glob("numpy*"):
        (site / entry.name).symlink_to(entry)
    target = board(python)
    for model in (onnx_layer(tmp_path / "a.onnx"), tflite_layers(tmp_path / "b.tflite")):
        with pytest.raises(MissingExtra) as caught:
            target.outputs(model, SHORT)
        assert "onnxruntime" in caught.value.message or "TFLite" in caught.value.message
        assert caught.value.hint.startswith("ssh board '") and "-m pip install" in caught.value.hint
    target.close()
    loopback.must_be_clean(0)


def test_a_python_that_its_system_keeps_gets_a_folder_for_packages(loopback: Loopback, tmp_path: Path) -> None:
    """PEP 668: pip would refuse with externally-managed-environment."""
    if not list(Path("/usr/lib").glob("python3.*/EXTERNALLY-MANAGED")) or not Path("/usr/bin/python3").exists():
        pytest.skip("no Python that its system keeps: /usr/lib/python3.*/EXTERNALLY-MANAGED")
    if (
        subprocess.run(["/usr/bin/python3", "-c", "import onnxruntime"], capture_output=True, check=False).returncode
        == 0
    ):
        pytest.skip("/usr/bin/python3 has onnxruntime")
    loopback.start()
    target = board("/usr/bin/python3")
    with pytest.raises(MissingExtra) as caught:
        target.outputs(onnx_layer(tmp_path / "a.onnx"), SHORT)
    target.close()
    assert caught.value.hint == (
        "ssh board '/usr/bin/python3 -m venv ~/mlpack && ~/mlpack/bin/pip install onnxruntime numpy', "
        "then give --target-python ~/mlpack/bin/python"
    )


@pytest.mark.parametrize(
    "greeting", ["echo Welcome", "printf Welcome", "echo '{}'", "echo 42", "printf '{\"bytes\": 99}\\n'"]
)
def test_a_login_shell_that_prints(loopback: Loopback, greeting: str) -> None:
    loopback.start(f'ForceCommand {greeting}; exec sh -c "$SSH_ORIGINAL_COMMAND"')
    found = refusal(board(time_limit=6), WorkerFault)
    assert "login" in found.hint and ".bashrc" in found.hint
    loopback.must_be_clean()


def test_a_shell_that_prints_without_end(loopback: Loopback) -> None:
    loopback.start("ForceCommand yes hello")
    assert "hello" in refusal(board(), WorkerFault).why
    loopback.must_be_clean()


@pytest.fixture
def small_disk(loopback: Loopback) -> Iterator[Path]:
    """The far side's temporary folder holds a megabyte."""
    loopback.tmp.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(loopback.tmp)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mount -t tmpfs is not allowed here")
    yield loopback.tmp
    subprocess.run(["umount", str(loopback.tmp)], check=True)


def test_a_full_disk_refuses_the_model_that_does_not_fit(loopback: Loopback, small_disk: Path, tmp_path: Path) -> None:
    loopback.start()
    large, small = onnx_layer(tmp_path / "large.onnx", 800), onnx_layer(tmp_path / "small.onnx")
    target = board()
    refused, made = target.bench([large, small], SHORT)
    assert isinstance(refused, Refused) and isinstance(refused.error, IoFault)
    assert "No space left" in refused.error.why and str(small_disk) in refused.error.hint
    assert isinstance(made, BenchResult)
    target.close()
    loopback.must_be_clean(0)


def test_no_room_for_temporary_files_at_all(loopback: Loopback, tmp_path: Path) -> None:
    """A limit of no bytes to any file stands for disks that are full everywhere."""
    loopback.start()
    full = script(tmp_path / "python3", f'#!/bin/sh\nulimit -f 0\nexec {PYTHON} "$@"\n')
    found = refusal(board(str(full)), IoFault)
    assert "temporary files" in found.message and "free some space" in found.hint
    loopback.must_be_clean(0)


def test_models_that_fail_leave_the_others_measured(loopback: Loopback, tmp_path: Path) -> None:
    """Refused by the runtime; one that calls abort(); one that never ends. The fifth is measured."""
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [int(name)]) for name in "235"]
    graph = helper.make_graph([helper.make_node("Add", ["2", "3"], ["5"])], "odd", values[:2], values[2:])
    odd = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    pair = np.ones((1, 2), np.float32)
    models = [
        unopened(
            tmp_path / "odd.onnx", odd.SerializeToString(), **{"2": np.ones(2, np.float32), "3": np.ones(3, np.float32)}
        ),
        unopened(tmp_path / "custom.tflite", add(code=OP.CUSTOM, custom="MyOp"), at0=pair),
        unopened(tmp_path / "aborts.tflite", add(dtype="uint8"), at0=pair.astype(np.uint8)),
        unopened(tmp_path / "endless.tflite", endless(), at0=np.ones((), np.float32)),
        onnx_layer(tmp_path / "layer.onnx"),
    ]
    loopback.start()
    target = board()
    made = target.bench(models, Plan(processes=2, seconds=0.2, time_limit=5.0))
    errors = [one.error for one in made if isinstance(one, Refused)]
    assert len(errors) == 4 and isinstance(made[4], BenchResult) and len(made[4].launches) == 2
    assert isinstance(errors[0], CheckFailed) and "Add" in errors[0].why
    assert isinstance(errors[1], CheckFailed) and "MyOp" in errors[1].why
    assert isinstance(errors[2], WorkerFault) and "aborts.tflite ended its process on the target with SIGABRT" in (
        errors[2].message
    )
    assert isinstance(errors[3], WorkerFault) and "endless.tflite gave no answer within 5 s" in errors[3].message
    target.close()
    loopback.must_be_clean(0)
