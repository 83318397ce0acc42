"""`mlpack fleet`: uploads in, a table, drift between devices, and what may not be shown."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars
import pytest

from mlpack_edge.cli.fleet_text import cohorts_text
from mlpack_edge.fleet.cohorts import Cohorts
from mlpack_edge.profiles.profile import merge
from mlpack_edge.profiles.spec_file import write_spec
from tests.cli.mlpack import mlpack, mlpack_json
from tests.fleet.made import FIRST, FORM, SPEC, make_spec, noised, put, report

#: Reports are received when the test runs: their days are counted back from today.
TODAY = int(time.time()) // 86_400


def dated(device: int | None, back: int, **options: object) -> bytes:
    """A report of the day so many days ago."""
    return report(device, TODAY - FIRST - back, **options)  # type: ignore[arg-type]


def settle(folder: Path) -> None:
    for path in folder.rglob("*.cbor"):
        os.utime(path, (time.time() - 3600,) * 2)


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """Uploads of forty devices in ten days, half of them a cohort whose x moved on the last two days."""
    write_spec(tmp_path / "late.spec.json", SPEC, False)
    for back in range(10, 0, -1):
        for device in range(40):
            moved = 0.8 if device % 2 and back < 3 else 0.0
            put(
                tmp_path / "up" / str(device),
                f"{back}.cbor",
                dated(device, back, shift=moved, cohort="canary" if device % 2 else "stable"),
            )
    settle(tmp_path / "up")
    return tmp_path


def test_from_uploads_to_an_alarm_of_one_cohort(fleet: Path) -> None:
    code, taken = mlpack_json("fleet", "ingest", "up", "--store", "store", "--spec", "late.spec.json", cwd=fleet)
    assert code == 0 and taken["command"] == "fleet ingest"
    assert (taken["reports"], taken["files"], taken["corrections"], taken["rejected"]) == (400, 400, 320, {})
    code, again = mlpack_json("fleet", "ingest", "up", "--store", "store", "--remove", cwd=fleet)
    assert (again["reports"], again["repeated"], again["removed"]) == (0, 400, 400)
    assert not list((fleet / "up").rglob("*.cbor"))
    code, found = mlpack_json(
        "fleet", "drift", "--store", "store", "--cohort", "canary", "--window", "1", "--window", "7", cwd=fleet
    )
    assert code == 3 and found["drifted"] == ["x"]
    assert (found["devices"], found["reports"], found["cohort"]) == (20, 200, "canary")
    assert {"blocks", "sufficient"} <= set(found["reference"]) and found["reference"]["sufficient"]
    feature = next(each for each in found["features"] if each["name"] == "x")
    assert {
        "name",
        "kind",
        "statistic",
        "effect",
        "p_adjusted",
        "missing_delta",
        "unseen_rate",
        "drifted",
        "reason",
    } <= set(feature)
    code, found = mlpack_json("fleet", "drift", "--store", "store", "--cohort", "stable", cwd=fleet)
    assert code == 0 and found["drifted"] == []
    code, found = mlpack_json("fleet", "status", "--store", "store", cwd=fleet)
    [spec] = found["specs"]
    assert code == 0 and (spec["reports"], spec["devices"], spec["rows"]) == (400, 40, 16_000)
    assert [(each["cohort"], each["devices"]) for each in spec["cohorts"]] == [("canary", 20), ("stable", 20)]
    assert len(spec["days"]) == 10


def test_people_read_a_table(fleet: Path) -> None:
    done = mlpack("fleet", "ingest", "up", "--store", "store", "--spec", "late.spec.json", cwd=fleet)
    assert done.returncode == 0 and "400 reports of 16,000 rows" in done.stdout
    done = mlpack("fleet", "status", "--store", "store", cwd=fleet)
    assert "cohort canary" in done.stdout and "quarantine  nothing" in done.stdout
    done = mlpack("fleet", "drift", "--store", "store", "--cohort", "canary", "--window", "1", cwd=fleet)
    assert done.returncode == 3 and "x" in done.stdout and "20 devices" in done.stdout
    assert "drifted" in done.stderr and "Traceback" not in done.stderr


def test_a_drift_of_a_quarter_of_the_fleet_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    """Between all devices it is small: the cohorts that were judged together are named, with what judges each."""
    write_spec(tmp_path / "s.json", SPEC, False)
    names = ["old"] * 12 + ["north"] * 16 + ["south"] * 15 + ["few"] * 3 + [""] * 11
    for back in (2, 1):
        reports = [
            dated(device, back, shift=0.5 if name == "old" else 0.0, cohort=name) for device, name in enumerate(names)
        ]
        put(tmp_path / "up", f"{back}.cbor", *reports)
    settle(tmp_path / "up")
    assert mlpack_json("fleet", "ingest", "up", "--store", "store", "--spec", "s.json", cwd=tmp_path)[0] == 0
    drift = ("fleet", "drift", "--store", "store", "--window", "1")
    done = mlpack(*drift, cwd=tmp_path)
    said = "note: 5 cohorts are judged together: north (16 devices), south (15 devices), old (12 devices), reports of none (11 devices), 1 too small to show; "
    assert done.returncode == 0 and said in done.stderr and "--cohort NAME" in done.stderr, done.stderr
    assert mlpack(*drift, "--cohort", "old", cwd=tmp_path).returncode == 3
    done = mlpack(*drift, "--cohort", "north", cwd=tmp_path)
    assert done.returncode == 0 and "judged together" not in done.stderr
    done = mlpack(*drift, "--least-devices", "15", cwd=tmp_path)
    assert "north (16 devices), south (15 devices), 3 too small to show;" in done.stderr
    since = time.strftime("%Y-%m-%d", time.gmtime((TODAY - 1) * 86_400))
    assert "5 cohorts are judged together" in mlpack(*drift, "--since", since, cwd=tmp_path).stderr


def test_one_cohort_alone_is_no_matter_for_a_note(tmp_path: Path) -> None:
    write_spec(tmp_path / "s.json", SPEC, False)
    put(tmp_path / "up", "1.cbor", *(dated(device, 1, cohort="all") for device in range(12)))
    settle(tmp_path / "up")
    assert mlpack_json("fleet", "ingest", "up", "--store", "store", "--spec", "s.json", cwd=tmp_path)[0] == 0
    assert "cohort" not in mlpack("fleet", "drift", "--store", "store", cwd=tmp_path).stderr


def test_at_most_five_cohorts_are_named_the_largest_first() -> None:
    found = Cohorts(tuple((f"c{place}" + "x" * 50, 30 - place) for place in range(7)), 2)
    text = cohorts_text(found)
    assert text.startswith("9 cohorts are judged together: c0xxx") and "c4xx" in text and "c5xx" not in text
    assert "2 more, 2 too small to show" in text and "x" * 40 not in text
    assert cohorts_text(Cohorts((("a", None),), 1)).startswith(
        "2 cohorts are judged together: a (no devices), 1 too small"
    )


def test_cohorts_of_few_devices_are_not_shown(tmp_path: Path) -> None:
    write_spec(tmp_path / "s.json", SPEC, False)
    put(tmp_path / "up", "a.cbor", *(dated(device, 1, cohort="few" if device < 4 else "many") for device in range(30)))
    settle(tmp_path / "up")
    assert mlpack_json("fleet", "ingest", "up", "--store", "store", "--spec", "s.json", cwd=tmp_path)[0] == 0
    found = mlpack_json("fleet", "status", "--store", "store", cwd=tmp_path)[1]["specs"][0]["cohorts"]
    assert [(each["shown"], each["devices"]) for each in found] == [(False, None), (True, 26)]
    assert "too few to show" in mlpack("fleet", "status", "--store", "store", cwd=tmp_path).stdout
    found = mlpack_json("fleet", "status", "--store", "store", "--least-devices", "4", cwd=tmp_path)[1]["specs"][0][
        "cohorts"
    ]
    assert [each["devices"] for each in found] == [4, 26]


def test_the_nightly_batch_goes_into_the_same_store_and_its_days_are_judged(tmp_path: Path) -> None:
    """Profiles that mlpack profile build made, of rows and not of devices."""
    random = np.random.default_rng(0)
    rows = polars.DataFrame({"x": random.normal(0, 1.2, 20_000), "colour": random.choice(["red", "green", "blue", "violet"], 20_000, p=[0.5, 0.3, 0.15, 0.05])})  # fmt: skip
    rows.write_parquet(tmp_path / "rows.parquet")
    write_spec(tmp_path / "late.spec.json", SPEC, False)
    for back in (2, 1):
        day = time.strftime("%Y-%m-%d", time.gmtime((TODAY - back) * 86_400))
        data = rows if back == 2 else rows.with_columns(x=polars.when(polars.col("x") > 0).then(polars.col("x")))
        data.write_parquet(tmp_path / "rows.parquet")
        done = mlpack(
            "profile", "build", "late.spec.json", "rows.parquet", "--day", day, "-o", f"{day}.profile", cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in tmp_path.glob("*.profile"))
    code, taken = mlpack_json(
        "fleet", "ingest", *names, "--store", "store", "--spec", "late.spec.json", "--settled", "1ms", cwd=tmp_path
    )
    assert code == 0 and taken["rows"] == 40_000, taken
    code, found = mlpack_json("fleet", "drift", "--store", "store", "--window", "1", cwd=tmp_path)
    assert code == 3 and found["drifted"] == ["x"] and found["devices"] is None
    assert "missing" in next(each for each in found["features"] if each["name"] == "x")["reason"]


def test_what_is_refused_is_said_by_name(tmp_path: Path) -> None:
    write_spec(tmp_path / "s.json", SPEC, False)
    put(tmp_path / "up", "a.cbor", dated(1, 1), dated(1, 1)[:-1] + b"\0", dated(2, 1, spec=make_spec("y")))
    settle(tmp_path / "up")
    done = mlpack("fleet", "ingest", "up", "--store", "store", "--spec", "s.json", cwd=tmp_path)
    assert done.returncode == 0 and "1 wrong spec" in done.stdout and "1 wrong checksum" in done.stdout
    lines = [
        json.loads(line)
        for path in (tmp_path / "store/quarantine").rglob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert {line["reason"] for line in lines} == {"wrong spec", "wrong checksum"}
    assert all(line["file"] == "up/a.cbor" and line["message"] and line["sha256"] for line in lines)


def test_parts_of_a_night_that_are_not_counted_end_with_a_no(tmp_path: Path) -> None:
    """The second half of a night has the id of the first: its rows lie in the quarantine until somebody looks."""
    write_spec(tmp_path / "s.json", SPEC, False)
    put(tmp_path / "up", "a.cbor", dated(None, 1))
    put(tmp_path / "up", "b.cbor", dated(None, 1, rows=50))
    settle(tmp_path / "up")
    words = ("fleet", "ingest", "up", "--store", "store", "--spec", "s.json")
    code, found = mlpack_json(*words, cwd=tmp_path)
    assert (code, found["reports"], found["quarantined"]) == (3, 1, 1)
    assert "differ from stored ones" in found["error"]["message"] and "profile merge" in found["error"]["hint"]
    assert mlpack_json(*words, cwd=tmp_path)[0] == 0, "said once, not by every run of cron"


def test_files_without_one_sound_report_end_with_a_no(tmp_path: Path) -> None:
    write_spec(tmp_path / "s.json", SPEC, False)
    put(tmp_path / "up", "a.cbor", dated(1, 1, spec=make_spec("y")), dated(2, 1, spec=make_spec("y")))
    settle(tmp_path / "up")
    code, found = mlpack_json("fleet", "ingest", "up", "--store", "store", "--spec", "s.json", cwd=tmp_path)
    assert code == 3 and "none of 2 reports was sound: wrong spec" in found["error"]["message"]
    assert found["rejected"] == {"wrong spec": 2}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ingest", "up", "--store", "store"], "knows no spec"),
        (["ingest", "nothing", "--store", "store", "--spec", "s.json"], "nothing could not be read"),
        (["ingest", "up", "--store", "up", "--spec", "s.json"], "no fleet store"),
        (["drift", "--store", "nothing"], "no fleet store"),
        (["status", "--store", "up"], "no fleet store"),
    ],
)
def test_what_cannot_be_done_ends_with_one_message(tmp_path: Path, words: list[str], said: str) -> None:
    write_spec(tmp_path / "s.json", SPEC, False)
    put(tmp_path / "up", "a.cbor", dated(1, 1))
    code, document = mlpack_json("fleet", *words, cwd=tmp_path)
    assert code == 1 and said in document["error"]["message"], document


def test_the_spec_is_chosen_by_file_or_model_where_there_are_several(tmp_path: Path) -> None:
    other = replace(make_spec("y"), model_sha256="cd" * 32)
    write_spec(tmp_path / "s.json", SPEC, False)
    write_spec(tmp_path / "t.json", other, False)
    put(
        tmp_path / "up",
        "a.cbor",
        *(dated(device, 1) for device in range(12)),
        *(dated(device, 1, spec=other) for device in range(15)),
    )
    settle(tmp_path / "up")
    assert (
        mlpack_json("fleet", "ingest", "up", "--store", "store", "--spec", "s.json", "--spec", "t.json", cwd=tmp_path)[
            0
        ]
        == 0
    )
    code, document = mlpack_json("fleet", "drift", "--store", "store", cwd=tmp_path)
    assert code == 1 and "2 specs" in document["error"]["message"]
    assert mlpack_json("fleet", "drift", "--store", "store", "--spec", "t.json", cwd=tmp_path)[1]["reports"] == 15
    assert (
        mlpack_json("fleet", "drift", "--store", "store", "--model-version", "abab", cwd=tmp_path)[1]["reports"] == 12
    )
    code, document = mlpack_json("fleet", "drift", "--store", "store", "--model-version", "ff", cwd=tmp_path)
    assert code == 1 and "holds no reports of a model ff" in document["error"]["message"]
    code, document = mlpack_json(
        "fleet", "drift", "--store", "store", "--spec", "t.json", "--cohort", "x", cwd=tmp_path
    )
    assert code == 1 and "no report that was asked for" in document["error"]["message"]


def test_the_fleet_has_a_page_metrics_and_alerts_as_drift_has(fleet: Path) -> None:
    mlpack_json("fleet", "ingest", "up", "--store", "store", "--spec", "late.spec.json", cwd=fleet)
    words = ("fleet", "drift", "--store", "store", "--cohort", "canary", "--window", "1", "--window", "7")
    files = ("--html", "d.html", "--prometheus", "d.prom", "--alertmanager", "d.json", "--link", "https://a.example/d")
    code, found = mlpack_json(*words, *files, cwd=fleet)
    assert code == 3 and found["drifted"] == ["x"] and found["name"] == "store canary"
    assert {name: file["path"] for name, file in found["written"].items()} == {"html": "d.html", "prometheus": "d.prom", "alertmanager": "d.json"}  # fmt: skip
    page, metrics = (fleet / "d.html").read_text(), (fleet / "d.prom").read_text()
    assert "store canary" in page and "x drifted" in page and "nan" not in page.lower().replace("finan", "")
    assert 'mlpack_drift_devices{name="store canary",window="1d"} 20' in metrics
    assert 'mlpack_drift_drifted{name="store canary",feature="x",kind="distribution"} 1' in metrics
    assert "NaN" not in metrics, "a rate that is not shown is no sample"
    [alert] = json.loads((fleet / "d.json").read_text())
    assert alert["labels"]["feature"] == "x" and alert["generatorURL"] == "https://a.example/d"
    assert "nan" not in alert["annotations"].values()
    code, again = mlpack_json(*words, "--html", "d.html", cwd=fleet)
    assert code == 1 and "d.html" in again["error"]["message"]
    assert mlpack_json(*words, "--html", "d.html", "--force", cwd=fleet)[0] == 3
    assert (fleet / "d.html").read_text() == page
    done = mlpack(*words, "--html", "store/d.html", cwd=fleet)
    assert done.returncode == 2 and "lies in the store" in done.stderr
    done = mlpack(*words, "--hold", "3", cwd=fleet)
    assert done.returncode == 2 and "--hold goes with --alertmanager" in done.stderr


def test_no_cell_of_the_page_speaks_of_few_devices(tmp_path: Path) -> None:
    """Of thirty devices, nine report missing values of x: their cell is nowhere, neither as a share nor as a bar."""
    write_spec(tmp_path / "s.json", SPEC, False)
    put(tmp_path / "up", "a.cbor", *(dated(device, 1, missing=0.5 if device < 9 else 0.0) for device in range(30)))
    settle(tmp_path / "up")
    mlpack_json("fleet", "ingest", "up", "--store", "store", "--spec", "s.json", cwd=tmp_path)
    found = mlpack_json("fleet", "drift", "--store", "store", "--html", "d.html", "--prometheus", "d.prom", cwd=tmp_path)[1]  # fmt: skip
    assert "not shown" in found["windows"][-1]["note"]
    page, metrics = (tmp_path / "d.html").read_text(), (tmp_path / "d.prom").read_text()
    assert "of fewer than 10 rows or 10 devices" in page and '<td class="n">-' in page
    assert 'missing_ratio{name="store",feature="x"' not in metrics
    assert 'missing_ratio{name="store",feature="colour"' in metrics


def _noised(device: int, epsilon: int = 1_000_000) -> bytes:
    return FORM.encode(noised(device, TODAY - FIRST - 1, epsilon, 200, missing=0.3))


def test_a_fleet_that_sends_noise_is_judged_and_never_beside_one_that_does_not(tmp_path: Path) -> None:
    """What is left out is counted in words and in JSON, with the option that judges it."""
    write_spec(tmp_path / "s.json", SPEC, False)
    put(tmp_path / "up", "a.cbor", *(_noised(device) for device in range(300)))
    settle(tmp_path / "up")
    assert mlpack_json("fleet", "ingest", "up", "--store", "store", "--spec", "s.json", cwd=tmp_path)[1]["reports"] == 300  # fmt: skip
    words = ("fleet", "drift", "--store", "store", "--window", "1")
    code, found = mlpack_json(*words, cwd=tmp_path)
    assert (code, found["drifted"], found["reports"], found["epsilon"], found["noisy"]) == (3, ["x"], 300, 1.0, 0)
    assert "counters carry noise (epsilon 1)" in mlpack(*words, cwd=tmp_path).stdout
    code, refused = mlpack_json(*words, "--html", "d.html", cwd=tmp_path)
    assert code == 1 and "carry noise" in refused["error"]["message"] and not (tmp_path / "d.html").exists()
    put(tmp_path / "up", "b.cbor", *(_noised(device, 500_000) for device in range(500, 507)))
    settle(tmp_path / "up")
    mlpack_json("fleet", "ingest", "up", "--store", "store", cwd=tmp_path)
    code, refused = mlpack_json(*words, cwd=tmp_path)
    assert code == 1 and refused["error"]["why"] == "the store holds 7 of epsilon 0.5, 300 of epsilon 1"
    code, refused = mlpack_json(*words, "--epsilon", "2", cwd=tmp_path)
    assert code == 1 and "no reports with noise of epsilon 2" in refused["error"]["message"]
    assert "nan" in mlpack_json(*words, "--epsilon", "nan", cwd=tmp_path)[1]["error"]["message"]
    put(tmp_path / "up", "c.cbor", *(dated(device, 1) for device in range(400, 420)))
    settle(tmp_path / "up")
    mlpack_json("fleet", "ingest", "up", "--store", "store", cwd=tmp_path)
    done = mlpack(*words, cwd=tmp_path)
    assert done.returncode == 0 and "20 devices" in done.stdout
    said = "307 reports with noise (differential privacy) are left out: --epsilon 0.5 or 1 judges those"
    assert said in " ".join(done.stdout.split())
    code, found = mlpack_json(*words, "--html", "d.html", cwd=tmp_path)
    assert said in found["windows"][-1]["note"] and said in (tmp_path / "d.html").read_text()
    assert (found["reports"], found["epsilon"], found["noisy"]) == (20, None, 307)
    code, found = mlpack_json(*words, "--epsilon", "1", cwd=tmp_path)
    assert (code, found["drifted"], found["reports"], found["noisy"]) == (3, ["x"], 300, 7)


def test_merged_reports_with_noise_are_never_judged(tmp_path: Path) -> None:
    write_spec(tmp_path / "s.json", SPEC, False)
    day = TODAY - FIRST - 1
    put(tmp_path / "up", "a.cbor", FORM.encode(merge([noised(device, day) for device in range(30)])))
    settle(tmp_path / "up")
    mlpack_json("fleet", "ingest", "up", "--store", "store", "--spec", "s.json", cwd=tmp_path)
    code, refused = mlpack_json("fleet", "drift", "--store", "store", cwd=tmp_path)
    assert code == 1 and "none names its device" in refused["error"]["message"]
