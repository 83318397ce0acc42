"""By which models a table was scored, from its manifest or from the model files themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlpack_edge.batch.models import CHALLENGER, model_file
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature, signature_from_json, signature_from_text

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ScoredBy:
    """prefix: of its columns, "" or CHALLENGER."""

    prefix: str
    sha256: str
    signature: Signature


def scored_by(manifest: Json | None, model: str, challenger: str, title: str) -> tuple[ScoredBy, ...]:
    """The champion, then the challenger where there was one.

    model, challenger: files that are taken in place of what the manifest says; "" for none. Raises BadInput where
    neither tells, or where a file is not the model that the manifest names.
    """
    noted = {one.prefix: one for one in _noted(manifest, title)}
    scored_with = {
        "" if name == "model" else name: sha
        for name, sha in (manifest or {}).get("identity", {}).get("models", {}).items()
    }
    for path, prefix in ((model, ""), (challenger, CHALLENGER)):
        if not path:
            continue
        found = model_file(path, prefix)
        if prefix in scored_with and scored_with[prefix] != found.sha256:
            raise BadInput(
                f"{title} was not scored by {path}",
                "name the model that scored it, or none: the table's manifest says what its columns mean",
                why=f"the manifest names the model {scored_with[prefix][:12]}, the file is {found.sha256[:12]}",
            )
        noted[prefix] = ScoredBy(prefix, found.sha256, signature_from_text(found.signature))
    if "" not in noted:
        raise BadInput(
            f"{title} does not say what its columns mean", "name the model that scored it: mlpack score MODEL --evaluate ...",
            why="mlpack score has no record of this table",
        )  # fmt: skip
    return tuple(noted[prefix] for prefix in ("", CHALLENGER) if prefix in noted)


def _noted(manifest: Json | None, title: str) -> list[ScoredBy]:
    """The models that a manifest lists: {"prefix", "sha256", "signature" (JSON, or its text)}."""
    try:
        return [
            ScoredBy(str(one.get("prefix", "")), str(one["sha256"]), _signature(one["signature"]))
            for one in (manifest or {}).get("models", [])
        ]
    except (KeyError, TypeError, AttributeError) as fault:
        raise BadInput(
            f"the manifest of {title} does not say what its columns mean", "score again, or name the model",
            why=f"{type(fault).__name__}: {fault}",
        ) from fault  # fmt: skip


def _signature(record: Any) -> Signature:
    return signature_from_text(record) if isinstance(record, str) else signature_from_json(record)
