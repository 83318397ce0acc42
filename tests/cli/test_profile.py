"""`mlpack profile` and `mlpack score --profile` from the outside: documents, files, exit codes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper

from tests.batch.graphs import linear, looked_up, negated, write_model
from tests.batch.profiling.models import classifier, flights, net, write
from tests.cli.mlpack import mlpack, mlpack_json

Json = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("profile")
    classifier(made / "late.onnx")
    write(flights(6000), made / "flights.parquet")
    done = mlpack(
        "profile", "spec", "late.onnx", "--reference", "flights.parquet", "--by", "day", "-o", "late.spec.json", cwd=made
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "insufficient reference: 10 blocks" in done.stderr
    done = mlpack(
        "profile", "build", "late.spec.json", "flights.parquet", "--model", "late.onnx", "--day", "2013-01-10", "-o",
        "all.profile", cwd=made,
    )  # fmt: skip
    assert done.returncode == 0 and "6,000 rows in 1 report" in done.stdout, done.stderr
    return made


def _show(folder: Path, name: str, *more: str) -> Json:
    code, document = mlpack_json("profile", "show", name, *more, cwd=folder)
    assert code == 0, document
    return document


def test_the_spec_of_a_model_says_what_it_counts(folder: Path) -> None:
    code, document = mlpack_json(
        "profile", "spec", "late.onnx", "--reference", "flights.parquet", "--by", "day", "-o", "again.json", cwd=folder
    )
    assert code == 0
    assert document["reference"]["blocks"] == 10 and document["reference"]["sufficient"] is False
    assert document["features"] == ["delay", "distance", "carrier", "label", "probabilities[late]"]
    assert (folder / "again.json").read_bytes() == (folder / "late.spec.json").read_bytes()


def test_a_profile_of_the_reference_shows_the_reference(folder: Path) -> None:
    shown, reference = _show(folder, "all.profile"), _show(folder, "late.spec.json")
    assert shown["features"] == reference["features"]
    for feature in shown["features"].values():
        assert {"counts", "missing", "unseen", "out_of_range"} <= set(feature)
        assert sum(feature["counts"]) + feature["missing"] + feature["unseen"] + feature["invalid"] == shown["rows"]
    assert shown["features"]["distance"]["missing"] > 200
    assert set(shown["window"]) == {"sequence", "start", "end"}


def test_the_same_counts_give_the_same_document(folder: Path) -> None:
    """One report of all rows, or the merge of ten days."""
    done = mlpack(
        "profile", "build", "late.spec.json", "flights.parquet", "--model", "late.onnx", "--by", "day", "-o", "days.profile",
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0 and "in 10 reports" in done.stdout
    assert mlpack("profile", "merge", "merged.profile", "days.profile", cwd=folder).returncode == 0
    one, merged, days = (_show(folder, f"{name}.profile") for name in ("all", "merged", "days"))
    assert days == merged
    assert {**merged, "window": one["window"]} == one
    code, document = mlpack_json(
        "profile", "merge", "again.profile", "days.profile", "all.profile", "--by-window", cwd=folder
    )
    assert code == 0 and (document["merged"], document["reports"]) == (11, 10)


def test_a_scored_run_leaves_the_profile_of_its_rows(folder: Path, tmp_path: Path) -> None:
    table = flights(3000, seed=5)
    broken = table.set_column(0, "delay", pa.array([None, float("nan"), *table["delay"].to_pylist()[2:]], pa.float32()))
    write(broken, tmp_path / "in.parquet")
    run = (
        "score", str(folder / "late.onnx"), "--input", "in.parquet", "--output", "out", "--max-rejected", "1%", "--profile",
        "night.profile", "--profile-spec", str(folder / "late.spec.json"),
    )  # fmt: skip
    code, document = mlpack_json(*run, cwd=tmp_path)
    assert code == 0, document
    assert document["profile"]["path"] == "night.profile" and document["profile"]["rows"] == 3000
    spec, model = str(folder / "late.spec.json"), str(folder / "late.onnx")
    code, _ = mlpack_json("profile", "build", spec, "in.parquet", "--model", model, "-o", "same.profile", cwd=tmp_path)
    assert code == 0
    assert (tmp_path / "same.profile").read_bytes() == (tmp_path / "night.profile").read_bytes()
    assert _show(tmp_path, "night.profile", "--spec", spec)["outcome"]["refused"] == 2
    first = (tmp_path / "night.profile").read_bytes()
    (tmp_path / "night.profile").unlink()
    code, document = mlpack_json(*run, cwd=tmp_path)
    assert (code, document["status"]) == (0, "nothing to do")
    assert (tmp_path / "night.profile").read_bytes() == first


@pytest.mark.parametrize(
    ("model", "sound", "bad"),
    [
        (looked_up, {"x": np.arange(600) % 4}, {"x": [None, 7, 8]}),
        (negated, {"x": np.arange(600)}, {"x": [None, -(2**63), -(2**63)]}),
        (linear, {"a": np.ones(600, np.float32), "b": np.ones(600, np.float32)}, {"a": [None, 3e38, 3e38], "b": [0.0, -3e38, -3e38]}),
    ],
    ids=["an error", "the end of the process", "no finite score"],
)  # fmt: skip
def test_rows_on_which_the_model_fails_are_told_from_those_that_it_never_saw(
    tmp_path: Path, model: Callable[[Path], Path], sound: dict[str, Any], bad: dict[str, Any]
) -> None:
    """One row is missing a value, on two the model stops or gives infinity."""
    model(tmp_path / "m.onnx")
    good = pa.table(sound)
    pq.write_table(good, tmp_path / "reference.parquet")
    pq.write_table(pa.concat_tables([good, pa.table(bad, good.schema)]), tmp_path / "in.parquet")
    code, document = mlpack_json("profile", "spec", "m.onnx", "--reference", "reference.parquet", "-o", "s.json", cwd=tmp_path)  # fmt: skip
    assert code == 0, document
    code, document = mlpack_json(
        "score", "m.onnx", "--input", "in.parquet", "--output", "out", "--max-rejected", "1%", "--profile", "night.profile",
        "--profile-spec", "s.json", cwd=tmp_path,
    )  # fmt: skip
    assert code == 0, document
    outcome = _show(tmp_path, "night.profile", "--spec", "s.json")["outcome"]
    assert outcome == {"ok": 600, "not run": 0, "refused": 1, "failed": 2}
    if model is negated:
        return  # a build does not look for rows that end its process
    for words in (["--day", "2013-01-10"], ["--by", "day"]):
        table = pq.read_table(tmp_path / "in.parquet")
        pq.write_table(table.append_column("day", pa.array(["2013-01-10"] * len(table))), tmp_path / "days.parquet")
        code, document = mlpack_json("profile", "build", "s.json", "days.parquet", "--model", "m.onnx", *words, "-o", f"{words[0][2:]}.profile", cwd=tmp_path)  # fmt: skip
        assert code == 0, document
        assert _show(tmp_path, f"{words[0][2:]}.profile", "--spec", "s.json")["outcome"] == outcome


def test_the_window_is_the_date_of_the_job(folder: Path, tmp_path: Path) -> None:
    write(flights(300), tmp_path / "2013-11-30.parquet")
    code, document = mlpack_json(
        "score", str(folder / "late.onnx"), "--input", "{{ ds }}.parquet", "--output", "out", "--date", "2013-11-30",
        "--profile", "{{ ds }}.profile", "--profile-spec", str(folder / "late.spec.json"), "--workers", "1", cwd=tmp_path,
    )  # fmt: skip
    assert code == 0 and document["profile"]["path"] == "2013-11-30.profile"
    window = _show(tmp_path, "2013-11-30.profile", "--spec", str(folder / "late.spec.json"))["window"]
    assert window == {"sequence": 16039, "start": 16039 * 86400, "end": 16040 * 86400}


def test_a_run_without_new_rows_leaves_the_profile_as_it_was(folder: Path, tmp_path: Path) -> None:
    """Under another window the same rows would be another report, and count twice: not where the new file of an incremental run is older than
    the others, and not where only the date is another."""
    spec, run = str(folder / "late.spec.json"), ["score", str(folder / "late.onnx"), "--input", "*.parquet", "--output", "out", "--incremental"]  # fmt: skip
    run += ["--profile", "n.profile", "--profile-spec", spec]
    for name, rows, written in (("a", 300, 1_790_000_000), ("b", 200, 1_790_000_000 - 5 * 86_400)):
        os.utime(write(flights(rows), tmp_path / f"{name}.parquet"), (written, written))
        code, document = mlpack_json(*run, cwd=tmp_path)
        assert code == 0 and document["profile"]["rows"] == rows
    first = (tmp_path / "n.profile").read_bytes()
    (tmp_path / "n.profile").unlink()
    code, document = mlpack_json(*run, cwd=tmp_path)
    assert (code, document["status"], document["profile"]["rows"]) == (0, "nothing to do", 200)
    assert (tmp_path / "n.profile").read_bytes() == first
    done = mlpack(*run, "--date", "2026-11-30", cwd=tmp_path)
    assert done.returncode == 0 and "no row is new, so the profile stays that of 2026-09-16" in done.stderr
    assert (tmp_path / "n.profile").read_bytes() == first


def test_shards_and_workers_count_the_same(folder: Path, tmp_path: Path) -> None:
    table = flights(4000)
    for number in range(4):
        pq.write_table(table.slice(number * 1000, 1000), tmp_path / f"{number}.parquet")
    made = []
    for workers in ("1", "2"):
        code, document = mlpack_json(
            "score", str(folder / "late.onnx"), "--input", "[0-9].parquet", "--output", f"out{workers}", "--workers", workers,
            "--profile", f"{workers}.profile", "--profile-spec", str(folder / "late.spec.json"), "--date", "2013-02-03",
            cwd=tmp_path,
        )  # fmt: skip
        assert code == 0 and document["shards"]["total"] == 4
        made.append((tmp_path / f"{workers}.profile").read_bytes())
    assert made[0] == made[1]


def test_a_spec_of_another_model_and_a_file_that_is_no_profile_are_refused(folder: Path, tmp_path: Path) -> None:
    classifier(tmp_path / "other.onnx", label=False)
    write(flights(100), tmp_path / "in.parquet")
    run = ("--input", "in.parquet", "--output", "out", "--profile-spec", str(folder / "late.spec.json"))
    done = mlpack("score", "other.onnx", *run, "--profile", "a.profile", cwd=tmp_path)
    assert done.returncode == 1 and "is the spec of another model" in done.stderr
    for text in ("mine", "a1"):  # the second is CBOR all the same
        (tmp_path / "precious.txt").write_text(text)
        done = mlpack("score", str(folder / "late.onnx"), *run, "--profile", "precious.txt", cwd=tmp_path)
        assert done.returncode == 1 and "is there and is no profile" in done.stderr
        assert (tmp_path / "precious.txt").read_text() == text
    done = mlpack("score", str(folder / "late.onnx"), *run, "--profile", "out/a.profile", cwd=tmp_path)
    assert done.returncode == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "nothing.profile"), "could not be read"),
        (("show", "flights.parquet"), "report refused"),
        (("show", "late.onnx"), "report refused"),
        (("build", "all.profile", "flights.parquet", "-o", "x"), "is no profile spec"),
        (("build", "flights.parquet", "flights.parquet", "-o", "x"), "is no profile spec"),
        (("build", "late.spec.json", "nothing.parquet", "-o", "x"), "no file matches"),
        (("build", "late.spec.json", "late.onnx", "-o", "x"), "is no data file"),
        (("build", "late.spec.json", "flights.parquet", "--cohort", "Ä", "-o", "x"), "is no name of a cohort"),
        (("build", "late.spec.json", "flights.parquet", "--day", "2013-02-30", "-o", "x"), "no 2013-02-30 in the calendar"),
        (("build", "late.spec.json", "flights.parquet", "--model", "flights.parquet", "-o", "x"), "flights.parquet"),
        (("spec", "late.onnx", "--reference", "flights.parquet", "-o", "late.spec.json"), "exists"),
        (("spec", "late.onnx", "--reference", "flights.parquet", "-o", "a/b.json"), "does not exist"),
        (("spec", "flights.parquet", "--reference", "flights.parquet", "-o", "x"), "flights.parquet"),
        (("merge", "x", "all.profile", "late.spec.json"), "report refused"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_message(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    done = mlpack("profile", *arguments, cwd=folder)
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    assert said in done.stderr
    assert not (folder / "x").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"delay": ["soon"] * 20}, "column 'delay' is string"),
        ({"dly": [0.5] * 20}, "lacks 1 column of the model: 'delay'"),
    ],
)
@pytest.mark.parametrize(
    "words", [("build", "late.spec.json", "a.parquet", "--model"), ("spec", "--reference", "a.parquet")]
)
def test_what_does_not_fit_the_model_is_mended_by_what_the_command_has(
    folder: Path, tmp_path: Path, change: Json, said: str, words: tuple[str, ...]
) -> None:
    """--sql is an option of mlpack score alone. By the spec a column is not missed that only the model does."""
    table = flights(20).drop_columns("delay")
    write(table.append_column(next(iter(change)), pa.array(next(iter(change.values())))), tmp_path / "a.parquet")
    paths = [str(folder / word) if word == "late.spec.json" else word for word in words]
    done = mlpack("profile", *paths, str(folder / "late.onnx"), "-o", "x", cwd=tmp_path)
    assert done.returncode == 1 and "--sql" not in done.stderr
    assert said in done.stderr or (words[0] == "build" and "lacks 1 column of the spec: delay" in done.stderr)
    assert "in the file" in done.stderr or "named as the model's" in done.stderr


def test_columns_without_names_are_not_ordered_by_a_query_either(tmp_path: Path) -> None:
    net(tmp_path / "net.onnx", 4)
    write(pa.table({name: np.ones(20, np.float32) for name in "abc"}), tmp_path / "a.parquet")
    done = mlpack("profile", "spec", "net.onnx", "--reference", "a.parquet", "-o", "x", cwd=tmp_path)
    assert done.returncode == 1 and "the model takes 4 columns" in done.stderr and "--sql" not in done.stderr
    done = mlpack("score", "net.onnx", "--input", "a.parquet", "--output", "out", cwd=tmp_path)
    assert done.returncode == 1 and "the model takes 4 columns" in done.stderr and "--sql 'SELECT a, b," in done.stderr


def test_a_csv_file_of_its_header_alone_is_one_without_rows(tmp_path: Path) -> None:
    """Its columns are none that the model does not take: they hold nothing."""
    kinds = {"member": TensorProto.BOOL, "visits": TensorProto.INT64}
    nodes = [helper.make_node("Cast", [name], [f"{name}_f"], to=TensorProto.FLOAT) for name in kinds]
    nodes.append(helper.make_node("Add", [f"{name}_f" for name in kinds], ["score"]))
    write_model(tmp_path / "m.onnx", nodes, kinds, {"score": (TensorProto.FLOAT, ["N"])})
    rows = {"member": np.arange(300) % 2 == 0, "visits": np.arange(300)}
    pq.write_table(pa.table(rows), tmp_path / "reference.parquet")
    (tmp_path / "none.csv").write_text("member,visits\n")
    pq.write_table(pa.table(rows).slice(0, 0), tmp_path / "none.parquet")
    code, document = mlpack_json("profile", "spec", "m.onnx", "--reference", "reference.parquet", "-o", "s.json", cwd=tmp_path)  # fmt: skip
    assert code == 0, document
    for name in ("none.csv", "none.parquet"):
        words = ("--model", "m.onnx", "--day", "2026-02-01", "-o", f"{name}.profile")
        done = mlpack("profile", "build", "s.json", name, *words, cwd=tmp_path)
        assert done.returncode == 0 and "note: the data holds no rows" in done.stderr, done.stderr
    assert (tmp_path / "none.csv.profile").read_bytes() == (tmp_path / "none.parquet.profile").read_bytes()


@pytest.mark.parametrize(
    ("values", "said", "options"),
    [
        ([1_357_000_000, 1_357_090_000] * 10, "is int64, no time", {"unit": "s"}),
        (["01.01.2013", "02.01.2013"] * 10, "holds '01.01.2013', which is no day", {"format": "%d.%m.%Y"}),
    ],
    ids=["seconds", "texts"],
)
def test_what_is_no_day_is_refused_with_what_makes_it_one(
    folder: Path, tmp_path: Path, values: list[Any], said: str, options: Json
) -> None:
    """--block is an option of mlpack profile spec alone; pandas does what the message says of it."""
    pandas = pytest.importorskip("pandas")
    table = flights(20).append_column("when", pa.array(values))
    write(table, tmp_path / "a.parquet")
    build = ("profile", "build", str(folder / "late.spec.json"), "a.parquet", "--by", "when", "-o", "a.profile")
    done = mlpack(*build, cwd=tmp_path)
    assert done.returncode == 1 and said in done.stderr and "--block" not in done.stderr
    [(name, value)] = options.items()
    assert "pandas.to_datetime" in done.stderr and f"{name}='{value}'" in done.stderr
    frame = table.to_pandas()
    frame.assign(when=pandas.to_datetime(frame["when"], **options)).to_parquet(tmp_path / "a.parquet")
    done = mlpack(*build, cwd=tmp_path)
    assert done.returncode == 0 and "20 rows in 2 reports" in done.stdout, done.stderr


def test_a_report_is_read_with_its_own_spec_alone(folder: Path, tmp_path: Path) -> None:
    done = mlpack(
        "profile", "build", "late.spec.json", "flights.parquet", "-o", str(tmp_path / "a.profile"), cwd=folder
    )
    assert done.returncode == 0
    done = mlpack("profile", "show", "a.profile", cwd=tmp_path)
    assert done.returncode == 1 and "is not beside them" in done.stderr and "--spec" in done.stderr
    other = mlpack(
        "profile",
        "spec",
        str(folder / "late.onnx"),
        "--reference",
        str(folder / "flights.parquet"),
        "-o",
        "other.json",
        cwd=tmp_path,
    )
    assert other.returncode == 0
    done = mlpack("profile", "show", "a.profile", "--spec", "other.json", cwd=tmp_path)
    assert done.returncode == 1 and "wrong spec" in done.stderr


def test_tflite_and_its_rows_are_profiled(tmp_path: Path) -> None:
    import numpy as np

    net(tmp_path / "net.onnx", 4)
    rows = np.random.default_rng(1).normal(size=(400, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", rows)
    done = mlpack("convert", "net.onnx", "--to", "tflite", "-o", "net.tflite", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = mlpack("profile", "spec", "net.tflite", "--reference", "x.npy", "-o", "net.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    code, built = mlpack_json(
        "profile", "build", "net.json", "x.npy", "--model", "net.tflite", "-o", "x.profile", cwd=tmp_path
    )
    assert (code, built["predictions"]) == (0, 400)
    shown = _show(tmp_path, "x.profile")
    assert list(shown["features"])[:5] == ["x[0]", "x[1]", "x[2]", "x[3]", "scores[0]"]
    assert json.dumps(shown["features"]) == json.dumps(_show(tmp_path, "net.json")["features"])


def test_a_spec_becomes_a_c_header(folder: Path) -> None:
    done = mlpack("profile", "header", "late.spec.json", "-o", "late.h", "--name", "late", cwd=folder)
    assert done.returncode == 0, done.stderr
    text = (folder / "late.h").read_text()
    assert "static const mlpack_spec late_spec" in text and "#define LATE_COUNTERS" in text
    done = mlpack("profile", "header", "late.spec.json", "-o", "other.h", "--name", "9", cwd=folder)
    assert done.returncode == 1 and "cannot begin names in C" in done.stderr
    assert not (folder / "other.h").exists()


def test_a_report_that_was_delivered_twice_counts_once(folder: Path, tmp_path: Path) -> None:
    table = pq.read_table(folder / "flights.parquet")
    for name, rows in (("a", 100), ("b", 200)):
        write(table.slice(0, rows), tmp_path / f"{name}.parquet")
        done = mlpack(
            "profile", "build", str(folder / "late.spec.json"), f"{name}.parquet", "--device", "N1", "--cohort", "beta", "--day",
            "2013-02-03", "-o", f"{name}.profile", cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert b"N1" not in (tmp_path / "a.profile").read_bytes()
    spec = ("--spec", str(folder / "late.spec.json"))
    code, document = mlpack_json("profile", "merge", "m.profile", "a.profile", "a.profile", *spec, cwd=tmp_path)
    assert (code, document["rows"]) == (0, 100)
    done = mlpack(
        "profile",
        "build",
        str(folder / "late.spec.json"),
        "a.parquet",
        "--day",
        "2013-02-03",
        "-o",
        "u.profile",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    done = mlpack("profile", "merge", "v.profile", "u.profile", "u.profile", *spec, cwd=tmp_path)
    assert "100 rows of 1 reports" in done.stdout and "1 report came twice and counts once" in done.stderr
    shown = _show(tmp_path, "m.profile", *spec)
    assert len(shown["device"]) == 32 and shown["cohort"] == "beta"
    done = mlpack("profile", "merge", "n.profile", "a.profile", "b.profile", *spec, cwd=tmp_path)
    assert done.returncode == 1 and "two reports of one window" in done.stderr
    assert not (tmp_path / "n.profile").exists()


def test_an_incremental_run_profiles_the_rows_that_are_new(folder: Path, tmp_path: Path) -> None:
    table = flights(1500)
    run = (
        "score", str(folder / "late.onnx"), "--input", "[0-9].parquet", "--output", "out", "--incremental", "--profile",
        "night.profile", "--profile-spec", str(folder / "late.spec.json"),
    )  # fmt: skip
    for number, rows in enumerate((1000, 500)):
        pq.write_table(table.slice(number * 1000, rows), tmp_path / f"{number}.parquet")
        code, document = mlpack_json(*run, cwd=tmp_path)
        assert (code, document["rows_in"], document["profile"]["rows"]) == (0, rows, rows)
    code, document = mlpack_json(*run, cwd=tmp_path)
    assert (code, document["status"], document["profile"]["rows"]) == (0, "nothing to do", 500)


def test_rows_of_a_table_need_a_day(folder: Path, tmp_path: Path) -> None:
    import duckdb

    with duckdb.connect(str(tmp_path / "w.duckdb")) as database:
        database.execute(f"CREATE TABLE flights AS SELECT * FROM '{folder / 'flights.parquet'}' LIMIT 100")
    spec, model = str(folder / "late.spec.json"), str(folder / "late.onnx")
    done = mlpack("profile", "build", spec, "w.duckdb::flights", "-o", "a.profile", cwd=tmp_path)
    assert done.returncode == 1 and "of which day" in done.stderr and "--day" in done.stderr
    done = mlpack(
        "profile",
        "build",
        spec,
        "w.duckdb::flights",
        "--day",
        "2013-02-03",
        "--model",
        model,
        "-o",
        "a.profile",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    run = (
        "score",
        model,
        "--input",
        "w.duckdb::flights",
        "--output",
        "out",
        "--profile",
        "b.profile",
        "--profile-spec",
        spec,
    )
    done = mlpack(*run, cwd=tmp_path)
    assert done.returncode == 1 and "of which day" in done.stderr and "--date" in done.stderr
    assert not (tmp_path / "out").exists()
    assert mlpack(*run, "--date", "2013-02-03", cwd=tmp_path).returncode == 0
    assert (tmp_path / "a.profile").read_bytes() == (tmp_path / "b.profile").read_bytes()


def test_a_report_with_noise_tells_one_feature_and_no_number_of_rows(folder: Path) -> None:
    line = ("profile", "build", "late.spec.json", "flights.parquet", "--model", "late.onnx", "--day", "2013-01-10")
    code, document = mlpack_json(
        *line, "--device", "gate-7", "--epsilon", ".5", "-o", "noisy.profile", "--force", cwd=folder
    )
    assert code == 0, document
    assert (document["epsilon"], document["rows"], document["predictions"], document["reports"]) == (0.5, None, None, 1)
    assert document["profile"]["bytes"] < 400
    assert any("the noise was drawn now" in text for text in document["notes"])
    shown = _show(folder, "noisy.profile")
    assert (shown["epsilon"], shown["rows"], shown["predictions"], shown["timed"]) == (0.5, 0, 0, 0)
    [told] = shown["carried"]
    exact = _show(folder, "all.profile")
    for name, feature in shown["features"].items():
        assert any(feature["counts"]) == (name == told)
        assert feature.get("mean") is None
    pairs = zip(shown["features"][told]["counts"], exact["features"][told]["counts"], strict=True)
    assert max(abs(noisy - counted) for noisy, counted in pairs) < 60, "30 scales: the noise is that of epsilon"
    assert mlpack("profile", "show", "noisy.profile", cwd=folder).stdout.startswith("noise    epsilon 0.5, for a row")


def test_noise_that_promises_nothing_or_goes_with_nothing_is_refused(folder: Path) -> None:
    line = ("profile", "build", "late.spec.json", "flights.parquet", "-o", "refused.profile")
    for more, code, said in (
        (("--epsilon", "0", "--device", "d"), 1, "an epsilon of 0 is refused"),
        (("--epsilon", "1000", "--device", "d"), 1, "is refused"),
        (("--epsilon", "1e999999999", "--device", "d"), 1, "is refused"),
        (("--epsilon", "much", "--device", "d"), 2, "write a number"),
        (("--epsilon", "nan", "--device", "d"), 2, "write a number"),
        (("--epsilon", "1.0000001", "--device", "d"), 2, "six digits"),
        (("--epsilon", "1"), 2, "goes with --device"),
        (("--epsilon", "1", "--device", "d", "--by", "day"), 2, "do not go together"),
    ):
        done = mlpack(*line, *more, cwd=folder)
        assert done.returncode == code and said in done.stderr, done.stderr
    assert not (folder / "refused.profile").exists()


def test_drift_draws_no_page_of_counters_with_noise(folder: Path) -> None:
    done = mlpack(
        "profile", "build", "late.spec.json", "flights.parquet", "--device", "gate-8", "--epsilon", "1", "-o", "page.profile",
        "--day", "2013-01-10", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = mlpack("drift", "late.spec.json", "page.profile", "--html", "page.html", cwd=folder)
    assert done.returncode == 1 and "carry noise" in done.stderr
    assert not (folder / "page.html").exists()
    code, document = mlpack_json("drift", "late.spec.json", "page.profile", cwd=folder)
    assert code == 1 and document["drifted"] == [], "one device with noise leaves nothing to judge"
    assert "features are told by too few devices" in document["windows"][0]["note"]
