"""Writes the tiny ONNX models of the conformance tests, and what ONNX Runtime answers on them.

Run in this folder: python make_models.py
Needs numpy, onnx and onnxruntime. The answers are those of a straight call per step: state is passed by hand.
"""

import json

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OPSET = [helper.make_opsetid("", 17)]
random = np.random.default_rng(7)


def value(name, kind, dims):
    return helper.make_tensor_value_info(name, kind, dims)


def half(name, *dims):
    """A weight stored in 16 bits, and the node that turns it into 32."""
    weight = (random.standard_normal(dims) * 0.5).astype(np.float16)
    node = helper.make_node("Cast", [name + "_f16"], [name], name="cast_" + name, to=TensorProto.FLOAT)
    return numpy_helper.from_array(weight, name + "_f16"), node


def single(name, *dims):
    return numpy_helper.from_array((random.standard_normal(dims) * 0.5).astype(np.float32), name)


def save(name, nodes, inputs, outputs, weights, check=True):
    graph = helper.make_graph(nodes, name, inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=OPSET, ir_version=8)
    if check:
        onnx.checker.check_model(model)
    with open(name + ".onnx", "wb") as file:
        file.write(model.SerializeToString(deterministic=True))


def session(name):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(name + ".onnx", options, providers=["CPUExecutionProvider"])


def two_inputs():
    """Rows of a table, their mean added to a matrix product: two inputs of two types, two outputs."""
    (table, cast_table), (matrix, cast_matrix) = half("table", 10, 6), half("matrix", 4, 6)
    nodes = [
        cast_table,
        cast_matrix,
        helper.make_node("Gather", ["table", "ids"], ["rows"], name="rows", axis=0),
        helper.make_node("ReduceMean", ["rows"], ["mean"], name="mean", axes=[1], keepdims=0),
        helper.make_node("MatMul", ["x", "matrix"], ["product"], name="product"),
        helper.make_node("Add", ["product", "mean"], ["sum"], name="sum"),
        helper.make_node("Tanh", ["sum"], ["squashed"], name="squashed"),
    ]
    save(
        "two_inputs",
        nodes,
        [value("x", TensorProto.FLOAT, [1, 4]), value("ids", TensorProto.INT64, [1, 3])],
        [value("sum", TensorProto.FLOAT, [1, 6]), value("squashed", TensorProto.FLOAT, [1, 6])],
        [table, matrix],
    )
    runner = session("two_inputs")
    cases = []
    for _ in range(3):
        x = random.standard_normal((1, 4)).astype(np.float32)
        ids = random.integers(0, 10, (1, 3))
        total, squashed = runner.run(["sum", "squashed"], {"x": x, "ids": ids})
        cases.append({"x": flat(x), "ids": flat(ids), "sum": flat(total), "squashed": flat(squashed)})
    return cases


def step():
    """A recurrent cell: h' = tanh(x W + h U), y = h' V, and the sum of h' as a second way to look at it."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"], name="xw"),
        helper.make_node("MatMul", ["h", "u"], ["hu"], name="hu"),
        helper.make_node("Add", ["xw", "hu"], ["drive"], name="drive"),
        helper.make_node("Tanh", ["drive"], ["h_next"], name="cell"),
        helper.make_node("MatMul", ["h_next", "v"], ["y"], name="y"),
        helper.make_node("ReduceSum", ["h_next"], ["total"], name="total", keepdims=1),
    ]
    save(
        "step",
        nodes,
        [value("x", TensorProto.FLOAT, [1, 3]), value("h", TensorProto.FLOAT, [1, 5])],
        [
            value("y", TensorProto.FLOAT, [1, 2]),
            value("total", TensorProto.FLOAT, [1, 1]),
            value("h_next", TensorProto.FLOAT, [1, 5]),
        ],
        [single("w", 3, 5), single("u", 5, 5), single("v", 5, 2)],
    )
    runner = session("step")
    h = np.zeros((1, 5), np.float32)
    steps = []
    for _ in range(6):
        x = random.standard_normal((1, 3)).astype(np.float32)
        y, total, h = runner.run(["y", "total", "h_next"], {"x": x, "h": h})
        steps.append({"x": flat(x), "y": flat(y), "total": flat(total)})
    return steps


def encode():
    """Mean of the rows whose mask is 1, as logits: one graph for every length, so padding must not count."""
    (table, cast_table), (matrix, cast_matrix) = half("table", 12, 4), half("matrix", 4, 2)
    axes = numpy_helper.from_array(np.array([2], np.int64), "last")
    nodes = [
        cast_table,
        cast_matrix,
        helper.make_node("Gather", ["table", "token_ids"], ["rows"], name="rows", axis=0),
        helper.make_node("Cast", ["attention_mask"], ["mask"], name="mask", to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"], name="column"),
        helper.make_node("Mul", ["rows", "column"], ["kept"], name="kept"),
        helper.make_node("ReduceSum", ["kept", "one"], ["total"], name="total", keepdims=0),
        helper.make_node("ReduceSum", ["mask", "one"], ["count"], name="count", keepdims=1),
        helper.make_node("Div", ["total", "count"], ["mean"], name="mean"),
        helper.make_node("MatMul", ["mean", "matrix"], ["logits"], name="logits"),
    ]
    save(
        "encode",
        nodes,
        [value("token_ids", TensorProto.INT64, [1, "L"]), value("attention_mask", TensorProto.INT64, [1, "L"])],
        [value("logits", TensorProto.FLOAT, [1, 2])],
        [table, matrix, axes, numpy_helper.from_array(np.array([1], np.int64), "one")],
    )
    runner = session("encode")
    cases = []
    for length in [2, 3, 4, 7, 8]:
        ids = random.integers(1, 12, (1, length))
        mask = np.ones_like(ids)
        (logits,) = runner.run(["logits"], {"token_ids": ids, "attention_mask": mask})
        cases.append({"token_ids": flat(ids), "logits": flat(logits)})
    return cases


def gru(name, linear_before_reset):
    """A whole recurrence inside the graph: nothing of it may stay in the engine for the next run."""
    attributes = {"hidden_size": 3, "linear_before_reset": linear_before_reset}
    nodes = [helper.make_node("GRU", ["x", "w", "r"], ["", "last"], name="gru", **attributes)]
    save(
        name,
        nodes,
        [value("x", TensorProto.FLOAT, [4, 1, 2])],
        [value("last", TensorProto.FLOAT, [1, 1, 3])],
        [single("w", 1, 9, 2), single("r", 1, 9, 3)],
    )
    x = random.standard_normal((4, 1, 2)).astype(np.float32)
    (last,) = session(name).run(["last"], {"x": x})
    return [{"x": flat(x), "last": flat(last)}]


def missing_operator():
    """Two nodes of operators that no engine has."""
    nodes = [
        helper.make_node("FancyActivation", ["x"], ["warm"], name="first_fancy"),
        helper.make_node("OtherFancy", ["warm"], ["y"], name="second_fancy"),
    ]
    inputs, outputs = [value("x", TensorProto.FLOAT, [1, 4])], [value("y", TensorProto.FLOAT, [1, 4])]
    save("missing_operator", nodes, inputs, outputs, [], check=False)


def flat(array):
    return [float(item) if array.dtype.kind == "f" else int(item) for item in array.reshape(-1)]


def main():
    answers = {"two_inputs": two_inputs(), "step": step(), "encode": encode()}
    answers["gru"] = gru("gru", 0)
    answers["gru_linear"] = gru("gru_linear", 1)
    missing_operator()
    with open("answers.json", "w") as file:
        json.dump(answers, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
