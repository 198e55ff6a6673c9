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
    if "ones" in spec:
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
    options = parser.parse_args()
    torch.set_num_threads(1)
    checkpoints = options.shared / "checkpoints"
    faces = checkpoints / "face_detection"
    rfb = with_runtime(faces / "version-RFB-320_without_postprocessing.onnx")
    silero = with_runtime(checkpoints / "vad/silero_vad_16k_op15.onnx", {"sr": np.array(16000, np.int64)})
    text = [tokens("token_ids", [1, 24], 8, 0, 12000), mask("attention_mask", [1, 24], 19)]
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
    for case in cases:
        run, state, runs = case.pop("run"), {}, []
        for step in range(case.get("steps", 1)):
            given = {}
            for spec in case["inputs"]:
                name = spec["name"]
                if spec.get("zeros"):
                    given[name] = state.get(name, np.zeros(spec["shape"], np.float32))
                else:
                    given[name] = make_input({**spec, "seed": spec.get("seed", 0) + 1000 * step})
            with torch.no_grad():
                found = run(given)
            for before, after in case.get("states", []):
                state[before] = found[after]
            digests = {s["name"]: digest(given[s["name"]]) for s in case["inputs"] if not s.get("zeros")}
            runs.append({"digests": digests, "outputs": {name: record_output(value) for name, value in found.items()}})
        case["runs"] = runs
        print(f"{case['name']}: {', '.join(runs[0]['outputs'])}")
    path = HERE / "reference.json"
    path.write_text(json.dumps({"cases": cases}, indent=None, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()
