"""The peers of `quantize.py`, and the virtual environment in which each runs, made when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from peer_environments import python_in

SCRIPTS = Path(__file__).parent / "quantize_peers"
ENVIRONMENTS = {
    "onnxruntime": ("onnxruntime==1.31.1", "onnx==1.23.2", "numpy==2.4.6", "sympy==1.14.0"),
    "nncf": ("nncf==3.4.0", "onnx==1.23.2", "onnxruntime==1.31.1", "numpy==2.4.6"),
    "ai-edge-quantizer": ("ai-edge-quantizer==0.10.0", "ai-edge-litert==2.3.0", "numpy==2.4.6"),
}


@dataclass(frozen=True, slots=True)
class Peer:
    """title: as tables have it. format: of what it reads and writes. mode: the script's last argument."""

    title: str
    script: str
    environment: str
    format: str
    mode: str


PEERS = {
    "ort-static": Peer("onnxruntime static, defaults", "onnxruntime_defaults.py", "onnxruntime", "onnx", "static"),
    "ort-dynamic": Peer("onnxruntime dynamic, defaults", "onnxruntime_defaults.py", "onnxruntime", "onnx", "dynamic"),
    "nncf": Peer("NNCF accuracy control", "nncf_accuracy_control.py", "nncf", "onnx", "accuracy-control"),
    "aeq-static": Peer("ai-edge-quantizer static int8", "edge_quantizer.py", "ai-edge-quantizer", "tflite", "static"),
    "aeq-minmax": Peer(
        "ai-edge-quantizer static, true min/max", "edge_quantizer.py", "ai-edge-quantizer", "tflite", "minmax"
    ),
    "aeq-dynamic": Peer(
        "ai-edge-quantizer dynamic range", "edge_quantizer.py", "ai-edge-quantizer", "tflite", "dynamic"
    ),
}


def python_of(folder: Path, environment: str) -> Path:
    """The interpreter of an environment under `folder`, installed if it is not there or holds other versions."""
    return python_in(folder / "environments" / environment, ENVIRONMENTS[environment])


def peer_line(folder: Path, name: str, job: Path) -> list[str]:
    """The command that runs a peer on a job file."""
    peer = PEERS[name]
    return [str(python_of(folder, peer.environment)), str(SCRIPTS / peer.script), str(job), peer.mode]
