"""Runs an exported network in ONNX Runtime or LiteRT and records what it answers, for `limbic compare`.

    limbic preprocess -b FLOAT.limbic -d EVAL.csv -o eval.npz
    limbic quantize FLOAT.limbic ... --onnx q.onnx --tflite q.tflite -o OUT.limbic
    python record.py q.onnx eval.npz -o recorded.npz
    limbic compare OUT.limbic#quantized recorded.npz --limit 100000

The column `equal top` of an output is then the share of rows with the same top label. Tensors are called as in the
file; `--names a,b` gives the outputs other names, where the file's own are not those of the bundle. A .tflite needs
ai-edge-litert or tensorflow; `--reference` runs its reference kernels instead of the accelerated ones.
"""

import argparse

import numpy as np


def onnx(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = [entry.name for entry in session.get_inputs()]
    outputs = [entry.name for entry in session.get_outputs()]
    return inputs, outputs, lambda feeds: session.run(outputs, feeds)


def quantized(value, entry):
    """Real numbers as an input of integers takes them."""
    scale, zero = entry["quantization"]
    if scale == 0:
        return value.astype(entry["dtype"])
    limits = np.iinfo(entry["dtype"])
    return np.clip(np.round(value / scale) + zero, limits.min, limits.max).astype(entry["dtype"])


def real(value, entry):
    scale, zero = entry["quantization"]
    return value if scale == 0 else (scale * (value.astype(np.float32) - zero)).astype(np.float32)


def tflite(path, reference):
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        from tensorflow.lite import Interpreter
        from tensorflow.lite.experimental import OpResolverType

    kernels = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    interpreter = Interpreter(path, experimental_op_resolver_type=kernels, num_threads=1)
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details(), interpreter.get_output_details()

    def run(feeds):
        for entry in given:
            value = feeds[entry["name"]].reshape(entry["shape"])
            interpreter.set_tensor(entry["index"], quantized(value, entry))
        interpreter.invoke()
        return [real(interpreter.get_tensor(entry["index"]), entry) for entry in made]

    return [entry["name"] for entry in given], [entry["name"] for entry in made], run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("inputs")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--names")
    parser.add_argument("--rows", type=int, default=1 << 30)
    parser.add_argument("--reference", action="store_true")
    args = parser.parse_args()
    inputs, outputs, run = (
        onnx(args.model) if args.model.endswith(".onnx") else tflite(args.model, args.reference)
    )
    arrays = np.load(args.inputs)
    # A file of one input may call it as it likes.
    source = {name: name if name in arrays else arrays.files[0] for name in inputs}
    recorded = {name: arrays[source[name]][: args.rows] for name in inputs}
    rows = []
    for n in range(len(recorded[inputs[0]])):
        feeds = {name: array[n : n + 1] for name, array in recorded.items()}
        rows.append(run(feeds))
    for n, name in enumerate(args.names.split(",") if args.names else outputs):
        recorded[name] = np.concatenate([row[n] for row in rows])
    np.savez(args.output, **recorded)
    print(f"{len(rows)} rows, {', '.join(recorded)}")


if __name__ == "__main__":
    main()
