"""Writes golden.json: small Keras models, one for each kind of layer, and what tf_keras answers.

    python make.py > golden.json

needs tensorflow, tf_keras and numpy. Weights and inputs are made from integers alone, seeded by their names, so that
the test makes the same; the file holds their names and shapes only.
"""

import copy
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy
import tf_keras
from tf_keras import Sequential, layers
from tf_keras.models import Model

MASK = (1 << 64) - 1


def seed_of(name):
    """FNV-1a."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = ((state ^ byte) * 0x100000001B3) & MASK
    return state


def noise(name, shape):
    """SplitMix64, the upper 24 bits as a number of -0.5 to 0.5."""
    seed, count = seed_of(name), int(numpy.prod(shape))
    values = numpy.empty(count, numpy.float32)
    for n in range(count):
        z = (seed + (n + 1) * 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        values[n] = numpy.float32(((z ^ (z >> 31)) >> 40)) / numpy.float32(1 << 24) - numpy.float32(0.5)
    return values.reshape(shape)


def weight_of(name, shape):
    values = noise(name, shape)
    # A variance is above zero.
    return values + numpy.float32(1) if "variance" in name else values


def golden(name, model, change=None, whole=None):
    tables = []
    for layer in model.layers:
        for weight in layer.weights:
            weight.assign(weight_of(weight.name, weight.shape.as_list()))
        if layer.weights:
            tables.append([layer.name, [[w.name, w.shape.as_list()] for w in layer.weights]])
    inputs, shapes = [], []
    for n, tensor in enumerate(model.inputs):
        shape = [2, *tensor.shape.as_list()[1:]]
        shape = [5 if extent is None else extent for extent in shape]
        values = noise(f"input {n}", shape)
        if whole:
            values = numpy.floor((values + numpy.float32(0.5)) * numpy.float32(whole))
        inputs.append(values)
        shapes.append(shape)
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    config = json.loads(model.to_json())
    config = {"class_name": config["class_name"], "config": config["config"]}
    if change:
        config = change(copy.deepcopy(config))
    return {
        "name": name,
        "config": config,
        "weights": tables,
        "inputs": shapes,
        "whole": whole,
        "outputs": [
            {"shape": list(o.shape), "values": [float(f"{v:.8g}") for v in o.numpy().reshape(-1)]} for o in outputs
        ],
    }


def chain(name, shape, *members, **more):
    return golden(name, Sequential([layers.Input(shape), *members]), **more)


def as_keras_2_0(config):
    """A Sequential's layers in a bare list, the input's shape in the first."""
    members = config["config"]["layers"]
    shape = members[0]["config"]["batch_input_shape"]
    members[1]["config"]["batch_input_shape"] = shape
    return {"class_name": "Sequential", "config": members[1:]}


def with_merge(config):
    """Keras 2.0 could still have Merge layers."""
    modes = {"Add": "sum", "Concatenate": "concat", "Average": "ave", "Maximum": "max"}
    for layer in config["config"]["layers"]:
        if layer["class_name"] in modes:
            layer["config"] = {"name": layer["name"], "mode": modes[layer["class_name"]], "concat_axis": -1}
            layer["class_name"] = "Merge"
    config["class_name"] = "Model"
    return config


def branches(*joins):
    a, b = layers.Input((6, 5, 3)), layers.Input((6, 5, 3))
    x, y = layers.Conv2D(4, 3, padding="same")(a), layers.Conv2D(4, 1)(b)
    return Model([a, b], [join([x, y]) for join in joins])


def shared():
    a, b = layers.Input((4,)), layers.Input((4,))
    inner = Sequential([layers.Dense(5, activation="tanh"), layers.Dense(3)], name="tower")
    inner.build((None, 4))
    dense = layers.Dense(2, name="head")
    return Model([a, b], layers.Concatenate()([dense(inner(a)), dense(inner(b))]))


def with_states():
    x = layers.Input((5, 3))
    return Model(x, list(layers.LSTM(4, return_sequences=True, return_state=True)(x)))


def all_models():
    image = (9, 8, 3)
    yield chain("dense", (5,), layers.Dense(4, activation="relu"), layers.Dense(3, use_bias=False, activation="softmax"))
    yield chain("dense_of_sequences", (4, 5), layers.Dense(3, activation="softmax"))
    yield chain("convolution", image, layers.Conv2D(4, (3, 2), strides=(2, 1), padding="same"),
                layers.Conv2D(5, 3, dilation_rate=2, activation="tanh"))
    yield chain("grouped_convolution", (6, 6, 4), layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False))
    yield chain("convolution_1d", (12, 3), layers.Conv1D(4, 3, padding="causal", dilation_rate=2),
                layers.Conv1D(5, 4, strides=2, padding="same", activation="relu"))
    yield chain("depthwise", image, layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"))
    yield chain("separable", image, layers.SeparableConv2D(5, 3, strides=2, padding="same", depth_multiplier=2))
    yield chain("separable_1d", (9, 3), layers.SeparableConv1D(4, 3))
    yield chain("transposed_same", (4, 5, 2), layers.Conv2DTranspose(3, 3, strides=2, padding="same"))
    yield chain("transposed_valid", (4, 5, 2), layers.Conv2DTranspose(3, (2, 4), strides=3))
    yield chain("batch_normalization", image, layers.BatchNormalization(scale=False), layers.BatchNormalization(axis=1))
    yield chain("batch_normalization_of_rows", (6,), layers.BatchNormalization(center=False, epsilon=1e-2))
    yield chain("layer_normalization", (4, 6), layers.LayerNormalization())
    yield chain("pools", image, layers.MaxPooling2D(3, strides=2, padding="same"), layers.AveragePooling2D(2))
    yield chain("average_pool_same", image, layers.AveragePooling2D(3, strides=2, padding="same"))
    yield chain("pools_1d", (13, 3), layers.MaxPooling1D(3, strides=2), layers.AveragePooling1D(2, padding="same"))
    yield chain("global_average", image, layers.GlobalAveragePooling2D())
    yield chain("global_max", image, layers.GlobalMaxPooling2D(keepdims=True))
    yield chain("global_1d", (7, 3), layers.GlobalAveragePooling1D())
    yield chain("flatten", (3, 4, 2), layers.Conv2D(3, 1), layers.Flatten(), layers.Dense(4))
    yield chain("reshape", (12,), layers.Reshape((-1, 4)), layers.Permute((2, 1)))
    yield chain("repeat", (4,), layers.RepeatVector(3))
    yield chain("padding", image, layers.ZeroPadding2D(((1, 2), (0, 3))), layers.Cropping2D(((2, 0), (1, 1))))
    yield chain("padding_1d", (7, 2), layers.ZeroPadding1D((2, 1)), layers.Cropping1D((1, 3)))
    yield chain("upsampling", (4, 5, 2), layers.UpSampling2D((2, 3)))
    yield chain("upsampling_bilinear", (4, 5, 2), layers.UpSampling2D(2, interpolation="bilinear"))
    yield chain("upsampling_1d", (4, 2), layers.UpSampling1D(3))
    for name in ("relu", "sigmoid", "tanh", "softplus", "softsign", "elu", "selu", "hard_sigmoid", "exponential",
                 "swish", "gelu", "linear", "softmax"):
        yield chain(f"activation_{name}", (3, 8), layers.Activation(name))
    yield chain("relu_limits", (9,), layers.ReLU(max_value=0.25), layers.ReLU(negative_slope=0.5, max_value=0.2))
    yield chain("leaky_relu", (9,), layers.LeakyReLU(0.2), layers.ELU(0.7))
    yield chain("prelu", (3, 4, 5), layers.PReLU(shared_axes=[1, 2]))
    yield chain("softmax_axis", (4, 5), layers.Softmax(axis=1))
    yield chain("training_only", (4,), layers.Dropout(0.5), layers.GaussianNoise(0.3), layers.Dense(2))
    yield chain("rescaling", (4,), layers.Rescaling(0.5, offset=-1))
    yield chain("embedding", (6,), layers.Embedding(20, 4), layers.LSTM(3), whole=20)
    yield chain("lstm", (5, 3), layers.LSTM(4, return_sequences=True), layers.LSTM(2))
    yield chain("lstm_open_steps", (None, 3), layers.LSTM(4, recurrent_activation="hard_sigmoid"))
    yield chain("lstm_backwards", (5, 3), layers.LSTM(4, go_backwards=True, return_sequences=True))
    yield golden("lstm_states", with_states())
    yield chain("gru", (5, 3), layers.GRU(4, return_sequences=True), layers.GRU(2, reset_after=False))
    yield chain("simple_rnn", (5, 3), layers.SimpleRNN(4))
    for mode in ("concat", "sum", "ave", "mul"):
        yield chain(f"bidirectional_{mode}", (5, 3),
                    layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode=mode),
                    layers.Bidirectional(layers.GRU(2)))
    yield chain("time_distributed_dense", (5, 3), layers.TimeDistributed(layers.Dense(4, activation="relu")))
    yield chain("time_distributed_convolution", (3, 5, 6, 2), layers.TimeDistributed(layers.Conv2D(2, 3)),
                layers.TimeDistributed(layers.Flatten()))
    joins = [layers.Add(), layers.Multiply(), layers.Average(), layers.Maximum(), layers.Minimum(), layers.Subtract(),
             layers.Concatenate()]
    yield golden("merges", branches(*joins))
    yield golden("shared_layers", shared())
    yield chain("keras_2_0_sequential", (5, 4), layers.Conv1D(3, 2), layers.Flatten(), layers.Dense(2), change=as_keras_2_0)
    yield golden("keras_2_0_merge", branches(layers.Add(), layers.Concatenate(), layers.Average(), layers.Maximum()),
                 change=with_merge)


def slim(value):
    """Drops what says how a model was trained."""
    if isinstance(value, dict):
        idle = ("initializer", "regularizer", "constraint")
        return {k: slim(v) for k, v in value.items() if not any(word in k for word in idle) and k != "registered_name"}
    return [slim(v) for v in value] if isinstance(value, list) else value


def main():
    json.dump(slim(list(all_models())), sys.stdout, separators=(",", ":"))


main()
