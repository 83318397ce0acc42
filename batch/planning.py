"""From a job to a plan: everything that is refused is refused here, by name, before the first row is read.

Runs in a child process: inputs, model and contract are files that were not made here.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from mlpack_edge.batch.contract.contract import contract_from_text
from mlpack_edge.batch.contract.schema import check_schema
from mlpack_edge.batch.incremental import Division, divide
from mlpack_edge.batch.inputs.damage import as_bad_input
from mlpack_edge.batch.inputs.discover import discover
from mlpack_edge.batch.inputs.fingerprint import appended_rows
from mlpack_edge.batch.inputs.grown import grown_rows
from mlpack_edge.batch.job import Job, job_from_json
from mlpack_edge.batch.manifest import Manifest, manifest_from_json, stays
from mlpack_edge.batch.models import CHALLENGER, deciding_versions, kinds_of_columns, model_file
from mlpack_edge.batch.pandas_left_out import leave_pandas_out
from mlpack_edge.batch.plan import Fingerprint, InputFile, ModelFile, Plan, Shard, cut_shards, settings
from mlpack_edge.batch.scoring.scorer import Scorer
from mlpack_edge.batch.shard_table import TableLayout
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import signature_from_text

Json = dict[str, Any]


def plan_alone(payload: Json, stage: Callable[[str], None]) -> Json:
    """`plan_job` in a process of its own."""
    leave_pandas_out()
    return plan_job(payload, stage)


def plan_job(payload: Json, stage: Callable[[str], None]) -> Json:
    """payload: {"job", "staging", "contract" (its text), "profile" (the text of a spec), "last" (a manifest's JSON or
    None)}.

    Gives {"plan", "notes"}. Raises BadInput where the model, an input or the contract cannot be what it should be, or rows
    that stay in the table have other columns; CheckFailed where the contract refuses the input's columns.
    """
    job = job_from_json(payload["job"])
    stage("opening the model")
    models = [model_file(job.model)]
    if job.challenger:
        models.append(model_file(job.challenger, CHALLENGER))
    stage("looking at the input")
    found = discover(job, Path(payload["staging"]), stage, kinds_of_columns(models))
    reads, columns = _columns(job, models, found.schema, payload["contract"])
    _refuse_other_profile(job, models[0], found.schema, payload["profile"])
    notes = list(found.notes)
    files, groups = list(found.files), list(found.groups)
    last = manifest_from_json(payload["last"]) if payload["last"] and not job.fresh else None
    division = Division(scored=tuple(files), kept=())
    if job.incremental and last is not None:
        division = divide(last, files, _appended)
        if not _same_scorer(last, models, payload["contract"], payload["profile"], job):
            notes.append("model, options or versions are other ones: everything is scored again")
            division = Division(scored=tuple(files), kept=())
        by_name = {item.name: rows for item, rows in zip(files, groups, strict=True)}
        groups = [by_name[item.name] for item in division.scored]
    plan = Plan(
        job=job,
        models=tuple(models),
        inputs=division.scored,
        kept=division.kept,
        shards=_shards(division.scored, groups),
        schema=base64.b64encode(found.schema.serialize()).decode(),
        reads=reads,
        contract=payload["contract"],
        versions=deciding_versions({model.format for model in models}),
        profile=payload["profile"],
    )
    if last is not None:
        _refuse_other_columns(plan, last, columns)
    return {"plan": plan.to_json(), "notes": notes}


def _appended(item: InputFile, known: Fingerprint, rows: int) -> int:
    """Of a file of lines, a table or a query that grew, the rows at its start that are already in the table."""
    if not item.staged:
        return 0
    if item.elsewhere:  # a URL's digest is of what was fetched, which no staged rows have: it is scored anew
        return grown_rows(Path(item.path), item.rows, known, rows)
    return appended_rows(Path(item.name), known, rows)


def _same_scorer(last: Manifest, models: list[ModelFile], contract: str, profile: str, job: Job) -> bool:
    """Whether rows that are scored now may stand beside those of the table."""
    now = {
        "models": {model.prefix or "model": model.sha256 for model in models},
        **settings(job, contract, dict(deciding_versions({model.format for model in models})), profile),
    }
    return all(last.identity.get(key) == value for key, value in now.items())


def _columns(
    job: Job, models: list[ModelFile], schema: pyarrow.Schema, contract: str
) -> tuple[tuple[str, ...], pyarrow.Schema]:
    """The columns that are read, in the order of the input, and those of the table; models and contract are tried on them.

    The contract comes first: columns that are not as agreed break it (exit code 3), whether the model takes them or not.
    """
    agreed = contract_from_text(contract, job.contract, signature_from_text(models[0].signature)) if contract else None
    if agreed is not None:
        check_schema(agreed, schema)
    _refuse_absent(job, schema)
    scorers = [Scorer(model, schema, job.aside) for model in models]
    needed = {name for scorer in scorers for name in scorer.reads} | set(job.aside)
    if job.keep == ("*",):
        needed.update(schema.names)
    outputs = [field for scorer in scorers for field in scorer.output_fields]
    layout = TableLayout(job, schema, outputs)
    if agreed is not None:
        check_schema(agreed, schema, outputs)
        _refuse_unkept(job, agreed.unique)
        needed.update(agreed.columns)
    return tuple(name for name in schema.names if name in needed), layout.schema


def _refuse_other_columns(plan: Plan, last: Manifest, columns: pyarrow.Schema) -> None:
    """Raise BadInput where the files that stay in a directory have other columns than those that are made now: readers take
    the types of one file for all. (A database and a Delta table refuse such rows themselves.)"""
    keep = stays(plan)
    part = next((part for part in last.parts if part.input in keep), None)
    if part is None:
        return
    path = Path(plan.job.output) / part.path
    with as_bad_input(f"{path}, which stays in the table, cannot be read"):
        there = {field.name: str(field.type) for field in pyarrow.parquet.read_schema(path)}
    stored = (
        pyarrow.BufferOutputStream()
    )  # Parquet has no timestamps in seconds, and calls elements of lists by its own name
    pyarrow.parquet.write_table(columns.empty_table(), stored)
    as_stored = pyarrow.parquet.read_schema(pyarrow.BufferReader(stored.getvalue()))
    made = {field.name: str(field.type) for field in as_stored if field.name != plan.job.partition_by}
    if list(there.items()) == list(made.items()):
        return
    odd = next((name for name in made if there.get(name) != made[name]), "")
    said = f"column {odd!r} is {made[odd]} now, and {there.get(odd, 'not')} there" if odd else "their order is another"
    raise BadInput(
        f"the files that stay in {plan.job.output} have other columns than those of this run: {said}",
        "run once without --incremental, which makes the whole table anew",
    )


def _refuse_other_profile(job: Job, model: ModelFile, schema: pyarrow.Schema, text: str) -> None:
    """Raise BadInput where the spec of the profile is of another model, or counts columns that are not there."""
    if not text:
        return
    from mlpack_edge.batch.profiling.collector import ProfileCollector
    from mlpack_edge.profiles.spec_file import spec_from_bytes

    spec = spec_from_bytes(text.encode(), job.profile_spec)
    if spec.model_sha256 != model.sha256:
        raise BadInput(
            f"{job.profile_spec} is the spec of another model than {model.path}", "make one: mlpack profile spec MODEL --reference DATA",
            why=f"its model's SHA-256 begins with {spec.model_sha256[:16]}, this one's with {model.sha256[:16]}",
        )  # fmt: skip
    ProfileCollector(spec, signature_from_text(model.signature), schema, job.aside)


def _refuse_absent(job: Job, schema: pyarrow.Schema) -> None:
    """Raise BadInput where an option names a column that the input has not."""
    for option, names in (
        ("--label", (job.label,)),  # first: it is kept as well
        ("--keep", job.keep if job.keep != ("*",) else ()),
        ("--key", (job.key,)),
        ("--partition-by", (job.partition_by,)),
    ):
        for name in filter(None, names):
            if name not in schema.names:
                shown = ", ".join(schema.names[:20]) + (" ..." if len(schema.names) > 20 else "")
                raise BadInput(f"{option}: the input has no column {name!r}", f"its columns are {shown}")


def _refuse_unkept(job: Job, unique: tuple[str, ...]) -> None:
    """Raise BadInput where a column that is to be unique is not in the table, over which that is looked at."""
    for name in unique:
        if name not in job.aside and job.keep != ("*",):
            raise BadInput(
                f"the contract says that {name!r} is unique, which is looked at in the table, and {name!r} is not kept there",
                f"add --keep {name}",
            )


def _shards(files: tuple[InputFile, ...], groups: list[tuple[int, ...]]) -> tuple[Shard, ...]:
    """The shards; where there is no row at all one empty shard, so that the table is there with its columns. (What stays of an
    earlier one may have no row either, and no file.)"""
    shards = cut_shards(groups, [item.skip for item in files])
    if not shards and files:
        return (Shard(0, 0, 0, 0, (), 0),)
    return shards
