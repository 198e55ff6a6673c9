"""Writes reference.json: what ONNX Runtime, PyTorch and transformers answer for the checkpoints.

Run with Python that has onnx, onnxruntime, torch, numpy, transformers:

    python tests/converted/make_reference.py [--shared ../shared/data] [--minilm FOLDER]

Inputs are not stored: both sides make them with the generator below and compare SHA-256 digests of the bytes. Of long
outputs, evenly spaced elements are kept, and always the largest magnitude, which differences are measured by.
"""

import argparse
import hashlib
import json
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KEPT = 128


def generate(seed, count):
    """Top 24 bits of Knuth's 64-bit linear congruential generator, one a step."""
    state, out = seed, np.empty(count, np.uint64)
    for i in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out[i] = state >> 40
    return out


def make_input(spec):
    """The tensor of an input's description."""
    count = int(np.prod(spec["shape"]))
    if spec.get("block"):
        # Grey squares, as pictures have surfaces: on noise a detector's scores are all but zero.
        (_, channels, rows, columns), block = spec["shape"], spec["block"]
        small = make_input({**spec, "shape": [1, 1, rows // block, columns // block], "block": None})
        return small.repeat(channels, 1).repeat(block, 2).repeat(block, 3)
    if "step" in spec:
        values = np.full(count, spec["step"], np.int64)
    elif "ones" in spec:
        values = (np.arange(count) < spec["ones"]).astype(np.int64)
    elif spec["dtype"] == "i64":
        low, high = spec["range"]
        values = (low + generate(spec["seed"], count) % (high - low)).astype(np.int64)
    else:
        low, high = spec["range"]
        values = (low + (high - low) * (generate(spec["seed"], count) / 2.0**24)).astype(np.float32)
    return values.reshape(spec["shape"])


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def record_output(array):
    flat = np.asarray(array, np.float64).ravel()
    step = max(1, len(flat) // KEPT)
    return {
        "shape": list(np.shape(array)),
        "largest": float(np.abs(flat).max()),
        "every": step,
        "values": [float(np.float32(v)) for v in flat[::step]],
    }


def f32(name, shape, seed, low=-1.0, high=1.0):
    return {"name": name, "shape": shape, "dtype": "f32", "seed": seed, "range": [low, high]}


def tokens(name, shape, seed, low, high):
    return {"name": name, "shape": shape, "dtype": "i64", "seed": seed, "range": [low, high]}


def mask(name, shape, ones):
    return {"name": name, "shape": shape, "dtype": "i64", "ones": ones}


def with_runtime(path, constants=None):
    """A function from named inputs to named outputs, by ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda given: dict(zip(names, session.run(names, {**given, **(constants or {})})))


def resnet20(path):
    """The CIFAR ResNet-20 in PyTorch's functional form, shortcuts of option A."""
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    state = {name.removeprefix("module."): value for name, value in state.items()}

    def norm(x, name):
        parts = [state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *parts)

    def block(x, name, stride):
        y = F.relu(norm(F.conv2d(x, state[f"{name}.conv1.weight"], stride=stride, padding=1), f"{name}.bn1"))
        y = norm(F.conv2d(y, state[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
        if stride == 2:
            quarter = y.shape[1] // 4
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
        return F.relu(x + y)

    def run(given):
        x = torch.from_numpy(given["input"])
        x = F.relu(norm(F.conv2d(x, state["conv1.weight"], padding=1), "bn1"))
        for stage in (1, 2, 3):
            for i in range(3):
                x = block(x, f"layer{stage}.{i}", 2 if stage > 1 and i == 0 else 1)
        return {"logits": F.linear(x.mean((2, 3)), state["linear.weight"], state["linear.bias"]).numpy()}

    return run


def silero_modules(path):
    """The safetensors' detector in PyTorch's modules; its weights are of another release than the ONNX file's."""
    from safetensors.torch import load_file

    state = load_file(path)
    cell = torch.nn.LSTMCell(128, 128)
    cell.load_state_dict({name.removeprefix("lstm_cell."): value for name, value in state.items() if "lstm" in name})

    def run(given):
        x = F.pad(torch.from_numpy(given["input"]).unsqueeze(1), (0, 64), "reflect")
        real, imaginary = F.conv1d(x, state["stft_conv.weight"], stride=128).chunk(2, 1)
        x = torch.sqrt(real**2 + imaginary**2)
        for n, stride in enumerate((1, 2, 2, 1), 1):
            x = F.relu(F.conv1d(x, state[f"conv{n}.weight"], state[f"conv{n}.bias"], stride=stride, padding=1))
        h, c = cell(x.squeeze(2), tuple(torch.from_numpy(given["state"])))
        y = F.conv1d(F.relu(h).unsqueeze(2), state["final_conv.weight"], state["final_conv.bias"])
        return {"output": torch.sigmoid(y).flatten(1).numpy(), "stateN": torch.stack((h, c)).numpy()}

    return run


def llama(path):
    """llama2.c's forward pass over all tokens given so far, without a cache; angles by their formula."""
    with open(path, "rb") as file:
        width, wide, layers, heads, shared, words, positions = np.frombuffer(file.read(28), "<i4")
        size = width // heads

        def take(*shape):
            count = int(np.prod(shape))
            return torch.from_numpy(np.frombuffer(file.read(4 * count), "<f4").reshape(shape).copy())

        table = take(words, width)
        attention_norm = take(layers, width)
        wq, wk, wv = take(layers, width, width), take(layers, shared * size, width), take(layers, shared * size, width)
        wo, feed_norm = take(layers, width, width), take(layers, width)
        w1, w2, w3 = take(layers, wide, width), take(layers, width, wide), take(layers, wide, width)
        final_norm = take(width)

    def norm(x, weight):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * weight

    def turned(x):
        """x [heads, length, size], pairs of neighbours as complex numbers."""
        angles = torch.outer(torch.arange(x.shape[1]), 10000.0 ** (-torch.arange(0, size, 2) / size))
        pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2).contiguous())
        return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)

    seen = []

    def run(given):
        seen.append(int(given["token"].item()))
        assert len(seen) == given["position"].item() + 1 <= positions
        x = table[torch.tensor(seen)]
        length = len(seen)
        for n in range(layers):
            y = norm(x, attention_norm[n])
            q, k, v = (F.linear(y, w[n]).view(length, -1, size).transpose(0, 1) for w in (wq, wk, wv))
            q, k = turned(q), turned(k)
            k, v = (part.repeat_interleave(int(heads // shared), 0) for part in (k, v))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + F.linear(y.transpose(0, 1).reshape(length, -1), wo[n])
            y = norm(x, feed_norm[n])
            x = x + F.linear(F.silu(F.linear(y, w1[n])) * F.linear(y, w3[n]), w2[n])
        logits = F.linear(norm(x[-1], final_norm), table)
        # There is no cache to compare.
        states = {f"{kind}.{n}_next": None for n in range(layers) for kind in ("key", "value")}
        return {"logits": logits.reshape(1, 1, -1).numpy(), **states}

    return run


def llama_states(layers, shape):
    names = [f"{kind}.{n}" for n in range(layers) for kind in ("key", "value")]
    inputs = [{"name": name, "shape": shape, "dtype": "f32", "zeros": True} for name in names]
    return inputs, [[name, f"{name}_next"] for name in names]


def bit_weights():
    """Names and shapes of a small Big Transfer ResNet, with the ranges that its random weights are drawn from."""
    tensors = []

    def conv(name, *shape):
        tensors.append((f"resnet/{name}/standardized_conv2d/kernel", list(shape), -0.1, 0.1))

    def norm(name, channels):
        tensors.append((f"resnet/{name}group_norm/gamma", [channels], 0.5, 1.5))
        tensors.append((f"resnet/{name}group_norm/beta", [channels], -0.5, 0.5))

    conv("root_block", 7, 7, 3, 32)
    before = 32
    for block, units in zip((1, 2, 3, 4), (2, 1, 2, 1)):
        for unit in range(1, units + 1):
            name = f"block{block}/unit{unit:02}"
            norm(f"{name}/a/", before)
            if unit == 1:
                conv(f"{name}/a/proj", 1, 1, before, 64)
            conv(f"{name}/a", 1, 1, before, 32)
            norm(f"{name}/b/", 32)
            conv(f"{name}/b", 3, 3, 32, 32)
            norm(f"{name}/c/", 32)
            conv(f"{name}/c", 1, 1, 32, 64)
            before = 64
    norm("", 64)
    tensors.append(("resnet/head/conv2d/kernel", [1, 1, 64, 8], -0.2, 0.2))
    tensors.append(("resnet/head/conv2d/bias", [8], -0.2, 0.2))
    return [{**f32(name, shape, 100 + n, low, high)} for n, (name, shape, low, high) in enumerate(tensors)]


def bit(weights):
    """Big Transfer's ResNet-v2 as the paper has it: pre-activation, weight standardisation, group normalisation."""
    state = {spec["name"].removeprefix("resnet/"): torch.from_numpy(make_input(spec)) for spec in weights}

    def conv(x, name, stride=1):
        weight = state[f"{name}/standardized_conv2d/kernel"].permute(3, 2, 0, 1)
        variance, mean = torch.var_mean(weight, dim=(1, 2, 3), keepdim=True, correction=0)
        weight = (weight - mean) / torch.sqrt(variance + 1e-10)
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def norm(x, name):
        return F.relu(F.group_norm(x, 32, state[f"{name}group_norm/gamma"], state[f"{name}group_norm/beta"], 1e-5))

    def run(given):
        x = conv(torch.from_numpy(given["input"]), "root_block", 2)
        x = F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 2)
        for block in (1, 2, 3, 4):
            unit = 1
            while f"block{block}/unit{unit:02}/a/group_norm/gamma" in state:
                name = f"block{block}/unit{unit:02}"
                stride = 2 if block > 1 and unit == 1 else 1
                y = norm(x, f"{name}/a/")
                shortcut = conv(y, f"{name}/a/proj", stride) if unit == 1 else x
                y = norm(conv(y, f"{name}/a"), f"{name}/b/")
                y = norm(conv(y, f"{name}/b", stride), f"{name}/c/")
                x = conv(y, f"{name}/c") + shortcut
                unit += 1
        x = norm(x, "").mean((2, 3), keepdim=True)
        logits = F.conv2d(x, state["head/conv2d/kernel"].permute(3, 2, 0, 1), state["head/conv2d/bias"])
        return {"logits": logits.flatten(1).numpy()}

    return run


def minilm(folder):
    """The sentence vector that the folder's modules say: mean of the token vectors that the mask keeps, unit length."""
    # torchaudio refuses to load beside a torch built for another CUDA release, and transformers loads it.
    torch.version.cuda = None
    from transformers import BertModel

    model = BertModel.from_pretrained(str(folder)).float().eval()

    def run(given):
        features = {name: torch.from_numpy(value) for name, value in given.items()}
        hidden = model(**features).last_hidden_state
        kept = features["attention_mask"].unsqueeze(-1).float()
        mean = (hidden * kept).sum(1) / kept.sum(1)
        return {"sentence_embedding": F.normalize(mean, dim=1).numpy()}

    return run


def graph_of(name):
    """The ONNX file inside one of the project's bundles."""
    with zipfile.ZipFile(ROOT / "models" / name / f"{name}.limbic") as bundle:
        return bundle.read("graph.onnx")


def own_model(name):
    """One of the project's models in PyTorch, with the weights of its bundle."""
    folder = ROOT / "models" / name
    sys.path.insert(0, str(folder))
    for module in ("network", "model", "export", "golden"):
        sys.modules.pop(module, None)
    graph = HERE / f".{name}.onnx"
    graph.write_bytes(graph_of(name))
    try:
        if name == "face-small":
            import network

            model = network.load_onnx_weights(graph, 8)
        elif name == "speech-small":
            import export
            import network
            import onnx
            from onnx import numpy_helper

            model = export.fold(network.build(8))
            stored = {
                tensor.name.removesuffix("_f16"): torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
                for tensor in onnx.load(graph).graph.initializer
            }
            stored = weights_by_module(onnx.load(graph).graph, stored)
            model.load_state_dict({key: stored[key].reshape(value.shape) for key, value in model.state_dict().items()})
        else:
            from export import parameters_of_graph
            from model import Shape, TextModel

            stored = parameters_of_graph(graph)
            words = stored["encoder.words.weight"].shape[0]
            model = TextModel(Shape(vocabulary=words), {"sentiment": 2, "emotion": 7})
            model.load_state_dict(stored)
    finally:
        graph.unlink()
        sys.path.remove(str(folder))
    return model.eval()


def weights_by_module(graph, stored):
    """Adds the weights that the exporter transposed and renamed, under their module's name."""
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in stored:
            module = node.name.strip("/").rsplit("/", 1)[0].replace("/", ".")
            stored[f"{module}.weight"] = stored[node.input[1]].T.contiguous()
    return stored


def own(name, outputs):
    model = own_model(name)

    def run(given):
        answer = model(*(torch.from_numpy(value) for value in given.values()))
        answer = answer if isinstance(answer, tuple) else (answer,)
        return {output: value.numpy() for output, value in zip(outputs, answer)}

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("LIMBIC_SHARED", ROOT.parent / "shared/data")))
    parser.add_argument("--minilm", type=Path, default=os.environ.get("LIMBIC_MINILM"))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cases to make again; the others stay as they are")
    options = parser.parse_args()
    torch.set_num_threads(1)
    checkpoints = options.shared / "checkpoints"
    faces = checkpoints / "face_detection"
    rfb = with_runtime(faces / "version-RFB-320_without_postprocessing.onnx")
    silero = with_runtime(checkpoints / "vad/silero_vad_16k_op15.onnx", {"sr": np.array(16000, np.int64)})
    text = [tokens("token_ids", [1, 24], 8, 0, 12000), mask("attention_mask", [1, 24], 19)]
    caches, states = llama_states(5, [1, 4, 512, 8])
    cases = [
        {
            "name": "ultra-light ONNX",
            "file": "checkpoints/face_detection/version-RFB-320_without_postprocessing.onnx",
            "inputs": [f32("input", [1, 3, 240, 320], 1)],
            "run": rfb,
        },
        {
            "name": "ultra-light state dict",
            "file": "checkpoints/face_detection/version-RFB-320.pth",
            "architecture": "ultra-light-rfb",
            "inputs": [f32("input", [1, 3, 240, 320], 2)],
            "run": rfb,
        },
        {
            "name": "YuNet",
            "file": "checkpoints/face_detection/face_detection_yunet_2026may.onnx",
            "inputs": [{**f32("input", [1, 3, 160, 192], 20, 0.0, 255.0), "block": 8}],
            "run": with_runtime(faces / "face_detection_yunet_2026may.onnx"),
        },
        {
            "name": "Silero VAD",
            "file": "checkpoints/vad/silero_vad_16k_op15.onnx",
            "constants": {"sr": 16000},
            "states": [["state", "stateN"]],
            "steps": 3,
            "inputs": [f32("input", [1, 576], 4, -0.5, 0.5), {"name": "state", "shape": [2, 1, 128], "dtype": "f32", "zeros": True}],
            "run": silero,
        },
        {
            "name": "Silero VAD safetensors",
            "file": "checkpoints/vad/silero_vad_16k.safetensors",
            "architecture": "silero-vad",
            "states": [["state", "stateN"]],
            "steps": 3,
            "inputs": [f32("input", [1, 576], 4, -0.5, 0.5), {"name": "state", "shape": [2, 1, 128], "dtype": "f32", "zeros": True}],
            "run": silero_modules(checkpoints / "vad/silero_vad_16k.safetensors"),
        },
        {
            "name": "stories260K",
            "file": "checkpoints/tinyllama_stories260k/stories260K.bin",
            "architecture": "llama",
            "states": states,
            "steps": 6,
            "inputs": [tokens("token", [1, 1], 30, 0, 512), {"name": "position", "shape": [1], "dtype": "i64", "step": 0}, *caches],
            "run": llama(checkpoints / "tinyllama_stories260k/stories260K.bin"),
        },
        {
            "name": "small BiT ResNet",
            "weights": bit_weights(),
            "architecture": "bit-resnet",
            "inputs": [f32("input", [1, 3, 128, 128], 31)],
            "run": bit(bit_weights()),
        },
        {
            "name": "CIFAR ResNet-20",
            "file": "checkpoints/resnet_cifar10/resnet20-12fca82f.th",
            "architecture": "resnet-cifar",
            "inputs": [f32("input", [1, 3, 32, 32], 5, -2.0, 2.0)],
            "run": resnet20(checkpoints / "resnet_cifar10/resnet20-12fca82f.th"),
        },
        {
            "name": "face-small",
            "bundle": "face-small",
            "architecture": "face-small",
            "inputs": [f32("pixels", [1, 1, 48, 48], 6, -2.0, 2.0)],
            "run": own("face-small", ["emotion_logits", "face_logit"]),
        },
        {
            "name": "speech-small",
            "bundle": "speech-small",
            "architecture": "speech-small",
            "inputs": [f32("features", [1, 1, 149, 64], 7, -2.0, 2.0)],
            "run": own("speech-small", ["emotion_logits"]),
        },
        {
            "name": "text-small",
            "bundle": "text-small",
            "architecture": "text-small",
            "inputs": text,
            "run": own("text-small", ["sentiment_logits", "emotion_logits"]),
        },
    ]
    if options.minilm:
        cases.append(
            {
                "name": "MiniLM-L6",
                "minilm": "model.safetensors",
                "architecture": "bert",
                "inputs": [tokens("input_ids", [1, 20], 9, 0, 30522), mask("attention_mask", [1, 20], 16)],
                "run": minilm(options.minilm),
            }
        )
    path = HERE / "reference.json"
    if options.only:
        cases = [case for case in cases if case["name"] in options.only]
    for case in cases:
        run, state, runs = case.pop("run"), {}, []
        for step in range(case.get("steps", 1)):
            given = {}
            for spec in case["inputs"]:
                name = spec["name"]
                if spec.get("zeros"):
                    given[name] = state.get(name, np.zeros(spec["shape"], np.float32))
                else:
                    number = {"step": step} if "step" in spec else {}
                    given[name] = make_input({**spec, "seed": spec.get("seed", 0) + 1000 * step, **number})
            with torch.no_grad():
                found = run(given)
            for before, after in case.get("states", []):
                state[before] = found[after]
            digests = {s["name"]: digest(given[s["name"]]) for s in case["inputs"] if not s.get("zeros")}
            runs.append({"digests": digests, "outputs": {name: record_output(value) for name, value in found.items() if value is not None}})
        case["runs"] = runs
        print(f"{case['name']}: {', '.join(runs[0]['outputs'])}")
    if options.only:
        known = {case["name"]: case for case in json.loads(path.read_text())["cases"]}
        cases = list({**known, **{case["name"]: case for case in cases}}.values())
    path.write_text(json.dumps({"cases": cases}, indent=None, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()
