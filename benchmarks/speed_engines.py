"""ONNX Runtime's and OpenVINO's side of benchmarks/speed.py: one inference of the paper's ResNets, in 32, 16 and 8 bits.

Runs in an environment with onnx, onnxruntime, openvino and numpy: python benchmarks/speed_engines.py inference DEPTH K SECONDS
prints JSON. int8 is quantised as ONNX Runtime does it, statically: filters by channel, activations by calibration on noise.
"""

import json
import os
import pathlib
import sys
import tempfile

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import onnx
import onnxruntime
import openvino
from median import median_ms
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization

STRIDES = {15: (2, 2, 2), 30: (2, 1, 1, 1, 2, 1)}
ACTIONS, SHAPE, CALIBRATION = 6, (1, 1, 84, 84), 4


class Graph:
    """Grows an ONNX model, a node at a time; weights are random."""

    def __init__(self):
        self.nodes, self.weights, self.rng = [], [], np.random.default_rng(0)

    def add(self, kind: str, *inputs: str, **attributes) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def weight(self, *shape: int) -> str:
        spread = 1 / np.sqrt(max(1, np.prod(shape[1:])))
        name = f"weight_{len(self.weights)}"
        values = (spread * self.rng.standard_normal(shape)).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def convolution(self, x: str, inputs: int, outputs: int, padding: int) -> str:
        weights = self.weight(outputs, inputs, 3, 3), self.weight(outputs)
        return self.add("Conv", x, *weights, kernel_shape=[3, 3], pads=[padding] * 4)

    def dense(self, x: str, inputs: int, outputs: int) -> str:
        return self.add("Gemm", x, self.weight(outputs, inputs), self.weight(outputs), transB=1)


def model(k: float, depth: int) -> onnx.ModelProto:
    """The network of benchmarks/speed_torch.py."""
    graph, x, channels, size = Graph(), "x", 1, SHAPE[-1]
    for block, stride in enumerate(STRIDES[depth]):
        filters = max(1, int((16 if block == 0 else 32) * k))
        x = graph.convolution(x, channels, filters, 0)
        x = graph.add("MaxPool", x, kernel_shape=[3, 3], strides=[stride, stride])
        channels, size = filters, (size - 5) // stride + 1
        for _ in range(2):
            y = graph.convolution(graph.add("Relu", x), filters, filters, 1)
            x = graph.add("Add", x, graph.convolution(graph.add("Relu", y), filters, filters, 1))
    x = graph.add("Flatten", graph.add("Relu", x))
    x = graph.dense(graph.add("Relu", graph.dense(x, channels * size * size, 512)), 512, ACTIONS)
    ends = [
        helper.make_tensor_value_info(*end) for end in (("x", TensorProto.FLOAT, SHAPE), (x, TensorProto.FLOAT, None))
    ]
    whole = helper.make_graph(graph.nodes, "resnet", ends[:1], ends[1:], graph.weights)
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


class Frames(quantization.CalibrationDataReader):
    def __init__(self):
        rng = np.random.default_rng(1)
        self.left = [{"x": rng.random(SHAPE, np.float32)} for _ in range(CALIBRATION)]

    def get_next(self):
        return self.left.pop() if self.left else None


def runtime(path: pathlib.Path, seconds: float) -> float:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(2).random(SHAPE, np.float32)
    return median_ms(lambda: int(session.run(None, {"x": x})[0].argmax()), seconds)


def vino(path: pathlib.Path, precision: str, seconds: float) -> float:
    options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.compile_model(path, "CPU", options).create_infer_request()
    request.set_input_tensor(openvino.Tensor(np.random.default_rng(2).random(SHAPE, np.float32)))

    def step() -> int:
        request.infer()
        return int(request.get_output_tensor().data.argmax())

    return median_ms(step, seconds)


def main() -> None:
    depth, k, seconds = int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    with tempfile.TemporaryDirectory() as folder:
        whole, prepared, short = (pathlib.Path(folder) / f"{name}.onnx" for name in ("float32", "prepared", "int8"))
        onnx.save(model(k, depth), whole)
        quantization.quant_pre_process(whole, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(prepared, short, Frames(), per_channel=True)
        found = {
            "float32": {"ONNX Runtime": runtime(whole, seconds), "OpenVINO": vino(whole, "f32", seconds)},
            "bfloat16": {"OpenVINO": vino(whole, "bf16", seconds)},
            "int8": {"ONNX Runtime": runtime(short, seconds), "OpenVINO": vino(short, "f32", seconds)},
        }
    versions = {"onnxruntime": onnxruntime.__version__, "openvino": openvino.__version__.split("-")[0]}
    print(json.dumps({"all": found, "versions": versions}))


main()
