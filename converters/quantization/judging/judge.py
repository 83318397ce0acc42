"""Hold candidates against the float model, and against labels, on the same rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.quantization.judging import metrics
from mlpack_edge.converters.quantization.judging.agreement import Agreement, Reference, reference_of
from mlpack_edge.converters.quantization.judging.batches import batch_rows, run_rows
from mlpack_edge.converters.quantization.judging.kept import Kept
from mlpack_edge.converters.quantization.judging.outputs import Seen, look
from mlpack_edge.converters.quantization.judging.predictions import Prediction, default_metric, prediction
from mlpack_edge.converters.quantization.judging.rows import Rows
from mlpack_edge.converters.quantization.values import Quality
from mlpack_edge.core.errors import BadInput
from mlpack_edge.runtimes.parity import Runner
from mlpack_edge.runtimes.row_streams.cutting import by_row
from mlpack_edge.runtimes.row_streams.cutting import count as count_rows

Array = NDArray[Any]

#: Bytes of the float model's answers that stay in memory.
MEMORY = 256 << 20
AGREEMENT = "agreement"


def _silent(rows: int) -> None:
    pass


class Judge:
    """The float model has run once, at the first use; any number of candidates then run on the same rows.

    metric: of `metrics.METRICS`; None: with labels in the rows, accuracy or rmse by what the model gives; without,
    agreement. whole: outputs whose numbers are one slice, since they are read together and in one unit. memory: bytes of
    answers kept in memory, more go to a temporary file in `folder`. Close it, or use it in a `with`, to be rid of that file.
    """

    def __init__(
        self, reference: Runner, rows: Rows, metric: str | None = None, *,
        whole: Collection[str] = (), memory: int = MEMORY, folder: Path | None = None,
        on_rows: Callable[[int], None] = _silent,
    ) -> None:  # fmt: skip
        if metric is not None and metric not in metrics.METRICS:
            raise BadInput(f"--metric {metric!r} is not known", f"choose one of {', '.join(metrics.METRICS)}")
        known = [spec.name for spec in reference.signature.outputs]
        if strange := [name for name in whole if name not in known]:
            raise BadInput(
                f"there is no output {strange[0]!r}", f"--whole names an output of the model: {', '.join(known)}"
            )
        self._whole = frozenset(whole)
        self._runner = reference
        self._rows = rows
        self._metric = metric
        self._answers = Kept(memory, folder)
        self._on_rows = on_rows
        self._batch = batch_rows(reference.signature)
        self._cut, _ = by_row(reference.signature)
        self._counts: list[int] = []
        self._truth: list[Array] = []
        self._reference: Reference | None = None
        self._prediction: Prediction | None = None
        self._before: dict[int, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._answers.close()

    @property
    def rows(self) -> int:
        """Rows that are judged on."""
        self._ready()
        return sum(self._counts)

    @property
    def metric(self) -> str:
        """Of labels, or "agreement"."""
        self._ready()
        return self._prediction.metric if self._prediction else AGREEMENT

    def judge(self, candidate: Runner, most_rows: int | None = None, enough: float | None = None) -> Quality:
        """Facts about `candidate`. most_rows: stop after the batch that reaches so many. enough: of agreement, stop where the
        drop over all rows is sure to be above it; the facts are then those of the rows so far.

        `drop` is infinite where the candidate gives NaN or infinity and the float model a number. Raises BadInput for
        labels that do not fit the model, CheckFailed where the candidate stops or lacks an output.
        """
        reference = self._ready()
        agreement = Agreement(reference)
        after = metrics.METRICS[self._prediction.metric]() if self._prediction else None
        batches = rows = 0
        for batch, kept in zip(self._rows.batches(self._batch), self._answers, strict=True):
            answers = run_rows(candidate, batch.feeds)
            agreement.add(kept, answers, self._counts[batches])
            if after is not None and self._prediction is not None:
                after.add(self._truth[batches], self._prediction.answer(answers[self._prediction.output]))
            rows += self._counts[batches]
            batches += 1
            self._on_rows(rows)
            if most_rows is not None and rows >= most_rows:
                break
            if enough is not None and after is None and agreement.surely_above(enough, sum(self._counts)):
                break
        return self._quality(agreement, after, batches, rows)

    def _quality(self, agreement: Agreement, after: metrics.Metric | None, batches: int, rows: int) -> Quality:
        slices = agreement.slices()
        worst = slices[0].noise if slices else 0.0
        drop = max(agreement.flips or 0.0, worst)
        if self._prediction is None or after is None:
            return Quality(AGREEMENT, 1.0, max(0.0, 1.0 - drop), drop, rows, agreement.flips, slices)
        name, before = self._prediction.metric, self._metric_before(batches)
        if math.isinf(worst):
            return Quality(name, before, math.nan, math.inf, rows, agreement.flips, slices)
        value = after.value()
        return Quality(name, before, value, metrics.drop(name, before, value), rows, agreement.flips, slices)

    def _metric_before(self, batches: int) -> float:
        """Of the float model over so many batches."""
        assert self._prediction is not None
        if batches not in self._before:
            metric = metrics.METRICS[self._prediction.metric]()
            for truth, kept in zip(self._truth[:batches], self._answers, strict=False):
                metric.add(truth, self._prediction.answer(kept[self._prediction.output]))
            self._before[batches] = metric.value()
        return self._before[batches]

    def _ready(self) -> Reference:
        """Run the float model where that has not been done."""
        if self._reference is None:
            labels = []
            for batch in self._rows.batches(self._batch):
                self._answers.append(run_rows(self._runner, batch.feeds))
                self._counts.append(count_rows(batch.feeds, self._cut))
                labels.append(batch.labels)
                self._on_rows(sum(self._counts))
            if not self._counts:
                raise BadInput("there are no rows to judge on", "pass rows with --eval or --data")
            seen = look(self._runner.signature, self._answers, self._counts)
            self._read_labels(labels, seen)
            self._reference = reference_of(self._runner.signature, seen, self._answers, self._whole)
        return self._reference

    def _read_labels(self, labels: Sequence[Array | None], seen: Mapping[str, Seen]) -> None:
        known = [one for one in labels if one is not None]
        if len(known) < len(labels):
            if self._metric is not None:
                raise BadInput(f"--metric {self._metric} needs labels", "name their column with --label")
            return
        chosen = self._metric or default_metric(self._runner.signature, seen)
        self._prediction = prediction(self._runner.signature, seen, chosen)
        starts = np.cumsum([0, *self._counts[:-1]]).tolist()
        self._truth = [self._prediction.truth(one, start) for one, start in zip(known, starts, strict=True)]
        self._metric_before(len(known))  # what the labels leave undefined is said before anything is quantized
