"""`mlpack score MODEL --draft-contract`: a first contract, to be read and tightened."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import click

from mlpack_edge.batch.job import Job
from mlpack_edge.batch.templates import render_job
from mlpack_edge.cli.outcome import Outcome, note, show_stage
from mlpack_edge.cli.score_options import written
from mlpack_edge.cli.score_request import complaint, is_job_file
from mlpack_edge.core.files import publish, refuse_existing
from mlpack_edge.core.scratch import scratch_folder
from mlpack_edge.runtimes.worker import Limits, run_isolated

#: A reference is read once and may be large.
_A_DAY = 86400.0


def draft_outcome(model: str, options: Mapping[str, Any]) -> Outcome:
    """The contract on standard output, or in the file of -o. Raises click.UsageError for a job file."""
    if is_job_file(model):
        raise click.UsageError("--draft-contract takes a MODEL, and the rows that it knows well as --input")
    document, force = options["document"], options["force"]
    job = Job(model, options["inputs"], "", sql=options["sql"] or "")
    if said := complaint(job, written):
        raise click.UsageError(said)
    job = render_job(job, options["day"] or date.today(), written)
    if document is not None:
        refuse_existing(document, force)
    with scratch_folder() as folder:
        result = run_isolated(
            "mlpack_edge.batch.drafting:draft_contract",
            {"job": job.to_json(), "staging": folder},
            Limits(_A_DAY, options["memory"]), subject=model, on_stage=show_stage,
        )  # fmt: skip
    for text in result["notes"]:
        note(text)
    if document is None:
        return Outcome(result, result["contract"].rstrip("\n"))
    with publish(document, force) as draft:
        draft.write_text(result["contract"], encoding="utf-8")
    seen = (
        f"{result['rows']:,} reference rows" if result["rows"] else "the model alone; --input brings bounds from rows"
    )
    return Outcome(
        {**result, "path": str(document)}, f"{document}  drafted from {seen}; read each line before you use it"
    )
