"""Metrics for node_exporter's textfile collector, read back with Prometheus' own parser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from mlpack_edge.batch.prometheus import Measured, metrics_text, old_metrics, write_metrics
from mlpack_edge.core.errors import BadInput, IoFault

GOOD = Measured(
    exit_code=0, ended=1_800_000_000.25, seconds=12.5, rows_in=1000, rows_rejected=10,
    rejected={"score is not finite": 3, "month is null": 7}, shards_done=3, shards_reused=1, table_rows=990,
    published=True,
)  # fmt: skip
FAILED = Measured(exit_code=3, ended=1_800_000_100.0, seconds=2.0, rows_in=500, rows_rejected=100)


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """(series, its labels but `name`) -> value, by Prometheus' parser."""
    found: dict[Any, float] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation and family.type in ("counter", "gauge")
        for sample in family.samples:
            labels = {**sample.labels}
            labels.pop("name")
            key = (sample.name.removeprefix("mlpack_score_"), tuple(labels.items()))
            assert key not in found, "a series is there twice"
            found[key] = sample.value
    return found


def test_a_run_is_told_in_full() -> None:
    assert parsed(metrics_text("flights", GOOD)) == {
        ("rows_total", (("rows", "in"),)): 1000,
        ("rows_total", (("rows", "out"),)): 990,
        ("rows_total", (("rows", "rejected"),)): 10,
        ("runs_total", (("exit_code", "0"),)): 1,
        ("runs_total", (("exit_code", "1"),)): 0,
        ("runs_total", (("exit_code", "3"),)): 0,
        ("last_run_rows", (("rows", "in"),)): 1000,
        ("last_run_rows", (("rows", "out"),)): 990,
        ("last_run_rows", (("rows", "rejected"),)): 10,
        ("last_run_rejected_rows", (("reason", "month is null"),)): 7,
        ("last_run_rejected_rows", (("reason", "score is not finite"),)): 3,
        ("last_run_shards", (("shards", "done"),)): 3,
        ("last_run_shards", (("shards", "reused"),)): 1,
        ("last_run_duration_seconds", ()): 12.5,
        ("last_run_success", ()): 1,
        ("last_run_exit_code", ()): 0,
        ("last_run_timestamp_seconds", ()): 1_800_000_000.25,
        ("last_success_timestamp_seconds", ()): 1_800_000_000.25,
        ("table_rows", ()): 990,
    }


def test_a_failure_keeps_the_last_success_the_table_and_the_totals() -> None:
    made = parsed(metrics_text("flights", FAILED, metrics_text("flights", GOOD)))
    assert made["last_success_timestamp_seconds", ()] == GOOD.ended
    assert made["last_run_timestamp_seconds", ()] == FAILED.ended
    assert made["last_run_success", ()] == 0 and made["last_run_exit_code", ()] == 3
    assert made["rows_total", (("rows", "in"),)] == 1000 and made["table_rows", ()] == 990
    assert made["last_run_rows", (("rows", "rejected"),)] == 100
    assert made["runs_total", (("exit_code", "0"),)] == 1 and made["runs_total", (("exit_code", "3"),)] == 1


def test_a_job_that_never_succeeded_has_no_time_of_success() -> None:
    """0 would be 1970: an alert on its age would fire, but a page would show a success that never was."""
    assert ("last_success_timestamp_seconds", ()) not in parsed(metrics_text("flights", FAILED))


def test_a_run_that_had_nothing_to_do_is_a_success_and_counts_no_row() -> None:
    idle = Measured(exit_code=0, ended=1_800_000_200.0, seconds=0.1, table_rows=990)
    made = parsed(metrics_text("flights", idle, metrics_text("flights", GOOD)))
    assert made["rows_total", (("rows", "in"),)] == 1000 and made["last_run_rows", (("rows", "in"),)] == 0
    assert made["last_success_timestamp_seconds", ()] == idle.ended and made["table_rows", ()] == 990


def test_many_reasons_become_a_bounded_number_of_series() -> None:
    run = Measured(exit_code=3, ended=1.0, seconds=1.0, rejected={f"reason {i}": i for i in range(1, 201)})
    made = parsed(metrics_text("flights", run))
    counts = {labels: value for (name, labels), value in made.items() if name == "last_run_rejected_rows"}
    assert len(counts) == 51 and sum(counts.values()) == 200 * 201 / 2
    assert counts[(("reason", "reason 200"),)] == 200


labels = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(name=labels, reasons=st.dictionaries(labels, st.integers(0, 10**12), max_size=5), rows=st.integers(0, 10**12))
def test_any_name_and_reason_survives_the_format_and_the_next_run(
    name: str, reasons: dict[str, int], rows: int
) -> None:
    run = Measured(exit_code=0, ended=5.0, seconds=0.5, rows_in=rows, rejected=reasons, published=True)
    text = metrics_text(name, run)
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert {sample.labels["name"] for sample in samples} == {name}
    assert {s.labels["reason"]: s.value for s in samples if "reason" in s.labels} == reasons
    twice = parsed(metrics_text(name, run, text))
    assert twice["rows_total", (("rows", "in"),)] == 2 * rows


def test_bytes_that_are_no_utf_8_do_not_stop_the_metrics() -> None:
    text = metrics_text("flights", Measured(exit_code=1, ended=1.0, seconds=1.0, rejected={"city\udcff": 1}))
    assert (("last_run_rejected_rows", (("reason", "city\\udcff"),))) in parsed(text)


def test_a_damaged_old_file_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "score.prom"
    write_metrics(path, "flights", GOOD)
    path.write_text(path.read_text()[:400] + "\nmlpack_score_rows_total NaN\ngarbage")
    write_metrics(path, "flights", FAILED)
    assert parsed(path.read_text())["last_run_exit_code", ()] == 3


def test_the_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "score.prom"
    write_metrics(path, "flights", GOOD)
    inode = path.stat().st_ino
    write_metrics(path, "flights", GOOD)
    assert path.stat().st_ino != inode and [item.name for item in tmp_path.iterdir()] == ["score.prom"]
    assert parsed(path.read_text())["rows_total", (("rows", "in"),)] == 2000


def test_a_file_that_the_collector_would_not_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        old_metrics(tmp_path / "score.txt", "flights")
    assert "score.prom" in refused.value.hint


def test_a_foreign_file_and_another_jobs_metrics_are_not_replaced(tmp_path: Path) -> None:
    foreign, other = tmp_path / "foreign.prom", tmp_path / "other.prom"
    foreign.write_text("node_load1 0.5\n")
    write_metrics(other, "trains", GOOD)
    with pytest.raises(BadInput, match=r"not written by mlpack"):
        write_metrics(foreign, "flights", GOOD)
    with pytest.raises(BadInput, match=r"'trains'"):
        write_metrics(other, "flights", GOOD)
    with pytest.raises(IoFault, match=r"does not exist"):
        write_metrics(tmp_path / "none" / "a.prom", "flights", GOOD)
    assert foreign.read_text() == "node_load1 0.5\n"
