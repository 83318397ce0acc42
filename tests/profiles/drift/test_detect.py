"""What alarms, what does not, and what is said of it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.drift.detect import adjusted, drift
from mlpack_edge.profiles.drift.document import report_to_json
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, Check, DriftReport, FeatureDrift
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.profile import Profile
from mlpack_edge.profiles.spec import Spec
from mlpack_edge.profiles.spec_file import digest
from tests.profiles.drift.made import plain, profile_of, spec_of

BLOCKS, ROWS = 110, 300
TODAY = 20_000


@pytest.fixture(scope="module")
def spec() -> Spec:
    rng = np.random.default_rng(0)
    table = plain(rng, BLOCKS * ROWS)
    return spec_of(table, np.repeat(np.arange(BLOCKS), ROWS), outputs={"score": table["x"] * 2})


def _judged(
    spec: Spec, *profiles: Profile, lengths: tuple[int, ...] = (1, 7, 28)
) -> tuple[DriftReport, dict[str, str]]:
    report = drift(spec, digest(spec), profiles, lengths)
    record = report_to_json(report, Gates())
    json.dumps(record, allow_nan=False)
    return report, {feature["name"]: feature["reason"] for feature in record["features"] if feature["drifted"]}


def _profile(spec: Spec, table: dict[str, np.ndarray], day: int | None = TODAY) -> Profile:
    return profile_of(spec, table, day, outputs={"score": np.nan_to_num(table["x"]) * 2} if "x" in table else None)


def test_stationary_windows_do_not_alarm(spec: Spec) -> None:
    rng = np.random.default_rng(1)
    alarms = [_judged(spec, _profile(spec, plain(rng, rows)))[1] for rows in (200, 1_000, 5_000) for _ in range(20)]
    assert not any(alarms)


def test_a_shift_is_named_with_its_size_and_the_prediction_drifts_with_it(spec: Spec) -> None:
    table = plain(np.random.default_rng(1), 2_000)
    table["x"] = table["x"] + 0.3
    report, why = _judged(spec, _profile(spec, table))
    assert set(why) == {"x", "score"}
    assert why["x"].startswith("distribution moved by 0.1") and "the mean by 0.28 standard deviations up" in why["x"]
    assert {feature.name: feature.role for feature in report.windows[0].features}["score"] == "output"


def test_missing_comes_first_and_is_given_in_points(spec: Spec) -> None:
    rng = np.random.default_rng(1)
    table = plain(rng, 2_000)
    table["grade"][rng.random(2_000) < 0.05] = np.nan
    table["kind"] = np.where(rng.random(2_000) < 0.031, None, table["kind"])
    _, why = _judged(spec, _profile(spec, table))
    assert why["grade"].startswith("missing rose from 0 to ")
    assert why["kind"].startswith("missing rose from 0 to ") and why["kind"].endswith(" % of rows")


def test_a_new_category_and_another_coding_are_told_apart(spec: Spec) -> None:
    rng = np.random.default_rng(1)
    table = plain(rng, 1_000)
    table["kind"] = np.where(np.arange(1_000) % 100 == 0, "new", table["kind"])
    assert _judged(spec, _profile(spec, table))[1] == {
        "kind": "1.0 % of rows hold categories that the reference does not know"
    }
    table["kind"] = np.array([letter.upper() for letter in plain(rng, 1_000)["kind"]], object)
    assert _judged(spec, _profile(spec, table))[1] == {
        "kind": "100 % of rows hold categories that the reference does not know: recoded?"
    }


def test_numbers_that_became_texts_are_said_to_be_none(spec: Spec) -> None:
    table = plain(np.random.default_rng(1), 1_000)
    table["grade"] = np.array([chr(65 + int(value)) for value in table["grade"]], object)
    _, why = _judged(spec, _profile(spec, table))
    assert why == {"grade": "100 % of rows hold no number where the reference has numbers: another type or coding?"}


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (2.54, "2.54 times the reference's"),
        (60.0, "60 times the reference's"),
        (1000.0, "1,000 times the reference's"),
        (1 / 1.609344, "1/1.609344 of the reference's"),
        (-1.0, "the reference's with the other sign"),
    ],
)
def test_another_unit_is_recognised(spec: Spec, factor: float, said: str) -> None:
    table = plain(np.random.default_rng(1), 1_000)
    table["amount"] = table["amount"] * factor
    _, why = _judged(spec, _profile(spec, table))
    assert set(why) == {"amount"} and said in why["amount"] and why["amount"].endswith(": another unit?")
    assert why["amount"].startswith("values look like ")


def test_a_category_that_grew_is_named_with_its_shares(spec: Spec) -> None:
    rng = np.random.default_rng(1)
    table = plain(rng, 3_000)
    table["kind"] = np.where((table["kind"] == "a") & (rng.random(3_000) < 0.5), "d", table["kind"])
    _, why = _judged(spec, _profile(spec, table))
    assert "% of rows moved to other categories, most at" in why["kind"]


def test_what_the_references_own_blocks_do_is_no_alarm() -> None:
    """Days that differ by .5 sd among themselves: a day of .4 is one of them, a day of 3 is not."""
    rng = np.random.default_rng(2)
    day = np.repeat(np.arange(BLOCKS), ROWS)
    levels = rng.normal(size=BLOCKS) * 0.5
    spec = spec_of({"x": rng.normal(size=len(day)) + levels[day]}, day)
    near = drift(spec, digest(spec), [profile_of(spec, {"x": rng.normal(size=ROWS) + 0.4}, TODAY)])
    far = drift(spec, digest(spec), [profile_of(spec, {"x": rng.normal(size=ROWS) + 3}, TODAY)])
    assert near.sufficient and Gates().judge(near).passed and not Gates().judge(far).passed
    # It is the blocks that say so: without what they taught, the same day alarms.
    bare = replace(spec, reference=replace(spec.reference, learned={}))
    again = drift(bare, digest(bare), [profile_of(bare, {"x": rng.normal(size=ROWS) + 0.4}, TODAY)])
    assert not Gates().judge(again).passed


def test_a_short_reference_is_said_to_be_insufficient_and_alarms_only_plainly() -> None:
    rng = np.random.default_rng(3)
    table = plain(rng, 4_000)
    spec = spec_of(table, np.repeat(np.arange(4), 1_000))
    small, plainly = plain(rng, 2_000), plain(rng, 2_000)
    small["x"] = small["x"] + 0.2
    plainly["x"] = plainly["x"] + 0.6
    for moved, drifted in ((small, []), (plainly, ["x"])):
        record = report_to_json(drift(spec, digest(spec), [profile_of(spec, moved)]), Gates())
        assert record["reference"]["sufficient"] is False and record["reference"]["blocks"] == 4
        assert record["drifted"] == drifted


def test_the_document_has_the_keys_of_the_command(spec: Spec) -> None:
    rng = np.random.default_rng(1)
    report, _ = _judged(spec, *[_profile(spec, plain(rng, 300), TODAY + at) for at in range(30)])
    record = report_to_json(report, Gates())
    assert {"features", "drifted", "rows", "devices", "reference", "windows", "slow", "accuracy_proxy"} <= set(record)
    wanted = {"name", "kind", "statistic", "effect", "p_adjusted", "missing_delta", "unseen_rate", "drifted", "reason"}
    assert all(wanted <= set(feature) for feature in record["features"])
    assert record["devices"] is None and record["rows"] == 28 * 300
    assert [window["days"] for window in record["windows"]].count(1) == 30
    assert record["windows"][-1]["last"] == "2024-11-02"


def test_effects_and_indices_are_given_of_what_does_not_alarm(spec: Spec) -> None:
    report, why = _judged(spec, _profile(spec, plain(np.random.default_rng(1), 1_000)))
    feature = next(one for one in report.windows[0].features if one.name == "x")
    assert not why and feature.indices["psi"] > 0 and feature.checks[-1].kind == "distribution"


def test_too_few_rows_are_said_to_be_too_few_and_lost_columns_are_still_seen(spec: Spec) -> None:
    table = plain(np.random.default_rng(1), 20)
    record = report_to_json(_judged(spec, _profile(spec, table))[0], Gates())
    assert record["drifted"] == []
    kinds = [check["kind"] for check in record["features"][0]["checks"]]
    assert kinds == ["missing", "unseen"]
    gone = {**plain(np.random.default_rng(1), 500), "amount": np.full(500, np.nan)}
    assert _judged(spec, _profile(spec, gone))[1] == {"amount": "missing rose from 0 to 100 % of rows"}


def test_an_empty_profile_is_no_alarm(spec: Spec) -> None:
    empty = {name: values[:0] for name, values in plain(np.random.default_rng(1), 10).items()}
    assert _judged(spec, _profile(spec, empty))[1] == {}


def test_profiles_of_another_spec_are_refused(spec: Spec) -> None:
    other = replace(_profile(spec, plain(np.random.default_rng(1), 100)), spec=bytes(16))
    with pytest.raises(BadInput, match="counted by the spec 0000"):
        drift(spec, digest(spec), [other])


def test_a_window_of_a_few_of_its_days_is_judged_as_so_many_and_says_so() -> None:
    """Weekends differ. The Saturdays of four weeks are no four weeks."""
    rng = np.random.default_rng(6)
    day = np.repeat(np.arange(140), 100)

    def table(days: np.ndarray) -> dict[str, np.ndarray]:
        return {"x": rng.normal(size=len(days)) + np.where(days % 7 >= 5, 0.8, 0.0)}

    spec = spec_of(table(day), day)
    saturdays = [profile_of(spec, table(np.full(100, 5)), TODAY + 7 * week) for week in range(5)]
    report = drift(spec, digest(spec), saturdays)
    assert Gates().judge(report).passed
    notes = {window.days: window.note for window in report.latest}
    assert notes[7] == "most rows are of about 1 of 7 days, and the limits are wider for it"
    assert notes[28] == "most rows are of about 4 of 28 days, and the limits are wider for it" and notes[1] == ""
    whole = [profile_of(spec, table(np.full(100, at % 7)), TODAY + at) for at in range(28)]
    assert {window.note for window in drift(spec, digest(spec), whole).latest} == {""}


def test_features_with_seasons_do_not_open_the_gate_for_the_others() -> None:
    """Significant every day and never beyond what the reference's own windows do: no discoveries, which make the rest of the
    discoveries easier."""

    def feature(name: str, p: float, effect: float, learned: float) -> FeatureDrift:
        check = Check(DISTRIBUTION, "ks", effect, 0.0, effect, learned, p)
        return FeatureDrift(name, "input", "numeric", 1_000, (check,), (0.0, 0.0), (0.0, 0.0))

    seasons = [feature(f"season {place}", 1e-12, 0.1, 0.2) for place in range(5)]
    quiet = [feature(f"quiet {place}", 0.5, 0.01, 0.02) for place in range(4)]
    found = {
        each.name: each.checks[0].p_adjusted for each in adjusted([*seasons, *quiet, feature("x", 0.0034, 0.05, 0.02)])
    }
    assert found["x"] == pytest.approx(0.034), "ten times its p, as if it were alone"
    assert found["season 0"] < 1e-10, "how unlikely it is by chance is still said"
