"""Time a bundle on the engine beside ONNX Runtime, OpenVINO and LiteRT, taking turns, and print the ratios.

    pip install onnxruntime onnx openvino ai-edge-litert numpy
    python tests/bench/peers.py --limbic target/release/limbic --bundle B.limbic [--tflite F.tflite ...] [--onnx F.onnx ...]

Each peer runs the bundle's float graph, its quantized graph where the bundle holds one, and every file given with
--onnx (its own quantizer's, say); LiteRT runs the files given with --tflite. One thread, all optimisations, buffers
bound where the peer can, no spinning. Each of the rounds lets every contender run once; a ratio is the median over
the rounds of ours divided by the peer's, whose time is what is left behind that of an Identity network of the same
peer. OpenVINO runs float networks in f32 here: it would take bf16 by itself. A peer that is not installed, or that
does not load a file, is named with the reason. `--tier avx2` with ONEDNN_MAX_CPU_ISA=AVX2 in the environment keeps the
engine and OpenVINO to AVX2; ONNX Runtime and LiteRT have no such limit. On a machine that others use, `--clock cpu`
counts the processor's time in place of the time that passes: the mean of a round, all threads together.

Beside each time stands how many answers have the top label of the bundle's float graph on the same inputs, and, where
these have labels, how many are right. Inputs are those of --inputs, an .npz with an array for each input, items along
its first axis, and maybe `labels`; made-up ones without it.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

# Of elements, by their names in manifests.
TYPES = {"f32": np.float32, "i64": np.int64, "i32": np.int32, "i8": np.int8, "u8": np.uint8}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", required=True, type=Path)
    parser.add_argument("--limbic", default="target/release/limbic")
    parser.add_argument("--signature", help="concrete signature, such as encode@64; the last without it")
    parser.add_argument("--tier", help="the engine on a lower instruction set, such as avx2")
    parser.add_argument("--onnx", action="append", default=[], help="a further file for ONNX Runtime and OpenVINO")
    parser.add_argument("--tflite", action="append", default=[], help="a file for LiteRT")
    parser.add_argument("--other", action="append", default=[], help="a file for LiteRT with other weights: its time alone")
    parser.add_argument("--inputs", type=Path, help=".npz of inputs, and maybe labels, for the answers")
    parser.add_argument("--items", type=int, default=64, help="made-up inputs for the answers; 0 for times alone")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--runs", type=int, default=40, help="runs in a round")
    parser.add_argument("--milliseconds", type=float, help="as many runs in a round, 2 to 200, as the engine makes so long")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="median of times, or mean of CPU times")
    parser.add_argument("--json", action="store_true", help="print one JSON object a contender")
    return parser.parse_args()


def signature_of(bundle, name):
    """Name of a concrete signature, types and shapes of its inputs and outputs."""
    manifest = json.loads(zipfile.ZipFile(bundle).read("manifest.json"))
    found = []
    for spec in manifest["programs"][0]["signatures"]:
        for bucket in spec.get("buckets") or [{}]:
            sizes = "x".join(str(bucket[key]) for key in sorted(bucket))
            dims = lambda tensor: [d if isinstance(d, int) else bucket[d["symbol"]] for d in tensor["dims"]]
            of = lambda role: {t["name"]: (t["dtype"], dims(t)) for t in spec["tensors"] if t["role"] == role}
            found.append((spec["name"] + (f"@{sizes}" if sizes else ""), of("input"), of("output")))
    for known in found:
        if known[0] == name:
            return known
    if name:
        raise SystemExit(f"no signature {name}; there is {', '.join(known for known, *_ in found)}")
    return found[-1]


def feeds_of(inputs, seed=7):
    """Made-up elements: reals from -1 to 1, integers 0 and 1."""
    rng = np.random.default_rng(seed)
    kinds = {"f32": lambda dims: rng.uniform(-1, 1, dims).astype(np.float32)}
    integers = {"i64": np.int64, "i32": np.int32}
    return {
        name: kinds[dtype](dims) if dtype in kinds else rng.integers(0, 2, dims).astype(integers[dtype])
        for name, (dtype, dims) in inputs.items()
    }


def items_of(args, inputs):
    """Inputs whose answers are compared, and their labels or `None`."""
    if args.inputs is None:
        return [feeds_of(inputs, 100 + n) for n in range(args.items)], None
    given = np.load(args.inputs)
    arrays = {name: given[name].astype(TYPES[dtype]) for name, (dtype, _) in inputs.items()}
    count = min(len(array) for array in arrays.values())
    item = lambda n: {name: arrays[name][n].reshape(dims) for name, (_, dims) in inputs.items()}
    return [item(n) for n in range(count)], given["labels"] if "labels" in given else None


def top_labels(answers):
    """The greatest place of each row of each answer."""
    return [tuple(np.argmax(answer.reshape(-1, answer.shape[-1]), axis=1)) for answer in answers]


class Timed:
    """A contender that is called."""

    def round(self, runs, clock):
        if clock == "cpu":
            began = time.process_time()
            for _ in range(runs):
                self.run()
            return (time.process_time() - began) / runs * 1e3
        times = []
        for _ in range(runs):
            began = time.perf_counter()
            self.run()
            times.append(time.perf_counter() - began)
        return statistics.median(times) * 1e3


class Engine:
    """A worker process of `limbic bench`."""

    def __init__(self, args, backend, outputs):
        self.outputs = outputs
        command = [args.limbic, "bench", "--bundle", args.bundle, "--measure", backend, "--runs", str(args.runs)]
        if args.signature:
            command += ["--signature", args.signature]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, order):
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"limbic bench ended with {self.process.wait()}")
        return answer

    def round(self, runs, clock):
        began = self.cpu_ms()
        median = float(self.ask("round"))
        return median if clock == "wall" else (self.cpu_ms() - began) / runs

    def answers(self, items):
        """The first output of each item."""
        with tempfile.TemporaryDirectory() as folder:
            given, found = Path(folder) / "items", Path(folder) / "answers"
            given.write_bytes(b"".join(array.tobytes() for item in items for array in item.values()))
            self.ask(f"answer {given} {found}")
            bytes_of = [TYPES[dtype]().itemsize * int(np.prod(dims)) for dtype, dims in self.outputs]
            rows = np.frombuffer(found.read_bytes(), np.uint8).reshape(len(items), sum(bytes_of))
        dtype, dims = self.outputs[0]
        return [row[: bytes_of[0]].view(TYPES[dtype]).reshape(dims) for row in rows]

    def cpu_ms(self):
        """Time that all threads have run so far."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


class OnnxRuntime(Timed):
    def __init__(self, path, feeds):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        value = onnxruntime.OrtValue.ortvalue_from_numpy
        self.held = {i.name: value(feeds[i.name]) for i in self.session.get_inputs()}
        for name, held in self.held.items():
            self.binding.bind_ortvalue_input(name, held)
        for output, made in zip(self.session.get_outputs(), self.session.run(None, feeds)):
            self.binding.bind_ortvalue_output(output.name, value(made))

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def answers(self, items):
        names = {i.name for i in self.session.get_inputs()}
        return [self.session.run(None, {k: v for k, v in item.items() if k in names})[0] for item in items]


class OpenVino(Timed):
    def __init__(self, path, feeds):
        import openvino

        core = openvino.Core()
        model = core.read_model(path)
        model.reshape({name: list(value.shape) for name, value in feeds.items()})
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self.request = core.compile_model(model, "CPU", settings).create_infer_request()
        for name, value in feeds.items():
            self.request.set_tensor(name, openvino.Tensor(value, shared_memory=True))

    def run(self):
        self.request.infer()

    def answers(self, items):
        return [np.array(self.request.infer(item)[0]) for item in items]


class LiteRt(Timed):
    def __init__(self, path, feeds):
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(model_path=path, num_threads=1)
        self.interpreter.allocate_tensors()
        rng = np.random.default_rng(7)
        for detail in self.interpreter.get_input_details():
            value = rng.uniform(-1, 1, detail["shape"])
            if not np.issubdtype(detail["dtype"], np.floating):
                value = rng.integers(0, 2, detail["shape"])
            self.interpreter.set_tensor(detail["index"], value.astype(detail["dtype"]))

    def run(self):
        self.interpreter.invoke()

    def answers(self, items):
        found = []
        details = self.interpreter.get_input_details()
        for item in items:
            # Names differ; arrays come in the network's order.
            for detail, value in zip(details, item.values()):
                shape = list(detail["shape"])
                if list(value.shape) != shape and value.ndim == 4:
                    value = value.transpose(0, 2, 3, 1)
                value = value.reshape(shape)
                scale, zero = detail["quantization"]
                if scale and not np.issubdtype(detail["dtype"], np.floating):
                    limits = np.iinfo(detail["dtype"])
                    value = np.clip(np.rint(value / scale) + zero, limits.min, limits.max)
                self.interpreter.set_tensor(detail["index"], value.astype(detail["dtype"]))
            self.interpreter.invoke()
            found.append(self.interpreter.get_tensor(self.interpreter.get_output_details()[0]["index"]).copy())
        return found


def identity(folder):
    """A network that does nothing, as an ONNX file."""
    import onnx
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", ends[:1], ends[1:])
    path = folder / "identity.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path, {"x": np.zeros((1, 8), np.float32)}


def judge(contenders, float_file, items, labels):
    """For each contender, how many of its answers have the float graph's top label, and how many are right."""
    answers = {}
    for key, contender in contenders.items() if items else ():
        try:
            answers[key] = top_labels(contender.answers(items))
        except Exception as error:
            print(f"no answers: {key}: {type(error).__name__}: {str(error).splitlines()[0][:160]}")
    wanted = next((answers[key] for key in answers if key.endswith(f" {float_file}")), None)
    found = {}
    for key, given in answers.items():
        record = {"items": len(items)}
        if wanted is not None:
            record["equal"] = sum(a == b for a, b in zip(given, wanted))
        if labels is not None:
            record["right"] = sum(a == (b,) for a, b in zip(given, labels))
        found[key] = record
    return found


def main():
    args = arguments()
    name, inputs, outputs = signature_of(args.bundle, args.signature)
    outputs = list(outputs.values())
    feeds = feeds_of(inputs)
    backend = f"engine@{args.tier}" if args.tier else "engine"
    if args.milliseconds:
        args.runs = 5
        probe = Engine(args, backend, outputs)
        args.runs = min(200, max(2, round(args.milliseconds / max(probe.round(args.runs, args.clock), 1e-3))))
        probe.process.kill()
    contenders, idle = {"engine": Engine(args, backend, outputs)}, {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        files = []
        with zipfile.ZipFile(args.bundle) as bundle:
            for entry in bundle.namelist():
                if entry.endswith(".onnx"):
                    files.append((entry, str(bundle.extract(entry, folder))))
        files += [(Path(path).name, path) for path in args.onnx]
        path, nothing = identity(folder)
        for peer, kind in (("onnxruntime", OnnxRuntime), ("openvino", OpenVino)):
            for label, source in files:
                try:
                    contenders[f"{peer} {label}"] = kind(source, feeds)
                    idle.setdefault(peer, kind(str(path), nothing))
                except Exception as error:
                    print(f"left out: {peer} {label}: {type(error).__name__}: {str(error).splitlines()[0][:160]}")
        for source in args.tflite + args.other:
            label = f"litert {Path(source).name}"
            try:
                contenders[label] = LiteRt(source, feeds)
            except Exception as error:
                print(f"left out: {label}: {type(error).__name__}: {str(error).splitlines()[0][:160]}")
        others = {f"litert {Path(source).name}" for source in args.other}
        compared = {key: contender for key, contender in contenders.items() if key not in others}
        judged = judge(compared, files[0][0], *items_of(args, inputs))
        rounds = {key: [] for key in [*contenders, *idle]}
        for _ in range(args.rounds):
            for key, contender in [*contenders.items(), *idle.items()]:
                rounds[key].append(contender.round(args.runs, args.clock))
    ours = rounds["engine"]
    report = json.loads(contenders["engine"].ask("report"))
    if not args.json:
        print(f"{report['model']} {name}, {report['cpu']}, {report['tier']}, {args.rounds} rounds of {args.runs} runs")
        print(f"{'contender':<36} {'p50 ms':>9} {'ours / its':>10} {'as float':>9} {'right':>9}")
    for key in contenders:
        idles = rounds.get(key.split(" ")[0], [0.0] * args.rounds)
        ratio = statistics.median(a / max(b - i, 1e-6) for a, b, i in zip(ours, rounds[key], idles))
        record = {
            "model": report["model"],
            "signature": name,
            "contender": key,
            "p50_ms": statistics.median(rounds[key]),
            "identity_ms": statistics.median(idles) if key.split(" ")[0] in idle else 0.0,
            "ratio": 1.0 if key == "engine" else ratio,
            "clock": args.clock,
            "threads": 1,
            "tier": report["tier"] if key == "engine" else "its own",
            "cpu": report["cpu"],
            **judged.get(key, {}),
        }
        if args.json:
            print(json.dumps(record))
        else:
            shares = [f"{record[k]}/{record['items']}" if k in record else "" for k in ("equal", "right")]
            print(f"{key:<36} {record['p50_ms']:>9.4f} {record['ratio']:>10.3f} {shares[0]:>9} {shares[1]:>9}")


if __name__ == "__main__":
    main()
