"""Which worker does which shard next: shards of one row group stay together, and nobody is idle at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import groupby

from mlpack_edge.batch.plan import Shard


class Schedule:
    """Shards that follow each other in the same row groups go to one worker, whose decoder is open there; a worker for whom
    nothing is left takes the later half of what another one has before it."""

    def __init__(self, todo: Sequence[Shard]) -> None:
        self._runs = deque(deque(run) for _, run in groupby(todo, key=lambda shard: (shard.file, shard.groups)))
        self._mine: dict[int, deque[Shard]] = {}

    def next(self, worker: int) -> Shard | None:
        """The shard that `worker` should do, None where there is nothing left for it."""
        mine = self._mine.get(worker)
        if not mine:
            mine = self._mine[worker] = self._runs.popleft() if self._runs else self._stolen()
        return mine.popleft() if mine else None

    def give_back(self, shard: Shard) -> None:
        """A shard that was not finished, to be done next by whoever asks for more than its own."""
        self._runs.appendleft(deque([shard]))

    def leave(self, worker: int) -> None:
        """The worker is gone: what it had before it is for the others."""
        left = self._mine.pop(worker, None)
        if left:
            self._runs.appendleft(left)

    def _stolen(self) -> deque[Shard]:
        longest = max(self._mine.values(), key=len, default=deque())
        taken: deque[Shard] = deque()
        for _ in range((len(longest) + 1) // 2):
            taken.appendleft(longest.pop())
        return taken
