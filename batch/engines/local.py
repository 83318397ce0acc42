"""The engine of this machine: persistent worker processes, each with models of its own."""

from __future__ import annotations

import contextlib
import selectors
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlpack_edge.batch.engines.capacity import Capacity, capacity_of
from mlpack_edge.batch.engines.crashes import CrashSearch, Poisoned, death
from mlpack_edge.batch.engines.engine import Listener
from mlpack_edge.batch.engines.schedule import Schedule
from mlpack_edge.batch.engines.worker import Worker
from mlpack_edge.batch.facts import facts_from_json
from mlpack_edge.batch.plan import Plan, Shard
from mlpack_edge.core.errors import Interrupted, WorkerFault, error_from_json
from mlpack_edge.runtimes.worker import WorkerBug

Json = dict[str, Any]


class LocalEngine:
    """Runs shards in as many processes as the plan's job, the cores and the memory allow (`capacity`)."""

    def run(self, plan: Plan, todo: Sequence[Shard], folder: Path, listener: Listener) -> None:
        """As `Engine.run`. It must be called from a thread that lives as long as the call: workers end with it."""
        if not todo:
            return
        _remove_drafts(folder)
        running = _Running(plan, todo, folder, listener)
        try:
            running.work()
        except KeyboardInterrupt as stop:
            raise Interrupted("interrupted", "start it again: it goes on with the shards that are not done") from stop
        finally:
            running.end()
            _remove_drafts(folder)


class _Running:
    """One run: who does what, and what is done where a worker dies."""

    def __init__(self, plan: Plan, todo: Sequence[Shard], folder: Path, listener: Listener) -> None:
        self._plan = plan
        self._plan_json = plan.to_json()
        self._folder = folder
        self._listener = listener
        self._schedule = Schedule(todo)
        self._left = len(todo)
        self._capacity: Capacity = capacity_of(plan.job, len(todo))
        self._poisoned = Poisoned(folder, plan)
        self._told: dict[
            int, int
        ] = {}  # rows by shard that the listener was told of: a shard done again tells nothing twice
        self._deaths: dict[int, int] = {}  # unexplained ones by shard
        self._alone: set[int] = set()  # shards for which one worker alone had too little memory
        self._workers: dict[int, Worker] = {}
        self._selector = selectors.DefaultSelector()
        self._number = 0

    def work(self) -> None:
        while len(self._workers) < self._capacity.workers:
            self._start()
        while self._left:
            for key, _ in self._selector.select():
                worker: Worker = key.data
                answers = worker.receive()
                if answers is None:
                    self._died(worker)
                    continue
                for answer in answers:
                    self._take(worker, answer)
        for worker in self._workers.values():
            worker.end()

    def end(self) -> None:
        """Leave no process behind."""
        for worker in self._workers.values():
            worker.kill()
            worker.close()
        self._workers.clear()
        self._selector.close()

    def _start(self) -> None:
        self._number += 1
        worker = Worker(self._number, self._plan_json, self._folder, self._capacity.memory)
        self._workers[worker.number] = worker
        self._selector.register(worker.answers, selectors.EVENT_READ, worker)

    def _forget(self, worker: Worker) -> None:
        self._selector.unregister(worker.answers)
        self._workers.pop(worker.number)
        self._schedule.leave(worker.number)
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
            self._ask(worker)
        elif "error" in answer:
            raise error_from_json(answer["error"])
        elif "bug" in answer:
            raise WorkerBug(answer["bug"])
        elif "memory" in answer:
            self._short_of_memory(worker, answer["memory"])

    def _ask(self, worker: Worker) -> None:
        shard = self._schedule.next(worker.number)
        if shard is not None:
            worker.run(shard, self._poisoned.of(shard))

    def _ask_idle(self) -> None:
        for worker in self._workers.values():
            if worker.ready and worker.shard is None:
                self._ask(worker)

    def _tell(self, worker: Worker) -> None:
        assert worker.shard is not None
        told = self._told.get(worker.shard.index, 0)
        if worker.done > told:
            self._told[worker.shard.index] = worker.done
            self._listener.progress(worker.done - told)

    def _died(self, worker: Worker) -> None:
        """A worker ended without being asked to."""
        code = worker.end()
        words = worker.last_words()
        if death(code, words).of_memory:
            self._short_of_memory(worker, words)
            return
        shard, done, ready = worker.shard, worker.done, worker.ready
        self._forget(worker)
        if shard is None or ready is None:
            raise WorkerFault(
                f"a worker {death(code, words).how} while it opened the model",
                "mlpack check says whether the model runs at all; mlpack doctor whether the packages go together",
                why=words,
            )
        name = self._plan.inputs[shard.file].name
        search = CrashSearch(self._plan_json, self._folder, self._capacity.memory, shard, self._poisoned.of(shard))
        rows = min(ready["read_rows"], shard.rows - done)
        found = search.row(shard.start + done, rows, ready["block_rows"])
        if found is not None:
            row, how = found
            self._poisoned.add(shard, row, f"the model ends its process: it {how}")
            self._listener.note(f"{name}: a worker {how} on row {row}; the row is rejected, the run goes on")
        else:
            self._deaths[shard.index] = self._deaths.get(shard.index, 0) + 1
            if self._deaths[shard.index] > 1:
                first = shard.start + done
                raise WorkerFault(
                    f"{name}: a worker {death(code, words).how} twice while it worked on rows {first} to "
                    f"{first + rows - 1} (shard {shard.index}), and no single row does it",
                    "score these rows alone to find out more: --sql with a LIMIT and an OFFSET; mlpack doctor says "
                    "whether the packages go together",
                    why=words, shard=shard.index, first_row=first, rows=rows,
                )  # fmt: skip
            self._listener.note(f"{name}: a worker {death(code, words).how}; shard {shard.index} is done again")
        self._schedule.give_back(shard)
        self._start()
        self._ask_idle()

    def _short_of_memory(self, worker: Worker, why: str) -> None:
        """Go on with one worker fewer, each of which may have more."""
        shard = worker.shard
        worker.kill()
        self._forget(worker)
        where = f"shard {shard.index}" if shard else "opening the model"
        key = shard.index if shard else -1
        if self._capacity.workers == 1:
            if key in self._alone:
                raise WorkerFault(
                    f"{where}: one worker alone found too little memory within {self._capacity.memory / 1e6:,.0f} MB",
                    "give the run more with --memory, or read fewer rows at once with --batch-rows",
                    why=why or "the system killed it", shard=key, memory=self._capacity.memory,
                )  # fmt: skip
            self._alone.add(key)
        self._capacity = self._capacity.fewer()
        for other in self._workers.values():
            other.allow(self._capacity.memory)
        self._listener.note(f"{where}: a worker was short of memory; the run goes on with {self._capacity.workers}")
        if shard is not None:
            self._schedule.give_back(shard)
        if len(self._workers) < self._capacity.workers:
            self._start()
        self._ask_idle()


def _remove_drafts(folder: Path) -> None:
    """Shards that processes did not finish: whoever runs here holds the run's lock."""
    for path in folder.glob(".?????*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)
