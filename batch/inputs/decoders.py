"""Decode row groups of Parquet files and record batches of Arrow files, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from mlpack_edge.batch.inputs.damage import FAULTS, as_bad_input, first_line
from mlpack_edge.batch.inputs.schemas import is_text
from mlpack_edge.batch.plan import InputFile
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault

#: Bytes read ahead of each column. Whole column chunks at once cost three times the memory and gain nothing.
_BUFFER = 1 << 18


class Decoder(Protocol):
    """An open file."""

    def pieces(self, groups: Sequence[int], rows: int) -> Iterator[Any]:
        """`pyarrow.RecordBatch`es of about `rows` rows, with the rows of these groups in order. Raises BadInput."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


def decoder_of(file: InputFile, columns: Sequence[str], coded: Sequence[str]) -> Decoder:
    """Open a file for reading `columns`, of which `coded` come as dictionaries where the format can. Raises BadInput."""
    return ParquetDecoder(file, columns, coded) if file.format == "parquet" else ArrowDecoder(file, columns)


class ParquetDecoder:
    """Through `pyarrow.parquet`, one thread, page checksums verified where the writer made them."""

    def __init__(self, file: InputFile, columns: Sequence[str], coded: Sequence[str]) -> None:
        self._name = file.name
        self._columns = list(columns)
        with as_bad_input(f"{file.name}: the Parquet footer cannot be read"):
            metadata = pq.read_metadata(file.path)
            self._file = pq.ParquetFile(
                Path(file.path), metadata=metadata, read_dictionary=_decodable(metadata, coded), memory_map=False, buffer_size=_BUFFER, pre_buffer=False,
                page_checksum_verification=True,
            )  # fmt: skip
            self._text = [field.name for field in self._file.schema_arrow if _holds_text(field.type)]
        _require(file, columns, self._file.schema_arrow.names)

    def pieces(self, groups: Sequence[int], rows: int) -> Iterator[Any]:
        try:
            batches = self._file.iter_batches(
                batch_size=rows, row_groups=list(groups), columns=self._columns, use_threads=False
            )
            for batch in batches:
                for name in self._text:
                    if name in batch.schema.names:
                        batch.column(name).validate(full=True)  # text that is not UTF-8
                yield batch
        except MemoryError:
            raise
        except FAULTS as fault:
            raise self._damaged(groups, fault) from fault

    def close(self) -> None:
        self._file.close()

    def _damaged(self, groups: Sequence[int], fault: BaseException) -> Exception:
        """Which row group and column it is: each is read alone until one fails."""
        if isinstance(fault, OSError) and fault.errno:
            return io_fault(fault, f"{self._name} could not be read")
        for group in groups:
            for column in self._columns:
                if (why := self._fault_in(group, column)) is not None:
                    return BadInput(
                        f"{self._name}: column {column!r} of row group {group} cannot be read",
                        "the file is damaged: make it again from its source",
                        why=why, row_group=group, column=column,
                    )  # fmt: skip
        return BadInput(
            f"{self._name}: row groups {groups[0]} to {groups[-1]} cannot be read",
            "the file is damaged: make it again from its source",
            why=first_line(fault), row_group=groups[0],
        )  # fmt: skip

    def _fault_in(self, group: int, column: str) -> str | None:
        try:
            batches = self._file.iter_batches(
                batch_size=1 << 12, row_groups=[group], columns=[column], use_threads=False
            )
            for batch in batches:
                batch.validate(full=True)
        except FAULTS as fault:
            return first_line(fault)
        return None


class ArrowDecoder:
    """Through a memory map: of record batches that are not compressed only the pages that are needed are read."""

    def __init__(self, file: InputFile, columns: Sequence[str]) -> None:
        self._name = file.name
        with as_bad_input(f"{file.name}: the Arrow file cannot be read"):
            self._source = pa.memory_map(file.path)
            names = pa.ipc.open_file(self._source).schema.names
        _require(file, columns, names)
        with as_bad_input(f"{file.name}: the Arrow file cannot be read"):
            wanted = [index for index, name in enumerate(names) if name in set(columns)]
            options = pa.ipc.IpcReadOptions(included_fields=wanted, use_threads=False)
            self._file = pa.ipc.open_file(self._source, options=options)

    def pieces(self, groups: Sequence[int], rows: int) -> Iterator[Any]:
        for group in groups:
            with as_bad_input(
                f"{self._name}: record batch {group} cannot be read",
                "the file is damaged: make it again from its source",
            ):
                batch = self._file.get_batch(group)
            for begin in range(0, batch.num_rows, rows):
                piece = batch.slice(begin, rows)
                self._validate(piece, group)
                yield piece

    def close(self) -> None:
        self._source.close()

    def _validate(self, piece: Any, group: int) -> None:
        """Offsets that point nowhere would end the process when they are followed."""
        for name, column in zip(piece.schema.names, piece.columns, strict=True):
            try:
                column.validate(full=True)
            except FAULTS as fault:
                raise BadInput(
                    f"{self._name}: column {name!r} of record batch {group} cannot be read",
                    "the file is damaged: make it again from its source",
                    why=first_line(fault), row_group=group, column=name,
                ) from fault  # fmt: skip


def _decodable(metadata: Any, coded: Sequence[str]) -> list[str]:
    """Those that Arrow decodes to dictionaries: it cannot where a chunk is delta-encoded, as DuckDB and Polars write some."""
    leaves = {metadata.schema.column(index).path: index for index in range(len(metadata.schema))} if coded else {}
    groups = range(metadata.num_row_groups)
    return [
        name
        for name in coded
        if name in leaves
        and not any(
            "DELTA" in each for group in groups for each in metadata.row_group(group).column(leaves[name]).encodings
        )
    ]


def _require(file: InputFile, columns: Sequence[str], there: Sequence[str]) -> None:
    for column in columns:
        if column not in there:
            raise BadInput(f"{file.name} has no column {column!r} any more", "start again when its writer has finished")


def _holds_text(kind: Any) -> bool:
    return is_text(kind.value_type if pa.types.is_dictionary(kind) else kind)
