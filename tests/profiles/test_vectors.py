"""The committed vectors: what every implementation gives for them, and what the page on the format shows."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from mlpack_edge.profiles.arrays.counting import ColumnTally
from mlpack_edge.profiles.arrays.decoding import ReportDecoder
from mlpack_edge.profiles.profile import faults
from mlpack_edge.profiles.spec_file import digest
from mlpack_edge.profiles.wire.frame import read_frame
from mlpack_edge.profiles.wire.report import ReportFormat
from tests.devices.c.test_profile import Row, build
from tests.profiles.vectors.make import HERE, VECTORS, Vector, noisy, read

PAGE = Path(__file__).parents[2] / "docs" / "profile-format.md"


@pytest.mark.parametrize("name", VECTORS)
def test_the_committed_files_are_what_the_script_writes(name: str) -> None:
    for ending, text in VECTORS[name]().texts().items():
        assert (HERE / f"{name}.{ending}").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", VECTORS)
def test_rows_give_the_report_and_the_report_gives_the_profile(name: str) -> None:
    vector, report, report_id = read(name)
    form = ReportFormat(vector.spec, digest(vector.spec))
    assert vector.report() == report
    assert form.decode(report) == vector.profile()
    assert faults(vector.spec, vector.profile()) == []
    assert read_frame(report).id == report_id
    decoded = ReportDecoder(form).decode([report])
    assert (decoded.ids, decoded.refused) == ([report_id], [])
    assert tuple(decoded.counts[0].tolist()) == vector.profile().counts


@pytest.mark.parametrize("name", VECTORS)
def test_columns_give_the_report(name: str) -> None:
    vector, report, _ = read(name)
    tally = ColumnTally(vector.spec)
    for row in vector.rows:
        columns: dict[str, Any] = {key: [[value] for value in row[key]] for key in ("inputs", "outputs") if key in row}
        probabilities = [row["probabilities"]] if "probabilities" in row else None
        latency = None if row.get("latency") is None else [row["latency"]]
        outcomes = {row["outcome"]: 1} if "outcome" in row else None
        tally.add(**columns, rows=1, probabilities=probabilities, latency=latency, outcomes=outcomes)
    made = tally.profile(digest(vector.spec), vector.window, device=vector.device, cohort=vector.cohort)
    assert ReportFormat(vector.spec, digest(vector.spec)).encode(made) == report


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed (.ci/debian-packages)")
@pytest.mark.parametrize("name", VECTORS)
def test_the_c_implementation_gives_the_report(name: str, tmp_path: Path) -> None:
    vector, report, _ = read(name)
    driver = build(tmp_path, vector.spec, digest=digest(vector.spec))
    assert driver.report(_rows(vector), vector.device, vector.cohort, vector.window) == report.hex()


def _rows(vector: Vector) -> list[Row]:
    return [
        Row(
            row["inputs"],
            row.get("outputs", []),
            row.get("probabilities", []),
            row.get("latency"),
            row.get("outcome", "ok"),
        )
        for row in vector.rows
    ]


def test_the_report_with_noise_is_what_the_script_writes_and_what_it_says() -> None:
    text = (HERE / "noisy.json").read_text(encoding="utf-8")
    record = json.loads(text)
    assert text == noisy()
    vector, _, report_id = read(record["spec"])
    found = ReportFormat(vector.spec, digest(vector.spec)).decode(bytes.fromhex(record["report"]))
    assert list(found.counts) == record["counts"] and list(found.carried) == record["carried"]
    assert (found.epsilon, record["id"]) == (record["epsilon"], report_id.hex())
    assert faults(vector.spec, found) == []


def test_the_page_shows_the_smallest_vector() -> None:
    """Its bytes, taken apart item by item, are the report."""
    _, report, report_id = read("smallest")
    text = PAGE.read_text(encoding="utf-8")
    block = re.search(r"```text report\n(.*?)```", text, re.DOTALL)
    assert block
    shown = "".join(re.sub(r"^((?:[0-9a-f]{2} ?)+).*$", r"\1", line).replace(" ", "") for line in block[1].splitlines())
    assert shown == report.hex()
    assert report_id.hex() in text
