"""What other programs read of `mlpack drift`: metrics, alerts, and the dashboard over the metrics."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from mlpack_edge.cli.drift_alertmanager import alerts
from mlpack_edge.cli.drift_findings import findings
from mlpack_edge.cli.drift_prometheus import HELP, metrics_text, refuse_foreign, write_metrics
from mlpack_edge.core.errors import BadInput, IoFault
from mlpack_edge.profiles.drift.facts import DriftReport
from mlpack_edge.profiles.drift.gates import Gates
from tests.cli.drift_made import DAY, FIRST, june, plain_days, plain_spec, report_of

Json = dict[str, Any]
DASHBOARD = Path(__file__).parents[2] / "docs/grafana/mlpack-drift.json"
LABELS = {"name": "flights"}


@pytest.fixture(scope="module")
def report() -> DriftReport:
    """60 days: something happens on the 31st."""
    return report_of(plain_spec(), plain_days(plain_spec(), 60, june))


@pytest.fixture(scope="module")
def quiet() -> DriftReport:
    return report_of(plain_spec(), plain_days(plain_spec(), 30))


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """(metric, its labels) -> value, by Prometheus' parser."""
    found: dict[Any, float] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation and family.type == "gauge"
        for sample in family.samples:
            key = (sample.name.removeprefix("mlpack_drift_"), tuple(sorted(sample.labels.items())))
            assert key not in found, "a series is there twice"
            found[key] = sample.value
    return found


def series(**labels: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((LABELS | labels).items()))


def test_metrics_say_what_the_report_says(report: DriftReport) -> None:
    found = parsed(metrics_text(LABELS, report, Gates()))
    for window in report.latest:
        length = f"{window.days}d"
        assert found["rows", series(window=length)] == window.rows
        assert found["window_end_timestamp_seconds", series(window=length)] == (FIRST + 60) * DAY
        for feature in window.features:
            where = {"feature": feature.name, "window": length}
            assert found["missing_ratio", series(**where)] == feature.missing[1]
            assert found["unseen_ratio", series(**where)] == feature.unseen[1]
            for check in feature.checks:
                key = series(**where, kind=check.kind)
                assert found["effect", key] == check.effect
                assert found["threshold", key] == Gates().threshold(check, report.sufficient)
    assert found["drifted", series(feature="x", kind="distribution")] == 1
    assert found["drifted", series(feature="amount", kind="missing")] == 1
    assert found["drifted", series(feature="kind", kind="unseen")] == 1
    assert found["drifted", series(feature="grade", kind="distribution")] == 0
    assert found["features_drifted", series()] == 3 and found["features", series()] == 5
    assert found["reference_sufficient", series()] == 1 and found["reference_blocks", series()] == 100
    assert 0.5 < found["accuracy_proxy_ratio", series()] < 1
    assert "devices" not in {name for name, _ in found}, "these rows do not come from devices"


def test_every_cause_is_a_series_also_when_calm(quiet: DriftReport) -> None:
    """One that came and went would hang in the data base, or make no alert end."""
    found = parsed(metrics_text(LABELS, quiet, Gates()))
    drifted = {labels: value for (name, labels), value in found.items() if name == "drifted"}
    assert len(drifted) == 5 * 4 and set(drifted.values()) == {0}


def test_the_same_report_gives_the_same_bytes(report: DriftReport) -> None:
    assert metrics_text(LABELS, report, Gates()) == metrics_text(LABELS, report, Gates())


@given(st.text(), st.text())
def test_names_are_escaped_whatever_they_hold(name: str, feature: str) -> None:
    quiet = report_of(plain_spec(), _DAY)
    window = quiet.windows[0]
    named = replace(window, features=(replace(window.features[0], name=feature),))
    text = metrics_text({"name": name}, replace(quiet, windows=(named,), slow=()), Gates())
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert sample.labels["name"] == name.encode("utf-8", "backslashreplace").decode()
            if "feature" in sample.labels:
                assert sample.labels["feature"] == feature.encode("utf-8", "backslashreplace").decode()


_DAY = plain_days(plain_spec(), 1, rows=40)


def test_the_file_is_replaced_whole_and_others_may_read_it(report: DriftReport, tmp_path: Path) -> None:
    path = tmp_path / "late.prom"
    write_metrics(path, LABELS, report, Gates())
    first = path.read_text()
    write_metrics(path, LABELS, report, Gates())
    assert path.read_text() == first and path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["late.prom"]


def test_a_file_of_something_else_is_refused_by_name(report: DriftReport, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"reads no file late\.txt"):
        refuse_foreign(tmp_path / "late.txt", "flights")
    with pytest.raises(IoFault, match="does not exist"):
        refuse_foreign(tmp_path / "none" / "late.prom", "flights")
    path = tmp_path / "late.prom"
    path.write_text("# mlpack score: flights\n")
    with pytest.raises(BadInput, match="was not written by mlpack drift"):
        refuse_foreign(path, "flights")
    path.unlink()
    write_metrics(path, {"name": "others"}, report, Gates())
    with pytest.raises(BadInput, match=r"drift of 'others', and this is 'flights'"):
        refuse_foreign(path, "flights")


def _posted(body: Any) -> list[Json]:
    """What Alertmanager's API asks of the body of POST /api/v2/alerts: labels (texts, at least one), annotations (texts), times
    as RFC 3339, begun before ended, names of labels as Prometheus has them."""
    assert isinstance(body, list)
    for alert in body:
        assert set(alert) <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
        assert alert["labels"]
        for name, value in (*alert["labels"].items(), *alert["annotations"].items()):
            assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) and isinstance(value, str)
        if "startsAt" in alert:
            start, end = (datetime.strptime(alert[key], "%Y-%m-%dT%H:%M:%SZ") for key in ("startsAt", "endsAt"))
            assert start < end
    return body


def test_alerts_are_what_the_api_takes(report: DriftReport) -> None:
    body = _posted(json.loads(json.dumps(alerts(LABELS, report, Gates()), allow_nan=False)))
    drifted = [finding for finding in findings(report, Gates()) if finding.drifted]
    assert [alert["labels"]["feature"] for alert in body] == [finding.name for finding in drifted]
    assert [alert["annotations"]["kind"] for alert in body] == ["missing", "unseen", "distribution"]
    assert {alert["labels"]["alertname"] for alert in body} == {"MlpackDrift"}


def test_an_alert_keeps_its_labels_from_night_to_night_and_ends_after_the_last_one() -> None:
    """Else each night would open another alert."""
    days = plain_days(plain_spec(), 40, june)
    nights = [alerts(LABELS, report_of(plain_spec(), days[:count]), Gates()) for count in (38, 40)]
    for one, other in zip(*nights, strict=True):
        assert one["labels"] == other["labels"] and one["startsAt"] == other["startsAt"]
        assert one["endsAt"] < other["endsAt"]
    end = datetime.fromtimestamp((FIRST + 40) * DAY + 48 * 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert {alert["endsAt"] for alert in nights[1]} == {end}
    longer = alerts(LABELS, report_of(plain_spec(), days), Gates(), hold=72, link="https://example.org/drift.html")
    assert longer[0]["endsAt"] > end and longer[0]["generatorURL"] == "https://example.org/drift.html"


def test_nothing_drifted_is_an_empty_list(quiet: DriftReport) -> None:
    assert alerts(LABELS, quiet, Gates()) == []


def test_profiles_without_a_date_alert_without_times() -> None:
    profiles = [
        replace(each, window=replace(each.window, start=0, end=0)) for each in plain_days(plain_spec(), 3, _late)
    ]
    body = _posted(alerts(LABELS, report_of(plain_spec(), profiles), Gates()))
    assert body and not any("startsAt" in alert or "endsAt" in alert for alert in body)


def _late(table: dict[str, Any], day: int) -> None:
    june(table, 99)


@pytest.fixture(scope="module")
def dashboard() -> Json:
    document: Json = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return document


def test_the_how_to_lists_every_metric_and_no_other() -> None:
    page = (DASHBOARD.parents[1] / "how-to/watch-for-drift.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row) if name in HELP or "_" in name}
    assert listed == set(HELP)
    assert set(re.findall(r"mlpack_drift_(\w+)", page)) <= set(HELP) | {""}


def _queries(dashboard: Json) -> list[str]:
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return panels + [each["definition"] for each in dashboard["templating"]["list"] if each["type"] == "query"]


def test_the_dashboard_asks_only_for_metrics_and_labels_that_are_written(report: DriftReport, dashboard: Json) -> None:
    """`devices` only where rows come from devices: the help texts name it all the same."""
    labels: dict[str, set[str]] = {}
    with_devices = report_of(plain_spec(), plain_days(plain_spec(), 1, rows=40, devices=2))
    for made in (report, with_devices):
        for name, found in parsed(metrics_text(LABELS, made, Gates())):
            labels.setdefault(name, set()).update(dict(found))
    assert set(labels) == set(HELP), "a metric with a help text that is never written"
    used = set()
    for query in _queries(dashboard):
        names = re.findall(r"mlpack_drift_(\w+)", query)
        assert names, query
        used |= set(names)
        for name, chosen in re.findall(r"mlpack_drift_(\w+)\{([^}]*)\}", query):
            assert set(re.findall(r"(\w+)=", chosen)) <= labels[name], query
    assert used <= set(labels)


def test_the_dashboard_is_one_that_grafana_takes(dashboard: Json) -> None:
    """The classic model: unique ids, panels within 24 columns that do not overlap, queries with letters, variables that
    are defined, the data source a variable, no id of a data base."""
    assert (
        dashboard["id"] is None
        and isinstance(dashboard["schemaVersion"], int)
        and dashboard["title"]
        and dashboard["uid"]
    )
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["type"] in ("stat", "table", "state-timeline", "timeseries")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    defined = {each["name"] for each in dashboard["templating"]["list"]}
    for query in _queries(dashboard):
        assert set(re.findall(r"\$(\w+)", query)) <= defined, query
        assert query.count("{") == query.count("}") and query.count("(") == query.count(")")
