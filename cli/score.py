"""`mlpack score`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlpack_edge.cli.outcome import Outcome, answers, note
from mlpack_edge.cli.score_options import given, score_options, way_of
from mlpack_edge.core.files import publish


@click.command("score", short_help="Score a batch of rows once, whatever happens on the way.")
@click.argument("what", required=False, metavar="MODEL|JOB.toml")
@score_options
@answers("score")
def command(what: str | None, **options: Any) -> Outcome:
    """Score the rows of INPUT with MODEL (ONNX or TFLite) and publish them as a table, exactly once.

    Columns are matched by name. Rows that the model or the contract does not take are put aside with the reason; with more
    of them than --max-rejected nothing is published, and the exit code is 3. A run that was killed goes on where it was; one
    that is finished does nothing the second time; readers of the table see the old one or the new one.

    JOB.toml holds all of this as a file, for cron; options given with it go over what it says, and its relative paths
    start at its own folder. {{ ds }} in paths and queries is the date of the run.

    \b
    Examples:
      mlpack score flights.onnx --input 'flights/*.parquet' --output scores --keep origin,dest
      mlpack score flights.onnx --input warehouse.duckdb::flights --output warehouse.duckdb::scores --key id
      mlpack score flights.onnx --input 'in/{{ ds }}/*.csv' --output 'scores/{{ ds }}' --date 2013-11-30
      mlpack score flights.onnx --sql "SELECT * FROM 'flights/*.parquet' WHERE month = 11" --output november
      mlpack score flights.onnx --input train.parquet --draft-contract -o flights.contract.toml
      mlpack score flights.onnx --input 'flights/*.parquet' --output scores \\
        --contract flights.contract.toml --max-rejected 0.1% --incremental
      mlpack score flights.onnx --input 'flights/*.parquet' --output scores --print-job > nightly.toml
      mlpack score nightly.toml --date 2013-11-30
      mlpack score --evaluate scores --labels arrived.parquet --label late --by day --segment origin
    """
    way = way_of(options)
    if way == "evaluate":
        from mlpack_edge.cli.score_evaluate import evaluate_outcome

        # MODEL is needed where the table does not say which one scored it.
        return evaluate_outcome(given(options) | ({"model": what} if what else {}))
    if what is None:
        raise click.UsageError("Missing argument 'MODEL|JOB.toml'.")
    if way == "draft_contract":
        from mlpack_edge.cli.score_draft import draft_outcome

        return draft_outcome(what, options)
    from mlpack_edge.cli.score_request import name_of, requested

    job_file, folder = requested(what, options)
    if way == "print_job":
        return _printed(what, job_file, folder, options["document"], options["force"])
    from mlpack_edge.cli.score_run import run_outcome

    return run_outcome(job_file, folder, name_of(what, job_file), options["day"], what)


def _printed(what: str, job_file: Any, folder: Path, document: Path | None, force: bool) -> Outcome:
    """The job file of a job, its templates as they are."""
    from mlpack_edge.batch.job_file import job_file_text
    from mlpack_edge.cli.score_request import moved_job

    there = folder if document is None else document.parent
    text = job_file_text(moved_job(job_file, folder, there))
    if job_file.job.sql:
        note("relative paths in the query start at the folder of the job file")
    if document is None:
        return Outcome({"job": job_file.job.to_json(), "toml": text}, text.rstrip("\n"))
    with publish(document, force) as draft:
        draft.write_text(text, encoding="utf-8")
    return Outcome({"job": job_file.job.to_json(), "toml": text, "path": str(document)}, f"{document}  written")
