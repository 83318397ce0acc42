"""A model in its runtime: loaded, answered, and as calls that can be timed."""

from __future__ import annotations

import base64
import os
import platform
import sys
import sysconfig
import time
import zlib
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Tuple

from mlpack_edge.devices.targets.agent.frames import Refusal

#: Returns nothing; its duration is the sample.
Call = Callable[[], Any]
#: What comes before a call, untimed, and the call.
Step = Tuple[Optional[Call], Call]
Feeds = Dict[str, Any]


class OnnxModel:
    """A model in ONNX Runtime. Inputs and outputs stay bound where all of them are numbers, else `run` is called."""

    def __init__(self, path: str, threads: int, spinning: bool, profile: str = "", io: str = "") -> None:
        try:
            import onnxruntime
        except ImportError as fault:
            raise missing("onnxruntime", fault) from fault
        self._ort = onnxruntime
        self.io = io or "binding"
        self.runtime = ("onnxruntime", onnxruntime.__version__)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
        if profile:
            options.enable_profiling = True
            options.profile_file_prefix = profile
        start = time.perf_counter_ns()
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.load_ns = time.perf_counter_ns() - start

    def answer(self, feeds: Feeds) -> Feeds:
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, feeds)))

    def calls(self, sets: List[Feeds], answers: List[Feeds]) -> List[Step]:
        """A step for each set of inputs."""
        tensors = [value for group in (*sets, *answers) for value in group.values()]
        plain = all(getattr(value, "dtype", None) is not None and value.dtype.kind in "biuf" for value in tensors)
        if self.io == "run" or not plain or any(0 in value.shape for value in tensors):
            self.io = "run"
            names = [output.name for output in self.session.get_outputs()]
            return [(None, partial(self.session.run, names, feeds)) for feeds in sets]
        made: List[Step] = []
        for feeds, answer in zip(sets, answers):
            binding = self.session.io_binding()
            for name, array in feeds.items():
                binding.bind_ortvalue_input(name, self._ort.OrtValue.ortvalue_from_numpy(array))
            for name, array in answer.items():
                binding.bind_ortvalue_output(name, self._ort.OrtValue.ortvalue_from_numpy(array.copy()))
            made.append((None, partial(self.session.run_with_iobinding, binding)))
        return made


class TfliteModel:
    """A model in LiteRT or tflite-runtime, XNNPACK on as these have it; the timed call is `invoke`."""

    def __init__(self, path: str, threads: int, spinning: bool, profile: str = "", io: str = "") -> None:
        self.runtime, interpreter = tflite_library()
        start = time.perf_counter_ns()
        self._interpreter = interpreter(model_path=path, num_threads=threads)
        self._inputs = self._interpreter.get_input_details()
        self._shapes: Optional[List[Tuple[int, ...]]] = None
        self.load_ns = time.perf_counter_ns() - start
        self.io = "invoke"

    def answer(self, feeds: Feeds) -> Feeds:
        self._set(feeds)
        self._interpreter.reset_all_variables()
        self._interpreter.invoke()
        outputs = self._interpreter.get_output_details()
        return {str(place): self._interpreter.get_tensor(found["index"]).copy() for place, found in enumerate(outputs)}

    def _set(self, feeds: Feeds) -> None:
        """The inputs by their place in the file."""
        arrays = [feeds[str(place)] for place in range(len(self._inputs))]
        shapes = [array.shape for array in arrays]
        if shapes != self._shapes:
            start = time.perf_counter_ns()
            for found, array in zip(self._inputs, arrays):
                if tuple(found["shape"]) != array.shape:
                    self._interpreter.resize_tensor_input(found["index"], array.shape)
            self._interpreter.allocate_tensors()
            if self._shapes is None:  # planning the memory is part of loading
                self.load_ns += time.perf_counter_ns() - start
            self._shapes = shapes
            self._inputs = self._interpreter.get_input_details()
        for found, array in zip(self._inputs, arrays):
            self._interpreter.set_tensor(found["index"], array)

    def calls(self, sets: List[Feeds], answers: List[Feeds]) -> List[Step]:
        return [(partial(self._set, feeds), self._interpreter.invoke) for feeds in sets]


def tflite_library() -> Tuple[Tuple[str, str], Any]:
    """((distribution, version), Interpreter) of the first package that runs a model: an import proves nothing."""
    import importlib
    from importlib.metadata import version

    reasons = []
    for name, module in (
        ("ai-edge-litert", "ai_edge_litert.interpreter"),
        ("tflite-runtime", "tflite_runtime.interpreter"),
    ):
        try:
            interpreter = importlib.import_module(module).Interpreter
            interpreter(model_content=TINY).allocate_tensors()
        except (ImportError, SystemError, RuntimeError, ValueError, AttributeError) as fault:
            reasons.append("%s: %s" % (name, " ".join(str(fault).split())[:200]))
        else:
            return (name, version(name)), interpreter
    raise Refusal(
        "missing-extra", "no package that runs TFLite files works on the target", "; ".join(reasons), install_line("tflite")
    )  # fmt: skip


def missing(package: str, fault: BaseException, format: str = "onnx") -> Refusal:
    return Refusal(
        "missing-extra", "the target has no %s that can be imported" % package, " ".join(str(fault).split())[:300],
        install_line(format),
    )  # fmt: skip


def install_line(format: str) -> str:
    """What installs the runtime where this runs. A Python that the system keeps takes no packages (PEP 668)."""
    packages = "onnxruntime numpy" if format == "onnx" else "ai-edge-litert numpy"
    if format == "tflite" and platform.machine() in ("armv6l", "armv7l", "armv8l"):
        packages = 'tflite-runtime "numpy<2"'
    marked = os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED"))
    if marked and sys.prefix == sys.base_prefix:
        return (
            "on the target: %s -m venv ~/mlpack && ~/mlpack/bin/pip install %s, then give --target-python ~/mlpack/bin/python"
            % (sys.executable, packages)
        )
    return "on the target: %s -m pip install %s" % (sys.executable, packages)


#: A TFLite file of 304 bytes, y = x + x for two float32 numbers: zlib, then base 85.
TINY = zlib.decompress(base64.b85decode(
    "c-rG&U|<Mw^D*A{|NnmxAX^5Ab%2<Ik%563NCPPb79eH-%JTrJ+?;~M<ZOk4qWq*(2B<tp9|Hp)g9MNzz`(=60o1_<6$hCY1H=hHoB}l~H!(90"
    "T`!0R>E(v%6#$DfaPvUf4M6)Dp?a7Y5P%U0GeG4Gp!Pfg>fr#=JW%;cB>g;KcQSxgg5;6aRUoNjgvzmiAp-*dQ2rVz"
))  # fmt: skip
#: An ONNX file of 67 bytes, y = Identity(x) for one float32 number, opset 13.
IDENTITY = zlib.decompress(
    base64.b85decode("c-rG&7h<q7=MvyztPo<XRO0YVNzE(CEU6S?OpoFR33739a4-t7a4~T(CIJO1kp-MsxEKU@0cQRPyZ")
)
FORMATS: Dict[str, Any] = {"onnx": OnnxModel, "tflite": TfliteModel}
