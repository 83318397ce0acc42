"""onnxruntime.quantization with its defaults: `quant_pre_process`, then `quantize_static` (QDQ) or `quantize_dynamic`.

Where the documented first step fails, the note says so and the model goes on as it is: what a user would try next.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from job import Job, peer, single_rows
from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Rows(CalibrationDataReader):
    """A row a call."""

    def __init__(self, job: Job) -> None:
        self.rows = single_rows(job.calib)

    def get_next(self) -> dict | None:
        return next(self.rows, None)


def run(job: Job, mode: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "prepared.onnx")
        try:
            quant_pre_process(str(job.model), str(source))
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is the finding
            job.notes.append(f"quant_pre_process failed: {type(fault).__name__}: {str(fault)[:160]}")
            source = job.model
        if mode == "static":
            quantize_static(str(source), str(job.out), Rows(job))
        else:
            quantize_dynamic(str(source), str(job.out))


peer(run)
