"""The peers of `score.py`, and the virtual environment in which each runs, made when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from peer_environments import python_in

SCRIPTS = Path(__file__).parent / "score_peers"
#: What every peer needs, in the versions of which the figures speak.
COMMON = ("onnxruntime==1.31.1", "numpy==2.4.6", "pyarrow==26.0.1")
#: Environments by name; peers whose versions agree share one.
ENVIRONMENTS = {
    "peers": (
        *COMMON, "polars==2.1.0", "duckdb==2.0.0", "pandas==3.1.1", "scikit-learn==1.9.1", "joblib==1.6.0", "daft==0.6.14",
        "dask[dataframe]==2026.8.0", "ray[data]==2.60.0", "pyspark==4.3.0",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Peer:
    """title: as tables have it. threads: what OMP_NUM_THREADS is, where a library's own threads do the work."""

    title: str
    script: str
    environment: str = "peers"
    threads: int = 1


PEERS = {
    "polars-map": Peer("Polars map_batches + sink_parquet", "polars_map_batches.py"),
    "pyarrow": Peer("pyarrow dataset", "pyarrow_dataset.py"),
    "daft": Peer("Daft", "daft_udf.py"),
    "duckdb-udf": Peer("DuckDB arrow UDF", "duckdb_arrow_udf.py"),
    "duckdb-reader": Peer("DuckDB reader, one session", "duckdb_reader.py"),
    "dask": Peer("Dask", "dask_map_partitions.py"),
    "polars-collect": Peer("Polars collect_batches, one session", "polars_collect_batches.py"),
    "ray": Peer("Ray Data", "ray_data.py"),
    "spark": Peer("Spark mapInArrow", "spark_map_in_arrow.py"),
    "sklearn": Peer("pandas + scikit-learn", "pandas_sklearn.py", threads=2),
}


def python_of(folder: Path, environment: str) -> Path:
    """The interpreter of an environment under `folder`, installed if it is not there or holds other versions."""
    return python_in(folder / "environments" / environment, ENVIRONMENTS[environment])


def peer_line(folder: Path, name: str, job: Path) -> list[str]:
    """The command that runs a peer on a job file."""
    peer = PEERS[name]
    return [str(python_of(folder, peer.environment)), str(SCRIPTS / peer.script), str(job)]
