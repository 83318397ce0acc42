"""Convert one net of edge_nets.py to TFLite with a peer, in the peer's own environment. The file lands at OUT.

    python benchmarks/peer_tflite.py NAME OUT.tflite [--onnx DIR] [--channel-last] [--through-tensorflow]

The environments, which cannot be one with the project's (litert-torch weighs 2.1 GB, onnx2tf pins everything):

    python3.11 -m venv peers/litert-torch && peers/litert-torch/bin/pip install torch==2.13.0 litert-torch==0.10.0
    python3.12 -m venv peers/onnx2tf && peers/onnx2tf/bin/pip install onnx2tf==2.6.9
    python3.12 -m venv peers/onnx2tf-tf && peers/onnx2tf-tf/bin/pip install 'onnx2tf[tensorflow]==2.6.9'

Which peer it is follows from what can be imported. litert-torch reads the PyTorch net itself and fixes the batch at 1;
--channel-last lets it have images channel-last at the border, as onnx2tf has them. onnx2tf reads
DIR/NAME.b1.onnx, which `tflite_nets.py --export DIR` writes: batch 1, where its graphs are leanest.
--through-tensorflow takes its older road through TensorFlow, for the third environment. All seven at once, for
`tflite_nets.py --peers DIR`, which takes every DIR/NAME.*.tflite:

    .venv/bin/python benchmarks/tflite_nets.py --export DIR
    for name in mlp depthwise_cnn residual_cnn unet lstm bigru transformer; do
        peers/litert-torch/bin/python benchmarks/peer_tflite.py $name DIR/$name.litert-torch.tflite
        peers/litert-torch/bin/python benchmarks/peer_tflite.py $name DIR/$name.litert-torch-nhwc.tflite --channel-last
        peers/onnx2tf/bin/python benchmarks/peer_tflite.py $name DIR/$name.onnx2tf.tflite --onnx DIR
        peers/onnx2tf-tf/bin/python benchmarks/peer_tflite.py $name DIR/$name.onnx2tf-tf.tflite \
            --onnx DIR --through-tensorflow
    done

A peer that fails leaves no file, and its error stands as it is. Whether a file is right, `tflite_nets.py` says.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def with_litert_torch(name: str, out: Path, channel_last: bool) -> None:
    import edge_nets
    import litert_torch
    import torch

    net, shape = edge_nets.build(name), edge_nets.SHAPES[name]
    if channel_last and len(shape) == 3:
        images = [0] if name == "unet" else None
        net = litert_torch.to_channel_last_io(net, args=[0], outputs=images)
        shape = (*shape[1:], shape[0])
    elif channel_last:
        raise SystemExit(f"{name} takes no images")
    litert_torch.convert(net, (torch.zeros(1, *shape),)).export(str(out))


def with_onnx2tf(source: Path, out: Path, through_tensorflow: bool) -> None:
    tools = Path(sys.executable).parent  # onnx2tf looks for programs beside it, such as onnxsim, on the path
    backend = "tf_converter" if through_tensorflow else "flatbuffer_direct"
    with tempfile.TemporaryDirectory() as folder:
        line = [str(tools / "onnx2tf"), "-i", str(source), "-o", folder, "-tb", backend, "-n"]
        subprocess.run(line, check=True, env=os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"})
        shutil.copyfile(next(Path(folder).glob("*float32.tflite")), out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="a net of edge_nets.py")
    parser.add_argument("out", type=Path)
    parser.add_argument("--onnx", type=Path, help="the folder with NAME.b1.onnx, for onnx2tf")
    parser.add_argument("--channel-last", action="store_true", help="litert-torch: images channel-last at the border")
    parser.add_argument("--through-tensorflow", action="store_true", help="onnx2tf: the road through TensorFlow")
    options = parser.parse_args()
    if importlib.util.find_spec("litert_torch"):
        with_litert_torch(options.name, options.out, options.channel_last)
    elif options.onnx is None:
        parser.error("onnx2tf reads ONNX: --onnx DIR, the folder that tflite_nets.py --export wrote")
    else:
        with_onnx2tf(options.onnx / f"{options.name}.b1.onnx", options.out, options.through_tensorflow)


if __name__ == "__main__":
    main()
