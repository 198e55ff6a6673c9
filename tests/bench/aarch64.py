"""Count the instructions of a run on 64-bit Arm: the engine beside ONNX Runtime and LiteRT, in an emulated machine.

    cargo build --release --target aarch64-unknown-linux-gnu -p limbic-engine --features detect --example repeat
    python tests/bench/aarch64.py --root ROOT --kernel VMLINUZ --bundle B.limbic [--signature S]
        [--onnx F.onnx ...] [--tflite F.tflite ...] [--cpu cortex-a72 --cpu cortex-a76 ...]

No board is needed. QEMU runs one instruction a nanosecond of the machine's clock (-icount shift=0), so that the time
of a run, taken as that of 2 N runs less that of N over N, is its number of instructions. They are no milliseconds.
Which instructions are used follows the processor: cortex-a72 has those of tier `neon`, cortex-a76 of `dotprod`, max of
`i8mm`. Contenders and inputs are those of peers.py, whose --onnx and --tflite are the same; the cost of an Identity
network of ONNX Runtime is taken from its counts.

ROOT is a folder with what the machine sees as its root: Python for arm64 and the packages of the peers. On Debian:

    dpkg --add-architecture arm64; apt-get update
    apt-get download {libpython3.11-minimal,libpython3.11-stdlib,python3.11-minimal}:arm64
    apt-get download {libc6,libstdc++6,libgcc-s1,zlib1g,libexpat1,libffi8,libbz2-1.0,liblzma5,libssl3}:arm64
    for f in *.deb; do dpkg -x $f ROOT; done
    pip download --no-deps --only-binary=:all: --python-version 3.11 --platform manylinux_2_28_aarch64 \
        --platform manylinux_2_27_aarch64 onnxruntime ai-edge-litert numpy
    for f in *.whl; do python -m zipfile -e $f ROOT/usr/lib/python3/dist-packages; done

VMLINUZ is boot/vmlinuz-* of the package linux-image-arm64.
"""

import argparse
import json
import os
import shutil
import stat
import subprocess
import tempfile
import zipfile
from pathlib import Path

from peers import identity, signature_of

HERE = Path(__file__).resolve().parent
# The first process of the machine.
INIT = "#!/usr/bin/python3.11\n"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--kernel", required=True, type=Path)
    parser.add_argument("--bundle", required=True, type=Path)
    parser.add_argument("--signature", help="concrete signature, such as encode@64; the last without it")
    parser.add_argument("--onnx", action="append", default=[], type=Path, help="a further file for ONNX Runtime")
    parser.add_argument("--tflite", action="append", default=[], type=Path, help="a file for LiteRT")
    parser.add_argument("--cpu", action="append", help="processors of QEMU; cortex-a72 and cortex-a76 without it")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--repeat", default="target/aarch64-unknown-linux-gnu/release/examples/repeat", type=Path)
    parser.add_argument("--qemu", default="qemu-system-aarch64")
    parser.add_argument("--memory", type=int, default=3072, help="MiB of the machine")
    parser.add_argument("--json", action="store_true", help="print one JSON object a contender")
    return parser.parse_args()


def unpacked(bundle, signature, folder):
    """Puts the plan of a signature, its packs and the graphs of a bundle into a folder; their names."""
    with zipfile.ZipFile(bundle) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        graphs = [name for name in archive.namelist() if name.endswith(".onnx")]
        entries = [entry for variant in manifest["variants"] for entry in variant["entries"]]
        plans = [e for e in entries if e["format"] == "plan" and e.get("signature", signature) == signature]
        if not plans:
            raise SystemExit(f"{bundle} has no plan for {signature}")
        for name in [*graphs, plans[0]["path"], *plans[0]["packs"]]:
            (folder / Path(name).name).write_bytes(archive.read(name))
    return Path(plans[0]["path"]).name, [Path(name).name for name in plans[0]["packs"]], graphs


class Archive:
    """A root file system as the kernel unpacks it: a cpio archive of the format `newc`."""

    def __init__(self, out):
        self.out, self.number = out, 0

    def add(self, name, mode, data=b"", device=(0, 0)):
        self.number += 1
        name = name.encode() + b"\0"
        fields = (self.number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        self.out.write(header + b"\0" * (-len(header) % 4) + data + b"\0" * (-len(data) % 4))

    def add_tree(self, root, prefix=""):
        for path in sorted(root.rglob("*")):
            mode = path.lstat().st_mode
            name = prefix + str(path.relative_to(root))
            if stat.S_ISLNK(mode):
                self.add(name, mode, os.readlink(path).encode())
            elif stat.S_ISDIR(mode):
                self.add(name, mode)
            elif stat.S_ISREG(mode):
                self.add(name, mode, path.read_bytes())


def archived(args, bench, path):
    with open(path, "wb") as out:
        archive = Archive(out)
        archive.add_tree(args.root)
        for name in ("bench", "dev", "proc", "sys"):
            archive.add(name, 0o40755)
        archive.add("dev/console", 0o20600, device=(5, 1))
        archive.add_tree(bench, "bench/")
        archive.add("init", 0o100755, (INIT + (HERE / "aarch64_guest.py").read_text()).encode())
        archive.add("TRAILER!!!", 0)


def counted(args, cpu, image):
    """What the machine says of each contender."""
    command = [args.qemu, "-M", "virt", "-cpu", cpu, "-m", str(args.memory), "-nographic", "-nic", "none"]
    command += ["-no-reboot", "-icount", "shift=0,sleep=off", "-kernel", args.kernel, "-initrd", image]
    command += ["-append", "console=ttyAMA0 quiet panic=-1"]
    process = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    found = [json.loads(line[6:]) for line in process.stdout.splitlines() if line.startswith("COUNT ")]
    if not found:
        raise SystemExit(f"{cpu} counted nothing:\n{process.stdout[-2000:]}{process.stderr[-2000:]}")
    return found


def main():
    args = arguments()
    name, inputs = signature_of(args.bundle, args.signature)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        bench = folder / "bench"
        bench.mkdir()
        plan, packs, graphs = unpacked(args.bundle, name, bench)
        identity(bench)
        shutil.copy(HERE / "peers.py", bench)
        shutil.copy(args.repeat, bench / "repeat")
        for path in [*args.onnx, *args.tflite]:
            shutil.copy(path, bench)
        task = {
            "runs": args.runs,
            "inputs": inputs,
            "plan": plan,
            "packs": packs,
            "onnx": [*graphs, *(path.name for path in args.onnx)],
            "tflite": [path.name for path in args.tflite],
        }
        (bench / "task.json").write_text(json.dumps(task))
        image = folder / "image"
        archived(args, bench, image)
        for cpu in args.cpu or ["cortex-a72", "cortex-a76"]:
            found = counted(args, cpu, image)
            idle = next((count["instructions"] for count in found if count["contender"] == "identity"), 0)
            ours = next((count["instructions"] for count in found if count["contender"] == "engine"), None)
            if not args.json:
                print(f"{args.bundle.name} {name} on {cpu}\n{'contender':<36} {'instructions':>12} {'ours / its':>10}")
            for count in found:
                label, number = count["contender"], count.get("instructions")
                if number is not None and label.startswith("onnxruntime"):
                    number -= idle
                ratio = ours / number if ours and number else None
                record = {"bundle": args.bundle.name, "signature": name, "cpu": cpu, **count}
                record |= {"instructions": number, "ratio": ratio, "threads": 1}
                if args.json:
                    print(json.dumps(record))
                elif number is None:
                    print(f"left out: {label}: {count['error']}")
                else:
                    print(f"{label:<36} {number:>12} {ratio or 0:>10.3f}")


if __name__ == "__main__":
    main()
