"""What happens in a run, told to its log and, on a terminal, to a progress bar."""

from __future__ import annotations

from typing import Any

from mlpack_edge.batch.facts import ShardFacts
from mlpack_edge.batch.run_log import RunLog
from mlpack_edge.cli.outcome import note, show_stage
from mlpack_edge.cli.score_text import Progress
from mlpack_edge.core.errors import MlpackError

Json = dict[str, Any]


class ScoreListener:
    """The listener of a run. quiet: no terminal shows what is being done.

    A log that fails in the middle (a full disk) does not stop the run: its fault is kept in `faults`, and ends the command
    once the table is published.
    """

    def __init__(self, log: RunLog, quiet: bool) -> None:
        self._log = log
        self._quiet = quiet
        self._progress = Progress(not quiet)
        self.faults: list[MlpackError] = []
        self.notes: list[str] = []
        self.rows_in = 0
        self.rows_rejected = 0
        self.rejected: dict[str, int] = {}
        self.shards_done = 0
        self.shards_reused = 0

    def say(self, event: str, **facts: Any) -> None:
        """A line of the log."""
        if self.faults:
            return
        try:
            self._log.write(event, **facts)
        except MlpackError as fault:
            self.faults.append(fault)
            note(f"{fault.message} ({fault.why}); the run goes on without it")

    def identify(self, run_key: str) -> None:
        """From now on lines carry the key of the run."""
        self._log.run_key = run_key

    def stage(self, text: str) -> None:
        if not self._quiet:
            show_stage(text)

    def planned(self, run_key: str, rows: int, shards: int, reused: int, changed: tuple[str, ...]) -> None:
        """rows: still to be scored, in `shards` shards; `reused` shards are there already."""
        self.identify(run_key)
        self.shards_reused = reused
        self._progress.begin(rows)
        self.say("planned", rows=rows, shards=shards, reused=reused, changed=list(changed))

    def progress(self, rows: int) -> None:
        self._progress.advance(rows)

    def finished(self, facts: ShardFacts) -> None:
        self.shards_done += 1
        self.rows_in += facts.rows_in
        self.rows_rejected += facts.rows_rejected
        for reason, rows in facts.rejected.items():
            self.rejected[reason] = self.rejected.get(reason, 0) + rows
        self.say(
            "shard", shard=facts.index, rows_in=facts.rows_in, rows_out=facts.rows_out,
            rows_rejected=facts.rows_rejected, rejected=facts.rejected, seconds=round(facts.seconds, 3),
        )  # fmt: skip

    def note(self, text: str) -> None:
        note(text)
        self.notes.append(text)
        self.say("note", text=text)
