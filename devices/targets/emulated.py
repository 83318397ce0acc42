"""A machine that is emulated here: what a model gives there, and how many instructions it takes. Never time."""

from __future__ import annotations

from typing import Any

from mlpack_edge.core.errors import BadInput, MlpackError, WorkerFault
from mlpack_edge.devices.emulation.boards import profile_named
from mlpack_edge.devices.emulation.launch import launcher
from mlpack_edge.devices.targets.agent_target import AgentTarget
from mlpack_edge.devices.targets.session import AgentSession, bootstrap
from mlpack_edge.devices.targets.target import TargetOptions

Json = dict[str, Any]


class EmulatedTarget(AgentTarget):
    """`emulated:PROFILE`: pi3, pi4, pi5, armv7, x86-64-avx2 (`mlpack target setup` makes them ready)."""

    gives = frozenset({"instructions", "outputs"})

    def __init__(self, address: str, options: TargetOptions) -> None:
        if not address:
            raise BadInput("emulated: names no machine", "emulated:pi4, for example; mlpack target list shows them")
        self.machine = profile_named(address)
        super().__init__(address, options)
        self.name = f"emulated:{self.machine.name}"

    def _start(self) -> AgentSession:
        found = launcher(self.machine)
        text, opening = bootstrap(found.command)
        return AgentSession(
            [*found.command, "-c", text], self._explained, opening, found.environment, self.options.stage
        )

    def describe(self) -> Json:
        found = super().describe()
        return {**found, "environment": {**found["environment"], "cpu": self.machine.describes, "machine_id": None}}

    def _explained(self, code: int | None, printed: str) -> MlpackError:
        return WorkerFault(
            f"{self.name} ended with code {code} and gave no answer",
            f"mlpack target setup {self.name} --force sets it up anew",
            why=printed.splitlines()[-1][:300] if printed else "",
        )
