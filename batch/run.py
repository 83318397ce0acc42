"""One run of a job: plan, score what is missing, judge, publish. In the coordinating process, which opens no foreign file.

Exactly once: a run that finished does nothing the second time; one that was killed goes on with the shards that are
there; readers of the output see the table of the last run or of this one, never a part of either.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpack_edge.batch.contract.contract import contract_from_text, contract_text, judge
from mlpack_edge.batch.engines.engine import Engine, Preparing
from mlpack_edge.batch.facts import RunFacts, run_facts
from mlpack_edge.batch.gathered import merged
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.judging import Budget, Spending, refuse_broken_rules
from mlpack_edge.batch.ledger import Begun, RunFolder, finish_killed
from mlpack_edge.batch.manifest import Manifest
from mlpack_edge.batch.outputs.output import Output, child_limits, output_of
from mlpack_edge.batch.plan import Plan, changes, plan_from_json
from mlpack_edge.batch.result import DONE, NOTHING_TO_DO, RunResult
from mlpack_edge.batch.same import is_done
from mlpack_edge.batch.unchanged import refuse_other_inputs, source_file
from mlpack_edge.batch.watching import RunListener, Watched, refuse_repeated
from mlpack_edge.core.errors import BadInput, CheckFailed, MlpackError
from mlpack_edge.core.extensions import ENGINES, extensions
from mlpack_edge.core.files import io_fault
from mlpack_edge.core.signature import signature_from_text
from mlpack_edge.runtimes.worker import run_isolated

if TYPE_CHECKING:
    from mlpack_edge.batch.profiled import ProfileOrder

Json = dict[str, Any]
Clock = Callable[[], datetime]


def run_job(job: Job, listener: RunListener, clock: Clock, day: date | None = None) -> RunResult:
    """Leave the job's table at its output, whatever an earlier run left.

    clock: the time now, with its zone, for rules of freshness. day: that the job is for, None where nothing of it has a date.
    Raises CheckFailed where the contract, the error budget or
    the key says no; BadInput, IoFault, WorkerFault and others where it could not be done. The output is then what it was.
    """
    began = time.monotonic()
    if job.label and job.label not in job.keep and job.keep != ("*",):
        job = replace(job, keep=(*job.keep, job.label))
    engine = _engine(job.engine)
    text = contract_text(Path(job.contract)) if job.contract else ""
    order = _ordered(job, day)
    profile = order.text if order else ""
    output = output_of(job.output)
    _make_parents(output)
    output.refuse(job)
    last = output.last()
    if last is not None and is_done(job, text, profile, last):
        finish_killed(output, last)
        return _nothing_to_do(output, last, order, listener, began)
    with RunFolder.open(output) as folder, _prepared(engine, job):
        folder.lock(time.time)
        last = output.last()  # another run may have published while this one waited for nothing but its turn
        planned = run_isolated(
            "mlpack_edge.batch.planning:plan_alone",
            {
                "job": job.to_json(), "staging": str(folder.staging), "contract": text, "profile": profile,
                "last": last.to_json() if last else None,
            },
            child_limits(job.memory), subject="the job", on_stage=listener.stage,
        )  # fmt: skip
        plan = plan_from_json(planned["plan"])
        for note in planned["notes"]:
            listener.note(note)
        if last is not None and last.identity == plan.identity() and not job.fresh:
            folder.finish()
            return _nothing_to_do(output, last, order, listener, began)
        run = _Run(plan, text, output, last, folder, listener, clock, order)
        return run.result(engine, began)


def _ordered(job: Job, day: date | None) -> ProfileOrder | None:
    """Imported where a profile is asked for: a run without one starts sooner."""
    if not job.profile:
        return None
    from mlpack_edge.batch.profiled import profile_order

    return profile_order(job, day)


class _Run:
    """What one run knows, once it has its plan."""

    def __init__(
        self, plan: Plan, contract: str, output: Output, last: Manifest | None, folder: RunFolder,
        listener: RunListener, clock: Clock, order: ProfileOrder | None,
    ) -> None:  # fmt: skip
        self._plan, self._output, self._last, self._folder = plan, output, last, folder
        self._listener, self._clock, self._order = listener, clock, order
        signature = signature_from_text(plan.models[0].signature)
        self._contract = contract_from_text(contract, plan.job.contract, signature) if contract else None

    def result(self, engine: Engine, began: float) -> RunResult:
        plan, folder = self._plan, self._folder
        begun = folder.begin(plan, plan.job.fresh)
        self._output.prepare(plan, folder)
        reused = folder.complete_shards(plan)
        there = {facts.index for facts in reused}
        todo = [shard for shard in plan.shards if shard.index not in there]
        changed = self._changed(begun)
        self._listener.planned(plan.run_key, sum(shard.rows for shard in todo), len(todo), len(reused), changed)
        watched = Watched(self._listener, folder, self._spending())
        try:
            watched.reuse(reused)
            engine.run(plan, todo, folder.shards_path, watched)
        except CheckFailed as spent:
            raise self._explained(spent, run_facts(watched.facts)) from spent
        facts = run_facts(watched.facts)
        refuse_other_inputs(plan)
        collected = merged(facts)
        if self._order:
            collected = self._order.dated(collected, plan.inputs or plan.kept)
        self._judge(facts, collected)
        self._refuse_repeated(facts)
        self._listener.stage("publishing the table")
        folder.settle()
        manifest = self._output.publish(plan, facts, folder, collected)
        folder.finish()
        folder.remember({"run_key": plan.run_key, "rows": facts.rows_in, "increment": bool(plan.kept)})
        rejected_file = self._output.rejected_file(manifest)
        return RunResult(
            status=DONE,
            output=self._output.name,
            run_key=plan.run_key,
            model_sha256=plan.models[0].sha256,
            rows_in=facts.rows_in,
            rows_out=facts.rows_out,
            rows_rejected=facts.rows_rejected,
            rejected=facts.rejected,
            shards_done=len(todo),
            shards_reused=len(reused),
            seconds=round(time.monotonic() - began, 3),
            rejected_file=str(rejected_file) if rejected_file else None,
            changed=changed,
            agreement=self._agreement(collected),
            evaluation=self._evaluation(),
            table_rows=manifest.rows_out,
            profile=self._order.write(collected) if self._order else None,
        )

    def _changed(self, begun: Begun) -> tuple[str, ...]:
        """Why this is another run than the one that stands, or than the one that was not finished."""
        if begun.changed or self._last is None:
            return begun.changed
        return tuple(changes(self._last.identity, self._plan.identity()))

    def _spending(self) -> Spending:
        share = self._plan.job.max_rejected
        if share is None:
            share = self._contract.max_rejected if self._contract else None
        where = os.path.relpath(self._folder.shards_path)
        return Spending(Budget(share or 0.0), self._plan.rows, f"{where}/*/rejected.jsonl")

    def _judge(self, facts: RunFacts, collected: Json) -> None:
        refuse_broken_rules(self._broken_rules(facts, collected))

    def _broken_rules(self, facts: RunFacts, collected: Json) -> Sequence[str]:
        if self._contract is None:
            return ()
        remembered = self._folder.remembered()
        # A whole table and what was added to one do not compare.
        alike = remembered is not None and remembered.get("increment") is bool(self._plan.kept)
        previous = {"rows": remembered["rows"]} if remembered and alike else None
        newest = max((item.fingerprint.mtime_ns for item in self._plan.inputs if source_file(item)), default=None)
        return judge(self._contract, collected.get("contract", {}), facts, previous, self._clock(), newest).reasons

    def _explained(self, spent: CheckFailed, facts: RunFacts) -> CheckFailed:
        """Rejected rows often have one cause, which the rules for columns name (a column that was encoded anew)."""
        columns = [said for said in self._broken_rules(facts, merged(facts)) if said.startswith("column ")]
        why = "; ".join([*columns, spent.why]) if spent.why else "; ".join(columns)
        return CheckFailed(spent.message, spent.hint, why=why, **spent.data)

    def _refuse_repeated(self, facts: RunFacts) -> None:
        """Raise CheckFailed where a column that names rows, or is to be unique, has a value twice."""
        keys = [self._plan.job.key] if self._plan.job.key else []
        keys += [name for name in (self._contract.unique if self._contract else ()) if name not in keys]
        parts = [str(path) for path in self._parts(facts)]
        for key in keys:
            found = run_isolated(
                "mlpack_edge.batch.uniqueness:check",
                {
                    "parts": parts, "columns": [key], "memory": self._plan.job.memory,
                    "spill": str(self._folder.run / "spill"),
                },
                child_limits(self._plan.job.memory), subject=f"the column {key!r}", on_stage=self._listener.stage,
            )  # fmt: skip
            refuse_repeated(found, key, key == self._plan.job.key)

    def _parts(self, facts: RunFacts) -> Sequence[Path]:
        """The files of the whole table: those of this run, and those that stay."""
        new = [self._folder.shard_folder(shard.index) / part.path for shard in facts.shards for part in shard.parts]
        return [*self._output.standing_files(self._plan), *new]

    def _agreement(self, collected: Json) -> Json | None:
        if "agreement" not in collected:
            return None
        from mlpack_edge.batch.agreement import agreement_report

        return agreement_report(collected["agreement"])

    def _evaluation(self) -> Json | None:
        if not self._plan.job.label:
            return None
        try:
            return run_isolated(
                "mlpack_edge.batch.evaluation.evaluate:evaluate_published",
                {"scores": self._plan.job.output, "label": self._plan.job.label, "memory": self._plan.job.memory},
                child_limits(self._plan.job.memory), subject="the evaluation", on_stage=self._listener.stage,
            )  # fmt: skip
        except MlpackError as fault:
            raise type(fault)(
                f"the table is published, and could not be evaluated: {fault.message}",
                fault.hint, why=fault.why, **fault.data,
            ) from fault  # fmt: skip


@contextmanager
def _prepared(engine: Engine, job: Job) -> Iterator[None]:
    """Engines that can begin before there is a plan do so."""
    if not isinstance(engine, Preparing):
        yield
        return
    try:
        engine.prepare(job)
        yield
    finally:
        engine.close()


def _make_parents(output: Output) -> None:
    """Folders above the output: one of `scores/{{ ds }}/late` is not there yet when the night begins."""
    try:
        output.work.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise io_fault(fault, f"the folder {output.work.parent} could not be made") from fault


def _nothing_to_do(
    output: Output, last: Manifest, order: ProfileOrder | None, listener: RunListener, began: float
) -> RunResult:
    if order and (day := order.other_day(last.collected)):
        listener.note(
            f"no row is new, so the profile stays that of {day}: dated {order.day} as well, its rows would count twice"
        )
    rejected = output.rejected_file(last)
    return RunResult(
        NOTHING_TO_DO, output.name, last.run_key, last.identity["models"]["model"], 0, 0, 0, {}, 0, 0,
        round(time.monotonic() - began, 3), str(rejected) if rejected else None,
        table_rows=last.rows_out,
        profile=order.write(last.collected) if order else None,
    )  # fmt: skip


def _engine(name: str) -> Engine:
    known = extensions(ENGINES)
    if name not in known:
        raise BadInput(f"there is no engine {name!r}", f"the engines here are {', '.join(known)}")
    made: Engine = known[name].load()()
    return made
