"""This machine: an agent in a process of its own, so that a measurement here goes as anywhere else."""

from __future__ import annotations

import sys

from mlpack_edge.core.errors import BadInput, MlpackError, WorkerFault
from mlpack_edge.devices.targets.agent_target import AgentTarget
from mlpack_edge.devices.targets.session import AgentSession, bootstrap
from mlpack_edge.devices.targets.target import TargetOptions


class LocalTarget(AgentTarget):
    """`local`. The agent reads model files where they are."""

    copies = False

    def __init__(self, address: str, options: TargetOptions) -> None:
        if address:
            raise BadInput(f"local:{address} is no target", "this machine is just: --target local")
        super().__init__(address, options)
        self.name = "local"

    def _start(self) -> AgentSession:
        # -P: a numpy.py in the current folder must not be imported.
        python = [sys.executable, "-P"]
        text, opening = bootstrap(python)
        return AgentSession([*python, "-c", text], _explained, opening, stage=self.options.stage)


def _explained(code: int | None, printed: str) -> MlpackError:
    return WorkerFault(
        f"the agent on this machine ended with code {code} and gave no answer",
        "mlpack doctor shows whether the installed packages go together",
        why=printed.splitlines()[-1] if printed else "",
    )
