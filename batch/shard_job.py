"""One shard from input rows to a committed folder: read, judge rows, score, write. What every engine runs."""

from __future__ import annotations

import base64
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow
from numpy.typing import NDArray

from mlpack_edge.batch.collectors import Collector
from mlpack_edge.batch.facts import ShardFacts
from mlpack_edge.batch.inputs.fingerprint import unchanged
from mlpack_edge.batch.inputs.reader import ShardReader
from mlpack_edge.batch.partitioning import unnameable
from mlpack_edge.batch.plan import InputFile, Plan, Shard
from mlpack_edge.batch.rejected import REJECTED, RejectedRows
from mlpack_edge.batch.row_budget import rows_that_may_fail
from mlpack_edge.batch.row_faults import refuse_lack_of_memory, score_rows
from mlpack_edge.batch.scoring.findings import CRASH, Finding, Findings, merge
from mlpack_edge.batch.scoring.scorer import Scorer
from mlpack_edge.batch.shard_folder import FACTS, draft_folder, shard_folder
from mlpack_edge.batch.shard_table import TableLayout
from mlpack_edge.batch.shard_writer import ShardWriter, part_of, row_width
from mlpack_edge.core.errors import BadInput, CheckFailed
from mlpack_edge.core.files import io_fault

#: Bytes that the rows read at once may take in memory.
_READ_BYTES = 24 << 20

Mask = NDArray[np.bool_]


class _Checker(Protocol):
    def check(self, batch: pyarrow.RecordBatch) -> Findings: ...


class ShardJob:
    """What a process needs to run shards of a plan, opened once: models, contract, the input's columns.

    Raises BadInput or CheckFailed where a model or the contract cannot be opened.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        schema = pyarrow.ipc.read_schema(pyarrow.py_buffer(base64.b64decode(plan.schema)))
        self._schema = schema
        nullable = self._nullable()
        self._scorers = [Scorer(model, schema, plan.job.aside, nullable) for model in plan.models]
        self._checkers: list[_Checker] = [*self._scorers]
        self._collecting: list[Callable[[], Collector]] = []
        if plan.contract:
            self._watch_contract()
        if plan.job.challenger:
            self._watch_agreement()
        if plan.profile:
            self._watch_profile()
        fields = [field for scorer in self._scorers for field in scorer.output_fields]
        self._layout = TableLayout(plan.job, schema, fields)
        self._inputs = tuple(dict.fromkeys(name for scorer in self._scorers for name in scorer.reads))
        self._coded = tuple(name for scorer in self._scorers for name in scorer.dictionary)
        #: Rows of a block of every model: batches are read in multiples of it.
        self.block_rows = math.lcm(*(scorer.block_rows for scorer in self._scorers))
        #: Rows read at once: whole blocks, about as many as asked for, fewer where rows are wide.
        self.read_rows = self._rows_read_at_once()
        self._most = rows_that_may_fail(plan)
        self._reader: tuple[int, ShardReader] | None = None

    def run(
        self, shard: Shard, folder: Path, progress: Callable[[int], None], poisoned: Mapping[int, str] | None = None
    ) -> ShardFacts:
        """Leave the shard as `folder/NNNNN`, complete under that name or not there at all.

        progress: told how many more rows were scored. poisoned: rows (by number in the input) on which the process dies,
        and why; they are rejected unseen. Raises BadInput where the input is damaged or changed meanwhile, CheckFailed where
        the model stops on more rows than may be rejected, MemoryError, IoFault.
        """
        began = time.monotonic()
        file = self._plan.inputs[shard.file]
        job = self._plan.job
        _refuse_changed(file)
        with _draft(folder, shard.index) as draft:
            with (
                ShardWriter(draft, self._layout.schema, job.partition_by) as writer,
                RejectedRows(draft / REJECTED, file.name, job.key, self._inputs) as rejected,
            ):
                collectors = [collector() for collector in self._collecting]
                for batch, row in self._batches(shard):
                    outputs, findings = self._score(batch, self._findings(batch, row, poisoned or {}))
                    rejected.add(batch, row, findings)
                    accepted = findings.accepted
                    for collector in collectors:
                        collector.update(batch, outputs, findings)
                    writer.add(self._layout.rows(batch, file.name, row, outputs), accepted if findings.kinds else None)
                    progress(batch.num_rows)
                writer.close()
            _refuse_changed(file)
            facts = ShardFacts(
                index=shard.index,
                rows_in=shard.rows,
                rows_out=shard.rows - rejected.rows,
                rows_rejected=rejected.rows,
                parts=writer.parts,
                rejected=rejected.counts,
                collected={collector.name: collector.state() for collector in collectors},
                seconds=round(time.monotonic() - began, 4),
                quarantine=part_of(draft, REJECTED, rejected.rows) if rejected.rows else None,
            )
            (draft / FACTS).write_text(json.dumps(facts.to_json(), ensure_ascii=False), encoding="utf-8")
        return facts

    def probe(
        self, shard: Shard, first: int, rows: int, pieces: int, trying: Callable[[int, int], None],
        poisoned: Mapping[int, str],
    ) -> None:  # fmt: skip
        """Score rows `first` to `first + rows` (numbers in the input) once more, in `pieces` equal pieces one after the other.

        A piece is tried in its blocks, whose other rows it fills. trying: told the first row and the rows of the piece
        that comes next, so that whoever sees this process die knows where.
        """
        size = -(-rows // pieces)
        for batch, row in self._batches(shard):
            accepted = self._findings(batch, row, poisoned).accepted
            for start in range(first, first + rows, size):
                begin, end = max(start - row, 0), min(start + size, first + rows, row + batch.num_rows) - row
                tried = np.zeros_like(accepted)
                tried[begin:end] = accepted[begin:end]
                if begin < end and tried.any():
                    trying(row + begin, end - begin)
                    self._score_blocks(batch, tried, begin, end)

    def _score_blocks(self, batch: pyarrow.RecordBatch, tried: Mask, begin: int, end: int) -> None:
        """Score the blocks that hold the rows `begin` to `end` of a batch. Raises MemoryError."""
        for scorer in self._scorers:
            size = scorer.block_rows
            first, last = begin // size * size, -(-end // size) * size
            try:
                scorer.score(batch.slice(first, last - first), tried[first:last])
            except CheckFailed as fault:  # a row that it stops on does not end the process
                refuse_lack_of_memory(fault)

    def _nullable(self) -> tuple[str, ...]:
        if not self._plan.contract:
            return ()
        from mlpack_edge.batch.contract.contract import contract_of_plan

        contract = contract_of_plan(self._plan)
        return contract.nullable if contract else ()

    def _watch_contract(self) -> None:
        """Imported where there is a contract: a worker without one starts a tenth of a second sooner."""
        from mlpack_edge.batch.contract.checker import RowChecker
        from mlpack_edge.batch.contract.contract import contract_of_plan
        from mlpack_edge.batch.contract.statistics import ContractStatistics

        contract = contract_of_plan(self._plan)
        assert contract is not None
        self._checkers.append(RowChecker(contract, self._schema))
        self._collecting.append(lambda: ContractStatistics(contract, self._schema))

    def _watch_agreement(self) -> None:
        from mlpack_edge.batch.agreement import Agreement

        self._collecting.append(Agreement)

    def _watch_profile(self) -> None:
        from mlpack_edge.batch.profiling.collector import ProfileCollector
        from mlpack_edge.core.signature import signature_from_text
        from mlpack_edge.profiles.spec_file import spec_from_bytes

        spec = spec_from_bytes(self._plan.profile.encode())
        signature = signature_from_text(self._plan.models[0].signature)
        aside = self._plan.job.aside
        self._collecting.append(lambda: ProfileCollector(spec, signature, self._schema, aside))

    def _rows_read_at_once(self) -> int:
        width = row_width(pyarrow.schema([self._schema.field(name) for name in self._plan.reads]))
        rows = min(self._plan.job.batch_rows, _READ_BYTES // max(1, width))
        return max(1, rows // self.block_rows) * self.block_rows

    def _batches(self, shard: Shard) -> Iterator[tuple[pyarrow.RecordBatch, int]]:
        row = shard.start
        for batch in self._reader_of(shard.file).read(shard, self.read_rows):
            yield batch, row
            row += batch.num_rows

    def _reader_of(self, file: int) -> ShardReader:
        """One open input at a time: shards come in the order of their files."""
        if self._reader is None or self._reader[0] != file:
            if self._reader is not None:
                self._reader[1].close()
            item = self._plan.inputs[file]
            self._reader = (file, ShardReader(item, self._schema, self._plan.reads, self._coded))
        return self._reader[1]

    def _findings(self, batch: pyarrow.RecordBatch, row: int, poisoned: Mapping[int, str]) -> Findings:
        """Rows that are rejected before any model sees them."""
        findings = _poisoned(row, batch.num_rows, poisoned)
        for checker in self._checkers:
            findings = merge(findings, checker.check(batch))
        name = self._plan.job.partition_by
        if name and name in batch.schema.names:
            findings = merge(findings, unnameable(name, batch.column(name)))
        return findings

    def _score(self, batch: pyarrow.RecordBatch, findings: Findings) -> tuple[dict[str, pyarrow.Array], Findings]:
        """All models' outputs, and the findings with rows added on which a model stops or gives no number."""
        accepted = findings.accepted
        outputs: dict[str, pyarrow.Array] = {}
        for scorer in self._scorers:
            made, faults = score_rows(scorer, batch, accepted, self._most)
            findings = merge(findings, faults)
            outputs |= made
        return outputs, findings


def _refuse_changed(file: InputFile) -> None:
    """Staged inputs are our own; the others are looked at before and after each shard, so that all rows are of one file."""
    if not file.staged and not unchanged(Path(file.path), file.fingerprint):
        raise BadInput(
            f"{file.name} changed or vanished while it was read",
            "start again when its writer has finished; nothing was published",
        )


def _poisoned(row: int, rows: int, poisoned: Mapping[int, str]) -> Findings:
    codes = np.zeros(rows, np.int32)
    kinds: dict[str, int] = {}
    for place, why in poisoned.items():
        if row <= place < row + rows:
            codes[place - row] = kinds.setdefault(why, len(kinds) + 1)
    return Findings(codes, tuple(Finding(CRASH, "", why) for why in kinds))


@contextmanager
def _draft(folder: Path, index: int) -> Iterator[Path]:
    """A folder that gets its final name when it is left without an error, and is gone otherwise."""
    draft, final = draft_folder(folder, index), shard_folder(folder, index)
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        yield draft
        if final.exists():  # one that did not match its digests
            shutil.rmtree(final)
        draft.rename(final)
    except OSError as fault:
        raise io_fault(fault, f"shard {index} could not be written below {folder}") from fault
    finally:
        shutil.rmtree(draft, ignore_errors=True)
