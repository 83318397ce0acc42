"""Android, where there is no Python: the user's `adb` client and the user's build of `benchmark_model`."""

from __future__ import annotations

import contextlib
import hashlib
import random
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput, IoFault, MlpackError, Unsupported, WorkerFault
from mlpack_edge.devices.targets import android, benchmark_model
from mlpack_edge.devices.targets.adb_client import AdbClient, Client, Held
from mlpack_edge.devices.targets.agent_target import between
from mlpack_edge.devices.targets.android_environment import READ_ENVIRONMENT, environment_from_text
from mlpack_edge.devices.targets.benchmark_model_profile import profile_rows
from mlpack_edge.devices.targets.target import Refused, TargetOptions
from mlpack_edge.runtimes.measuring.feeds import digest_of
from mlpack_edge.runtimes.measuring.plan import Plan
from mlpack_edge.runtimes.measuring.prepared import PreparedModel
from mlpack_edge.runtimes.measuring.result import BenchResult
from mlpack_edge.runtimes.measuring.summaries import ToolLaunch, ToolResult

Array = NDArray[Any]
Json = dict[str, Any]
#: The tool stops after this many times the wanted seconds, whatever it counted: as the agent of other targets does.
_OVERRUN = 10
#: Seconds for what the device does at once, and for the keeper to tidy up.
_AT_ONCE, _LEAVE = 60.0, 5.0


class AdbTarget:
    """`adb:SERIAL`, or `adb:` where one device is attached. `client`: how adb is run, for tests of the rules alone.

    Each process of the plan is one start of the tool, the models in random order within a round. Before them, one start
    a model with the memory watched and the outputs written, which is not timed.
    """

    gives = frozenset({"time", "profile"})

    def __init__(self, address: str, options: TargetOptions, client: Client | None = None) -> None:
        self.name = f"adb:{address}" if address else "adb"
        self._wanted = android.check_serial(address)
        self._options, self._adb = options, client or AdbClient()
        self._serial = ""
        self._keeper: Held | None = None
        self._folder = ""
        self._tool: Json = {}
        self._placed: dict[str, list[tuple[str, tuple[int, ...]]]] = {}

    def describe(self) -> Json:
        """{environment, runtimes, python}: benchmark_model by the digest of the user's file, null where none was given."""
        environment = self._environment()
        if self._options.benchmark_model and not self._tool:
            digest, size = android.check_tool(self._options.benchmark_model, environment["abis"])
            version = f"sha256:{digest[:12]}"
            self._tool = {"name": "benchmark_model", "version": version, "sha256": digest, "bytes": size}
        return {"environment": environment, "runtimes": {"benchmark_model": self._tool.get("sha256")}, "python": None}

    def bench(self, models: Sequence[PreparedModel], plan: Plan) -> list[BenchResult | Refused]:
        """One ToolResult or Refused a model. Raises MlpackError where the device or the tool itself fails."""
        before = self._begin()
        faults: dict[int, MlpackError] = {}
        facts: dict[int, tuple[ToolLaunch, str]] = {}
        for place, model in enumerate(models):
            with _kept(faults, place):
                facts[place] = self._facts(model, plan)
        launches = self._rounds(models, plan, sorted(facts), faults)
        environment = between(before, self._environment()) | {"runtime": self._tool}
        return [
            Refused(model.name, faults[place])
            if place in faults
            else self._result(model, plan, launches[place], *facts[place], environment)
            for place, model in enumerate(models)
        ]

    def profile(self, model: PreparedModel, plan: Plan) -> list[Json]:
        """[{name, op, calls, ns, share, method}], means of a run of a start of its own."""
        self._begin()
        table = f"{self._folder}/profile.csv"
        extra = {"enable_op_profiling": "true", "profiling_output_csv_file": table}
        self._launch(model, plan, 0, extra)
        return [
            {**row, "method": "benchmark_model"} for row in profile_rows(self._shell(f"cat {table}; rm -f {table}"))
        ]

    def outputs(self, model: PreparedModel, plan: Plan) -> list[Mapping[str, Array]]:
        """benchmark_model writes bytes without names, dtypes or shapes: always Unsupported."""
        raise Unsupported(
            "an Android device gives no outputs to compare: benchmark_model writes them without names and shapes",
            "check the model with mlpack check --arch aarch64",
        )

    def close(self) -> None:
        """Remove what was put on the device, and stop what runs there."""
        keeper, folder = self._keeper, self._folder
        self._keeper, self._folder = None, ""
        self._placed.clear()
        if keeper is None:
            return
        ended = keeper.release(_LEAVE)
        if not folder:
            return
        # The keeper has done this, unless its device does not pass on the end of an input (Android 6 and before).
        left = shlex.quote(folder)
        script = f"[ -f {left}/pid ] && kill -9 $(cat {left}/pid); rm -rf {left}; [ -e {left} ] && echo still"
        with contextlib.suppress(WorkerFault):  # a device that is gone: there the connection's end is the signal
            said = self._adb.run(["-s", self._serial, "shell", f"({script}) 2>/dev/null; true"], _AT_ONCE).text
            if ended and "still" in said:
                raise IoFault(
                    f"{folder} could not be removed from {self.name}", f"adb -s {self._serial} shell rm -rf {folder}"
                )

    # --- what is there ------------------------------------------------------------------------------------------------

    def _environment(self) -> Json:
        if not self._serial:
            self._options.stage(f"reaching {self.name}")
            listed = self._adb.run(["devices"], self._options.time_limit)
            if listed.code:
                raise android.adb_fault(self._wanted or "attached", "adb devices", listed.code, listed.text)
            self._serial = android.chosen_serial(self._wanted, android.devices_from_list(listed.text))
            self.name = f"adb:{self._serial}"
        return environment_from_text(self._shell(READ_ENVIRONMENT), self._serial)

    def _begin(self) -> Json:
        """The environment, once the folder and the tool are on the device."""
        tool = self._options.benchmark_model
        if tool is None:
            raise BadInput(
                "a TFLite model runs on Android through a benchmark_model that you bring",
                f"give it with --benchmark-model PATH; where to get one: {android.GUIDE}",
            )
        environment: Json = self.describe()["environment"]
        if environment["emulated"]:
            raise Unsupported(
                f"{self.name} is an Android emulator, whose time says nothing of a phone", "attach a device"
            )
        if self._keeper is None:
            self._keeper = self._adb.hold(["-s", self._serial, "shell", android.KEEPER], self._options.time_limit)
            word, _, folder = self._keeper.line.partition(" ")
            if word != android.FOLDER or not android.FOLDER_NAME.fullmatch(folder):
                raise IoFault(
                    f"no temporary folder could be made on {self.name}",
                    f"look at it: adb -s {self._serial} shell df {android.TEMPORARY}", why=self._keeper.line,
                )  # fmt: skip
            self._folder = folder
            self._push(tool, "benchmark_model", self._tool["sha256"])
            self._shell(f"chmod 700 {shlex.quote(folder)}/benchmark_model")
        return environment

    # --- the tool -----------------------------------------------------------------------------------------------------

    def _facts(self, model: PreparedModel, plan: Plan) -> tuple[ToolLaunch, str]:
        """A launch with the memory watched, and the digest of the outputs' bytes ("" where this tool writes none)."""
        written = f"{self._folder}/outputs"
        extra = {"report_peak_memory_footprint": "true", "output_filepath": written}
        launch = self._launch(model, plan, 0, extra, seconds=0.0)
        said = self._shell(f"[ -f {written} ] && sha256sum {written} 2>/dev/null; rm -f {written}")
        digest = said.split()[0] if said.split() else ""
        return launch, f"raw:{digest}" if len(digest) == hashlib.sha256().digest_size * 2 else ""

    def _rounds(
        self, models: Sequence[PreparedModel], plan: Plan, places: list[int], faults: dict[int, MlpackError]
    ) -> dict[int, list[ToolLaunch]]:
        """The launches of the models at `places`; what fails goes to `faults`."""
        draw = random.Random(plan.seed)
        made: dict[int, list[ToolLaunch]] = {place: [] for place in places}
        for number in range(plan.processes):
            self._options.stage(f"{self.name}: round {number + 1} of {plan.processes}")
            for place in draw.sample(places, len(places)):
                if place not in faults:
                    with _kept(faults, place):
                        made[place].append(self._launch(models[place], plan, number))
        return made

    def _launch(
        self,
        model: PreparedModel,
        plan: Plan,
        number: int,
        extra: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> ToolLaunch:
        """Start the tool once."""
        wanted = plan.seconds / plan.processes if seconds is None else seconds
        limit = max(1.0, _OVERRUN * wanted)
        (graph, _), *inputs = self._files(model)
        words = benchmark_model.arguments(
            graph, threads=plan.threads, runs=plan.least_calls, seconds=wanted, limit=limit, inputs=inputs, extra=extra
        )
        script = benchmark_model.launch_script(self._folder, "./benchmark_model", words)
        try:
            ended = self._adb.run(["-s", self._serial, "shell", script], plan.time_limit + 2 * limit)
        except MlpackError:
            with contextlib.suppress(MlpackError):  # the device may be gone as well: the first error is the one to tell
                self._shell(f"[ -f {self._folder}/pid ] && kill -9 $(cat {self._folder}/pid)")
            raise
        if benchmark_model.END not in ended.text:
            raise android.adb_fault(self._serial, f"measuring {model.name}", ended.code, ended.text)
        return benchmark_model.launch_from_output(ended.text, plan.threads, model.name, number)

    def _result(
        self,
        model: PreparedModel,
        plan: Plan,
        launches: list[ToolLaunch],
        watched: ToolLaunch,
        digest: str,
        environment: Json,
    ) -> ToolResult:
        used = {f"0:{name}": array for name, array in model.feeds[0].items()}
        first = launches[0]
        told = {
            "delegates": list(first.delegates), "threads_confirmed": first.threads is not None,
            "inputs_confirmed": first.inputs_confirmed,
        }  # fmt: skip
        if len(model.feeds) > 1:
            told["inputs"] = f"the first of {len(model.feeds)} sets: benchmark_model takes one"
        return ToolResult(
            model=model.name, format=model.format, model_sha256=model.sha256, bytes=model.bytes, target=self.name,
            threads=plan.threads, batch=model.batch, launches=tuple(launch.for_comparison() for launch in launches),
            harness_floor_ns=None, environment=environment | told, input_digest=digest_of(used), output_digest=digest,
            io="benchmark_model", tool_launches=tuple(launches), peak_rss_bytes=watched.peak_rss_bytes,
        )  # fmt: skip

    # --- the device ---------------------------------------------------------------------------------------------------

    def _files(self, model: PreparedModel) -> list[tuple[str, tuple[int, ...]]]:
        """The model and its first inputs on the device, copied when first asked for: (file, shape) each."""
        if model.format != "tflite":
            raise Unsupported(
                f"{model.name} is an ONNX model, and benchmark_model runs TFLite",
                f"mlpack convert {model.path} -o {model.path.with_suffix('.tflite')}",
            )
        known = self._placed.get(model.name)
        if known is None:
            place = len(self._placed)
            known = [
                (
                    self._push(model.path, f"model{place}.tflite", hashlib.sha256(model.path.read_bytes()).hexdigest()),
                    (),
                )
            ]
            for name, array in sorted(model.feeds[0].items(), key=lambda item: int(item[0])):
                if not array.shape:
                    raise Unsupported(
                        f"{model.name}: input {name} has no dimension, which benchmark_model takes no values for"
                    )
                known.append((self._push_block(_raw(array), f"model{place}.input{name}"), array.shape))
            self._placed[model.name] = known
        return known

    def _push_block(self, block: bytes, name: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, name)
            file.write_bytes(block)
            return self._push(file, name, hashlib.sha256(block).hexdigest())

    def _push(self, file: Path, name: str, digest: str) -> str:
        """Copy, and see that it arrived whole where the device can tell."""
        there = f"{self._folder}/{name}"
        self._options.stage(f"copying {file.stat().st_size:,} bytes to {self.name}")
        ended = self._adb.run(["-s", self._serial, "push", str(file), there], max(self._options.time_limit, 600.0))
        if ended.code:
            raise android.adb_fault(self._serial, f"copying {file.name}", ended.code, ended.text)
        said = self._shell(f"sha256sum {shlex.quote(there)} 2>/dev/null; true").split()
        if said and said[0] != digest:
            raise IoFault(f"{file.name} arrived damaged on {self.name}", "start it again; the cable may be bad")
        return there

    def _shell(self, script: str) -> str:
        ended = self._adb.run(["-s", self._serial, "shell", f"{script}\necho {benchmark_model.END} $?"], _AT_ONCE)
        text, end, _ = ended.text.rpartition(benchmark_model.END)
        if not end:
            raise android.adb_fault(self._serial, "asking it", ended.code, ended.text)
        return text


@contextlib.contextmanager
def _kept(faults: dict[int, MlpackError], place: int) -> Iterator[None]:
    """Keep what is a model's own fault, so that the others go on; what is the device's passes."""
    try:
        yield
    except (Unsupported, WorkerFault) as fault:
        faults[place] = fault


def _raw(array: Array) -> bytes:
    """As the tool reads it: the elements' bytes; texts in UTF-8, each with a zero behind it."""
    if array.dtype.kind in "OUS":
        texts = (text if isinstance(text, bytes) else str(text).encode() for text in array.ravel().tolist())
        return b"".join(text + b"\0" for text in texts)
    return np.ascontiguousarray(array).tobytes()
