"""A spec from a model and its reference data: one pass finds the cells, a second one counts them block by block.

Memory does not grow with the rows: a sample of at most 131,072 values a column, the counts of a vector a block, and the
model's outputs on disk between the passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mlpack_edge.batch.counted import counted
from mlpack_edge.batch.models import deciding_versions, kinds_of_columns, model_file
from mlpack_edge.batch.pandas_left_out import leave_pandas_out
from mlpack_edge.batch.plan import ModelFile
from mlpack_edge.batch.profiling.answers import Predicted, answer_columns
from mlpack_edge.batch.profiling.blocks import BlockRule, rule_of
from mlpack_edge.batch.profiling.counted import rows_from
from mlpack_edge.batch.profiling.data import Data, columns_of_inputs, open_data
from mlpack_edge.batch.profiling.places import Columns, Place, as_category, places_of
from mlpack_edge.batch.profiling.scored import Kept, Scored, scored, unscored
from mlpack_edge.batch.scoring.columns import IN_THE_FILE
from mlpack_edge.batch.scoring.scorer import Scorer
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature, signature_from_text
from mlpack_edge.profiles.arrays.counting import Coded, Column
from mlpack_edge.profiles.reference.blocks import BlockTallies, Cutting, unfilled
from mlpack_edge.profiles.reference.cells_of import numeric_feature, text_feature
from mlpack_edge.profiles.reference.devices import DeviceSums
from mlpack_edge.profiles.reference.samples import NumberSample, TextCounts, row_hashes
from mlpack_edge.profiles.reference.slots import Slots, slots_of
from mlpack_edge.profiles.spec import CONFIDENCE_CELLS, INPUT, Feature, Presence, Spec
from mlpack_edge.profiles.spec_file import spec_text

Json = dict[str, Any]
Stage = Callable[[str], None]

#: Blocks with which thresholds mean something.
ENOUGH_BLOCKS = 100


@dataclass(frozen=True, slots=True)
class _Job:
    """What both passes need."""

    model: ModelFile
    signature: Signature
    slots: Slots
    data: Data
    places: dict[str, Place]
    rule: BlockRule
    device: str
    label: str

    @property
    def aside(self) -> tuple[str, ...]:
        return tuple(name for name in (self.rule.by, self.device, self.label) if name)

    @property
    def columns(self) -> set[str]:
        return {place.column for place in self.places.values()} | set(self.aside)


def make_spec(payload: Json, stage: Stage) -> Json:
    """payload: {"model", "data" (names), "by", "block", "device", "label" ("" for none), "staging" (an empty folder)}.

    Gives {"spec" (the text of its file), "notes"}. Raises BadInput, naming model, input or column, for what cannot be.
    """
    leave_pandas_out()
    stage("opening the model")
    model = model_file(payload["model"])
    signature = signature_from_text(model.signature)
    slots = slots_of(signature)
    staging = Path(payload["staging"])
    data = open_data(payload["data"], staging / "data", stage, kinds_of_columns([model]), columns_of_inputs(signature))
    if not data.rows:
        raise BadInput(
            f"the reference {', '.join(payload['data'])} holds no rows", "name data that the model was made for"
        )
    for option in ("device", "label"):
        if payload[option] and payload[option] not in data.schema.names:
            raise BadInput(
                f"--{option}: the data has no column {payload[option]!r}", f"it has {', '.join(data.schema.names[:20])}"
            )
    rule = rule_of(payload["block"], payload["by"], data.schema, data.rows, data.first(payload["by"]))
    aside = [name for name in (rule.by, payload["device"], payload["label"]) if name]
    scorer = Scorer(model, data.schema, aside, mending=IN_THE_FILE)
    places = places_of([slot.source for slot in slots.inputs], data.schema, aside)
    job = _Job(model, signature, slots, data, places, rule, payload["device"], payload["label"])
    kept = Kept(staging / "outputs")
    features = _first_pass(job, kept.keep(scored(data, model, aside, job.columns, _said(stage, "learning cells from"))))
    spec = unfilled(model.sha256, features, bool(slots.probabilities))
    rows = unscored(data, {*job.columns, *scorer.reads}, _said(stage, "counting"), scorer.block_rows)
    made = _second_pass(job, spec, kept.again(rows, [field.name for field in scorer.output_fields]))
    if not made.reference.predictions:
        raise BadInput(
            f"the model answers none of the {counted(data.rows, 'row')} of the reference",
            f"mlpack score {payload['model']} --input {payload['data'][0]} says why each row is rejected",
        )
    notes = [*data.found.notes, *scorer.notes, *slots.notes, *_notes(made)]
    return {"spec": spec_text(made), "notes": notes}


def _said(stage: Stage, doing: str) -> Stage:
    return lambda text: stage(f"{doing} {text}")


def _first_pass(job: _Job, rows: Iterator[Scored]) -> tuple[Feature, ...]:
    seen: dict[str, NumberSample | TextCounts] = {
        slot.source.name: TextCounts() if slot.category else NumberSample() for slot in job.slots.all
    }
    for item in rows:
        assert item.outputs is not None and item.accepted is not None
        hashes = row_hashes(item.first, item.batch.num_rows)
        columns = Columns(item.batch)
        for slot in job.slots.inputs:
            _learn(seen[slot.source.name], columns.take(job.places[slot.source.name], slot.category), hashes)
        answers, _ = answer_columns(job.slots, item.outputs, item.accepted)
        for slot in job.slots.outputs:
            _learn(seen[slot.source.name], answers[slot.source.name], hashes[item.accepted])
    return tuple(
        text_feature(slot, what) if isinstance(what, TextCounts) else numeric_feature(slot, what)
        for slot, what in ((slot, seen[slot.source.name]) for slot in job.slots.all)
    )


def _learn(seen: NumberSample | TextCounts, column: Column, hashes: Any) -> None:
    if isinstance(seen, TextCounts):
        coded = column if isinstance(column, Coded) else None
        assert coded is not None, "categories come as codes"
        seen.update(coded)
    elif not isinstance(column, Coded):
        seen.update(np.asarray(column, np.float64), hashes)


def _second_pass(job: _Job, spec: Spec, rows: Iterator[Scored]) -> Spec:
    tallies = BlockTallies(spec, Cutting(job.rule.unit, job.rule.by, job.rule.size // 2))
    inputs = DeviceSums([feature for feature in spec.features if feature.source.role == INPUT])
    outputs = DeviceSums([feature for feature in spec.features if feature.source.role != INPUT])
    predicted = Predicted(job.signature)
    if job.label and not predicted.known:
        raise BadInput("--label: the model gives no class probabilities", "leave it out: it estimates their accuracy")
    right = np.zeros((CONFIDENCE_CELLS, 2), np.int64)
    for item in rows:
        assert item.outputs is not None and item.accepted is not None
        rows_there = rows_from(spec, job.places, item.batch, job.slots, item.outputs, item.accepted, item.failed)
        for key, label, chosen in job.rule.of(item.batch, item.first):
            rows_there.part(chosen).count(tallies.tally(key, label))
        if job.device:
            devices = as_category(item.batch.column(job.device))
            inputs.update(rows_there.inputs, devices)
            outputs.update(rows_there.outputs or {}, Coded(devices.codes[item.accepted], devices.values))
        if job.label:
            truth = as_category(item.batch.column(job.label))
            sure, true = predicted.right(item.outputs, item.accepted, truth)
            cells = np.minimum((sure * CONFIDENCE_CELLS).astype(np.int64), CONFIDENCE_CELLS - 1)
            for column, weights in enumerate((np.ones(len(true)), true)):
                right[:, column] += np.bincount(cells, weights, CONFIDENCE_CELLS).astype(np.int64)
    if job.label and right.any() and not predicted.met:
        raise BadInput(
            f"--label: no value of column {job.label!r} is a class of the model", "name the column of what was true",
            why=f"its classes are {', '.join(map(str, job.signature.classes[:10])) or 'those that it gives as labels'}",
        )  # fmt: skip
    pairs = tuple((int(labelled), int(good)) for labelled, good in right.tolist()) if job.label else ()
    return tallies.filled(inputs.growth() | outputs.growth(), inputs.devices, pairs, _lineage(job))


def _lineage(job: _Job) -> Json:
    options = {"by": job.rule.by, "block": job.rule.unit if job.rule.unit != "rows" else f"{job.rule.size} rows", "device": job.device, "label": job.label}  # fmt: skip
    return {
        "model": {"name": Path(job.model.path).name, "format": job.model.format},
        "data": job.data.lineage(),
        "options": {name: value for name, value in options.items() if value},
        "versions": {"mlpack-edge": version("mlpack-edge"), **dict(deciding_versions({job.model.format}))},
    }


def _notes(spec: Spec) -> Iterator[str]:
    """What the user should know of the reference."""
    blocks = spec.reference.blocks
    if len(blocks.rows) < ENOUGH_BLOCKS:
        yield (
            f"insufficient reference: {counted(len(blocks.rows), 'block')}; with fewer than {ENOUGH_BLOCKS} nobody knows how much "
            "blocks differ by themselves"
        )
    if blocks.unit == "rows":
        yield "blocks are rows in the order of the file; --by names the column of the time"
    for feature in spec.features:
        if isinstance(feature, Presence):
            yield f"{feature.source.name!r}: only whether it is there is counted ({feature.note})"
