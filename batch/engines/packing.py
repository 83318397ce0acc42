"""A folder as rows of Arrow and back, so that a cluster's own writer can carry it, whatever the types of its columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow

#: shard: its index. name: of the file below the task's folder. place: which block of the file, from 0. bytes: the block.
SCHEMA = pyarrow.schema([
    ("shard", pyarrow.int32()), ("name", pyarrow.string()), ("place", pyarrow.int32()), ("bytes", pyarrow.binary()),
])  # fmt: skip
BLOCK = 1 << 20


def packed(index: int, folder: Path, names: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
    """The files and folders `names` of `folder`, those that are there, a block a batch."""
    for name in names:
        files = sorted(path for path in (folder / name).rglob("*") if path.is_file())
        for path in files or [folder / name]:
            if path.is_file():
                yield from _blocks(index, path, str(path.relative_to(folder)))


def _blocks(index: int, path: Path, name: str) -> Iterator[pyarrow.RecordBatch]:
    with path.open("rb") as stream:
        place = 0
        while (block := stream.read(BLOCK)) or not place:
            columns = [[index], [name], [place], [block]]
            arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
            yield pyarrow.RecordBatch.from_arrays(arrays, schema=SCHEMA)
            place += 1


def unpack(batches: Iterable[pyarrow.RecordBatch], folder: Path) -> set[int]:
    """Write what `packed` gave below `folder/NNNNN`, a folder a shard; the shards that were there.

    Blocks of a file come in their order. Raises ValueError where they do not, or where a name leads out of the folder.
    """
    found: set[int] = set()
    for batch in batches:
        for row in batch.to_pylist():
            home = folder / f"{row['shard']:05d}"
            path = home / row["name"]
            if not path.resolve().is_relative_to(home.resolve()):
                raise ValueError(f"{row['name']} leads out of the folder of its shard")
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as stream:
                if stream.tell() != row["place"] * BLOCK:
                    raise ValueError(f"block {row['place']} of {row['name']} does not follow the one before it")
                stream.write(row["bytes"])
            found.add(row["shard"])
    return found
