"""`mlpack drift` as people and scripts meet it."""

from __future__ import annotations

import html
import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlpack_edge.cli.drift_document import drift_document
from mlpack_edge.cli.drift_text import accuracy_text, drift_text, summary
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.spec import Numeric, Spec
from mlpack_edge.profiles.spec_file import digest, spec_text
from mlpack_edge.profiles.wire.report import ReportFormat
from tests.cli.drift_made import june, plain_days, plain_spec, report_of
from tests.cli.mlpack import mlpack, mlpack_json


def write(path: Path, spec: Spec, profiles: list[Profile]) -> Path:
    form = ReportFormat(spec, digest(spec))
    path.write_bytes(b"".join(form.encode(profile) for profile in profiles))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """late.spec.json, quiet.profile (30 days as ever), changed.profile (60 days, something happens on the 31st: 2026-01-31)."""
    folder = tmp_path_factory.mktemp("drift")
    spec = plain_spec()
    (folder / "late.spec.json").write_text(spec_text(spec))
    write(folder / "quiet.profile", spec, plain_days(spec, 30))
    write(folder / "changed.profile", spec, plain_days(spec, 60, june))
    return folder


def test_what_has_not_changed_passes(made: Path) -> None:
    code, said = mlpack_json("drift", "late.spec.json", "quiet.profile", cwd=made)
    assert code == 0 and said["drifted"] == [] and said["first"] is None
    assert said["rows"] == 28 * 300 and said["devices"] is None
    assert said["reference"]["blocks"] == 100 and said["reference"]["sufficient"] is True
    assert {feature["name"] for feature in said["features"]} == {"x", "amount", "kind", "grade", "label"}
    needed = ["name", "kind", "statistic", "effect", "p_adjusted", "missing_delta", "unseen_rate", "drifted", "reason"]
    assert all(set(feature) >= set(needed) for feature in said["features"])


def test_drift_is_exit_code_3_and_says_what_came_first_and_why(made: Path) -> None:
    code, said = mlpack_json("drift", "late.spec.json", "changed.profile", cwd=made)
    assert code == 3 and said["error"]["kind"] == "check-failed"
    assert said["drifted"] == ["amount", "kind", "x"], "missing, then unseen, then moved: of one day"
    assert (
        said["first"]["name"] == "amount"
        and said["first"]["cause"] == "missing"
        and said["first"]["since"] == "2026-01-31"
    )
    reasons = {feature["name"]: feature["reason"] for feature in said["features"] if feature["drifted"]}
    assert reasons["amount"].startswith("missing rose from 0 to 10 % of rows")
    assert "categories that the reference does not know" in reasons["kind"]
    assert re.search(r"mean by 0\.\d+ standard deviations up", reasons["x"])
    assert said["accuracy_proxy"]["labelled"] > 0


def test_people_read_a_table_and_the_order_of_events(made: Path) -> None:
    done = mlpack("drift", "late.spec.json", "changed.profile", cwd=made)
    assert done.returncode == 3
    text = done.stdout
    assert "3 of 5 features drifted: amount, kind, x" in text
    assert re.search(r"^first  amount, since 2026-01-31: missing rose from 0 to 10 % of rows$", text, re.MULTILINE)
    assert text.index("then   kind") < text.index("then   x, since")
    assert "a proxy, made without labels, never an alarm, and not to be relied on while inputs drift" in text
    calm = mlpack("drift", "late.spec.json", "quiet.profile", cwd=made).stdout
    assert re.search(r"a proxy, made without labels, never an alarm$", calm, re.MULTILINE)
    assert "100 blocks of one day" in text and "insufficient" not in text
    rows = {
        line.split()[0]: line for line in text.splitlines() if line.split() and line.split()[-1] in ("DRIFTED", "no")
    }
    assert set(rows) == {"x", "amount", "kind", "grade", "label"}
    assert rows["grade"].endswith("no") and rows["x"].endswith("DRIFTED"), (
        "effects stand there whether or not they alarm"
    )
    assert re.search(r"2026-01 +9,300 ", text) and re.search(r"2026-02 +8,400 +amount 28, kind 28, x 28", text)
    assert done.stderr.startswith("error: 3 of 5 features drifted")


def test_days_are_chosen(made: Path) -> None:
    code, said = mlpack_json("drift", "late.spec.json", "changed.profile", "--until", "2026-01-30", cwd=made)
    assert code == 0 and said["windows"][-1]["last"] == "2026-01-30"
    code, said = mlpack_json(
        "drift", "late.spec.json", "changed.profile", "--since", "2026-02-20", "--window", "7", cwd=made
    )
    assert code == 3 and {window["days"] for window in said["windows"]} == {7} and said["reports"] == 10
    done = mlpack("drift", "late.spec.json", "quiet.profile", "--since", "2027-01-01", cwd=made)
    assert done.returncode == 1 and "they hold 2026-01-01 to 2026-01-30" in done.stderr


def test_what_was_so_from_the_first_day_on_is_not_given_a_day_of_beginning(made: Path) -> None:
    words = ["drift", "late.spec.json", "changed.profile", "--since", "2026-02-10", "--window", "1"]
    _, said = mlpack_json(*words, cwd=made)
    assert said["first"]["from_start"] is True
    assert "first  amount, from the start on (2026-02-10): missing rose" in mlpack(*words, cwd=made).stdout
    assert mlpack_json("drift", "late.spec.json", "changed.profile", cwd=made)[1]["first"]["from_start"] is False


def test_a_feature_is_chosen_and_a_wrong_name_is_told_the_right_one(made: Path) -> None:
    code, said = mlpack_json("drift", "late.spec.json", "changed.profile", "--feature", "grade", cwd=made)
    assert code == 0 and [feature["name"] for feature in said["features"]] == ["grade"]
    done = mlpack("drift", "late.spec.json", "quiet.profile", "--feature", "amuont", cwd=made)
    assert done.returncode == 1 and "did you mean amount" in done.stderr


def test_gates_are_options(made: Path) -> None:
    words = ["drift", "late.spec.json", "changed.profile", "--floor", "missing=20%", "--floor", "distribution=.9"]
    _, said = mlpack_json(*words, "--floor", "unseen=0.5", "--significance", "1e-6", cwd=made)
    assert said["drifted"] in ([], ["x"]), "only the e-process, which has no floor, may still speak"
    assert said["gates"]["missing"] == 0.2 and said["gates"]["level"] == 1e-6
    for wrong in ("nothing=3%", "missing", "missing=two", "missing=120%"):
        assert mlpack("drift", "late.spec.json", "quiet.profile", "--floor", wrong, cwd=made).returncode == 2


def test_floors_of_zero_leave_chance_and_the_reference_as_the_only_limits(made: Path, tmp_path: Path) -> None:
    """The limit of a kind that the reference never shows is then 0: its effect is any number of limits."""
    floors = [word for kind in ("missing", "unseen", "distribution") for word in ("--floor", f"{kind}=0")]
    for profile, code in (("quiet.profile", (0, 3)), ("changed.profile", (3,))):
        page = tmp_path / f"{profile}.html"
        done = mlpack("drift", "late.spec.json", profile, *floors, "--html", page, cwd=made)
        assert done.returncode in code and "Traceback" not in done.stderr
        assert page.exists()


def test_a_report_that_came_twice_counts_once(made: Path) -> None:
    once = mlpack_json("drift", "late.spec.json", "quiet.profile", cwd=made)[1]
    done = mlpack("drift", "late.spec.json", "quiet.profile", "quiet.profile", "--json", cwd=made)
    assert json.loads(done.stdout) == once and "30 reports came twice and count once" in done.stderr


def test_the_same_input_gives_the_same_files(made: Path, tmp_path: Path) -> None:
    for place in ("one", "two"):
        folder = tmp_path / place
        folder.mkdir()
        words: list[str | Path] = [
            "--html",
            folder / "d.html",
            "--prometheus",
            folder / "d.prom",
            "--alertmanager",
            folder / "d.json",
        ]
        code, said = mlpack_json("drift", "late.spec.json", "changed.profile", *words, cwd=made)
        assert code == 3, "the files are written when something drifted"
        assert {name: file["bytes"] for name, file in said["written"].items()} == {
            "html": (folder / "d.html").stat().st_size,
            "prometheus": (folder / "d.prom").stat().st_size,
            "alertmanager": (folder / "d.json").stat().st_size,
        }
    for name in ("d.html", "d.prom", "d.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    families = list(text_string_to_metric_families((tmp_path / "one/d.prom").read_text()))
    assert {sample.labels["name"] for family in families for sample in family.samples} == {"late"}
    assert len(json.loads((tmp_path / "one/d.json").read_text())) == 3


def test_an_existing_page_is_kept_and_metrics_are_replaced(made: Path, tmp_path: Path) -> None:
    page, metrics = tmp_path / "d.html", tmp_path / "d.prom"
    page.write_text("mine")
    done = mlpack("drift", "late.spec.json", "quiet.profile", "--html", page, cwd=made)
    assert done.returncode == 1 and "--force" in done.stderr and page.read_text() == "mine"
    assert mlpack("drift", "late.spec.json", "quiet.profile", "--html", page, "--force", cwd=made).returncode == 0
    for _ in range(2):
        assert mlpack("drift", "late.spec.json", "quiet.profile", "--prometheus", metrics, cwd=made).returncode == 0


def test_few_blocks_are_called_insufficient(tmp_path: Path) -> None:
    spec = plain_spec(12)
    (tmp_path / "s.json").write_text(spec_text(spec))
    write(tmp_path / "p", spec, plain_days(spec, 8))
    code, said = mlpack_json("drift", "s.json", "p", cwd=tmp_path)
    assert code == 0 and said["reference"] == {**said["reference"], "blocks": 12, "sufficient": False}
    text = mlpack("drift", "s.json", "p", cwd=tmp_path).stdout
    assert "insufficient reference" in text and "3 times the floors" in text


def test_devices_are_the_unit_where_rows_come_from_devices(tmp_path: Path) -> None:
    spec = plain_spec(40)
    (tmp_path / "s.json").write_text(spec_text(spec))
    write(tmp_path / "p", spec, plain_days(spec, 2, rows=30, devices=12))
    _, said = mlpack_json("drift", "s.json", "p", cwd=tmp_path)
    assert said["devices"] == 12 and said["windows"][-1]["unit"] == "devices"
    assert "12 devices" in mlpack("drift", "s.json", "p", cwd=tmp_path).stdout


def test_too_few_rows_are_not_called_calm(made: Path, tmp_path: Path) -> None:
    """Nine rows say nothing of how values lie: neither the text, nor the page, nor the metrics say that nothing drifted."""
    write(tmp_path / "nine.profile", plain_spec(), plain_days(plain_spec(), 1, rows=9))
    page, metrics = tmp_path / "nine.html", tmp_path / "nine.prom"
    words: list[str | Path] = ["drift", made / "late.spec.json", tmp_path / "nine.profile"]
    done = mlpack(*words, "--html", page, "--prometheus", metrics)
    assert (
        "nothing could be judged: too few values or devices, of 5 features" in done.stdout
        and "no drift" not in done.stdout
    )
    assert done.stdout.count("not judged") == 5
    assert "Nothing could be judged</bdi></h1>" in page.read_text() and 'flag good"' not in page.read_text()
    assert 'mlpack_drift_features{name="late"} 0' in metrics.read_text()
    _, said = mlpack_json(*words)
    assert len(said["not_judged"]) == 5
    assert {feature["reason"] for feature in said["features"]} == {
        "too few values or devices to judge its distribution"
    }


def test_answers_that_no_model_gave_are_not_judged_and_have_no_rates(made: Path, tmp_path: Path) -> None:
    """A profile of rows alone: shares of nothing are no 0 %, and the inputs are judged all the same."""
    spec = plain_spec()
    days = [outputless(spec, day) for day in plain_days(spec, 10)]
    write(tmp_path / "p", spec, days)
    words: list[str | Path] = ["drift", made / "late.spec.json", tmp_path / "p"]
    done = mlpack(*words, "--html", tmp_path / "p.html", "--prometheus", tmp_path / "p.prom")
    assert "no drift in 4 of 5 features; 1 could not be judged" in done.stdout
    assert re.search(r"^label +- +- +- +- +- .* not judged$", done.stdout, re.MULTILINE)
    page = html.unescape((tmp_path / "p.html").read_text())
    assert "Nothing drifted in the 4 of 5 features that could be judged" in page and "→ 0 %" not in page
    assert "Confidence of the answers" not in page and "Too few values or devices to judge: <bdi>label</bdi>." in page
    assert 'missing_ratio{name="late",feature="label"' not in (tmp_path / "p.prom").read_text()
    _, said = mlpack_json(*words)
    [label] = [feature for feature in said["features"] if feature["name"] == "label"]
    assert label["indices"] == {}
    assert (label["missing_delta"], label["unseen_rate"], said["not_judged"]) == (None, None, ["label"])


def outputless(spec: Spec, profile: Profile) -> Profile:
    """As counted without the model."""
    counts = list(profile.counts)
    for group in groups(spec):
        if group.total == "predictions":
            counts[group.start : group.stop] = [0] * group.size
        if group.name == "outcome":
            counts[group.start : group.stop] = [0, profile.rows, 0, 0]
    sums = [0 if role == "output" else total for role, total in zip(numeric_roles(spec), profile.sums, strict=True)]
    return replace(profile, predictions=0, counts=tuple(counts), sums=tuple(sums))


def numeric_roles(spec: Spec) -> list[str]:
    return [feature.source.role for feature in spec.features if isinstance(feature, Numeric)]


def test_devices_stand_beside_the_rows_that_they_sent(tmp_path: Path) -> None:
    """The rows of all windows are not those of the latest, of which the devices are told."""
    spec = plain_spec(40)
    (tmp_path / "s.json").write_text(spec_text(spec))
    write(tmp_path / "p", spec, plain_days(spec, 3, rows=30, devices=12))
    lines = mlpack("drift", "s.json", "p", cwd=tmp_path).stdout.splitlines()
    assert "current    1,080 rows, 2026-01-01 to 2026-01-03" in lines
    assert "devices    2026-01-03: 360 rows of 12 devices, judged between them" in lines


def test_profiles_without_a_date_are_one_window(tmp_path: Path) -> None:
    spec = plain_spec()
    (tmp_path / "s.json").write_text(spec_text(spec))
    timeless = [replace(each, window=Window(0, 0, 0)) for each in plain_days(spec, 1, rows=3000)]
    write(tmp_path / "p", spec, timeless)
    code, said = mlpack_json("drift", "s.json", "p", "--html", "d.html", cwd=tmp_path)
    assert code == 0 and [window["days"] for window in said["windows"]] == [None]
    done = mlpack("drift", "s.json", "p", "--since", "2026-01-01", cwd=tmp_path)
    assert done.returncode == 1 and "without a date" in done.stderr


def test_what_is_no_profile_of_this_spec_is_refused_by_name(made: Path, tmp_path: Path) -> None:
    other, elsewhere = plain_spec(10, 50, 9), plain_spec(40)
    write(tmp_path / "other.profile", other, plain_days(other, 1, rows=40))
    good = (made / "quiet.profile").read_bytes()
    flipped = bytearray(good)
    flipped[300] ^= 1
    (tmp_path / "flipped.profile").write_bytes(bytes(flipped))
    (tmp_path / "short.profile").write_bytes(good[:-7])
    (tmp_path / "empty.profile").write_bytes(b"")
    foreign = replace(elsewhere, model_sha256="cd" * 32)
    (tmp_path / "foreign.json").write_text(spec_text(foreign))
    spec = made / "late.spec.json"
    for given, name, words in (
        (spec, "other.profile", "wrong spec"),
        (spec, "flipped.profile", "wrong checksum|not canonical|malformed|truncated"),
        (spec, "short.profile", "truncated"),
        (spec, "empty.profile", "holds no report"),
        (spec, "none.profile", "could not be read"),
        (tmp_path / "foreign.json", "other.profile", "wrong spec"),
        (made / "quiet.profile", "other.profile", "is no profile spec"),
    ):
        done = mlpack("drift", given, tmp_path / name)
        assert done.returncode == 1 and re.search(words, done.stderr), done.stderr
        assert name in done.stderr or "is no profile spec" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--since", "yesterday"], ["--window", "0"], ["--significance", "0"], ["--hold", "12"], ["--link", "https://x.org"],
        ["--alertmanager", "a.json", "--link", "javascript:alert(1)"], ["--html", "late.spec.json", "--force"],
        ["--html", "a", "--alertmanager", "a"], ["--significance", "nan"], ["--alertmanager", "a.json", "--hold", "nan"],
        ["--hold", "0"], ["--since", "2026-01-09", "--until", "2026-01-08"],
    ],
)  # fmt: skip
def test_wrong_usage_is_exit_code_2_and_leaves_nothing(made: Path, words: list[str]) -> None:
    before = sorted(path.name for path in made.iterdir())
    done = mlpack("drift", "late.spec.json", "quiet.profile", *words, cwd=made)
    assert done.returncode == 2, done.stderr
    assert sorted(path.name for path in made.iterdir()) == before


def test_a_name_of_a_spec_that_is_no_text_still_names_metrics_and_alerts(made: Path, tmp_path: Path) -> None:
    """A file's name is bytes: what is no text cannot be written as UTF-8, and a line feed would break the metrics' first line."""
    spec = tmp_path / "late\udcff\n.spec.json"
    spec.write_bytes((made / "late.spec.json").read_bytes())
    words: list[str | Path] = [
        "--alertmanager",
        tmp_path / "a.json",
        "--prometheus",
        tmp_path / "a.prom",
        "--html",
        tmp_path / "a.html",
    ]
    done = mlpack("drift", spec, made / "changed.profile", *words)
    assert done.returncode == 3, done.stderr
    assert {alert["labels"]["name"] for alert in json.loads((tmp_path / "a.json").read_text())} == {"late??"}
    assert (tmp_path / "a.prom").read_text().startswith("# mlpack drift: late??\n")


def test_a_clock_that_runs_ahead_does_not_hide_what_drifts_today(made: Path, tmp_path: Path) -> None:
    """The latest window would be that of the wrong clock, in which nothing is unusual."""
    day = 86_400
    spec, ahead = plain_spec(), int(time.time()) // day + 400
    to_come = replace(plain_days(spec, 1)[0], window=Window(ahead, ahead * day, (ahead + 1) * day))
    write(tmp_path / "ahead.profile", spec, [to_come])
    alone = mlpack_json("drift", "late.spec.json", "changed.profile", cwd=made)
    words = ("drift", "late.spec.json", "changed.profile", tmp_path / "ahead.profile")
    done = mlpack(*words, "--json", cwd=made)
    assert (done.returncode, json.loads(done.stdout)) == alone
    assert "1 report of days to come" in done.stderr
    asked = mlpack_json(*words, "--until", "9000-01-01", cwd=made)[1]
    assert asked["reports"] == alone[1]["reports"] + 1
    done = mlpack("drift", "late.spec.json", tmp_path / "ahead.profile", cwd=made)
    assert done.returncode == 1 and "none of 1 report lies within the days asked for" in done.stderr


def test_nothing_judged_is_no_answer(made: Path, tmp_path: Path) -> None:
    """A night of three rows, and one without any: cron must not take silence for calm."""
    spec = plain_spec()
    for rows in (3, 0):
        write(tmp_path / "few.profile", spec, plain_days(spec, 1, rows=rows))
        code, found = mlpack_json("drift", "late.spec.json", tmp_path / "few.profile", cwd=made)
        assert code == 1 and found["error"]["message"].startswith("nothing could be judged"), found["error"]
        assert found["features"] and found["drifted"] == [], "what was seen is there all the same"


def test_answers_that_drift_alone_make_the_accuracy_no_better(tmp_path: Path) -> None:
    found = report_of(plain_spec(), plain_days(plain_spec(), 5))
    assert found.accuracy is not None
    assert accuracy_text(found.accuracy, ["output"]).endswith("not to be relied on while predictions drift")
    assert accuracy_text(found.accuracy, ["output", "input"]).endswith("not to be relied on while inputs drift")


def test_a_category_of_five_thousand_letters_does_not_fill_the_text() -> None:
    """JSON has the whole of it."""
    long = "W" * 5000

    def recoded(table: dict[str, Any], day: int) -> None:
        table["kind"][table["kind"] == "a"] = "b"

    spec = plain_spec()
    report = report_of(spec, plain_days(spec, 3, recoded))
    renamed = replace(
        report,
        windows=tuple(
            replace(
                window,
                features=tuple(
                    replace(each, name=long if each.name == "kind" else each.name, mover=each.mover and (long, *each.mover[1:]))
                    for each in window.features
                ),
            )
            for window in report.windows
        ),
        slow=(replace(report.slow[0], name=long, level=long, evidence=1e9, largest=1e9),) if report.slow else (),
    )  # fmt: skip
    text = drift_text(renamed, Gates())
    assert "other categories, most at '" + "W" * 39 + "…'" in text
    assert max(map(len, text.splitlines())) < 260 and max(map(len, summary(renamed, Gates()).splitlines())) < 200
    document = drift_document(renamed, Gates())
    assert document["drifted"] == [long] and long in document["first"]["reason"]


def test_a_slow_shift_of_a_long_category_is_cut_too() -> None:
    long = "V" * 5000
    spec = plain_spec()
    report = report_of(spec, plain_days(spec, 20))
    slow = next(each for each in report.slow if each.name == "kind")
    shifted = replace(slow, level=long, evidence=1e12, largest=1e12)
    report = replace(report, slow=tuple(shifted if each is slow else each for each in report.slow))
    text = drift_text(report, Gates())
    assert "share of " + "V" * 39 + "… " in text and max(map(len, text.splitlines())) < 260


def test_rows_without_an_answer_are_said(made: Path, tmp_path: Path) -> None:
    """A model that refuses a third of the newest day: no figure holds their answers, so a word must."""
    spec = plain_spec()
    days = plain_days(spec, 30)
    last = next(group for group in groups(spec) if group.name == "outcome")
    for place, refused in ((28, 90), (29, 100)):
        counts = list(days[place].counts)
        counts[last.start : last.stop] = [300, 0, refused, 5]
        days[place] = replace(days[place], rows=300 + refused + 5, counts=tuple(counts))
    # Each input has as many rows more that are missing, so that the counters sum.
    grown = [_with_missing_inputs(spec, day) for day in days]
    write(tmp_path / "lost.profile", spec, grown)
    done = mlpack("drift", "late.spec.json", tmp_path / "lost.profile", "--json", cwd=made)
    assert "the model refused 100 and failed on 5 of 405 rows of 2026-01-30" in done.stderr
    assert json.loads(done.stdout)["outcome"] == {"ok": 300, "not run": 0, "refused": 100, "failed": 5}
    quiet = mlpack("drift", "late.spec.json", "quiet.profile", cwd=made)
    assert "the model" not in quiet.stderr


def _with_missing_inputs(spec: Spec, profile: Profile) -> Profile:
    counts = list(profile.counts)
    for group in groups(spec):
        if group.feature is not None and group.feature.source.role == "input":
            place = group.stop - (2 if isinstance(group.feature, Numeric) else 1)
            counts[place] += profile.rows - sum(counts[group.start : group.stop])
    return replace(profile, counts=tuple(counts))


def test_two_counts_of_the_same_rows_are_asked_about(made: Path, tmp_path: Path) -> None:
    """With and without the model they differ, and are added up as parts of a night are."""
    spec = plain_spec()
    days = plain_days(spec, 3)
    place = next(group for group in groups(spec) if group.name == "latency")
    timed = [replace(day, timed=day.timed + 1, counts=_one_more(day, place.start)) for day in days]
    write(tmp_path / "a.profile", spec, days)
    write(tmp_path / "b.profile", spec, timed)
    done = mlpack("drift", "late.spec.json", tmp_path / "a.profile", tmp_path / "b.profile", cwd=made)
    assert "3 windows have several reports of equally many rows" in done.stderr
    assert "several reports" not in mlpack("drift", "late.spec.json", tmp_path / "a.profile", cwd=made).stderr


def _one_more(profile: Profile, place: int) -> tuple[int, ...]:
    counts = list(profile.counts)
    counts[place] += 1
    return tuple(counts)
