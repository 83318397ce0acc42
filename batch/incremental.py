"""Which inputs an incremental run scores, and which rows of the table stay: pure rules over values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mlpack_edge.batch.manifest import Manifest
from mlpack_edge.batch.plan import Fingerprint, InputFile

#: `(input as it is now, its fingerprint then, its rows then) -> how many of its first rows are the rows of then`.
Appended = Callable[[InputFile, Fingerprint, int], int]


@dataclass(frozen=True, slots=True)
class Division:
    """scored: inputs to be read; one that only grew has `skip`, the rows that are in the table already. kept: inputs whose
    rows stay as they are: unchanged ones as they are now, and those that are gone as the manifest has them.

    new, changed, grown, gone: names, for messages; the first three are in `scored`, the last is in `kept`.
    """

    scored: tuple[InputFile, ...]
    kept: tuple[InputFile, ...]
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    grown: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


def _never(item: InputFile, known: Fingerprint, rows: int) -> int:
    return 0


def divide(last: Manifest, inputs: Sequence[InputFile], appended: Appended = _never) -> Division:
    """Compare what is there with what the table was made from.

    An input is unchanged where its fingerprint's key is the same. One that is gone keeps its rows: folders of inputs are
    cleaned after a while. A changed one is scored again as a whole, and its rows in the table go, unless `appended` says
    that its first rows are those of then: then only what follows is scored. Inputs keep their order; gone ones follow.
    """
    before = {item.name: item for item in last.inputs}
    scored: list[InputFile] = []
    kept: list[InputFile] = []
    new: list[str] = []
    changed: list[str] = []
    grown: list[str] = []
    for item in inputs:
        known = before.pop(item.name, None)
        if known is None:
            new.append(item.name)
            scored.append(item)
        elif known.file.fingerprint.key() == item.fingerprint.key():
            kept.append(item)
        else:
            skip = appended(item, known.file.fingerprint, known.rows_in)
            (grown if skip else changed).append(item.name)
            scored.append(replace(item, skip=skip))
    kept += [known.file for known in before.values()]
    return Division(
        tuple(scored), tuple(kept), tuple(new), tuple(changed), tuple(grown), tuple(sorted(before)),
    )  # fmt: skip
