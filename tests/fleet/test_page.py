"""The queries of docs/how-to/watch-a-fleet.md run, and say what is so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.fleet.made import SPEC, put, report, table, take

PAGE = Path(__file__).parent.parent.parent / "docs/how-to/watch-a-fleet.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty devices in five days, the odd ones half a standard deviation off; two of the days came late."""
    reports = [
        report(device, day, 400, shift=device % 2 / 2, cohort="ab"[device % 2])
        for device in range(20)
        for day in range(6, 11)
    ]
    put(tmp_path / "up", "a.cbor", *reports)
    take(tmp_path / "fleet", tmp_path / "up")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_queries_give_reports_and_counters_by_day(here: Path) -> None:
    by_day, counters = blocks("sql")
    found = duckdb.sql(by_day).fetchall()
    assert [(str(day), *rest) for day, *rest in found] == [(f"2026-09-{7 + n:02}", 20, 20, 8000) for n in range(5)]
    stored = table(here / "fleet")
    for day, counts in duckdb.sql(counters).fetchall():
        mine = stored.filter(stored["path"].str.contains(f"^reports/.*day={day}"))
        wanted = mine["counts"].to_numpy().sum(axis=0)
        assert counts == wanted.tolist()


def test_the_python_of_the_page_prints_means(here: Path) -> None:
    [code] = blocks("python")
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=True)
    found = {line.split()[0]: float(line.split()[1]) for line in done.stdout.splitlines()}
    assert set(found) == {"a", "b"}
    assert found["b"] - found["a"] == pytest.approx(0.5, abs=0.05)


def test_the_page_names_every_column_and_no_other(here: Path) -> None:
    cells = re.findall(r"^\| (`[^|]+?) \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert set(table(here / "fleet").columns) - {"path"} <= named
    assert SPEC.numeric


def test_the_reference_names_every_key_of_a_line_of_the_quarantine(tmp_path: Path) -> None:
    put(tmp_path / "up", "a.cbor", b"\xff" * 20)
    take(tmp_path / "fleet", tmp_path / "up")
    [line] = next((tmp_path / "fleet/quarantine").rglob("*.jsonl")).read_text().splitlines()
    page = (
        (PAGE.parent.parent / "reference/files.md")
        .read_text(encoding="utf-8")
        .partition("`mlpack fleet ingest` writes")[2]
    )
    cells = re.findall(r"^\| (`[^|]+?) \|", page, flags=re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == set(json.loads(line))
