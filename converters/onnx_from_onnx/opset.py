"""Bring an ONNX model to another opset."""

from __future__ import annotations

import re

import onnx
from onnx import defs, helper, inliner, version_converter

from mlpack_edge.converters.onnx_from_onnx.clean import all_nodes
from mlpack_edge.converters.onnx_graph import NEWEST_OPSET
from mlpack_edge.core.errors import BadInput, Unsupported


def opset_of(model: onnx.ModelProto) -> int | None:
    """The version of ONNX's own operator set, None where the model imports only others."""
    return next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), None)


def set_opset(model: onnx.ModelProto, wanted: int | None) -> tuple[onnx.ModelProto, list[str]]:
    """The model in opset `wanted`; without one, its own, or NEWEST_OPSET where ONNX Runtime does not open its own.

    Where no operator that the model uses changed between the two versions, only the number is written: nothing can go
    wrong then. Otherwise onnx.version_converter rewrites the operators, functions having been written out before.
    Raises Unsupported, with the converter's reason, where it cannot; BadInput for an opset above NEWEST_OPSET.
    """
    if wanted is not None and wanted > NEWEST_OPSET:
        raise BadInput(f"ONNX Runtime opens opsets up to {NEWEST_OPSET}, not {wanted}", f"--opset {NEWEST_OPSET}")
    now = opset_of(model)
    if now is None:
        if wanted is not None:
            model.opset_import.append(helper.make_opsetid("", wanted))
        return model, []
    target = wanted or min(now, NEWEST_OPSET)
    if target == now:
        return model, []
    if model.functions:
        model = inliner.inline_local_functions(model, False)
    changed = sorted(_changed(model, now, target))
    if changed:
        model = _rewritten(model, now, target, changed)
    for item in model.opset_import:
        if item.domain in ("", "ai.onnx"):
            item.version = target
    how = f"; rewrote {', '.join(changed[:6])}" if changed else "; no operator had to change"
    return model, [f"opset {now} became {target}{how}"]


def _changed(model: onnx.ModelProto, now: int, target: int) -> set[str]:
    """The operators whose definition in force at one version is not the one in force at the other."""
    used = {node.op_type for node in all_nodes(model) if node.domain in ("", "ai.onnx")}
    return {name for name in used if _since(name, now) != _since(name, target)}


def _since(name: str, version: int) -> int | None:
    """The version that brought the definition of an operator in force at `version`; None where it has none."""
    try:
        return int(defs.get_schema(name, version, "").since_version)
    except defs.SchemaError:
        return None


def _rewritten(model: onnx.ModelProto, now: int, target: int, changed: list[str]) -> onnx.ModelProto:
    if model.graph.sparse_initializer:
        raise Unsupported(
            f"opset {now} cannot become {target}: the model has sparse tensors, which onnx.version_converter drops",
            "leave --opset out, or export the model with that opset",
        )
    missing = [name for name in changed if _since(name, target) is None]
    try:
        made = version_converter.convert_version(model, target)
    except (RuntimeError, version_converter.ConvertError, ValueError, IndexError) as fault:
        raise Unsupported(
            f"opset {now} cannot become {target}",
            "leave --opset out, choose another, or export the model with that opset", why=_reason(fault, missing),
        ) from fault  # fmt: skip
    kept = [value.name for value in model.graph.input], [value.name for value in model.graph.output]
    if kept != ([value.name for value in made.graph.input], [value.name for value in made.graph.output]):
        raise Unsupported(
            f"opset {now} cannot become {target}: onnx.version_converter changed the inputs or outputs",
            "leave --opset out, or export the model with that opset",
        )
    # It infers shapes anew and forgets the names of sizes; metadata it may leave out.
    for before, after in ((model.graph.input, made.graph.input), (model.graph.output, made.graph.output)):
        for value, fresh in zip(before, after, strict=True):
            fresh.CopyFrom(value)
    del made.metadata_props[:]
    made.metadata_props.extend(model.metadata_props)
    return made


def _reason(fault: Exception, missing: list[str]) -> str:
    """The converter's reason without its source lines."""
    if missing:
        return f"the operator {missing[0]} does not exist there"
    text = " ".join(str(fault).split())
    found = re.search(r"No Adapter (From|To) Version \$(\d+) for (\w+)", text)
    if found:
        return f"onnx.version_converter has no way {found[1].lower()} version {found[2]} of the operator {found[3]}"
    return text[:300]
