"""Whether a table is already what a job would make, told without opening an input: names, sizes and times of writing."""

from __future__ import annotations

from pathlib import Path

from mlpack_edge.batch.inputs.fingerprint import matches, unchanged
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.manifest import Manifest
from mlpack_edge.batch.models import deciding_versions, model_digest
from mlpack_edge.batch.plan import FORMAT, settings
from mlpack_edge.core.files import io_fault


def is_done(job: Job, contract: str, profile: str, last: Manifest) -> bool:
    """True only where the plan of the job would have `last`'s identity. False is no answer: then the plan says it.

    Queries, tables and URLs always need the plan: nothing here tells whether their rows are the same.
    """
    if job.fresh or job.sql or any("::" in item or "://" in item for item in job.inputs):
        return False
    formats = {str(model["format"]) for model in last.models}
    wanted = {
        "format": FORMAT,
        "models": {model: _digest(path) for model, path in _models(job).items()},
        **settings(job, contract, dict(deciding_versions(formats)), profile),
    }
    if {key: value for key, value in last.identity.items() if key != "inputs"} != wanted:
        return False
    known = {item.name: item.file for item in last.inputs}
    names = matches(job.inputs)
    all_there = known.keys() >= set(names) if job.incremental else known.keys() == set(names)
    return all_there and all(unchanged(Path(name), known[name].fingerprint) for name in names)


def _models(job: Job) -> dict[str, str]:
    """Paths by what an identity calls them."""
    return {"model": job.model, **({"challenger_": job.challenger} if job.challenger else {})}


def _digest(path: str) -> str:
    try:
        return model_digest(path)
    except OSError as fault:
        raise io_fault(fault, f"the model {path} could not be read") from fault
