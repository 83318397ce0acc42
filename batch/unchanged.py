"""Whether inputs and models still are what the plan saw: looked at before publishing. The standard library alone."""

from __future__ import annotations

from pathlib import Path

from mlpack_edge.batch.inputs.fingerprint import unchanged
from mlpack_edge.batch.models import model_digest
from mlpack_edge.batch.plan import InputFile, Plan
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault


def refuse_other_inputs(plan: Plan) -> None:
    """Raise BadInput where an input, a model or a model's file of weights is no longer what the plan saw; IoFault."""
    for item in plan.inputs:
        path = source_file(item)
        if path is not None and not unchanged(path, item.fingerprint):
            raise BadInput(
                f"{item.name} changed or vanished while it was scored; nothing was published",
                "start again when its writer has finished",
            )
    for model in plan.models:
        try:
            now = model_digest(model.path, model.external)
        except OSError as fault:
            raise io_fault(fault, f"the model {model.path} could not be read again") from fault
        if now != model.sha256:
            raise BadInput(f"the model {model.path} was replaced while it scored; nothing was published", "start again")


def source_file(item: InputFile) -> Path | None:
    """The user's file that an input was read from; None of queries, tables and what came from elsewhere."""
    if item.elsewhere:
        return None
    return Path(item.name if item.staged else item.path)
