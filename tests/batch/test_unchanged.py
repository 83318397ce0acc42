"""Before a table is published its inputs and models are looked at once more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlpack_edge.batch.models import model_digest
from mlpack_edge.batch.plan import ModelFile, Plan
from mlpack_edge.batch.unchanged import refuse_other_inputs
from mlpack_edge.core.errors import BadInput, IoFault
from tests.batch.outputs.runs import plan_of


def _plan(folder: Path, *weights: str) -> Plan:
    for name in ("m.onnx", *weights):
        (folder / name).write_bytes(name.encode())
    path, external = str(folder / "m.onnx"), tuple(str(folder / name) for name in weights)
    model = ModelFile(path, "onnx", model_digest(path, external), external=external)
    return replace(plan_of("out", []), models=(model,))


@pytest.mark.parametrize("changed", ["m.onnx", "a.bin", "b.bin"])
def test_a_model_one_of_whose_files_was_replaced_is_refused(tmp_path: Path, changed: str) -> None:
    plan = _plan(tmp_path, "a.bin", "b.bin")
    refuse_other_inputs(plan)
    (tmp_path / changed).write_bytes(b"other weights")
    with pytest.raises(BadInput, match=r"the model .*m\.onnx was replaced while it scored"):
        refuse_other_inputs(plan)


def test_weights_that_are_gone_are_an_io_fault(tmp_path: Path) -> None:
    plan = _plan(tmp_path, "a.bin")
    (tmp_path / "a.bin").unlink()
    with pytest.raises(IoFault, match=r"m\.onnx could not be read again"):
        refuse_other_inputs(plan)
