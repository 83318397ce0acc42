"""Flights repeated to millions of rows, and the two pipelines that score them: what `score.py` measures on.

Everything lies in one folder and is made once: `flights-<rows>.parquet`, `lr.joblib`/`.onnx`, `hgb.joblib`/`.onnx`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.parquet

FLIGHTS = Path(__file__).parent.parent / "cli" / "demo_data" / "flights.parquet"
NUMBERS = ("month", "day", "sched_dep_time", "dep_delay", "distance")
TEXTS = ("carrier", "origin", "dest")
KEY = "flight"
#: Those that get noise, and how many units either side: repeated rows would compress to nothing.
JITTER = {"dep_delay": 0.5, "distance": 2.0}
#: pyarrow's own default.
ROW_GROUP = 1 << 20


def known_flights() -> pyarrow.Table:
    """Flights that arrived, the numbers as float64."""
    table = pyarrow.parquet.read_table(FLIGHTS)
    table = table.filter(pyarrow.compute.is_valid(table["arr_delay"]))
    for name in NUMBERS:
        table = table.set_column(table.column_names.index(name), name, table[name].cast(pyarrow.float64()))
    return table


def flights(folder: Path, rows: int) -> Path:
    """The Parquet file of `rows` rows in default row groups: `flight` (int64), numbers, texts."""
    path = folder / f"flights-{rows}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".tmp")
        pieces = _pieces(rows)
        first = next(pieces)
        with pyarrow.parquet.ParquetWriter(beside, first.schema) as writer:
            writer.write_table(first, row_group_size=ROW_GROUP)
            for piece in pieces:
                writer.write_table(piece, row_group_size=ROW_GROUP)
        beside.rename(path)
    return path


def _pieces(rows: int) -> Iterator[pyarrow.Table]:
    """Tables of a row group each."""
    source = known_flights().select([*NUMBERS, *TEXTS])
    rng = np.random.default_rng(2013)
    for start in range(0, rows, ROW_GROUP):
        count = min(ROW_GROUP, rows - start)
        piece = source.take(pyarrow.array(rng.integers(0, source.num_rows, count)))
        for name, width in JITTER.items():
            noisy = piece[name].to_numpy() + rng.uniform(-width, width, count)
            piece = piece.set_column(piece.column_names.index(name), name, pyarrow.array(noisy))
        keys = pyarrow.array(np.arange(start, start + count, dtype=np.int64))
        yield piece.add_column(0, KEY, keys).combine_chunks()


def pipeline(name: str) -> Any:
    """`lr` or `hgb`, not fitted."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    if name == "lr":
        words = OneHotEncoder(handle_unknown="ignore")
        steps = make_column_transformer((StandardScaler(), list(NUMBERS)), (words, list(TEXTS)))
        return make_pipeline(steps, LogisticRegression(max_iter=300))
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    steps = make_column_transformer(("passthrough", list(NUMBERS)), (codes, list(TEXTS)))
    return make_pipeline(steps, HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=0))


def model(folder: Path, name: str) -> Path:
    """The ONNX file of `mlpack convert`; `<name>.joblib` beside it is what scikit-learn itself runs."""
    path = folder / f"{name}.onnx"
    if not path.exists():
        import joblib

        folder.mkdir(parents=True, exist_ok=True)
        table = known_flights()
        late = (table["arr_delay"].to_numpy() > 15).astype(np.int64)
        fitted = pipeline(name).fit(table.select([*NUMBERS, *TEXTS]).to_pandas(), late)
        joblib.dump(fitted, folder / f"{name}.joblib")
        sample = folder / "sample.parquet"
        pyarrow.parquet.write_table(table.select([*NUMBERS, *TEXTS]).slice(0, 5000), sample)
        line = [*mlpack(), "convert", f"{folder / name}.joblib", "--trust-pickle", "-o", str(path)]
        subprocess.run([*line, "--data", str(sample), "--json"], check=True, stdout=subprocess.DEVNULL)
    return path


def mlpack() -> list[str]:
    """The command line of this environment's `mlpack`."""
    return [str(Path(sys.executable).parent / "mlpack")]


def described(path: Path) -> dict[str, Any]:
    """Rows, row groups and bytes of a Parquet file."""
    footer = pyarrow.parquet.read_metadata(path)
    return {"rows": footer.num_rows, "row_groups": footer.num_row_groups, "bytes": path.stat().st_size}
