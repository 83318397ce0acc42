"""Read the rows of shards: only the columns asked for, in batches of exactly the size asked for, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from mlpack_edge.batch.inputs.decoders import decoder_of
from mlpack_edge.batch.inputs.schemas import CODED_TEXT, TEXT
from mlpack_edge.batch.plan import InputFile, Shard
from mlpack_edge.core.errors import BadInput

#: Rows decoded at once while rows before a shard are passed over.
_STRIDE = 1 << 16


class ShardReader:
    """Reads shards of one input. Shards that follow each other in the same row groups continue the open decoder."""

    def __init__(self, file: InputFile, schema: Any, columns: Sequence[str], dictionary: Sequence[str]) -> None:
        """schema: `pyarrow.Schema` of the run. columns: to be read, in this order. dictionary: those of them that are
        text and come as `dictionary<values=string, indices=int32>`. Raises BadInput for a file that cannot be opened.
        """
        self._file = file
        self._constants = dict(file.constants)
        coded = {name for name in dictionary if schema.field(name).type == TEXT}
        self._schema = pa.schema(
            [pa.field(name, CODED_TEXT if name in coded else schema.field(name).type) for name in columns]
        )
        stored = [name for name in columns if name not in self._constants]
        self._decoder = decoder_of(file, stored, [name for name in stored if name in coded]) if stored else None
        self._groups: tuple[int, ...] | None = None
        self._pieces: Iterator[Any] = iter(())
        self._held: Any = None  # what was decoded and not asked for yet
        self._next = 0  # the row that comes next

    def read(self, shard: Shard, batch_rows: int) -> Iterator[Any]:
        """`pyarrow.RecordBatch`es with exactly the rows of the shard in order; all but the last have `batch_rows` rows.

        Raises BadInput, naming file, row group and column, where the data are damaged or do not fit the schema's type.
        """
        if self._decoder is not None:
            self._go_to(shard, batch_rows)
        for begin in range(0, shard.rows, batch_rows):
            yield self._batch(min(batch_rows, shard.rows - begin))

    def close(self) -> None:
        """Let go of the file."""
        self._pieces, self._held, self._groups = iter(()), None, None
        if self._decoder is not None:
            self._decoder.close()

    def _go_to(self, shard: Shard, batch_rows: int) -> None:
        """Stand at the first row of the shard: further on in what is open, or anew."""
        assert self._decoder is not None
        if self._groups != shard.groups or shard.start < self._next:
            self._groups = None  # an error while opening leaves nothing half open
            gap = shard.start - shard.base
            self._pieces = self._decoder.pieces(shard.groups, max(batch_rows, min(gap, _STRIDE)))
            self._held, self._next, self._groups = None, shard.base, shard.groups
        while (left := shard.start - self._next) > 0:
            self._hold()
            self._part(min(left, self._held.num_rows))

    def _batch(self, rows: int) -> Any:
        """The next `rows` rows, as the schema has them."""
        if self._decoder is None:
            return self._finished(None, rows)
        parts = []
        left = rows
        while left:
            self._hold()
            parts.append(self._finished(self._part(min(left, self._held.num_rows)), None))
            left -= parts[-1].num_rows
        if len(parts) == 1:
            return parts[0]
        joined = [pa.concat_arrays([part.column(index) for part in parts]) for index in range(len(self._schema))]
        return pa.RecordBatch.from_arrays(joined, schema=self._schema)

    def _hold(self) -> None:
        """Have at least one decoded row at hand."""
        while self._held is None or not self._held.num_rows:
            try:
                self._held = next(self._pieces)
            except StopIteration:
                self._groups = None
                raise BadInput(
                    f"{self._file.name} ends at row {self._next}, before the rows that its footer counts",
                    "make the file again from its source",
                ) from None
            except BaseException:
                self._groups = None
                raise

    def _part(self, rows: int) -> Any:
        """Take the next `rows` of what is at hand."""
        part = self._held.slice(0, rows)
        self._held = self._held.slice(rows)
        self._next += rows
        return part

    def _finished(self, part: Any, rows: int | None) -> Any:
        """The columns asked for, in order, as the schema has them."""
        count = part.num_rows if rows is None else rows
        columns = [
            self._constant(field, count)
            if field.name in self._constants
            else self._cast(field, part.column(field.name))
            for field in self._schema
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _constant(self, field: Any, rows: int) -> Any:
        value = self._constants[field.name]
        if not pa.types.is_dictionary(field.type):
            return pa.repeat(pa.scalar(value, field.type), rows)
        codes = pa.repeat(pa.scalar(None if value is None else 0, pa.int32()), rows)
        return pa.DictionaryArray.from_arrays(codes, pa.array([] if value is None else [value], TEXT))

    def _cast(self, field: Any, column: Any) -> Any:
        if pa.types.is_dictionary(column.type) and column.dictionary.null_count:
            column = column.cast(column.type.value_type)  # nulls belong to the codes
        if column.type == field.type:
            return column
        try:
            if pa.types.is_dictionary(field.type) and not pa.types.is_dictionary(column.type):
                return column.cast(TEXT).dictionary_encode()
            return column.cast(field.type)
        except pa.ArrowInvalid as fault:
            raise BadInput(
                f"{self._file.name}: column {field.name!r} holds a value that {field.type} does not hold",
                "write the column with one type in all inputs",
                why=str(fault),
            ) from fault
