"""Writes golden/image/*.json: what Pillow makes of synthetic pictures, as SHA-256 of the pixels.

Needs: pillow==13.0.0 numpy==2.4.6
Run:   python make_image.py

The pictures are made by integer formulas that tests/image_golden.rs repeats; see `picture`.
"""

import hashlib
import json
import math
import random
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

HERE = Path(__file__).parent / "image"
PATTERNS = ("noise", "gradient_x", "gradient_y", "checks", "extremes", "constant")


def picture(pattern, width, height, channels, seed):
    """A synthetic picture, `uint8 [height, width, channels]`."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    count = width * height * channels
    states = np.empty(count, dtype=np.uint32)
    state = seed
    for index in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        states[index] = state
    noise = (states >> 24).reshape(height, width, channels)
    if pattern == "noise":
        values = noise
    elif pattern == "gradient_x":
        values = (x * 255 // max(width - 1, 1) + c * 40) % 256
    elif pattern == "gradient_y":
        values = (y * 255 // max(height - 1, 1) + c * 40) % 256
    elif pattern == "checks":
        values = ((x // 3 + y // 2 + c) % 2) * 255
    elif pattern == "extremes":
        values = (noise // 128) * 255
    else:
        values = (x + y + c) * 0 + seed % 256
    return values.astype(np.uint8)


def image(values):
    return Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)


def sha256(picture):
    return hashlib.sha256(picture.tobytes()).hexdigest()


def resize_cases():
    fixed = [
        (1, 1, 1, 1), (1, 1, 48, 48), (1, 1, 3, 1), (1, 97, 48, 48), (97, 1, 48, 48), (1, 31, 1, 7), (31, 1, 7, 1),
        (2, 2, 3, 3), (2, 2, 1, 1), (3, 2, 2, 3), (48, 48, 48, 48), (100, 48, 48, 48), (48, 100, 48, 48),
        (47, 49, 48, 48), (49, 47, 48, 48), (96, 96, 48, 48), (97, 95, 48, 48), (24, 24, 48, 48), (640, 480, 48, 48),
        (480, 640, 64, 64), (37, 53, 48, 48), (3, 5, 224, 224), (300, 7, 13, 91), (7, 300, 91, 13), (255, 257, 64, 63),
        (4096, 1, 1, 1), (5000, 3, 1, 2), (3, 5000, 2, 1), (333, 222, 332, 221), (17, 13, 289, 169), (200, 3, 199, 4),
    ]  # fmt: skip
    rng = random.Random(20)
    sizes = [tuple(rng.randint(1, 160) for _ in range(4)) for _ in range(60)]
    for number, (width, height, to_width, to_height) in enumerate(fixed + sizes):
        for channels in (1, 3):
            pattern = PATTERNS[0] if number % 2 == 0 else PATTERNS[number // 2 % len(PATTERNS)]
            yield pattern, width, height, channels, to_width, to_height, number * 2 + channels


def resizes():
    for pattern, width, height, channels, to_width, to_height, seed in resize_cases():
        source = image(picture(pattern, width, height, channels, seed))
        resized = source.resize((to_width, to_height), Image.Resampling.BILINEAR)
        yield {
            "pattern": pattern, "seed": seed, "channels": channels,
            "from": [width, height], "to": [to_width, to_height], "sha256": sha256(resized),
        }  # fmt: skip


def edges(start, length, margin, limit):
    first = math.floor(start - margin * length + 0.5)
    last = math.floor(start + length + margin * length + 0.5)
    return min(max(first, 0), limit), min(max(last, 0), limit)


def crops():
    """Colour picture, region and margin: grey, cut, resized."""
    rng = random.Random(7)
    margins = (0.0, 0.1, 0.25, 0.5, 1.0, 0.3)
    for seed in range(60):
        width, height = rng.randint(1, 120), rng.randint(1, 120)
        region = [rng.randint(-20, width - 1), rng.randint(-20, height - 1), rng.randint(1, 90), rng.randint(1, 90)]
        margin = margins[seed % len(margins)]
        left, right = edges(region[0], region[2], margin, width)
        top, bottom = edges(region[1], region[3], margin, height)
        case = {"seed": seed, "size": [width, height], "region": region, "margin": margin, "box": None}
        if left < right and top < bottom:
            source = image(picture("noise", width, height, 3, seed))
            cut = source.convert("L").crop((left, top, right, bottom))
            case["box"] = [left, top, right, bottom]
            case["cut_sha256"] = sha256(cut)
            case["resized_sha256"] = sha256(cut.resize((48, 48), Image.Resampling.BILINEAR))
        yield case


def greys():
    """One digest for every red: Pillow's grey of all pairs of green and blue."""
    green, blue = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    for red in range(256):
        values = np.stack([np.full_like(green, red), green, blue], axis=-1).astype(np.uint8)
        yield sha256(Image.fromarray(values).convert("L"))[:16]


def tensors():
    for channels in (1, 3):
        values = picture("noise", 5, 4, channels, 99)
        real = values.astype(np.float64)
        mean = np.array([0.485, 0.456, 0.406][:channels])
        std = np.array([0.229, 0.224, 0.225][:channels])
        scaled = (real * (1 / 255) - mean) / std
        standardised = (real - real.mean()) / max(real.std(), 0.01)
        yield {
            "channels": channels, "size": [5, 4], "seed": 99, "factor": 1 / 255,
            "mean": mean.tolist(), "std": std.tolist(),
            "scaled_nchw": scaled.transpose(2, 0, 1).ravel().tolist(),
            "scaled_nhwc": scaled.ravel().tolist(),
            "standardised_nchw": standardised.transpose(2, 0, 1).ravel().tolist(),
        }  # fmt: skip


def main():
    for name, cases in [("resize", resizes()), ("crop", crops()), ("grey", greys()), ("tensor", tensors())]:
        lines = ",\n".join(json.dumps(case) for case in cases)
        (HERE / f"{name}.json").write_text(f'{{"pillow": "{PIL.__version__}", "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
