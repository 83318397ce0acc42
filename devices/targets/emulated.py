"""A machine that is emulated here: what a model gives there, and how many instructions it takes. Never time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlpack_edge.core.errors import BadInput, MlpackError, WorkerFault
from mlpack_edge.core.scratch import scratch_folder
from mlpack_edge.devices.emulation.boards import profile_named
from mlpack_edge.devices.emulation.counts import read_regions
from mlpack_edge.devices.emulation.launch import launcher
from mlpack_edge.devices.targets.agent_target import AgentTarget, of_model, versions_of
from mlpack_edge.devices.targets.answers import counted_from_answer
from mlpack_edge.devices.targets.session import AgentSession, bootstrap
from mlpack_edge.devices.targets.target import Refused, TargetOptions
from mlpack_edge.runtimes.measuring.plan import Plan
from mlpack_edge.runtimes.measuring.prepared import PreparedModel
from mlpack_edge.runtimes.measuring.result import BenchResult

Json = dict[str, Any]
#: Sets of inputs whose calls are counted: a count has no noise, only branches that depend on the input move it.
_CALLS = 5
#: What QEMU's Haswell has of the features that are reported.
_HASWELL = frozenset({"avx", "avx2", "f16c", "fma", "sse4_2"})


class EmulatedTarget(AgentTarget):
    """`emulated:PROFILE`: pi3, pi4, pi5, armv7, x86-64-avx2 (`mlpack target setup` makes them ready)."""

    gives = frozenset({"instructions", "outputs"})

    def __init__(self, address: str, options: TargetOptions) -> None:
        if not address:
            raise BadInput("emulated: names no machine", "emulated:pi4, for example; mlpack target list shows them")
        self.machine = profile_named(address)
        super().__init__(address, options)
        #: Where QEMU writes the counts of the agent's children, while they are wanted.
        self._counts: Path | None = None
        self.name = f"emulated:{self.machine.name}"

    def bench(self, models: Sequence[PreparedModel], plan: Plan) -> list[BenchResult | Refused]:
        """Instructions by class, of one inference. Raises Unsupported where this machine's cannot be counted."""
        if plan.threads != 1:
            raise BadInput("instructions are counted at one thread", "leave --threads away")
        self.close()
        with scratch_folder() as folder:
            self._counts = Path(folder, "counts")
            try:
                told = self.describe()
                place = {**told["environment"], "versions": versions_of(told)}
                return [self._counted(model, plan, place) for model in models]
            finally:
                self.close()
                self._counts = None

    def _counted(self, model: PreparedModel, plan: Plan, place: Json) -> BenchResult | Refused:
        assert self._counts is not None
        self._counts.unlink(missing_ok=True)
        try:
            answer = self.session.ask("count", **{**plan.to_json(), **self._job(model), "calls": _CALLS})[0]
            marked, told = counted_from_answer(answer, self.name)
            regions = read_regions(self._counts)
        except MlpackError as fault:
            return Refused(model.name, of_model(model, fault))
        if len(regions) != marked:
            said = f"{model.name}: {len(regions)} regions were counted, not {marked}"
            return Refused(model.name, WorkerFault(said, "run it again"))
        nothing, calls = regions[0::2], regions[1::2]
        counts = {
            name: max(0, round((sum(one[name] for one in calls) - sum(one[name] for one in nothing)) / len(calls)))
            for name in calls[0]
        }
        if not counts["total"]:
            said = f"{model.name}: no instruction was counted beside those of the measuring itself"
            return Refused(model.name, WorkerFault(said, "run it again"))
        return BenchResult(
            model=model.name, format=model.format, model_sha256=model.sha256, bytes=model.bytes, target=self.name,
            threads=1, batch=model.batch, launches=(), harness_floor_ns=None,
            environment={**place, "runtime": told.runtime}, input_digest=model.input_digest,
            output_digest=told.output_digest, io=told.io, instructions=counts,
            spinning=False if model.format == "onnx" else None,
        )  # fmt: skip

    def _start(self) -> AgentSession:
        found = launcher(self.machine)
        text, opening = bootstrap(launcher(self.machine, self._counts).command)
        return AgentSession(
            [*found.command, "-c", text], self._explained, opening, found.environment, self.options.stage
        )

    def describe(self) -> Json:
        found = super().describe()
        place = {**found["environment"], "cpu": self.machine.describes, "machine_id": None}
        if self.machine.board is None:  # such a guest reads the /proc/cpuinfo of the machine that emulates
            place["features"] = [name for name in place["features"] if name in _HASWELL]
        return {**found, "environment": place}

    def _explained(self, code: int | None, printed: str) -> MlpackError:
        return WorkerFault(
            f"{self.name} ended with code {code} and gave no answer",
            f"mlpack target setup {self.name} --force sets it up anew",
            why=printed.splitlines()[-1][:300] if printed else "",
        )
