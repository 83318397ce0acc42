"""`nncf.quantize_with_accuracy_control` on ONNX: its defaults, and the benchmark's own question as the validation function.

A first failure is answered as a user would: the model is brought to another operator set with onnx's version converter.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from unittest.mock import MagicMock

os.sched_setaffinity(
    0, {min(os.sched_getaffinity(0))}
)  # its sessions take as many threads as there are cores, and spin
sys.modules["openvino_telemetry"] = MagicMock()  # it would report to its makers

import nncf
import numpy as np
import onnx
import onnx.version_converter
from job import Job, Rows, peer, single_rows
from quantize_judge import goodness, quality
from quantize_run import opened_onnx

#: Per-channel scales came with the first; with the one behind the second, QuantizeLinear names its output type, which it sets wrong.
OLD, KNOWN = 13, 20


def run(job: Job, mode: str) -> None:
    reference, items = opened_onnx(job.model), list(single_rows(job.eval))
    wanted, places = [reference(row) for row in items], {id(row): place for place, row in enumerate(items)}

    def validate(model: onnx.ModelProto, rows: Iterable[Rows]) -> tuple[float, list[float]]:
        candidate, chosen, made = opened_onnx(model.SerializeToString()), [], []
        for row in rows:
            chosen.append(places[id(row)])
            made.append(candidate(row))
        truth = None if job.labels is None else job.labels[chosen]
        pairs = [
            ({name: one[name][None] for name in one} for one in (wanted[at], new))
            for at, new in zip(chosen, made, strict=True)
        ]
        each = [-sum(float(np.mean((before[name] - after[name]) ** 2)) for name in after) for before, after in pairs]
        whole = [
            {name: np.stack([one[name] for one in rows]) for name in rows[0]}
            for rows in ([wanted[at] for at in chosen], made)
        ]
        return goodness(quality(*whole, job.about, truth), job.about), each

    calibration, validation = nncf.Dataset(list(single_rows(job.calib))), nncf.Dataset(items)
    model = onnx.load(job.model)

    def quantized(source: onnx.ModelProto) -> onnx.ModelProto:
        return nncf.quantize_with_accuracy_control(source, calibration, validation, validate, max_drop=job.max_drop)

    try:
        made = quantized(model)
    except Exception as fault:
        opset = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
        other = OLD if opset < OLD else KNOWN
        if opset in (OLD, KNOWN):
            raise
        job.notes.append(f"converted from opset {opset} to {other} after {type(fault).__name__}: {str(fault)[:160]}")
        made = quantized(onnx.version_converter.convert_version(model, other))
    onnx.save(made, job.out)


peer(run)
