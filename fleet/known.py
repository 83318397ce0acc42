"""Which reports are in a store already: 20 bytes a report, by the day that the report itself says. numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

#: What is said of a report: not here yet; here, the same; here with other counters under the same id.
NEW, SAME, OTHER = range(3)
#: Reports of one day that are kept in a dictionary (150 bytes each) before they are put in order (20 bytes).
_FRESH = 1 << 17

Words = NDArray[np.uint64]
Sums = NDArray[np.uint32]


class Index:
    """Ids (16 bytes each) and checksums (uint32) of stored reports, in order."""

    def __init__(self, ids: bytes = b"", checksums: Sums | None = None) -> None:
        words = np.frombuffer(ids, ">u8").reshape(-1, 2).astype(np.uint64)
        order = np.lexsort((words[:, 1], words[:, 0]))
        self._high, self._low = words[order, 0], words[order, 1]
        self._sums = (np.empty(0, np.uint32) if checksums is None else checksums)[order]

    def __len__(self) -> int:
        return len(self._high)

    def with_more(self, ids: bytes, checksums: Sums) -> Index:
        mine = np.stack([self._high, self._low], axis=1).astype(">u8").tobytes()
        return Index(mine + ids, np.concatenate([self._sums, checksums]))

    def checksums(self, ids: Sequence[bytes]) -> list[int]:
        """The checksum under each id, -1 where there is none."""
        if not len(self._high):
            return [-1] * len(ids)
        words = np.frombuffer(b"".join(ids), ">u8").reshape(-1, 2).astype(np.uint64)
        found = np.full(len(ids), -1, np.int64)
        at = np.searchsorted(self._high, words[:, 0])
        searching = np.arange(len(ids))
        while len(searching):  # as long as the first halves of ids agree: nearly never twice
            searching = searching[at[searching] < len(self._high)]
            searching = searching[self._high[at[searching]] == words[searching, 0]]
            here = self._low[at[searching]] == words[searching, 1]
            found[searching[here]] = self._sums[at[searching[here]]]
            searching = searching[~here]
            at[searching] += 1
        checksums: list[int] = found.tolist()
        return checksums


class Known:
    """The reports of one spec that are stored, and those of this run.

    load: gives the index of a day (since 1970, by the report's own clock) in the store; strays: the index of the reports that
    are kept under another day than their own.
    """

    def __init__(self, load: Callable[[int], Index], strays: Callable[[], Index]) -> None:
        self._load, self._load_strays = load, strays
        self._stored: dict[int, Index] = {}
        self._fresh: dict[int, dict[bytes, int]] = {}
        self._strays: Index | None = None

    def judge(self, day: int, ids: Sequence[bytes], checksums: Sequence[int]) -> list[int]:
        """NEW, SAME or OTHER of each; those that are NEW are known from now on."""
        if self._strays is None:
            self._strays = self._load_strays()
        if day not in self._stored:
            self._stored[day], self._fresh[day] = self._load(day), {}
        fresh, verdicts = self._fresh[day], []
        stored, strays = self._stored[day].checksums(ids), self._strays.checksums(ids)
        for name, mine, one, other in zip(ids, checksums, stored, strays, strict=True):
            there = one if one >= 0 else other if other >= 0 else fresh.get(name, -1)
            if there < 0:
                fresh[name] = mine
            verdicts.append(NEW if there < 0 else SAME if there == mine else OTHER)
        if len(fresh) > _FRESH:
            self._stored[day] = self._stored[day].with_more(
                b"".join(fresh), np.fromiter(fresh.values(), np.uint32, len(fresh))
            )
            fresh.clear()
        return verdicts
