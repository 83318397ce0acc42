"""Over a real ssh to a real sshd: the same answers as here, and nothing of us stays there."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlpack_edge.core.errors import MlpackError
from mlpack_edge.devices.targets.local import LocalTarget
from mlpack_edge.devices.targets.target import TargetOptions, open_target
from mlpack_edge.runtimes.measuring.prepared import PreparedModel, prepare
from mlpack_edge.runtimes.measuring.result import BenchResult
from tests.devices.targets.loopback import PYTHON, USER, Loopback, script
from tests.devices.targets.models import SHORT, onnx_layer, tflite_layers
from tests.devices.targets.ssh_board import board

Array = NDArray[Any]


def same_bits(here: list[Mapping[str, Array]], there: list[Mapping[str, Array]]) -> bool:
    return len(here) == len(there) and all(
        list(one) == list(other)
        and all(one[name].dtype == other[name].dtype and one[name].tobytes() == other[name].tobytes() for name in one)
        for one, other in zip(here, there, strict=True)
    )


def must_answer_as_here(loopback: Loopback, model: PreparedModel) -> None:
    """Bit by bit, and nothing is left there."""
    here, there = LocalTarget("", TargetOptions()), board()
    try:
        assert same_bits(here.outputs(model, SHORT), there.outputs(model, SHORT))
    finally:
        here.close()
        there.close()
    loopback.must_be_clean(0)


def test_results_and_outputs_are_those_of_this_machine(loopback: Loopback, tmp_path: Path) -> None:
    loopback.start("Banner /etc/passwd")  # a banner is noise on standard error
    models = [onnx_layer(tmp_path / "layer.onnx"), tflite_layers(tmp_path / "mlp.tflite")]
    stages: list[str] = []
    address = f"ssh://{USER}@127.0.0.1:{loopback.port}"
    there = open_target(address, TargetOptions(python=PYTHON, stage=stages.append))
    here = LocalTarget("", TargetOptions())
    try:
        far, near = there.bench(models, SHORT), here.bench(models, SHORT)
        for one, other in zip(far, near, strict=True):
            assert isinstance(one, BenchResult) and isinstance(other, BenchResult)
            assert one.target == address and other.target == "local"
            assert one.output_digest == other.output_digest and len(one.output_digest) == 64
            assert one.environment["machine_id"] == other.environment["machine_id"]
            assert len(one.launches) == 2 and one.samples("experienced").min() > 0
            assert one.harness_floor_ns is not None
        for model in models:
            assert same_bits(here.outputs(model, SHORT), there.outputs(model, SHORT))
        assert loopback.left(), "nothing was there to be cleaned up"
    finally:
        there.close()
        here.close()
    loopback.must_be_clean(0)
    assert f"reaching {address}" in stages and "measuring: process 2 of 2" in stages
    assert sum(stage.startswith("copying ") for stage in stages) == 4  # two models and their inputs, once


def test_weights_beside_the_model_travel_with_it(loopback: Loopback, tmp_path: Path) -> None:
    import onnx

    onnx_layer(tmp_path / "layer.onnx")
    whole = onnx.load(tmp_path / "layer.onnx")
    onnx.save(whole, tmp_path / "out.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    loopback.start()
    model = prepare(tmp_path / "out.onnx")
    assert model.beside == ("weights.bin",)
    must_answer_as_here(loopback, model)


def test_a_large_model_arrives_whole(loopback: Loopback, tmp_path: Path) -> None:
    """Larger than any pipe or window between."""
    loopback.start()
    model = onnx_layer(tmp_path / "layer.onnx", 1500)
    assert model.bytes > 8_000_000
    must_answer_as_here(loopback, model)


def test_a_shared_connection_is_used_where_one_is_open(loopback: Loopback, tmp_path: Path) -> None:
    loopback.start(client=["ControlMaster auto", f"ControlPath {tmp_path}/shared", "ControlPersist 30"])
    environment = {**os.environ, "PATH": loopback.path}
    subprocess.run(["ssh", "board", "true"], env=environment, check=True)
    count = loopback.log.count("Accepted publickey")
    target = board()
    target.describe()
    target.close()
    loopback.must_be_clean(0)
    assert loopback.log.count("Accepted publickey") == count == 1
    subprocess.run(["ssh", "-O", "check", "board"], env=environment, check=True, capture_output=True)
    subprocess.run(["ssh", "-O", "exit", "board"], env=environment, check=True, capture_output=True)


def test_we_leave_a_shared_connection_where_the_configuration_says_so(loopback: Loopback, tmp_path: Path) -> None:
    """ControlPersist: ours stays for the next; without it others would hang on ours, so none is opened."""
    for persist, stays in (("30", True), ("no", False)):
        if not loopback.port:
            loopback.start()
        loopback.configure("ControlMaster auto", f"ControlPath {tmp_path}/shared", f"ControlPersist {persist}")
        target = board()
        target.describe()
        target.close()
        loopback.must_be_clean(0)
        assert (tmp_path / "shared").exists() == stays
        subprocess.run(["ssh", "-O", "exit", "board"], check=stays, capture_output=True)


def test_a_jump_through_another_machine_is_made(loopback: Loopback) -> None:
    """The jump host's sshd is the same one, under another name."""
    loopback.start()
    jump = f"\nHost jump\n  HostName 127.0.0.1\n  Port {loopback.port}\n"
    loopback.configure("ProxyJump jump", more=jump)
    # -F must be handed on: ProxyJump starts ssh again.
    target = board()
    target.describe()
    target.close()
    loopback.must_be_clean(0)
    assert loopback.log.count("Accepted publickey") == 2


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "zsh", "fish", "csh", "tcsh", "busybox sh"])
def test_login_shells(loopback: Loopback, tmp_path: Path, shell: str) -> None:
    """sshd gives the line to the login shell with -c, as it is done here by a forced command."""
    program = shutil.which(shell.split()[0])
    if program is None:
        pytest.skip(f"not installed: {shell}")
    words = " ".join([program, *shell.split()[1:]])
    loopback.start(f'ForceCommand exec {words} -c "$SSH_ORIGINAL_COMMAND"')
    home = Path.home() / f".mlpack-test-{os.getpid()} it's"
    spaced = script(tmp_path / "a python's $HOME", f'#!/bin/sh\nexec "{PYTHON}" "$@"\n')
    home.symlink_to(spaced)
    try:
        for python in (str(spaced), f"~/{home.name}"):
            target = board(python)
            assert target.describe()["runtimes"]["numpy"] == np.__version__
            target.close()
            loopback.must_be_clean(0)
    finally:
        home.unlink()


def test_a_launcher_that_stays_above_python_ends_with_it(loopback: Loopback, tmp_path: Path) -> None:
    """No exec: killing the launcher alone would leave Python running."""
    loopback.start()
    launcher = script(tmp_path / "launcher", f'#!/bin/sh\n"{PYTHON}" "$@"\nexit $?\n')
    target = board(str(launcher))
    result = target.bench([onnx_layer(tmp_path / "layer.onnx")], SHORT)[0]
    assert isinstance(result, BenchResult)
    target.close()
    loopback.must_be_clean()


def test_options_of_the_users_configuration_do_no_harm(loopback: Loopback, tmp_path: Path) -> None:
    """A terminal, a command, forwardings that cannot be: what a configuration may hold for working there by hand."""
    loopback.start()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        loopback.configure(
            "RequestTTY force", "RemoteCommand tmux", "ForwardX11 yes", "ForwardAgent yes", "ExitOnForwardFailure yes",
            f"LocalForward 127.0.0.1:{taken.getsockname()[1]} localhost:1",
        )  # fmt: skip
        target = board()
        assert target.describe()["python"]
        target.close()
    loopback.must_be_clean(0)


def test_folders_of_agents_that_were_killed_are_removed_by_the_next(loopback: Loopback, tmp_path: Path) -> None:
    """The power went: nothing had time to clean up. A folder whose agent lives stays."""
    loopback.start()
    lost, alive, later = board(), board(), board()
    model = onnx_layer(tmp_path / "layer.onnx")
    folders = [Path(target.describe()["folder"]) for target in (lost, alive)]
    agent = next(pid for pid in loopback.running() if folders[0].name in " ".join(_open_files(pid)))
    os.kill(agent, signal.SIGKILL)
    with pytest.raises(MlpackError, match="lost in the middle"):
        lost.outputs(model, SHORT)
    lost.close()
    assert folders[0].exists()
    later.describe()
    assert not folders[0].exists() and folders[1].exists()
    assert np.isfinite(alive.outputs(model, SHORT)[0]["y"]).all()
    alive.close()
    later.close()
    loopback.must_be_clean(0)


def _open_files(pid: int) -> list[str]:
    return [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
