"""References become specs and rows become profiles: the same by every way there is."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from mlpack_edge.batch.models import model_file
from mlpack_edge.batch.profiling.build import build
from mlpack_edge.batch.profiling.collector import ProfileCollector
from mlpack_edge.batch.profiling.merging import merge_profile, profile_from_state
from mlpack_edge.batch.profiling.reference import make_spec
from mlpack_edge.batch.scoring.scorer import Scorer
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import signature_from_text
from mlpack_edge.profiles.counting import Tally
from mlpack_edge.profiles.document import profile_to_json
from mlpack_edge.profiles.profile import MANY, Profile, Window, faults, merge
from mlpack_edge.profiles.spec import Categorical, Numeric, Presence, Spec
from mlpack_edge.profiles.spec_file import digest, spec_from_bytes, spec_text
from mlpack_edge.profiles.wire.report import ReportFormat
from tests.batch.profiling.models import classifier, flights, net, write

Json = dict[str, Any]


def _silent(text: str) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("profiling")
    classifier(made / "late.onnx")
    write(flights(8000), made / "flights.parquet")
    return made


def _spec(
    folder: Path, scratch: Path, model: str = "late.onnx", data: str = "flights.parquet", **options: str
) -> tuple[Spec, list[str]]:
    payload = {"by": "", "block": "", "device": "", "label": "", **options}
    scratch.mkdir(exist_ok=True)
    made = make_spec(
        {"model": str(folder / model), "data": [str(folder / data)], "staging": str(scratch), **payload}, _silent
    )
    return spec_from_bytes(made["spec"].encode()), made["notes"]


def _profiles(spec: Spec, data: Path, scratch: Path, **options: str) -> list[Profile]:
    payload = {"model": "", "by": "", "day": "2013-02-03", "device": "", "cohort": "", "salt": "", **options}
    scratch.mkdir(exist_ok=True)
    made = build({"spec": spec_text(spec), "data": [str(data)], "staging": str(scratch), **payload}, _silent)
    form = ReportFormat(spec, digest(spec))
    return [form.decode(base64.b64decode(report)) for report in made["reports"]]


@pytest.fixture(scope="module")
def spec(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return _spec(folder, tmp_path_factory.mktemp("spec"), by="day", device="tail", label="late")[0]


def test_a_spec_has_every_input_and_output(spec: Spec) -> None:
    kinds = {feature.source.name: type(feature) for feature in spec.features}
    assert kinds == {
        "delay": Numeric, "distance": Numeric, "carrier": Categorical, "label": Categorical, "probabilities[late]": Numeric,
    }  # fmt: skip
    assert spec.confidence
    assert spec.features[0].source.unit == "min" and spec.features[0].source.tensor == "numbers"
    assert spec.features[2].categories == ("AA", "B6", "UA")  # type: ignore[union-attr]


def test_the_reference_is_counted_by_day_in_order(spec: Spec) -> None:
    blocks = spec.reference.blocks
    assert (blocks.unit, blocks.by, blocks.first, blocks.last) == ("day", "day", "2013-01-01", "2013-01-10")
    assert sum(blocks.rows) == spec.reference.rows == spec.reference.predictions == 8000
    learned = spec.reference.learned["delay"]
    assert set(learned.thresholds) == {1} and learned.thresholds[1].windows == 10
    assert len(learned.effects) == 10


def test_the_same_rows_give_the_same_spec_wherever_they_lie(folder: Path, tmp_path: Path, spec: Spec) -> None:
    again, _ = _spec(folder, tmp_path / "one", by="day", device="tail", label="late")
    assert spec_text(again) == spec_text(spec)


def test_how_sure_and_how_right_is_learned_from_labels(folder: Path, spec: Spec) -> None:
    labelled = sum(pair[0] for pair in spec.reference.right)
    right = sum(pair[1] for pair in spec.reference.right)
    table = pq.read_table(folder / "flights.parquet")
    model = model_file(str(folder / "late.onnx"))
    batch = table.combine_chunks().to_batches()[0]
    outputs = Scorer(model, table.schema).score(batch, np.ones(batch.num_rows, bool))
    assert labelled == 8000
    assert right == (np.array(outputs["label"].to_pylist()) == np.array(batch.column("late").to_pylist())).sum()
    assert all(pair == (0, 0) for pair in spec.reference.right[:10])  # of two classes one is at least as likely as not


def test_profile_of_the_reference_is_the_reference(folder: Path, tmp_path: Path, spec: Spec) -> None:
    (profile,) = _profiles(spec, folder / "flights.parquet", tmp_path / "s", model=str(folder / "late.onnx"))
    assert profile.counts == spec.reference.counts
    assert profile.sums == spec.reference.sums
    assert profile.window.start == 15739 * 86400 and profile.window.end - profile.window.start == 86400
    assert profile.device == MANY


def test_columns_count_as_rows_do(folder: Path, tmp_path: Path, spec: Spec) -> None:
    (profile,) = _profiles(spec, folder / "flights.parquet", tmp_path / "s", model=str(folder / "late.onnx"))
    table = pq.read_table(folder / "flights.parquet").combine_chunks()
    batch = table.to_batches()[0]
    outputs = Scorer(model_file(str(folder / "late.onnx")), table.schema).score(batch, np.ones(batch.num_rows, bool))
    tally = Tally(spec)
    sure = outputs["probabilities"].to_pylist()
    for row, label, pair in zip(batch.to_pylist(), outputs["label"].to_pylist(), sure, strict=True):
        tally.add(row, {"label": label, "probabilities[late]": pair[1]}, probabilities=pair)
    made = tally.profile(digest(spec), profile.window)
    assert made.counts == profile.counts and made.sums == profile.sums


def test_every_format_gives_the_same_profile(folder: Path, tmp_path: Path, spec: Spec) -> None:
    table = pq.read_table(folder / "flights.parquet").slice(0, 500)
    want = _profiles(spec, write(table, tmp_path / "a.parquet"), tmp_path / "s0")
    pyarrow.csv.write_csv(table, tmp_path / "a.csv")
    pyarrow.feather.write_feather(table, tmp_path / "a.feather")
    with (tmp_path / "a.jsonl").open("w") as lines:
        import json

        for row in table.drop(["day"]).to_pylist():
            lines.write(json.dumps(row) + "\n")
    arrays = {
        "numbers": np.column_stack([table["delay"].to_numpy(), np.array(table["distance"].to_pylist(), np.float32)]),
        "carrier": np.array(table["carrier"].to_pylist()),
    }  # fmt: skip
    np.savez(tmp_path / "a.npz", **arrays)
    for name in ("a.csv", "a.feather", "a.jsonl", "a.npz"):
        (made,) = _profiles(spec, tmp_path / name, tmp_path / f"s{name}")
        assert (made.counts, made.sums, made.rows) == (want[0].counts, want[0].sums, 500), name


def test_days_add_up_to_all_rows(folder: Path, tmp_path: Path, spec: Spec) -> None:
    model = str(folder / "late.onnx")
    (whole,) = _profiles(spec, folder / "flights.parquet", tmp_path / "a", model=model)
    days = _profiles(spec, folder / "flights.parquet", tmp_path / "b", model=model, by="day", day="")
    assert len(days) == 10
    assert [day.window.start for day in days] == [(15706 + number) * 86400 for number in range(10)]
    merged = merge(days)
    assert (merged.counts, merged.sums, merged.rows) == (whole.counts, whole.sums, whole.rows)


def test_rows_in_any_order_give_the_same_days(folder: Path, tmp_path: Path, spec: Spec) -> None:
    table = pq.read_table(folder / "flights.parquet")
    mixed = table.take(pa.array(np.random.default_rng(2).permutation(len(table))))
    in_order = _profiles(spec, folder / "flights.parquet", tmp_path / "a", by="day", day="")
    assert _profiles(spec, write(mixed, tmp_path / "mixed.parquet"), tmp_path / "b", by="day", day="") == in_order


def test_rows_the_model_does_not_take_are_refused_and_their_inputs_counted(
    folder: Path, tmp_path: Path, spec: Spec
) -> None:
    table = pq.read_table(folder / "flights.parquet").slice(0, 1000)
    delay = table["delay"].to_pylist()
    delay[:7] = [None] * 5 + [float("inf"), 3.0]
    table = table.set_column(0, "delay", pa.array(delay, pa.float32()))
    (profile,) = _profiles(spec, write(table, tmp_path / "a.parquet"), tmp_path / "s", model=str(folder / "late.onnx"))
    document = profile_to_json(spec, profile)
    assert document["outcome"] == {"ok": 994, "not run": 0, "refused": 6, "failed": 0}
    assert (document["rows"], document["predictions"]) == (1000, 994)
    assert document["features"]["delay"]["missing"] == 5
    assert document["features"]["delay"]["counts"][-1] == 1  # the infinite one
    assert document["features"]["label"]["rows"] == 994


def test_a_batch_of_which_no_row_is_taken_counts_as_any_other(folder: Path, tmp_path: Path, spec: Spec) -> None:
    """Also at the end of a file, where the outputs of the batch hold nothing at all."""
    table = pq.read_table(folder / "flights.parquet").slice(0, 400)
    nothing = table.set_column(0, "delay", pa.nulls(400, pa.float32()))
    write(nothing, tmp_path / "nothing.parquet")
    (profile,) = _profiles(spec, tmp_path / "nothing.parquet", tmp_path / "s", model=str(folder / "late.onnx"))
    assert (profile.rows, profile.predictions, faults(spec, profile)) == (400, 0, [])
    collector = ProfileCollector(
        spec, signature_from_text(model_file(str(folder / "late.onnx")).signature), table.schema, ()
    )
    scorer = Scorer(model_file(str(folder / "late.onnx")), table.schema)
    for part in (nothing, table):
        batch = part.combine_chunks().to_batches()[0]
        findings = scorer.check(batch)
        collector.update(batch, scorer.score(batch, findings.accepted), findings)
    state = collector.state()
    assert (state["rows"], state["predictions"]) == (800, 400)


@pytest.mark.parametrize(
    ("rows", "lost", "options", "said"),
    [
        (0, 0, {}, "holds no rows"),
        (300, 300, {}, "answers none of the 300 rows"),
        (300, 0, {"label": "distance"}, "no value of column 'distance' is a class of the model"),
        (300, 0, {"label": "tail"}, "no value of column 'tail' is a class of the model"),
    ],
)  # fmt: skip
def test_a_reference_that_says_nothing_is_refused(
    folder: Path, tmp_path: Path, rows: int, lost: int, options: Json, said: str
) -> None:
    table = pq.read_table(folder / "flights.parquet").slice(0, rows)
    delay = pa.array([None] * lost + table["delay"].to_pylist()[lost:], pa.float32())
    write(table.set_column(0, "delay", delay), tmp_path / "a.parquet")
    classifier(tmp_path / "late.onnx")
    with pytest.raises(BadInput, match=said):
        _spec(tmp_path, tmp_path / "s", data="a.parquet", **options)


def test_labels_may_be_missing_everywhere_in_a_batch(folder: Path, tmp_path: Path) -> None:
    table = pq.read_table(folder / "flights.parquet").slice(0, 300)
    write(table.set_column(5, "late", pa.nulls(300, pa.string())), tmp_path / "a.parquet")
    classifier(tmp_path / "late.onnx")
    made, _ = _spec(tmp_path, tmp_path / "s", data="a.parquet", label="late")
    assert sum(labelled for labelled, _ in made.reference.right) == 0


def test_a_day_before_1970_is_named(folder: Path, tmp_path: Path, spec: Spec) -> None:
    table = pq.read_table(folder / "flights.parquet").slice(0, 10)
    old = table.set_column(3, "day", pa.array([-2] * 10, pa.date32()))
    with pytest.raises(BadInput, match="1969-12-30 cannot be dated"):
        _profiles(spec, write(old, tmp_path / "a.parquet"), tmp_path / "s", by="day", day="")


def test_new_categories_are_unseen_and_numbers_become_texts_by_name(folder: Path, tmp_path: Path, spec: Spec) -> None:
    table = pq.read_table(folder / "flights.parquet").slice(0, 100)
    table = table.set_column(2, "carrier", pa.array(["ZZ"] * 30 + ["UA"] * 70))
    table = table.set_column(0, "delay", pa.array(["much"] * 99 + [None]))
    (profile,) = _profiles(spec, write(table, tmp_path / "a.parquet"), tmp_path / "s")
    features = profile_to_json(spec, profile)["features"]
    assert features["carrier"]["unseen"] == 30
    assert (features["delay"]["invalid"], features["delay"]["missing"]) == (99, 1)
    assert "ZZ" not in str(profile_to_json(spec, profile))


def test_another_model_is_refused(folder: Path, tmp_path: Path, spec: Spec) -> None:
    other = net(tmp_path / "other.onnx", 3)
    with pytest.raises(BadInput, match="another model than the spec's"):
        _profiles(spec, folder / "flights.parquet", tmp_path / "s", model=str(other))


def test_a_missing_column_is_named(folder: Path, tmp_path: Path, spec: Spec) -> None:
    table = pq.read_table(folder / "flights.parquet").drop(["carrier"])
    with pytest.raises(BadInput, match="lacks 1 column of the spec: carrier"):
        _profiles(spec, write(table, tmp_path / "a.parquet"), tmp_path / "s")


def test_rows_that_are_lost_are_said(folder: Path, tmp_path: Path, spec: Spec) -> None:
    table = pq.read_table(folder / "flights.parquet").slice(0, 100)
    table = table.set_column(0, "delay", pa.array(["much"] * 99 + [None]))
    payload = {"by": "", "day": "2013-02-03", "device": "", "cohort": "", "salt": "", "staging": str(tmp_path)}
    data = write(table, tmp_path / "a.parquet")
    made = build({"spec": spec_text(spec), "data": [str(data)], "model": "", **payload}, _silent)
    assert "delay: 99 of 100 values are no numbers" in made["notes"]
    noisy = build({"spec": spec_text(spec), "data": [str(data)], "model": "", "epsilon": 10**6, **payload}, _silent)
    assert not any("99" in note for note in noisy["notes"]), "what the noise hides is not told beside it"


def test_a_night_without_rows_needs_its_day(folder: Path, tmp_path: Path, spec: Spec) -> None:
    """A file without a report would be refused by every command of the next morning."""
    data = write(pq.read_table(folder / "flights.parquet").slice(0, 0), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="holds no row, so 'day' names no day"):
        _profiles(spec, data, tmp_path / "s", by="day", day="")
    (profile,) = _profiles(spec, data, tmp_path / "t")
    assert profile.rows == 0


def test_a_table_of_a_database_says_its_days(folder: Path, tmp_path: Path, spec: Spec) -> None:
    """A table has no time at which it was written, and needs none where a column names the days."""
    base = tmp_path / "nights.duckdb"
    with duckdb.connect(str(base)) as connection:
        connection.execute(f"create table t as select * from '{folder / 'flights.parquet'}'")
    from_table = _profiles(spec, Path(f"{base}::t"), tmp_path / "s", by="day", day="")
    assert from_table == _profiles(spec, folder / "flights.parquet", tmp_path / "t", by="day", day="")


def test_a_row_without_a_day_is_refused(folder: Path, tmp_path: Path, spec: Spec) -> None:
    table = pq.read_table(folder / "flights.parquet").slice(0, 10)
    table = table.set_column(3, "day", pa.array([None, *table["day"].to_pylist()[1:]], pa.date32()))
    with pytest.raises(BadInput, match="'day' is missing in 1 row, first in row 0"):
        _profiles(spec, write(table, tmp_path / "a.parquet"), tmp_path / "s", by="day", day="")


def test_few_blocks_are_called_insufficient(folder: Path, tmp_path: Path) -> None:
    _, notes = _spec(folder, tmp_path / "s", by="day")
    assert any(said.startswith("insufficient reference: 10 blocks") for said in notes)
    made, notes = _spec(folder, tmp_path / "t")
    assert len(made.reference.blocks.rows) == 80  # at least a hundred rows each
    made, _ = _spec(folder, tmp_path / "u", block="50 rows")
    assert len(made.reference.blocks.rows) == 160
    assert set(made.reference.learned["delay"].thresholds) == {1, 7, 28}
    made, _ = _spec(folder, tmp_path / "v", block="3000")
    assert made.reference.blocks.rows == (3000, 3000, 2000)
    made, _ = _spec(folder, tmp_path / "w", block="3500 rows")
    assert made.reference.blocks.rows == (3500, 4500)  # a short end belongs to the block before it
    assert made.reference.blocks.last == "row 3,500"


def test_small_tensors_without_names_have_numbered_features(folder: Path, tmp_path: Path) -> None:
    net(tmp_path / "net.onnx", 4)
    np.save(tmp_path / "x.npy", np.random.default_rng(1).normal(size=(500, 4)).astype(np.float32))
    made, _ = _spec(tmp_path, tmp_path / "s", "net.onnx", "x.npy")
    names = [feature.source.name for feature in made.features]
    assert names == ["x[0]", "x[1]", "x[2]", "x[3]", "scores[0]", "scores[1]", "scores[2]"]
    assert made.features[3].source.index == 3
    (profile,) = _profiles(made, tmp_path / "x.npy", tmp_path / "t", model=str(tmp_path / "net.onnx"))
    assert profile.counts == made.reference.counts
    (inputs,) = _profiles(made, tmp_path / "x.npy", tmp_path / "u")
    size = sum(feature.size for feature in made.features[:4])
    assert inputs.counts[:size] == profile.counts[:size] and inputs.predictions == 0


def test_images_are_profiled_by_what_the_model_says_of_them(tmp_path: Path) -> None:
    net(tmp_path / "net.onnx", 300, 20)
    np.save(tmp_path / "x.npy", np.random.default_rng(1).normal(size=(500, 300)).astype(np.float32))
    made, notes = _spec(tmp_path, tmp_path / "s", "net.onnx", "x.npy")
    assert [feature.source.name for feature in made.features] == ["scores.largest", "scores.largest_value"]
    assert any("the input 'x', of 300 numbers a row, is not profiled" in said for said in notes)
    (profile,) = _profiles(made, tmp_path / "x.npy", tmp_path / "t", model=str(tmp_path / "net.onnx"))
    assert profile.counts == made.reference.counts and profile.predictions == 500
    with pytest.raises(BadInput, match="counts the model's outputs alone"):
        _profiles(made, tmp_path / "x.npy", tmp_path / "u")


def test_identifiers_are_counted_as_there_or_not(folder: Path, tmp_path: Path) -> None:
    table = flights(2000)
    names = pa.array([f"person {number}" for number in range(2000)])
    classifier(tmp_path / "late.onnx")
    write(table.set_column(2, "carrier", names), tmp_path / "a.parquet")
    made, notes = _spec(tmp_path, tmp_path / "t", data="a.parquet")
    assert isinstance(made.features[2], Presence)
    assert "person" not in spec_text(made)
    assert any("only whether it is there is counted" in said for said in notes)


def test_rows_of_few_devices_say_less(folder: Path, tmp_path: Path) -> None:
    table = flights(6000)
    tail = np.random.default_rng(4).integers(0, 30, 6000)
    shift = np.random.default_rng(5).normal(size=30)[tail]
    moved = table.set_column(0, "delay", pa.array((table["delay"].to_numpy() + shift).astype(np.float32)))
    moved = moved.set_column(4, "tail", pa.array(tail))
    classifier(tmp_path / "late.onnx")
    write(moved, tmp_path / "a.parquet")
    made, _ = _spec(tmp_path, tmp_path / "s", data="a.parquet", by="day", device="tail")
    growth = {name: learned.between_devices for name, learned in made.reference.learned.items()}
    assert 50 < growth["delay"] < 200  # 200 rows a device, half of the variance between them
    assert growth["distance"] < 2.5
    assert made.reference.devices == 30


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"by": "dya"}, "no column 'dya'"), ({"device": "x"}, "no column 'x'"), ({"label": "x"}, "no column 'x'"),
        ({"block": "day"}, "needs the column of the time"), ({"block": "week", "by": "day"}, "no size of a block"),
        ({"block": "day", "by": "distance"}, "no time"), ({"by": "unused"}, "more than 4,096 blocks"),
        ({"by": "carrier", "block": "day"}, "which is no day"), ({"by": "distance"}, "is missing in"),
        ({"by": "day", "block": "5 rows"}, "goes without --by"),
    ],
)  # fmt: skip
def test_what_cannot_be_blocks_is_refused_by_name(folder: Path, tmp_path: Path, options: Json, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        _spec(folder, tmp_path / "s", **options)
    assert said in caught.value.message


def test_days_in_a_csv_file_are_days(folder: Path, tmp_path: Path) -> None:
    """Arrow knows no days in CSV: they come as texts."""
    pyarrow.csv.write_csv(pq.read_table(folder / "flights.parquet"), tmp_path / "a.csv")
    classifier(tmp_path / "late.onnx")
    made, _ = _spec(tmp_path, tmp_path / "s", data="a.csv", by="day")
    assert (made.reference.blocks.unit, made.reference.blocks.last, len(made.reference.blocks.rows)) == (
        "day",
        "2013-01-10",
        10,
    )
    made, _ = _spec(tmp_path, tmp_path / "t", data="a.csv", by="late")
    assert (made.reference.blocks.unit, made.reference.blocks.first) == ("value", "late")


def test_hours_are_cut_in_the_columns_own_zone(folder: Path, tmp_path: Path) -> None:
    table = pq.read_table(folder / "flights.parquet").slice(0, 48)
    times = pa.array([1_357_000_000 + 3600 * number for number in range(48)], pa.timestamp("s", tz="America/New_York"))
    write(table.append_column("time", times), tmp_path / "a.parquet")
    classifier(tmp_path / "late.onnx")
    made, _ = _spec(tmp_path, tmp_path / "s", data="a.parquet", by="time", block="hour")
    assert len(made.reference.blocks.rows) == 48
    assert made.reference.blocks.first == "2012-12-31T19"
    made, _ = _spec(tmp_path, tmp_path / "t", data="a.parquet", by="time")
    assert made.reference.blocks.rows == (5, 24, 19)


def test_what_cannot_be_counted_is_refused_by_name(folder: Path, tmp_path: Path, spec: Spec) -> None:
    table = pq.read_table(folder / "flights.parquet").slice(0, 10)
    lists = pa.array([[1, 2]] * 10)
    with pytest.raises(BadInput, match="'carrier' is list"):
        _profiles(spec, write(table.set_column(2, "carrier", lists), tmp_path / "a.parquet"), tmp_path / "s")
    net(tmp_path / "net.onnx", 4)
    np.save(tmp_path / "x.npy", np.ones((50, 4), np.float32))
    np.save(tmp_path / "wide.npy", np.ones((50, 5), np.float32))
    made, _ = _spec(tmp_path, tmp_path / "t", "net.onnx", "x.npy")
    with pytest.raises(BadInput, match="holds lists of 5, the spec counts 4"):
        _profiles(made, tmp_path / "wide.npy", tmp_path / "u")


def test_a_column_named_as_a_group_of_profiles_is_counted_under_another_name(tmp_path: Path) -> None:
    from tests.batch.graphs import linear

    linear(tmp_path / "m.onnx")
    import onnx

    model = onnx.load(tmp_path / "m.onnx")
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = {"a": "latency"}.get(name, name)
    model.graph.input[0].name = "latency"
    onnx.save(model, tmp_path / "m.onnx")
    numbers = pa.array(np.arange(200, dtype=np.float32))
    write(pa.table({"latency": numbers, "b": numbers}), tmp_path / "a.parquet")
    made, _ = _spec(tmp_path, tmp_path / "s", "m.onnx", "a.parquet")
    assert [feature.source.name for feature in made.features] == ["latency (input)", "b", "score", "both[0]", "both[1]"]
    (profile,) = _profiles(made, tmp_path / "a.parquet", tmp_path / "t", model=str(tmp_path / "m.onnx"))
    assert profile.counts == made.reference.counts


def test_texts_that_are_no_utf8_are_refused_as_damage(folder: Path, tmp_path: Path, spec: Spec) -> None:
    table = pq.read_table(folder / "flights.parquet").slice(0, 100)
    texts = pa.array([b"\xff\xfe" if row < 3 else b"UA" for row in range(100)], pa.binary()).view(pa.string())
    path = write(table.set_column(2, "carrier", texts), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="column 'carrier' of row group 0 cannot be read"):
        _profiles(spec, path, tmp_path / "s", model=str(folder / "late.onnx"))


@pytest.mark.parametrize("when", [2**62, -(2**62)])
def test_times_beyond_the_calendar_are_refused(folder: Path, tmp_path: Path, spec: Spec, when: int) -> None:
    table = pq.read_table(folder / "flights.parquet").slice(0, 2)
    table = table.set_column(3, "day", pa.array([when, 0], pa.timestamp("us")))
    with pytest.raises(BadInput, match="no time or text"):
        _profiles(spec, write(table, tmp_path / "a.parquet"), tmp_path / "s", by="day", day="")


def test_states_add_up_and_a_run_without_shards_has_no_rows(spec: Spec) -> None:
    reference = spec.reference
    state = {
        "rows": 8000, "predictions": 8000, "timed": 0, "counts": list(reference.counts), "sums": list(reference.sums),
    }  # fmt: skip
    window = Window(1, 86_400, 172_800)
    dated = {"window": [1, 86_400, 172_800]}
    twice = profile_from_state(spec, merge_profile(state, state) | dated)
    assert faults(spec, twice) == [] and twice.rows == 16_000
    assert twice.counts == tuple(2 * count for count in reference.counts)
    empty = profile_from_state(spec, dated)
    assert faults(spec, empty) == [] and empty.rows == 0 and empty.window == twice.window == window
