"""Ctrl-C, and the deaths of our own processes, at every stage: all is gone within seconds, here and there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.devices.targets.loopback import PYTHON, Loopback, processes, wait_until
from tests.devices.targets.models import write_layer

pytestmark = pytest.mark.long

#: Measures for minutes, telling what it does; the error it ends with is its last line.
_BENCH = """
import os
import sys
from pathlib import Path
from mlpack_edge.core.errors import MlpackError
from mlpack_edge.devices.targets.target import TargetOptions, open_target
from mlpack_edge.runtimes.measuring.plan import Plan
from mlpack_edge.runtimes.measuring.prepared import prepare

model = prepare(Path(sys.argv[3]))
os.environ["TMPDIR"] = sys.argv[4]
options = TargetOptions(python=sys.argv[2], stage=lambda stage: print(stage, flush=True))
target = open_target(sys.argv[1], options)
try:
    target.bench([model, model], Plan(processes=200, seconds=20))
except MlpackError as fault:
    print("error:", fault.message, "|", fault.why)
except KeyboardInterrupt:
    print("interrupted")
finally:
    target.close()
    print("closed", flush=True)
"""
Killing = Callable[[subprocess.Popen[str], Loopback], None]


def ctrl_c(bench: subprocess.Popen[str], machine: Loopback) -> None:
    """The terminal sends it to all processes of its foreground group: to ssh as well."""
    os.killpg(bench.pid, signal.SIGINT)


def terminated(bench: subprocess.Popen[str], machine: Loopback) -> None:
    bench.terminate()


def killed(bench: subprocess.Popen[str], machine: Loopback) -> None:
    bench.kill()


def ssh_killed(bench: subprocess.Popen[str], machine: Loopback) -> None:
    for pid, _, parent in list(processes()):
        if parent == bench.pid and "ssh" in Path(f"/proc/{pid}/comm").read_text():
            os.kill(pid, signal.SIGKILL)


def run(machine: Loopback, target: str, stage: str, kill: Killing, delay: float = 0.0) -> str:
    """What it printed, after `kill` when it had said `stage`; all of it must be gone soon."""
    model = write_layer(machine.folder / "layer.onnx", 600)
    environment = {**os.environ, "PATH": machine.path}
    with subprocess.Popen(
        [sys.executable, "-c", _BENCH, target, PYTHON, str(model), str(machine.tmp)], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    ) as bench:  # fmt: skip
        assert bench.stdout is not None
        printed = ""
        for line in bench.stdout:
            printed += line
            if line.startswith(stage):
                time.sleep(delay)
                kill(bench, machine)
                start = time.monotonic()
                break
        printed += bench.stdout.read()
    assert stage in printed
    assert time.monotonic() - start < 30  # a busy machine takes its time; what hangs takes for ever
    machine.must_be_clean(5)
    wait_until(lambda: not [pid for pid, _, parent in processes() if parent == bench.pid], 5, "ours stay")
    return printed


@pytest.mark.parametrize("stage", ["reaching", "copying", "measuring: process 1", "measuring: process 3"])
@pytest.mark.parametrize("target", ["ssh://board", "local:"])
def test_ctrl_c(loopback: Loopback, stage: str, target: str) -> None:
    loopback.start()
    here = "preparing" if target == "local:" and stage == "copying" else stage
    printed = run(loopback, target.removesuffix(":"), here, ctrl_c).split("\n")
    assert printed[-3:-1] == ["interrupted", "closed"] and "Traceback" not in printed


@pytest.mark.parametrize("delay", [0.05, 0.2, 0.4, 0.7])
def test_ctrl_c_while_the_connection_is_made(loopback: Loopback, delay: float) -> None:
    loopback.start()
    assert "interrupted\nclosed" in run(loopback, "ssh://board", "reaching", ctrl_c, delay)


@pytest.mark.parametrize("kill", [killed, terminated])
@pytest.mark.parametrize("target", ["ssh://board", "local"])
def test_the_death_of_our_own_process_ends_the_agent(loopback: Loopback, kill: Killing, target: str) -> None:
    """Its end of the pipes closes: nobody has to tell the agent."""
    loopback.start()
    run(loopback, target, "measuring: process 2", kill)


def test_the_death_of_ssh_is_one_error(loopback: Loopback) -> None:
    loopback.start()
    printed = run(loopback, "ssh://board", "measuring: process 2", ssh_killed)
    assert "error: the connection to ssh://board was lost in the middle" in printed and "signal 9" in printed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_an_agent_that_is_told_to_end_cleans_up(loopback: Loopback, number: signal.Signals) -> None:
    """As the target's own shutdown tells it."""
    loopback.start()

    def tell(bench: subprocess.Popen[str], machine: Loopback) -> None:
        agents = [pid for pid in machine.running() if b"os._exit" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        agents = [pid for pid in agents if Path(f"/proc/{pid}/comm").read_text().startswith("python")]
        os.kill(min(agents), number)  # one that it just forked looks like it

    printed = run(loopback, "ssh://board", "measuring: process 2", tell)
    assert "error: the agent on ssh://board ended in the middle" in printed


#: Runs a command on a terminal of its own, types a text where a question ends in a colon, and prints what it said.
_ON_A_TERMINAL = """
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
said, typed = b"", False
while True:
    try:
        block = os.read(terminal, 4096)
    except OSError:
        break
    if not block:
        break
    said += block
    if not typed and said.rstrip().endswith(b":"):
        os.write(terminal, eval(sys.argv[1]))
        typed = True
os.write(1, said)
os.waitpid(child, 0)
"""
_DESCRIBE = """
import sys
from mlpack_edge.core.errors import MlpackError
from mlpack_edge.devices.targets.target import TargetOptions, open_target
target = open_target("ssh://board", TargetOptions(python=sys.argv[1]))
try:
    print("python", target.describe()["python"])
except MlpackError as fault:
    print("error:", fault.message, "|", fault.why, "|", fault.hint)
except KeyboardInterrupt:
    print("interrupted")
finally:
    target.close()
"""


def with_passphrase(machine: Loopback, typed: bytes | None) -> str:
    """What describing the target prints where the key has a passphrase; typed: on a terminal, None: without one."""
    machine.start()
    change = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(machine.folder / "user")]
    subprocess.run(change, check=True, stdout=subprocess.DEVNULL)
    command = [sys.executable, "-c", _DESCRIBE, PYTHON]
    if typed is not None:
        command = [sys.executable, "-c", _ON_A_TERMINAL, repr(typed), *command]
    environment = {**os.environ, "PATH": machine.path}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=30, check=True, start_new_session=True
    )
    machine.must_be_clean()
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout


def test_a_passphrase_is_asked_for_on_a_terminal(loopback: Loopback) -> None:
    said = with_passphrase(loopback, b"secret\n")
    assert "Enter passphrase for key" in said and "python 3." in said and "secret" not in said


def test_ctrl_c_at_a_question_ends_it(loopback: Loopback) -> None:
    said = with_passphrase(loopback, b"\x03")
    assert "Enter passphrase for key" in said and "interrupted" in said and "error:" not in said


def test_nobody_is_asked_without_a_terminal(loopback: Loopback) -> None:
    said = with_passphrase(loopback, None)
    assert "error: ssh://board does not let this user in" in said and "ssh-add" in said
