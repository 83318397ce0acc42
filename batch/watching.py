"""What happens while the shards of a run are done: told on, kept, and ended where the run cannot succeed any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from mlpack_edge.batch.counted import counted
from mlpack_edge.batch.engines.engine import Listener
from mlpack_edge.batch.facts import ShardFacts
from mlpack_edge.batch.judging import Spending
from mlpack_edge.batch.ledger import RunFolder
from mlpack_edge.core.errors import CheckFailed

Json = dict[str, Any]


class RunListener(Listener, Protocol):
    """A Listener that is also told what is being done before and after the shards."""

    def stage(self, text: str) -> None: ...

    def planned(self, run_key: str, rows: int, shards: int, reused: int, changed: tuple[str, ...]) -> None:
        """rows: still to be scored, in `shards` shards; `reused` shards are there already."""
        ...


class Watched:
    """The listener of the engine: keeps the facts, syncs what is finished, and ends a run that cannot succeed."""

    def __init__(self, listener: RunListener, folder: RunFolder, spending: Spending) -> None:
        self.facts: list[ShardFacts] = []
        self._listener, self._folder, self._spending = listener, folder, spending

    def reuse(self, shards: Sequence[ShardFacts]) -> None:
        """Shards that an earlier run did; their rejected rows count."""
        for facts in shards:
            self.facts.append(facts)
            self._spending.add(facts)

    def progress(self, rows: int) -> None:
        self._listener.progress(rows)

    def finished(self, facts: ShardFacts) -> None:
        self.facts.append(facts)
        self._folder.finished(facts)
        self._listener.finished(facts)
        self._spending.add(facts)

    def note(self, text: str) -> None:
        self._listener.note(text)


def refuse_repeated(found: Json, column: str, is_key: bool) -> None:
    """Raise CheckFailed where a column that is to be unique is not; found: the fields of `uniqueness.Findings`."""
    if is_key and (found["repeated"] or found["nulls"]):
        from mlpack_edge.batch.uniqueness import Findings, refuse_key  # loads DuckDB

        refuse_key(Findings(**found), column)
    if found["repeated"]:
        shown = ", ".join(f"{value} ({counted(rows, 'row')})" for value, rows in found["examples"])
        raise CheckFailed(
            f"the contract says that {column!r} is unique; {counted(found['repeated'], 'value')} "
            f"{'stands' if found['repeated'] == 1 else 'stand'} in several rows",
            "mend the input, or take `unique` out of the contract", why=shown,
        )  # fmt: skip
