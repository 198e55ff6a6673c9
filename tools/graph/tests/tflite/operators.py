"""Writes operators.json: small files that TensorFlow's converter makes, one for each group of operators, and what
LiteRT's reference kernels answer.

    python operators.py > operators.json

needs tensorflow, ai-edge-litert, numpy and Pillow. Inputs are those of make.py.
"""

import base64
import importlib.util
import json
import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

spec = importlib.util.spec_from_file_location("make", pathlib.Path(__file__).parent / "make.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)


def weights(*shape):
    words = make.random_words(sum(shape), int(numpy.prod(shape))) >> numpy.uint64(40)
    return (words.astype(numpy.float32) / (1 << 24) - 0.5).reshape(shape).astype(numpy.float32)


image = [1, 6, 7, 4]
v1 = tf.compat.v1
RESIZES = [(7, 9), (12, 14), (3, 5)]
CASES = {
    "transposed_same": (lambda x: tf.nn.conv2d_transpose(x, weights(3, 3, 2, 4), [1, 12, 14, 2], 2, "SAME"), [image]),
    "transposed_valid": (lambda x: tf.nn.conv2d_transpose(x, weights(3, 4, 2, 4), [1, 13, 16, 2], 2, "VALID"), [image]),
    "convolutions": (lambda x: tf.nn.conv2d(tf.nn.relu(tf.nn.conv2d(x, weights(3, 3, 4, 5), [1, 2, 1, 1], "SAME")),
                                            weights(2, 3, 5, 3), 1, "VALID", dilations=[1, 1, 2, 1]), [image]),
    "depthwise": (lambda x: tf.nn.relu6(tf.nn.depthwise_conv2d(x, weights(3, 3, 4, 2), [1, 1, 1, 1], "SAME")), [image]),
    "convolution_3d": (lambda x: tf.nn.conv3d(x, weights(2, 3, 2, 3, 4), [1, 1, 2, 1, 1], "SAME"), [[1, 4, 5, 6, 3]]),
    "pools": (lambda x: [tf.nn.max_pool2d(x, 3, 2, "SAME"), tf.nn.avg_pool2d(x, [2, 3], 2, "SAME")], [image]),
    "resize_half_pixel": (lambda x: [tf.image.resize(x, s) for s in RESIZES], [image]),
    "resize_corners": (lambda x: [v1.image.resize_bilinear(x, s, align_corners=True) for s in RESIZES], [image]),
    "resize_legacy": (lambda x: [v1.image.resize_bilinear(x, s) for s in RESIZES], [image]),
    "nearest_half_pixel": (lambda x: [tf.image.resize(x, s, method="nearest") for s in RESIZES], [image]),
    "nearest_corners": (lambda x: [v1.image.resize_nearest_neighbor(x, s, align_corners=True) for s in RESIZES], [image]),
    "nearest_legacy": (lambda x: [v1.image.resize_nearest_neighbor(x, s) for s in RESIZES], [image]),
    "blocks": (lambda x: [tf.nn.depth_to_space(x, 2), tf.nn.space_to_depth(x[:, :, :6], 2),
                          tf.space_to_batch(x, [2, 3], [[0, 0], [1, 1]]),
                          tf.batch_to_space(tf.tile(x, [4, 1, 1, 1]), [2, 2], [[1, 0], [0, 2]])], [image]),
    "pads": (lambda x: [tf.pad(x, [[0, 0], [1, 2], [0, 3], [0, 0]]), tf.pad(x, [[0, 0], [2, 1], [1, 0], [1, 0]], "REFLECT"),
                        tf.pad(x, [[0, 1], [0, 0], [2, 0], [0, 1]], constant_values=-3.5)], [image]),
    "strided_slices": (lambda x: [x[:, ::-1, 1:5:2], x[..., 2], x[0, 1:-1, tf.newaxis], x[:, -1, ::-2], x[0, ..., 1:2]], [image]),
    "slices": (lambda x: [tf.slice(x, [0, 1, 2, 0], [1, -1, 3, 2]), *tf.split(x, 2, axis=3), *tf.split(x, [1, 5, 1], axis=2)],
               [image]),
    "stacks": (lambda x, y: [tf.stack([x, y], axis=1), *tf.unstack(x, axis=0), tf.concat([x, y], -1)], [[3, 4], [3, 4]]),
    "gathers": (lambda x: [tf.gather(x, [2, 0, 2], axis=1), tf.gather_nd(x, [[0, 1], [2, 3]]),
                           tf.gather(x, [[1, 0], [2, 2], [3, 1]], axis=1, batch_dims=1)], [[3, 4, 2]]),
    "scatters": (lambda x: [tf.scatter_nd([[4], [1], [4]], x, [6, 4]), tf.reverse(x, [1]),
                            tf.reverse_sequence(x, [2, 4, 1], seq_axis=1)], [[3, 4]]),
    "places": (lambda x: [tf.argmax(x, -1), tf.argmin(x, 0, output_type=tf.int32), *tf.math.top_k(x, 3), tf.cumsum(x, 1),
                          tf.cumsum(x, 0, exclusive=True, reverse=True), tf.one_hot(tf.cast(x * 3 + 3, tf.int32), 6, 2.0, -1.0)],
               [[3, 5]]),
    "softmaxes": (lambda x: [tf.nn.softmax(x), tf.nn.log_softmax(x), tf.math.l2_normalize(x, -1)], [[3, 5]]),
    "local_response": (lambda x: tf.nn.local_response_normalization(x, 1, 1.0, 0.5, 0.75), [image]),
    "activations": (lambda x: [tf.nn.elu(x), tf.nn.gelu(x, True), tf.nn.leaky_relu(x, 0.3), tf.nn.tanh(x),
                               tf.nn.sigmoid(x), x * tf.nn.relu6(x + 3) / 6, tf.nn.relu6(x), tf.nn.swish(x),
                               tf.minimum(tf.maximum(x, -1.0), 1.0)], [[4, 9]]),
    "functions": (lambda x: [tf.abs(x), -x, tf.sign(x), tf.floor(x), tf.math.ceil(x), tf.round(x), tf.sin(x), tf.cos(x),
                             tf.exp(x), tf.square(x)], [[4, 9]]),
    "functions_above_zero": (lambda x: [tf.sqrt(tf.abs(x)), tf.math.rsqrt(tf.abs(x) + 0.5), tf.math.log(tf.abs(x) + 0.1),
                                        tf.pow(tf.abs(x), 1.7)], [[4, 9]]),
    "pairs": (lambda x, y: [x + y, tf.nn.relu(x - y), x * y, x / (y + 9), tf.maximum(x, y), tf.minimum(x, y),
                            tf.math.squared_difference(x, y), tf.math.floordiv(x, y + 9), tf.math.floormod(x, y + 9),
                            tf.add_n([x, x, x])], [[3, 4], [1, 4]]),
    "comparisons": (lambda x, y: [tf.where(c, x, y) for c in (x > y, x >= y, x < y, x <= y, tf.equal(x, y),
                                  tf.logical_and(x > 0, y > 0), tf.logical_or(x > 0, y > 0), tf.logical_not(x > 0))],
                    [[3, 4], [3, 4]]),
    "reductions": (lambda x: [tf.reduce_mean(x, [1, 2]), tf.reduce_sum(x, -1, keepdims=True), tf.reduce_max(x, 2),
                              tf.reduce_min(x, [0, 3]), tf.reduce_prod(x, 1),
                              tf.cast(tf.reduce_any(x > 1.5, 1), tf.float32), tf.cast(tf.reduce_all(x > -1.5, 3), tf.float32)],
                   [image]),
    "products": (lambda x, y: [tf.matmul(x, y), tf.matmul(x, x, transpose_b=True), tf.matmul(y, y, transpose_a=True),
                               tf.matmul(x, weights(5, 3))], [[2, 4, 5], [2, 5, 3]]),
    "shapes": (lambda x: [tf.reshape(x, [4, -1]), tf.transpose(x, [0, 3, 1, 2]), tf.expand_dims(x, 2), tf.squeeze(x),
                          tf.tile(x, [2, 1, 1, 3]), tf.broadcast_to(x[:, :1, :1], [2, 3, 5, 4]),
                          tf.reshape(x, tf.concat([tf.shape(x)[:2], [-1]], 0)), tf.cast(tf.cast(x * 9, tf.int32), tf.float32),
                          tf.zeros_like(x) + tf.cast(tf.range(tf.shape(x)[3]), tf.float32)], [image]),
    "spectrum": (lambda x: [tf.abs(tf.signal.rfft(x)), tf.math.real(tf.signal.rfft2d(x)), tf.math.imag(tf.signal.rfft2d(x))],
                 [[4, 16]]),
}


def convert(function, shapes):
    names = [f"x{n}" for n in range(len(shapes))]
    signature = [tf.TensorSpec(shape, tf.float32, name) for name, shape in zip(names, shapes)]
    concrete = tf.function(lambda *x: function(*x), input_signature=signature).get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()


def recurrent():
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.Input((5, 3), batch_size=1), layers.LSTM(4, return_sequences=True), layers.LSTM(2)])
    for n, weight in enumerate(model.weights):
        weight.assign(weights(*weight.shape.as_list()) * (1 + n % 3))
    return tf.lite.TFLiteConverter.from_keras_model(model).convert()


def load(name, content):
    # Some operators have one kernel only, which the resolver of reference kernels does not name; and the reference
    # kernel of local response normalisation leaves out the last channel of its window.
    resolvers = [OpResolverType.BUILTIN_REF, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES]
    for resolver in resolvers[name == "local_response":]:
        try:
            interpreter = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=resolver)
            interpreter.allocate_tensors()
            return interpreter
        except ValueError as error:
            print(resolver.name, str(error)[:80], file=sys.stderr)
    raise ValueError("no resolver loads the file")


def main():
    found = []
    files = {name: lambda case=case: convert(*case) for name, case in CASES.items()}
    for name, file in {**files, "recurrent": recurrent}.items():
        try:
            content = file()
        except Exception as error:
            print(name, "is not converted:", str(error)[:200], file=sys.stderr)
            continue
        interpreter = load(name, content)
        operators = sorted({detail["op_name"] for detail in interpreter._get_ops_details()})
        specs, inputs = [], {}
        for n, detail in enumerate(interpreter.get_input_details()):
            specs.append({"name": detail["name"], "kind": "noise", "seed": n + 1, "low": -2, "high": 2})
            inputs[detail["index"]] = make.make_input(specs[-1], detail, None)
        for index, values in inputs.items():
            interpreter.set_tensor(index, values)
        interpreter.invoke()
        outputs = [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
        found.append({
            "name": name,
            "operators": operators,
            "file": base64.b64encode(content).decode(),
            "inputs": specs,
            "outputs": [make.summary(output) for output in outputs],
        })
        print(name, len(content), operators, file=sys.stderr)
    json.dump(found, sys.stdout, separators=(",", ":"))


if __name__ == "__main__":
    main()
