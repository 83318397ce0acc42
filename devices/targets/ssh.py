"""Another machine, through the user's own ssh: its configuration, keys, agent, jumps and shared connections hold."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from mlpack_edge.core.errors import IoFault, MissingExtra, MlpackError
from mlpack_edge.devices.targets.agent_target import AgentTarget
from mlpack_edge.devices.targets.session import AgentSession, bootstrap
from mlpack_edge.devices.targets.ssh_address import parse_address, python_command
from mlpack_edge.devices.targets.ssh_faults import ssh_error
from mlpack_edge.devices.targets.target import Refused, TargetOptions
from mlpack_edge.runtimes.measuring.plan import Plan
from mlpack_edge.runtimes.measuring.prepared import PreparedModel
from mlpack_edge.runtimes.measuring.result import BenchResult

Json = dict[str, Any]
#: A dead connection is noticed after three times this.
_ALIVE_S = 15
_CONNECT_S = 20
#: So Ctrl-C ends ssh (and what it started to get there) through us, after the agent has cleaned up.
_UNINTERRUPTED = ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh"]
#: How the agent marks a line that mends something where it runs.
_THERE = "on the target: "


class SshTarget(AgentTarget):
    """`ssh://USER@HOST:PORT`. The agent and the models are sent through the one connection, into a folder that goes
    with it; the target needs a login shell, Python 3.9 or newer and the runtime.

    What we add to the user's configuration: a limit to connecting and a sign of life where none is set; no forwarding;
    an unknown host key is refused, not asked about (where the configuration says to accept it, it is accepted).
    Passwords and passphrases are asked for where there is a terminal.
    """

    def __init__(self, address: str, options: TargetOptions) -> None:
        super().__init__(address, options)
        self.host = parse_address(address)
        self.name = f"ssh:{address}"
        # -B: nothing is left behind in the folders of packages.
        text, self._opening = bootstrap([options.python, "-B"])
        self._line = python_command(options.python, ["-B", "-c", text])
        self._settings: dict[str, str] = {}

    def _start(self) -> AgentSession:
        ssh = shutil.which("ssh")
        if ssh is None:
            raise MissingExtra(
                "there is no ssh on PATH", "install OpenSSH (on Debian: sudo apt install openssh-client)"
            )
        port = [] if self.host.port is None else ["-p", str(self.host.port)]
        user = [] if self.host.user is None else ["-l", self.host.user]
        self._settings = self._configuration(ssh, [*port, *user])
        options = _added(self._settings, self.options.time_limit)
        command = [ssh, *options, *port, *user, "--", self.host.host, self._line]
        return AgentSession(
            [*_UNINTERRUPTED, *command], self._explained, self._opening, stage=self.options.stage, terminal=True
        )

    def _configuration(self, ssh: str, words: Sequence[str]) -> dict[str, str]:
        """What ssh makes of its files for this host (`ssh -G`); nothing is contacted."""
        try:
            found = subprocess.run(
                [ssh, "-G", *words, "--", self.host.host], capture_output=True, stdin=subprocess.DEVNULL,
                timeout=self.options.time_limit, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as fault:
            raise IoFault(
                "ssh does not work here", f"see what this says: {self.host.command}", why=str(fault)
            ) from fault
        if found.returncode:
            raise self._explained(found.returncode, found.stderr.decode("utf-8", "replace"))
        lines = (line.partition(" ") for line in found.stdout.decode("utf-8", "replace").splitlines())
        return {name.lower(): value for name, _, value in lines}

    def _explained(self, code: int | None, printed: str) -> MlpackError:
        answered = bool(self._hello)
        return ssh_error(self.host, self.name, self.options.python, code, printed, answered, self._settings)

    def bench(self, models: Sequence[PreparedModel], plan: Plan) -> list[BenchResult | Refused]:
        try:
            made = super().bench(models, plan)
        except MlpackError as fault:
            self._from_here(fault)
            raise
        for one in made:
            if isinstance(one, Refused):
                self._from_here(one.error)
        return made

    def outputs(self, model: PreparedModel, plan: Plan) -> list[Mapping[str, NDArray[Any]]]:
        try:
            return super().outputs(model, plan)
        except MlpackError as fault:
            self._from_here(fault)
            raise

    def profile(self, model: PreparedModel, plan: Plan) -> list[Json]:
        try:
            return super().profile(model, plan)
        except MlpackError as fault:
            self._from_here(fault)
            raise

    def _from_here(self, fault: MlpackError) -> None:
        """A line to type there as one to type here."""
        if fault.hint.startswith(_THERE):
            line, then, rest = fault.hint[len(_THERE) :].partition(", then ")
            fault.hint = f"{self.host.command} {shlex.quote(line)}{then}{rest}"


def _added(settings: Mapping[str, str], time_limit: float) -> list[str]:
    """Options beside the user's own, which win wherever they say anything."""
    made = ["-T", "-a", "-x", "-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none"]
    if settings.get("connecttimeout", "none") in ("none", "0"):
        made += ["-o", f"ConnectTimeout={max(1, int(min(_CONNECT_S, time_limit / 2)))}"]
    if settings.get("serveraliveinterval", "0") == "0":
        made += ["-o", f"ServerAliveInterval={_ALIVE_S}"]
    if settings.get("stricthostkeychecking", "ask") == "ask":
        made += ["-o", "StrictHostKeyChecking=yes"]
    # Others would hang on our connection, and we on theirs: a shared one stays only where it has a process of its own.
    if settings.get("controlpersist", "no") in ("no", "false"):
        made += ["-o", "ControlMaster=no"]
    if not _terminal():
        made += ["-o", "BatchMode=yes"]
    return made


def _terminal() -> bool:
    """Whether ssh could ask somebody."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
