"""Before a table is published its inputs and models are looked at once more."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow
import pyarrow.parquet
import pytest

from mlpack_edge.batch.models import model_digest
from mlpack_edge.batch.plan import ModelFile, Plan
from mlpack_edge.batch.unchanged import refuse_other_inputs, source_file
from mlpack_edge.core.errors import BadInput, IoFault
from tests.batch.inputs.found import find
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


def test_a_file_written_in_the_first_second_of_1970_is_looked_at_like_any_other(tmp_path: Path) -> None:
    """Archives without times give such files; 0 does not mean that an input has no time."""
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"x": [1]}), path)
    os.utime(path, ns=(0, 0))
    plan = replace(_plan(tmp_path), inputs=find(tmp_path / "staging", path).files)
    assert plan.inputs[0].fingerprint.mtime_ns == 0
    refuse_other_inputs(plan)
    pyarrow.parquet.write_table(pyarrow.table({"x": [2]}), path)
    with pytest.raises(BadInput, match=r"a\.parquet changed or vanished"):
        refuse_other_inputs(plan)


def test_rows_of_a_database_have_no_file_to_look_at(tmp_path: Path) -> None:
    """Even where a file has the name of the table."""
    base = tmp_path / "a.duckdb"
    with duckdb.connect(str(base)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS x")
    plan = replace(_plan(tmp_path), inputs=find(tmp_path / "staging", f"{base}::t").files)
    base.unlink()
    refuse_other_inputs(plan)
    assert source_file(plan.inputs[0]) is None
