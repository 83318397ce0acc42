"""Profiles of data by a spec: one for all rows, or one a day."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from mlpack_edge.batch.models import kinds_of_columns, model_file
from mlpack_edge.batch.pandas_left_out import leave_pandas_out
from mlpack_edge.batch.plan import ModelFile
from mlpack_edge.batch.profiling.blocks import BlockRule, days_of
from mlpack_edge.batch.profiling.counted import rows_from
from mlpack_edge.batch.profiling.data import Data, columns_of_inputs, open_data
from mlpack_edge.batch.profiling.places import places_of
from mlpack_edge.batch.profiling.scored import Scored, scored, unscored
from mlpack_edge.batch.profiling.windows import window_of_day, window_of_files
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import signature_from_text
from mlpack_edge.profiles.arrays.counting import ColumnTally
from mlpack_edge.profiles.cells import category_text
from mlpack_edge.profiles.device import device_digest
from mlpack_edge.profiles.document import profile_to_json
from mlpack_edge.profiles.noise import with_noise
from mlpack_edge.profiles.profile import MANY, Profile, Window, merge
from mlpack_edge.profiles.reference.slots import Slots, slots_of
from mlpack_edge.profiles.spec import INPUT, OUTPUT, Categorical, Numeric, Source, Spec
from mlpack_edge.profiles.spec_file import digest, spec_from_bytes
from mlpack_edge.profiles.wire.report import ReportFormat

Json = dict[str, Any]
Stage = Callable[[str], None]


def build(payload: Json, stage: Stage) -> Json:
    """payload: {"spec" (the text of its file), "data" (names), "model" (a path, "" for none), "by" (a column of days, "" for one
    profile), "day" ("2026-02-28" or ""), "device", "cohort", "salt", "epsilon" (of differential privacy in millionths;
    0 or absent: no noise; with one window only), "staging" (an empty folder)}.

    Gives {"reports" (base64 of each, by window), "rows", "predictions", "notes"}. Raises BadInput for what does not fit the spec.
    """
    leave_pandas_out()
    spec = spec_from_bytes(payload["spec"].encode())
    model = _model(payload["model"], spec, stage)
    data = open_data(
        payload["data"], Path(payload["staging"]) / "data", stage, _wanted(spec, model), _inputs(spec, model)
    )
    rule = days_of(payload["by"], data.schema) if payload["by"] else None
    if not payload["day"] and rule is None and not data.written:
        raise BadInput(
            "nothing says of which day the rows are", "name it with --day, or the column of the day with --by",
            why="tables and URLs do not tell when their rows were written",
        )  # fmt: skip
    aside = [payload["by"]] if payload["by"] else []
    tallies = _counted(spec, model, data, aside, rule, lambda text: stage(f"counting {text}"))
    if rule is not None and not tallies:
        raise BadInput(
            f"the data holds no row, so {payload['by']!r} names no day",
            "--day makes the report of a night without rows",
        )
    device = device_digest(payload["device"], payload["salt"]) if payload["device"] else MANY
    made = digest(spec)
    windows = {key: _window(int(key)) for key in sorted(tallies)} if rule else {0: _only_window(payload["day"], data)}
    profiles = [
        tallies[key].profile(made, window, device=device, cohort=payload["cohort"]) for key, window in windows.items()
    ]
    notes = [*data.found.notes, *_notes(spec, model, profiles)]
    if not payload.get("epsilon"):  # nothing of the rows is said that the report does not say
        notes += _losses(spec, profiles)
    else:
        [profile] = profiles  # there is one where no column of days is named
        profiles = [with_noise(spec, profile, payload["epsilon"])]
        notes.append("the noise was drawn now: keep and send this file, for a window that is built again is told twice")
    form = ReportFormat(spec, made)
    return {
        "reports": [base64.b64encode(form.encode(profile)).decode() for profile in profiles],
        "rows": sum(profile.rows for profile in profiles),
        "predictions": sum(profile.predictions for profile in profiles),
        "notes": notes,
    }


def _model(path: str, spec: Spec, stage: Stage) -> ModelFile | None:
    if not path:
        if not any(feature.source.role == INPUT for feature in spec.features):
            raise BadInput("the spec counts the model's outputs alone", "--model runs it over the rows")
        return None
    stage("opening the model")
    model = model_file(path)
    if model.sha256 != spec.model_sha256:
        raise BadInput(
            f"{path} is another model than the spec's", "name the model that the spec was made of, or make a spec of this one",
            why=f"its SHA-256 begins with {model.sha256[:16]}, the spec's with {spec.model_sha256[:16]}",
        )  # fmt: skip
    return model


def _counted(
    spec: Spec, model: ModelFile | None, data: Data, aside: list[str], rule: BlockRule | None, stage: Stage
) -> dict[int | float | str, ColumnTally]:
    places = places_of(
        [feature.source for feature in spec.features if feature.source.role == INPUT], data.schema, aside
    )
    columns = {place.column for place in places.values()} | set(aside)
    slots: Slots | None = None
    rows: Iterator[Scored]
    if model is None:
        rows = unscored(data, columns, stage)
    else:
        slots = slots_of(signature_from_text(model.signature))
        rows = scored(data, model, aside, columns, stage)
    tallies: dict[int | float | str, ColumnTally] = {} if rule else {0: ColumnTally(spec)}
    for item in rows:
        counted = rows_from(spec, places, item.batch, slots, item.outputs, item.accepted, item.failed)
        if rule is None:
            counted.count(tallies[0])
            continue
        for key, _, chosen in rule.of(item.batch, item.first):
            counted.part(chosen).count(tallies.setdefault(key, ColumnTally(spec)))
    return tallies


def _only_window(day: str, data: Data) -> Window:
    return window_of_day(date.fromisoformat(day)) if day else window_of_files(data.written)


def _window(key: int) -> Window:
    return window_of_day(date.fromordinal(date(1970, 1, 1).toordinal() + key))


def _wanted(spec: Spec, model: ModelFile | None) -> dict[str, str]:
    """How columns of CSV files are read: as the model takes them; without it numbers as numbers, and texts as texts unless
    all of them are numbers."""
    if model is not None:
        return kinds_of_columns([model])
    found = {}
    for feature in spec.features:
        if isinstance(feature, Numeric):
            found[feature.source.name] = "number"
        elif isinstance(feature, Categorical) and not all(map(_is_number, (*feature.categories, *feature.known))):
            found[feature.source.name] = "text"
    return found


def _is_number(text: str) -> bool:
    try:
        return text in ("true", "false") or category_text(float(text)) == text
    except ValueError:
        return False


def _inputs(spec: Spec, model: ModelFile | None) -> dict[str, list[str]]:
    """The columns of each input, as `stage_arrays` takes them; none where its elements are known only by number."""
    if model is not None:
        return columns_of_inputs(signature_from_text(model.signature))
    by_tensor: dict[str, list[Source]] = {}
    for feature in spec.features:
        if feature.source.role == INPUT:
            by_tensor.setdefault(feature.source.tensor, []).append(feature.source)
    return {
        tensor: []
        if any(source.name == f"{tensor}[{source.index}]" for source in mine)
        else [source.name for source in mine]
        for tensor, mine in by_tensor.items()
    }


def _notes(spec: Spec, model: ModelFile | None, profiles: list[Profile]) -> Iterator[str]:
    if model is None and any(feature.source.role == OUTPUT for feature in spec.features):
        yield "the model's outputs are not counted: --model runs it over the rows"
    if not any(profile.rows for profile in profiles):
        yield "the data holds no rows"


def _losses(spec: Spec, profiles: list[Profile]) -> Iterator[str]:
    """Rows that the model did not answer, and values that are nothing that the spec counts."""
    shown = profile_to_json(spec, merge(profiles))
    rows, ended = shown["rows"], shown["outcome"]
    if ended["refused"]:
        yield f"the model takes {ended['refused']:,} of {rows:,} rows not at all: mlpack score names the reason of each"
    if ended["failed"]:
        yield f"the model failed on {ended['failed']:,} of {rows:,} rows"
    strange = [(feature["invalid"], name) for name, feature in shown["features"].items() if feature["invalid"]]
    for count, name in sorted(strange, reverse=True)[:5]:
        yield f"{name}: {count:,} of {rows:,} values are no numbers"
