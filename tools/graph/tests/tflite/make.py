"""Writes golden.json: outputs of the TFLite checkpoints as LiteRT's reference kernels compute them.

    python make.py ../../../../../shared/data > golden.json

needs ai-edge-litert, numpy and Pillow. Inputs are made from integers alone, so that the test makes the same bytes;
each is named by the SHA-256 of its bytes. Of an output with many elements every n-th is kept, with the largest
magnitude of all. Integer outputs are kept whole.

Files whose convolutions and matrix products have integer weights for floating-point inputs are run with these weights
dequantized: LiteRT would round the activations as well, by the range of each input, which is another function.
"""

import copy
import hashlib
import json
import pathlib
import sys

import flatbuffers
import numpy
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from PIL import Image

KEPT = 64
MASK = (1 << 64) - 1


def random_words(seed, count):
    """SplitMix64."""
    words = numpy.empty(count, numpy.uint64)
    state = seed
    for n in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        words[n] = z ^ (z >> 31)
    return words


def levels(spec, shape, shared):
    """Whole numbers of 0 to 2^24 - 1 in the given shape."""
    kind = spec["kind"]
    count = int(numpy.prod(shape))
    if kind == "noise":
        return (random_words(spec["seed"], count) >> numpy.uint64(40)).astype(numpy.int64).reshape(shape)
    if kind == "blocks":
        # Squares of eight elements along the two axes behind the first.
        small = [shape[0], -(-shape[1] // 8), -(-shape[2] // 8), *shape[3:]]
        words = (random_words(spec["seed"], int(numpy.prod(small))) >> numpy.uint64(40)).astype(numpy.int64)
        words = words.reshape(small)
        return words[:, numpy.arange(shape[1]) // 8][:, :, numpy.arange(shape[2]) // 8]
    if kind == "face":
        picture = numpy.asarray(Image.open(shared / spec["source"]).convert("L")).astype(numpy.int64)
        rows = numpy.arange(shape[1]) * picture.shape[0] // shape[1]
        columns = numpy.arange(shape[2]) * picture.shape[1] // shape[2]
        picture = picture[rows][:, columns] * ((1 << 24) // 255)
        return numpy.broadcast_to(picture[None, :, :, None], shape)
    if kind == "sound":
        samples = numpy.frombuffer((shared / spec["source"]).read_bytes(), "<i2")[22:]
        start = spec["start"]
        return (samples[start : start + count].astype(numpy.int64) + 32768).reshape(shape) << 8
    raise ValueError(kind)


def make_input(spec, detail, shared):
    numbers = levels(spec, list(detail["shape"]), shared)
    dtype = detail["dtype"]
    if dtype == numpy.float32:
        low, high = numpy.float32(spec["low"]), numpy.float32(spec["high"])
        values = low + (high - low) * (numbers.astype(numpy.float32) / numpy.float32(1 << 24))
        return numpy.floor(values).astype(dtype) if spec.get("whole") else values.astype(dtype)
    return ((numbers >> 16) + numpy.iinfo(dtype).min).astype(dtype)


def with_real_weights(content):
    """The same file with the integer weights of floating-point layers as the numbers that they stand for."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    graph = model.subgraphs[0]
    changed = 0
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        code = max(code.builtinCode, code.deprecatedBuiltinCode)
        hybrid = (schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOperator.CONV_2D,
                  schema.BuiltinOperator.DEPTHWISE_CONV_2D)
        if code not in hybrid or graph.tensors[operator.inputs[0]].type != schema.TensorType.FLOAT32:
            continue
        tensor = graph.tensors[operator.inputs[1]]
        if tensor.type != schema.TensorType.INT8:
            continue
        integers = numpy.frombuffer(bytes(model.buffers[tensor.buffer].data), numpy.int8).reshape(tensor.shape)
        scales = numpy.asarray(tensor.quantization.scale, numpy.float32)
        zeros = numpy.asarray(tensor.quantization.zeroPoint, numpy.int64)
        if len(scales) > 1:
            along = [1] * integers.ndim
            along[tensor.quantization.quantizedDimension] = -1
            scales, zeros = scales.reshape(along), zeros.reshape(along)
        real = ((integers.astype(numpy.int64) - zeros).astype(numpy.float32) * scales).astype(numpy.float32)
        buffer = copy.deepcopy(model.buffers[tensor.buffer])
        buffer.data = numpy.frombuffer(real.tobytes(), numpy.uint8)
        model.buffers.append(buffer)
        tensor.buffer = len(model.buffers) - 1
        tensor.type = schema.TensorType.FLOAT32
        tensor.quantization = None
        changed += 1
    if not changed:
        return content, 0
    builder = flatbuffers.Builder(len(content) * 5)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()), changed


def run(interpreter, inputs):
    for detail, array in zip(interpreter.get_input_details(), inputs):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def summary(array):
    flat = array.reshape(-1)
    if array.dtype != numpy.float32:
        return {"shape": list(array.shape), "stride": 1, "values": [int(n) for n in flat]}
    stride = max(1, flat.size // KEPT)
    return {
        "shape": list(array.shape),
        "stride": stride,
        "largest": float(numpy.abs(flat).max()),
        "values": [float(repr(n.item())) if n == 0 else float(f"{n:.9g}") for n in flat[::stride]],
    }


def largest_difference(a, b):
    a, b = a.astype(numpy.float64), b.astype(numpy.float64)
    return float(numpy.abs(a - b).max() / max(numpy.abs(b).max(), 1e-30))


FACES = ["happiness_1", "anger_2", "sadness_3", "neutral_1", "surprise_2"]


def pictures(low, high):
    found = [{"kind": "face", "source": f"faces/samples/{name}.png"} for name in FACES]
    found += [{"kind": "blocks", "seed": seed} for seed in (1, 2)]
    found += [{"kind": "noise", "seed": seed} for seed in (3,)]
    return [{**spec, "low": low, "high": high} for spec in found]


def noise(low, high, seeds, **more):
    return [{"kind": "noise", "seed": seed, "low": low, "high": high, **more} for seed in seeds]


MODELS = {
    "face_detection/face_detection_short_range.tflite": pictures(-1, 1),
    "face_detection/face_landmark.tflite": pictures(0, 1),
    "mlperf_tiny/kws_ref_model_float32.tflite": noise(-30, 30, range(1, 9)),
    "mlperf_tiny/kws_ref_model.tflite": noise(0, 0, range(1, 33)),
    "mlperf_tiny/vww_96_float.tflite": pictures(0, 1),
    "mlperf_tiny/vww_96_int8.tflite": pictures(0, 0) + noise(0, 0, range(4, 28)),
    "text_sentiment/movie_review_classifier.tflite": noise(0, 10003, range(1, 9), whole=True),
    "tflite/mobilenet_v1_0.25_128_quant.tflite": pictures(0, 0),
    "tflite/tf2_mobilenet_v2_1.0_224_ptq.tflite": pictures(0, 0)[:6],
    "tflite/yamnet.tflite": [
        {"kind": "sound", "source": "speech/ordinary/jfk.wav", "start": start, "low": -1, "high": 1}
        for start in (0, 20000, 60000, 100000)
    ] + noise(-0.5, 0.5, [1]),
}


def main():
    shared = pathlib.Path(sys.argv[1])
    found = {}
    for name, specs in MODELS.items():
        content = (shared / "checkpoints" / name).read_bytes()
        real, changed = with_real_weights(content)
        make = lambda file, resolver: Interpreter(
            model_content=file, num_threads=1, experimental_op_resolver_type=resolver
        )
        reference = make(real, OpResolverType.BUILTIN_REF)
        default = make(content, OpResolverType.AUTO)
        for interpreter in (reference, default):
            interpreter.allocate_tensors()
        cases, differences = [], []
        for spec in specs:
            inputs = [make_input(spec, d, shared) for d in reference.get_input_details()]
            outputs = run(reference, inputs)
            fast = run(default, inputs)
            differences.append(max(map(largest_difference, fast, outputs)))
            digest = hashlib.sha256(b"".join(array.tobytes() for array in inputs)).hexdigest()
            cases.append({"input": spec, "digest": digest, "outputs": [summary(array) for array in outputs]})
        # As LiteRT runs the file by default: with XNNPACK, and with activations rounded before integer weights.
        found[name] = {
            "file": hashlib.sha256(content).hexdigest(),
            "weights_dequantized": changed,
            "default_difference": max(differences),
            "cases": cases,
        }
        print(name, "weights dequantized", changed, "default differs by", max(differences), file=sys.stderr)
    json.dump(found, sys.stdout, separators=(",", ":"))


if __name__ == "__main__":
    main()
