"""One JVM for several runs on Spark, as spark-submit gives it to a program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

#: Says where the JVM listens, and ends it when its own input ends.
_LAUNCH = """
import sys
from pyspark.java_gateway import launch_gateway
gateway = launch_gateway(popen_kwargs={"stdout": 2})
print(gateway.gateway_parameters.port, gateway.gateway_parameters.auth_token, flush=True)
sys.stdin.read()
gateway.proc.stdin.close()
gateway.proc.wait()
"""


@contextmanager
def one_jvm(folder: Path) -> Iterator[None]:
    """While it lasts, a run on Spark takes the JVM that is started here, whose files lie in `folder`.

    Nothing is started where there is no pyspark or no Java: the engine itself says so.
    """
    if find_spec("pyspark") is None or not (shutil.which("java") or "JAVA_HOME" in os.environ):
        yield
        return
    environment = {
        **os.environ, "SPARK_LOCAL_DIRS": str(folder), "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1",
        "PYSPARK_PYTHON": sys.executable, "PYSPARK_SUBMIT_ARGS": "--conf spark.ui.enabled=false pyspark-shell",
    }  # fmt: skip
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _LAUNCH],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder, env=environment,
        ) as launched,
        pytest.MonkeyPatch.context() as patch,
    ):  # fmt: skip
        assert launched.stdin is not None and launched.stdout is not None
        port, secret = launched.stdout.readline().split()
        patch.setenv("PYSPARK_GATEWAY_PORT", port)
        patch.setenv("PYSPARK_GATEWAY_SECRET", secret)
        yield
        launched.stdin.close()
