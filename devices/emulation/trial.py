"""Run by a guest's Python: import the runtimes and run a model of y = x + x in each. Imports nothing of ours.

usage: trial.py FOLDER, where the folder holds tiny.onnx and tiny.tflite (or one of them).
Prints one line of JSON: {"python", "machine", "part": [of the CPU], "versions": {distribution: version}}.
"""

import json
import platform
import re
import sys
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np


def _onnx(model: bytes) -> tuple[str, list[float]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return "onnxruntime", session.run(None, {"x": np.array([1.0, 2.5], np.float32)})[0].tolist()


def _tflite(model: bytes) -> tuple[str, list[float]]:
    name = "ai-edge-litert" if find_spec("ai_edge_litert") else "tflite-runtime"
    interpreter = import_module(name.replace("-", "_") + ".interpreter").Interpreter(model_content=model)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.array([1.0, 2.5], np.float32))
    interpreter.invoke()
    return name, interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).tolist()


def main() -> None:
    versions = {"numpy": np.__version__}
    for file, run in (("tiny.onnx", _onnx), ("tiny.tflite", _tflite)):
        model = Path(sys.argv[1]) / file
        if model.exists():
            name, made = run(model.read_bytes())
            if made != [2.0, 5.0]:
                raise SystemExit(f"error: {name} gave {made} for [2.0, 5.0]")
            versions[name] = version(name)
    parts = re.findall(r"^CPU part\s*: (\w+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    about = {"python": platform.python_version(), "machine": platform.machine(), "part": parts[:1]}
    print(json.dumps(about | {"versions": versions}))


if __name__ == "__main__":
    main()
