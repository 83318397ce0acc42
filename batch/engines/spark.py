"""The engine for a Spark that the user has, or one that is started on this machine for the run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from mlpack_edge.batch.engines.engine import Listener
from mlpack_edge.batch.engines.passes import run_in_passes
from mlpack_edge.batch.plan import Plan, Shard
from mlpack_edge.core.errors import MissingExtra
from mlpack_edge.core.extensions import missing_extra


class SparkEngine:
    """A shard is a task; its files travel as rows through Spark's writer, whose committer decides which attempt counts.

    The master is SPARK_REMOTE (Spark Connect), that of spark-submit or of spark-defaults.conf; without one, this machine.
    """

    def run(self, plan: Plan, todo: Sequence[Shard], folder: Path, listener: Listener) -> None:
        """As `Engine.run`. Raises MissingExtra where pyspark or Java is not there, WorkerFault where Spark gives up."""
        if not todo:
            return
        if find_spec("pyspark") is None:
            raise missing_extra("pyspark", "jobs with --engine spark")
        if not _java():
            raise MissingExtra(
                "jobs with --engine spark need Java, and there is none here",
                "install Java 17 or later (Debian: apt-get install openjdk-17-jre-headless) or set JAVA_HOME; "
                "SPARK_REMOTE=sc://HOST uses a Spark elsewhere without it",
                module="java", extra=None,
            )  # fmt: skip
        run_in_passes("mlpack_edge.batch.engines.spark_run:run", "spark", plan, todo, folder, listener)


def _java() -> bool:
    """Whether pyspark will find a Java, or needs none."""
    if "SPARK_REMOTE" in os.environ or "PYSPARK_GATEWAY_PORT" in os.environ:
        return True
    home = os.environ.get("JAVA_HOME")
    return (Path(home) / "bin" / "java").exists() if home else shutil.which("java") is not None
