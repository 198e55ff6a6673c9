"""Quantizes a float ONNX model with onnxruntime.quantization and compares answers with those of `limbic quantize`.

    limbic preprocess -b FLOAT.limbic -d CALIB.csv -o calib.npz
    limbic preprocess -b FLOAT.limbic -d EVAL.csv -o eval.npz
    limbic quantize FLOAT.limbic ... --onnx ours.onnx -o OUT.limbic
    python compare.py --float graph.onnx --ours ours.onnx --calib calib.npz --eval eval.npz --output NAME

Prints one JSON document: the share of rows whose highest output of NAME is the float model's, for each calibrator of
onnxruntime and for ours, and the peak memory of each calibration by itself, in MiB: of the whole process (VmHWM), and
above that of a process that only loaded the model. With `--command "limbic quantize ..."` and `--loaded "limbic inspect
FLOAT.limbic"` the same is measured of ours, which judges on its sets in the same process. Needs onnx, onnxruntime and
numpy, and /proc.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time

import numpy as np


def rows(path, names, limit):
    arrays = {name: np.load(path)[name] for name in names}
    count = min(limit, len(next(iter(arrays.values()))))
    return [{name: array[n : n + 1] for name, array in arrays.items()} for n in range(count)]


def session(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def top(path, feeds, output):
    model = session(path)
    names = [entry.name for entry in model.get_inputs()]
    return [int(np.argmax(model.run([output], {name: feed[name] for name in names})[0])) for feed in feeds]


def peak_mib(process="self"):
    """Greatest resident size so far; ru_maxrss would be at least that of the process that started this one."""
    with open(f"/proc/{process}/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def peak_of(command):
    """Greatest resident size of a command, looked at every few milliseconds while it runs."""
    running = subprocess.Popen(shlex.split(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0.0
    while running.poll() is None:
        try:
            peak = max(peak, peak_mib(running.pid))
        except OSError:
            break
        time.sleep(0.002)
    return peak, running.wait()


def calibrate(args):
    """Runs in a process of its own, so that its peak memory is that of one calibration."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    names = [entry.name for entry in session(args.float).get_inputs()]
    feeds = rows(args.calib, names, args.calib_rows)

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.feeds = iter(feeds)

        def get_next(self):
            return next(self.feeds, None)

    before = peak_mib()
    quantize_static(
        args.float,
        args.made,
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod[args.method],
    )
    peak = peak_mib()
    print(json.dumps({"peak_mib": round(peak, 1), "above_loaded_mib": round(peak - before, 1)}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--float", required=True)
    parser.add_argument("--ours")
    parser.add_argument("--calib", required=True)
    parser.add_argument("--eval")
    parser.add_argument("--output")
    parser.add_argument("--command")
    parser.add_argument("--loaded")
    parser.add_argument("--calib-rows", type=int, default=256)
    parser.add_argument("--eval-rows", type=int, default=1 << 30)
    parser.add_argument("--method", help=argparse.SUPPRESS)
    parser.add_argument("--made", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.method:
        calibrate(args)
        return

    feeds = rows(args.eval, [entry.name for entry in session(args.float).get_inputs()], args.eval_rows)
    expected = top(args.float, feeds, args.output)
    equal = lambda path: float(np.mean(np.equal(expected, top(path, feeds, args.output))))
    report = {"rows": len(feeds), "onnxruntime": {}}
    with tempfile.TemporaryDirectory() as folder:
        for method in ("MinMax", "Entropy", "Percentile"):
            made = os.path.join(folder, f"{method}.onnx")
            command = [sys.executable, __file__, "--float", args.float, "--calib", args.calib]
            command += ["--calib-rows", str(args.calib_rows), "--method", method, "--made", made]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                report["onnxruntime"][method] = {"failed": done.stderr.strip().splitlines()[-1:]}
                continue
            report["onnxruntime"][method] = {"equal": equal(made), **json.loads(done.stdout.splitlines()[-1])}
    if args.ours or args.command:
        report["limbic"] = {"equal": equal(args.ours)} if args.ours else {}
    if args.command:
        peak, status = peak_of(args.command)
        report["limbic"] |= {"peak_mib": round(peak, 1), "status": status}
        if args.loaded:
            loaded, _ = peak_of(args.loaded)
            report["limbic"]["above_loaded_mib"] = round(peak - loaded, 1)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
