"""Write reference.json: what PyTorch with the stored weights answers on real pictures, from file to probability.

Pillow and numpy prepare the pictures here, so that `limbic` is compared with something it has no part in.
"""

import argparse
import json
import os
import tomllib
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dataset import CELL, PER_ROW, sha256_file
from network import SIZE, load_onnx_weights

HERE = Path(__file__).resolve().parent
SHEET_FACES, ODD_REGIONS, SAMPLES, PHOTOGRAPHS = 170, 50, 64, 40


def choose(shared, seed):
    """Pictures as (path, region, set): faces and odd regions out of sheets, single PNGs, JPEGs."""
    rng = np.random.default_rng(seed)
    faces = Path(shared) / "data" / "faces"
    sheets = sorted((faces / "ferplus_valid").glob("sheet_*.png"))
    with Image.open(sheets[0]) as sheet:
        width, height = sheet.size
    chosen = []
    for cell in rng.choice(3 * 1024, SHEET_FACES, replace=False):
        sheet, cell = divmod(int(cell), 1024)
        x, y = cell % PER_ROW * CELL, cell // PER_ROW * CELL
        chosen.append((sheets[sheet], f"{x},{y},{CELL},{CELL}", "exact"))
    for _ in range(ODD_REGIONS):
        w, h = (int(v) for v in rng.integers(9, 210, 2))
        x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
        chosen.append((sheets[int(rng.integers(0, 3))], f"{x},{y},{w},{h}", "exact"))
    for folder, pattern, count, kind in (
        ("samples", "*.png", SAMPLES, "exact"),
        ("photos", "*.jpg", PHOTOGRAPHS, "jpeg"),
    ):
        # Some of the photographs are WebP files whatever their name says.
        files = [f for f in sorted((faces / folder).glob(pattern)) if f.read_bytes()[:4] != b"RIFF"]
        chosen += [(files[i], "whole", kind) for i in sorted(rng.choice(len(files), count, replace=False))]
    return chosen


def prepare(path, region, steps):
    """The picture's tensor f32 [1,1,48,48] by Pillow and numpy."""
    with Image.open(path) as image:
        image.load()
        if region != "whole":
            x, y, w, h = map(int, region.split(","))
            image = image.crop((x, y, x + w, y + h))
        image = image.convert("L").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, np.float64) * steps["scale@1"]["factor"]
    deviation = max(pixels.std(), steps["standardise@1"]["min_std"])
    return torch.from_numpy(((pixels - pixels.mean()) / deviation).astype(np.float32)[None, None])


def main():
    shared = os.environ.get("LIMBIC_SHARED", HERE.parents[1].parent / "shared")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", default=shared)
    parser.add_argument("--graph", default=HERE / "build" / "graph.onnx", type=Path)
    parser.add_argument("--calibration", default=HERE / "calibration.json", type=Path)
    parser.add_argument("--out", default=HERE / "reference.json", type=Path)
    parser.add_argument("--seed", type=int, default=17)
    args = parser.parse_args()
    torch.set_num_threads(1)
    manifest = tomllib.loads((HERE / "model.toml").read_text())
    steps = {step["step"]: step for step in manifest["inputs"][0]["steps"]}
    labels = manifest["programs"][0]["signatures"][0]["tensors"][1]["dims"][1]
    heads = json.loads(args.calibration.read_text())["heads"]
    model = load_onnx_weights(args.graph, labels)
    items = []
    with torch.no_grad():
        for path, region, kind in choose(args.shared, args.seed):
            emotion, face = model(prepare(path, region, steps))
            item = {
                "sha256": sha256_file(path),
                "source": str(path.relative_to(Path(args.shared) / "data")),
                "set": kind,
                "outputs": {
                    "emotion": torch.softmax(emotion.double() / heads["emotion"]["temperature"], 1)[0].tolist(),
                    "face": torch.sigmoid(face.double() / heads["face"]["temperature"])[0].tolist(),
                },
            }
            if region != "whole":
                item["region"] = region
            items.append(item)
    reference = {"model": manifest["name"], "weights_sha256": sha256_file(args.graph), "items": items}
    args.out.write_text(json.dumps(reference, indent=1) + "\n")
    print(f"{len(items)} pictures, {sum(i['set'] == 'exact' for i in items)} of them exact, to {args.out}")


if __name__ == "__main__":
    main()
