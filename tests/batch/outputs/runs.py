"""Small runs for tests of outputs: plans over made-up inputs, and shards written as workers write them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlpack_edge.batch.disk import Disk
from mlpack_edge.batch.facts import Part, RunFacts, ShardFacts, run_facts
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.ledger import RunFolder
from mlpack_edge.batch.manifest import Manifest
from mlpack_edge.batch.outputs.output import Output, output_of
from mlpack_edge.batch.plan import Fingerprint, InputFile, ModelFile, Plan, Shard
from mlpack_edge.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "float32", ("batch", 1)),), (TensorSpec("score", "float32", ("batch", 2)),))
SCHEMA = pa.schema([("x", pa.float32())])


def input_file(name: str, rows: int = 4, version: int = 1, skip: int = 0) -> InputFile:
    digest = hashlib.sha256(f"{name!r} {version}".encode()).hexdigest()
    return InputFile(name, f"/in/{name}", "parquet", rows, Fingerprint(rows * 8, version, digest, True), skip=skip)


def plan_of(
    output: str, inputs: Sequence[InputFile], kept: Sequence[InputFile] = (), model: str = "m1", contract_text: str = "",
    **options: Any,
) -> Plan:  # fmt: skip
    """A plan of two rows a shard."""
    shards: list[Shard] = []
    for number, item in enumerate(inputs):
        for start in range(item.skip, item.rows, 2):
            shards.append(Shard(len(shards), number, start, min(2, item.rows - start), (0,), 0))
    if not shards and not kept:
        shards = [Shard(0, 0, 0, 0, (), 0)]
    return Plan(
        job=Job(model="m.onnx", inputs=("in/*",), output=output, **options),
        models=(ModelFile("m.onnx", "onnx", model, signature=SIGNATURE.dumps()),),
        inputs=tuple(inputs),
        kept=tuple(kept),
        shards=tuple(shards),
        schema=base64.b64encode(SCHEMA.serialize()).decode(),
        reads=("x",),
        contract=contract_text,
        versions=(("onnxruntime", "1"),),
    )


def table_of(plan: Plan, shard: Shard) -> pa.Table:
    """Rows that say which input, which version of it, which row, and which model they are of."""
    item = plan.inputs[shard.file] if plan.inputs else input_file("none", 0)
    rows = range(shard.start, shard.start + shard.rows)
    return pa.table(
        {
            "source_file": pa.array([item.name] * len(rows), pa.string()).dictionary_encode(),
            "source_row": pa.array(list(rows), pa.int64()),
            "version": pa.array([item.fingerprint.mtime_ns] * len(rows), pa.int64()),
            "model": pa.array([model_of(plan)] * len(rows), pa.string()),
            "score": pa.FixedSizeListArray.from_arrays(
                pa.array([float(row) for row in rows for _ in "ab"], pa.float32()), 2
            ),
        }
    )


def model_of(plan: Plan) -> str:
    return plan.models[0].sha256


def work(
    plan: Plan, folder: Path, shards: Iterable[Shard], disk: Disk | None = None, reject: bool = False
) -> list[ShardFacts]:
    """Leave the shards in `folder` as workers do: without syncing, committed by the rename."""
    disk = disk or Disk()
    done = []
    for shard in shards:
        draft = folder / f".{shard.index:05d}.1.tmp"
        disk.make_folder(draft)
        parts = []
        for inside, table in _files(plan, shard):
            if "/" in inside:
                disk.make_folder((draft / inside).parent)
            parts.append(_part(disk, draft, inside, table.num_rows, _parquet(table)))
        rejected: dict[str, int] = {}
        quarantine = None
        rows_in = shard.rows
        if reject and shard.rows:
            rejected = {"too strange": shard.rows}
            lines = [
                json.dumps({"file": plan.inputs[shard.file].name, "row": shard.start + row}) + "\n"
                for row in range(shard.rows)
            ]
            quarantine = _part(disk, draft, "rejected.jsonl", shard.rows, "".join(lines).encode())
        facts = ShardFacts(
            index=shard.index, rows_in=rows_in, rows_out=sum(part.rows for part in parts), rows_rejected=sum(rejected.values()),
            parts=tuple(parts), rejected=rejected, quarantine=quarantine,
        )  # fmt: skip
        disk.write(draft / "facts.json", [json.dumps(facts.to_json()).encode()])
        disk.rename(draft, folder / f"{shard.index:05d}")
        done.append(facts)
    return done


def run(
    plan: Plan, disk: Disk | None = None, reject: bool = False, output: Output | None = None
) -> tuple[Manifest, RunFacts]:
    """A whole run without an engine: what is missing is done, everything is published."""
    output = output or output_of(plan.job.output)
    output.refuse(plan.job)
    with RunFolder.open(output, disk) as folder:
        folder.lock()
        folder.begin(plan)
        output.prepare(plan, folder)
        done = folder.complete_shards(plan)
        there = {facts.index for facts in done}
        for facts in work(plan, folder.shards_path, [s for s in plan.shards if s.index not in there], disk, reject):
            folder.finished(facts)
            done.append(facts)
        facts = run_facts(done)
        manifest = output.publish(plan, facts, folder, {"seen": len(done)})
        folder.finish()
    return manifest, facts


def _files(plan: Plan, shard: Shard) -> list[tuple[str, pa.Table]]:
    table = table_of(plan, shard)
    column = plan.job.partition_by
    if not column:
        return [("part.parquet", table)]
    values = table[column].unique().to_pylist()
    return [
        (f"{column}={value}/part.parquet", table.filter(pa.compute.equal(table[column], value)).drop_columns(column))
        for value in values
    ]


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


def _part(disk: Disk, folder: Path, name: str, rows: int, content: bytes) -> Part:
    disk.write(folder / name, [content])
    return Part(name, rows, len(content), hashlib.sha256(content).hexdigest())
