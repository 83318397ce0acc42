"""Targets that are an agent at the end of a command: this machine, one over SSH, an emulated one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput, CheckFailed, IoFault, MlpackError, Unsupported, WorkerFault
from mlpack_edge.devices.targets.agent.arrays import packed
from mlpack_edge.devices.targets.answers import (
    Measured,
    hello_from_answer,
    measured_from_answer,
    rows_from_answer,
    sets_from_answer,
)
from mlpack_edge.devices.targets.profile_pass import profile_rows_of
from mlpack_edge.devices.targets.session import AgentSession
from mlpack_edge.devices.targets.target import Refused, TargetOptions
from mlpack_edge.runtimes.measuring.plan import Plan
from mlpack_edge.runtimes.measuring.prepared import PreparedModel, digest_of_files
from mlpack_edge.runtimes.measuring.result import BenchResult
from mlpack_edge.runtimes.worker import Limits

Array = NDArray[Any]
Json = dict[str, Any]


class AgentTarget:
    """Everything but how the agent is started (`_start`), and whether it sees the files of this machine (`copies`)."""

    gives = frozenset({"time", "outputs", "profile"})
    copies = True

    def __init__(self, address: str, options: TargetOptions) -> None:
        self.address, self.options = address, options
        self.name = address
        self._session: AgentSession | None = None
        self._hello: Json = {}
        self._placed: dict[str, str] = {}

    def _start(self) -> AgentSession:
        raise NotImplementedError

    @property
    def session(self) -> AgentSession:
        """The conversation, begun when it is first needed."""
        return self._session or self._begin()

    def _begin(self) -> AgentSession:
        self.options.stage(f"reaching {self.name}")
        self._session = self._start()
        self._hello = self._greeted(self._session)
        return self._session

    def describe(self) -> Json:
        if self._session is None:
            self._begin()
        else:
            self._hello = self._greeted(self._session)
        return self._hello

    def _greeted(self, session: AgentSession) -> Json:
        return hello_from_answer(session.ask("hello", within=self.options.time_limit)[0], self.name)

    def bench(self, models: Sequence[PreparedModel], plan: Plan) -> list[BenchResult | Refused]:
        told = self.describe()
        before = told["environment"]
        jobs, early = [], {}
        for place, model in enumerate(models):
            try:
                jobs.append(self._job(model))
            except MlpackError as refusal:
                early[place] = refusal
        answer, _ = self.session.ask("measure", models=jobs, plan=plan.to_json())
        found, floors, after = measured_from_answer(answer, len(jobs), self.name)
        measured, environment = iter(found), between(before, after)
        environment["versions"] = versions_of(told)
        made: list[BenchResult | Refused] = []
        for place, model in enumerate(models):
            one = early[place] if place in early else next(measured)
            # Each process opens the file anew where it lies: the figures of one replaced meanwhile are of two models.
            if not self.copies and place not in early and not isinstance(one, MlpackError):
                one = _changed(model) or one
            if isinstance(one, MlpackError):
                made.append(Refused(model.name, one if place in early else of_model(model, one)))
            else:
                made.append(self._result(model, plan, one, floors.get(f"{model.format} {one.io}"), environment))
        return made

    def outputs(self, model: PreparedModel, plan: Plan) -> list[Mapping[str, Array]]:
        job = {**plan.to_json(), **self._job(model)}
        try:
            return list(sets_from_answer(self.session.ask("outputs", **job)[1], self.name))
        except MlpackError as fault:
            raise of_model(model, fault) from fault

    def profile(self, model: PreparedModel, plan: Plan) -> list[Json]:
        if "profile" not in self.gives:
            raise Unsupported(f"{self.name} gives no time of single operators", "measure them on the device itself")
        job = {**plan.to_json(), **self._job(model)}

        def by_runtime() -> Json:
            return self.session.ask("profile", **job)[0]

        def time_models(blob: bytes) -> list[Json]:
            feeds = self._put(f"{hashlib.sha256(blob).hexdigest()[:20]}.feeds", blob)
            return rows_from_answer(self.session.ask("cut_outs", **{**job, "feeds": feeds})[0], "timed", self.name)

        limits = Limits(plan.time_limit, plan.memory_bytes)
        try:
            return profile_rows_of(model, by_runtime, time_models, limits, self.options.stage)
        except MlpackError as fault:
            raise of_model(model, fault) from fault

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
        self._placed.clear()

    def _result(
        self, model: PreparedModel, plan: Plan, measured: Measured, floor: float | None, environment: Json
    ) -> BenchResult:
        return BenchResult(
            model=model.name, format=model.format, model_sha256=model.sha256, bytes=model.bytes, target=self.name,
            threads=plan.threads, batch=model.batch, launches=measured.launches,
            harness_floor_ns=floor,
            environment={**environment, "runtime": measured.runtime}, input_digest=model.input_digest,
            output_digest=measured.output_digest, io=measured.io,
            spinning=plan.spinning if model.format == "onnx" else None,
        )  # fmt: skip

    def _job(self, model: PreparedModel) -> Json:
        """Where the model and its inputs lie on the target, once they are there."""
        _refuse_changed(model)
        blob = packed([dict(feeds) for feeds in model.feeds])
        feeds = self._put(f"{hashlib.sha256(blob).hexdigest()[:20]}.feeds", blob)
        label = model.name
        if not self.copies:
            return {"file": str(model.path.resolve()), "format": model.format, "feeds": feeds, "label": label}
        # Files of weights keep their names, for the model refers to them: each model has a folder.
        folder = model.sha256[:20]
        for name in model.beside:
            self._put(f"{folder}/{name}", (model.path.parent / name).read_bytes())
        file = self._put(f"{folder}/model.{model.format}", model.path.read_bytes())
        return {"file": file, "format": model.format, "feeds": feeds, "label": label}

    def _put(self, name: str, block: bytes) -> str:
        digest = hashlib.sha256(block).hexdigest()
        if name not in self._placed:
            self.options.stage(f"copying {len(block):,} bytes to {self.name}" if self.copies else "preparing")
            self._placed[name] = self.session.ask("put", block, name=name, sha256=digest)[0]["file"]
        return self._placed[name]


def versions_of(told: Json) -> Json:
    """Of what a target describes: the packages that it has, by name."""
    return {name: version for name, version in told["runtimes"].items() if version}


def between(before: Json, after: Json) -> Json:
    """The environment of a measurement from what was read before and after it."""
    made = {name: value for name, value in after.items() if name not in ("load", "steal")}
    made |= {
        "load_before": before.get("load"),
        "load_after": after.get("load"),
        "temperature_before_c": before.get("temperature_c"),
        "stolen_share": None,
    }
    throttled = [one.get("throttled") or "none" for one in (before, after)]
    if throttled[0] != throttled[1]:
        made["throttled"] = f"{throttled[0]} became {throttled[1]}"
    if before.get("steal") and after.get("steal") and after["steal"][1] > before["steal"][1]:
        made["stolen_share"] = (after["steal"][0] - before["steal"][0]) / (after["steal"][1] - before["steal"][1])
    return made


def _refuse_changed(model: PreparedModel) -> None:
    """What is measured is what was opened and named by its digest: a file that was replaced meanwhile is not (BadInput)."""
    fault = _changed(model)
    if fault is not None:
        raise fault


def _changed(model: PreparedModel) -> MlpackError | None:
    try:
        if digest_of_files(model.path, model.beside)[0] == model.sha256:
            return None
    except IoFault as fault:
        return fault
    return BadInput(f"{model.name} changed after it was opened", "wait until it is written, and start again")


def of_model(model: PreparedModel, fault: MlpackError) -> MlpackError:
    """The same error with the model's name before it, unless it is there."""
    if model.name not in fault.message and isinstance(fault, CheckFailed | WorkerFault):
        fault.message = f"{model.name}: {fault.message}"
    return fault
