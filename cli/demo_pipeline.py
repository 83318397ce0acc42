"""The pipeline of the demo: will a flight arrive more than a quarter of an hour late? Runs in a child process."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from mlpack_edge.core.extensions import missing_extra
from mlpack_edge.core.files import io_fault

Json = dict[str, Any]

NUMBERS = ["month", "day", "sched_dep_time", "dep_delay", "distance"]
CATEGORIES = ["carrier", "origin", "dest"]
#: Flights that the net learns from, in a few seconds, and those that calibrate it.
_LEARNED, _CALIBRATING = 20_000, 2_000
#: Six epochs in any case, which tells more than a warning that it could have gone on.
_EPOCHS: Json = {"tol": 1e9, "n_iter_no_change": 5}


def train(payload: Json, stage: Any) -> Json:
    """Train on January to September, keep October to December as holdout; write both beside each other.

    payload: {"folder", "rows"} with `rows` of training. Returns what was done.
    """
    import polars

    try:
        import skops.io
        from sklearn.compose import make_column_transformer
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.impute import SimpleImputer
        from sklearn.neural_network import MLPClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler
    except ModuleNotFoundError as fault:
        raise missing_extra(fault.name or "", "the demo's pipeline") from fault
    folder = Path(payload["folder"])
    stage("reading 336,776 flights")
    with files("mlpack_edge.cli").joinpath("demo_data/flights.parquet").open("rb") as stream:
        flights = polars.read_parquet(stream.read())
    known = flights.filter(polars.col("arr_delay").is_not_null()).with_columns(polars.col(NUMBERS).cast(polars.Float64))
    early = known.filter(polars.col("month") <= 9).sample(payload["rows"], seed=13)
    late = known.filter(polars.col("month") > 9).sample(payload["rows"] // 4, seed=13)
    stage(f"training on {early.height:,} flights")

    def columns_for_model() -> Any:
        numbers = make_pipeline(SimpleImputer(), StandardScaler())
        words = OneHotEncoder(handle_unknown="ignore", min_frequency=100, sparse_output=False)
        return make_column_transformer((numbers, NUMBERS), (words, CATEGORIES))

    model = make_pipeline(columns_for_model(), HistGradientBoostingClassifier(max_iter=60, random_state=13))
    net = make_pipeline(columns_for_model(), MLPClassifier((256, 128), random_state=13, **_EPOCHS))
    columns = [*NUMBERS, *CATEGORIES]
    target = (early["arr_delay"] > 15).replace_strict({True: "late", False: "on time"}).to_numpy()
    model.fit(early.select(columns).to_pandas(), target)
    net.fit(early.select(columns).head(_LEARNED).to_pandas(), target[:_LEARNED])
    truth = (late["arr_delay"] > 15).replace_strict({True: "late", False: "on time"}).to_numpy()
    accuracy = float((model.predict(late.select(columns).to_pandas()) == truth).mean())
    net_accuracy = float((net.predict(late.select(columns).to_pandas()) == truth).mean())
    try:
        skops.io.dump(model, folder / "flights.skops")
        skops.io.dump(net, folder / "flights-net.skops")
        early.select(columns).head(_CALIBRATING).write_parquet(folder / "learned.parquet")
        late.select(columns).with_columns(truth=polars.Series(truth)).write_parquet(folder / "judged.parquet")
        late.select(columns).write_parquet(folder / "holdout.parquet")
        departed = _write_nights(flights, folder)
        _write_seasons(flights, folder)
    except OSError as fault:
        raise io_fault(fault, f"the demo's files could not be written to {folder}") from fault
    return {
        "trained_on": early.height, "holdout": late.height, "accuracy": accuracy, "net_accuracy": net_accuracy,
        "departed": departed,
    }  # fmt: skip


def _write_nights(flights: Any, folder: Path) -> int:
    """What arrives night by night: flights of October to December by month, and later which of them were late; and flights
    of the whole year, cancelled ones too, as a reference for what is usual.

    Some rows of December are damaged, as a broken feed would: no carrier, or a distance of -1. Gives the number of flights.
    """
    import polars

    usual = flights.sample(50_000, seed=13).select(*NUMBERS, *CATEGORIES)
    usual.write_parquet(folder / "reference.parquet")
    autumn = flights.with_row_index("flight").filter(polars.col("month") > 9)
    in_december = polars.col("month") == 12
    number = polars.int_range(polars.len()).over("month")
    damaged = autumn.with_columns(
        carrier=polars.when(in_december & (number % 1000 == 17)).then(None).otherwise(polars.col("carrier")),
        distance=polars.when(in_december & (number % 2000 == 3)).then(-1).otherwise(polars.col("distance")),
    )
    for (month,), rows in damaged.partition_by("month", as_dict=True, include_key=False).items():
        place = folder / "nights" / f"month={month}"
        place.mkdir(parents=True, exist_ok=True)
        rows.drop("arr_delay").write_parquet(place / "flights.parquet")
    late = polars.when(polars.col("arr_delay") > 15).then(polars.lit("late")).otherwise(polars.lit("on time"))
    arrived = autumn.filter(polars.col("arr_delay").is_not_null())
    arrived.select("flight", late.alias("truth")).write_parquet(folder / "arrived.parquet")
    return int(autumn.height)


def _write_seasons(flights: Any, folder: Path) -> None:
    """Flights of January to May with their day, and which of those that arrived were late: what the later ones, of June to
    December, are held against."""
    import polars

    day = polars.date(2013, polars.col("month"), polars.col("day")).alias("date")
    late = polars.when(polars.col("arr_delay") > 15).then(polars.lit("late")).otherwise(polars.lit("on time"))
    known = polars.when(polars.col("arr_delay").is_not_null()).then(late).alias("truth")
    dated = flights.with_columns(day, known)
    spring, later = (dated.filter(part) for part in (polars.col("month") <= 5, polars.col("month") > 5))
    spring.select(*NUMBERS, *CATEGORIES, "date", "truth").write_parquet(folder / "spring.parquet")
    later.select(*NUMBERS, *CATEGORIES, "date").write_parquet(folder / "later.parquet")
