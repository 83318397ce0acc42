"""Try the schemes one after the other: calibrate once, search each, keep the files of those that keep the budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from mlpack_edge.converters.blocks import run_bounded
from mlpack_edge.converters.opening import Stage
from mlpack_edge.converters.quantization.calibration.calibrate import Calibration, calibrate
from mlpack_edge.converters.quantization.judged_rows import Rows
from mlpack_edge.converters.quantization.judging.judge import Judge
from mlpack_edge.converters.quantization.lite_norms import with_norms_apart
from mlpack_edge.converters.quantization.narrowed import narrowed
from mlpack_edge.converters.quantization.prepared import Prepared, prepare
from mlpack_edge.converters.quantization.progress import Progress
from mlpack_edge.converters.quantization.recipes import ONLY_STORED, how_of, possible, recipes_of
from mlpack_edge.converters.quantization.same_files import Made, without_copies
from mlpack_edge.converters.quantization.search.search import search
from mlpack_edge.converters.quantization.static.channels import ChannelFacts
from mlpack_edge.converters.quantization.static.layers import columns_of, tensors_of
from mlpack_edge.converters.quantization.static.sampling import channel_facts, images_of
from mlpack_edge.converters.quantization.subject import Subject
from mlpack_edge.converters.quantization.values import Json, Method, Point, Recipe
from mlpack_edge.converters.quantization.workbench import Workbench
from mlpack_edge.core.errors import BadInput, CheckFailed, MlpackError, Unsupported
from mlpack_edge.runtimes.parity import RowsRefused
from mlpack_edge.runtimes.row_streams.stream import RowStream

Array = NDArray[Any]
#: In the order in which ranges are found where nobody chose: extremes lose nothing where rows are ordinary.
METHODS: tuple[Method, ...] = ("minmax", "percentile", "entropy", "mse")
#: Of the time that is left, what the search of scheme "static" may take where others follow: most models end there.
_STATIC_SHARE = 0.6
#: Of the time that is left, what calibration may take: what it finds still has to be tried.
_CALIBRATION_SHARE = 0.5
#: Of the whole time what is left to measuring on the target, and at most so many seconds.
_MEASURING_SHARE, _MEASURING_S = 0.25, 60.0


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A scheme, or a candidate, that is not among the points. reason: "refused" (by the model or the format), "time-limit" (not
    begun), "same file" (as that of another)."""

    label: str
    reason: Literal["refused", "time-limit", "same file"]
    why: str


@dataclass(frozen=True, slots=True)
class Attempts:
    """points: whatever was judged, with the file of each that keeps the budget (None for others). unfinished: schemes whose search
    ended at the time limit. left: seconds of the limit that are left to measuring, not below 0."""

    points: tuple[Made, ...]
    calibration: Json | None
    notes: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    unfinished: tuple[str, ...]
    left: float

    def told(self) -> Json:
        """What became of the search, as the command line reads it."""
        return {
            "left_out": [asdict(one) for one in self.left_out], "unfinished": list(self.unfinished), "seconds_left": self.left,
        }  # fmt: skip


def attempt(
    subject: Subject, rows: Rows, payload: Json, stage: Stage, clock: Callable[[], float] = time.monotonic
) -> Attempts:
    """Candidates of all schemes that were asked for, searched within `payload["max_drop"]` for `payload["seconds"]` from when
    the float model has run, less what is kept for measuring. After that no scheme is begun; one that has begun makes its first
    candidate.

    Raises Unsupported where the model has nothing to quantize, or the only scheme asked for cannot be had; BadInput where
    a layer to keep float is not there, and where labels or rows do not fit the model, before anything is calibrated.
    """
    stage(f"preparing {subject.name}")
    narrow = narrowed(subject.built.model)
    prepared = prepare(replace(subject.built, model=narrow) if narrow is not None else subject.built)
    if payload["integer_only"]:
        prepared = with_norms_apart(prepared)
    bench = Workbench(subject, prepared, payload["io"], how_of(payload))
    wanted = recipes_of(payload, rows.calibration is not None)
    recipes, stored = possible(subject, prepared, bench, wanted, payload)
    notes = list(prepared.notes)
    if narrow is not None:
        notes.append(f"{subject.name} computes in float64; what is quantized of it computes in float32")
    bar = Progress(stage, f"running {subject.name}", rows.judged.rows)
    with Judge(
        subject.reference, rows.judged, payload["metric"],
        whole=payload["whole"], folder=Path(payload["scratch"]), on_rows=bar.at,
    ) as judge:  # fmt: skip
        bar.step(f"judging by {judge.metric}")  # the float model has run, and its labels are read
        trying = _Trying(subject, prepared, bench, judge, payload, bar, stage, clock)
        trying.left_out += [LeftOut(one.name, "refused", ONLY_STORED) for one in stored]
        for place, recipe in enumerate(recipes):
            with trying.left_out_where_refused(recipe, alone=len(recipes) == 1):
                trying.scheme(recipe, rows.calibration, len(recipes) - place)
    refused = [f"{one.label} was left out: {one.why}" for one in trying.left_out if one.reason == "refused"]
    if not trying.points and not any(one.reason == "time-limit" for one in trying.left_out):
        raise Unsupported(
            f"{subject.name} cannot be quantized in any of the ways that were tried",
            "leave it as it is, or change what the reasons name", why="; ".join([*notes, *refused]),
        )  # fmt: skip
    points, copies = without_copies(trying.points, bench.content)
    trying.left_out += [
        LeftOut(copy.label, "same file", f"it is the file of {kept.label} by another name") for copy, kept in copies
    ]
    left = max(0.0, trying.end - clock())
    return Attempts(
        tuple(points), trying.calibration, (*notes, *trying.warnings, *refused), tuple(trying.left_out),
        tuple(trying.unfinished), left,
    )  # fmt: skip


@dataclass(slots=True)
class _Trying:
    """The schemes tried so far. end: of the time limit, by the clock."""

    subject: Subject
    prepared: Prepared
    bench: Workbench
    judge: Judge
    payload: Json
    bar: Progress
    stage: Stage
    clock: Callable[[], float]
    end: float = 0.0
    deadline: float = 0.0
    points: list[Made] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    calibration: Json | None = None

    def __post_init__(self) -> None:
        seconds = self.payload["seconds"]
        self.end = self.clock() + seconds
        self.deadline = self.end - min(_MEASURING_SHARE * seconds, _MEASURING_S)

    @contextmanager
    def left_out_where_refused(self, recipe: Recipe, alone: bool) -> Iterator[None]:
        """What the model or the format refuses in one scheme is no reason against the others."""
        try:
            yield
        except (Unsupported, CheckFailed) as fault:
            if alone:
                raise
            self.left_out.append(LeftOut(recipe.name, "refused", _line(fault)))

    def scheme(self, recipe: Recipe, calibration: RowStream | None, left: int) -> None:
        """The points of one of `left` schemes; none where the time is up."""
        if self._late(recipe):
            return
        if recipe.scheme == "static":
            assert calibration is not None, "scheme static is among the recipes where there are rows to calibrate on"
            self._calibrate(recipe, calibration)
        points, complete = _searched(
            self.bench, self.judge, recipe, self.payload, self._until(recipe, left), self.clock, self.bar.step
        )
        self.points += points
        if not complete:
            self.unfinished.append(recipe.name)

    def _late(self, recipe: Recipe) -> bool:
        if self.clock() < self.deadline:
            return False
        self.left_out.append(LeftOut(recipe.name, "time-limit", "not tried: --time-limit had ended"))
        return True

    def _until(self, recipe: Recipe, left: int) -> float:
        """When the search of this one of `left` schemes has to end."""
        now = self.clock()
        share = 1 / left if left == 1 or recipe.scheme != "static" else max(_STATIC_SHARE, 1 / left)
        return now + share * max(0.0, self.deadline - now)

    def _calibrate(self, recipe: Recipe, stream: RowStream) -> None:
        """Raises BadInput where the rows themselves are wrong, CheckFailed or Unsupported where only this scheme is stopped."""
        bar = Progress(self.stage, "calibrating", stream.rows)
        bar.step("calibrating")
        methods = METHODS if self.payload["method"] == "auto" else (self.payload["method"],)
        now = self.clock()
        try:
            found = calibrate(
                self.prepared.model, tensors_of(self.prepared, recipe), stream, methods, on_rows=bar.more,
                columns=columns_of(self.prepared, recipe), signature=stream.signature, place_of=stream.place,
                clock=self.clock, until=now + _CALIBRATION_SHARE * (self.deadline - now),
                images=images_of(self.prepared),
            )  # fmt: skip
        except CheckFailed:
            _refuse_rows(self.subject, stream)
            raise
        warnings = [*found.warnings, *_cut_short(found, stream)]
        self.warnings += warnings
        self.calibration = {
            "rows": found.rows, "methods": list(found.methods), "warnings": warnings, "complete": found.complete,
        }  # fmt: skip
        self.bench.ranges, self.bench.refused = found.ranges, found.refused
        self.bench.see_channels = partial(self._see_channels, stream, found.channels)

    def _see_channels(
        self, stream: RowStream, extremes: Mapping[str, tuple[Array, Array]]
    ) -> Mapping[str, ChannelFacts]:
        now = self.clock()
        until = now + _CALIBRATION_SHARE * (self.deadline - now)
        return channel_facts(self.prepared, stream, stream.rows, self.clock, until, extremes)


def _cut_short(found: Calibration, stream: RowStream) -> list[str]:
    if found.complete:
        return []
    return [f"--time-limit ended calibration after {found.rows:,} of {stream.rows:,} rows"]


def _refuse_rows(subject: Subject, stream: RowStream) -> None:
    """Raise BadInput where the model itself does not take the rows to calibrate on."""
    for batch in stream.batches():
        try:
            run_bounded(subject.source, batch.feeds)
        except RowsRefused as refusal:
            raise BadInput(
                f"{subject.name} does not take the rows of {stream.path} from row {stream.place(batch.start)} (counted from 0) on",
                "pass rows that it takes with --data, or fix its sizes with --shape",
                why=str(refusal),
            ) from refusal


def _searched(
    bench: Workbench,
    judge: Judge,
    recipe: Recipe,
    payload: Json,
    until: float,
    clock: Callable[[], float],
    step: Callable[[str], None],
) -> tuple[list[Made], bool]:
    """The points of one scheme, with files only of those that could be taken; and whether the search came to its end."""
    methods = METHODS if recipe.scheme == "static" and payload["method"] == "auto" else ()
    # TFLite's DEQUANTIZE has one scale a tensor.
    by_channel = recipe.scheme == "static" and payload["to"] == "onnx"
    files: dict[Recipe, Path] = {}
    stem = recipe.name.replace(" ", "-")

    def keep(made: Recipe, file: bytes) -> None:
        files[made] = Path(payload["scratch"], f"{stem}-{len(files)}.{payload['to']}")
        files[made].write_bytes(file)

    found = search(
        bench, judge, recipe, payload["max_drop"], clock=clock, deadline=until, methods=methods,
        by_channel=by_channel, faster=by_channel and payload["scheme"] == "auto" and payload["max_bytes"] is None,
        measured=payload["verbose"], on_step=step, on_draft=keep,
    )  # fmt: skip
    points: list[Made] = []
    for point in found.points:
        file: Path | None = files[point.recipe]
        if not point.quality.drop <= payload["max_drop"]:
            files[point.recipe].unlink()
            file = None
        points.append((_named(point), file))
    return points, found.complete


def _named(point: Point) -> Point:
    """Says so where a scheme of codes computes with none."""
    if point.recipe.scheme not in ("static", "dynamic") or not point.layers:
        return point
    if any(not facts.kept_float and not facts.stored for facts in point.layers):
        return point
    return replace(
        point,
        notes=(*point.notes, f"{point.label}: no layer of it computes on codes, their weights are only stored so"),
    )


def _line(fault: MlpackError) -> str:
    return f"{fault.message}: {fault.why}" if fault.why else fault.message
