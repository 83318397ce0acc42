"""The engine of this machine: persistent worker processes, each with models of its own."""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlpack_edge.batch.engines.capacity import Capacity, capacity_of
from mlpack_edge.batch.engines.crashes import CrashSearch, Death, Poisoned, death
from mlpack_edge.batch.engines.engine import Listener
from mlpack_edge.batch.engines.schedule import Schedule
from mlpack_edge.batch.engines.worker import Worker
from mlpack_edge.batch.facts import facts_from_json
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.plan import Plan, Shard
from mlpack_edge.core.errors import Interrupted, WorkerFault, error_from_json
from mlpack_edge.runtimes.worker import WorkerBug

Json = dict[str, Any]

#: Rows that one worker is given some time (seconds) to do alone, before others are started.
FEW_ROWS, PATIENCE = 1 << 20, 0.4


class LocalEngine:
    """Runs shards in as many processes as the plan's job, the cores and the memory allow (`capacity`)."""

    def __init__(self) -> None:
        self._ahead: list[Worker] = []

    def prepare(self, job: Job) -> None:
        """Start workers while the plan is being made: they import their libraries meanwhile. One core is the plan's, and
        how many more workers there is work for, the plan tells."""
        cores = len(os.sched_getaffinity(0))
        while len(self._ahead) < max(min(job.workers or cores, cores) - 1, 1):
            self._ahead.append(Worker())

    def close(self, but: int = 0) -> None:
        """End what was prepared and not used, all but `but` of them."""
        while len(self._ahead) > but:
            worker = self._ahead.pop()
            worker.kill()
            worker.close()

    def run(self, plan: Plan, todo: Sequence[Shard], folder: Path, listener: Listener) -> None:
        """As `Engine.run`. It must be called from a thread that lives as long as the call: workers end with it."""
        if not todo:
            return
        _remove_drafts(folder)
        capacity = capacity_of(plan, len(todo))
        self.close(capacity.workers)
        running = _Running(plan, todo, folder, listener, capacity, self._ahead)
        try:
            running.work()
        except KeyboardInterrupt as stop:
            raise Interrupted("interrupted", "start it again: it goes on with the shards that are not done") from stop
        finally:
            running.end()
            self.close()
            _remove_drafts(folder)


class _Running:
    """One run: who does what, and what is done where a worker dies."""

    def __init__(
        self, plan: Plan, todo: Sequence[Shard], folder: Path, listener: Listener, capacity: Capacity,
        ahead: list[Worker],
    ) -> None:  # fmt: skip
        self._ahead = ahead
        self._plan = plan
        self._plan_json = plan.to_json()
        self._folder = folder
        self._listener = listener
        self._schedule = Schedule(todo)
        self._left = len(todo)
        self._capacity = capacity
        self._poisoned = Poisoned(folder, plan)
        self._rows = sum(shard.rows for shard in todo)
        self._told: dict[int, int] = {}  # rows by shard that the listener was told of, so that none is told twice
        self._crashes: set[int] = set()  # shards on which a worker died, and no row was found
        self._alone: set[int] = set()  # shards for which one worker alone had too little memory
        self._workers: dict[int, Worker] = {}
        self._selector = selectors.DefaultSelector()
        # When all workers should be there.
        self._others_at = 0.0 if self._rows > FEW_ROWS or len(ahead) > 1 else math.inf

    def work(self) -> None:
        self._start()
        while self._left:
            self._start_others()
            for key, _ in self._selector.select(self._patience()):
                worker: Worker = key.data
                answers = worker.receive()
                if answers is None:
                    self._died(worker)
                    continue
                for answer in answers:
                    self._take(worker, answer)
        for worker in self._workers.values():
            worker.end()

    def _start_others(self) -> None:
        """A worker costs half a second of a core before its first row: for few rows one is enough, unless it is slow."""
        if time.monotonic() >= self._others_at:
            while len(self._workers) < min(self._capacity.workers, self._left):
                self._start()

    def _patience(self) -> float | None:
        """Seconds until others should be started; None where that is not foreseen."""
        left = self._others_at - time.monotonic()
        return left if 0 < left < math.inf else None

    def end(self) -> None:
        """Leave no process behind."""
        for worker in self._workers.values():
            worker.kill()
            worker.close()
        self._workers.clear()
        self._selector.close()

    def _start(self) -> None:
        worker = self._ahead.pop() if self._ahead else Worker()
        worker.open(self._plan_json, self._folder, self._capacity.memory)
        self._workers[worker.pid] = worker
        self._selector.register(worker.answers, selectors.EVENT_READ, worker)

    def _forget(self, worker: Worker) -> None:
        self._selector.unregister(worker.answers)
        self._workers.pop(worker.pid)
        self._schedule.leave(worker.pid)
        worker.close()

    def _take(self, worker: Worker, answer: Json) -> None:
        if "progress" in answer:
            worker.done += answer["progress"]
            self._tell(worker)
        elif "finished" in answer:
            self._left -= 1
            worker.shard = None
            self._listener.finished(facts_from_json(answer["finished"]))
            self._ask(worker)
        elif "ready" in answer:
            worker.ready = answer
            self._others_at = min(self._others_at, time.monotonic() + PATIENCE)
            self._ask(worker)
        elif "error" in answer:
            raise error_from_json(answer["error"])
        elif "bug" in answer:
            raise WorkerBug(answer["bug"])
        elif "memory" in answer:
            self._short_of_memory(worker, answer["memory"])

    def _ask(self, worker: Worker) -> None:
        shard = self._schedule.next(worker.pid)
        if shard is not None:
            worker.run(shard, self._poisoned.of(shard))

    def _tell(self, worker: Worker) -> None:
        assert worker.shard is not None
        told = self._told.get(worker.shard.index, 0)
        if worker.done > told:
            self._told[worker.shard.index] = worker.done
            self._listener.progress(worker.done - told)

    def _died(self, worker: Worker) -> None:
        """A worker ended without being asked to."""
        died = death(worker.end(), worker.last_words())
        if died.of_memory:
            self._short_of_memory(worker, worker.last_words())
        else:
            self._crashed(worker, died, worker.last_words())

    def _crashed(self, worker: Worker, died: Death, words: str) -> None:
        """Find the row, or do the shard once more; then it is the shard's fault."""
        self._forget(worker)
        shard = worker.shard
        if shard is None:
            raise WorkerFault(
                f"a worker {died.how} while it opened the model",
                "mlpack check says whether the model runs at all; mlpack doctor whether the packages go together",
                why=words,
            )
        if not self._found_culprit(worker, shard):
            if shard.index in self._crashes:
                raise self._unexplained(worker, shard, died, words)
            self._crashes.add(shard.index)
            self._listener.note(f"{self._name(shard)}: a worker {died.how}; shard {shard.index} is done again")
        self._go_on(shard)

    def _short_of_memory(self, worker: Worker, words: str) -> None:
        """Go on with one worker fewer, each of which may have more; where there is one, a single row may be at fault."""
        worker.kill()
        self._forget(worker)
        shard = worker.shard
        key = shard.index if shard else -1
        if self._capacity.workers > 1:
            self._capacity = self._capacity.fewer()
            for other in self._workers.values():
                other.allow(self._capacity.memory)
        elif key not in self._alone:
            self._alone.add(key)
        elif shard is None or not self._found_culprit(worker, shard):
            where = f"{self._name(shard)}: shard {shard.index}" if shard else "opening the model"
            raise WorkerFault(
                f"{where}: one worker alone found too little memory within {self._capacity.memory / 1e6:,.0f} MB",
                "give the run more with --memory, or read fewer rows at once with --batch-rows",
                why=words or "the system killed it",
                memory=self._capacity.memory,
            )
        self._listener.note(
            f"a worker was short of memory; the run goes on with {self._capacity.workers} of up to "
            f"{self._capacity.memory / 1e6:,.0f} MB"
        )
        self._go_on(shard)

    def _found_culprit(self, worker: Worker, shard: Shard) -> bool:
        """Whether a single row ends the process; it is left out from now on."""
        assert worker.ready is not None
        search = CrashSearch(self._plan_json, self._folder, self._capacity.memory, shard, self._poisoned.of(shard))
        rows = min(worker.ready["read_rows"], shard.rows - worker.done)
        culprit = search.culprit(shard.start + worker.done, rows, worker.ready["block_rows"])
        if culprit is None:
            return False
        how = culprit.death.how
        self._poisoned.add(shard, culprit.row, f"the model ends its process: it {how}")
        self._listener.note(
            f"{self._name(shard)}: a worker {how} on row {culprit.row}; the row is rejected, the run goes on"
        )
        return True

    def _unexplained(self, worker: Worker, shard: Shard, died: Death, words: str) -> WorkerFault:
        first = shard.start + worker.done
        return WorkerFault(
            f"{self._name(shard)}: a worker {died.how} twice while it worked on the rows from {first} on "
            f"(shard {shard.index}), and no single row does it",
            "score these rows alone to find out more: --sql with a LIMIT and an OFFSET; mlpack doctor says whether the "
            "packages go together",
            why=words, shard=shard.index, first_row=first,
        )  # fmt: skip

    def _go_on(self, shard: Shard | None) -> None:
        """Have the shard done again, by a worker in place of the one that is gone if there may be so many."""
        if shard is not None:
            self._schedule.give_back(shard)
        if not self._workers:
            self._start()
        for worker in self._workers.values():
            if worker.ready and worker.shard is None:
                self._ask(worker)

    def _name(self, shard: Shard) -> str:
        return self._plan.inputs[shard.file].name


def _remove_drafts(folder: Path) -> None:
    """Shards that processes did not finish: whoever runs here holds the run's lock."""
    for path in folder.glob(".?????*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)
