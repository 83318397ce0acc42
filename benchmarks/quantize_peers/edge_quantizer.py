"""ai-edge-quantizer on a float TFLite file: static int8 with its own calibration, static int8 with the true minimum and
maximum of every tensor in place of its moving average, or dynamic range (int8 weights, float activations)."""

from __future__ import annotations

from pathlib import Path

import flatbuffers
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import calibrator, quantizer, recipe, recipe_manager
from ai_edge_quantizer.utils import qsv_utils
from job import Job, peer, single_rows


def run(job: Job, mode: str) -> None:
    source = named(job)
    tool = quantizer.Quantizer(str(source))
    tool.load_quantization_recipe(recipe.dynamic_wi8_afp32() if mode == "dynamic" else recipe.static_wi8_ai8())
    result = None
    if tool.need_calibration:
        key = next(iter(Interpreter(str(source)).get_signature_list()))
        data = {key: list(single_rows(job.calib))}
        if mode == "static":
            result = tool.calibrate(data, num_threads=1)
        else:
            measured = calibrator.Calibrator(str(source), num_threads=1, qsv_update_func=qsv_utils.min_max_update)
            manager = recipe_manager.RecipeManager()
            manager.load_quantization_recipe(recipe.static_wi8_ai8())
            measured.calibrate(data, manager)
            result = measured.get_model_qsvs()
    tool.quantize(result).export_model(str(job.out), overwrite=True)


def named(job: Job) -> Path:
    """The model with a name for every tensor: the quantizer keeps its statistics by name, and a file may leave them out."""
    model = schema.ModelT.InitFromPackedBuf(job.model.read_bytes(), 0)
    seen: set[bytes] = set()
    for number, graph in enumerate(model.subgraphs):
        for place, tensor in enumerate(graph.tensors):
            if tensor.name is None or tensor.name in seen:
                tensor.name = b"graph %d tensor %d" % (number, place)
            seen.add(tensor.name)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    path = job.out.with_suffix(".named.tflite")
    path.write_bytes(builder.Output())
    return path


peer(run)
