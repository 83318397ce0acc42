"""The rows of the table from a batch of the input and the models' outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow

from mlpack_edge.batch.job import Job
from mlpack_edge.batch.partitioning import check_partition
from mlpack_edge.core.errors import BadInput

SOURCE_FILE, SOURCE_ROW = "source_file", "source_row"
_SOURCE = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())


class TableLayout:
    """Columns in their order: what names a row, the kept columns, the outputs; and the partition's, which names folders.

    schema: of the input. outputs: fields of the models' outputs. Raises BadInput where two columns would have one name, or
    names that the output takes for one.
    """

    def __init__(self, job: Job, schema: pyarrow.Schema, outputs: Sequence[pyarrow.Field]) -> None:
        keys = [_field(schema, job.key)] if job.key else [
            pyarrow.field(SOURCE_FILE, _SOURCE, nullable=False), pyarrow.field(SOURCE_ROW, pyarrow.int64(), nullable=False),
        ]  # fmt: skip
        names = schema.names if job.keep == ("*",) else job.keep
        kept = [_field(schema, name) for name in dict.fromkeys(names) if name != job.key]
        fields = [*keys, *kept, *(field.remove_metadata() for field in outputs)]
        _refuse_clash(fields, keys, kept)
        if "::" in job.output:
            _refuse_same_in_sql(job.output, [field.name for field in fields])
        if job.partition_by and job.partition_by not in {field.name for field in fields}:
            fields.append(_field(schema, job.partition_by))
        self.schema = pyarrow.schema(fields)
        if job.partition_by:
            check_partition(job.partition_by, self.schema.field(job.partition_by).type)
        self._named_by_source = not job.key
        self._outputs = frozenset(field.name for field in outputs)

    def rows(
        self, batch: pyarrow.RecordBatch, file: str, first_row: int, outputs: Mapping[str, pyarrow.Array]
    ) -> pyarrow.RecordBatch:
        """Table rows for all rows of `batch`, of which the first is row `first_row` of `file`."""
        columns = []
        rows = batch.num_rows
        for place, field in enumerate(self.schema):
            if self._named_by_source and place < 2:
                columns.append(
                    pyarrow.DictionaryArray.from_arrays(pyarrow.array(np.zeros(rows, np.int32)), pyarrow.array([file]))
                    if place == 0 else pyarrow.array(np.arange(first_row, first_row + rows))
                )  # fmt: skip
                continue
            column = outputs[field.name] if field.name in self._outputs else batch.column(field.name)
            columns.append(column if column.type.equals(field.type) else column.cast(field.type))
        return pyarrow.RecordBatch.from_arrays(columns, schema=self.schema)


def _field(schema: pyarrow.Schema, name: str) -> pyarrow.Field:
    """A column of the input without the notes that other programs left on it."""
    return schema.field(name).remove_metadata()


def _refuse_same_in_sql(output: str, names: Sequence[str]) -> None:
    """DuckDB and Delta compare names without regard to case."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise BadInput(
                f"the table would have the columns {other!r} and {name!r}, which {output} does not tell apart",
                f"leave one of them out of --keep, or rename it: --sql 'SELECT {name} AS ..., ... FROM ...'",
            )


def _refuse_clash(fields: list[pyarrow.Field], keys: list[pyarrow.Field], kept: list[pyarrow.Field]) -> None:
    names = [field.name for field in fields]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is None:
        return
    if twice in {field.name for field in kept}:
        which = (
            "an output of the model" if twice not in {field.name for field in keys} else "the column that names rows"
        )
        raise BadInput(
            f"the table would have two columns {twice!r}: one that is kept, and {which}",
            f"leave {twice!r} out of --keep, or rename it: --sql 'SELECT {twice} AS ..., ... FROM ...'",
        )
    raise BadInput(
        f"the table would have two columns {twice!r}: an output of a model, and another column",
        "give the outputs of the model other names, or rename the key column with --sql",
    )
