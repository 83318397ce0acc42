"""Where scores go: a Parquet directory, a DuckDB table, a Delta table, each published at once."""
