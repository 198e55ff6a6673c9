"""Writes the small networks of this folder that fuzzing starts from.

Run once with onnx and NumPy:   python make.py onnx
Run once with TensorFlow:       python make.py tensorflow
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def onnx_seeds():
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(3)

    def save(name, nodes, inputs, outputs, constants, opset=17):
        def value(n, shape, kind=TensorProto.FLOAT):
            return helper.make_tensor_value_info(n, kind, shape)

        graph = helper.make_graph(nodes, name, [value(*i) for i in inputs], [value(*o) for o in outputs],
                                  [numpy_helper.from_array(array, n) for n, array in constants.items()])
        opsets = [helper.make_opsetid("", opset)]
        opsets += [helper.make_opsetid(domain, 1) for domain in sorted({n.domain for n in nodes} - {""})]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="seeds")
        onnx.checker.check_model(model)
        (HERE / "onnx" / f"{name}.onnx").write_bytes(model.SerializeToString())

    def floats(*shape):
        return random.standard_normal(shape).astype(np.float32)

    node = helper.make_node
    save("picture", [
        node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("BatchNormalization", ["c", "s", "b", "b", "v"], ["n"]),
        node("Relu", ["n"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], ceil_mode=1),
        node("Resize", ["p", "", "scales"], ["z"], mode="linear"),
        node("GlobalAveragePool", ["z"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("Gemm", ["f", "k"], ["y"], transB=1),
    ], [("x", ["N", 1, 8, 8])], [("y", ["N", 3])], {
        "w": floats(2, 1, 3, 3), "b": floats(2), "s": floats(2), "v": np.ones(2, np.float32), "k": floats(3, 2),
        "scales": np.array([1, 1, 2, 2], np.float32)})
    save("shapes", [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "one"], ["g"], axis=0),
        node("Unsqueeze", ["g", "zero"], ["u"]),
        node("Concat", ["u", "minus"], ["t"], axis=0),
        node("Reshape", ["x", "t"], ["r"]),
        node("Slice", ["r", "zero", "two", "zero"], ["l"]),
        node("Transpose", ["l"], ["p"], perm=[1, 0]),
        node("Split", ["p"], ["a", "b"], axis=1),
        node("Pad", ["a", "pads"], ["d"]),
        node("ReduceMean", ["d"], ["y"], axes=[0], keepdims=0),
    ], [("x", [2, 3, "T"])], [("y", ["K"])], {
        "one": np.array(1), "zero": np.array([0]), "minus": np.array([-1]), "two": np.array([2]),
        "pads": np.array([1, 0, 0, 1])})
    branch = {}
    for word in ("Neg", "Exp"):
        out = helper.make_tensor_value_info(f"{word}_y", TensorProto.FLOAT, ["R", "C"])
        branch[word] = helper.make_graph([node(word, ["x"], [f"{word}_y"])], word, [], [out])
    save("branch", [
        node("ReduceSum", ["x"], ["s"], keepdims=0),
        node("Greater", ["s", "zero"], ["c"]),
        node("If", ["c"], ["y"], then_branch=branch["Neg"], else_branch=branch["Exp"]),
    ], [("x", [2, 2])], [("y", ["R", "C"])], {"zero": np.array(0, np.float32)})
    save("quantized", [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("DequantizeLinear", ["w", "ws", "wz"], ["k"], axis=0),
        node("Conv", ["d", "k"], ["c"]),
        node("QuantizeLinear", ["c", "s", "z"], ["r"]),
        node("DequantizeLinear", ["r", "s", "z"], ["y"]),
    ], [("x", [1, 1, 4, 4])], [("y", [1, 2, 2, 2])], {
        "s": np.array(0.1, np.float32), "z": np.array(3, np.int8), "w": random.integers(-9, 9, (2, 1, 3, 3), np.int8),
        "ws": np.array([0.1, 0.2], np.float32), "wz": np.zeros(2, np.int8)})
    save("sequence", [
        node("LSTM", ["x", "w", "r"], ["h", "", ""], hidden_size=2),
        node("Squeeze", ["h", "one"], ["q"]),
        node("LayerNormalization", ["q", "s"], ["n"], axis=-1),
        node("Einsum", ["n", "n"], ["e"], equation="tbi,tbj->bij"),
        node("Softmax", ["e"], ["f"], axis=-1),
        node("TopK", ["f", "one"], ["y", "i"]),
    ], [("x", [3, 1, 2])], [("y", [1, 2, 1])], {
        "w": floats(1, 8, 2), "r": floats(1, 8, 2), "one": np.array([1]), "s": floats(2)})
    save("signal", [
        node("STFT", ["x", "step", "window"], ["f"]),
        node("Mul", ["f", "f"], ["m"]),
        node("ReduceSum", ["m", "last"], ["p"], keepdims=0),
        node("Where", ["c", "p", "zero"], ["w"]),
        node("CumSum", ["w", "axis"], ["y"]),
    ], [("x", [1, 16, 1]), ("c", [1], TensorProto.BOOL)], [("y", [1, 3, 5])], {
        "step": np.array(4), "window": np.hanning(8).astype(np.float32), "last": np.array([-1]),
        "zero": np.array(0, np.float32), "axis": np.array(1)})
    save("custom", [
        node("RandomNormalLike", ["x"], ["noise"]),
        node("Add", ["x", "noise"], ["a"], name="sum"),
        node("Swirl", ["a"], ["b"], name="swirl_1", domain="com.example"),
        node("Swirl", ["b"], ["y"], name="swirl_2", domain="com.example"),
    ], [("x", ["batch", 4])], [("y", ["batch", 4])], {})


def tensorflow_seeds():
    import tensorflow as tf
    import tf_keras
    from tf_keras import layers

    tf.keras.utils.set_random_seed(3)

    def picture(side=8):
        return tf_keras.Sequential([
            layers.Input((side, side, 1)),
            layers.Conv2D(2, 3, strides=2, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ])

    def joined():
        x = layers.Input((6, 4))
        a = layers.Conv1D(4, 3, padding="causal")(x)
        b = layers.add([a, x])
        c = layers.concatenate([layers.GlobalMaxPooling1D()(b), layers.GlobalAveragePooling1D()(b)])
        return tf_keras.Model(x, layers.LeakyReLU()(c))

    def recurrent():
        return tf_keras.Sequential([
            layers.Input((5, 3)),
            layers.Bidirectional(layers.GRU(2, return_sequences=True)),
            layers.LSTM(2),
            layers.Dense(1, activation="sigmoid"),
        ])

    for name, model in (("picture", picture()), ("joined", joined()), ("recurrent", recurrent())):
        (HERE / "keras" / f"{name}.json").write_text(model.to_json())

    def save(name, model, **settings):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.exclude_conversion_metadata = True
        for key, value in settings.items():
            setattr(converter, key, value)
        (HERE / "tflite" / f"{name}.tflite").write_bytes(converter.convert())

    def examples():
        random = np.random.default_rng(4)
        for _ in range(4):
            yield [random.standard_normal((1, 8, 8, 1)).astype(np.float32)]

    save("float", picture())
    save("joined", joined())
    save("int8", picture(), optimizations=[tf.lite.Optimize.DEFAULT], representative_dataset=examples,
         inference_input_type=tf.int8, inference_output_type=tf.int8)
    sequence = tf_keras.Sequential([layers.Input((3, 2), batch_size=1), layers.LSTM(2), layers.Dense(1)])
    save("sequence", sequence)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("onnx", "tensorflow"):
        sys.exit(__doc__)
    for folder in ("onnx", "tflite", "keras"):
        (HERE / folder).mkdir(exist_ok=True)
    onnx_seeds() if sys.argv[1] == "onnx" else tensorflow_seeds()
