"""The first process of the machine that aarch64.py starts: counts each contender in a process of its own, then ends."""

import ctypes
import json
import os
import subprocess
import sys
import time

FOLDER = "/bench"
POWER_OFF = 0x4321FEDC


def measured(kind, name, task):
    """Nanoseconds, which are instructions, of a run."""
    import peers

    if kind == "identity":
        import numpy

        contender = peers.OnnxRuntime("identity.onnx", {"x": numpy.zeros((1, 8), numpy.float32)})
    elif kind == "onnxruntime":
        contender = peers.OnnxRuntime(name, peers.feeds_of({n: tuple(i) for n, i in task["inputs"].items()}))
    else:
        contender = peers.LiteRt(name, {})
    contender.run()

    def timed(runs):
        began = time.perf_counter_ns()
        for _ in range(runs):
            contender.run()
        return time.perf_counter_ns() - began

    once = timed(task["runs"])
    return (timed(2 * task["runs"]) - once) // task["runs"]


def ours(task):
    command = ["./repeat", task["plan"], str(task["runs"]), *task["packs"]]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    words = text.splitlines()[0].split()
    return {"contender": "engine", "instructions": int(words[0]), "tier": words[-1]}


def child(kind, name):
    with open("task.json") as file:
        task = json.load(file)
    label = kind if kind == "identity" else f"{kind} {name}"
    try:
        found = {"contender": label, "instructions": measured(kind, name, task)}
    except Exception as error:
        found = {"contender": label, "error": f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"}
    print("COUNT " + json.dumps(found), flush=True)


def first_process():
    libc = ctypes.CDLL(None, use_errno=True)
    for kind, place in ((b"proc", b"/proc"), (b"sysfs", b"/sys"), (b"devtmpfs", b"/dev")):
        libc.mount(kind, place, kind, 0, None)
    os.chdir(FOLDER)
    os.environ.update({"PATH": "/usr/bin:/bin", "HOME": FOLDER, "PYTHONPATH": FOLDER + ":/usr/lib/python3/dist-packages"})
    try:
        with open("task.json") as file:
            task = json.load(file)
        print("COUNT " + json.dumps(ours(task)), flush=True)
        contenders = [("identity", ""), *(("onnxruntime", name) for name in task["onnx"])]
        contenders += [("litert", name) for name in task["tflite"]]
        for contender in contenders:
            subprocess.run([sys.executable, "/init", *contender], check=False)
    finally:
        sys.stdout.flush()
        libc.sync()
        libc.reboot(POWER_OFF)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        child(*sys.argv[1:])
    else:
        first_process()
