"""What Parquet footers and Arrow files say of themselves: their schema and the rows of each group."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlpack_edge.batch.inputs.damage import as_bad_input
from mlpack_edge.batch.inputs.schemas import plain_schema
from mlpack_edge.core.errors import BadInput


@dataclass(frozen=True, slots=True)
class Layout:
    """schema: plain types. groups: rows of each row group (Parquet) or record batch (Arrow)."""

    schema: Any
    groups: tuple[int, ...]

    @property
    def rows(self) -> int:
        return sum(self.groups)


def layout_of(name: str, path: Path, form: str) -> Layout:
    """Of a "parquet" or "arrow" file; only its footer is read. Raises BadInput, naming the input, where it is damaged."""
    return _of_parquet(name, path) if form == "parquet" else _of_arrow(name, path)


def _of_parquet(name: str, path: Path) -> Layout:
    with as_bad_input(f"{name}: the Parquet footer cannot be read"):
        metadata = pq.read_metadata(path)
        schema = metadata.schema.to_arrow_schema()
        groups = tuple(metadata.row_group(index).num_rows for index in range(metadata.num_row_groups))
    if min(groups, default=0) < 0 or sum(groups) != metadata.num_rows:
        raise BadInput(
            f"{name}: the Parquet footer counts {metadata.num_rows} rows, its row groups {sum(groups)}",
            "make the file again from its source",
        )
    return Layout(plain_schema(name, schema), groups)


def _of_arrow(name: str, path: Path) -> Layout:
    with as_bad_input(f"{name}: the Arrow file cannot be read"), pa.memory_map(str(path)) as source:
        schema = pa.ipc.open_file(source).schema
        # The lengths stand with the batches; of these one column is enough.
        options = pa.ipc.IpcReadOptions(included_fields=[0], use_threads=False)
        reader = pa.ipc.open_file(source, options=options)
        groups = tuple(reader.get_batch(index).num_rows for index in range(reader.num_record_batches))
    return Layout(plain_schema(name, schema), groups)
