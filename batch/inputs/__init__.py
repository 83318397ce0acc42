"""Where rows come from: files, databases and queries, as shards of Parquet or Arrow."""
