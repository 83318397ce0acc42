"""`ethos-u:CONFIG`: Arm's NPU as its compiler `vela` estimates it. Figures of a simulator: never a latency."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput, Interrupted, MissingExtra, MlpackError, Unsupported, WorkerFault
from mlpack_edge.core.scratch import scratch_folder
from mlpack_edge.devices.targets.target import Refused, TargetOptions
from mlpack_edge.devices.vela import Estimate, config_from_address, estimate_from_vela
from mlpack_edge.runtimes.measuring.plan import Plan
from mlpack_edge.runtimes.measuring.prepared import PreparedModel
from mlpack_edge.runtimes.measuring.result import BenchResult
from mlpack_edge.runtimes.worker import Limits

Array = NDArray[Any]
Json = dict[str, Any]
#: Limits of a child without code of ours in it: its data (ulimit -d, KiB) and no core file.
_LIMITED = 'ulimit -c 0; ulimit -d "$1"; shift; exec "$@"'


def estimate_to_json(found: Estimate) -> Json:
    """`estimate` of a result: no clock and no counter made it."""
    return {
        "cycles": found.cycles,
        "sram_bytes": found.sram_bytes,
        "dram_bytes": found.dram_bytes,
        "flash_bytes": found.flash_bytes,
        "macs": found.macs,
        "npu_operators": found.npu_operators,
        "cpu_operators": found.cpu_operators,
        "cpu_share": round(found.cpu_share, 4),
        "covers": "the part on the NPU" if found.cpu_operators else "the whole model",
        "left_on_cpu": list(found.left_on_cpu),
    }


class EthosUTarget:
    """CONFIG is an accelerator as vela names it, [ethos-u55-128], with the system and memory that vela assumes for it."""

    gives = frozenset({"estimate"})

    def __init__(self, address: str, options: TargetOptions) -> None:
        self._config = config_from_address(address)
        self.name = f"ethos-u:{self._config}"
        self._options = options
        self._command: list[str] = []
        self._version = ""

    def describe(self) -> Json:
        """{environment, runtimes, python}. Raises MissingExtra where there is no vela."""
        if not self._command:
            command = [str(_vela(self._options.vela))]
            self._version = _version(command, self._options.time_limit)
            self._command = command
        return {"environment": self._environment(), "runtimes": {"ethos-u-vela": self._version}, "python": None}

    def bench(self, models: Sequence[PreparedModel], plan: Plan) -> list[BenchResult | Refused]:
        """One BenchResult a model, or Refused with the operators that an Ethos-U does not take."""
        self.describe()
        made: list[BenchResult | Refused] = []
        for model in models:
            self._options.stage(f"compiling {model.name} for {self._config}")
            try:
                made.append(self._result(model, self._estimate(model, plan)))
            except (Unsupported, WorkerFault) as fault:
                made.append(Refused(model.name, fault))
        return made

    def profile(self, model: PreparedModel, plan: Plan) -> list[Json]:
        """Always Unsupported: there is no time."""
        raise Unsupported(f"{self.name} gives no time of single operators", "leave --profile away")

    def outputs(self, model: PreparedModel, plan: Plan) -> list[Mapping[str, Array]]:
        """Always Unsupported: vela compiles and does not run."""
        raise Unsupported(f"{self.name} runs nothing: vela only compiles", "check the model on the device itself")

    def close(self) -> None:
        """Nothing stays open."""

    def _estimate(self, model: PreparedModel, plan: Plan) -> Estimate:
        if model.format != "tflite":
            raise Unsupported(
                f"{model.name} is an ONNX model, and vela compiles TFLite",
                f"mlpack convert {model.path} -o {model.path.with_suffix('.tflite')}",
            )
        with scratch_folder() as folder:
            # A name of ours: the model's could begin with a dash, and vela writes it into its table.
            shutil.copyfile(model.path, Path(folder, "model.tflite"))
            words = [
                "model.tflite",
                "--output-dir",
                "out",
                "--accelerator-config",
                self._config,
                "--show-cpu-operations",
            ]
            code, printed = _run([*self._command, *words], Path(folder), plan.time_limit, plan.memory_bytes, model.name)
            if code:
                raise _refusal(code, printed, model.name)
            tables = sorted(Path(folder, "out").glob("*_summary_*.csv"))
            summary = tables[0].read_text(encoding="utf-8") if tables else ""
        return estimate_from_vela(summary, printed, [array.shape for array in model.feeds[0].values()], model.name)

    def _environment(self) -> Json:
        return {
            "cpu": f"Arm {self._config}, estimated by vela", "arch": self._config, "cores": None, "features": [],
            "governor": None, "frequency_mhz": None, "temperature_c": None, "throttled": None, "load_before": None,
            "load_after": None, "kernel": None, "python": None, "emulated": "vela", "machine_id": None,
            "runtime": {"name": "ethos-u-vela", "version": self._version},
        }  # fmt: skip

    def _result(self, model: PreparedModel, estimate: Estimate) -> BenchResult:
        assumed = {
            "frequency_mhz": estimate.clock_hz / 1e6, "system_config": estimate.system, "memory_mode": estimate.memory_mode,
        }  # fmt: skip
        return BenchResult(
            model=model.name, format=model.format, model_sha256=model.sha256, bytes=model.bytes, target=self.name, threads=1,
            batch=model.batch, launches=(), harness_floor_ns=None, environment=self._environment() | assumed,
            input_digest="", output_digest="", io="none", estimate=estimate_to_json(estimate),
        )  # fmt: skip


def _vela(given: Path | None) -> Path:
    """The command: the one given, the one installed beside this Python, the one on PATH."""
    if given is not None:
        if not given.is_file():
            raise BadInput(f"--vela {given} is no file", "give the command vela that ethos-u-vela installs")
        return given.resolve()
    beside = Path(sys.executable).with_name("vela")
    found = str(beside) if beside.is_file() else shutil.which("vela")
    if found is None:
        raise MissingExtra(
            "Ethos-U needs vela, Arm's compiler for it",
            "pip install 'mlpack-edge[ethos-u]', or give it with --vela FILE",
        )
    return Path(found)


def _version(command: list[str], seconds: float) -> str:
    """Other programs are called vela too; Arm's prints nothing but its version."""
    with scratch_folder() as folder:
        code, printed = _run([*command, "--version"], Path(folder), seconds, None, "vela --version")
    version = printed.strip()
    if code or not re.fullmatch(r"\d+\.\d+\.\d+\S*", version):
        raise BadInput(
            f"{command[0]} is not Arm's vela", "pip install 'mlpack-edge[ethos-u]', or give it with --vela FILE",
            why=version.splitlines()[0] if version else f"exit code {code}",
        )  # fmt: skip
    return version


def _run(command: list[str], folder: Path, seconds: float, memory: int | None, subject: str) -> tuple[int, str]:
    """(exit code, what it printed) of a child in `folder`, with limits; whatever it started ends with it."""
    kilobytes = str((Limits().memory if memory is None else memory) // 1024)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryFile() as printed:
        try:
            child = subprocess.Popen(
                ["/bin/sh", "-c", _LIMITED, "vela", kilobytes, *command], cwd=folder, stdin=subprocess.DEVNULL, stdout=printed,
                stderr=subprocess.STDOUT, start_new_session=True, env=environment,
            )  # fmt: skip
        except OSError as fault:  # pragma: no cover - a system without /bin/sh
            raise MissingExtra("/bin/sh could not be started", "install a shell", why=str(fault)) from fault
        try:
            code = child.wait(seconds)
        except KeyboardInterrupt as stop:
            raise Interrupted("interrupted", "nothing was written; start it again when you like") from stop
        except subprocess.TimeoutExpired as late:
            raise WorkerFault(
                f"{subject}: vela had not ended after {seconds:g} s and was stopped", "give it longer with --time-limit"
            ) from late
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        printed.seek(0)
        return code, printed.read().decode("utf-8", "replace")


def _refusal(code: int, printed: str, subject: str) -> MlpackError:
    """Why vela ended with an error."""
    lines = [line.strip() for line in printed.splitlines() if line.strip() and not line.startswith("Warning: No ")]
    why = lines[-1] if lines else ""
    number = -code if code < 0 else code - 128
    if number in set(signal.Signals):
        return WorkerFault(
            f"{subject}: vela died with {signal.Signals(number).name}",
            "the file is damaged, or this version of vela has a defect; try the model with mlpack inspect first", why=why,
        )  # fmt: skip
    if "MemoryError" in printed or "bad_alloc" in printed:
        return WorkerFault(f"{subject}: vela ran out of memory", "give it more with --memory-limit", why=why)
    return Unsupported(
        f"{subject}: vela refused it (exit code {code})", "look at the file with mlpack inspect", why=why
    )  # fmt: skip
